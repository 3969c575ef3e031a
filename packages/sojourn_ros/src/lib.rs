//! The shell kit of the nodes: parameters, ticks, QoS, conversions, signals, transforms and diagnostics on top of r2r.
