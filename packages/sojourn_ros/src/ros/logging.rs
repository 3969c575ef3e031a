//! `tracing` to stderr and to `/rosout`.

use crate::ros::meta::stamp_to_msg;
use r2r::rcl_interfaces::msg::Log;
use sojourn_core::Stamp;
use std::cell::Cell;
use std::fmt::Write as _;
use std::io::Write as _;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, registry::LookupSpan};

static SINK: OnceLock<Sink> = OnceLock::new();
static NOW_NS: AtomicI64 = AtomicI64::new(0);

struct Sink {
    node: String,
    rosout: Mutex<Option<r2r::Publisher<Log>>>,
}

thread_local! {
    // Publishing may log in its turn.
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}

/// Tells log lines the node's time; 0 means wall time.
pub(crate) fn set_now(now: Stamp) {
    NOW_NS.store(now.0, Ordering::Relaxed);
}

/// Wall time as a stamp.
#[must_use]
pub fn wall_now() -> Stamp {
    let since = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default();
    Stamp(i64::try_from(since.as_nanos()).unwrap_or(i64::MAX))
}

/// Starts logging for this process; a second call changes nothing. The level comes from `--log-level`, else from
/// `RUST_LOG`, else it is info.
pub(crate) fn start(node: &str) {
    let sink = Sink {
        node: node.to_string(),
        rosout: Mutex::new(None),
    };
    if SINK.set(sink).is_err() {
        return;
    }
    let mut arguments = std::env::args().skip_while(|a| a != "--log-level").skip(1);
    let filter = match arguments.next() {
        // ROS also accepts name:=level; only the plain form is understood here.
        Some(level) if !level.contains(":=") => EnvFilter::try_new(level.to_lowercase()).ok(),
        _ => EnvFilter::try_from_default_env().ok(),
    };
    let filter = filter.unwrap_or_else(|| EnvFilter::new("info"));
    let _already = tracing_subscriber::registry()
        .with(filter)
        .with(RosLayer)
        .try_init();
}

/// From now on log lines go to `/rosout` too.
pub(crate) fn connect(publisher: Option<r2r::Publisher<Log>>) {
    if let Some(sink) = SINK.get() {
        *sink.rosout.lock().unwrap_or_else(PoisonError::into_inner) = publisher;
    }
}

struct RosLayer;

struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        let _infallible = if field.name() == "message" {
            write!(self.0, "{value:?}")
        } else if field.name().starts_with("log.") {
            Ok(())
        } else {
            write!(self.0, " {}={value:?}", field.name())
        };
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for RosLayer {
    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        let Some(sink) = SINK.get() else { return };
        let mut text = Text(String::new());
        event.record(&mut text);
        let text = text.0.replace('\0', "\u{fffd}");
        let (label, level) = match *event.metadata().level() {
            Level::ERROR => ("ERROR", 40),
            Level::WARN => ("WARN", 30),
            Level::INFO => ("INFO", 20),
            Level::DEBUG | Level::TRACE => ("DEBUG", 10),
        };
        let now = match NOW_NS.load(Ordering::Relaxed) {
            0 => wall_now(),
            ns => Stamp(ns),
        };
        // A closed stderr must not end a rover's node.
        let _closed = writeln!(
            std::io::stderr(),
            "[{label}] [{:.3}] [{}]: {text}",
            now.as_secs(),
            sink.node
        );
        if INSIDE.replace(true) {
            return;
        }
        if let Some(rosout) = sink
            .rosout
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .as_ref()
        {
            let log = Log {
                stamp: stamp_to_msg(now),
                level,
                name: sink.node.clone(),
                msg: text,
                file: event.metadata().file().unwrap_or_default().to_string(),
                function: event.metadata().target().to_string(),
                line: event.metadata().line().unwrap_or(0),
            };
            let _shutting_down = rosout.publish(&log);
        }
        INSIDE.set(false);
    }
}
