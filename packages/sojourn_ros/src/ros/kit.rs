//! Setting a node up.

use crate::inbox::{Inbox, Keep};
use crate::params::{ParamStore, ParamValue, build};
use crate::ros::graph::GraphWatch;
use crate::ros::meta::MsgMeta;
use crate::ros::publisher::{Counts, Publisher, is_counted, subscription_qos};
use crate::ros::run::{RunningNode, Say, Shared, State, guard};
use crate::ros::threads::{spawn_spin, watch_signals};
use crate::ros::ticks::{TickMode, tick_parameters};
use crate::ros::{context, logging, param_services};
use crate::{KitError, ParamError, Refused};
use futures::{FutureExt, Stream, StreamExt};
use r2r::WrappedTypesupport;
use r2r::sojourn_msgs::msg::Heartbeat;
use serde::de::DeserializeOwned;
use sojourn_core::Stamp;
use sojourn_core::health::Health;
use sojourn_core::topics::{self, QosClass, Topic};
use std::collections::BTreeMap;
use std::future::Future;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Messages kept per topic until the node takes them.
const QUEUE: usize = 400;
/// The same for topics of [`QosClass::Sensor`] and [`QosClass::Driver`], which may be images.
const SENSOR_QUEUE: usize = 40;

pub(crate) type Drainer = Box<dyn FnMut() + Send>;
type Probe = (String, Box<dyn Fn() -> usize + Send>);

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
    pub(crate) node: r2r::Node,
    pub(crate) shared: Arc<Shared<I>>,
    pub(crate) namespace: String,
    pub(crate) period: Duration,
    pub(crate) drainers: Vec<Drainer>,
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
        let capacity = if matches!(topic.qos, QosClass::Sensor | QosClass::Driver) {
            SENSOR_QUEUE
        } else {
            QUEUE
        };
        let number = {
            let inbox = &mut guard(&self.shared.state).inbox;
            let number = inbox.add(&resolved, keep, by_tick, capacity);
            if topic.qos == QosClass::Sensor && !by_tick {
                inbox.check_stamps(number);
            }
            number
        };
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
            off_clock: BTreeMap::new(),
        })
    }
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
pub(super) struct Complaints {
    said: Option<Instant>,
    since: u64,
}

impl Complaints {
    pub(super) fn say(&mut self, topic: &str, why: &Refused) {
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
