//! The node `executive`.
fn main() {}
