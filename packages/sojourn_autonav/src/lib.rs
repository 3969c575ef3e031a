//! Local planner with a clearance check by exact settling, and the guard of the hard limits.
