//! All cores at work on the runs of a shard.

use crate::{
    SweepError,
    closed_loop::{Observer, Outcome, TickView},
    journal::Journal,
    plan::{RunSpec, Shard},
    row::Row,
    run::Sweep,
};
use sojourn_core::CoreError;
use std::{
    ops::ControlFlow,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
        mpsc,
    },
};

/// Looks at nothing but whether to break off.
struct Breakable<'a>(&'a AtomicBool);

impl Observer for Breakable<'_> {
    fn tick(&mut self, _: &TickView<'_>) -> ControlFlow<()> {
        if self.0.load(Ordering::Relaxed) {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }
}

/// Does the runs of a shard that its journal does not hold yet. `told` hears of every run that is finished; when `stop`
/// becomes true, runs under way are broken off and left out, so that they are done again on resuming.
///
/// Every worker computes on one thread of its own, all of a run on the same; so times per run are those of one core, and
/// results do not depend on the number of workers.
///
/// # Errors
/// [`SweepError`] when a journal cannot be written or a thread cannot be started.
pub fn work(
    sweep: &Sweep,
    shard: Shard,
    journal: &mut Journal,
    workers: usize,
    stop: &AtomicBool,
    told: &mut dyn FnMut(&Row),
) -> Result<(), SweepError> {
    let todo: Vec<&RunSpec> = sweep
        .runs()
        .iter()
        .filter(|s| shard.holds(s.run) && !journal.done().contains_key(&s.run))
        .collect();
    let next = AtomicUsize::new(0);
    let failure: Mutex<Option<SweepError>> = Mutex::new(None);
    let (sender, rows) = mpsc::channel();
    std::thread::scope(|scope| {
        for _ in 0..workers.clamp(1, todo.len().max(1)) {
            let sender = sender.clone();
            let (todo, next, failure) = (&todo, &next, &failure);
            scope.spawn(move || {
                let pool = match rayon::ThreadPoolBuilder::new().num_threads(1).build() {
                    Ok(pool) => pool,
                    Err(e) => {
                        let e = CoreError::format("sweep", format!("no thread to work on: {e}"));
                        *failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(e.into());
                        return;
                    }
                };
                while let Some(spec) = todo.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                    let row = pool.install(|| sweep.row(spec, &mut Breakable(stop)));
                    if row.outcome == Outcome::Interrupted || sender.send(row).is_err() {
                        break;
                    }
                }
            });
        }
        drop(sender);
        for row in rows {
            told(&row);
            if let Err(e) = journal.add(row) {
                stop.store(true, Ordering::Relaxed);
                *failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(e);
                break;
            }
        }
    });
    match failure.into_inner().unwrap_or_else(PoisonError::into_inner) {
        Some(e) => Err(e),
        None => Ok(()),
    }
}
