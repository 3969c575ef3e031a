//! The threads beside the main loop: the one that receives, and the one that waits for signals.

use crate::KitError;
use crate::ros::context;
use crate::ros::kit::{Drainer, drain};
use crate::ros::meta::stamp_from_msg;
use crate::ros::run::{Shared, guard};
use crate::ros::ticks::TickMode;
use futures::Stream;
use sojourn_core::topics;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Longest sleep of the spin thread when no message comes.
const SPIN_TIMEOUT: Duration = Duration::from_millis(20);
/// A node that has not ended this long after a signal is ended.
const GRACE: Duration = Duration::from_millis(1600);

/// Starts the thread that receives: it spins the node and hands on what came.
pub(super) fn spawn_spin<I: Send + 'static>(
    mut node: r2r::Node,
    mut drainers: Vec<Drainer>,
    shared: Arc<Shared<I>>,
) -> Result<std::thread::JoinHandle<()>, KitError> {
    let body = move || {
        let mut clock = None;
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            while !shared.stop_spin.load(Ordering::SeqCst) {
                node.spin_once(SPIN_TIMEOUT);
                for work in &mut drainers {
                    work();
                }
                if shared.mode == TickMode::Wall {
                    follow_clock(&mut node, &mut clock, &shared);
                }
                shared.graph.refresh(&node);
                shared.after_spin();
            }
        }));
        if let Err(panic) = outcome {
            let why = context::panic_text(panic.as_ref());
            *guard(&shared.dead) = Some(why.clone());
            shared.notify.notify_one();
            // The main loop may be waiting for something else that will never come.
            std::thread::sleep(GRACE);
            if !shared.finished.load(Ordering::SeqCst) {
                tracing::error!("the thread that receives messages has died: {why}");
                shared.run_hooks();
                leave(1);
            }
        }
    };
    std::thread::Builder::new()
        .name("ros-spin".to_string())
        .spawn(body)
        .map_err(|e| KitError::ros("start", "the receiving thread", &e))
}

type ClockStream = Box<dyn Stream<Item = r2r::rosgraph_msgs::msg::Clock> + Unpin>;

fn follow_clock<I>(node: &mut r2r::Node, clock: &mut Option<ClockStream>, shared: &Shared<I>) {
    if !shared.sim_time.load(Ordering::SeqCst) {
        *clock = None;
        return;
    }
    if clock.is_none() {
        let qos = r2r::QosProfile::default().best_effort().keep_last(1);
        match node.subscribe(topics::CLOCK.name, qos) {
            Ok(stream) => *clock = Some(Box::new(stream)),
            Err(e) => tracing::error!("cannot subscribe to /clock: {e}"),
        }
    }
    if let Some(stream) = clock {
        drain(stream, |message| {
            shared.on_clock(stamp_from_msg(&message.clock))
        });
    }
}

/// Ends the process while other threads still work with ROS. The destructors that an ordinary exit runs would take the
/// middleware away under them, which ends in an abort; the hooks have run, and nothing else is buffered.
fn leave(code: i32) -> ! {
    signal_hook::low_level::exit(code)
}

/// Starts the thread that waits for SIGINT and SIGTERM, and ends a process that does not end by itself.
pub(super) fn watch_signals<I: Send + 'static>(shared: &Arc<Shared<I>>) -> Result<(), KitError> {
    use tokio::signal::unix::{SignalKind, signal};
    let shared = shared.clone();
    let oops = |e: &dyn std::fmt::Display| KitError::ros("watch", "signals", e);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| oops(&e))?;
    let (mut interrupt, mut terminate) = {
        let _entered = runtime.enter();
        (
            signal(SignalKind::interrupt()).map_err(|e| oops(&e))?,
            signal(SignalKind::terminate()).map_err(|e| oops(&e))?,
        )
    };
    let body = move || {
        runtime.block_on(async {
            tokio::select! { _ = interrupt.recv() => {}, _ = terminate.recv() => {} }
        });
        shared.stop.store(true, Ordering::SeqCst);
        shared.notify.notify_one();
        if shared.running.load(Ordering::SeqCst) {
            std::thread::sleep(GRACE);
        }
        // Busy with something long, or still setting up.
        if !shared.finished.swap(true, Ordering::SeqCst) {
            shared.run_hooks();
            leave(0);
        }
    };
    std::thread::Builder::new()
        .name("signals".to_string())
        .spawn(body)
        .map(|_| ())
        .map_err(|e| oops(&e))
}
