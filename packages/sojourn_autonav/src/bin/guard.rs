//! The node `guard`.
fn main() {}
