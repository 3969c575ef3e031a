//! The node `ground`.
fn main() {}
