//! Terramechanics: what the ground gives to wheels.
//!
//! [`wheel`] holds the integrals of one wheel on one soil, [`table`] the same as a look-up, [`loads`] the share of the
//! weight on each wheel, [`dynamics`] the balance of the whole rover,
//! [`climb`] what comes of it on slopes beside what rovers measured. The soils are those of [`sojourn_core::soil`].

pub mod climb;
pub mod dynamics;
pub mod loads;
pub mod table;
pub mod wheel;

pub use dynamics::{Dynamics, Tracks, Traction, WheelContact};
pub use table::WheelTable;
pub use wheel::{Contact, contact};

#[cfg(test)]
mod tests;
