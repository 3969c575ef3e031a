//! From depth images to the local terrain grid.
