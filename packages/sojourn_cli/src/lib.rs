//! What the command `sojourn` is made of.
