//! A tree of coordinate frames with short histories: what tf2's buffer is elsewhere. Pure.

use crate::Refused;
use nalgebra::{Isometry3, UnitQuaternion};
use sojourn_core::Stamp;
use std::collections::{BTreeMap, VecDeque};

/// Longest chain between two frames.
const MAX_DEPTH: usize = 32;

#[derive(Debug)]
struct Edge {
    parent: String,
    fixed: bool,
    // Ordered by stamp: parent from child.
    history: VecDeque<(Stamp, Isometry3<f64>)>,
}

/// Frames, each with its parent and where it has been.
#[derive(Debug)]
pub struct FrameTree {
    edges: BTreeMap<String, Edge>,
    keep_s: f64,
    /// Transforms that were refused: not a number, a loop, or a second parent.
    pub refused: u64,
    /// Look-ups that found no answer.
    pub missed: u64,
}

impl FrameTree {
    /// Keeps this many seconds of each moving frame.
    #[must_use]
    pub fn new(keep_s: f64) -> Self {
        Self {
            edges: BTreeMap::new(),
            keep_s,
            refused: 0,
            missed: 0,
        }
    }

    /// A frame's place in its parent. `fixed`: from `/tf_static`, true for all time.
    ///
    /// # Errors
    /// Not a finite number, a frame under itself, or another parent than before.
    pub fn insert(
        &mut self,
        parent: &str,
        child: &str,
        stamp: Stamp,
        parent_from_child: Isometry3<f64>,
        fixed: bool,
    ) -> Result<(), Refused> {
        let outcome = self.check(parent, child, &parent_from_child);
        if outcome.is_err() {
            self.refused += 1;
            return outcome;
        }
        let keep_s = self.keep_s;
        let edge = self.edges.entry(child.to_string()).or_insert_with(|| Edge {
            parent: parent.to_string(),
            fixed,
            history: VecDeque::new(),
        });
        if fixed {
            edge.fixed = true;
            edge.history.clear();
        }
        let at = edge.history.partition_point(|(s, _)| *s < stamp);
        match edge.history.get_mut(at) {
            Some(same) if same.0 == stamp => same.1 = parent_from_child,
            _ => edge.history.insert(at, (stamp, parent_from_child)),
        }
        while let (Some(first), Some(last)) = (edge.history.front(), edge.history.back())
            && last.0.since(first.0) > keep_s
        {
            edge.history.pop_front();
        }
        Ok(())
    }

    fn check(&self, parent: &str, child: &str, iso: &Isometry3<f64>) -> Result<(), Refused> {
        let finite = iso
            .translation
            .vector
            .iter()
            .chain(iso.rotation.coords.iter())
            .all(|v| v.is_finite());
        if !finite {
            return Err(Refused(format!(
                "transform {parent} from {child} is not a number"
            )));
        }
        if parent == child || self.chain(parent).iter().any(|f| f == child) {
            return Err(Refused(format!("frame {child} would hang under itself")));
        }
        match self.edges.get(child) {
            Some(edge) if edge.parent != parent => Err(Refused(format!(
                "frame {child} hangs under {}, and {parent} claims it too",
                edge.parent
            ))),
            _ => Ok(()),
        }
    }

    fn chain(&self, frame: &str) -> Vec<String> {
        let mut all = vec![frame.to_string()];
        let mut at = frame;
        while let Some(edge) = self.edges.get(at)
            && all.len() < MAX_DEPTH
        {
            all.push(edge.parent.clone());
            at = &edge.parent;
        }
        all
    }

    fn parent_from_child_at(&self, child: &str, stamp: Stamp) -> Result<Isometry3<f64>, Refused> {
        let edge = self
            .edges
            .get(child)
            .ok_or_else(|| Refused(format!("frame {child} is not known")))?;
        let missing = || Refused(format!("frame {child} has no place yet"));
        if edge.fixed {
            return edge.history.back().map(|(_, iso)| *iso).ok_or_else(missing);
        }
        let (first, last) = edge
            .history
            .front()
            .zip(edge.history.back())
            .ok_or_else(missing)?;
        if stamp < first.0 || stamp > last.0 {
            return Err(Refused(format!(
                "frame {child} is known from {:.3} s to {:.3} s, asked for {:.3} s",
                first.0.as_secs(),
                last.0.as_secs(),
                stamp.as_secs()
            )));
        }
        let at = edge.history.partition_point(|(s, _)| *s < stamp);
        let after = edge.history.get(at).unwrap_or(last);
        let before = at
            .checked_sub(1)
            .and_then(|i| edge.history.get(i))
            .unwrap_or(after);
        let span_s = after.0.since(before.0);
        let part = if span_s > 0.0 {
            stamp.since(before.0) / span_s
        } else {
            1.0
        };
        let rotation = before
            .1
            .rotation
            .try_slerp(&after.1.rotation, part, 1e-9)
            .unwrap_or(after.1.rotation);
        // Between rotations that hardly differ the weights are quotients of small sines; their error must not stretch.
        let rotation = UnitQuaternion::new_normalize(rotation.into_inner());
        let translation = before
            .1
            .translation
            .vector
            .lerp(&after.1.translation.vector, part);
        Ok(Isometry3::from_parts(translation.into(), rotation))
    }

    /// Target from source at a stamp, interpolated.
    ///
    /// # Errors
    /// A frame is unknown, the two are not connected, or the stamp lies outside what is kept.
    pub fn lookup(
        &mut self,
        target: &str,
        source: &str,
        stamp: Stamp,
    ) -> Result<Isometry3<f64>, Refused> {
        let outcome = self.find(target, source, stamp);
        self.missed += u64::from(outcome.is_err());
        outcome
    }

    fn find(&self, target: &str, source: &str, stamp: Stamp) -> Result<Isometry3<f64>, Refused> {
        let (up_target, up_source) = (self.chain(target), self.chain(source));
        let common = up_source
            .iter()
            .find(|f| up_target.contains(f))
            .ok_or_else(|| Refused(format!("frames {target} and {source} are not connected")))?;
        let climb = |chain: &[String]| -> Result<Isometry3<f64>, Refused> {
            let mut common_from_frame = Isometry3::identity();
            for frame in chain.iter().take_while(|f| *f != common) {
                common_from_frame = self.parent_from_child_at(frame, stamp)? * common_from_frame;
            }
            Ok(common_from_frame)
        };
        Ok(climb(&up_target)?.inverse() * climb(&up_source)?)
    }

    /// Stamp of the newest place of a frame in its parent.
    #[must_use]
    pub fn newest(&self, child: &str) -> Option<Stamp> {
        self.edges.get(child)?.history.back().map(|(s, _)| *s)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nalgebra::{Translation3, UnitQuaternion};
    use proptest::prelude::*;

    fn at(s: f64) -> Stamp {
        Stamp::from_secs(s)
    }

    fn shift(x: f64) -> Isometry3<f64> {
        Isometry3::translation(x, 0.0, 0.0)
    }

    fn tree() -> FrameTree {
        let mut tree = FrameTree::new(10.0);
        tree.insert("map", "odom", at(1.0), shift(100.0), false)
            .unwrap();
        tree.insert("map", "odom", at(2.0), shift(100.0), false)
            .unwrap();
        tree.insert("odom", "base_link", at(1.0), shift(1.0), false)
            .unwrap();
        tree.insert("odom", "base_link", at(2.0), shift(2.0), false)
            .unwrap();
        tree.insert("base_link", "camera", at(0.0), shift(0.5), true)
            .unwrap();
        tree
    }

    #[test]
    fn interpolates_along_the_chain_both_ways() {
        let mut tree = tree();
        let map_from_camera = tree.lookup("map", "camera", at(1.5)).unwrap();
        assert!((map_from_camera.translation.x - 102.0).abs() < 1e-12);
        let camera_from_map = tree.lookup("camera", "map", at(1.5)).unwrap();
        assert!(
            (camera_from_map * map_from_camera)
                .translation
                .vector
                .norm()
                < 1e-12
        );
    }

    #[test]
    fn neither_past_nor_future_is_invented() {
        let mut tree = tree();
        assert!(
            tree.lookup("map", "base_link", at(2.1))
                .unwrap_err()
                .0
                .contains("2.100")
        );
        assert!(tree.lookup("map", "base_link", at(0.9)).is_err());
        assert!(
            tree.lookup("map", "mars", at(1.5))
                .unwrap_err()
                .0
                .contains("not connected")
        );
        assert_eq!(tree.missed, 3);
    }

    #[test]
    fn loops_second_parents_and_not_a_number_are_refused() {
        let mut tree = tree();
        assert!(
            tree.insert("camera", "map", at(1.0), shift(0.0), false)
                .is_err()
        );
        assert!(
            tree.insert("map", "camera", at(1.0), shift(0.0), false)
                .unwrap_err()
                .0
                .contains("base_link")
        );
        assert!(
            tree.insert("map", "odom", at(3.0), shift(f64::NAN), false)
                .is_err()
        );
        assert_eq!(tree.refused, 3);
    }

    #[test]
    fn old_places_are_forgotten() {
        let mut tree = FrameTree::new(1.0);
        for i in 0..100 {
            tree.insert("a", "b", at(f64::from(i) * 0.1), shift(0.0), false)
                .unwrap();
        }
        assert!(tree.lookup("a", "b", at(5.0)).is_err());
        assert!(tree.lookup("a", "b", at(9.5)).is_ok());
    }

    proptest! {
        #[test]
        fn there_and_back_is_nowhere(x in -1e3..1e3, yaw in -3.0..3.0, t in 1.0..2.0) {
            let mut tree = FrameTree::new(10.0);
            let iso = |x: f64, yaw| Isometry3::from_parts(
                Translation3::new(x, -x, 0.1), UnitQuaternion::from_euler_angles(0.0, 0.0, yaw));
            tree.insert("a", "b", at(1.0), iso(x, yaw), false).unwrap();
            tree.insert("a", "b", at(2.0), iso(-x, 0.5 * yaw), false).unwrap();
            tree.insert("b", "c", at(0.0), iso(1.0, 1.0), true).unwrap();
            let there = tree.lookup("a", "c", at(t)).unwrap();
            let back = tree.lookup("c", "a", at(t)).unwrap();
            prop_assert!(((there * back).translation.vector).norm() < 1e-9);
        }
    }
}
