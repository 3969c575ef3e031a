//! The terminal side of a launch: every line with the name of its process in front.

use super::{
    eval::Launch,
    run::{Sink, Stream},
};
use std::io::{IsTerminal, Write};
use std::sync::Arc;

/// Colours that read well on dark and light ground.
const COLOURS: [u8; 6] = [36, 33, 32, 35, 34, 31];

/// A sink that prints to this process' own output and error stream.
#[must_use]
pub fn to_terminal(launch: &Launch) -> Sink {
    let labels: Vec<String> = launch.processes.iter().map(|p| p.label.clone()).collect();
    let width = labels.iter().map(String::len).max().unwrap_or(0);
    let colour = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    Arc::new(move |label, stream, line| {
        let text = prefixed(&labels, width, colour, label, line);
        // Whoever reads may have gone; the processes go on.
        let _ = match stream {
            Stream::Out => writeln!(std::io::stdout().lock(), "{text}"),
            Stream::Err => writeln!(std::io::stderr().lock(), "{text}"),
        };
    })
}

fn prefixed(labels: &[String], width: usize, colour: bool, label: &str, line: &str) -> String {
    if colour {
        let i = labels.iter().position(|l| l == label).unwrap_or(0);
        let c = COLOURS.get(i % COLOURS.len()).copied().unwrap_or(36);
        format!("\x1b[{c}m{label:width$}\x1b[0m | {line}")
    } else {
        format!("{label:width$} | {line}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stand_in_one_column() {
        let labels = ["a".to_string(), "long".to_string()];
        assert_eq!(prefixed(&labels, 4, false, "a", "x"), "a    | x");
        assert!(prefixed(&labels, 4, true, "long", "x").starts_with("\x1b[33mlong"));
    }
}
