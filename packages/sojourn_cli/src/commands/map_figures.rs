//! `sojourn eval localization --fixes`: the part that is about the map.

use super::{
    eval_localization::{median, worst},
    odometry_trials::Ended,
    say,
};
use crate::{ground, launch::places::Places};
use serde::Serialize;
use sojourn_localization::mapfix::MapFixParams;
use sojourn_sweep::{course::MapKit, on_map::OnMap};
use sojourn_twin::recipe::Recipe;

/// Kinds of ground: files of config/worlds, one after the other by seed.
const KINDS: [&str; 3] = ["firm", "mixed", "sandy"];

/// What courses with a map are made of.
///
/// # Errors
/// One sentence that names the file.
pub fn map_kit(places: &Places) -> anyhow::Result<MapKit> {
    let mut recipes = Vec::new();
    for kind in KINDS {
        recipes.push(Recipe::load(&ground::named_file(places, "worlds", kind)?)?);
    }
    let params = MapFixParams::load(&places.shared("config/mapfix.yaml")?)?;
    Ok(MapKit { recipes, params })
}

/// Errors in `map`, metres in the plane.
#[derive(Debug, Serialize)]
pub struct MapFigures {
    /// At the end of a trial, with fixes.
    map_error_m_median: f64,
    map_error_m_worst: f64,
    /// In any second.
    map_error_m_any: f64,
    /// At the end without fixes: what `odometry` says.
    without_error_m_median: f64,
    without_error_m_worst: f64,
    map_searches: usize,
    map_fixes: u64,
    map_wrong_fixes: u64,
    /// Of the fixes.
    map_fix_error_m_median: f64,
    map_fix_error_m_worst: f64,
    /// Processor time of a search, the ground taken from the pairs included.
    map_search_s_median: f64,
    /// Share of the seconds whose error lies in the 95 % ellipse of the covariance.
    map_within_95: f64,
}

impl MapFigures {
    /// The figures of trials with a map; `None` without any.
    pub fn of(results: &[Ended]) -> Option<Self> {
        let all: Vec<(&Ended, &OnMap)> = results
            .iter()
            .filter_map(|e| Some((e, e.result.on_map.as_ref()?)))
            .collect();
        if all.is_empty() {
            return None;
        }
        let of =
            |f: &dyn Fn(&OnMap) -> f64| -> Vec<f64> { all.iter().map(|(_, m)| f(m)).collect() };
        let without: Vec<f64> = all.iter().map(|(e, _)| e.result.fused.error_m).collect();
        let searches = || all.iter().flat_map(|(_, m)| &m.searches);
        let errors: Vec<f64> = searches().filter_map(|s| s.error_m).collect();
        Some(Self {
            map_error_m_median: median(of(&|m| m.end_m)),
            map_error_m_worst: worst(&of(&|m| m.end_m)),
            map_error_m_any: worst(&of(&|m| m.worst_m)),
            without_error_m_worst: worst(&without),
            without_error_m_median: median(without),
            map_searches: searches().count(),
            map_fixes: all.iter().map(|(_, m)| m.taken).sum(),
            map_wrong_fixes: all.iter().map(|(_, m)| m.wrong).sum(),
            map_fix_error_m_worst: worst(&errors),
            map_fix_error_m_median: median(errors),
            map_search_s_median: median(searches().map(|s| s.seconds).collect()),
            map_within_95: of(&|m| m.within).iter().sum::<f64>() / all.len() as f64,
        })
    }

    /// In words.
    pub fn say(&self) {
        say(&format!(
            "\non the map: {:.2} m off at the end with fixes (worst {:.2} m, any second {:.2} m), {:.2} m without (worst {:.2} m);\n\
             {} of {} searches gave a fix that was taken, {} wrong; a fix is off by {:.2} m (worst {:.2} m) and takes {:.1} s",
            self.map_error_m_median,
            self.map_error_m_worst,
            self.map_error_m_any,
            self.without_error_m_median,
            self.without_error_m_worst,
            self.map_fixes,
            self.map_searches,
            self.map_wrong_fixes,
            self.map_fix_error_m_median,
            self.map_fix_error_m_worst,
            self.map_search_s_median,
        ));
    }
}
