//! Starts the processes of a launch, passes their output on, and ends them all in order.

use super::{
    LaunchError,
    eval::{Launch, Process, What},
    places::Places,
};
use rustix::process::{
    Pid, Signal, getpid, getppid, kill_process_group, set_parent_process_death_signal,
};
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// After SIGINT, a process that still runs gets SIGTERM after this time.
pub const TERM_AFTER: Duration = Duration::from_secs(3);
/// After SIGINT, a process that still runs gets SIGKILL after this time.
pub const KILL_AFTER: Duration = Duration::from_secs(5);
/// Longest line that is passed on in one piece, bytes.
const MAX_LINE: u64 = 1 << 20;

/// Where a line came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Out,
    /// Standard error.
    Err,
}

/// Receives every line of every process: label, stream, line.
pub type Sink = Arc<dyn Fn(&str, Stream, &str) + Send + Sync>;

/// A process that ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Label.
    pub label: String,
    /// Exit code; 128 + signal when a signal ended it.
    pub code: i32,
    /// Whether the launch ends with it.
    pub on_exit_shutdown: bool,
}

struct Running {
    label: String,
    child: Child,
    pid: Pid,
    on_exit_shutdown: bool,
    readers: Vec<JoinHandle<()>>,
}

/// Counts SIGINT and SIGTERM.
#[derive(Clone, Debug, Default)]
pub struct Interrupts(Arc<AtomicUsize>);

impl Interrupts {
    /// Catches SIGINT, SIGTERM and SIGHUP from now on.
    ///
    /// # Errors
    /// When the handlers cannot be installed.
    pub fn catch() -> std::io::Result<Self> {
        use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
        let count = Self::default();
        let mut signals = signal_hook::iterator::Signals::new([SIGINT, SIGTERM, SIGHUP])?;
        let inner = count.clone();
        std::thread::Builder::new()
            .name("signals".into())
            .spawn(move || {
                for _ in signals.forever() {
                    inner.0.fetch_add(1, Ordering::SeqCst);
                }
            })?;
        Ok(count)
    }

    /// How many came.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }

    /// Whether one came.
    #[must_use]
    pub fn any(&self) -> bool {
        self.count() > 0
    }
}

/// The processes of a launch. Dropping it kills what still runs.
pub struct Supervisor {
    running: Vec<Running>,
    sink: Sink,
}

impl Supervisor {
    /// Without processes yet.
    #[must_use]
    pub fn new(sink: Sink) -> Self {
        Self {
            running: Vec::new(),
            sink,
        }
    }

    /// Starts every process of a launch; `piped` names labels whose standard input is kept open and returned.
    ///
    /// # Errors
    /// [`LaunchError`] for the first that cannot be found or started; those already started are ended on drop.
    pub fn start_all(
        &mut self,
        launch: &Launch,
        places: &Places,
        piped: &[&str],
    ) -> Result<Vec<(String, ChildStdin)>, LaunchError> {
        // All executables are looked for before the first is started: nothing half-started for a missing build.
        let commands = launch
            .processes
            .iter()
            .map(|p| Ok((p, command_of(p, places)?)))
            .collect::<Result<Vec<_>, LaunchError>>()?;
        let mut inputs = Vec::new();
        for (process, command) in commands {
            let wants = piped.contains(&process.label.as_str());
            if let Some(input) = self.start(process, command, wants)? {
                inputs.push((process.label.clone(), input));
            }
        }
        Ok(inputs)
    }

    fn start(
        &mut self,
        process: &Process,
        mut command: Command,
        piped: bool,
    ) -> Result<Option<ChildStdin>, LaunchError> {
        command
            .stdin(if piped { Stdio::piped() } else { Stdio::null() })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // A group of its own: Ctrl-C on the terminal reaches this launcher, which ends the processes in order.
            .process_group(0);
        ends_with_the_launcher(&mut command);
        let mut child = command.spawn().map_err(|cause| LaunchError::Start {
            label: process.label.clone(),
            program: command.get_program().to_string_lossy().into_owned(),
            cause,
        })?;
        let mut readers = Vec::new();
        if let Some(out) = child.stdout.take() {
            readers.extend(self.reader(&process.label, Stream::Out, out));
        }
        if let Some(err) = child.stderr.take() {
            readers.extend(self.reader(&process.label, Stream::Err, err));
        }
        let stdin = child.stdin.take();
        self.running.push(Running {
            label: process.label.clone(),
            pid: Pid::from_child(&child),
            child,
            on_exit_shutdown: process.on_exit_shutdown,
            readers,
        });
        Ok(stdin)
    }

    fn reader(
        &self,
        label: &str,
        stream: Stream,
        from: impl Read + Send + 'static,
    ) -> Option<JoinHandle<()>> {
        let (sink, label) = (Arc::clone(&self.sink), label.to_string());
        std::thread::Builder::new()
            .name(format!("output of {label}"))
            .spawn(move || {
                let mut from = BufReader::new(from);
                let mut line = Vec::new();
                while matches!(
                    from.by_ref().take(MAX_LINE).read_until(b'\n', &mut line),
                    Ok(n) if n > 0
                ) {
                    sink(&label, stream, String::from_utf8_lossy(&line).trim_end());
                    line.clear();
                }
            })
            .ok()
    }

    /// Labels of what runs.
    #[must_use]
    pub fn labels(&self) -> Vec<&str> {
        self.running.iter().map(|r| r.label.as_str()).collect()
    }

    /// Process ids of what runs, with labels.
    #[must_use]
    pub fn pids(&self) -> Vec<(&str, u32)> {
        self.running
            .iter()
            .map(|r| (r.label.as_str(), r.child.id()))
            .collect()
    }

    /// Takes out the processes that ended since the last call.
    pub fn poll(&mut self) -> Vec<Ended> {
        let mut ended = Vec::new();
        let mut i = 0;
        while i < self.running.len() {
            let status = self.running.get_mut(i).map(|r| r.child.try_wait());
            match status {
                Some(Ok(None)) | None => i += 1,
                Some(result) => {
                    let mut r = self.running.remove(i);
                    // What the process wrote last is wanted before the notice of its end.
                    wait_for_readers(&mut r.readers);
                    let code = result.ok().flatten().map_or(1, |s| {
                        s.code().unwrap_or_else(|| 128 + s.signal().unwrap_or(0))
                    });
                    ended.push(Ended {
                        label: r.label,
                        code,
                        on_exit_shutdown: r.on_exit_shutdown,
                    });
                }
            }
        }
        ended
    }

    /// Sends a signal to every process that runs.
    fn signal(&self, signal: Signal) {
        for r in &self.running {
            // It may have ended in this moment; then there is nobody to tell.
            let _ = kill_process_group(r.pid, signal);
        }
    }

    /// Ends all: SIGINT, SIGTERM after 3 s, SIGKILL after 5 s, or at once when `hurry` says so. Returns how each ended.
    pub fn shutdown(&mut self, hurry: &dyn Fn() -> bool) -> Vec<Ended> {
        let begin = Instant::now();
        let mut ended = self.poll();
        self.signal(Signal::INT);
        let (mut termed, mut killed) = (false, false);
        while !self.running.is_empty() {
            let passed = begin.elapsed();
            if passed >= TERM_AFTER && !termed {
                self.signal(Signal::TERM);
                termed = true;
            }
            if (passed >= KILL_AFTER || hurry()) && !killed {
                self.signal(Signal::KILL);
                killed = true;
            }
            std::thread::sleep(Duration::from_millis(10));
            ended.extend(self.poll());
        }
        ended
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
        for r in &mut self.running {
            let _ = r.child.wait();
        }
    }
}

/// Makes the system send SIGTERM to the process when this launcher dies, so that not even SIGKILL leaves nodes behind;
/// a node that gets it says a stop before it goes. The signal comes when the *thread* that starts the process ends.
/// A launcher that a shell runs in the background ignores SIGINT; what it starts must hear it all the same.
#[expect(
    unsafe_code,
    reason = "the wish can be made only between fork and exec, and std has no safe way in"
)]
fn ends_with_the_launcher(command: &mut Command) {
    let launcher = getpid();
    let wish = move || {
        // SAFETY: the default action is no handler of this program.
        unsafe { libc::signal(libc::SIGINT, libc::SIG_DFL) };
        set_parent_process_death_signal(Some(Signal::TERM))?;
        // The launcher may have died before the wish was made.
        if getppid() == Some(launcher) {
            Ok(())
        } else {
            Err(rustix::io::Errno::SRCH.into())
        }
    };
    // SAFETY: between fork and exec only what is async-signal-safe may run; the closure makes three system calls and
    // allocates nothing.
    unsafe { command.pre_exec(wish) };
}

/// Waits shortly: a grandchild may hold the pipe open for as long as it likes.
fn wait_for_readers(readers: &mut Vec<JoinHandle<()>>) {
    let begin = Instant::now();
    while readers.iter().any(|r| !r.is_finished()) && begin.elapsed() < Duration::from_millis(300) {
        std::thread::sleep(Duration::from_millis(2));
    }
    readers.clear();
}

fn command_of(process: &Process, places: &Places) -> Result<Command, LaunchError> {
    let mut command = match &process.what {
        What::Node {
            package,
            executable,
        } => Command::new(places.executable(package, executable).map_err(|folders| {
            LaunchError::NotFound {
                at: process.at.to_string(),
                package: package.clone(),
                executable: executable.clone(),
                looked_in: folders
                    .iter()
                    .map(|f| f.display().to_string())
                    .collect::<Vec<_>>()
                    .join(", "),
            }
        })?),
        What::Command(words) => {
            let mut words = words.iter();
            let mut command = Command::new(words.next().cloned().unwrap_or_default());
            command.args(words);
            command
        }
    };
    command
        .args(&process.arguments)
        .envs(&places.ros_env)
        .envs(&process.env);
    Ok(command)
}

/// Runs a launch until it ends or a person ends it; returns the exit code.
///
/// # Errors
/// [`LaunchError`] when something cannot be started.
pub fn run(launch: &Launch, places: &Places, interrupts: &Interrupts) -> Result<i32, LaunchError> {
    let mut supervisor = Supervisor::new(super::output::to_terminal(launch));
    supervisor.start_all(launch, places, &[])?;
    let mut code = 0;
    while !supervisor.labels().is_empty() && !interrupts.any() {
        let mut over = false;
        for end in supervisor.poll() {
            eprintln!("[{}] ended with code {}", end.label, end.code);
            if code == 0 {
                code = end.code;
            }
            over |= end.on_exit_shutdown;
        }
        if over {
            break;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let asked = interrupts.count();
    for end in supervisor.shutdown(&|| interrupts.count() > asked.max(1)) {
        if end.code != 0 {
            eprintln!("[{}] ended with code {}", end.label, end.code);
        }
    }
    Ok(code)
}

#[cfg(test)]
mod tests {
    use super::super::eval::evaluate;
    use super::*;
    use std::collections::BTreeMap;
    use std::sync::Mutex;

    fn started(body: &str) -> (Supervisor, Arc<Mutex<Vec<String>>>) {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a.xml");
        std::fs::write(&file, format!("<launch>{body}</launch>")).unwrap();
        let places = Places::default();
        let launch = evaluate(&file, &BTreeMap::new(), &places).unwrap();
        let lines = Arc::new(Mutex::new(Vec::new()));
        let inner = Arc::clone(&lines);
        let mut s = Supervisor::new(Arc::new(move |label, stream, line| {
            inner
                .lock()
                .unwrap()
                .push(format!("{label} {stream:?} {line}"));
        }));
        s.start_all(&launch, &places, &[]).unwrap();
        (s, lines)
    }

    fn wait(s: &mut Supervisor) -> Vec<Ended> {
        let mut ended = Vec::new();
        while !s.labels().is_empty() {
            ended.extend(s.poll());
            std::thread::sleep(Duration::from_millis(5));
        }
        ended
    }

    #[test]
    fn output_and_exit_code_come_through() {
        let (mut s, lines) = started(
            r#"<executable name="a" cmd="sh -c 'echo out; echo err >&amp;2; printf end; exit 3'" on_exit="shutdown"/>"#,
        );
        let ended = wait(&mut s);
        assert_eq!((ended[0].code, ended[0].on_exit_shutdown), (3, true));
        let lines = lines.lock().unwrap();
        for l in ["a Out out", "a Err err", "a Out end"] {
            assert!(lines.iter().any(|x| x == l), "{lines:?}");
        }
    }

    #[test]
    fn a_polite_process_ends_on_the_first_signal() {
        let (mut s, _) = started(r#"<executable name="a" cmd="sleep 60"/>"#);
        let begin = Instant::now();
        let ended = s.shutdown(&|| false);
        assert_eq!(ended[0].code, 130);
        assert!(begin.elapsed() < TERM_AFTER);
    }

    #[test]
    fn a_deaf_process_is_killed_when_it_has_to_be_quick() {
        let (mut s, lines) = started(
            r#"<executable name="a" cmd="sh -c 'trap : INT TERM; echo deaf; while :; do sleep 0.05; done'"/>"#,
        );
        while lines.lock().unwrap().is_empty() {
            std::thread::sleep(Duration::from_millis(5));
        }
        let begin = Instant::now();
        let ended = s.shutdown(&|| begin.elapsed() > Duration::from_millis(200));
        assert_eq!(ended[0].code, 137);
    }

    #[test]
    fn nothing_is_started_when_one_executable_is_missing() {
        let dir = tempfile::tempdir().unwrap();
        let (file, mark) = (dir.path().join("a.xml"), dir.path().join("mark"));
        std::fs::write(
            &file,
            format!(
                r#"<launch><executable cmd="touch {}"/><node pkg="p" exec="nope"/></launch>"#,
                mark.display()
            ),
        )
        .unwrap();
        let places = Places::default();
        let launch = evaluate(&file, &BTreeMap::new(), &places).unwrap();
        let mut s = Supervisor::new(Arc::new(|_, _, _| {}));
        let message = s.start_all(&launch, &places, &[]).unwrap_err().to_string();
        assert!(
            message.contains("nope") && message.contains("a.xml:1"),
            "{message}"
        );
        assert!(!mark.exists());
    }
}
