//! The node `simulator`.
fn main() {}
