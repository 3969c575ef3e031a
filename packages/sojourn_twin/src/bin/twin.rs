//! The node `twin`.
fn main() {}
