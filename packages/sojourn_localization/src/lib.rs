//! Wheel and IMU odometry: where the rover believes it is.
