//! The bookkeeping of every value: compared as it arises, then forgotten. Structure of arrays; no string is touched
//! while a drive goes on.

use super::{
    dictionary::{Dictionary, Phase},
    expression::Expression,
};

/// Where and when a value arose.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Place {
    /// East, metres in `map`.
    pub x_m: f64,
    /// North, metres in `map`.
    pub y_m: f64,
    /// Way from the start, metres.
    pub distance_m: f64,
    /// Time from the start, seconds.
    pub time_s: f64,
    /// Index of the waypoint driven to.
    pub waypoint: usize,
}

/// Most excesses that a ledger keeps.
pub const MAX_EXCESSES: usize = 100;

/// The first value of a contiguous run beyond a limit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Excess {
    /// The channel.
    pub channel: usize,
    /// The value.
    pub value: f64,
    /// The limit.
    pub limit: f64,
    /// Whether the value is below a lower limit.
    pub below: bool,
    /// Where and when.
    pub place: Place,
}

/// What the current sample is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Motion {
    /// Standing.
    Still,
    /// Turning in place.
    Turn,
    /// Driving forward.
    Drive,
}

/// Bounds of one channel as they hold on the way to one waypoint.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Bounds {
    hard: [f64; 2],
    soft: [f64; 2],
}

/// What a channel has seen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tally {
    /// Values compared.
    pub samples: u64,
    /// Least value.
    pub min: f64,
    /// Greatest value.
    pub max: f64,
    /// Tightest hard limits that held, open sides infinite.
    pub hard: [f64; 2],
    /// Tightest soft limits that held, open sides infinite.
    pub soft: [f64; 2],
    /// Least distance to a hard limit (to a soft one where there is no hard one); negative beyond it.
    pub margin: f64,
    /// The value at that place.
    pub margin_value: f64,
    /// Where.
    pub margin_place: Place,
    /// Values beyond a hard limit.
    pub violations: u64,
    /// Values beyond a soft limit but not a hard one.
    pub warnings: u64,
    hard_before: bool,
    soft_before: bool,
}

impl Tally {
    fn new() -> Self {
        Self {
            samples: 0,
            min: f64::INFINITY,
            max: f64::NEG_INFINITY,
            hard: [f64::NEG_INFINITY, f64::INFINITY],
            soft: [f64::NEG_INFINITY, f64::INFINITY],
            margin: f64::INFINITY,
            margin_value: f64::NAN,
            margin_place: Place::default(),
            violations: 0,
            warnings: 0,
            hard_before: false,
            soft_before: false,
        }
    }
}

/// Channels that are looked at together.
struct Group {
    phase: Phase,
    every: u64,
    /// (channel, quantity).
    members: Vec<(u32, u32)>,
}

/// All channels of one run.
pub struct Ledger<'a> {
    dictionary: &'a Dictionary,
    groups: Vec<Group>,
    bounds: Vec<Bounds>,
    tallies: Vec<Tally>,
    /// Hard excesses, the first of each contiguous run.
    pub excesses: Vec<Excess>,
    /// Soft excesses, the first of each channel.
    pub warnings: Vec<Excess>,
    ticks: u64,
}

impl<'a> Ledger<'a> {
    /// An empty ledger for samples that are `sample_s` apart.
    #[must_use]
    pub fn new(dictionary: &'a Dictionary, sample_s: f64) -> Self {
        let mut groups: Vec<Group> = Vec::new();
        for (i, c) in dictionary.channels.iter().enumerate() {
            // A channel cannot be looked at more often than there are samples.
            let every = (1.0 / (c.rate_hz * sample_s)).round().max(1.0) as u64;
            let member = (i as u32, c.quantity as u32);
            match groups
                .iter_mut()
                .find(|g| g.phase == c.phase && g.every == every)
            {
                Some(g) => g.members.push(member),
                None => groups.push(Group {
                    phase: c.phase,
                    every,
                    members: vec![member],
                }),
            }
        }
        let n = dictionary.channels.len();
        Self {
            dictionary,
            groups,
            bounds: vec![
                Bounds {
                    hard: [f64::NEG_INFINITY, f64::INFINITY],
                    soft: [f64::NEG_INFINITY, f64::INFINITY],
                };
                n
            ],
            tallies: vec![Tally::new(); n],
            excesses: Vec::new(),
            warnings: Vec::new(),
            ticks: 0,
        }
    }

    /// Works out the limits that hold on the way to a waypoint.
    ///
    /// # Errors
    /// One sentence when a limit is not a number or a channel's limits contradict each other.
    pub fn set_limits(&mut self, slots: &[f64]) -> Result<(), String> {
        let value = |e: &Option<Expression>, open: f64| e.as_ref().map_or(open, |e| e.value(slots));
        for (c, b) in self.dictionary.channels.iter().zip(&mut self.bounds) {
            let pair = |bounds: &super::dictionary::Bounds| {
                [
                    value(&bounds.min, f64::NEG_INFINITY),
                    value(&bounds.max, f64::INFINITY),
                ]
            };
            *b = Bounds {
                hard: pair(&c.hard),
                soft: pair(&c.soft),
            };
            for (name, [lo, hi]) in [("hard", b.hard), ("soft", b.soft)] {
                if !(lo <= hi) {
                    return Err(format!(
                        "channel {}: its {name} limits are {lo} and {hi}, expected a least value not above the greatest",
                        c.name
                    ));
                }
            }
            if b.soft[0] < b.hard[0] && b.soft[0].is_finite()
                || b.soft[1] > b.hard[1] && b.soft[1].is_finite()
            {
                return Err(format!(
                    "channel {}: its soft limits {:?} lie outside its hard limits {:?}",
                    c.name, b.soft, b.hard
                ));
            }
        }
        Ok(())
    }

    /// Compares one sample; `first_of` says whether it opens the drive and a segment.
    pub fn check(&mut self, values: &[f64], motion: Motion, first_of: [bool; 2], place: Place) {
        let tick = self.ticks;
        self.ticks += 1;
        let [starts, segment] = first_of;
        for g in &self.groups {
            let due = match g.phase {
                Phase::Any => true,
                Phase::Drive => motion == Motion::Drive,
                Phase::Turn => motion == Motion::Turn,
                Phase::Moving => motion != Motion::Still,
                Phase::Segment => segment,
                Phase::Start => starts,
            };
            let once = matches!(g.phase, Phase::Segment | Phase::Start);
            if !due || (!once && !tick.is_multiple_of(g.every)) {
                continue;
            }
            for &(channel, quantity) in &g.members {
                let i = channel as usize;
                let (Some(&v), Some(b), Some(t)) = (
                    values.get(quantity as usize),
                    self.bounds.get(i),
                    self.tallies.get_mut(i),
                ) else {
                    continue;
                };
                if compare(t, b, v, place) {
                    note(&mut self.excesses, &mut self.warnings, t, b, i, v, place);
                }
            }
        }
    }

    /// Adds a violation that is not the excess of a sample, for instance that the drive cannot go on.
    pub fn add(&mut self, channel: &str, value: f64, limit: f64, place: Place) {
        if let Some(i) = self
            .dictionary
            .channels
            .iter()
            .position(|c| c.name == channel)
        {
            if let Some(t) = self.tallies.get_mut(i) {
                t.violations += 1;
            }
            self.excesses.push(Excess {
                channel: i,
                value,
                limit,
                below: value < limit,
                place,
            });
        }
    }

    /// What each channel has seen.
    #[must_use]
    pub fn tallies(&self) -> &[Tally] {
        &self.tallies
    }

    /// What a channel has seen, by name.
    #[must_use]
    pub fn tally(&self, name: &str) -> Option<&Tally> {
        let i = self
            .dictionary
            .channels
            .iter()
            .position(|c| c.name == name)?;
        self.tallies.get(i)
    }
}

/// Counts a value and tells whether anything about it deserves a second look.
#[inline]
fn compare(t: &mut Tally, b: &Bounds, v: f64, place: Place) -> bool {
    t.samples += 1;
    t.min = t.min.min(v);
    t.max = t.max.max(v);
    t.hard = [t.hard[0].max(b.hard[0]), t.hard[1].min(b.hard[1])];
    t.soft = [t.soft[0].max(b.soft[0]), t.soft[1].min(b.soft[1])];
    let mut margin = (v - b.hard[0]).min(b.hard[1] - v);
    if margin == f64::INFINITY {
        margin = (v - b.soft[0]).min(b.soft[1] - v);
    }
    // Not-a-number is the worst of all.
    if !t.margin.is_nan() && !(margin >= t.margin) {
        (t.margin, t.margin_value, t.margin_place) = (margin, v, place);
    }
    let inside = v >= b.soft[0] && v <= b.soft[1] && v >= b.hard[0] && v <= b.hard[1];
    if inside {
        t.hard_before = false;
        t.soft_before = false;
    }
    !inside
}

/// A value beyond a limit: counted, and noted when it begins an excess.
#[cold]
fn note(
    excesses: &mut Vec<Excess>,
    warnings: &mut Vec<Excess>,
    t: &mut Tally,
    b: &Bounds,
    channel: usize,
    v: f64,
    place: Place,
) {
    let excess = |[lo, hi]: [f64; 2]| {
        let below = !(v >= lo) && lo.is_finite();
        Excess {
            channel,
            value: v,
            limit: if below { lo } else { hi },
            below,
            place,
        }
    };
    if !(v >= b.hard[0] && v <= b.hard[1]) && b.hard.iter().any(|l| l.is_finite()) {
        t.violations += 1;
        if !std::mem::replace(&mut t.hard_before, true) && excesses.len() < MAX_EXCESSES {
            excesses.push(excess(b.hard));
        }
    } else {
        t.hard_before = false;
        t.warnings += 1;
        if !std::mem::replace(&mut t.soft_before, true)
            && t.warnings == 1
            && warnings.len() < MAX_EXCESSES
        {
            warnings.push(excess(b.soft));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::quantities::Catalogue;
    use proptest::prelude::*;

    fn dictionary(bounds: &str) -> Dictionary {
        let text = format!(
            "rules:\n  - {{id: R, category: tilt, text: upright}}\nchannels:\n  - {{name: attitude.tilt_deg, unit: deg, description: tilt, rate_hz: 1, phase: any, rule: R, {bounds}}}\n"
        );
        Dictionary::parse(&[("t.yaml".into(), text)]).unwrap()
    }

    fn feed(l: &mut Ledger, d: &Dictionary, values: &[f64]) {
        let mut all = vec![0.0; Catalogue::all().len()];
        for (k, v) in values.iter().enumerate() {
            all[d.channels[0].quantity] = *v;
            let place = Place {
                x_m: k as f64,
                ..Place::default()
            };
            l.check(&all, Motion::Drive, [false, false], place);
        }
    }

    #[test]
    fn an_excess_is_found_once_and_nan_breaks_limits() {
        let d = dictionary("hard: {max: 25}, soft: {max: 20}");
        let mut l = Ledger::new(&d, 1.0);
        l.set_limits(&[]).unwrap();
        feed(&mut l, &d, &[1.0, 30.0, 31.0, 2.0, f64::NAN, 3.0, 22.0]);
        assert_eq!((l.excesses.len(), l.warnings.len()), (2, 1));
        let t = l.tallies()[0];
        assert_eq!((t.samples, t.violations, t.warnings), (7, 3, 1));
        assert!(t.margin.is_nan() && t.margin_place.x_m == 4.0);
        let mut l = Ledger::new(&d, 1.0);
        l.set_limits(&[]).unwrap();
        feed(&mut l, &d, &[1.0, 19.0, 12.0]);
        assert!((l.tallies()[0].margin - 6.0).abs() < 1e-12);
        assert_eq!(l.tallies()[0].margin_place.x_m, 1.0);
    }

    #[test]
    fn limits_that_contradict_each_other_are_refused() {
        for bounds in [
            "hard: {min: 3, max: 2}",
            "hard: {max: 2}, soft: {max: 3}",
            "hard: {min: 0}, soft: {min: -1}",
            "hard: {max: 0/0}",
        ] {
            let d = dictionary(bounds);
            let said = Ledger::new(&d, 1.0).set_limits(&[]).unwrap_err();
            assert!(said.contains("attitude.tilt_deg"), "{bounds}: {said}");
        }
    }

    #[test]
    fn a_slow_channel_is_looked_at_less_often() {
        let d = dictionary("hard: {max: 25}");
        let slow = {
            let mut d = d.clone();
            d.channels[0].rate_hz = 0.1;
            d
        };
        let mut l = Ledger::new(&slow, 1.0);
        l.set_limits(&[]).unwrap();
        feed(&mut l, &slow, &[0.0; 100]);
        assert_eq!(l.tallies()[0].samples, 10);
    }

    proptest! {
        #[test]
        fn exactly_the_values_beyond_are_counted(values in proptest::collection::vec(-10.0f64..10.0, 1..200), lo in -5.0f64..0.0, hi in 0.0f64..5.0) {
            let d = dictionary(&format!("hard: {{min: \"{}\", max: {hi}}}", format_args!("0 - {}", -lo)));
            let mut l = Ledger::new(&d, 1.0);
            l.set_limits(&[]).unwrap();
            feed(&mut l, &d, &values);
            let beyond = values.iter().filter(|v| **v < lo || **v > hi).count() as u64;
            prop_assert_eq!(l.tallies()[0].violations, beyond);
            let worst = values.iter().map(|v| (v - lo).min(hi - v)).fold(f64::INFINITY, f64::min);
            prop_assert!((l.tallies()[0].margin - worst).abs() < 1e-9);
        }
    }
}
