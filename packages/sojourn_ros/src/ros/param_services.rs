//! The six parameter services and `/parameter_events`.

use crate::params::{ParamStore, ParamValue};
use crate::ros::answer::answer;
use crate::ros::kit::{Drainer, drain};
use crate::ros::meta::stamp_to_msg;
use crate::ros::run::Shared;
use crate::{KitError, ParamError};
use r2r::rcl_interfaces::{msg, srv};
use std::sync::{Arc, Mutex, PoisonError};

pub(crate) type Store = Arc<Mutex<ParamStore>>;

pub(crate) fn to_msg(value: &ParamValue) -> msg::ParameterValue {
    let mut out = msg::ParameterValue {
        type_: type_of(value),
        ..Default::default()
    };
    match value.clone() {
        ParamValue::Bool(v) => out.bool_value = v,
        ParamValue::Integer(v) => out.integer_value = v,
        ParamValue::Double(v) => out.double_value = v,
        ParamValue::String(v) => out.string_value = v,
        ParamValue::Bytes(v) => out.byte_array_value = v,
        ParamValue::Bools(v) => out.bool_array_value = v,
        ParamValue::Integers(v) => out.integer_array_value = v,
        ParamValue::Doubles(v) => out.double_array_value = v,
        ParamValue::Strings(v) => out.string_array_value = v,
    }
    out
}

fn type_of(value: &ParamValue) -> u8 {
    match value {
        ParamValue::Bool(_) => 1,
        ParamValue::Integer(_) => 2,
        ParamValue::Double(_) => 3,
        ParamValue::String(_) => 4,
        ParamValue::Bytes(_) => 5,
        ParamValue::Bools(_) => 6,
        ParamValue::Integers(_) => 7,
        ParamValue::Doubles(_) => 8,
        ParamValue::Strings(_) => 9,
    }
}

fn from_msg(value: &msg::ParameterValue) -> Option<ParamValue> {
    let v = value.clone();
    Some(match value.type_ {
        1 => ParamValue::Bool(v.bool_value),
        2 => ParamValue::Integer(v.integer_value),
        3 => ParamValue::Double(v.double_value),
        4 => ParamValue::String(v.string_value),
        5 => ParamValue::Bytes(v.byte_array_value),
        6 => ParamValue::Bools(v.bool_array_value),
        7 => ParamValue::Integers(v.integer_array_value),
        8 => ParamValue::Doubles(v.double_array_value),
        9 => ParamValue::Strings(v.string_array_value),
        _ => return None,
    })
}

/// From the values that r2r has read from files and arguments.
pub(crate) fn from_r2r(value: &r2r::ParameterValue) -> Option<ParamValue> {
    use r2r::ParameterValue as P;
    Some(match value.clone() {
        // An empty list in a file has no type; it fits every list.
        P::NotSet => ParamValue::Strings(Vec::new()),
        P::Bool(v) => ParamValue::Bool(v),
        P::Integer(v) => ParamValue::Integer(v),
        P::Double(v) => ParamValue::Double(v),
        P::String(v) => ParamValue::String(v),
        P::BoolArray(v) => ParamValue::Bools(v),
        P::ByteArray(v) => ParamValue::Bytes(v),
        P::IntegerArray(v) => ParamValue::Integers(v),
        P::DoubleArray(v) => ParamValue::Doubles(v),
        P::StringArray(v) => ParamValue::Strings(v),
    })
}

fn set<I>(
    shared: &Shared<I>,
    events: &r2r::Publisher<msg::ParameterEvent>,
    changes: &[msg::Parameter],
) -> msg::SetParametersResult {
    let outcome = (|| {
        let mut typed = Vec::new();
        for p in changes {
            let value = from_msg(&p.value)
                .ok_or_else(|| ParamError(format!("parameter `{}` cannot be deleted", p.name)))?;
            typed.push((p.name.clone(), value));
        }
        lock(&shared.params).set(&typed)
    })();
    match outcome {
        Ok(()) => {
            shared.apply_use_sim_time();
            let event = msg::ParameterEvent {
                stamp: stamp_to_msg(shared.now()),
                node: shared.fully_qualified_name.clone(),
                changed_parameters: changes.to_vec(),
                ..Default::default()
            };
            if let Err(e) = events.publish(&event) {
                tracing::debug!("cannot publish a parameter event: {e}");
            }
            shared.notify.notify_one();
            msg::SetParametersResult {
                successful: true,
                reason: String::new(),
            }
        }
        Err(e) => msg::SetParametersResult {
            successful: false,
            reason: e.to_string(),
        },
    }
}

fn lock(store: &Store) -> std::sync::MutexGuard<'_, ParamStore> {
    store.lock().unwrap_or_else(PoisonError::into_inner)
}

fn listed(name: &str, request: &srv::ListParameters::Request) -> bool {
    let deep_enough =
        |rest: &str| request.depth == 0 || (rest.matches('.').count() as u64) < request.depth;
    if request.prefixes.is_empty() {
        return deep_enough(name);
    }
    request.prefixes.iter().any(|prefix| {
        name == prefix
            || name
                .strip_prefix(prefix.as_str())
                .and_then(|r| r.strip_prefix('.'))
                .is_some_and(deep_enough)
    })
}

/// Creates the services; the drainers answer them on the spin thread.
pub(crate) fn create<I: Send + 'static>(
    node: &mut r2r::Node,
    name: &str,
    shared: &Arc<Shared<I>>,
    drainers: &mut Vec<Drainer>,
) -> Result<(), KitError> {
    let qos = r2r::QosProfile::parameters;
    let oops = |e: r2r::Error| KitError::ros("create the parameter services of", name, &e);
    let events = node
        .create_publisher::<msg::ParameterEvent>(
            "/parameter_events",
            r2r::QosProfile::parameter_events(),
        )
        .map_err(oops)?;

    macro_rules! service {
        ($kind:ident, $suffix:literal, |$store:ident, $request:ident| $answer:expr) => {{
            let mut stream = node
                .create_service::<srv::$kind::Service>(&format!("{name}/{}", $suffix), qos())
                .map_err(oops)?;
            let $store = shared.params.clone();
            drainers.push(Box::new(move || {
                drain(&mut stream, |request| {
                    let $request = &request.message;
                    let response = $answer;
                    answer(request, response);
                });
            }));
        }};
    }

    service!(GetParameters, "get_parameters", |store, request| {
        let store = lock(&store);
        let values = request
            .names
            .iter()
            .map(|n| store.values().get(n).map(to_msg).unwrap_or_default())
            .collect();
        srv::GetParameters::Response { values }
    });
    service!(
        GetParameterTypes,
        "get_parameter_types",
        |store, request| {
            let store = lock(&store);
            let types = request
                .names
                .iter()
                .map(|n| store.values().get(n).map_or(0, type_of))
                .collect();
            srv::GetParameterTypes::Response { types }
        }
    );
    service!(ListParameters, "list_parameters", |store, request| {
        let store = lock(&store);
        let names: Vec<String> = store
            .values()
            .keys()
            .filter(|n| listed(n, request))
            .cloned()
            .collect();
        let mut prefixes: Vec<String> = names
            .iter()
            .filter_map(|n| n.rsplit_once('.').map(|(p, _)| p.to_string()))
            .collect();
        prefixes.dedup();
        srv::ListParameters::Response {
            result: msg::ListParametersResult { names, prefixes },
        }
    });
    service!(
        DescribeParameters,
        "describe_parameters",
        |store, request| {
            let store = lock(&store);
            let describe = |n: &String| msg::ParameterDescriptor {
                name: n.clone(),
                type_: store.values().get(n).map_or(0, type_of),
                read_only: !store.is_settable(n),
                ..Default::default()
            };
            srv::DescribeParameters::Response {
                descriptors: request.names.iter().map(describe).collect(),
            }
        }
    );

    let mut stream = node
        .create_service::<srv::SetParameters::Service>(&format!("{name}/set_parameters"), qos())
        .map_err(oops)?;
    let (for_set, event) = (shared.clone(), events.clone());
    drainers.push(Box::new(move || {
        drain(&mut stream, |request| {
            let results = request
                .message
                .parameters
                .iter()
                .map(|p| set(&for_set, &event, std::slice::from_ref(p)))
                .collect();
            answer(request, srv::SetParameters::Response { results });
        });
    }));
    let mut stream = node
        .create_service::<srv::SetParametersAtomically::Service>(
            &format!("{name}/set_parameters_atomically"),
            qos(),
        )
        .map_err(oops)?;
    let for_set = shared.clone();
    drainers.push(Box::new(move || {
        drain(&mut stream, |request| {
            let result = set(&for_set, &events, &request.message.parameters);
            answer(request, srv::SetParametersAtomically::Response { result });
        });
    }));
    Ok(())
}
