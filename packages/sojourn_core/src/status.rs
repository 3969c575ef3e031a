//! How a drive stands and what AutoNav does, with the numbers that go over the wire.

/// State of a drive, with the numbers of `sojourn_msgs/DriveStatus`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum DriveState {
    /// No bundle.
    #[default]
    Idle = 0,
    /// A bundle is accepted.
    Ready = 1,
    /// On the way, or about to be.
    Driving = 2,
    /// At the goal, by the rover's own estimate.
    Reached = 3,
    /// Stopped on the way for safety.
    Stopped = 4,
    /// Given up because the executive itself cannot go on.
    Aborted = 5,
    /// Stopped by whoever ordered the drive.
    Cancelled = 6,
}

impl DriveState {
    /// All states, in the order of their numbers.
    pub const ALL: [Self; 7] = [
        Self::Idle,
        Self::Ready,
        Self::Driving,
        Self::Reached,
        Self::Stopped,
        Self::Aborted,
        Self::Cancelled,
    ];

    /// The name in documents and messages.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Idle => "IDLE",
            Self::Ready => "READY",
            Self::Driving => "DRIVING",
            Self::Reached => "REACHED",
            Self::Stopped => "STOPPED",
            Self::Aborted => "ABORTED",
            Self::Cancelled => "CANCELLED",
        }
    }

    /// From the number in a message; `None` for a number that is no state.
    #[must_use]
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|s| *s as u8 == number)
    }

    /// Whether a drive has ended in this state.
    #[must_use]
    pub fn is_end(self) -> bool {
        matches!(
            self,
            Self::Reached | Self::Stopped | Self::Aborted | Self::Cancelled
        )
    }
}

/// What AutoNav does, with the numbers of `sojourn_msgs/AutonavStatus`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum AutonavState {
    /// No goal, or nothing heard yet.
    Idle = 0,
    /// Following a path, also backward, or about to.
    Driving = 1,
    /// Turning in place.
    Turning = 2,
    /// Stopped for the stated reason.
    Stopped = 3,
    /// At the waypoint.
    Goal = 4,
}

impl AutonavState {
    /// All states, in the order of their numbers.
    pub const ALL: [Self; 5] = [
        Self::Idle,
        Self::Driving,
        Self::Turning,
        Self::Stopped,
        Self::Goal,
    ];

    /// From the number in a message; `None` for a number that is no state.
    #[must_use]
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|s| *s as u8 == number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_the_messages() {
        for (number, state) in (0u8..).zip(DriveState::ALL) {
            assert_eq!(state as u8, number);
            assert_eq!(DriveState::from_number(number), Some(state));
        }
        for (number, state) in (0u8..).zip(AutonavState::ALL) {
            assert_eq!(AutonavState::from_number(number), Some(state));
        }
        assert_eq!(DriveState::from_number(7), None);
        assert_eq!(AutonavState::from_number(255), None);
    }
}
