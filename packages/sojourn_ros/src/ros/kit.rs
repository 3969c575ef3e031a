//! Setting a node up.

use crate::inbox::{Inbox, Keep};
use crate::params::{ParamStore, ParamValue, build};
use crate::ros::graph::GraphWatch;
use crate::ros::meta::{MsgMeta, stamp_from_msg};
use crate::ros::publisher::{Counts, Publisher, is_counted, subscription_qos};
use crate::ros::run::{Pending, RunningNode, Say, Shared, State, guard, heartbeat};
use crate::ros::{context, logging, param_services};
use crate::{KitError, ParamError, Refused};
use futures::{FutureExt, Stream, StreamExt};
use r2r::WrappedTypesupport;
use r2r::sojourn_msgs::msg::{Heartbeat, Tick as TickMsg};
use serde::de::DeserializeOwned;
use sojourn_core::Stamp;
use sojourn_core::health::Health;
use sojourn_core::topics::{self, QosClass, Topic};
use std::collections::BTreeMap;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Longest sleep of the spin thread when no message comes.
const SPIN_TIMEOUT: Duration = Duration::from_millis(20);
/// Messages kept per topic until the node takes them.
const QUEUE: usize = 400;
/// The same for topics of [`QosClass::Sensor`], which may be images.
const SENSOR_QUEUE: usize = 40;
/// A node that has not ended this long after a signal is ended.
const GRACE: Duration = Duration::from_millis(1600);
/// Roll calls are answered at most this often.
const ROLL_CALL_EVERY: Duration = Duration::from_millis(40);

pub(crate) type Drainer = Box<dyn FnMut() + Send>;
type Probe = (String, Box<dyn Fn() -> usize + Send>);

/// Where a node's ticks come from: the parameter `tick.mode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TickMode {
    /// `sim`: the simulator's topic `sim_tick`.
    Sim,
    /// `wall`: a timer in the node's own time (`/clock` with `use_sim_time`, else the wall clock).
    Wall,
    /// `server`: this node is the simulator.
    Server,
}

/// What a raw message means: see [`NodeKit::subscribe_raw`].
#[derive(Debug)]
pub struct RawInput<I> {
    /// Where it stands in the order of a tick's inputs.
    pub stamp: Stamp,
    /// The input, or `None` for nothing.
    pub input: Option<I>,
}

/// Runs a node from `main`: prepares the process, starts the node, runs `body`, says why it failed if it did.
pub fn run_node<I, F, B>(name: &str, body: F) -> ExitCode
where
    I: Send + 'static,
    F: FnOnce(NodeKit<I>) -> B,
    B: Future<Output = anyhow::Result<()>>,
{
    context::ensure_dds_profile();
    logging::start(name);
    let runtime = match tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(e) => {
            tracing::error!("cannot start the runtime: {e}");
            return ExitCode::FAILURE;
        }
    };
    let outcome = runtime.block_on(async { body(NodeKit::start(name)?).await });
    let code = match outcome {
        Ok(()) => 0,
        Err(e) => {
            tracing::error!("{e:#}");
            1
        }
    };
    // Not by returning: the runtime would wait for work on other threads that nobody wants any more.
    std::process::exit(code)
}

/// A node that is being set up. `I` is what its core takes in.
pub struct NodeKit<I: Send + 'static> {
    node: r2r::Node,
    pub(crate) shared: Arc<Shared<I>>,
    namespace: String,
    pub(crate) period: Duration,
    drainers: Vec<Drainer>,
    pub(crate) probes: Vec<Probe>,
    pub(crate) heartbeat: r2r::Publisher<Heartbeat>,
    heartbeat_count: Arc<AtomicU64>,
    diagnostics: r2r::Publisher<r2r::diagnostic_msgs::msg::DiagnosticArray>,
}

impl<I: Send + 'static> NodeKit<I> {
    /// Starts the node: context, logging, `/rosout`, parameters and their services, heartbeat, diagnostics, signals.
    ///
    /// # Errors
    /// [`KitError`] with one sentence: bad ROS arguments, or one of the parameters every node has is missing or bad
    /// (`tick.mode`, `tick.period_s`).
    pub fn start(name: &str) -> Result<Self, KitError> {
        logging::start(name);
        let context = context::create_context()?;
        let mut node = r2r::Node::create(context, name, "")
            .map_err(|e| KitError::ros("create the node", name, &e))?;
        let oops = |e: r2r::Error| KitError::ros("read the name of the node", name, &e);
        let (name, namespace) = (node.name().map_err(oops)?, node.namespace().map_err(oops)?);
        let mut values: BTreeMap<String, ParamValue> = BTreeMap::new();
        for (key, parameter) in node
            .params
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .iter()
        {
            if let Some(value) = param_services::from_r2r(&parameter.value) {
                values.insert(key.clone(), value);
            }
        }
        let (mode, period) = tick_parameters(&name, &values)?;
        let mut store = ParamStore::new(values);
        store.declare("use_sim_time", ParamValue::Bool(false));
        store.allow(&["use_sim_time"], None);
        if !matches!(
            store.values().get("use_sim_time"),
            Some(ParamValue::Bool(_))
        ) {
            return Err(ParamError(format!(
                "node {name}: parameter `use_sim_time` must be true or false"
            ))
            .into());
        }

        let rosout_qos = r2r::QosProfile::default()
            .reliable()
            .transient_local()
            .keep_last(1000);
        let rosout = node
            .create_publisher(topics::ROSOUT, rosout_qos)
            .map_err(|e| KitError::ros("create a publisher on", topics::ROSOUT, &e))?;
        logging::connect(Some(rosout));
        if let Some(warning) = context::profile_warning() {
            tracing::warn!("{warning}");
        }
        let counts = Arc::new(Counts::default());
        let heartbeat_name = resolve(&namespace, topics::HEARTBEAT.name);
        let heartbeat = node
            .create_publisher(
                topics::HEARTBEAT.name,
                crate::ros::publisher::qos_profile(topics::HEARTBEAT.qos),
            )
            .map_err(|e| KitError::ros("create a publisher on", &heartbeat_name, &e))?;
        let diagnostics = node
            .create_publisher(
                topics::DIAGNOSTICS.name,
                crate::ros::publisher::qos_profile(topics::DIAGNOSTICS.qos),
            )
            .map_err(|e| KitError::ros("create a publisher on", "/diagnostics", &e))?;
        let heartbeat_count = counts.add(&heartbeat_name);
        let shared = Arc::new(Shared {
            fully_qualified_name: node.fully_qualified_name().map_err(oops)?,
            name,
            namespace: namespace.clone(),
            params: Arc::new(Mutex::new(store)),
            notify: tokio::sync::Notify::new(),
            state: Mutex::new(State {
                inbox: Inbox::default(),
                pending: None,
                skipped: 0,
                told: false,
            }),
            counts,
            mode,
            clock: Mutex::new(None),
            graph: GraphWatch::default(),
            sim_time: AtomicBool::new(false),
            now_ns: AtomicI64::new(0),
            due_ns: AtomicI64::new(0),
            stop: AtomicBool::new(false),
            stop_spin: AtomicBool::new(false),
            running: AtomicBool::new(false),
            finished: AtomicBool::new(false),
            dead: Mutex::new(None),
            hooks: Mutex::new(Vec::new()),
        });
        shared.apply_use_sim_time();
        let mut drainers = Vec::new();
        param_services::create(&mut node, &shared.name.clone(), &shared, &mut drainers)?;
        watch_signals(&shared)?;
        let probe = heartbeat.clone();
        let probes: Vec<Probe> = vec![(
            heartbeat_name,
            Box::new(move || probe.get_inter_process_subscription_count().unwrap_or(0)),
        )];
        Ok(Self {
            node,
            shared,
            namespace,
            period,
            drainers,
            probes,
            heartbeat,
            heartbeat_count,
            diagnostics,
        })
    }

    /// The node's name, without namespace.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.shared.name
    }

    /// Length of a tick: the parameter `tick.period_s`.
    #[must_use]
    pub fn period(&self) -> Duration {
        self.period
    }

    /// Where the ticks come from: the parameter `tick.mode`.
    #[must_use]
    pub fn tick_mode(&self) -> TickMode {
        self.shared.mode
    }

    /// The node's own parameters (all but `use_sim_time` and `tick.*`) as one struct. Give the struct
    /// `#[serde(deny_unknown_fields)]`. They are read-only while the node runs.
    ///
    /// # Errors
    /// A sentence that names the node and the key that is missing, unknown, of the wrong type or not a finite number.
    pub fn params<P: DeserializeOwned>(&self) -> Result<P, KitError> {
        Ok(build(
            &self.shared.name,
            guard(&self.shared.params).values(),
        )?)
    }

    /// As [`NodeKit::params`], but these keys can be set while the node runs. A set is refused when `check` refuses the
    /// struct as it would be; otherwise [`crate::Event::ParametersChanged`] follows.
    ///
    /// # Errors
    /// As [`NodeKit::params`].
    pub fn params_settable<P: DeserializeOwned>(
        &mut self,
        keys: &[&str],
        check: impl Fn(&P) -> Result<(), String> + Send + 'static,
    ) -> Result<P, KitError> {
        let name = self.shared.name.clone();
        let params = self.params::<P>()?;
        let check = move |values: &BTreeMap<String, ParamValue>| {
            check(&build::<P>(&name, values)?).map_err(ParamError)
        };
        guard(&self.shared.params).allow(keys, Some(Box::new(check)));
        Ok(params)
    }

    /// A publisher on a topic of the table.
    ///
    /// # Errors
    /// [`KitError::Ros`] naming the topic.
    pub fn publisher<T>(&mut self, topic: &Topic) -> Result<Publisher<T>, KitError>
    where
        T: WrappedTypesupport + Clone + 'static,
    {
        let resolved = resolve(&self.namespace, topic.name);
        let publisher = Publisher::create(&mut self.node, topic, &resolved, &self.shared.counts)?;
        if is_counted(topic.qos) {
            let probe = publisher.clone();
            self.probes
                .push((resolved, Box::new(move || probe.subscribers())));
        }
        Ok(publisher)
    }

    /// All messages of a topic. `convert` runs on the receiving thread: keep it cheap. It says what the message means to
    /// the core, `Ok(None)` for nothing, or why it is refused; refusals are counted and logged at most once a second.
    ///
    /// # Errors
    /// [`KitError::Ros`] naming the topic.
    pub fn subscribe<T, F>(&mut self, topic: &Topic, convert: F) -> Result<(), KitError>
    where
        T: WrappedTypesupport + MsgMeta + Send + 'static,
        F: FnMut(T) -> Result<Option<I>, Refused> + Send + 'static,
    {
        self.subscribe_keeping(topic, Keep::All, convert)
    }

    /// Only the newest message of a topic at each tick.
    ///
    /// # Errors
    /// [`KitError::Ros`] naming the topic.
    pub fn subscribe_latest<T, F>(&mut self, topic: &Topic, convert: F) -> Result<(), KitError>
    where
        T: WrappedTypesupport + MsgMeta + Send + 'static,
        F: FnMut(T) -> Result<Option<I>, Refused> + Send + 'static,
    {
        self.subscribe_keeping(topic, Keep::Latest, convert)
    }

    fn subscribe_keeping<T, F>(
        &mut self,
        topic: &Topic,
        keep: Keep,
        mut convert: F,
    ) -> Result<(), KitError>
    where
        T: WrappedTypesupport + MsgMeta + Send + 'static,
        F: FnMut(T) -> Result<Option<I>, Refused> + Send + 'static,
    {
        let resolved = resolve(&self.namespace, topic.name);
        let mut stream = self
            .node
            .subscribe::<T>(topic.name, subscription_qos(topic.qos))
            .map_err(|e| KitError::ros("subscribe to", &resolved, &e))?;
        let by_tick = topic.name == topics::HEARTBEAT.name;
        let capacity = if topic.qos == QosClass::Sensor {
            SENSOR_QUEUE
        } else {
            QUEUE
        };
        let number = guard(&self.shared.state)
            .inbox
            .add(&resolved, keep, by_tick, capacity);
        let shared = self.shared.clone();
        let mut complaints = Complaints::default();
        self.drainers.push(Box::new(move || {
            drain(&mut stream, |message: T| {
                let (stamp, tick) = (
                    message.stamp().unwrap_or_default(),
                    message.tick().unwrap_or(0),
                );
                let (input, refused) = match convert(message) {
                    Ok(input) => (input, false),
                    Err(why) => {
                        complaints.say(&resolved, &why);
                        (None, true)
                    }
                };
                guard(&shared.state)
                    .inbox
                    .push(number, tick, stamp, input, refused);
            });
        }));
        Ok(())
    }

    /// Keeps an eye on who publishes a topic: [`RunningNode::publishers`].
    pub fn watch_publishers(&mut self, topic: &str) {
        self.shared.graph.add(resolve(&self.namespace, topic));
    }

    /// Keeps an eye on who is in the ROS graph: [`RunningNode::nodes`].
    pub fn watch_nodes(&mut self) {
        self.watch_publishers(topics::ROSOUT);
    }

    /// Something to say before the node goes, such as a stop command. Runs on SIGINT, SIGTERM, errors and panics.
    pub fn on_stop(&mut self, hook: impl FnOnce() + Send + 'static) {
        guard(&self.shared.hooks).push(Box::new(hook));
    }

    /// The r2r node, for services, clients and actions. All must be created before [`NodeKit::run`].
    pub fn node(&mut self) -> &mut r2r::Node {
        &mut self.node
    }

    /// Raw messages of a topic as CDR bytes; counted in lockstep like any other subscription. `convert` runs on the
    /// receiving thread.
    ///
    /// # Errors
    /// [`KitError::Ros`] naming the topic, also when the type has no bindings.
    pub fn subscribe_raw<F>(
        &mut self,
        name: &str,
        kind: &str,
        qos: r2r::QosProfile,
        mut convert: F,
    ) -> Result<(), KitError>
    where
        F: FnMut(Vec<u8>) -> RawInput<I> + Send + 'static,
    {
        let resolved = resolve(&self.namespace, name);
        let mut stream = self
            .node
            .subscribe_raw(name, kind, qos)
            .map_err(|e| KitError::ros("subscribe to", &resolved, &e))?;
        let number = guard(&self.shared.state)
            .inbox
            .add(&resolved, Keep::All, false, QUEUE);
        let shared = self.shared.clone();
        self.drainers.push(Box::new(move || {
            drain(&mut stream, |bytes| {
                let raw = convert(bytes);
                guard(&shared.state)
                    .inbox
                    .push(number, 0, raw.stamp, raw.input, false);
            });
        }));
        Ok(())
    }

    /// Work to be done on the receiving thread after each wake-up.
    pub(crate) fn drainer(&mut self, work: Drainer) {
        self.drainers.push(work);
    }

    /// The fully resolved name of a topic.
    #[must_use]
    pub fn resolved(&self, name: &str) -> String {
        resolve(&self.namespace, name)
    }

    /// Lets messages flow.
    ///
    /// # Errors
    /// [`KitError`] when the receiving thread cannot be started, or for a simulator (see
    /// [`NodeKit::run_simulator`](crate::NodeKit::run_simulator)).
    pub fn run(mut self) -> Result<RunningNode<I>, KitError> {
        match self.shared.mode {
            TickMode::Server => {
                return Err(KitError::Use(format!(
                    "node {}: tick.mode is `server`, which is for the simulator only",
                    self.shared.name
                )));
            }
            TickMode::Sim => self.follow_ticks()?,
            TickMode::Wall => {}
        }
        self.into_running()
    }

    pub(crate) fn into_running(self) -> Result<RunningNode<I>, KitError> {
        let spin = spawn_spin(self.node, self.drainers, self.shared.clone())?;
        self.shared.running.store(true, Ordering::SeqCst);
        Ok(RunningNode {
            shared: self.shared,
            heartbeat: self.heartbeat,
            heartbeat_count: self.heartbeat_count,
            diagnostics: self.diagnostics,
            spin: Some(spin),
            period: self.period,
            next_due: tokio::time::Instant::now(),
            in_tick: None,
            health: Health::default(),
            say: Say::default(),
        })
    }

    fn follow_ticks(&mut self) -> Result<(), KitError> {
        let topic = topics::SIM_TICK;
        let resolved = resolve(&self.namespace, topic.name);
        let mut stream = self
            .node
            .subscribe::<TickMsg>(topic.name, subscription_qos(topic.qos))
            .map_err(|e| KitError::ros("subscribe to", &resolved, &e))?;
        let shared = self.shared.clone();
        let probes = std::mem::take(&mut self.probes);
        let heartbeats = self.heartbeat.clone();
        let mut subscriptions: Vec<String> = guard(&shared.state)
            .inbox
            .topics()
            .map(str::to_string)
            .collect();
        subscriptions.push(resolved);
        let mut answered: Option<Instant> = None;
        self.drainers.push(Box::new(move || {
            drain(&mut stream, |tick: TickMsg| {
                if tick.tick > 0 {
                    shared.on_tick(pending_from(tick));
                    return;
                }
                if answered.is_some_and(|at| at.elapsed() < ROLL_CALL_EVERY)
                    || !(tick.participants.is_empty() || tick.participants.contains(&shared.name))
                {
                    return;
                }
                answered = Some(Instant::now());
                let mut answer = heartbeat(
                    &shared.name,
                    stamp_from_msg(&tick.stamp),
                    0,
                    &Health::default(),
                    &shared.counts.snapshot(),
                );
                let wanted: BTreeMap<&String, &u64> =
                    tick.topics.iter().zip(&tick.counts).collect();
                answer.ready = !wanted.is_empty()
                    && probes.iter().all(|(topic, found)| {
                        wanted.get(topic).is_none_or(|n| found() as u64 >= **n)
                    });
                answer.subscriptions.clone_from(&subscriptions);
                if let Err(e) = heartbeats.publish(&answer) {
                    tracing::debug!("cannot answer the roll call: {e}");
                }
            });
        }));
        Ok(())
    }
}

fn pending_from(tick: TickMsg) -> Pending {
    Pending {
        stamp: stamp_from_msg(&tick.stamp),
        tick: tick.tick,
        lockstep: tick.lockstep,
        hold: tick.hold,
        announced: tick.topics.into_iter().zip(tick.counts).collect(),
    }
}

fn tick_parameters(
    node: &str,
    values: &BTreeMap<String, ParamValue>,
) -> Result<(TickMode, Duration), KitError> {
    let bad = |what: &str| KitError::from(ParamError(format!("node {node}: {what}")));
    let mode = match values.get("tick.mode") {
        Some(ParamValue::String(mode)) => match mode.as_str() {
            "sim" => TickMode::Sim,
            "wall" => TickMode::Wall,
            "server" => TickMode::Server,
            other => {
                return Err(bad(&format!(
                    "parameter `tick.mode` is {other:?}, expected sim, wall or server"
                )));
            }
        },
        Some(_) => return Err(bad("parameter `tick.mode` must be a string")),
        None => {
            return Err(bad(
                "parameter `tick.mode` is missing (is --params-file given, with a section of this name?)",
            ));
        }
    };
    let period_s = match values.get("tick.period_s") {
        Some(ParamValue::Double(v)) => *v,
        Some(ParamValue::Integer(v)) => *v as f64,
        Some(_) => return Err(bad("parameter `tick.period_s` must be a number")),
        None => return Err(bad("parameter `tick.period_s` is missing")),
    };
    if !(0.001..=60.0).contains(&period_s) {
        return Err(bad(&format!(
            "parameter `tick.period_s` is {period_s}, expected 0.001 to 60 seconds"
        )));
    }
    let period = Duration::try_from_secs_f64(period_s)
        .map_err(|e| bad(&format!("parameter `tick.period_s`: {e}")))?;
    Ok((mode, period))
}

/// Puts the namespace in front of a relative name.
pub(crate) fn resolve(namespace: &str, name: &str) -> String {
    if name.starts_with('/') {
        name.to_string()
    } else {
        format!("{}/{name}", namespace.trim_end_matches('/'))
    }
}

/// Takes all that is ready in a stream.
pub(crate) fn drain<T>(stream: &mut (impl Stream<Item = T> + Unpin), mut take: impl FnMut(T)) {
    while let Some(Some(item)) = stream.next().now_or_never() {
        take(item);
    }
}

#[derive(Default)]
struct Complaints {
    said: Option<Instant>,
    since: u64,
}

impl Complaints {
    fn say(&mut self, topic: &str, why: &Refused) {
        self.since += 1;
        if self
            .said
            .is_none_or(|at| at.elapsed() >= Duration::from_secs(1))
        {
            tracing::warn!("{topic}: refused {} message(s), newest: {why}", self.since);
            self.said = Some(Instant::now());
            self.since = 0;
        }
    }
}

fn spawn_spin<I: Send + 'static>(
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

fn watch_signals<I: Send + 'static>(shared: &Arc<Shared<I>>) -> Result<(), KitError> {
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
