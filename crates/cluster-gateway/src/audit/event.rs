//! An event, and how it stands in JSON.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::SystemTime;

use http::StatusCode;
use serde::{Serialize, Serializer};
use time::OffsetDateTime;
use time::macros::format_description;

use super::policy::Stage;
use super::trail::Ending;
use crate::authn::UserInfo;
use crate::status::Status;

/// The version of everything written here.
pub(super) const API_VERSION: &str = "audit.k8s.io/v1";
/// Bytes that take one place in a queue; more than an event without an extraordinary user has.
const PLACE: usize = 32 << 10;

/// What does not change while a request is served.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) audit_id: String,
    pub(super) uri: String,
    pub(super) verb: String,
    pub(super) user: Option<UserInfo>,
    pub(super) source_ips: Vec<IpAddr>,
    pub(super) user_agent: String,
    pub(super) object: Option<ObjectReference>,
    pub(super) inner: Option<Inner>,
    pub(super) received: SystemTime,
}

/// The resource that a request is for, as the hub sees it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ObjectReference {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) resource: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) namespace: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) api_group: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) api_version: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) subresource: String,
}

/// What a proxied request is for, as the member sees it. Empty texts are left out.
#[derive(Debug, Default)]
pub(super) struct Inner {
    pub(super) cluster: String,
    pub(super) verb: String,
    /// `pods/exec`, `deployments.apps`; empty for paths that are no resources.
    pub(super) resource: String,
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) path: String,
}

/// What was decided about a request.
#[derive(Debug, Clone)]
pub(super) enum Decision {
    Allow(Arc<str>),
    Forbid(Arc<str>),
    /// It could not be found out.
    Unknown,
}

/// How a request was answered.
#[derive(Debug, Clone, Serialize)]
#[serde(untagged)]
pub(super) enum ResponseStatus {
    Plain(Plain),
    Failure(Status),
}

/// An answer that is no failure of ours.
#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct Plain {
    metadata: Empty,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<&'static str>,
    #[serde(skip_serializing_if = "String::is_empty")]
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    code: u16,
}

#[derive(Debug, Clone, Default, Serialize)]
struct Empty {}

/// What a backend writes: a request at one stage.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) request: Arc<Request>,
    pub(super) stage: Stage,
    pub(super) at: SystemTime,
    pub(super) impersonated: Option<Arc<UserInfo>>,
    pub(super) decision: Option<Decision>,
    pub(super) status: Option<ResponseStatus>,
    pub(super) ending: Option<Ending>,
}

impl ResponseStatus {
    pub(super) fn of_code(code: StatusCode) -> Self {
        Self::Plain(Plain { code: code.as_u16(), ..Plain::default() })
    }

    pub(super) fn unauthorized(message: String) -> Self {
        Self::Plain(Plain { message, code: StatusCode::UNAUTHORIZED.as_u16(), ..Plain::default() })
    }

    pub(super) fn panicked() -> Self {
        Self::Plain(Plain {
            status: Some("Failure"),
            message: "APIServer panic'd; the log says where".to_owned(),
            reason: Some("InternalError"),
            code: StatusCode::INTERNAL_SERVER_ERROR.as_u16(),
            ..Plain::default()
        })
    }

    /// kube-apiserver's words for a request that went away before it was answered.
    pub(super) fn closed_early() -> Self {
        Self::Plain(Plain {
            status: Some("Success"),
            message: "Connection closed early".to_owned(),
            code: StatusCode::OK.as_u16(),
            ..Plain::default()
        })
    }
}

impl Request {
    /// The places in a queue that an event of this request takes.
    pub(super) fn cost(&self) -> u32 {
        let user = self.user.as_ref().map_or(0, UserInfo::bytes);
        u32::try_from(user / PLACE).unwrap_or(u32::MAX).saturating_add(1)
    }
}

impl Entry {
    pub(super) fn cost(&self) -> u32 {
        self.request.cost()
    }

    /// The event. `typed`: with kind and version, which items of a list do not repeat.
    pub(super) fn event(&self, typed: bool) -> Event<'_> {
        let request = &*self.request;
        Event {
            kind: typed.then_some("Event"),
            api_version: typed.then_some(API_VERSION),
            level: "Metadata",
            audit_id: &request.audit_id,
            stage: self.stage.as_str(),
            request_uri: &request.uri,
            verb: &request.verb,
            user: request.user.as_ref().map(User::of).unwrap_or_default(),
            impersonated_user: self.impersonated.as_deref().map(User::of),
            source_ips: &request.source_ips,
            user_agent: &request.user_agent,
            object_ref: request.object.as_ref(),
            response_status: self.status.as_ref(),
            request_received_timestamp: MicroTime(request.received),
            stage_timestamp: MicroTime(self.at),
            annotations: self.annotations(),
        }
    }

    fn annotations(&self) -> BTreeMap<&'static str, Cow<'_, str>> {
        let mut all: BTreeMap<&'static str, Cow<'_, str>> = BTreeMap::new();
        match &self.decision {
            Some(Decision::Allow(reason)) => {
                all.insert("authorization.k8s.io/decision", "allow".into());
                all.insert("authorization.k8s.io/reason", Cow::from(&**reason));
            }
            Some(Decision::Forbid(reason)) => {
                all.insert("authorization.k8s.io/decision", "forbid".into());
                all.insert("authorization.k8s.io/reason", Cow::from(&**reason));
            }
            Some(Decision::Unknown) => {
                all.insert("authorization.k8s.io/reason", "internal error".into());
            }
            None => {}
        }
        if let Some(inner) = &self.request.inner {
            let pairs = [
                (concat!(cluster_gateway_client::group!(), "/cluster"), &inner.cluster),
                (concat!(cluster_gateway_client::group!(), "/proxied-verb"), &inner.verb),
                (concat!(cluster_gateway_client::group!(), "/proxied-resource"), &inner.resource),
                (concat!(cluster_gateway_client::group!(), "/proxied-namespace"), &inner.namespace),
                (concat!(cluster_gateway_client::group!(), "/proxied-name"), &inner.name),
                (concat!(cluster_gateway_client::group!(), "/proxied-path"), &inner.path),
            ];
            let set = pairs.into_iter().filter(|(_, value)| !value.is_empty());
            all.extend(set.map(|(key, value)| (key, Cow::from(value))));
        }
        if let Some(words) = self.ending.and_then(Ending::annotation) {
            all.insert(concat!(cluster_gateway_client::group!(), "/ending"), words.into());
        }
        all
    }
}

/// An event in the order in which kube-apiserver writes it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Event<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    api_version: Option<&'static str>,
    level: &'static str,
    #[serde(rename = "auditID")]
    audit_id: &'a str,
    stage: &'static str,
    #[serde(rename = "requestURI")]
    request_uri: &'a str,
    verb: &'a str,
    user: User<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    impersonated_user: Option<User<'a>>,
    #[serde(rename = "sourceIPs")]
    source_ips: &'a [IpAddr],
    #[serde(skip_serializing_if = "str::is_empty")]
    user_agent: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    object_ref: Option<&'a ObjectReference>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_status: Option<&'a ResponseStatus>,
    request_received_timestamp: MicroTime,
    stage_timestamp: MicroTime,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    annotations: BTreeMap<&'static str, Cow<'a, str>>,
}

#[derive(Debug, Default, Serialize)]
struct User<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    username: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    uid: &'a str,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    groups: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    extra: Option<&'a BTreeMap<String, Vec<String>>>,
}

impl<'a> User<'a> {
    fn of(user: &'a UserInfo) -> Self {
        let extra = Some(&user.extra).filter(|extra| !extra.is_empty());
        Self { username: &user.name, uid: &user.uid, groups: &user.groups, extra }
    }
}

/// A time as Kubernetes' MicroTime.
#[derive(Debug)]
struct MicroTime(SystemTime);

impl Serialize for MicroTime {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let format =
            format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:6]Z");
        let text = OffsetDateTime::from(self.0).format(format).map_err(serde::ser::Error::custom)?;
        serializer.serialize_str(&text)
    }
}
