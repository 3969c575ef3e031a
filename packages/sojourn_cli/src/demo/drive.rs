//! Starts the nodes of a drive, follows it to its end, and ends them again.

use super::{domain::Domain, folder::Folder, progress::Progress};
use crate::cli_error::CliError;
use crate::commands::gate;
use crate::launch::{
    eval::Launch,
    places::Places,
    run::{Ended, Interrupts, Sink, Stream, Supervisor},
};
use sojourn_core::{conduct::Event, files, plan::Plan, report::Report};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::process::ChildStdin;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// The node that conducts the drive.
const GROUND: &str = "ground";
/// How an MCAP file begins and ends.
const MCAP_MAGIC: &[u8; 8] = b"\x89MCAP0\r\n";
/// How long the ground may take to end after its last event.
const AFTERWARDS: Duration = Duration::from_secs(20);

/// How a drive ended.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// By the executive's own estimate.
    pub reached: bool,
    /// State of the drive.
    pub state: String,
    /// Why.
    pub reason: String,
    /// Way driven by the rover's own estimate, metres.
    pub driven_m: f64,
    /// Distance to the goal by the rover's own estimate, metres.
    pub goal_error_m: Option<f64>,
    /// Names in the ROS graph.
    pub nodes: BTreeSet<String>,
    /// Wall time from the order to drive to its end, seconds.
    pub drive_wall_s: f64,
}

/// A drive about to be made.
pub struct Drive<'a> {
    /// The nodes.
    pub launch: &'a Launch,
    /// Where executables are.
    pub places: &'a Places,
    /// The ROS domain.
    pub domain: &'a Domain,
    /// The run folder.
    pub folder: &'a Folder,
    /// A person's Ctrl-C.
    pub interrupts: &'a Interrupts,
    /// Approve without asking.
    pub yes: bool,
    /// Length expected of the plan, metres.
    pub planned_m: f64,
}

/// What the loop below keeps.
#[derive(Default)]
struct State {
    outcome: Option<Outcome>,
    nodes: BTreeSet<String>,
    error: Option<String>,
    rejected: Option<String>,
    refused: bool,
    driving_since: Option<Instant>,
    drive_wall_s: f64,
}

impl Drive<'_> {
    /// Makes the drive.
    ///
    /// # Errors
    /// [`CliError`] when it does not come to an end of its own; everything that was started is ended then too.
    pub fn run(&self, progress: &mut Progress) -> Result<Outcome, CliError> {
        progress.stage(&format!("starting {} nodes", self.launch.processes.len()));
        let (sink, lines) = self.logs()?;
        let mut places = self.places.clone();
        places.ros_env.extend(self.domain.env.clone());
        let mut supervisor = Supervisor::new(sink);
        let mut inputs = supervisor.start_all(self.launch, &places, &[GROUND])?;
        let mut input = inputs.pop().map(|(_, input)| input);
        let mut state = State::default();
        let followed = self.follow(&mut supervisor, &lines, &mut input, &mut state, progress);
        progress.finish();
        let asked = self.interrupts.count();
        let hurried = || self.interrupts.count() > asked.max(1);
        progress.stage("ending the nodes");
        let ended = supervisor.shutdown(&hurried);
        followed?;
        if let Some(reason) = state.rejected {
            return Err(CliError::Rejected(format!(
                "the twin rejected the plan: {reason}; see {}",
                self.folder.join("verification.json").display()
            )));
        }
        if state.refused {
            return Err(CliError::Failed("not approved; nothing was driven".into()));
        }
        match (state.outcome, state.error) {
            (Some(mut outcome), _) => {
                // A recorder that ended badly after it had closed its file has done its work.
                let bad = ended.iter().find(|e| e.label == "recorder" && e.code != 0);
                if let Some(bad) = bad
                    && !is_whole(&self.folder.join("recording.mcap"))
                {
                    return Err(self.died(bad));
                }
                outcome.nodes = state.nodes;
                outcome.drive_wall_s = state.drive_wall_s;
                Ok(outcome)
            }
            (None, Some(message)) => Err(CliError::Failed(message)),
            (None, None) => Err(CliError::Failed(format!(
                "the ground ended without a word; see {}",
                self.folder.join("log").display()
            ))),
        }
    }

    /// One log file for each process, and a channel with what the ground says.
    fn logs(&self) -> anyhow::Result<(Sink, Receiver<String>)> {
        let dir = self.folder.join("log");
        std::fs::create_dir_all(&dir)
            .map_err(|e| anyhow::anyhow!("{}: cannot be made: {e}", dir.display()))?;
        let mut open = BTreeMap::new();
        for p in &self.launch.processes {
            let path = dir.join(format!("{}.log", p.label));
            let file = File::create(&path)
                .map_err(|e| anyhow::anyhow!("{}: cannot be written: {e}", path.display()))?;
            open.insert(p.label.clone(), file);
        }
        let logs = Logs(Mutex::new(open));
        let (tx, rx): (Sender<String>, _) = channel();
        let tx = Mutex::new(tx);
        let sink: Sink = Arc::new(move |label, stream, line| {
            logs.write(label, line);
            if label == GROUND
                && stream == Stream::Out
                && let Ok(tx) = tx.lock()
            {
                // The receiver is gone when the drive is over.
                let _ = tx.send(line.to_string());
            }
        });
        Ok((sink, rx))
    }

    fn follow(
        &self,
        supervisor: &mut Supervisor,
        lines: &Receiver<String>,
        input: &mut Option<ChildStdin>,
        state: &mut State,
        progress: &mut Progress,
    ) -> Result<(), CliError> {
        let mut over: Option<Instant> = None;
        loop {
            if self.interrupts.any() {
                return Err(CliError::Interrupted);
            }
            if let Ok(line) = lines.recv_timeout(Duration::from_millis(50)) {
                if let Some(event) = Event::parse(&line) {
                    self.take(event, input, state, progress)?;
                }
                continue;
            }
            if state.outcome.is_some() && over.is_none() {
                over = Some(Instant::now());
            }
            for end in supervisor.poll() {
                if end.label == GROUND {
                    // Its last words may still be on the way.
                    while let Ok(line) = lines.recv_timeout(Duration::from_millis(100)) {
                        if let Some(event) = Event::parse(&line) {
                            self.take(event, input, state, progress)?;
                        }
                    }
                    return Ok(());
                }
                if state.outcome.is_none() {
                    return Err(self.died(&end));
                }
            }
            if over.is_some_and(|t| t.elapsed() > AFTERWARDS) {
                return Ok(());
            }
        }
    }

    fn take(
        &self,
        event: Event,
        input: &mut Option<ChildStdin>,
        state: &mut State,
        progress: &mut Progress,
    ) -> Result<(), CliError> {
        match event {
            Event::Waiting { what } => progress.stage(&format!("waiting for {what}")),
            Event::Planned {
                distance_m,
                waypoints,
                ..
            } => {
                progress.finish();
                progress.say(&format!(
                    "planned {distance_m:.1} m in {waypoints} segments"
                ));
                progress.stage("verifying in the twin");
            }
            Event::Verified {
                passed,
                reason,
                values_checked,
                ..
            } => {
                progress.finish();
                if passed {
                    progress.say(&format!(
                        "verified: {values_checked} telemetry values within limits"
                    ));
                } else {
                    state.rejected = Some(reason);
                }
            }
            Event::AwaitingApproval { .. } => {
                progress.finish();
                state.refused = !self.answer(input)?;
            }
            Event::Approved {
                bundle_id, signer, ..
            } => {
                progress.say(&format!("approved by {signer}: bundle {bundle_id}"));
            }
            Event::Uplinked { .. } => progress.say("the rover has accepted the bundle"),
            Event::Driving { planned_m, .. } => {
                state.driving_since = Some(Instant::now());
                progress.drive(planned_m);
            }
            Event::Progress {
                driven_m,
                state: name,
                reason,
                ..
            } => {
                let words = if reason.is_empty() { name } else { reason };
                progress.driven(driven_m, &words);
            }
            Event::Nodes { names } => state.nodes.extend(names),
            Event::Finished {
                reached,
                state: name,
                reason,
                distance_driven_m,
                goal_error_estimate_m,
            } => {
                state.drive_wall_s = state
                    .driving_since
                    .map_or(0.0, |t| t.elapsed().as_secs_f64());
                progress.finish();
                progress.say(&format!("the drive is over: {name}, {reason}"));
                // A drive that never began has no score either.
                if state.driving_since.is_some() {
                    state.outcome = Some(Outcome {
                        reached,
                        state: name,
                        reason,
                        driven_m: distance_driven_m,
                        goal_error_m: goal_error_estimate_m
                            .is_finite()
                            .then_some(goal_error_estimate_m),
                        ..Outcome::default()
                    });
                } else {
                    state.error = Some(format!("{name}: {reason}"));
                }
            }
            Event::Error { message } => state.error = Some(message),
        }
        Ok(())
    }

    /// Shows the plan's figures, asks, and tells the ground. Returns whether it was a yes.
    fn answer(&self, input: &mut Option<ChildStdin>) -> Result<bool, CliError> {
        let plan = Plan::load(&self.folder.join("plan.json"))?;
        let xml = sojourn_planner::to_xml(&plan)?;
        files::write_atomic(&self.folder.join("plan.xml"), xml.as_bytes())?;
        let yes = self.yes || {
            let report = Report::load(&self.folder.join("verification.json"))?;
            eprintln!("{}", gate::figures(&plan, &report));
            self.asked("Approve this drive (in simulation)?")?
        };
        let line = if yes {
            "{\"approve\":true}\n"
        } else {
            "{\"approve\":false,\"reason\":\"the person said no\"}\n"
        };
        if let Some(to) = input {
            to.write_all(line.as_bytes())
                .and_then(|()| to.flush())
                .map_err(|e| anyhow::anyhow!("the ground does not listen any more: {e}"))?;
        }
        Ok(yes)
    }

    /// Asks on the terminal, with an ear for Ctrl-C.
    fn asked(&self, question: &'static str) -> Result<bool, CliError> {
        let (tx, rx) = channel();
        std::thread::Builder::new()
            .name("question".into())
            .spawn(move || {
                let _ = tx.send(gate::asked(question));
            })?;
        loop {
            if let Ok(answer) = rx.recv_timeout(Duration::from_millis(50)) {
                return Ok(answer);
            }
            if self.interrupts.any() {
                eprintln!();
                return Err(CliError::Interrupted);
            }
        }
    }

    fn died(&self, end: &Ended) -> CliError {
        let path = self.folder.join("log").join(format!("{}.log", end.label));
        let words = std::fs::read_to_string(&path)
            .ok()
            .and_then(|t| t.lines().rev().find(|l| !l.trim().is_empty()).map(short))
            .unwrap_or_default();
        let colon = if words.is_empty() { "" } else { ": " };
        CliError::Failed(format!(
            "the node {} ended with code {}{colon}{words}; see {}",
            end.label,
            end.code,
            path.display()
        ))
    }
}

/// Whether a recording was closed: an MCAP begins and ends with the same bytes.
fn is_whole(recording: &Path) -> bool {
    use std::io::{Read, Seek, SeekFrom};
    let ends = || -> std::io::Result<bool> {
        let mut file = File::open(recording)?;
        let (mut first, mut last) = ([0; MCAP_MAGIC.len()], [0; MCAP_MAGIC.len()]);
        file.read_exact(&mut first)?;
        file.seek(SeekFrom::End(-(MCAP_MAGIC.len() as i64)))?;
        file.read_exact(&mut last)?;
        Ok(first == *MCAP_MAGIC && last == *MCAP_MAGIC)
    };
    ends().unwrap_or(false)
}

fn short(line: &str) -> String {
    line.chars().take(400).collect()
}

/// What the processes write.
struct Logs(Mutex<BTreeMap<String, File>>);

impl Logs {
    fn write(&self, label: &str, line: &str) {
        if let Ok(mut files) = self.0.lock()
            && let Some(file) = files.get_mut(label)
        {
            // A full disk is noticed by the recorder and by the summary; a log must not stop a rover.
            let _ = writeln!(file, "{line}");
        }
    }
}
