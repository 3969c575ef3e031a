//! Bundles, signatures, the gate, the drive state machine and the link between ground and rover.
