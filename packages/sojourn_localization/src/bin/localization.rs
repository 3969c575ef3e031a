//! The node `localization`.
fn main() {}
