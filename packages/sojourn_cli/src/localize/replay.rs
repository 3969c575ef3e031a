//! A recording through the cores: the estimate, visual odometry alone, and wheels with gyro alone.

use super::recorded::Recorded;
use anyhow::ensure;
use nalgebra::Isometry3;
use serde::Serialize;
use sojourn_core::{Stamp, rover::Rover};
use sojourn_localization::{
    Config, Input, Localization, Params,
    pairs::PairMaker,
    trajectory::Trajectory,
    visual::Sighting,
    vo::{Seen, StereoPair, Unaided},
};
use std::collections::BTreeMap;

/// What came of a recording. Trajectories are those of `base_link`, each in a frame of its own.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Replayed {
    /// What the node publishes; empty without wheels or inertial unit.
    pub estimate: Trajectory,
    /// Visual odometry alone; empty without pairs.
    pub visual: Trajectory,
    /// Wheels, gyro and gravity alone; empty without them, and without pairs, for then the estimate is the same.
    pub wheels: Trajectory,
    /// Counts of pairs.
    pub pairs: Pairs,
    /// Slip at its time: seconds, share.
    pub slip: Vec<[f64; 2]>,
    /// Inputs that were refused, by reason.
    pub refused: BTreeMap<String, u64>,
}

/// What became of the pairs.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Pairs {
    /// Pairs that were looked at, the first left out.
    pub looked_at: u64,
    /// Of them those that gave a motion.
    pub motions: u64,
    /// Motions that the filter refused.
    pub outliers: u64,
    /// Why the others gave none.
    pub failures: BTreeMap<String, u64>,
}

/// Runs a recording; `progress` hears the share of its time.
///
/// # Errors
/// One sentence: what the recording or its replay lacks.
pub fn replay(
    recorded: &dyn Recorded,
    params: &Params,
    rover: &Rover,
    body: &sojourn_core::body::Body,
    progress: &mut dyn FnMut(f64),
) -> anyhow::Result<Replayed> {
    let has = |name| recorded.contents().get(name).is_some_and(|n| *n > 0);
    ensure!(
        has("pairs") || (has("imu") && has("wheels")),
        "{}: holds neither stereo pairs nor inertial unit with wheels, nothing to localize with{}",
        recorded.name(),
        recorded
            .notes()
            .iter()
            .map(|n| format!("; {n}"))
            .collect::<String>()
    );
    let (first, last) = recorded.span();
    let whole_s = last.since(first).max(1e-9);
    let mut told = |now: Stamp| progress((now.since(first) / whole_s).clamp(0.0, 1.0));
    if has("imu") && has("wheels") {
        with_wheels(recorded, params, rover, body, has("pairs"), &mut told)
    } else {
        unaided(recorded, params, &mut told)
    }
}

fn with_wheels(
    recorded: &dyn Recorded,
    params: &Params,
    rover: &Rover,
    body: &sojourn_core::body::Body,
    pairs: bool,
    told: &mut dyn FnMut(Stamp),
) -> anyhow::Result<Replayed> {
    let node = |visual: bool| -> anyhow::Result<Localization> {
        let mut p = params.clone();
        p.visual.enabled = visual;
        // A recording has no map beside it.
        p.map_fix.enabled = false;
        Ok(Localization::new(Config::new(p, body)?, rover))
    };
    let mut all = node(pairs)?;
    let mut plain = if pairs { Some(node(false)?) } else { None };
    let mut out = Replayed::default();
    let period_s = rover.cadence.control_period_s;
    let mut next: Option<Stamp> = None;
    recorded.play(&mut |now, input| {
        // Ticks between the data, as the node has them.
        let mut due = *next.get_or_insert(now.plus_secs(period_s));
        if now.since(due) > 60.0 {
            due = now;
        }
        while due <= now {
            tick(&mut all, plain.as_mut(), due, &mut out);
            due = due.plus_secs(period_s);
        }
        next = Some(due);
        told(now);
        if let Some(plain) = &mut plain
            && matches!(input, Input::Imu(..) | Input::Wheels(..))
        {
            plain.step(now, input.clone());
        }
        all.step(now, input);
        Ok(())
    })?;
    if let Some(end) = next {
        tick(&mut all, plain.as_mut(), end, &mut out);
    }
    let counts = all.counts();
    out.refused = counts
        .refused
        .iter()
        .map(|(why, n)| (why.describe().to_string(), *n))
        .collect();
    out.pairs.outliers = counts.outliers;
    ensure!(
        !out.estimate.places().is_empty(),
        "{}: no estimate came of it: {}",
        recorded.name(),
        all.step(next.unwrap_or_default(), Input::Tick)
            .health
            .map_or_else(|| "no health either".to_string(), |h| h.reason)
    );
    Ok(out)
}

fn tick(all: &mut Localization, plain: Option<&mut Localization>, now: Stamp, out: &mut Replayed) {
    let said = all.step(now, Input::Tick);
    for sighting in &said.sightings {
        saw(sighting, out);
    }
    let push = |to: &mut Trajectory, e: Option<sojourn_localization::Estimate>| {
        if let Some(e) = e {
            to.push(e.stamp.as_secs(), &e.odom_from_base_link.iso);
        }
    };
    push(&mut out.estimate, said.estimate);
    if let Some(plain) = plain {
        push(&mut out.wheels, plain.step(now, Input::Tick).estimate);
    }
}

fn saw(s: &Sighting, out: &mut Replayed) {
    out.visual.push(s.stamp.as_secs(), &s.visual_pose);
    count(&s.seen, &mut out.pairs);
    if let Some(slip) = s.slip {
        out.slip.push([s.stamp.as_secs(), slip.slip]);
    }
}

fn count(seen: &Seen, pairs: &mut Pairs) {
    match seen {
        Seen::First => return,
        Seen::Moved { .. } => pairs.motions += 1,
        Seen::Failed { why, .. } => {
            let words = why.describe();
            // Numbers differ from pair to pair; the reason is what is counted.
            let reason = words.split(" (").next().unwrap_or(&words).to_string();
            *pairs.failures.entry(reason).or_default() += 1;
        }
    }
    pairs.looked_at += 1;
}

fn unaided(
    recorded: &dyn Recorded,
    params: &Params,
    told: &mut dyn FnMut(Stamp),
) -> anyhow::Result<Replayed> {
    let mut vo = Unaided::new(params.visual_odometry.clone());
    let mut maker = PairMaker::default();
    let mut out = Replayed::default();
    let mut last: Option<Stamp> = None;
    recorded.play(&mut |now, input| {
        told(now);
        let whole = match input {
            Input::Pair(stamp, pair) => Some((stamp, pair)),
            Input::Part(part) => maker.add(part),
            _ => None,
        };
        if let Some((stamp, pair)) = whole {
            if last.is_some_and(|l| stamp <= l) {
                *out.refused
                    .entry("a stamp that is not newer than the last".into())
                    .or_default() += 1;
                return Ok(());
            }
            last = Some(stamp);
            look(&mut vo, stamp, &pair, &mut out);
        }
        Ok(())
    })?;
    ensure!(
        out.pairs.motions > 0,
        "{}: no pair of {} gave a motion: {}",
        recorded.name(),
        out.pairs.looked_at,
        out.pairs
            .failures
            .keys()
            .cloned()
            .collect::<Vec<_>>()
            .join(", ")
    );
    Ok(out)
}

fn look(vo: &mut Unaided, stamp: Stamp, pair: &StereoPair, out: &mut Replayed) {
    let told = vo.step(pair);
    count(&told.seen, &mut out.pairs);
    out.visual.push(stamp.as_secs(), &told.start_from_base_link);
}

/// The first trajectory that holds something: what is compared with the truth first of all.
#[must_use]
pub fn best(r: &Replayed) -> &Trajectory {
    if r.estimate.places().is_empty() {
        &r.visual
    } else {
        &r.estimate
    }
}

/// A trajectory's first pose, for putting several into one picture.
#[must_use]
pub fn begin(t: &Trajectory) -> Option<Isometry3<f64>> {
    let first = t.places().first()?;
    Some(Isometry3::from_parts(
        first.position_m.into(),
        first.rotation?,
    ))
}
