//! Places to try the fix against the orbital map at, and pictures of it.

pub mod draw;
pub mod sites;
