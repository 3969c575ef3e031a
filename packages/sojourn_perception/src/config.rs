//! Parameters of the node, as `config/perception.param.yaml` gives them, and their checked form.

use crate::{
    sensors::{MAX_SENSORS, SensorParams},
    stereo::{CameraFiles, StereoParams},
};
use serde::Deserialize;
use sojourn_core::{CoreError, error::in_range, rover::Rover};
use std::collections::BTreeMap;

/// Name of the profile that a rover without its own gets.
pub const DEFAULT_PROFILE: &str = "default";
/// Most cells along one side of the grid.
pub const MAX_CELLS_PER_SIDE: f64 = 1000.0;

/// Size of the grid for one rover.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GridParams {
    /// Side of the square grid, metres.
    pub size_m: f64,
    /// Side of a cell, metres.
    pub resolution_m: f64,
}

/// Where depth comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// Depth images, as a depth camera or the simulator gives them.
    Depth,
    /// A rectified stereo pair that this node matches.
    Stereo,
    /// No navigation camera: the further sensors alone see the ground.
    None,
}

/// What counts as a rock.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RockParams {
    /// Side of the square that the ground around a cell is taken from, metres; no rock is wider.
    pub ground_m: f64,
    /// What rises more than this over the ground is not ground, metres.
    pub foot_m: f64,
    /// Least height of a rock's top over the ground, metres.
    pub height_min_m: f64,
    /// Most diameters per height of a rock; what is flatter is a rise of the ground.
    pub slender: f64,
}

/// Terrain classes from the left image.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClassParams {
    /// The network: a file of `sojourn train terrain`, `shipped` for the one that comes with Sojourn, or nothing for none;
    /// read by the shell.
    pub model: String,
    /// A class with less probability than this is not given out.
    pub unknown_below: f64,
    /// How many views a cell's probabilities are the mean of; beyond that, newer ones count more.
    pub remembered_views: f64,
    /// How long after the network was asked about an image its answer counts, seconds; one image at a time is asked about, and
    /// of those that come meanwhile the newest is next. In lockstep the answer is waited for then.
    pub answer_after_s: f64,
}

impl ClassParams {
    /// Whether there is a network.
    #[must_use]
    pub fn is_on(&self) -> bool {
        !self.model.is_empty()
    }

    fn check(&self, what: &str) -> Result<(), CoreError> {
        for (name, value, lo, hi) in [
            ("classes.unknown_below", self.unknown_below, 0.25, 1.0),
            ("classes.remembered_views", self.remembered_views, 1.0, 1e4),
            ("classes.answer_after_s", self.answer_after_s, 0.0, 10.0),
        ] {
            in_range(what, name, value, lo, hi)?;
        }
        Ok(())
    }
}

/// Targets for the science team from the left image.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScienceParams {
    /// What the team wants: a file as `config/science.yaml`, `shipped` for that one as it was built in, or nothing for no
    /// targets; read by the shell.
    pub wants: String,
}

impl ScienceParams {
    /// Whether targets are looked for.
    #[must_use]
    pub fn is_on(&self) -> bool {
        !self.wants.is_empty()
    }
}

/// What is expected of slip.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SlipParams {
    /// Slip by class of ground; nothing for the table that comes with Sojourn. Read by the shell.
    pub priors_file: String,
    /// How far ground may differ from the rover's own model where that table says nothing: standard deviation, share of the way.
    pub prior_sigma: f64,
    /// What earlier drives learned of slip, as AutoNav keeps it (its `slip_memory_file`); read once, at the start, by the shell. Nothing, or a
    /// file that is not there: nothing was learned.
    pub memory_file: String,
}

/// What counts as ripples of sand.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RippleParams {
    /// Side of the windows that are looked at, metres; at least three times the longest wavelength, or a step looks like a ripple.
    pub window_m: f64,
    /// From one window to the next, metres.
    pub step_m: f64,
    /// Shortest and longest wavelength, metres.
    pub wavelength_m: [f64; 2],
    /// Shortest time from one look for ripples to the next, seconds; between them those of the last look stay. Read by the shell.
    pub every_s: f64,
    /// Share of a window that has to be known.
    pub known_min: f64,
    /// Share of the heights' variance that the profile of one ripple, repeated, has to explain.
    pub share_min: f64,
    /// Least height from trough to crest, metres.
    pub height_min_m: f64,
    /// Least height as a share of the wavelength; what is gentler is relief.
    pub steep_min: f64,
    /// Where relief hides ripples: side of the square around a cell whose mean height (and brightness) is taken away, metres; ripples of up to
    /// 0.8 of it are found so.
    pub relief_m: f64,
    /// Share of the variance in each third of the window, across the crests, that the profile then has to explain, too.
    pub third_min: f64,
    /// Share of the brightness' variance that a wave has to explain before the image counts as showing ripples.
    pub image_share_min: f64,
    /// Share of the heights' variance (without relief) that is enough where the image shows the same wave.
    pub image_height_share_min: f64,
    /// Least height as a share of the wavelength where the image shows the same wave.
    pub image_steep_min: f64,
}

impl RippleParams {
    /// Half the side of the square whose mean is taken away, cells of `res_m`.
    pub(crate) fn relief_cells(&self, res_m: f64) -> usize {
        ((self.relief_m / res_m - 1.0) / 2.0).round().max(1.0) as usize
    }

    fn check(&self, what: &str) -> Result<(), CoreError> {
        let [least_m, most_m] = self.wavelength_m;
        for (name, value, lo, hi) in [
            ("ripples.window_m", self.window_m, 1.0, 50.0),
            ("ripples.step_m", self.step_m, 0.1, 50.0),
            (
                "ripples.wavelength_m[0]",
                least_m,
                0.05,
                self.window_m / 3.0,
            ),
            (
                "ripples.wavelength_m[1]",
                most_m,
                least_m,
                self.window_m / 3.0,
            ),
            ("ripples.every_s", self.every_s, 0.0, 3600.0),
            ("ripples.known_min", self.known_min, 0.05, 1.0),
            ("ripples.share_min", self.share_min, 0.05, 1.0),
            ("ripples.height_min_m", self.height_min_m, 0.0, 10.0),
            ("ripples.steep_min", self.steep_min, 0.0, 1.0),
            ("ripples.relief_m", self.relief_m, least_m, self.window_m),
            ("ripples.third_min", self.third_min, 0.0, 1.0),
            ("ripples.image_share_min", self.image_share_min, 0.0, 1.0),
            (
                "ripples.image_height_share_min",
                self.image_height_share_min,
                0.0,
                1.0,
            ),
            ("ripples.image_steep_min", self.image_steep_min, 0.0, 1.0),
        ] {
            in_range(what, name, value, lo, hi)?;
        }
        Ok(())
    }
}

/// How views of a cell are fused while the rover drives.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DriftParams {
    /// Standard deviation that a height gains per metre driven since it was seen, metres per metre.
    pub height_per_m: f64,
    /// Standard deviation that a cell's place gains per metre driven, metres per metre; it counts on slopes.
    pub along_per_m: f64,
    /// Standard deviation that no number of views brings a mean height below, metres.
    pub floor_m: f64,
    /// A view that lies off by more standard deviations than this replaces what was known.
    pub gate_sigmas: f64,
}

/// When a cell is seen through and forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClearingParams {
    /// How many standard deviations below the cell's height (and behind it) a ray has to pass.
    pub sigmas: f64,
    /// How far below the cell's height beyond that, metres.
    pub below_m: f64,
    /// How far behind the cell the ray has to end beyond that, cells.
    pub beyond_cells: f64,
}

/// How the layers beside the heights are made.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LayerParams {
    /// Share of the square under the wheels that has to be known before ground there is said to be less than a hazard.
    pub known_min: f64,
}

/// The keys of the parameter file.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// The rover's file, relative to the folder the node is started in; read by the shell.
    pub rover_file: String,
    /// Where depth comes from.
    pub source: Source,
    /// The navigation cameras' files, in place of `camera_info`; with them `navcam/left/image_raw` and `navcam/right/image_raw`
    /// are taken and rectified here. Only the lens, and how the eyes stand to each other, counts: `navcam/pose` says where the
    /// left camera stood.
    pub cameras: CameraFiles,
    /// Further depth sensors by name; none where the key is missing.
    #[serde(default)]
    pub sensors: BTreeMap<String, SensorParams>,
    /// Grid by name of the rover; `default` for any other.
    pub grids: BTreeMap<String, GridParams>,
    /// Every how many-th pixel is used, along rows and columns.
    pub stride_px: usize,
    /// Nearest depth that is used, metres.
    pub range_min_m: f64,
    /// Farthest depth that is used, metres; the rover's own `navcam.range_max_m` holds too.
    pub range_max_m: f64,
    /// A cell with fewer points counts only with known neighbours.
    pub min_count: usize,
    /// How many known neighbours (of 8) such a cell needs.
    pub min_neighbours: usize,
    /// A spread inside a cell beyond this (and beyond the sensor's noise) is a step, metres.
    pub step_sigma_m: f64,
    /// Share of that excess that is added to the mean height: 0 is the mean, about 1.7 the top.
    pub step_lean: f64,
    /// Steepest slope, rise over run, by which the displacement of points adds to a cell's variance; 0 adds nothing.
    pub steep_max: f64,
    /// How views of a cell are fused while the rover drives.
    pub drift: DriftParams,
    /// When a cell is seen through.
    pub clearing: ClearingParams,
    /// Largest gap that is closed by interpolation, cells.
    pub hole_cells: usize,
    /// Steepest such bridge, as rise over run; a steeper one is a shadow and stays unknown.
    pub hole_slope: f64,
    /// Standard deviation added per metre of a closed gap, metres per metre.
    pub hole_sigma_per_m: f64,
    /// Margin around the rover that is taken for level with the wheels where nothing was seen, metres.
    pub footprint_margin_m: f64,
    /// Standard deviation of such cells, metres.
    pub footprint_sigma_m: f64,
    /// Longest time an image waits for its odometry and camera, seconds.
    pub wait_s: f64,
    /// Odometry is interpolated over at most this gap, seconds.
    pub odometry_gap_s: f64,
    /// The first odometry holds for images up to this long before it, seconds: localization levels at rest.
    pub rest_before_s: f64,
    /// A jump of odometry beyond this clears the grid, metres.
    pub odometry_jump_m: f64,
    /// An image whose stamp lies further ahead than this is refused, seconds.
    pub future_s: f64,
    /// Warning when the newest image is older than the rover's image period and this, seconds.
    pub image_warn_s: f64,
    /// Error when the newest image is older than the rover's image period and this, seconds.
    pub image_error_s: f64,
    /// How the layers beside the heights are made.
    pub layers: LayerParams,
    /// What counts as a rock.
    pub rocks: RockParams,
    /// What counts as ripples of sand.
    pub ripples: RippleParams,
    /// Terrain classes from the left image.
    pub classes: ClassParams,
    /// What is expected of slip.
    pub slip: SlipParams,
    /// Targets for the science team.
    pub science: ScienceParams,
    /// How stereo pairs are matched.
    pub stereo: StereoParams,
}

impl Config {
    /// Whether depth images are kept for a while after they went into the grid.
    #[must_use]
    pub fn keeps_views(&self) -> bool {
        self.params.classes.is_on() || self.params.science.is_on()
    }
}

/// The grid's shape.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GridConfig {
    /// Cells along one side.
    pub cells: usize,
    /// Side of a cell, metres.
    pub resolution_m: f64,
}

/// Checked parameters, joined with what the rover's file says.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Shape of the grid.
    pub grid: GridConfig,
    /// The other parameters, in range.
    pub params: Params,
    /// Farthest depth that is used, metres.
    pub range_max_m: f64,
    /// Longest time between two images, by the rover's file, seconds.
    pub image_period_s: f64,
}

impl Config {
    /// Checks the parameters for a rover.
    ///
    /// # Errors
    /// [`CoreError::Value`] that names the key.
    pub fn new(params: Params, rover: &Rover) -> Result<Self, CoreError> {
        let what = "parameters of perception";
        let p = &params;
        for (name, grid) in &p.grids {
            let (size, res) = (grid.size_m, grid.resolution_m);
            in_range(what, &format!("grids.{name}.resolution_m"), res, 0.01, 2.0)?;
            let size_key = format!("grids.{name}.size_m");
            in_range(what, &size_key, size, 10.0 * res, MAX_CELLS_PER_SIDE * res)?;
            if ((size / res).round() * res - size).abs() > 1e-6 {
                let expected = format!("a whole number of cells of {res} m");
                return Err(CoreError::value(what, size_key, size, expected));
            }
        }
        let profile = p.grids.get(&rover.name).or(p.grids.get(DEFAULT_PROFILE));
        let Some(grid) = profile.copied() else {
            let expected = format!("an entry \"{}\" or \"{DEFAULT_PROFILE}\"", rover.name);
            let found: Vec<&str> = p.grids.keys().map(String::as_str).collect();
            return Err(CoreError::value(what, "grids", found.join(", "), expected));
        };
        for (name, value, lo, hi) in [
            ("stride_px", p.stride_px as f64, 1.0, 64.0),
            ("range_min_m", p.range_min_m, 0.01, 10.0),
            ("range_max_m", p.range_max_m, p.range_min_m, 200.0),
            ("min_count", p.min_count as f64, 1.0, 1000.0),
            ("min_neighbours", p.min_neighbours as f64, 0.0, 8.0),
            ("step_sigma_m", p.step_sigma_m, 0.0, 10.0),
            ("step_lean", p.step_lean, 0.0, 3.0),
            ("steep_max", p.steep_max, 0.0, 10.0),
            ("drift.height_per_m", p.drift.height_per_m, 0.0, 10.0),
            ("drift.along_per_m", p.drift.along_per_m, 0.0, 10.0),
            ("drift.floor_m", p.drift.floor_m, 1e-4, 1.0),
            ("drift.gate_sigmas", p.drift.gate_sigmas, 0.5, 100.0),
            ("clearing.sigmas", p.clearing.sigmas, 0.0, 100.0),
            ("clearing.below_m", p.clearing.below_m, 0.0, 10.0),
            ("clearing.beyond_cells", p.clearing.beyond_cells, 0.0, 100.0),
            ("hole_cells", p.hole_cells as f64, 0.0, 10.0),
            ("hole_slope", p.hole_slope, 0.0, 10.0),
            ("hole_sigma_per_m", p.hole_sigma_per_m, 0.0, 10.0),
            ("footprint_margin_m", p.footprint_margin_m, 0.0, 5.0),
            ("footprint_sigma_m", p.footprint_sigma_m, 0.0, 5.0),
            ("wait_s", p.wait_s, 0.05, 30.0),
            ("odometry_gap_s", p.odometry_gap_s, 0.01, 10.0),
            ("rest_before_s", p.rest_before_s, 0.0, 10.0),
            ("odometry_jump_m", p.odometry_jump_m, 0.01, 1e3),
            ("future_s", p.future_s, 0.0, 10.0),
            ("image_warn_s", p.image_warn_s, 0.05, 3600.0),
            ("image_error_s", p.image_error_s, p.image_warn_s, 3600.0),
            ("layers.known_min", p.layers.known_min, 0.0, 1.0),
            ("rocks.ground_m", p.rocks.ground_m, 0.2, 20.0),
            ("rocks.foot_m", p.rocks.foot_m, 0.001, 1.0),
            (
                "rocks.height_min_m",
                p.rocks.height_min_m,
                p.rocks.foot_m,
                5.0,
            ),
            ("rocks.slender", p.rocks.slender, 0.5, 100.0),
        ] {
            in_range(what, name, value, lo, hi)?;
        }
        if p.sensors.len() > MAX_SENSORS || (p.source == Source::None && p.sensors.is_empty()) {
            let expected = format!("at most {MAX_SENSORS}, and one or more with source: none");
            return Err(CoreError::value(what, "sensors", p.sensors.len(), expected));
        }
        p.cameras.check(what, "cameras")?;
        if p.cameras.is_on() && p.source != Source::Stereo {
            let (found, expected) = (&p.cameras.left, "empty unless source is stereo");
            return Err(CoreError::value(what, "cameras.left", found, expected));
        }
        for (name, sensor) in &p.sensors {
            sensor.check(what, name)?;
        }
        p.ripples.check(what)?;
        p.classes.check(what)?;
        in_range(what, "slip.prior_sigma", p.slip.prior_sigma, 1e-3, 1.0)?;
        p.stereo.check(what)?;
        Ok(Self {
            grid: GridConfig {
                cells: (grid.size_m / grid.resolution_m).round() as usize,
                resolution_m: grid.resolution_m,
            },
            range_max_m: params.range_max_m.min(rover.navcam.range_max_m),
            image_period_s: rover.cadence.image_every_s,
            params,
        })
    }
}
