//! The lower end: velocity commands to drives and steers, wheel odometry.
