//! Every limit of the dictionary is broken by at least one plan, rover, site or weather that was made bad for it; what
//! nothing can break has to be marked so.

use super::*;
use crate::testing::{perseverance, plan_over, setup, site_from};
use crate::{nameplate::Nameplate, noise};
use rayon::prelude::*;
use sojourn_core::{
    classes::TerrainClass,
    plan::Feature,
    soil::{Soil, SoilTable},
};
use std::collections::BTreeSet;

/// A drive that was made bad.
struct Bad {
    rover: Rover,
    site: Site,
    line: Vec<[f64; 2]>,
    plan: fn(&mut Plan),
    plate: fn(&mut Nameplate),
    settings: fn(&mut Settings),
    conditions: fn(&mut Conditions),
    soils: fn(&mut SoilTable),
}

impl Bad {
    fn on(site: Site, line: &[[f64; 2]]) -> Self {
        Self {
            rover: perseverance(),
            site,
            line: line.to_vec(),
            plan: |_| {},
            plate: |_| {},
            settings: |_| {},
            conditions: |_| {},
            soils: |_| {},
        }
    }

    fn flat() -> Self {
        Self::on(site_from(60, |_, _| 0.0), &[[20.0, 30.0], [40.0, 30.0]])
    }

    /// A plane rising `slope_deg` towards `direction_deg`, driven along east.
    fn plane(slope_deg: f64, direction_deg: f64) -> Self {
        let g = slope_deg.to_radians().tan();
        let (s, c) = direction_deg.to_radians().sin_cos();
        Self::on(
            site_from(60, move |x, y| g * (c * (x - 30.0) + s * (y - 30.0))),
            &[[20.0, 30.0], [40.0, 30.0]],
        )
    }

    /// Names of all limits that the drive breaks: `channel hard min` and the like.
    fn broken(mut self, setup: &Setup) -> BTreeSet<String> {
        let mut setup = setup.clone();
        (self.settings)(&mut setup.settings);
        (self.soils)(&mut setup.soils);
        let mut plan = plan_over(&self.site, &self.rover, &self.line);
        (self.plan)(&mut plan);
        let body = self.site.manifest.body.clone();
        let elevation = self.site.layers.remove("elevation").unwrap();
        let mut plate = setup.plate(&self.rover, &body);
        (self.plate)(&mut plate);
        let (o, s) = (elevation.origin_m(), elevation.size_m());
        let mut conditions = Conditions::nominal();
        (self.conditions)(&mut conditions);
        let usual = setup.settings.environment_of("mars").unwrap();
        let env = Env {
            rover: &self.rover,
            body: &body,
            plate,
            environment: conditions.environment(usual),
            mission: setup.settings.mission,
            planned_m: plan.distance_m,
            allowed_s: plan.waypoints.iter().map(|w| w.timeout_s).sum(),
            extent_m: [o[0], o[1], o[0] + s[0], o[1] + s[1]],
            footprint_m: self.rover.footprint_radius_m(),
            waypoints: plan.waypoints.len(),
        };
        let soil =
            SoilMap::new(&setup.soils, &self.rover, &body, &plan.features, None, 20.0).unwrap();
        let keep_out: Vec<&[Xy]> = plan.keep_out.iter().map(Vec::as_slice).collect();
        let course = Course {
            plan: &plan,
            env: &env,
            dictionary: &setup.dictionary,
            soil: &soil,
            keep_out: &keep_out,
            sample_s: setup.settings.sample_s,
        };
        let settler = Settler::new(&self.rover, 0.05);
        let ground = Ground {
            elevation: &elevation,
            map_offset_m: [0.0; 2],
            relief: None,
        };
        let mut drive = Drive::new(&course, &env, ground, &conditions, &settler, None);
        drive.check_waypoints();
        let outcome = drive.run().unwrap();
        let mut out = BTreeSet::new();
        for (c, t) in setup
            .dictionary
            .channels
            .iter()
            .zip(outcome.ledger.tallies())
        {
            if t.violations > 0 && t.samples == 0 {
                out.insert(format!("{} hard min", c.name));
            }
            if t.samples == 0 {
                continue;
            }
            for (kind, [lo, hi]) in [("hard", t.hard), ("soft", t.soft)] {
                if t.min < lo {
                    out.insert(format!("{} {kind} min", c.name));
                }
                if t.max > hi {
                    out.insert(format!("{} {kind} max", c.name));
                }
            }
            // Added, not sampled: the drive could not go on.
            if t.violations > 0 && matches!(c.name.as_str(), "ground.known" | "motion.progress") {
                out.insert(format!("{} hard min", c.name));
            }
        }
        out
    }
}

fn label(class: TerrainClass) -> Feature {
    Feature {
        class,
        polygon: vec![[0.0, 0.0], [60.0, 0.0], [60.0, 60.0], [0.0, 60.0]],
        confidence: 1.0,
        source: "test".into(),
        added_cost: 0.0,
        forbids: false,
        risk: None,
        action: None,
        science: None,
        note: String::new(),
    }
}

fn loose(p: &mut Plan) {
    for w in &mut p.waypoints {
        w.limits.tilt_deg = 60.0;
        w.limits.slip = 1.0;
        w.timeout_s = 1e6;
    }
}

fn on_sand(p: &mut Plan) {
    loose(p);
    p.features = vec![label(TerrainClass::SandRipples)];
}

fn fast(p: &mut Plan) {
    loose(p);
    for w in &mut p.waypoints {
        w.limits.speed_mps = 0.25;
    }
}

/// A rover that slips as little on a slope as on the flat.
fn sure_footed() -> Rover {
    let mut r = perseverance();
    r.slip.coefficient = 0.0;
    r
}

/// Steep ground in every direction, and sand.
fn steep(out: &mut Vec<Bad>) {
    for direction_deg in [0.0, 60.0, 90.0, 150.0, 180.0, 240.0, 270.0, 300.0] {
        for (slope_deg, rover) in [
            (14.0, sure_footed()),
            (24.0, perseverance()),
            (34.0, sure_footed()),
            (44.0, sure_footed()),
            (52.0, perseverance()),
        ] {
            out.push(Bad {
                plan: loose,
                rover,
                ..Bad::plane(slope_deg, direction_deg)
            });
        }
        let mut rover = sure_footed();
        rover.slip.lateral_per_rad = 1.0;
        out.push(Bad {
            plan: loose,
            rover,
            // Weak motors on a bus made for them.
            plate: |p| {
                for v in [
                    &mut p.torque_nm,
                    &mut p.current_a,
                    &mut p.power_w,
                    &mut p.housekeeping_w,
                ] {
                    *v *= 0.02;
                }
            },
            ..Bad::plane(24.0, direction_deg)
        });
        out.push(Bad {
            plan: loose,
            rover: sure_footed(),
            // A rover six times as heavy as its wheels are made for.
            plate: |p| p.static_load_n *= 0.15,
            ..Bad::plane(20.0, direction_deg)
        });
    }
    // By the rover's own file four fifths of the wheels' way are lost here: slow, and not yet stuck.
    out.push(Bad {
        plan: loose,
        ..Bad::plane(17.5, 0.0)
    });
    for slope_deg in [8.0, 12.0, 16.0] {
        out.push(Bad {
            plan: on_sand,
            ..Bad::plane(slope_deg, 0.0)
        });
    }
}

/// Steps, pits and ridges, driven over too fast.
fn rough(out: &mut Vec<Bad>) {
    for seed in 0..5 {
        for size_m in [0.7, 1.6] {
            let site = site_from(60, move |x, y| {
                size_m * noise::near_gauss(noise::hash(seed, 1, x as i64, y as i64))
            });
            out.push(Bad {
                plan: fast,
                rover: sure_footed(),
                ..Bad::on(site, &[[20.0, 30.0], [32.0, 33.0], [40.0, 25.0]])
            });
        }
    }
    for height_m in [3.0, -3.0] {
        let site = site_from(60, move |x, _| if x > 30.0 { height_m } else { 0.0 });
        out.push(Bad {
            plan: fast,
            rover: sure_footed(),
            ..Bad::on(site, &[[20.0, 30.0], [40.0, 30.0]])
        });
    }
    let ridge = site_from(60, |_, y| if (29.0..30.0).contains(&y) { 3.2 } else { 0.0 });
    out.push(Bad {
        plan: loose,
        ..Bad::on(ridge, &[[20.0, 29.5], [40.0, 29.5]])
    });
    let hole = site_from(60, |x, _| if x > 34.0 { f64::NAN } else { 0.0 });
    out.push(Bad::on(hole, &[[20.0, 30.0], [40.0, 30.0]]));
}

/// Batteries, heat and weather.
fn hostile(out: &mut Vec<Bad>) {
    let mut put = |plate: fn(&mut Nameplate), settings: fn(&mut Settings)| {
        out.push(Bad {
            plate,
            settings,
            rover: sure_footed(),
            plan: loose,
            ..Bad::plane(15.0, 0.0)
        });
    };
    put(|p| p.battery_wh = 8.0, |_| {});
    put(
        |p| p.motor_k_per_w *= 60.0,
        |s| hours(s, 40.0, 100.0, 14.0, 0.5),
    );
    put(|p| p.box_tau_s = 60.0, |s| hours(s, 20.0, 120.0, 14.0, 4.0));
    put(
        |p| {
            p.box_tau_s = 60.0;
            p.box_heater_c = -90.0;
            p.heater_c = -120.0;
        },
        |s| hours(s, -180.0, -120.0, 2.0, 0.5),
    );
    put(
        |p| p.heater_w_per_k *= 4.0,
        |s| hours(s, -180.0, -120.0, 2.0, 0.5),
    );
    put(
        |_| {},
        |s| {
            if let Some(mars) = s.environment.get_mut("mars") {
                mars.sol_s = 1000.0;
            }
            s.mission.drive_s = 60.0;
        },
    );
}

fn hours(s: &mut Settings, coldest_c: f64, warmest_c: f64, hour: f64, opacity: f64) {
    if let Some(mars) = s.environment.get_mut("mars") {
        (mars.coldest_c, mars.warmest_c) = (coldest_c, warmest_c);
        (mars.start_hour, mars.opacity) = (hour, opacity);
    }
}

/// Plans that ask for what they may not, and positions that are not known.
fn lawless(out: &mut Vec<Bad>) {
    let plans: [fn(&mut Plan); 9] = [
        fast,
        loose,
        |p| p.waypoints.iter_mut().for_each(|w| w.timeout_s = 30.0),
        |p| p.keep_out = vec![vec![[28.0, 20.0], [34.0, 20.0], [34.0, 40.0], [28.0, 40.0]]],
        |p| {
            p.waypoints
                .iter_mut()
                .for_each(|w| w.mode = sojourn_core::plan::Mode::Directed)
        },
        |p| {
            let wide = sojourn_core::geometry::corridor([20.0, 36.0], [40.0, 36.0], 4.5);
            p.waypoints
                .iter_mut()
                .for_each(|w| w.corridor = wide.clone());
        },
        |p| {
            // one segment of 20 m, and one of none
            p.waypoints.remove(0);
            p.waypoints.push(p.waypoints[0].clone());
        },
        |p| p.start.yaw_rad = 2.8,
        |p| p.start.yaw_rad = -2.8,
    ];
    for plan in plans {
        out.push(Bad {
            plan,
            ..Bad::flat()
        });
    }
    for conditions in [
        (|c| (c.start_error_m, c.start_error_rad) = ([0.0, 6.5], 0.3)) as fn(&mut Conditions),
        |c| (c.start_error_m, c.start_error_rad) = ([0.0, -6.5], -0.3),
    ] {
        out.push(Bad {
            conditions,
            ..Bad::flat()
        });
    }
    let edge_m = 60.0 - 1.267 - 0.25;
    let lines = [
        [[40.0, 30.0], [58.8, 30.0]],
        [[20.0, 30.0], [1.2, 30.0]],
        [[30.0, 40.0], [30.0, 58.8]],
        [[30.0, 20.0], [30.0, 1.2]],
        [[30.0, edge_m], [40.0, edge_m]],
        [[40.0, edge_m], [30.0, edge_m]],
        [[1.4, 30.0], [10.0, 30.0]],
    ];
    for line in lines {
        out.push(Bad {
            settings: |s| (s.mission.drift_share, s.mission.heading_drift_deg_per_m) = (0.5, 0.5),
            plan: |p| {
                p.keep_out = vec![vec![[28.0, 20.0], [34.0, 20.0], [34.0, 24.0], [28.0, 24.0]]]
            },
            ..Bad::on(site_from(60, |_, _| 0.0), &line)
        });
    }
    // A zigzag of very many very short segments.
    let zigzag: Vec<[f64; 2]> = (0..520)
        .map(|i| [20.0 + 0.1 * f64::from(i), 30.0 + 0.3 * f64::from(i % 2)])
        .collect();
    out.push(Bad {
        settings: |s| s.sample_s = 5.0,
        plan: |p| p.waypoints.iter_mut().for_each(|w| w.timeout_s = 60.0),
        ..Bad::on(site_from(90, |_, _| 0.0), &zigzag)
    });
    let turning: Vec<[f64; 2]> = (0..12)
        .map(|i| [20.0 + f64::from(i), 30.0 + 2.0 * f64::from(i % 2)])
        .collect();
    let mut long = perseverance();
    long.suspension.front_hub_m[0] = 6.0;
    long.suspension.rear_hub_m[0] = -6.0;
    out.push(Bad {
        rover: long,
        ..Bad::on(site_from(60, |_, _| 0.0), &turning)
    });
    let mut narrow = perseverance();
    narrow.wheel.width_m = 0.05;
    for soft in [false, true] {
        out.push(Bad {
            rover: narrow.clone(),
            soils: if soft { softened } else { |_| {} },
            ..Bad::flat()
        });
    }
    out.push(Bad {
        settings: |s| s.sample_s = 5.0,
        ..Bad::on(site_from(500, |_, _| 0.0), &[[20.0, 30.0], [480.0, 60.0]])
    });
}

fn softened(t: &mut SoilTable) {
    for c in &mut t.classes {
        if let Soil::Deformable(d) = &mut c.nominal {
            (d.k_c, d.k_phi) = (0.02 * d.k_c, 0.02 * d.k_phi);
        }
    }
}

fn bad_drives() -> Vec<Bad> {
    let mut out = Vec::new();
    steep(&mut out);
    rough(&mut out);
    hostile(&mut out);
    lawless(&mut out);
    out
}

#[test]
fn every_limit_is_broken_by_some_bad_drive() {
    let setup = setup();
    let mut broken = BTreeSet::new();
    let all: Vec<BTreeSet<String>> = bad_drives()
        .into_par_iter()
        .map(|bad| bad.broken(&setup))
        .collect();
    broken.extend(all.into_iter().flatten());
    let mut never = Vec::new();
    let mut limits = 0;
    for c in &setup.dictionary.channels {
        for (kind, bounds) in [("hard", &c.hard), ("soft", &c.soft)] {
            for (side, bound) in [("min", &bounds.min), ("max", &bounds.max)] {
                if bound.is_none() {
                    continue;
                }
                limits += 1;
                let name = format!("{} {kind} {side}", c.name);
                assert!(
                    c.untrippable.is_none() || !broken.contains(&name),
                    "{name} is marked as untrippable and was tripped"
                );
                if c.untrippable.is_none() && !broken.contains(&name) {
                    never.push(name);
                }
            }
        }
    }
    assert!(limits > 600, "{limits}");
    assert!(
        never.is_empty(),
        "{} of {limits} limits were never broken: {never:#?}",
        never.len()
    );
}
