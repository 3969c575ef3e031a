//! The vocabulary of the suite: frames, stamps, rasters, sites, rovers, settling, plans, limits and the table of topics.
