//! What goes wrong, as Kubernetes' `Status` says it.

use serde_json::{Value, json};

use crate::resources::Resource;

pub(crate) type Result<T> = std::result::Result<T, Status>;

/// A failure for the client.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Status {
    pub(crate) code: u16,
    pub(crate) reason: &'static str,
    pub(crate) message: String,
    pub(crate) details: Value,
}

impl Status {
    fn new(code: u16, reason: &'static str, message: impl Into<String>) -> Self {
        Self { code, reason, message: message.into(), details: Value::Null }
    }

    fn about(mut self, resource: &Resource, name: &str) -> Self {
        self.details = json!({"name": name, "kind": resource.plural});
        if !resource.group.is_empty() {
            self.details["group"] = resource.group.into();
        }
        self
    }

    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, "BadRequest", message)
    }

    pub(crate) fn unauthorized() -> Self {
        Self::new(401, "Unauthorized", "Unauthorized")
    }

    pub(crate) fn forbidden(message: impl Into<String>) -> Self {
        Self::new(403, "Forbidden", message)
    }

    /// No such object.
    pub(crate) fn not_found(resource: &Resource, name: &str) -> Self {
        let message = format!("{} \"{name}\" not found", resource.qualified());
        Self::new(404, "NotFound", message).about(resource, name)
    }

    /// No such path.
    pub(crate) fn no_route() -> Self {
        Self::new(404, "NotFound", "the server could not find the requested resource")
    }

    pub(crate) fn method_not_allowed() -> Self {
        let message = "the server does not allow this method on the requested resource";
        Self::new(405, "MethodNotAllowed", message)
    }

    pub(crate) fn not_acceptable() -> Self {
        let message = "only the following media types are accepted: application/json";
        Self::new(406, "NotAcceptable", message)
    }

    pub(crate) fn already_exists(resource: &Resource, name: &str) -> Self {
        let message = format!("{} \"{name}\" already exists", resource.qualified());
        Self::new(409, "AlreadyExists", message).about(resource, name)
    }

    pub(crate) fn conflict(resource: &Resource, name: &str, why: &str) -> Self {
        let message = format!("Operation cannot be fulfilled on {} \"{name}\": {why}", resource.qualified());
        Self::new(409, "Conflict", message).about(resource, name)
    }

    /// The wanted resource version is no longer known.
    pub(crate) fn expired(message: impl Into<String>) -> Self {
        Self::new(410, "Expired", message)
    }

    pub(crate) fn too_large() -> Self {
        let message = "the request is larger than the limit of 3145728 bytes";
        Self::new(413, "RequestEntityTooLarge", message)
    }

    pub(crate) fn unsupported_media(given: &str, accepted: &str) -> Self {
        let message = format!(
            "the body of the request was in an unknown format ({given}) - accepted media types include: {accepted}"
        );
        Self::new(415, "UnsupportedMediaType", message)
    }

    /// One field of an object is not as it must be.
    pub(crate) fn invalid(resource: &Resource, name: &str, field: &str, why: &str) -> Self {
        let kind = match resource.group {
            "" => resource.kind.to_owned(),
            group => format!("{}.{group}", resource.kind),
        };
        let mut status = Self::new(422, "Invalid", format!("{kind} \"{name}\" is invalid: {field}: {why}"))
            .about(resource, name);
        status.details["kind"] = resource.kind.into();
        status.details["causes"] = json!([{"reason": "FieldValueInvalid", "message": why, "field": field}]);
        status
    }

    /// An operation, not an object, is not as it must be.
    pub(crate) fn unprocessable(message: impl Into<String>) -> Self {
        Self::new(422, "Invalid", message)
    }

    pub(crate) fn too_many_requests(seconds: u64) -> Self {
        let mut status = Self::new(
            429,
            "TooManyRequests",
            "the server has received too many requests and has asked us to try again later",
        );
        status.details = json!({"retryAfterSeconds": seconds});
        status
    }

    pub(crate) fn internal(message: impl Into<String>) -> Self {
        Self::new(500, "InternalError", format!("Internal error occurred: {}", message.into()))
    }

    /// How long the client is asked to wait, seconds.
    pub(crate) fn retry_after(&self) -> Option<u64> {
        self.details["retryAfterSeconds"].as_u64()
    }

    pub(crate) fn document(&self) -> Value {
        let mut document = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": self.message, "reason": self.reason, "code": self.code,
        });
        if !self.details.is_null() {
            document["details"] = self.details.clone();
        }
        document
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resources::named;

    #[test]
    fn an_object_that_is_not_there_is_named_with_its_group() {
        let status = Status::not_found(named("deployments"), "web").document();
        assert_eq!(status["message"], r#"deployments.apps "web" not found"#);
        assert_eq!(status["details"], json!({"name": "web", "group": "apps", "kind": "deployments"}));
        assert_eq!(status["code"], 404);
        let status = Status::not_found(named("pods"), "web").document();
        assert_eq!(status["details"], json!({"name": "web", "kind": "pods"}));
    }

    #[test]
    fn a_wrong_field_is_a_cause() {
        let status = Status::invalid(named("pods"), "p", "spec.containers", "Required value").document();
        assert_eq!(status["message"], r#"Pod "p" is invalid: spec.containers: Required value"#);
        assert_eq!(status["details"]["causes"][0]["field"], "spec.containers");
    }
}
