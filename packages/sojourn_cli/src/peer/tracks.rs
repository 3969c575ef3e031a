//! Tracks of real rovers, as PLACES gives them, and what a plan would have known of them beforehand.

use anyhow::{Context, bail, ensure};
use sojourn_core::geometry::{self, Xy};
use std::path::Path;

/// The columns that are read; others are allowed.
const COLUMNS: [&str; 8] = [
    "sol",
    "sclk",
    "northing_m",
    "easting_m",
    "elev_geoid_m",
    "roll_deg",
    "pitch_deg",
    "yaw_deg",
];
/// Two places nearer than this are one: the rover turned or stood, metres.
const STOOD_M: f64 = 0.3;

/// A place on the way.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Place {
    /// Spacecraft clock, seconds.
    pub clock_s: f64,
    /// East and north, metres.
    pub xy: Xy,
    /// Height, metres.
    pub z_m: f64,
    /// Angle between body up and vertical, radians.
    pub tilt_rad: f64,
    /// Heading, radians counter-clockwise from east.
    pub yaw_rad: f64,
}

/// A drive of one sol.
#[derive(Clone, Debug, PartialEq)]
pub struct Track {
    /// Which sol.
    pub sol: u32,
    /// At least two places, in the order of time.
    pub places: Vec<Place>,
}

/// What a drive came to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Truth {
    /// From the first place to the last, seconds.
    pub time_s: f64,
    /// Way between the places, metres.
    pub way_m: f64,
    /// Largest tilt at any of the places, degrees.
    pub tilt_max_deg: f64,
    /// How often and for how many seconds in all it stood: times between two places without moving. Turns in place are among
    /// them.
    pub halts: usize,
    /// See `halts`.
    pub halts_s: f64,
    /// The longest time between two places, seconds, when the rover did not move in it; 0 otherwise.
    pub longest_halt_s: f64,
}

impl Track {
    /// Reads all drives of a table, in the order of the sols.
    ///
    /// # Errors
    /// One sentence that names the line and the column.
    pub fn load(file: &Path) -> anyhow::Result<Vec<Self>> {
        let text = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
        Self::parse(&text).with_context(|| file.display().to_string())
    }

    fn parse(text: &str) -> anyhow::Result<Vec<Self>> {
        let mut lines = text.lines().enumerate();
        let (_, header) = lines.next().context("the table is empty")?;
        let names: Vec<&str> = header.split(',').map(str::trim).collect();
        let mut columns = [0; COLUMNS.len()];
        for (column, name) in columns.iter_mut().zip(COLUMNS) {
            *column = names
                .iter()
                .position(|n| *n == name)
                .with_context(|| format!("the header has no column {name}"))?;
        }
        let mut tracks: Vec<Self> = Vec::new();
        for (n, line) in lines.filter(|(_, l)| !l.trim().is_empty()) {
            let cells: Vec<&str> = line.split(',').collect();
            let mut v = [0.0; COLUMNS.len()];
            for (k, value) in v.iter_mut().enumerate() {
                let cell = cells.get(columns[k]).map_or("", |c| c.trim());
                let number = cell.parse().ok().filter(|x: &f64| x.is_finite());
                *value = number.with_context(|| {
                    format!(
                        "line {}: {} is `{cell}`, expected a number",
                        n + 1,
                        COLUMNS[k]
                    )
                })?;
            }
            let [sol, clock_s, north, east, z_m, roll, pitch, yaw] = v;
            ensure!(
                (0.0..1e6).contains(&sol) && sol.fract() == 0.0,
                "line {}: sol is {sol}, expected a whole number",
                n + 1
            );
            let place = Place {
                clock_s,
                xy: [east, north],
                z_m,
                tilt_rad: (roll.to_radians().cos() * pitch.to_radians().cos()).acos(),
                // PLACES counts clockwise from north.
                yaw_rad: (90.0 - yaw).to_radians(),
            };
            let sol = sol as u32;
            match tracks.iter_mut().find(|t| t.sol == sol) {
                Some(track) => {
                    let last = track.places.last().map_or(f64::MIN, |p| p.clock_s);
                    ensure!(
                        clock_s > last,
                        "line {}: sclk is {clock_s}, expected later than {last}",
                        n + 1
                    );
                    track.places.push(place);
                }
                None => tracks.push(Self {
                    sol,
                    places: vec![place],
                }),
            }
        }
        for track in &tracks {
            if track.places.len() < 2 || track.truth().way_m < 1.0 {
                bail!("sol {}: no drive of a metre and more", track.sol);
            }
        }
        ensure!(!tracks.is_empty(), "the table holds no places");
        tracks.sort_by_key(|t| t.sol);
        Ok(tracks)
    }

    /// What it came to.
    #[must_use]
    pub fn truth(&self) -> Truth {
        let p = &self.places;
        let line: Vec<Xy> = p.iter().map(|p| p.xy).collect();
        let halts: Vec<f64> = p
            .windows(2)
            .filter(|w| geometry::distance_m(w[0].xy, w[1].xy) < STOOD_M)
            .map(|w| w[1].clock_s - w[0].clock_s)
            .collect();
        Truth {
            time_s: p[p.len() - 1].clock_s - p[0].clock_s,
            way_m: geometry::length_m(&line),
            tilt_max_deg: p.iter().fold(0.0f64, |m, p| m.max(p.tilt_rad)).to_degrees(),
            halts: halts.len(),
            halts_s: halts.iter().sum(),
            longest_halt_s: halts.into_iter().fold(0.0, f64::max),
        }
    }

    /// The places that are at least `apart_m` from the one before, and the last: the waypoints of a plan for this drive.
    #[must_use]
    pub fn waypoints(&self, apart_m: f64) -> Vec<Place> {
        let mut out = vec![self.places[0]];
        for p in &self.places {
            if geometry::distance_m(out[out.len() - 1].xy, p.xy) >= apart_m {
                out.push(*p);
            }
        }
        let last = self.places[self.places.len() - 1];
        if geometry::distance_m(out[out.len() - 1].xy, last.xy) > STOOD_M {
            out.push(last);
        }
        out
    }
}

/// The plane `z = z0 + gx·x + gy·y` nearest to places (least squares), as `[z0, gx, gy]`, and how steep the rest of the
/// ground is from each place to the next, root mean square (rise per metre).
#[must_use]
pub fn plane_and_roughness(places: &[Place]) -> ([f64; 3], f64) {
    let n = places.len() as f64;
    let mean = |f: &dyn Fn(&Place) -> f64| places.iter().map(f).sum::<f64>() / n;
    let (mx, my, mz) = (mean(&|p| p.xy[0]), mean(&|p| p.xy[1]), mean(&|p| p.z_m));
    let sum = |f: &dyn Fn(f64, f64, f64) -> f64| {
        places
            .iter()
            .map(|p| f(p.xy[0] - mx, p.xy[1] - my, p.z_m - mz))
            .sum::<f64>()
    };
    let (xx, xy, yy) = (
        sum(&|x, _, _| x * x),
        sum(&|x, y, _| x * y),
        sum(&|_, y, _| y * y),
    );
    let (xz, yz) = (sum(&|x, _, z| x * z), sum(&|_, y, z| y * z));
    // On a line across nothing is known: a touch of damping keeps the slope there at 0.
    let damp = 1e-3 * (xx + yy) + 1e-9;
    let det = (xx + damp) * (yy + damp) - xy * xy;
    let gx = (xz * (yy + damp) - yz * xy) / det;
    let gy = (yz * (xx + damp) - xz * xy) / det;
    let steep: Vec<f64> = places
        .windows(2)
        .filter_map(|w| {
            let d = geometry::distance_m(w[0].xy, w[1].xy);
            let rise = w[1].z_m
                - w[0].z_m
                - gx * (w[1].xy[0] - w[0].xy[0])
                - gy * (w[1].xy[1] - w[0].xy[1]);
            (d > STOOD_M).then_some(rise / d)
        })
        .collect();
    let square: f64 = steep.iter().map(|s| s * s).sum();
    let rough = (square / steep.len().max(1) as f64).sqrt();
    ([mz - gx * mx - gy * my, gx, gy], rough)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HEAD: &str =
        "site,sol,sclk,northing_m,easting_m,elev_geoid_m,roll_deg,pitch_deg,yaw_deg\n";

    #[test]
    fn a_drive_is_told_in_its_own_terms() {
        let text = format!(
            "{HEAD}1,7,100,0,0,5,0,0,0\n1,7,200,0,0,5,0,0,90\n1,7,400,0,12,5,3,-4,90\n1,7,500,5,12,5,0,0,0\n1,9,1,0,0,0,0,0,0\n1,9,2,4,0,0,0,0,0\n"
        );
        let tracks = Track::parse(&text).unwrap();
        assert_eq!(tracks.iter().map(|t| t.sol).collect::<Vec<_>>(), [7, 9]);
        let truth = tracks[0].truth();
        assert_eq!(
            (truth.time_s, truth.way_m, truth.longest_halt_s),
            (400.0, 17.0, 100.0)
        );
        assert!((truth.tilt_max_deg - 5.0).abs() < 0.01);
        assert!((tracks[0].places[2].yaw_rad).abs() < 1e-12);
        assert_eq!(tracks[0].waypoints(10.0).len(), 3);
    }

    #[test]
    fn bad_tables_are_refused_by_line() {
        for (text, word) in [
            (String::new(), "empty"),
            ("sol,sclk\n1,2\n".into(), "northing_m"),
            (
                format!("{HEAD}1,7,100,0,0,5,0,0,0\n1,7,x,0,9,5,0,0,0\n"),
                "line 3",
            ),
            (
                format!("{HEAD}1,7,100,0,0,5,0,0,0\n1,7,90,0,9,5,0,0,0\n"),
                "later",
            ),
            (format!("{HEAD}1,7,100,0,0,5,0,0,0\n"), "sol 7"),
            (format!("{HEAD}1,7,100,0,nan,5,0,0,0\n"), "easting_m"),
        ] {
            let error = Track::parse(&text).unwrap_err().to_string();
            assert!(error.contains(word), "{error}");
        }
    }

    proptest! {
        #[test]
        fn a_plane_is_found(gx in -0.2f64..0.2, gy in -0.2f64..0.2, ways in prop::collection::vec((0.0f64..100.0, 0.0f64..100.0), 8..30)) {
            let place = |&(x, y): &(f64, f64)| Place { clock_s: 0.0, xy: [x, y], z_m: 3.0 + gx * x + gy * y, tilt_rad: 0.0, yaw_rad: 0.0 };
            let places: Vec<Place> = ways.iter().map(place).collect();
            let spread = |k: usize| places.iter().map(|p| p.xy[k]).fold(f64::MIN, f64::max) - places.iter().map(|p| p.xy[k]).fold(f64::MAX, f64::min);
            prop_assume!(spread(0) > 40.0 && spread(1) > 40.0);
            let ([_, a, b], rough) = plane_and_roughness(&places);
            prop_assert!((a - gx).abs() < 0.02 && (b - gy).abs() < 0.02, "{a} {gx} {b} {gy}");
            prop_assert!(rough < 0.03, "{rough}");
        }
    }
}
