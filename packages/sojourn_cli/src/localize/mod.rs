//! Recorded data through the cores of localization, without ROS: readers of recordings, the replay, the comparison.

pub mod bag;
pub mod folder;
pub mod katwijk;
pub mod kitti;
pub mod madmax;
pub mod messages;
pub mod picture;
pub mod recorded;
pub mod replay;
pub mod sequence;
pub mod table;
pub mod writer;

#[cfg(test)]
mod bag_tests;
#[cfg(test)]
mod made;
#[cfg(test)]
mod tests;
