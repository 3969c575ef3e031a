//! Shards of a sweep as a job array of Slurm.
//!
//! One `sbatch --array` runs the command line itself once per shard; all tasks write their journals into one folder that
//! every node sees. The array's state is read from `squeue`, so no accounting database is needed; whether all runs were
//! done is told by the journals.

use crate::SweepError;
use sojourn_core::CoreError;
use std::{
    path::PathBuf,
    process::{Command, Stdio},
};

/// What is submitted.
#[derive(Clone, Debug)]
pub struct Job {
    /// The command line `sojourn`.
    pub program: PathBuf,
    /// The sweep's file.
    pub config: PathBuf,
    /// Folder for journals, table and logs.
    pub out: PathBuf,
    /// Tasks of the array.
    pub shards: u64,
}

/// A submitted array.
#[derive(Debug)]
pub struct Array {
    id: String,
    polls_without: u32,
}

impl Job {
    /// The batch script: one task is one shard on one core. Safe to run again.
    #[must_use]
    pub fn script(&self) -> String {
        let quoted = |p: &PathBuf| format!("'{}'", p.display().to_string().replace('\'', r"'\''"));
        format!(
            "#!/bin/sh\nexec {} sweep --config {} --out {} --shard \"$SLURM_ARRAY_TASK_ID/{}\" --workers 1 --resume\n",
            quoted(&self.program),
            quoted(&self.config),
            quoted(&self.out),
            self.shards
        )
    }

    /// Submits the array.
    ///
    /// # Errors
    /// [`SweepError::Core`] when `sbatch` is not there or refuses.
    pub fn submit(&self) -> Result<Array, SweepError> {
        let script = self.out.join("slurm.sh");
        sojourn_core::files::write_atomic(&script, self.script().as_bytes())?;
        let mut sbatch = Command::new("sbatch");
        sbatch
            .arg("--parsable")
            .arg("--job-name=sojourn-sweep")
            .arg(format!("--array=1-{}", self.shards))
            .arg("--cpus-per-task=1")
            .arg("--ntasks=1")
            .arg(format!("--chdir={}", self.out.display()))
            .arg(format!(
                "--output={}",
                self.out.join("slurm-%A_%a.log").display()
            ))
            .arg(&script);
        let said = answer(&mut sbatch, "sbatch")?;
        // "id" or "id;cluster"
        let id = said
            .trim()
            .split(';')
            .next()
            .unwrap_or_default()
            .to_string();
        if id.is_empty() || !id.bytes().all(|b| b.is_ascii_digit()) {
            return Err(
                CoreError::value("sbatch", "the job's number", said.trim(), "digits").into(),
            );
        }
        Ok(Array {
            id,
            polls_without: 0,
        })
    }
}

impl Array {
    /// The job's number.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Whether no task is waiting or running any more.
    ///
    /// # Errors
    /// [`SweepError::Core`] when `squeue` fails several times in a row.
    pub fn is_over(&mut self) -> Result<bool, SweepError> {
        let mut squeue = Command::new("squeue");
        squeue.args(["--noheader", "--jobs", &self.id, "--format=%i %T"]);
        match answer(&mut squeue, "squeue") {
            Ok(said) => {
                self.polls_without = 0;
                Ok(said.trim().is_empty())
            }
            // A job that is gone from the controller's memory is "invalid" to it.
            Err(e) if e.to_string().contains("Invalid job id") => Ok(true),
            Err(e) => {
                self.polls_without += 1;
                if self.polls_without > 10 {
                    return Err(e);
                }
                Ok(false)
            }
        }
    }

    /// Cancels every task.
    ///
    /// # Errors
    /// [`SweepError::Core`] when `scancel` fails.
    pub fn cancel(&mut self) -> Result<(), SweepError> {
        answer(Command::new("scancel").arg(&self.id), "scancel").map(|_| ())
    }
}

/// Runs a program and returns what it said.
fn answer(command: &mut Command, name: &str) -> Result<String, SweepError> {
    let out = command.stdin(Stdio::null()).output().map_err(|e| {
        CoreError::format(name, format!("cannot be run ({e}): is Slurm installed?"))
    })?;
    if !out.status.success() {
        let words = String::from_utf8_lossy(&out.stderr);
        let words = words.split_whitespace().collect::<Vec<_>>().join(" ");
        return Err(CoreError::format(name, format!("failed ({}): {words}", out.status)).into());
    }
    Ok(String::from_utf8_lossy(&out.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_with_blanks_and_quotes_stay_one_word() {
        let job = Job {
            program: "/opt/so journ".into(),
            config: "/a/it's.yaml".into(),
            out: "/b".into(),
            shards: 7,
        };
        let script = job.script();
        assert!(script.contains("exec '/opt/so journ' sweep"), "{script}");
        assert!(script.contains(r"'/a/it'\''s.yaml'"), "{script}");
        assert!(script.contains("\"$SLURM_ARRAY_TASK_ID/7\""), "{script}");
    }
}
