//! When the rover is looked for on the orbital map, and in what: the pairs that are kept, and one search at a time.
//!
//! A search is a [`Search`]: everything it needs but the map, so that it can run beside the node. Its answer is used at a
//! moment that is fixed when it begins, so that a run does not depend on how quickly it was found.

use crate::{
    filter::{Covariance, WithPose},
    map_frame::{MapPose, Passed},
    mapfix::{
        self, MapFixParams, Prior,
        view::{self, ViewParams},
    },
    vo::{StereoPair, VoParams},
};
use nalgebra::{Isometry3, Matrix3, Translation3, UnitQuaternion, Vector3};
use serde::Deserialize;
use sojourn_core::{
    CoreError, Stamp,
    error::in_range,
    frames::{Pose2, wrap_rad},
    raster::Raster,
    site::{ELEVATION, ORTHO, Site},
};
use std::{collections::VecDeque, fmt, path::Path, sync::Arc};

/// From here on it is said that a map's relief lies beside its image, metres: the shift is found in whole metres.
const LAYERS_APART_M: f64 = 1.5;

/// `map_fix` of `config/localization.param.yaml`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FindParams {
    /// Whether the rover is looked for at all.
    pub enabled: bool,
    /// The site's folder; empty: there is no map to look on. Read by the shell.
    pub site_dir: String,
    /// The matcher's parameters, relative to the folder the node is started in; read by the shell.
    pub params_file: String,
    /// A search begins after so much way of the wheels since the last, metres; 0: on command only.
    pub every_m: f64,
    /// Its answer is used so long after it began, seconds.
    pub answer_after_s: f64,
    /// If it is not there then, a node that is driven by the simulator's beat waits for it at most so long, seconds of the
    /// wall's clock; one that is not does not wait.
    pub wait_s: f64,
    /// Pairs that are kept.
    pub pairs: usize,
    /// A pair is kept when its camera stands so far from that of the last one kept, metres …
    pub pair_step_m: f64,
    /// … or looks so far away from it, radians.
    pub pair_turn_rad: f64,
    /// A pair is left out when the odometry may have gone astray by more than this since, one standard deviation, metres.
    pub most_astray_m: f64,
    /// How the ground is taken from the pairs.
    pub view: ViewParams,
}

impl FindParams {
    /// Checks the ranges.
    ///
    /// # Errors
    /// [`CoreError::Value`] that names the key.
    pub fn check(&self) -> Result<(), CoreError> {
        for (name, value, lo, hi) in [
            ("every_m", self.every_m, 0.0, 10_000.0),
            ("answer_after_s", self.answer_after_s, 0.1, 3600.0),
            ("wait_s", self.wait_s, 0.0, 9.0),
            ("pairs", self.pairs as f64, 1.0, 60.0),
            ("pair_step_m", self.pair_step_m, 0.05, 20.0),
            ("pair_turn_rad", self.pair_turn_rad, 0.05, 3.2),
            ("most_astray_m", self.most_astray_m, 0.01, 10.0),
        ] {
            in_range("parameters of localization: map_fix", name, value, lo, hi)?;
        }
        self.view.check()
    }
}

/// The map that is searched.
#[derive(Clone, Debug, PartialEq)]
pub struct OrbitalMap {
    /// Brightness, any unit linear in light and above 0.
    pub ortho: Raster,
    /// Elevation, metres.
    pub elevation: Raster,
    /// How it is searched.
    pub params: MapFixParams,
}

impl OrbitalMap {
    /// Image and elevation of a site's folder.
    ///
    /// # Errors
    /// [`CoreError`] that names the file, or the layer that the site lacks.
    pub fn load(site_dir: &Path, params_file: &Path) -> Result<Self, CoreError> {
        let params = MapFixParams::load(params_file)?;
        Self::of(&Site::load(site_dir)?, params)
    }

    /// Image and elevation of a site.
    ///
    /// # Errors
    /// [`CoreError`] that names the layer that the site lacks.
    pub fn of(site: &Site, params: MapFixParams) -> Result<Self, CoreError> {
        Ok(Self {
            ortho: site.layer(ORTHO)?.clone(),
            elevation: site.layer(ELEVATION)?.clone(),
            params,
        })
    }
}

/// A pair and where the rover stood.
#[derive(Clone, PartialEq)]
pub struct Kept {
    /// The pair.
    pub pair: Arc<StereoPair>,
    /// Where `base_link` stood in `odom`.
    pub odom_from_base_link: Isometry3<f64>,
    /// The same in the plane, with the odometry's covariance.
    pub passed: Passed,
    /// How the odometry's errors now hang together with those of then.
    since: WithPose,
    /// How far the odometry may have gone astray from then to the newest pair, one standard deviation, metres.
    astray_m: f64,
}

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "pair of {:.3} s", self.passed.stamp.as_secs())
    }
}

/// One search.
#[derive(Clone, Debug, PartialEq)]
pub struct Search {
    /// Stamp of the newest pair: the answer is of that moment.
    pub stamp: Stamp,
    /// When the answer is used.
    pub answer_at: Stamp,
    /// Newest first.
    kept: Vec<Kept>,
    /// Direction of the x axis of `odom` in `map` as it is believed, radians.
    odom_yaw_in_map_rad: f64,
    /// Where the rover is believed to have stood in `map`, and how well that is known.
    believed: Pose2,
    covariance: Matrix3<f64>,
    view: ViewParams,
    vo: VoParams,
}

/// What a search found.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// Stamp of the newest pair of the search.
    pub stamp: Stamp,
    /// Where the rover stood then, or in a few words why that is not known.
    pub found: Result<MapPose, String>,
    /// Area that was seen, square metres.
    pub seen_m2: f64,
    /// Distance of what was found from what was believed, metres.
    pub off_m: f64,
    /// Where the map's relief fits its own image, metres east and north to be added to a place of the image; when that is
    /// clear. The fix follows the image.
    pub layers_shift_m: Option<[f64; 2]>,
}

impl Search {
    /// Looks for the rover on the map. Some seconds of work; the same search on the same map gives the same bits.
    #[must_use]
    pub fn run(&self, map: &OrbitalMap) -> Answer {
        let none = |why: String, seen_m2: f64| Answer {
            stamp: self.stamp,
            found: Err(why),
            seen_m2,
            off_m: 0.0,
            layers_shift_m: None,
        };
        let patch = match self.patch() {
            Ok(patch) => patch,
            Err(e) => return none(e.to_string(), 0.0),
        };
        let seen_m2 = patch.seen_m2();
        let prior = Prior {
            x_m: self.believed.x_m,
            y_m: self.believed.y_m,
            covariance: Some(self.covariance),
        };
        let outcome = mapfix::fix(&map.ortho, &map.elevation, &patch, &prior, &map.params);
        match outcome.fix {
            Ok(f) => Answer {
                stamp: self.stamp,
                layers_shift_m: f.evidence.layers_shift_m,
                off_m: (f.x_m - prior.x_m).hypot(f.y_m - prior.y_m),
                found: Ok(MapPose {
                    pose: Pose2::new(
                        f.x_m,
                        f.y_m,
                        wrap_rad(self.believed.yaw_rad + f.yaw_correction_rad),
                    ),
                    covariance: f.covariance,
                    shared_sigma_m: map.params.map_sigma_m,
                }),
                seen_m2,
            },
            Err(n) => Answer {
                layers_shift_m: n.evidence.layers_shift_m,
                ..none(n.reason.text().to_string(), seen_m2)
            },
        }
    }

    /// The answer of a search that did not come to an end.
    #[must_use]
    pub fn unanswered(stamp: Stamp, why: &str) -> Answer {
        Answer {
            stamp,
            found: Err(why.to_string()),
            seen_m2: 0.0,
            off_m: 0.0,
            layers_shift_m: None,
        }
    }

    /// What was seen, around the newest place, the axes turned into those of `map` as they are believed to lie.
    fn patch(&self) -> Result<mapfix::LocalPatch, CoreError> {
        let here = self
            .kept
            .first()
            .map_or_else(Vector3::zeros, |k| k.odom_from_base_link.translation.vector);
        let turn = UnitQuaternion::from_axis_angle(&Vector3::z_axis(), self.odom_yaw_in_map_rad);
        let local_from_odom =
            Isometry3::from_parts(Translation3::identity(), turn) * Translation3::from(-here);
        let pairs = self
            .kept
            .iter()
            .map(|k| (k.pair.as_ref(), local_from_odom * k.odom_from_base_link));
        view::patch(pairs, &self.view, &self.vo)
    }
}

/// Keeps pairs, and says when it is time to search.
#[derive(Clone, Debug)]
pub struct Finder {
    params: FindParams,
    vo: VoParams,
    /// Oldest first.
    kept: VecDeque<Kept>,
    /// Way of the wheels when the last search began, metres.
    begun_way_m: f64,
    busy: bool,
    wanted: bool,
    last: Option<(Answer, bool)>,
}

impl Finder {
    /// Has seen nothing yet.
    #[must_use]
    pub fn new(params: FindParams, vo: VoParams) -> Self {
        Self {
            params,
            vo,
            kept: VecDeque::new(),
            begun_way_m: 0.0,
            busy: false,
            wanted: false,
            last: None,
        }
    }

    /// Keeps a pair, if it shows other ground than the last one kept.
    pub fn keep(
        &mut self,
        pair: Box<StereoPair>,
        odom_from_base_link: Isometry3<f64>,
        passed: Passed,
    ) {
        if !self.params.enabled {
            return;
        }
        let camera = odom_from_base_link * pair.base_link_from_navcam;
        let other = self.kept.back().is_none_or(|last| {
            let before = last.odom_from_base_link * last.pair.base_link_from_navcam;
            let moved = before.inverse() * camera;
            moved.translation.vector.norm() >= self.params.pair_step_m
                || moved.rotation.angle() >= self.params.pair_turn_rad
        });
        if other {
            for k in &mut self.kept {
                let grown = passed.grown_since(&k.passed, &k.since);
                let most = grown.fixed_view::<2, 2>(0, 0).symmetric_eigenvalues().max();
                k.astray_m = most.max(0.0).sqrt();
            }
            self.kept.push_back(Kept {
                pair: Arc::from(pair),
                odom_from_base_link,
                passed,
                since: passed.errors,
                astray_m: 0.0,
            });
        }
        while self.kept.len() > self.params.pairs {
            self.kept.pop_front();
        }
    }

    /// The odometry has gone on: what has become of its errors since the last time (`Filter::take_carried`).
    pub fn pass(&mut self, carried: &Covariance) {
        for k in &mut self.kept {
            k.since = carried * k.since;
        }
    }

    /// The odometry begins anew: what it has seen is of no use. A search that runs is waited for; its answer is of the past.
    pub fn forget(&mut self) {
        self.kept.clear();
        (self.begun_way_m, self.wanted, self.last) = (0.0, false, None);
    }

    /// A search is wanted; it begins when none runs.
    pub fn want(&mut self) {
        self.wanted = true;
    }

    /// The newest pair that is kept, when it is time for a search.
    #[must_use]
    pub fn due(&self, way_m: f64) -> Option<&Passed> {
        let p = &self.params;
        let far = p.every_m > 0.0 && way_m - self.begun_way_m >= p.every_m;
        let newest = self.kept.back()?;
        (p.enabled && !self.busy && (self.wanted || far)).then_some(&newest.passed)
    }

    /// Begins a search: `believed` is where the rover is believed to have stood in `map` at the newest pair.
    pub fn begin(
        &mut self,
        now: Stamp,
        way_m: f64,
        odom_yaw_in_map_rad: f64,
        believed: &MapPose,
    ) -> Option<Arc<Search>> {
        let newest = self.kept.back()?.passed;
        (self.busy, self.wanted, self.begun_way_m) = (true, false, way_m);
        // Not-a-number is astray.
        let known = |k: &&Kept| k.astray_m <= self.params.most_astray_m;
        Some(Arc::new(Search {
            stamp: newest.stamp,
            answer_at: now.plus_secs(self.params.answer_after_s),
            kept: self.kept.iter().rev().filter(known).cloned().collect(),
            odom_yaw_in_map_rad,
            believed: believed.pose,
            covariance: believed.covariance,
            view: self.params.view,
            vo: self.vo.clone(),
        }))
    }

    /// The search has ended; `taken` says whether the estimate followed.
    pub fn end(&mut self, answer: Answer, taken: bool) {
        self.busy = false;
        self.last = Some((answer, taken));
    }

    /// What the last search gave, in a few words.
    #[must_use]
    pub fn told(&self) -> String {
        let Some((answer, taken)) = &self.last else {
            let none = if self.busy { "searching" } else { "none yet" };
            return none.to_string();
        };
        let at = format!(
            "{:.1} s, {:.0} m2 seen",
            answer.stamp.as_secs(),
            answer.seen_m2
        );
        let found = match &answer.found {
            Ok(_) if *taken => format!("fix of {at}: {:.2} m from the estimate", answer.off_m),
            Ok(_) => format!(
                "fix of {at} refused: {:.2} m from the estimate",
                answer.off_m
            ),
            Err(why) => format!("no fix at {at}: {why}"),
        };
        match answer.layers_shift_m {
            Some([east, north]) if east.hypot(north) >= LAYERS_APART_M => format!(
                "{found}; the map's relief lies {east:.0} m east and {north:.0} m north of its image"
            ),
            _ => found,
        }
    }
}
