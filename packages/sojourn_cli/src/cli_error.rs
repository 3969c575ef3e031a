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
            let words = one_line(&cause.to_string());
            if text.is_empty() {
                text = words;
            } else if !text.contains(&words) {
                text = format!("{text}: {words}");
            }
        }
        Self::Failed(text)
    }
}

/// Longest message of one cause; a parser may quote a whole file.
const LONGEST: usize = 400;

/// A message without line ends, cut where it becomes unreadable.
fn one_line(text: &str) -> String {
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if words.chars().count() <= LONGEST {
        return words;
    }
    let half = LONGEST / 2;
    let head: String = words.chars().take(half).collect();
    let skipped = words.chars().count() - half;
    let tail: String = words.chars().skip(skipped).collect();
    format!("{head} … {tail}")
}

/// What clap says of a wrong command line, without its page of usage.
#[must_use]
pub fn one_sentence(text: &str) -> String {
    let said = text
        .split("\n\nUsage:")
        .next()
        .and_then(|t| t.split("\n\nFor more").next())
        .unwrap_or(text);
    format!("{} (--help tells the options)", one_line(said))
}

/// What every command returns.
pub type CliResult = Result<(), CliError>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_command_line_is_one_sentence() {
        let said =
            one_sentence("error: missing:\n  --goal <PLACE>\n\nUsage: sojourn demo\n\nFor more");
        assert_eq!(
            said,
            "error: missing: --goal <PLACE> (--help tells the options)"
        );
        let long = one_line(&"x ".repeat(5000));
        assert!(long.len() < 500, "{}", long.len());
    }

    #[test]
    fn causes_are_told_once_and_in_one_line() {
        let e = anyhow::anyhow!("disk\nfull").context("writing a.json");
        let e = CliError::from(e);
        assert_eq!(e.to_string(), "writing a.json: disk full");
        assert_eq!((e.code(), CliError::Interrupted.code()), (1, 130));
    }
}
