//! Images and calibration as they come in, to depth images: pairs them, refuses what is no pair, matches the rest.

use super::{
    GreyImage, Matcher, PairFault, RectifiedPair, StereoParams, check::Exposure, dirt::Dirt,
};
use crate::input::DepthImage;
use sojourn_core::camera::Pinhole;
use std::collections::VecDeque;

/// Images of one eye that wait for the other's at most.
const MAX_WAITING: usize = 12;
/// Largest difference of the two eyes' intrinsics, pixels.
const SAME_PX: f64 = 0.01;

/// Which eye.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Eye {
    /// The left one, whose depth is wanted.
    Left,
    /// The right one.
    Right,
}

/// What the newest pair was like.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Seen {
    /// Exposure of the left and the right image.
    pub exposure: [Exposure; 2],
    /// Share of the left image's pixels that have a depth; 0 when the pair was refused.
    pub matched: f64,
    /// Share of the left and the right image that dirt on the lens takes; none before enough views that differ.
    pub dirt: [Option<f64>; 2],
}

/// The stereo stage before the grid.
pub struct Stage {
    params: StereoParams,
    left: Option<Pinhole>,
    right: Option<(Pinhole, f64)>,
    matcher: Option<Matcher>,
    waiting: [VecDeque<GreyImage>; 2],
    faults: Vec<PairFault>,
    last: Option<[Vec<u8>; 2]>,
    dropped: u64,
    seen: Option<Seen>,
    lenses: [Dirt; 2],
}

impl Stage {
    /// A stage that has seen nothing.
    #[must_use]
    pub fn new(params: StereoParams) -> Self {
        Self {
            params,
            left: None,
            right: None,
            matcher: None,
            waiting: [VecDeque::new(), VecDeque::new()],
            faults: Vec::new(),
            last: None,
            dropped: 0,
            seen: None,
            lenses: <[Dirt; 2]>::default(),
        }
    }

    /// Pairs that were dropped because newer ones were there.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// What the newest pair was like, refused or not.
    #[must_use]
    pub fn seen(&self) -> Option<&Seen> {
        self.seen.as_ref()
    }

    /// Intrinsics of the left eye.
    pub fn left_info(&mut self, camera: Pinhole) {
        self.left = Some(camera);
    }

    /// Intrinsics of the right eye, and how far it stands to the right of the left one, metres.
    pub fn right_info(&mut self, camera: Pinhole, baseline_m: f64) {
        self.right = Some((camera, baseline_m));
    }

    /// An image; it waits for the other eye's.
    pub fn image(&mut self, eye: Eye, image: GreyImage) {
        let queue = &mut self.waiting[usize::from(eye == Eye::Right)];
        if queue.len() >= MAX_WAITING {
            queue.pop_front();
            self.faults.push(PairFault::Stamps);
        }
        queue.push_back(image);
    }

    /// The depth images of all pairs that are complete, oldest first, and why others were refused.
    pub fn tick(&mut self) -> Vec<Result<DepthImage, PairFault>> {
        let mut out: Vec<_> = self.faults.drain(..).map(Err).collect();
        let mut pairs = VecDeque::new();
        loop {
            let [left, right] = &mut self.waiting;
            let (Some(l), Some(r)) = (left.front(), right.front()) else {
                break;
            };
            // Topics keep their order: what is older than the other eye's oldest never gets its partner.
            if l.stamp < r.stamp {
                left.pop_front();
                out.push(Err(PairFault::Stamps));
            } else if r.stamp < l.stamp {
                right.pop_front();
                out.push(Err(PairFault::Stamps));
            } else if let (Some(l), Some(r)) = (left.pop_front(), right.pop_front()) {
                pairs.push_back((l, r));
            }
        }
        while pairs.len() > self.params.pairs_per_tick {
            pairs.pop_front();
            self.dropped += 1;
        }
        for (left, right) in pairs {
            out.push(self.depth(left, right));
        }
        out
    }

    fn depth(&mut self, left: GreyImage, right: GreyImage) -> Result<DepthImage, PairFault> {
        // Noise makes every image of a living detector differ from the last.
        let frozen = self
            .last
            .as_ref()
            .is_some_and(|[l, r]| *l == left.pixels || *r == right.pixels);
        let result = self.match_pair(&left, &right);
        let matched = result.as_ref().map_or(0.0, |d| {
            let there = d.depth_m.iter().filter(|z| z.is_finite()).count();
            there as f64 / d.depth_m.len().max(1) as f64
        });
        let exposure = [Exposure::of(&left), Exposure::of(&right)];
        // A black or white image shows the fault that it is refused for, not its lens.
        if !matches!(result, Err(PairFault::Black | PairFault::White)) {
            for (lens, image) in self.lenses.iter_mut().zip([&left, &right]) {
                lens.look(image);
            }
        }
        self.seen = Some(Seen {
            exposure,
            matched,
            dirt: self.lenses.each_ref().map(Dirt::share),
        });
        self.last = Some([left.pixels, right.pixels]);
        if frozen && result.is_ok() {
            return Err(PairFault::Frozen);
        }
        result
    }

    fn match_pair(&mut self, left: &GreyImage, right: &GreyImage) -> Result<DepthImage, PairFault> {
        let pair = self.calibration()?;
        if self.matcher.as_ref().is_none_or(|m| *m.pair() != pair) {
            self.matcher = Some(Matcher::new(pair, &self.params)?);
        }
        let matcher = self.matcher.as_mut().ok_or(PairFault::Matcher)?;
        let disparity = matcher.step(left, right)?;
        Ok(disparity.into_depth(left.stamp, &pair, &self.params))
    }

    fn calibration(&self) -> Result<RectifiedPair, PairFault> {
        let (Some(l), Some((r, baseline_m))) = (self.left, self.right) else {
            return Err(PairFault::Uncalibrated);
        };
        let apart = [l.fx - r.fx, l.fy - r.fy, l.cx - r.cx, l.cy - r.cy];
        let alike =
            (l.width, l.height) == (r.width, r.height) && apart.iter().all(|d| d.abs() <= SAME_PX);
        if !(alike && baseline_m > 0.0 && baseline_m.is_finite()) {
            return Err(PairFault::Contradiction);
        }
        Ok(RectifiedPair {
            camera: l,
            baseline_m,
        })
    }
}
