//! Tables of numbers in text files: comma or blank separated, with errors that name file and line.

use sojourn_core::{CoreError, files::read_text};
use std::path::Path;

/// Largest table that is read, bytes.
pub const MOST_BYTES: u64 = 1 << 30;

/// A line of a table.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// Its number in the file, from 1.
    pub number: usize,
    /// The words of it.
    pub words: Vec<String>,
}

/// A table.
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    /// The file.
    pub what: String,
    /// Its lines; empty ones and those that begin with `#` or `%` are left out.
    pub lines: Vec<Line>,
}

impl Table {
    /// Reads a file.
    ///
    /// # Errors
    /// [`CoreError`] that names it.
    pub fn read(path: &Path) -> Result<Self, CoreError> {
        let text = read_text(path, MOST_BYTES)?;
        Ok(Self::parse(&path.display().to_string(), &text))
    }

    /// Takes text.
    #[must_use]
    pub fn parse(what: &str, text: &str) -> Self {
        let lines = text.lines().enumerate().filter_map(|(k, line)| {
            let line = line.trim();
            let kept = !line.is_empty() && !line.starts_with(['#', '%']);
            kept.then(|| Line {
                number: k + 1,
                words: split(line),
            })
        });
        Self {
            what: what.to_string(),
            lines: lines.collect(),
        }
    }

    /// Takes the first line off, which must be this header.
    ///
    /// # Errors
    /// [`CoreError::Format`] when it is another.
    pub fn header(&mut self, expected: &[&str]) -> Result<(), CoreError> {
        let found = self.lines.first().map(|l| l.words.clone());
        if found.as_ref().is_some_and(|f| f.as_slice() == expected) {
            self.lines.remove(0);
            return Ok(());
        }
        Err(CoreError::format(
            &self.what,
            format!(
                "begins with {:?}, expected the header {}",
                found.unwrap_or_default().join(","),
                expected.join(",")
            ),
        ))
    }

    /// The numbers of a line from a column on.
    ///
    /// # Errors
    /// [`CoreError::Format`] when there are not as many or one is not finite.
    pub fn numbers<const N: usize>(&self, line: &Line, from: usize) -> Result<[f64; N], CoreError> {
        let mut out = [0.0; N];
        for (k, value) in out.iter_mut().enumerate() {
            let word = line.words.get(from + k).ok_or_else(|| {
                self.wrong(
                    line,
                    &format!("has {} columns, expected {}", line.words.len(), from + N),
                )
            })?;
            *value = word
                .parse()
                .ok()
                .filter(|v: &f64| v.is_finite())
                .ok_or_else(|| {
                    self.wrong(
                        line,
                        &format!("column {} is {word:?}, expected a number", from + k + 1),
                    )
                })?;
        }
        Ok(out)
    }

    /// An error of a line.
    #[must_use]
    pub fn wrong(&self, line: &Line, why: &str) -> CoreError {
        CoreError::format(&self.what, format!("line {} {why}", line.number))
    }

    /// The table must hold something.
    ///
    /// # Errors
    /// [`CoreError::Format`] when it does not.
    pub fn not_empty(self) -> Result<Self, CoreError> {
        if self.lines.is_empty() {
            return Err(CoreError::format(self.what, "holds no data"));
        }
        Ok(self)
    }
}

fn split(line: &str) -> Vec<String> {
    let words: Vec<String> = if line.contains(',') {
        line.split(',').map(|w| w.trim().to_string()).collect()
    } else {
        line.split_whitespace().map(str::to_string).collect()
    };
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn wrong_lines_are_named() {
        let mut t = Table::parse("a.csv", "t, x\n# note\n1, 2\n3, nan\n4\n");
        t.header(&["t", "x"]).unwrap();
        assert_eq!(t.numbers::<2>(&t.lines[0], 0).unwrap(), [1.0, 2.0]);
        let why = t.numbers::<2>(&t.lines[1], 0).unwrap_err().to_string();
        assert!(
            why.contains("a.csv") && why.contains("line 4") && why.contains("\"nan\""),
            "{why}"
        );
        let why = t.numbers::<2>(&t.lines[2], 0).unwrap_err().to_string();
        assert!(why.contains("line 5 has 1 columns"), "{why}");
        let why = t.header(&["t"]).unwrap_err().to_string();
        assert!(why.contains("expected the header t"), "{why}");
        assert!(Table::parse("b", " \n# x\n").not_empty().is_err());
    }

    proptest! {
        #[test]
        fn rubbish_is_an_error_and_no_more(text in "[0-9a-z,. \\n#%-]{0,200}") {
            let t = Table::parse("f", &text);
            for line in &t.lines {
                let _ = t.numbers::<3>(line, 1);
            }
        }
    }
}
