//! The node `base`.
fn main() {}
