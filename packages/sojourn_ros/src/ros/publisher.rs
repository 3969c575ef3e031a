//! Publishers that count, so that lockstep knows what is under way.

use r2r::WrappedTypesupport;
use sojourn_core::topics::{QosClass, Topic};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// The QoS of a class in the table of topics.
#[must_use]
pub fn qos_profile(class: QosClass) -> r2r::QosProfile {
    let reliable = |depth| r2r::QosProfile::default().reliable().keep_last(depth);
    match class {
        QosClass::Command => reliable(1),
        QosClass::Sensor | QosClass::Clock => reliable(10),
        QosClass::Event => reliable(100),
        QosClass::Latched => reliable(1).transient_local(),
        QosClass::TfStatic => reliable(100).transient_local(),
        QosClass::Driver => r2r::QosProfile::default().best_effort().keep_last(10),
    }
}

/// QoS of a subscription: as the class says, with room for what several publishers send within one tick.
#[must_use]
pub fn subscription_qos(class: QosClass) -> r2r::QosProfile {
    match class {
        QosClass::Command => qos_profile(class).keep_last(10),
        _ => qos_profile(class),
    }
}

/// Whether messages of a class are counted. Latched ones are not: a late joiner gets only the last of them.
#[must_use]
pub fn is_counted(class: QosClass) -> bool {
    !matches!(
        class,
        QosClass::Latched | QosClass::TfStatic | QosClass::Driver
    )
}

/// How many messages this node has published on each topic.
#[derive(Debug, Default)]
pub struct Counts {
    open: AtomicBool,
    topics: Mutex<BTreeMap<String, Arc<AtomicU64>>>,
}

impl Counts {
    pub(crate) fn add(&self, topic: &str) -> Arc<AtomicU64> {
        let mut topics = self.topics.lock().unwrap_or_else(PoisonError::into_inner);
        topics.entry(topic.to_string()).or_default().clone()
    }

    pub(crate) fn snapshot(&self) -> BTreeMap<String, u64> {
        let topics = self.topics.lock().unwrap_or_else(PoisonError::into_inner);
        topics
            .iter()
            .map(|(t, n)| (t.clone(), n.load(Ordering::SeqCst)))
            .collect()
    }

    /// From now on messages go out. Before the first tick they would be lost on subscribers not found yet.
    pub(crate) fn open(&self) {
        self.open.store(true, Ordering::SeqCst);
    }

    pub(crate) fn is_open(&self) -> bool {
        self.open.load(Ordering::SeqCst)
    }
}

/// A publisher on one topic of the table. Cheap to clone.
pub struct Publisher<T: WrappedTypesupport> {
    inner: r2r::Publisher<T>,
    topic: String,
    count: Option<Arc<AtomicU64>>,
    counts: Arc<Counts>,
}

impl<T: WrappedTypesupport + Clone> Clone for Publisher<T> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            topic: self.topic.clone(),
            count: self.count.clone(),
            counts: self.counts.clone(),
        }
    }
}

impl<T: WrappedTypesupport + 'static> Publisher<T> {
    pub(crate) fn create(
        node: &mut r2r::Node,
        topic: &Topic,
        resolved: &str,
        counts: &Arc<Counts>,
    ) -> Result<Self, crate::KitError> {
        let inner = node
            .create_publisher::<T>(topic.name, qos_profile(topic.qos))
            .map_err(|e| crate::KitError::ros("create a publisher on", resolved, &e))?;
        let count = is_counted(topic.qos).then(|| counts.add(resolved));
        Ok(Self {
            inner,
            topic: resolved.to_string(),
            count,
            counts: counts.clone(),
        })
    }

    /// Publishes. Before the first tick of a simulated run nothing but latched messages goes out.
    ///
    /// # Errors
    /// [`crate::KitError`] naming the topic, when the node is shutting down or the message cannot be sent.
    pub fn publish(&self, message: &T) -> Result<(), crate::KitError> {
        if let Some(count) = &self.count {
            if !self.counts.is_open() {
                return Ok(());
            }
            count.fetch_add(1, Ordering::SeqCst);
        }
        self.inner
            .publish(message)
            .map_err(|e| crate::KitError::ros("publish on", &self.topic, &e))
    }

    /// Publishes although nothing counts yet.
    pub(crate) fn publish_uncounted(&self, message: &T) -> Result<(), crate::KitError> {
        self.inner
            .publish(message)
            .map_err(|e| crate::KitError::ros("publish on", &self.topic, &e))
    }

    /// How many subscribers this publisher has found.
    #[must_use]
    pub fn subscribers(&self) -> usize {
        self.inner
            .get_inter_process_subscription_count()
            .unwrap_or(0)
    }
}
