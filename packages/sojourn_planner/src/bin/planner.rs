//! The node `planner`.
fn main() {}
