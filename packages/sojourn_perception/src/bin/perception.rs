//! The node `perception`.
fn main() {}
