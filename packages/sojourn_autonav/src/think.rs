//! Thinking: the next metre from the predicted end of this one, and what is tried when nothing is safe.

use crate::{
    autonav::{AutoNav, Next, Phase},
    check::{Blocked, Verdict},
    config::PlannerKind,
    costmap::{Beyond, CostMap, Scene},
    direct::{direct, weighed_direct},
    follow::{Turn, turn_rate_radps},
    inputs::Scope,
    orbital::FromOrbit,
    paths::Soil,
    search::{Path, Search},
    status::{DriveState, Halt},
};
use sojourn_core::{
    Stamp,
    frames::Pose2,
    geometry::{Xy, distance_m},
    plan::Mode,
};
use std::sync::Arc;

/// Paths end at this share of the tolerance.
pub(crate) const NEAR_SHARE: f64 = 0.8;
/// Turns in place, to either side, from which the rover looks again when nothing is safe, radians.
const LOOKS_RAD: [f64; 6] = [0.6, -0.6, 1.2, -1.2, 2.0, -2.0];
/// Thinking somewhere marks the ground within this share of the footprint's radius.
const VISIT_SHARE: f64 = 0.4;
/// Most dead ends that are remembered.
const DEAD_ENDS_MAX: usize = 30;

/// What a planning found.
struct Thought {
    path: Option<Path>,
    blocked: Option<Blocked>,
    wants_image: bool,
}

impl AutoNav {
    /// Near the end of the committed metre, plans the next one from its end.
    pub(crate) fn think_ahead(&mut self, now: Stamp, scope: &Scope) {
        let c = &self.config;
        let Phase::Follow(track, commit_m) = &self.phase else {
            return;
        };
        // What takes long to think of is begun early.
        let ahead_m = c.think_ahead_m + 1.2 * c.think_s * scope.rim_mps;
        let end_m = commit_m.min(track.length_m());
        if self.next.is_some()
            || !self.way_on.legs.is_empty()
            || scope.mode != Mode::AvoidAll
            || c.planner == PlannerKind::StraightGuarded
            || track.progress_m < end_m - ahead_m
        {
            return;
        }
        // Over the same ground the same thought would find the same.
        if self.inputs.grid_is_new {
            self.thought_in_vain = false;
        }
        if self.thought_in_vain {
            return;
        }
        let Some(start) = track.pose_at(end_m) else {
            return;
        };
        let ready = now.plus_secs(c.think_s);
        if distance_m([start.x_m, start.y_m], scope.goal_xy) <= scope.tolerance_m {
            return;
        }
        let thought = self.think(scope, start);
        match thought.path {
            Some(path) => self.next = Some(Next { path, ready }),
            None => self.thought_in_vain = true,
        }
    }

    /// Plans from where the rover stands; without a safe path, tries what may help.
    pub(crate) fn plan(&mut self, now: Stamp, scope: &Scope) -> Result<(), Halt> {
        if self.inputs.ground.is_none() {
            return Err(Halt::new(DriveState::Idle, "no terrain grid yet"));
        }
        self.next = None;
        if self.next_leg(scope) {
            return Ok(());
        }
        if self.way_on.again && self.begin_to_seek(scope) {
            return Ok(());
        }
        self.way_on.again = false;
        let thought = self.think(scope, scope.pose);
        match thought.path {
            Some(path) => {
                self.set_out(path, scope.pose);
                Ok(())
            }
            None => self.no_path(now, scope, &thought),
        }
    }

    /// Works out what the checks of a planning look up, where that has not been done.
    fn make_ready(&mut self) {
        if let Some(ground) = self.inputs.ground.take_if(|g| !g.is_ready()) {
            self.inputs.ground = Some(ground.with_images(
                &self.rover,
                self.checker.settler(),
                self.config.swing_m,
                self.config.planner,
            ));
        }
    }

    /// What the ways from a pose to the waypoint cost, on the ground as it is known now.
    pub(crate) fn costs(&mut self, scope: &Scope, start: Pose2) -> Option<CostMap> {
        self.make_ready();
        let beyond = self
            .orbital
            .as_ref()
            .zip(self.inputs.goal())
            .map(|(layers, goal)| Beyond {
                orbit: FromOrbit::new(layers, &scope.map_from_odom),
                goal_map: goal.xy_in_map,
                keep_in_map: &goal.keep_in_map,
                keep_out_map: &goal.keep_out_map,
            });
        let scene = Scene {
            ground: self.inputs.ground.as_ref()?,
            corridor: &scope.corridor,
            rover_xy: [start.x_m, start.y_m],
            goal_xy: scope.goal_xy,
            limits: &scope.limits,
            speed_mps: scope.rim_mps,
            slip: self.checker.slip(),
            dead_ends: &self.dead_ends,
            orbit: beyond,
        };
        let (config, rover) = (&self.config, &self.rover);
        Some(CostMap::build(
            config,
            rover,
            &scene,
            &mut self.coarse,
            &mut self.far,
        ))
    }

    fn think(&mut self, scope: &Scope, start: Pose2) -> Thought {
        let kind = self.config.planner;
        let straight = kind == PlannerKind::StraightGuarded;
        self.make_ready();
        if self.inputs.ground.is_some() {
            self.planning += 1;
        }
        let map = if scope.mode == Mode::AvoidAll && !straight {
            let reach_m = VISIT_SHARE * self.rover.footprint_radius_m();
            self.coarse.visit([start.x_m, start.y_m], reach_m);
            self.costs(scope, start)
        } else {
            None
        };
        let Some(ground) = &self.inputs.ground else {
            return Thought {
                path: None,
                blocked: None,
                wants_image: true,
            };
        };
        let mut search = Search {
            config: &self.config,
            ground,
            limits: &scope.limits,
            checker: &mut self.checker,
            held: self.config.hold_share,
            way_out: false,
        };
        let thought = if let Some(map) = map {
            let soil = Soil {
                config: &self.config,
                corridor: &scope.corridor,
                map: &map,
                start,
                goal_xy: scope.goal_xy,
                near_m: NEAR_SHARE * scope.tolerance_m,
                turn_radps: turn_rate_radps(&self.rover, scope.rim_mps),
                curvature_now_per_m: self.curvature_now_per_m,
            };
            let mut found = search.run(&soil);
            if found.path.is_none() && kind == PlannerKind::Tiered {
                let wide = self.config.widened();
                let mut search = Search {
                    config: &wide,
                    ground,
                    limits: &scope.limits,
                    checker: &mut self.checker,
                    held: self.config.hold_share,
                    way_out: false,
                };
                let wider = search.run_wide(&Soil {
                    config: &wide,
                    ..soil
                });
                found.path = wider.path;
                found.wants_image |= wider.wants_image;
                found
                    .weighed
                    .extend(wider.weighed.into_iter().filter(|w| w.chosen));
            }
            self.candidates = Arc::new(found.weighed);
            Thought {
                path: found.path,
                blocked: found.blocked,
                wants_image: found.wants_image,
            }
        } else {
            search.checker.start();
            let mode = if straight { Mode::Directed } else { scope.mode };
            let from = Scope {
                pose: start,
                mode,
                ..scope.clone()
            };
            let (path, blocked) = direct(&self.config, &self.rover, &mut search, &from);
            self.candidates = Arc::new(weighed_direct(&path, blocked));
            Thought {
                path: blocked.is_none().then_some(path),
                blocked,
                wants_image: blocked.is_some_and(|b| b.verdict == Verdict::Unknown),
            }
        };
        self.settled = self.checker.settled;
        self.looked_up = self.checker.looked_up;
        thought
    }

    /// No candidate is safe: wait for a view when ground is unknown, look for a way over all of the known ground, look from other
    /// headings, back up, wait, give up.
    /// Limits stay as they are.
    fn no_path(&mut self, now: Stamp, scope: &Scope, thought: &Thought) -> Result<(), Halt> {
        let why = match &thought.blocked {
            Some(b) => format!("no safe path: {b}"),
            None => "no safe path: every candidate leaves the corridor or comes to a keep-out"
                .to_string(),
        };
        let first = self.blocked_since.is_none();
        let since = *self.blocked_since.get_or_insert(now);
        if first {
            self.stops = self.stops.saturating_add(1);
            if thought.wants_image {
                // The next image may show what is missing.
                self.phase = Phase::Wait(why);
                return Ok(());
            }
        }
        if scope.mode == Mode::AvoidAll && self.config.planner == PlannerKind::Tiered {
            if self.begin_to_seek(scope) {
                return Ok(());
            }
            if let Some(turn) = self.look_elsewhere(scope) {
                self.phase = Phase::Look(turn);
                self.held = self.config.hold_share;
                self.way_on.is_leg = false;
                self.way_on.looked_round = true;
                self.blocked_since = Some(now);
                return Ok(());
            }
            if std::mem::take(&mut self.way_on.looked_round) {
                // All around may show what was missing.
                self.way_on.in_vain = false;
                if self.begin_to_seek(scope) {
                    return Ok(());
                }
            }
            if let Some(turn) = self.turn_to_track(scope) {
                self.phase = Phase::Look(turn);
                self.blocked_since = Some(now);
                return Ok(());
            }
            if let Some(track) = self.way_back(scope).or_else(|| self.back_out(scope)) {
                self.remember_dead_end([scope.pose.x_m, scope.pose.y_m]);
                self.phase = Phase::Back(track);
                self.looks = 0;
                // The time to wait begins when the rover has backed up.
                self.blocked_since = Some(now);
                return Ok(());
            }
        }
        if now.since(since) <= self.config.wait_s {
            self.phase = Phase::Wait(why);
            return Ok(());
        }
        self.phase = Phase::Plan;
        self.gave_up = Some(why.clone());
        Err(Halt::new(DriveState::Stopped, why))
    }

    /// No way led on from here: the newest places are dear for a while.
    pub(crate) fn remember_dead_end(&mut self, xy: Xy) {
        self.dead_ends.push(xy);
        if self.dead_ends.len() > DEAD_ENDS_MAX {
            self.dead_ends.remove(0);
        }
    }

    /// A turn in place that is safe and shows other ground.
    fn look_elsewhere(&mut self, scope: &Scope) -> Option<Turn> {
        let ground = self.inputs.ground.as_ref()?;
        let mut search = Search {
            config: &self.config,
            ground,
            limits: &scope.limits,
            checker: &mut self.checker,
            held: self.config.hold_share,
            way_out: false,
        };
        while let Some(&angle) = LOOKS_RAD.get(self.looks as usize) {
            self.looks += 1;
            if search.turn_blocked(scope.pose, angle).is_none() {
                return Some(Turn::by(scope.pose.yaw_rad, angle));
            }
        }
        None
    }
}
