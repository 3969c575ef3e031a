//! The digital twin: world, rover, soil, sensors, telemetry channels; verifies plans and simulates drives.
