//! What a person sees while the demo works: bars on a terminal, plain lines elsewhere. All on standard error.

use indicatif::{ProgressBar, ProgressStyle};
use std::io::IsTerminal;
use std::time::{Duration, Instant};

/// Without a terminal, a line at least this often while the rover drives.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// Shows how far the demo is.
pub struct Progress {
    begin: Instant,
    bar: Option<ProgressBar>,
    terminal: bool,
    last_line: Option<Instant>,
    planned_m: f64,
}

impl Default for Progress {
    fn default() -> Self {
        Self {
            begin: Instant::now(),
            bar: None,
            terminal: std::io::stderr().is_terminal(),
            last_line: None,
            planned_m: 0.0,
        }
    }
}

impl Progress {
    /// Begins a stage; the one before is done.
    pub fn stage(&mut self, words: &str) {
        self.finish();
        if self.terminal {
            let bar = ProgressBar::new_spinner();
            if let Ok(style) = ProgressStyle::with_template("{elapsed:>4} {spinner} {msg}") {
                bar.set_style(style);
            }
            bar.set_message(words.to_string());
            bar.enable_steady_tick(Duration::from_millis(120));
            self.bar = Some(bar);
        } else {
            self.say(&format!("{words} …"));
        }
    }

    /// Says a line above the bar.
    pub fn say(&self, words: &str) {
        let line = format!("[{:6.1} s] {words}", self.begin.elapsed().as_secs_f64());
        match &self.bar {
            Some(bar) => bar.suspend(|| eprintln!("{line}")),
            None => eprintln!("{line}"),
        }
    }

    /// Begins the drive.
    pub fn drive(&mut self, planned_m: f64) {
        self.finish();
        self.planned_m = planned_m;
        if self.terminal {
            let bar = ProgressBar::new(metres(planned_m));
            if let Ok(style) = ProgressStyle::with_template(
                "{elapsed:>4} driving [{bar:40}] {pos} of {len} m  {msg}",
            ) {
                bar.set_style(style.progress_chars("=> "));
            }
            self.bar = Some(bar);
        } else {
            self.say(&format!("driving {planned_m:.0} m …"));
        }
    }

    /// Metres driven.
    pub fn driven(&mut self, driven_m: f64, words: &str) {
        if let Some(bar) = &self.bar {
            bar.set_position(metres(driven_m));
            bar.set_message(words.to_string());
        } else if self.last_line.is_none_or(|t| t.elapsed() >= LINE_EVERY) {
            self.last_line = Some(Instant::now());
            self.say(&format!(
                "driven {driven_m:.1} m of {:.1} m; {words}",
                self.planned_m
            ));
        }
    }

    /// Takes the bar away.
    pub fn finish(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }

    /// Wall time since the beginning, seconds.
    #[must_use]
    pub fn elapsed_s(&self) -> f64 {
        self.begin.elapsed().as_secs_f64()
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.finish();
    }
}

fn metres(m: f64) -> u64 {
    if m.is_finite() && m > 0.0 {
        m.round() as u64
    } else {
        0
    }
}
