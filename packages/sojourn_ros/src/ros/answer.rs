//! Answers to service requests.

use r2r::{ServiceRequest, WrappedServiceTypeSupport};

/// Answers a request. A client that has left, or whose reader this process has not discovered yet (`RCL_RET_TIMEOUT`, after
/// 100 ms), gets nothing and has to ask again. As in rclcpp, that is a warning in the log and ends no node.
pub fn answer<T>(request: ServiceRequest<T>, response: T::Response)
where
    T: 'static + WrappedServiceTypeSupport,
{
    if let Err(e) = request.respond(response) {
        let service = std::any::type_name::<T>();
        tracing::warn!("an answer did not reach whoever asked ({service}): {e}");
    }
}
