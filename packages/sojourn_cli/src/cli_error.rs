//! How a command ends when it does not end well.

/// Exit codes: 0 well, 1 [`CliError::Failed`], 2 [`CliError::Usage`], 3 [`CliError::Rejected`], 130
/// [`CliError::Interrupted`].
#[derive(Debug)]
pub enum CliError {
    /// Something is wrong; one sentence.
    Failed(String),
    /// The command line is wrong; one sentence.
    Usage(String),
    /// The verification says no; one sentence.
    Rejected(String),
    /// A person said stop.
    Interrupted,
}

impl CliError {
    /// The exit code.
    #[must_use]
    pub fn code(&self) -> u8 {
        match self {
            Self::Failed(_) => 1,
            Self::Usage(_) => 2,
            Self::Rejected(_) => 3,
            Self::Interrupted => 130,
        }
    }
}

impl std::fmt::Display for CliError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Failed(s) | Self::Usage(s) | Self::Rejected(s) => f.write_str(s),
            Self::Interrupted => f.write_str("interrupted"),
        }
    }
}

impl<E: Into<anyhow::Error>> From<E> for CliError {
    fn from(e: E) -> Self {
        // The causes belong to the sentence; line ends do not.
        let mut text = String::new();
        for cause in e.into().chain() {
            let words = cause.to_string().split_whitespace().collect::<Vec<_>>().join(" ");
            if text.is_empty() {
                text = words;
            } else if !text.contains(&words) {
                text = format!("{text}: {words}");
            }
        }
        Self::Failed(text)
    }
}

/// What every command returns.
pub type CliResult = Result<(), CliError>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_are_told_once_and_in_one_line() {
        let e = anyhow::anyhow!("disk\nfull").context("writing a.json");
        let e = CliError::from(e);
        assert_eq!(e.to_string(), "writing a.json: disk full");
        assert_eq!((e.code(), CliError::Interrupted.code()), (1, 130));
    }
}
