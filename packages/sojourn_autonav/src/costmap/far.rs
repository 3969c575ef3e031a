//! The cost to go beyond the map, from what orbit tells alone.
//!
//! It lies in `map` as the layers do, so that what is worked out for a waypoint and a corridor stays right while `odom`
//! moves. The layer is priced once and averaged by fours up to one cell; a search takes the finest of these levels that
//! holds rover and waypoint in [`MAX_CELLS`] cells. So its work does not grow with the way, and it is done again only when
//! something that it rests on has changed. All of that is a function of the present planning alone: with an empty memory
//! the costs are the same to the bit.

use super::{
    Cell, Grid, Pace, Scene, Source,
    priced::{Mean, Price, Priced},
};
use crate::{config::Config, corridor::Corridor, orbital::FromOrbit};
use sojourn_core::{classes::CLASSES, geometry::Xy, rover::Rover};

/// Most cells of a search; a longer way is looked at in larger ones.
const MAX_CELLS: f64 = 40_000.0;
/// How far around rover and waypoint ways are sought, in sides of the coarse memory: half of one is the map.
const AROUND: f64 = 0.75;
/// Side of the square in which the rover may move without another search, in sides of the coarse memory.
const TILE: f64 = 0.125;
/// Grades (metres per metre) to each side of level ground for which slip is tabulated, and how many to a metre per metre.
const GRADES: i32 = 60;
const GRADES_PER_UNIT: f64 = 50.0;
/// Slip is rounded up to this share, so that a search need not be made again for every measurement of it.
const SLIP_STEP: f64 = 1.0 / 32.0;

/// What orbit tells, and waypoint and corridor where it tells it.
#[derive(Clone, Copy, Debug)]
pub struct Beyond<'a> {
    /// The orbital layers.
    pub orbit: FromOrbit<'a>,
    /// The waypoint in `map`, metres.
    pub goal_map: Xy,
    /// Polygons in `map`, metres; the rover's centre stays in at least one.
    pub keep_in_map: &'a [Vec<Xy>],
    /// Polygons in `map`, metres; the whole rover stays out of all of them.
    pub keep_out_map: &'a [Vec<Xy>],
}

/// What was worked out of ground beyond the map, kept from planning to planning.
#[derive(Clone, Debug, Default)]
pub struct FarMemory {
    priced: Option<Priced>,
    field: Option<Field>,
    costs: Option<Costs>,
    #[cfg(test)]
    pub(super) done: Done,
}

/// How often what was worked out.
#[cfg(test)]
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Done {
    pub pricings: usize,
    pub fields: usize,
    pub searches: usize,
    pub cells: usize,
}

impl FarMemory {
    /// Cost from places in `odom` to the waypoint over the orbital layer, seconds; infinite where no way leads there.
    pub(super) fn search<'m>(
        &'m mut self,
        config: &Config,
        rover: &Rover,
        scene: &Scene<'_>,
        pace: &Pace,
        beyond: Beyond<'m>,
    ) -> impl Fn(Xy) -> f64 + use<'m> {
        let price = Price::new(config, scene.limits);
        let layers = beyond.orbit.layers();
        if !self.priced.as_ref().is_some_and(|p| p.is(layers, &price)) {
            (self.field, self.costs) = (None, None);
            #[cfg(test)]
            {
                self.done.pricings += 1;
            }
        }
        let priced = self
            .priced
            .take()
            .filter(|p| p.is(layers, &price))
            .unwrap_or_else(|| Priced::new(config, rover, scene.limits, layers, price));
        let priced = self.priced.insert(priced);
        let area = Area::new(config, rover, scene, &beyond);
        if !self.field.as_ref().is_some_and(|f| f.area.is(&area)) {
            self.costs = None;
            #[cfg(test)]
            {
                self.done.fields += 1;
            }
        }
        let field = self
            .field
            .take()
            .filter(|f| f.area.is(&area))
            .unwrap_or_else(|| Field::new(priced, area));
        let field = self.field.insert(field);
        let slips = Slips::new(pace);
        let unknown_spm = price.unknown_factor * pace.easy_spm;
        let rates = [pace.easy_spm, pace.slip_limit];
        let is_same = |c: &Costs| c.rates == rates && c.slips == slips;
        let costs = match self.costs.take().filter(is_same) {
            Some(costs) => costs,
            None => {
                #[cfg(test)]
                {
                    self.done.searches += 1;
                    self.done.cells = field.grid.len();
                }
                Costs {
                    rates,
                    to_go_s: field.search(pace, &slips),
                    slips,
                }
            }
        };
        let costs = self.costs.insert(costs);
        let (field, costs) = (&*field, &*costs);
        move |p| {
            let at = beyond.orbit.in_map(p);
            field.grid.nearest_s(&costs.to_go_s, at, unknown_spm)
        }
    }
}

/// Where ways are sought, in `map`.
#[derive(Clone, Debug)]
struct Area<'a> {
    low_m: Xy,
    high_m: Xy,
    goal: Xy,
    clear_m: f64,
    keep_in: std::borrow::Cow<'a, [Vec<Xy>]>,
    keep_out: std::borrow::Cow<'a, [Vec<Xy>]>,
}

impl<'a> Area<'a> {
    fn new(config: &Config, rover: &Rover, scene: &Scene<'_>, beyond: &Beyond<'a>) -> Self {
        let tile_m = TILE * config.coarse_m;
        let around_m = AROUND * config.coarse_m;
        let here = beyond.orbit.in_map(scene.rover_xy);
        let goal = beyond.goal_map;
        let west = here.map(|v| (v / tile_m).floor() * tile_m);
        Self {
            low_m: [0, 1].map(|k| west[k].min(goal[k]) - around_m),
            high_m: [0, 1].map(|k| (west[k] + tile_m).max(goal[k]) + around_m),
            goal,
            clear_m: rover.footprint_radius_m(),
            keep_in: beyond.keep_in_map.into(),
            keep_out: beyond.keep_out_map.into(),
        }
    }

    fn is(&self, o: &Area<'_>) -> bool {
        (self.low_m, self.high_m, self.goal) == (o.low_m, o.high_m, o.goal)
            && self.clear_m == o.clear_m
            && self.keep_in == o.keep_in
            && self.keep_out == o.keep_out
    }

    fn into_kept(self) -> Area<'static> {
        Area {
            keep_in: self.keep_in.into_owned().into(),
            keep_out: self.keep_out.into_owned().into(),
            ..self
        }
    }
}

/// Cells around rover and waypoint, in `map`.
#[derive(Clone, Debug)]
struct Field {
    area: Area<'static>,
    grid: Grid,
    cells: Vec<Cell>,
}

impl Field {
    fn new(priced: &Priced, area: Area<'_>) -> Self {
        let (origin_m, fine_m) = (priced.layers.origin_m(), priced.layers.cell_m());
        // Cells from and up to, along the cells of a level.
        let span = |cell_m: f64, k: usize| {
            let from = ((area.low_m[k] - origin_m[k]) / cell_m).floor();
            (
                from,
                ((area.high_m[k] - origin_m[k]) / cell_m).ceil() - from,
            )
        };
        let side_m = |level: usize| fine_m * (1u64 << level) as f64;
        let few = |level: &usize| {
            let cell_m = side_m(*level);
            span(cell_m, 0).1 * span(cell_m, 1).1 <= MAX_CELLS
        };
        let last = priced.levels.len().saturating_sub(1);
        let level = (0..=last).find(few).unwrap_or(last);
        let cell_m = side_m(level);
        let [(west, cols), (south, rows)] = [span(cell_m, 0), span(cell_m, 1)];
        // Farther than the last level reaches no way is known.
        let most = MAX_CELLS.sqrt();
        let count = |n: f64| n.clamp(1.0, if level == last { most } else { MAX_CELLS }) as usize;
        let grid = Grid {
            cols: count(cols),
            rows: count(rows),
            cell_m,
            origin_m: [origin_m[0] + west * cell_m, origin_m[1] + south * cell_m],
        };
        let corridor = Corridor::in_map(&area.keep_in, &area.keep_out, area.clear_m);
        let rim = rims(&grid, &area.keep_in);
        let unknown = Mean::unknown(&priced.price);
        let mut cells = Vec::with_capacity(grid.len());
        for r in 0..grid.rows {
            for c in 0..grid.cols {
                let found = priced
                    .levels
                    .get(level)
                    .and_then(|l| l.at(west as i64 + c as i64, south as i64 + r as i64));
                let on_rim = rim.get(cells.len()).is_some_and(|on| *on);
                let at = grid.centre(c, r);
                let may = on_rim && !corridor.is_kept_out(at);
                cells.push(if may || held(&corridor, at, cell_m) {
                    found.unwrap_or(&unknown).cell(&priced.price)
                } else {
                    Cell {
                        factor: f64::INFINITY,
                        ..Cell::default()
                    }
                });
            }
        }
        Self {
            area: area.into_kept(),
            grid,
            cells,
        }
    }

    /// Costs to go from all cells, seconds.
    fn search(&self, pace: &Pace, slips: &Slips) -> Vec<f64> {
        let grid = &self.grid;
        let width_s = 0.25 * grid.cell_m * pace.easy_spm;
        let seed = grid.index(self.area.goal).map(|(c, r)| r * grid.cols + c);
        grid.spread(
            width_s,
            seed.into_iter().map(|i| (i, 0.0)),
            |n, _, along| {
                let cell = self.cells.get(n).filter(|cell| cell.factor.is_finite())?;
                Some(if cell.source == Source::Nowhere {
                    pace.easy_spm * cell.factor
                } else {
                    pace.slipping_spm(cell, slips.at(cell, along))
                })
            },
        )
    }
}

/// Cells through which the edge of a polygon leads: a corridor narrower than a cell is still one.
fn rims(grid: &Grid, polygons: &[Vec<Xy>]) -> Vec<bool> {
    let mut out = vec![false; grid.len()];
    for polygon in polygons {
        let ends = polygon.iter().cycle().skip(1);
        for (a, b) in polygon.iter().zip(ends) {
            let along = [b[0] - a[0], b[1] - a[1]];
            let length_m = along[0].hypot(along[1]);
            if !length_m.is_finite() {
                continue;
            }
            // The part of it over the grid.
            let (mut from, mut to) = (0.0f64, 1.0f64);
            for (k, n) in [grid.cols, grid.rows].into_iter().enumerate() {
                let low_m = grid.origin_m[k] - a[k];
                let high_m = low_m + n as f64 * grid.cell_m;
                if along[k] == 0.0 {
                    if low_m > 0.0 || high_m < 0.0 {
                        to = -1.0;
                    }
                    continue;
                }
                let [s, t] = [low_m / along[k], high_m / along[k]];
                (from, to) = (from.max(s.min(t)), to.min(s.max(t)));
            }
            if from > to {
                continue;
            }
            let steps = (length_m * (to - from) / (0.25 * grid.cell_m))
                .ceil()
                .max(1.0) as usize;
            for i in 0..=steps {
                let share = from + (to - from) * i as f64 / steps as f64;
                let at = [a[0] + share * along[0], a[1] + share * along[1]];
                if let Some((c, r)) = grid.index(at)
                    && let Some(on) = out.get_mut(r * grid.cols + c)
                {
                    *on = true;
                }
            }
        }
    }
    out
}

/// Whether the rover may be at the middle or a corner of a cell.
fn held(corridor: &Corridor, [x, y]: Xy, cell_m: f64) -> bool {
    let h = 0.5 * cell_m;
    [[0.0, 0.0], [-h, -h], [h, -h], [-h, h], [h, h]]
        .iter()
        .any(|[dx, dy]| corridor.holds([x + dx, y + dy], 0.0))
}

/// Slip by class and grade, rounded up.
#[derive(Clone, Debug, PartialEq)]
struct Slips {
    /// In [`SLIP_STEP`], class by class, the last without one.
    steps: Vec<u8>,
}

impl Slips {
    const A_CLASS: usize = 2 * GRADES as usize;

    fn new(pace: &Pace) -> Self {
        let codes = (0..CLASSES.len()).map(|k| Some(k as f64)).chain([None]);
        let mut steps = Vec::with_capacity((CLASSES.len() + 1) * Self::A_CLASS);
        for class in codes {
            let slip = |edge: i32| {
                let grade = f64::from(edge) / GRADES_PER_UNIT;
                pace.slip.worst(-grade.atan(), 1.0, class)
            };
            let mut below = slip(-GRADES);
            for edge in -GRADES + 1..=GRADES {
                let above = slip(edge);
                steps.push((below.max(above) / SLIP_STEP).ceil().clamp(0.0, 255.0) as u8);
                below = above;
            }
        }
        Self { steps }
    }

    /// Slip on driving through a cell along a unit direction, 0 to 1.
    fn at(&self, cell: &Cell, along: Xy) -> f64 {
        let grade = cell.gradient[0] * along[0] + cell.gradient[1] * along[1];
        let place = (grade * GRADES_PER_UNIT).floor() + f64::from(GRADES);
        let place = place.clamp(0.0, (Self::A_CLASS - 1) as f64) as usize;
        let known = |k: &f64| *k >= 0.0 && *k < CLASSES.len() as f64;
        let class = cell
            .class
            .filter(known)
            .map_or(CLASSES.len(), |k| k as usize);
        let steps = self.steps.get(class * Self::A_CLASS + place);
        steps.map_or(1.0, |s| f64::from(*s) * SLIP_STEP)
    }
}

/// Costs over a field, and what they rest on besides.
#[derive(Clone, Debug)]
struct Costs {
    /// Seconds per metre on easy ground, and the most slip.
    rates: [f64; 2],
    slips: Slips,
    to_go_s: Vec<f64>,
}
