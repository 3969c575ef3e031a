//! Global planner: labels from a vision-language model, least-cost route, validator, RML-inspired writer.
