//! What a model sees: squares of 1000 x 1000 pixels, north up, at an exact scale, with a grid in metres, a scale bar, a
//! legend and a name. No service scales a picture of this size.

use super::canvas::{Canvas, LETTER_PX};
use super::turn::Picture;
use crate::error::PlanError;
use crate::validator::{Ground, local_from_map};
use serde::Deserialize;
use sojourn_core::geometry::Xy;
use sojourn_core::raster::Raster;
use sojourn_core::site::ORTHO;
use std::sync::Arc;

/// Side of every view, pixels.
pub const SIDE_PX: usize = 1000;
/// Sides that a model may ask for, metres.
pub const SPANS_M: [f64; 4] = [1000.0, 500.0, 250.0, 125.0];
/// Cells along a side of the numbered raster.
pub const CELLS: usize = 8;

/// What the ground is drawn as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Layer {
    /// The orbital image; the hillshade where there is none.
    Ortho,
    /// The elevation model, lit from the north-west.
    Hillshade,
    /// Slope over the rover's footprint.
    Slope,
    /// Roughness over the rover's footprint.
    Roughness,
    /// Slope and roughness by their limits.
    Hazard,
    /// The image, tinted by slope.
    OrthoSlopeBlend,
}

/// How closely the grid is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GridLines {
    /// Not at all.
    None,
    /// Ten lines a side at most.
    Coarse,
    /// Twenty lines a side at most.
    Fine,
}

/// What is drawn over the ground.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Show {
    /// Start and goal.
    StartGoal,
    /// Keep-ins.
    KeepIn,
    /// Keep-outs.
    KeepOut,
    /// Labels.
    Features,
    /// Routes to choose from.
    Candidates,
    /// The route under discussion.
    CurrentRoute,
    /// The numbered cells.
    Cells,
    /// The ground that pictures from the surface show.
    Surface,
}

/// What can be drawn over the ground.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Overlays {
    /// Start and goal, `map` metres.
    pub ends: Option<[Xy; 2]>,
    /// Labels: name, outline in `map` metres, risk.
    pub features: Vec<(String, Vec<Xy>, u8)>,
    /// Routes by name, `map` metres.
    pub routes: Vec<(String, Vec<Xy>)>,
    /// The route under discussion, `map` metres.
    pub current: Vec<Xy>,
    /// Names of the numbered cells, row by row from the north-west.
    pub cells: Vec<String>,
    /// Pictures from the surface: name, outline of their ground in `map` metres.
    pub surface: Vec<(String, Vec<Xy>)>,
}

/// A view: where it lies and what it shows.
#[derive(Clone, Debug, PartialEq)]
pub struct View {
    /// Its name.
    pub id: String,
    /// North-west corner, `map` metres.
    pub north_west_m: Xy,
    /// Side, metres.
    pub span_m: f64,
    /// The picture.
    pub picture: Arc<Picture>,
    /// Share of its pixels of which nothing is known.
    pub unknown: f64,
}

/// From pixels (x right, y down, from the upper left corner) to `map` metres in a view.
#[must_use]
pub fn map_from_px(px: Xy, north_west_m: Xy, span_m: f64) -> Xy {
    let scale = span_m / SIDE_PX as f64;
    [
        north_west_m[0] + px[0] * scale,
        north_west_m[1] - px[1] * scale,
    ]
}

/// From `map` metres to pixels in a view.
#[must_use]
pub fn px_from_map(p: Xy, north_west_m: Xy, span_m: f64) -> Xy {
    let scale = SIDE_PX as f64 / span_m;
    [
        (p[0] - north_west_m[0]) * scale,
        (north_west_m[1] - p[1]) * scale,
    ]
}

impl View {
    /// The middle, `map` metres.
    #[must_use]
    pub fn centre_m(&self) -> Xy {
        map_from_px([SIDE_PX as f64 / 2.0; 2], self.north_west_m, self.span_m)
    }
}

/// What to draw.
#[derive(Clone, Debug, PartialEq)]
pub struct Wanted<'a> {
    /// Its name.
    pub id: &'a str,
    /// The ground.
    pub layer: Layer,
    /// The middle, `map` metres.
    pub centre_m: Xy,
    /// Side, metres.
    pub span_m: f64,
    /// The grid.
    pub grid: GridLines,
    /// What lies over it.
    pub show: &'a [Show],
}

const UNKNOWN: [u8; 3] = [20, 20, 60];

/// Draws a view.
///
/// # Errors
/// [`PlanError::Core`] when the picture cannot be written.
pub fn draw(ground: &Ground<'_>, wanted: &Wanted<'_>, over: &Overlays) -> Result<View, PlanError> {
    let (c, span_m) = (wanted.centre_m, wanted.span_m);
    let nw = [c[0] - 0.5 * span_m, c[1] + 0.5 * span_m];
    let painter = Painter::new(ground, wanted.layer, span_m / SIDE_PX as f64);
    let mut unknown = 0usize;
    let mut canvas = Canvas::new(SIDE_PX, SIDE_PX, |x, y| {
        let p = map_from_px([x as f64 + 0.5, y as f64 + 0.5], nw, span_m);
        painter.colour(p).unwrap_or_else(|| {
            unknown += 1;
            UNKNOWN
        })
    });
    let px = |p: &Xy| px_from_map(*p, nw, span_m);
    overlays(&mut canvas, ground, wanted, over, px);
    grid(&mut canvas, ground, wanted, nw);
    furniture(&mut canvas, wanted, &painter.legend());
    Ok(View {
        id: wanted.id.to_string(),
        north_west_m: nw,
        span_m,
        picture: Arc::new(canvas.picture()?),
        unknown: unknown as f64 / (SIDE_PX * SIDE_PX) as f64,
    })
}

struct Painter<'a> {
    ground: &'a Ground<'a>,
    ortho: Option<&'a Raster>,
    layer: Layer,
    px_m: f64,
}

impl<'a> Painter<'a> {
    fn new(ground: &'a Ground<'a>, layer: Layer, px_m: f64) -> Self {
        Self {
            ground,
            ortho: ground.site.layers.get(ORTHO),
            layer,
            px_m,
        }
    }

    fn colour(&self, p: Xy) -> Option<[u8; 3]> {
        let slope = || self.ground.slope.nearest(p[0], p[1]);
        let rough = || self.ground.roughness.nearest(p[0], p[1]);
        let b = &self.ground.bounds;
        match self.layer {
            Layer::Ortho => self.bright(p).map(grey),
            Layer::Hillshade => self.shade(p).map(grey),
            Layer::Slope => slope().map(|s| ramp(s / b.slope_deg)),
            Layer::Roughness => rough().map(|q| ramp(q / b.roughness_m)),
            Layer::Hazard => Some(ramp((slope()? / b.slope_deg).max(rough()? / b.roughness_m))),
            Layer::OrthoSlopeBlend => {
                let (g, r) = (grey(self.bright(p)?), ramp(slope()? / b.slope_deg));
                Some([0, 1, 2].map(|k| ((u16::from(g[k]) * 3 + u16::from(r[k])) / 4) as u8))
            }
        }
    }

    /// Mean brightness over the pixel.
    fn bright(&self, p: Xy) -> Option<f64> {
        let Some(o) = self.ortho else {
            return self.shade(p);
        };
        let n = (self.px_m / o.resolution_m()).round().clamp(1.0, 4.0) as i32;
        let (mut sum, mut count) = (0.0, 0);
        for j in 0..n {
            for i in 0..n {
                let off = |k: i32| (f64::from(k) + 0.5) / f64::from(n) - 0.5;
                if let Some(v) = o.nearest(p[0] + off(i) * self.px_m, p[1] + off(j) * self.px_m) {
                    sum += v;
                    count += 1;
                }
            }
        }
        (count > 0).then(|| sum / f64::from(count))
    }

    /// Light from the north-west, 45 degrees high; 0 to 1.
    fn shade(&self, p: Xy) -> Option<f64> {
        let z = self.ground.elevation;
        let h = self.px_m.max(z.resolution_m());
        let at = |dx: f64, dy: f64| z.sample(p[0] + dx, p[1] + dy);
        let gx = (at(h, 0.0)? - at(-h, 0.0)?) / (2.0 * h);
        let gy = (at(0.0, h)? - at(0.0, -h)?) / (2.0 * h);
        let s = std::f64::consts::FRAC_1_SQRT_2;
        // The normal (-gx, -gy, 1) against the direction to the light (-s·s, s·s, s).
        let light = (gx * s * s - gy * s * s + s) / (1.0 + gx * gx + gy * gy).sqrt();
        Some(light.clamp(0.0, 1.0))
    }

    fn legend(&self) -> String {
        let b = &self.ground.bounds;
        match self.layer {
            Layer::Ortho if self.ortho.is_none() => "hillshade (no image), light from NW".into(),
            Layer::Ortho => "orbital image; dark blue: no data".into(),
            Layer::Hillshade => "hillshade, light from NW".into(),
            Layer::Slope | Layer::OrthoSlopeBlend => {
                format!(
                    "slope: green 0, yellow {:.0}, red {:.0} deg and closed",
                    0.5 * b.slope_deg,
                    b.slope_deg
                )
            }
            Layer::Roughness => {
                format!("roughness: green 0, red {:.2} m and closed", b.roughness_m)
            }
            Layer::Hazard => "slope or roughness by limit: red is closed".into(),
        }
    }
}

fn grey(v: f64) -> [u8; 3] {
    [(v.clamp(0.0, 1.0) * 255.0).round() as u8; 3]
}

/// Green to yellow to red; dark red from 1 on.
fn ramp(share: f64) -> [u8; 3] {
    if share >= 1.0 {
        return [150, 0, 0];
    }
    let t = share.clamp(0.0, 1.0);
    let (r, g) = if t < 0.5 {
        (2.0 * t, 1.0)
    } else {
        (1.0, 2.0 - 2.0 * t)
    };
    [(60.0 + 180.0 * r) as u8, (60.0 + 160.0 * g) as u8, 60]
}

/// Colours of routes.
const ROUTES: [[u8; 3]; 8] = [
    [255, 80, 255],
    [80, 220, 255],
    [255, 200, 60],
    [120, 255, 120],
    [255, 130, 100],
    [170, 140, 255],
    [255, 255, 255],
    [200, 160, 90],
];

/// Ground that pictures from the surface show.
const SURFACE: [u8; 3] = [90, 230, 255];

fn overlays(
    canvas: &mut Canvas,
    ground: &Ground<'_>,
    wanted: &Wanted<'_>,
    over: &Overlays,
    px: impl Fn(&Xy) -> Xy,
) {
    let line = |points: &[Xy]| points.iter().map(&px).collect::<Vec<Xy>>();
    let shown = |what: Show| wanted.show.contains(&what);
    let label = |canvas: &mut Canvas, at: Xy, text: &str, colour: [u8; 3]| {
        canvas.text(at[0] as i64 + 4, at[1] as i64 + 4, text, colour);
    };
    if shown(Show::KeepIn) {
        for p in &ground.constraints.keep_in {
            canvas.polyline(&line(p), true, [120, 255, 120], 2);
        }
    }
    if shown(Show::KeepOut) {
        for p in &ground.constraints.keep_out {
            canvas.fill(&line(p), [255, 0, 0], 0.35);
            canvas.polyline(&line(p), true, [255, 0, 0], 2);
        }
    }
    if shown(Show::Features) {
        for (id, outline, risk) in &over.features {
            let colour = ramp(f64::from(risk.saturating_sub(1)) / 4.01);
            let outline = line(outline);
            canvas.fill(&outline, colour, 0.25);
            canvas.polyline(&outline, true, colour, 2);
            if let Some(at) = outline.first() {
                label(canvas, *at, &format!("{id} r{risk}"), colour);
            }
        }
    }
    if shown(Show::Candidates) {
        for (k, (id, route)) in over.routes.iter().enumerate() {
            let (colour, route) = (ROUTES[k % ROUTES.len()], line(route));
            canvas.polyline(&route, false, colour, 3);
            if let Some(at) = route.get(route.len() / 2) {
                label(canvas, *at, id, colour);
            }
        }
    }
    if shown(Show::Surface) {
        for (id, ground) in &over.surface {
            let outline = line(ground);
            canvas.polyline(&outline, true, SURFACE, 2);
            if let Some(at) = outline.get(outline.len() / 4) {
                label(canvas, *at, id, SURFACE);
            }
        }
    }
    if shown(Show::CurrentRoute) {
        let route = line(&over.current);
        canvas.polyline(&route, false, [255, 80, 255], 3);
        for (k, at) in route.iter().enumerate().skip(1) {
            canvas.ring(*at, 3.0, [255, 255, 255]);
            label(canvas, *at, &format!("{}", k - 1), [255, 255, 255]);
        }
    }
    if shown(Show::StartGoal)
        && let Some([start, goal]) = over.ends
    {
        canvas.cross(px(&start), 10.0, [40, 220, 60]);
        canvas.ring(px(&goal), 9.0, [235, 40, 40]);
    }
    if shown(Show::Cells) {
        let step = SIDE_PX as f64 / CELLS as f64;
        for k in 1..CELLS {
            let at = k as f64 * step;
            canvas.line([at, 0.0], [at, SIDE_PX as f64], [255, 255, 160], 1);
            canvas.line([0.0, at], [SIDE_PX as f64, at], [255, 255, 160], 1);
        }
        for (k, name) in over.cells.iter().enumerate() {
            let (x, y) = ((k % CELLS) as f64 * step, (k / CELLS) as f64 * step);
            canvas.text(x as i64 + 5, y as i64 + 24, name, [255, 255, 160]);
        }
    }
}

/// Lines at round metres of the conversation's frame, named at the edges.
fn grid(canvas: &mut Canvas, ground: &Ground<'_>, wanted: &Wanted<'_>, nw: Xy) {
    let most = match wanted.grid {
        GridLines::None => return,
        GridLines::Coarse => 10.0,
        GridLines::Fine => 20.0,
    };
    let step_m = [1.0, 2.0, 5.0, 10.0, 20.0, 25.0, 50.0, 100.0, 200.0, 500.0]
        .into_iter()
        .find(|g| wanted.span_m / g <= most)
        .unwrap_or(1000.0);
    let px_m = wanted.span_m / SIDE_PX as f64;
    let corner = local_from_map(nw, ground.north_west_m());
    for (axis, edge_m) in corner.into_iter().enumerate() {
        let mut k = (edge_m / step_m).ceil() as i64;
        loop {
            let m = k as f64 * step_m;
            let at = (m - edge_m) / px_m;
            if at >= SIDE_PX as f64 {
                break;
            }
            for t in 0..SIDE_PX as i64 {
                let (x, y) = if axis == 0 {
                    (at as i64, t)
                } else {
                    (t, at as i64)
                };
                canvas.blend(x, y, [255, 255, 160], 0.25);
            }
            let name = format!("{m:.0}");
            if axis == 0 {
                canvas.text(at as i64 + 3, SIDE_PX as i64 - 12, &name, [255, 255, 160]);
            } else {
                canvas.text(3, at as i64 + 3, &name, [255, 255, 160]);
            }
            k += 1;
        }
    }
}

/// Name, legend and scale bar along the top.
fn furniture(canvas: &mut Canvas, wanted: &Wanted<'_>, legend: &str) {
    canvas.text(
        60,
        4,
        &format!("{} {} m across, N up; {legend}", wanted.id, wanted.span_m),
        [255, 255, 255],
    );
    let bar_m = [1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0]
        .into_iter()
        .rfind(|m| *m <= 0.15 * wanted.span_m)
        .unwrap_or(1.0);
    let (w, right) = (
        bar_m / wanted.span_m * SIDE_PX as f64,
        SIDE_PX as f64 - 15.0,
    );
    canvas.line([right - w, 28.0], [right, 28.0], [255, 255, 255], 3);
    let name = format!("{bar_m} m");
    let x = right as i64 - name.len() as i64 * LETTER_PX;
    canvas.text(x, 34, &name, [255, 255, 255]);
}

/// Crosses by their letters, pixels.
pub type Crosses = Vec<(String, Xy)>;

/// A card of crosses at places that only the host knows, and these places in pixels.
///
/// # Errors
/// [`PlanError::Core`] when the picture cannot be written.
pub fn calibration_card() -> Result<(Arc<Picture>, Crosses), PlanError> {
    // No two in a row or column, none at a round number.
    let crosses: Crosses = [
        [113.0, 87.0],
        [503.0, 141.0],
        [871.0, 229.0],
        [271.0, 337.0],
        [647.0, 431.0],
        [159.0, 569.0],
        [927.0, 653.0],
        [409.0, 787.0],
        [761.0, 911.0],
    ]
    .into_iter()
    .zip('A'..)
    .map(|(p, c)| (c.to_string(), p))
    .collect();
    let mut canvas = Canvas::new(SIDE_PX, SIDE_PX, |_, _| [120, 116, 108]);
    for (name, p) in &crosses {
        canvas.cross(*p, 12.0, [255, 255, 255]);
        canvas.text(p[0] as i64 + 16, p[1] as i64 + 10, name, [255, 255, 160]);
    }
    Ok((Arc::new(canvas.picture()?), crosses))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn pixels_come_back(x in -100.0f64..1100.0, y in -100.0f64..1100.0, e in -1e5f64..1e5, n in -1e5f64..1e5, k in 0usize..4) {
            let span_m = SPANS_M[k];
            let p = map_from_px([x, y], [e, n], span_m);
            let back = px_from_map(p, [e, n], span_m);
            prop_assert!((back[0] - x).abs() < 1e-5 && (back[1] - y).abs() < 1e-5);
            // Down the picture is south, right is east; at 1000 m a pixel is a metre.
            let q = map_from_px([x + 1.0, y + 1.0], [e, n], span_m);
            let px_m = span_m / 1000.0;
            prop_assert!((q[0] - p[0] - px_m).abs() < 1e-6 && (p[1] - q[1] - px_m).abs() < 1e-6);
        }
    }

    #[test]
    fn the_card_is_the_same_every_time() {
        let (a, crosses) = calibration_card().unwrap();
        let (b, _) = calibration_card().unwrap();
        assert_eq!((a.width_px, a.height_px, crosses.len()), (1000, 1000, 9));
        assert_eq!(a.sha256, b.sha256);
    }
}
