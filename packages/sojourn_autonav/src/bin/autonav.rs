//! The node `autonav`.
fn main() {}
