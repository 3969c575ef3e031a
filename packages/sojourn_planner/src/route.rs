//! From a request to a plan.

use crate::cost::CostMap;
use crate::error::PlanError;
use crate::freshness::ages;
use crate::model::{Assistance, ModelRecord, advise};
use crate::validator::{Ground, Limits, Verdict};
use crate::way::{blame_labels, find};
use crate::workshop::Workshop;
use sojourn_core::CoreError;
use sojourn_core::constraints::Constraints;
use sojourn_core::geometry::{Xy, distance_m};
use sojourn_core::plan::{Feature, ModelStage, Plan};
use sojourn_core::raster::Raster;
use sojourn_core::rover::Rover;
use sojourn_core::site::Site;
use sojourn_core::slip_forecast::SlipMemory;

/// What to plan.
#[derive(Clone, Debug, PartialEq)]
pub struct PlanRequest {
    /// Name of the plan, for people.
    pub name: String,
    /// Start, `map` metres.
    pub start_m: Xy,
    /// Goal, `map` metres.
    pub goal_m: Xy,
    /// Seed of everything random behind the plan; the search itself draws nothing.
    pub seed: u64,
    /// What earlier drives learned of slip, with this rover; `None` for nothing.
    pub slip: Option<SlipMemory>,
}

/// Figures of a search.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PlanStats {
    /// Cells of the search.
    pub cells: usize,
    /// Size of a cell, metres.
    pub cell_m: f64,
    /// Cells looked at, all rounds together.
    pub expanded: usize,
    /// Searches made; more than one when the suspension would have left its limits on the first way.
    pub rounds: usize,
    /// Straight distance from start to goal, metres.
    pub straight_m: f64,
}

/// A plan and how it came about.
#[derive(Clone, Debug)]
pub struct PlanOutcome {
    /// The plan, checked.
    pub plan: Plan,
    /// What the validator says of it.
    pub verdict: Verdict,
    /// Figures of the search.
    pub stats: PlanStats,
    /// What was said between planner and model; `None` without a provider.
    pub model: Option<ModelRecord>,
}

/// Plans a route. The same input gives the same plan, bit for bit.
///
/// # Errors
/// [`PlanError`] with one sentence: start or goal off the map or on forbidden ground, too near to each other, no way.
pub fn plan(
    request: &PlanRequest,
    site: &Site,
    rover: &Rover,
    constraints: &Constraints,
    assistance: Option<&Assistance<'_>>,
) -> Result<PlanOutcome, PlanError> {
    in_workshop(request, site, rover, constraints, |shop| match assistance {
        Some(assistance) => advise(shop, assistance),
        None => searched(shop, ModelStage::none(), &[], None),
    })
}

/// Checks the request and does something over its ground.
pub(crate) fn in_workshop<T>(
    request: &PlanRequest,
    site: &Site,
    rover: &Rover,
    constraints: &Constraints,
    make: impl FnOnce(&Workshop<'_>) -> Result<T, PlanError>,
) -> Result<T, PlanError> {
    constraints.check("constraints")?;
    rover.check("rover")?;
    check_ends(request, site.elevation()?, constraints)?;
    for age in ages(site, constraints)? {
        if age.stale && age.refuse {
            return Err(PlanError::Stale(age.words));
        }
    }
    let limits = Limits::shipped()?;
    let ground = Ground::new(site, rover, constraints, &limits)?;
    let shop = Workshop::new(request, site, rover, constraints, &ground)?;
    let measured = shop.map(&[])?;
    for (which, p) in places(request, constraints) {
        check_open(&measured, which, p, &[])?;
    }
    make(&shop)
}

/// The plan that the search makes alone over the labels; `stricter` is a mission with less of everything.
pub(crate) fn searched(
    shop: &Workshop<'_>,
    stage: ModelStage,
    features: &[Feature],
    stricter: Option<&Constraints>,
) -> Result<PlanOutcome, PlanError> {
    let request = shop.request;
    let mission = stricter.unwrap_or(shop.mission);
    let mut map = shop.map_for(features, mission)?;
    for (which, p) in places(request, mission) {
        check_open(&map, which, p, features)?;
    }
    let found = find(&mut map, request, &shop.stops(), mission, &shop.checks);
    let (chain, stats) = found.map_err(|e| match shop.map_for(&[], mission) {
        Ok(measured) => blame_labels(e, measured, request, mission, &shop.checks, features),
        Err(other) => other,
    })?;
    let plan = shop.document(&chain, &map, features, stage)?;
    // The last word on every plan, whatever made it.
    let verdict = shop.judge(&plan)?;
    if let Some(wrong) = verdict.hard().next() {
        return Err(PlanError::NoRoute {
            x_m: request.goal_m[0],
            y_m: request.goal_m[1],
            why: format!("the validator refused the plan: {}", wrong.message),
        });
    }
    Ok(PlanOutcome {
        plan,
        verdict,
        stats,
        model: None,
    })
}

pub(crate) fn check_ends(
    request: &PlanRequest,
    elevation: &Raster,
    c: &Constraints,
) -> Result<(), PlanError> {
    let [x0, y0] = elevation.origin_m();
    let [width_m, height_m] = elevation.size_m();
    for (which, p) in places(request, c) {
        if p.iter().any(|v| !v.is_finite()) {
            return Err(CoreError::value(
                "request",
                which,
                format!("{p:?}"),
                "two finite numbers of metres",
            )
            .into());
        }
        if !elevation.contains(p[0], p[1]) {
            return Err(PlanError::OffMap {
                which,
                x_m: p[0],
                y_m: p[1],
                width_m: x0 + width_m,
                height_m: y0 + height_m,
            });
        }
    }
    let legs = c.way_points(request.start_m, request.goal_m);
    for (k, leg) in legs.windows(2).enumerate() {
        let distance_m = distance_m(leg[0], leg[1]);
        let last = k + 2 == legs.len();
        let within = if last { c.goal_tolerance_m } else { 0.0 };
        for (least_m, why) in [
            (within, "the goal's tolerance: the rover is there already"),
            (c.segment_min_m, "the shortest segment"),
        ] {
            if distance_m < least_m || distance_m <= within {
                return Err(PlanError::TooNear {
                    which: if last { "goal" } else { "stop" },
                    from: if k == 0 { "start" } else { "stop before" },
                    distance_m,
                    least_m,
                    why,
                });
            }
        }
    }
    Ok(())
}

/// Start, stops and goal with their names.
pub(crate) fn places(request: &PlanRequest, c: &Constraints) -> Vec<(&'static str, Xy)> {
    std::iter::once(("start", request.start_m))
        .chain(c.stops.iter().map(|s| ("stop", s.at_m)))
        .chain(std::iter::once(("goal", request.goal_m)))
        .collect()
}

pub(crate) fn check_open(
    map: &CostMap,
    which: &'static str,
    p: Xy,
    features: &[Feature],
) -> Result<(), PlanError> {
    let index = map.index(p);
    if index.is_some_and(|i| map.free(i)) {
        return Ok(());
    }
    Err(PlanError::Forbidden {
        which,
        x_m: p[0],
        y_m: p[1],
        why: index.map_or_else(|| "lies off the map".into(), |i| map.explain(i, features)),
    })
}
