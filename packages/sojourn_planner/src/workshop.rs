//! Where plans are made: one request over one ground, whatever route is proposed.

use crate::candidates::{Preset, measured, near, on_map};
use crate::coarse::Coarse;
use crate::cost::{Block, CostMap};
use crate::error::PlanError;
use crate::freshness::ages;
use crate::line::cells_along;
use crate::model::desk::{Route, corners, round2, whole_line};
use crate::route::{PlanRequest, PlanStats, check_open};
use crate::segments::split;
use crate::slip::ExpectedSlip;
use crate::smooth::densify;
use crate::stand::Stander;
use crate::validator::{Code, Ends, Ground, Verdict, Violation, check_plan, expected_s};
use crate::way::{Checks, find};
use crate::waypoints::Maker;
use serde_json::json;
use sojourn_core::constraints::Constraints;
use sojourn_core::geometry::{Xy, distance_m, length_m};
use sojourn_core::plan::{
    Feature, Goal, ModelStage, PLAN_SCHEMA_VERSION, Plan, PlanMission, Start, digest_of,
};
use sojourn_core::rover::Rover;
use sojourn_core::site::Site;

/// A route that is to be kept near is three times as cheap as the ground beside it.
const STRAY_FACTOR: f32 = 3.0;
/// Ground beside such a route that is as cheap, metres.
const STRAY_M: f64 = 4.0;
/// Corners nearer than this to the straight line are none, metres.
const STRAIGHT_M: f64 = 0.05;
/// Anchors this near to those of a route are that route, metres.
const SAME_M: f64 = 0.5;

/// A request over its ground.
pub(crate) struct Workshop<'a> {
    pub request: &'a PlanRequest,
    pub site: &'a Site,
    pub rover: &'a Rover,
    pub mission: &'a Constraints,
    pub ground: &'a Ground<'a>,
    pub checks: Checks<'a>,
    pub slip: ExpectedSlip,
}

impl<'a> Workshop<'a> {
    pub fn new(
        request: &'a PlanRequest,
        site: &'a Site,
        rover: &'a Rover,
        mission: &'a Constraints,
        ground: &'a Ground<'a>,
    ) -> Result<Self, PlanError> {
        let slip = ExpectedSlip::new(rover, request.slip.as_ref())?;
        Ok(Self {
            request,
            site,
            rover,
            mission,
            ground,
            checks: Checks {
                stander: Stander::new(rover, ground.elevation).expecting(slip.clone()),
                ground,
            },
            slip,
        })
    }

    /// Places of the mission's stops, in order.
    pub fn stops(&self) -> Vec<Xy> {
        self.mission.stops.iter().map(|s| s.at_m).collect()
    }

    pub fn ends(&self) -> Ends {
        Ends {
            start_m: self.request.start_m,
            goal_m: self.request.goal_m,
            goal_tolerance_m: self.mission.goal_tolerance_m,
        }
    }

    pub fn map(&self, features: &[Feature]) -> Result<CostMap, PlanError> {
        self.map_for(features, self.mission)
    }

    pub fn map_for(
        &self,
        features: &[Feature],
        mission: &Constraints,
    ) -> Result<CostMap, PlanError> {
        let g = self.ground;
        Ok(CostMap::of_layers(
            &g.slope,
            &g.roughness,
            self.rover,
            mission,
            features,
            &self.slip,
            g.stale,
        )?)
    }

    /// Routes that differ, the cheapest first, each one that the rover can stand on. With one preset: the one route that
    /// is best for it.
    pub fn routes(
        &self,
        start_m: Xy,
        goal_m: Xy,
        features: &[Feature],
        presets: &[Preset],
        k: usize,
    ) -> Result<Vec<Route>, PlanError> {
        let map = self.map(features)?;
        for (which, p) in [("start", start_m), ("goal", goal_m)] {
            check_open(&map, which, p, features)?;
        }
        let request = PlanRequest {
            start_m,
            goal_m,
            ..self.request.clone()
        };
        // The mission's stops belong to the whole way, not to a part of it.
        let whole = [start_m, goal_m] == [self.request.start_m, self.request.goal_m];
        let via: Vec<Xy> = if whole { self.stops() } else { Vec::new() };
        let mut biased: Vec<(Preset, CostMap)> = Vec::new();
        if presets.len() == 1 {
            biased.extend(presets.iter().take(k.max(1)).map(|p| (*p, p.map(&map))));
        } else {
            let over: Vec<Xy> = std::iter::once(start_m)
                .chain(via.iter().copied())
                .chain(std::iter::once(goal_m))
                .collect();
            for c in on_map(&map, &over, k) {
                biased.push((c.preset, near_only(&map, &c.line)));
            }
        }
        let mut out: Vec<Route> = Vec::new();
        for (preset, mut costs) in biased {
            let Ok((chain, _)) = find(&mut costs, &request, &via, self.mission, &self.checks)
            else {
                continue;
            };
            if out.iter().any(|r| r.chain == chain) {
                continue;
            }
            let (line, length) = whole_line(start_m, &chain);
            let figures = measured(&map, line.clone(), preset).map(|c| {
                json!({
                    "preset": preset.name(),
                    "length_m": round2(length),
                    "cost": round2(c.cost),
                    "risk_m": round2(c.risk_m),
                    "max_slope_deg": round2(c.max_slope_deg),
                    "max_roughness_m": round2(c.max_roughness_m),
                    "clearance_m": round2(c.clearance_m),
                })
            });
            out.push(Route {
                id: format!("R{}", out.len() + 1),
                anchors: corners(&line, STRAIGHT_M),
                chain,
                figures: figures.unwrap_or_default(),
            });
        }
        if out.is_empty() {
            // The search says why.
            let mut map = map;
            find(&mut map, &request, &via, self.mission, &self.checks)?;
        }
        Ok(out)
    }

    /// The plan's document over a chain of waypoints.
    pub fn document(
        &self,
        chain: &[Xy],
        map: &CostMap,
        features: &[Feature],
        stage: ModelStage,
    ) -> Result<Plan, PlanError> {
        let request = self.request;
        let mut waypoints = Maker {
            map,
            rover: self.rover,
            constraints: self.mission,
            features,
        }
        .make(request.start_m, chain);
        if let Some(coarse) = Coarse::of(self.site) {
            coarse.tell(request.start_m, &mut waypoints);
        }
        let [x_m, y_m] = request.start_m;
        let first = chain.first().copied().unwrap_or(request.goal_m);
        let mut plan = Plan {
            schema_version: PLAN_SCHEMA_VERSION,
            name: request.name.clone(),
            site_digest: self.site.terrain_digest()?,
            body: self.site.manifest.body.clone(),
            rover: self.rover.name.clone(),
            rover_digest: digest_of("rover", self.rover)?,
            constraints_digest: digest_of("constraints", self.mission)?,
            seed: request.seed,
            start: Start {
                x_m,
                y_m,
                yaw_rad: (first[1] - y_m).atan2(first[0] - x_m),
            },
            goal: Goal {
                x_m: request.goal_m[0],
                y_m: request.goal_m[1],
                tolerance_m: self.mission.goal_tolerance_m,
            },
            waypoints,
            distance_m: 0.0,
            features: features.to_vec(),
            keep_out: self.mission.keep_out.clone(),
            mission: None,
            disputes: None,
            model: stage,
        };
        let expected_s = expected_s(&plan, self.mission);
        plan.mission = Some(PlanMission {
            name: self.mission.name.clone(),
            stops: self.mission.stops.clone(),
            layers: ages(self.site, self.mission)?,
            expected_s,
            expected_wh: self
                .mission
                .energy
                .map(|e| (e.driving_w * expected_s / 360.0).round() / 10.0),
        });
        plan.distance_m = length_m(&plan.line());
        plan.check("plan")?;
        Ok(plan)
    }

    pub fn judge(&self, plan: &Plan) -> Result<Verdict, PlanError> {
        check_plan(plan, self.ground)
    }

    /// Waypoints for a line that somebody proposes. The error is what stands against it.
    pub fn chain(
        &self,
        line: &[Xy],
        features: &[Feature],
        routes: &[Route],
    ) -> Result<(Vec<Xy>, CostMap), Vec<Violation>> {
        let failed = |e: PlanError| vec![Violation::hard(Code::Document, e.to_string())];
        let map = self.map(features).map_err(failed)?;
        let mut line = line.to_vec();
        // The validator allows a metre at the ends; the plan begins and ends where it was asked to.
        if let Some(first) = line.first_mut() {
            *first = self.request.start_m;
        }
        if let Some(last) = line.last_mut() {
            *last = self.request.goal_m;
        }
        if let Some(wrong) = closed(&map, &line, features) {
            return Err(vec![wrong]);
        }
        let same = routes.iter().find(|r| {
            r.anchors.len() == line.len()
                && r.anchors
                    .iter()
                    .zip(&line)
                    .all(|(a, b)| distance_m(*a, *b) <= SAME_M)
        });
        let chain = match same {
            Some(route) => route.chain.clone(),
            None => split(&map, &line, self.mission).ok_or_else(|| {
                vec![Violation::hard(
                    Code::SegmentLength,
                    format!(
                        "the way is too narrow and winding for straight segments of {} to {} m",
                        self.mission.segment_min_m, self.mission.segment_max_m
                    ),
                )]
            })?,
        };
        let troubles = self.checks.troubles(self.request.start_m, &chain);
        if troubles.is_empty() {
            return Ok((chain, map));
        }
        Err(troubles
            .into_iter()
            .take(5)
            .map(|t| {
                Violation::hard(
                    Code::Suspension,
                    format!(
                        "at ({:.1}, {:.1}) the rover would stand with {}",
                        t.at[0], t.at[1], t.what
                    ),
                )
                .on(0, Some(t.at))
            })
            .collect())
    }

    /// Figures for a way that no search of its own was made for.
    pub fn stats(&self, map: &CostMap) -> PlanStats {
        PlanStats {
            cells: map.block.len(),
            cell_m: map.cell_m(),
            expanded: 0,
            rounds: 0,
            straight_m: distance_m(self.request.start_m, self.request.goal_m),
        }
    }
}

/// The first closed ground on a line.
fn closed(map: &CostMap, line: &[Xy], features: &[Feature]) -> Option<Violation> {
    for (k, w) in line.windows(2).enumerate() {
        let mut hit = None;
        cells_along(map, w[0], w[1], |i, _| {
            if !map.free(i) {
                hit = Some(i);
            }
            hit.is_none()
        });
        if let Some(i) = hit {
            let p = map.centre(i);
            let code = match map.block[i] {
                Block::Slope => Code::SlopeMax,
                Block::Roughness => Code::RoughnessMax,
                Block::KeepOut(_) => Code::KeepOut,
                Block::Clearance => Code::Clearance,
                Block::KeepIn => Code::KeepIn,
                Block::Label(_) => Code::AvoidCrossed,
                Block::Margin | Block::NoData => Code::NoData,
                Block::Stand | Block::Free => Code::Suspension,
            };
            return Some(
                Violation::hard(
                    code,
                    format!(
                        "between anchors {k} and {} the ground at ({:.1}, {:.1}) {}",
                        k + 1,
                        p[0],
                        p[1],
                        map.explain(i, features)
                    ),
                )
                .on(k, Some(p)),
            );
        }
    }
    None
}

/// The same ground, dearer away from a line.
fn near_only(map: &CostMap, line: &[Xy]) -> CostMap {
    let cells: Vec<usize> = densify(line, map.cell_m())
        .into_iter()
        .filter_map(|p| map.index(p))
        .collect();
    let mut out = map.clone();
    for cost in &mut out.cost {
        *cost *= STRAY_FACTOR;
    }
    for i in near(map, &cells, STRAY_M) {
        out.cost[i] = map.cost[i];
    }
    out
}
