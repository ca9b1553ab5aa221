//! One request's way through the stages. Whoever serves it tells what is known as soon as it is known.

use std::sync::Arc;
use std::time::SystemTime;

use http::request::Parts;
use http::{HeaderMap, HeaderValue, StatusCode, header};

use super::event::{Decision, Entry, Inner, ObjectReference, Request, ResponseStatus};
use super::policy::{Stage, Stages};
use super::request_uri::{bounded, redacted};
use super::{Auditor, Waiting, source};
use crate::authn::{Connection, UserInfo};
use crate::authz::{Attributes, Policy, Target};
use crate::request::{MemberRequest, ProxyTarget, RequestInfo, ResourceTarget, Verb};
use crate::status::Error;

/// Bytes of a user agent in an event, at most; as in kube-apiserver.
const MAX_USER_AGENT: usize = 1024;
/// Bytes of any other text that a caller controls.
const MAX_TEXT: usize = 1024;

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// The last byte has been read.
    Complete,
    /// The caller went away before.
    CallerLeft,
    /// The sender of the body broke off.
    BrokenOff,
    /// Something panicked while the answer was on its way.
    Panicked,
}

impl Ending {
    /// Value of the annotation `cluster.core.oam.dev/ending`.
    pub(super) fn annotation(self) -> Option<&'static str> {
        match self {
            Self::Complete | Self::Panicked => None,
            Self::CallerLeft => Some("caller left"),
            Self::BrokenOff => Some("broken off"),
        }
    }
}

/// The audit of one request.
#[derive(Debug)]
pub struct Trail {
    auditor: Arc<Auditor>,
    request: Arc<Request>,
    attempted: Attempted,
    long_running: bool,
    phase: Phase,
    impersonated: Option<Arc<UserInfo>>,
    decision: Option<Decision>,
    status: Option<ResponseStatus>,
    panicked: bool,
    /// What the policy is asked about; dropped once it has been.
    info: RequestInfo,
}

/// What is written of the request from here on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Nobody knows yet who asks.
    Received,
    /// The policy wants it; these stages are left out.
    Audited { omit: Stages, acting: bool },
    /// It failed before anybody knew who asks: one event, when the answer starts.
    Refused { omit: Stages },
    /// Nothing more.
    Done,
}

impl Trail {
    /// A request that has been read. Nothing is written before it is known who asks.
    #[must_use]
    pub fn start(
        auditor: &Arc<Auditor>,
        audit_id: &HeaderValue,
        connection: &Connection,
        info: &RequestInfo,
        parts: &Parts,
    ) -> Self {
        let inner = match info {
            RequestInfo::Proxy(target) => Some(InnerTarget::of(target)),
            RequestInfo::Resource(_) | RequestInfo::Document(_) => None,
        };
        let long_running = match (info, &inner) {
            (RequestInfo::Proxy(target), Some(inner)) => target.upgrade || inner.is_long_running(),
            (RequestInfo::Resource(target), _) => target.verb == Verb::Watch,
            _ => false,
        };
        let (verb, object) = with_attributes(info, |attributes| {
            (bounded(attributes.verb(), MAX_TEXT), ObjectReference::of(attributes))
        });
        let request = Request {
            audit_id: String::from_utf8_lossy(audit_id.as_bytes()).into_owned(),
            uri: redacted(&parts.uri),
            verb,
            user: None,
            source_ips: source::ips(&parts.headers, connection.peer().ip()),
            user_agent: user_agent(&parts.headers),
            object,
            inner: inner.map(InnerTarget::into_inner),
            received: SystemTime::now(),
        };
        Self {
            auditor: Arc::clone(auditor),
            request: Arc::new(request),
            attempted: Attempted::of(&parts.headers, connection),
            long_running,
            phase: Phase::Received,
            impersonated: None,
            decision: None,
            status: None,
            panicked: false,
            info: info.clone(),
        }
    }

    /// It is known who asks. If there is something to wait for, the request must not go on before.
    #[must_use]
    pub fn authenticated(&mut self, user: &UserInfo) -> Option<Waiting> {
        let omit = self.ask_policy(Some(user))?;
        if let Some(request) = Arc::get_mut(&mut self.request) {
            request.user = Some(user.clone());
        }
        self.phase = Phase::Audited { omit, acting: false };
        let cost = self.request.cost();
        let entry = self.entry(Stage::RequestReceived, None);
        self.auditor.admit(entry, cost)
    }

    /// As whom they act: themselves, or somebody whom they may impersonate. From here on it is about whether that one may.
    pub fn acts_as(&mut self, user: &UserInfo) {
        if let Phase::Audited { acting, .. } = &mut self.phase {
            *acting = true;
            if self.request.user.as_ref() != Some(user) {
                self.impersonated = Some(Arc::new(user.clone()));
            }
        }
    }

    /// They may, for this reason of the authorizer's if it gave one.
    pub fn allowed(&mut self, reason: Option<&Arc<str>>) {
        self.decision = Some(Decision::Allow(reason.cloned().unwrap_or_default()));
    }

    /// The answer is a failure.
    pub fn failed(&mut self, error: &Error) {
        if self.phase == Phase::Received {
            self.phase = self.ask_policy(None).map_or(Phase::Done, |omit| Phase::Refused { omit });
        }
        if matches!(self.phase, Phase::Audited { acting: true, .. }) && self.decision.is_none() {
            self.decision = match error {
                Error::Forbidden(forbidden) => Some(Decision::Forbid(forbidden.reason.as_str().into())),
                Error::AuthorizationUnknown { .. } => Some(Decision::Unknown),
                _ => None,
            };
        }
        self.panicked = matches!(error, Error::Panic);
        self.status = Some(match (error, error.untyped_status()) {
            (Error::Unauthorized(_) | Error::UnauthorizedWithAdvice { .. }, _) => {
                ResponseStatus::unauthorized(self.attempted.message())
            }
            (_, Some(status)) => ResponseStatus::Failure(status),
            (_, None) => ResponseStatus::of_code(error.code()),
        });
    }

    /// The head of the answer is there.
    pub fn answered(&mut self, code: StatusCode) {
        self.status.get_or_insert_with(|| ResponseStatus::of_code(code));
        let refused = matches!(self.phase, Phase::Refused { .. });
        if refused || (self.long_running && !self.panicked) {
            self.write(Stage::ResponseStarted, None);
        }
        if refused {
            self.phase = Phase::Done;
        }
    }

    /// Nothing more will come of it.
    pub fn ended(&mut self, ending: Ending) {
        if !matches!(self.phase, Phase::Audited { .. }) {
            return;
        }
        let stage = if self.panicked || ending == Ending::Panicked {
            self.status = Some(ResponseStatus::panicked());
            Stage::Panic
        } else {
            self.status.get_or_insert_with(ResponseStatus::closed_early);
            Stage::ResponseComplete
        };
        self.write(stage, Some(ending));
        self.phase = Phase::Done;
    }

    fn ask_policy(&mut self, user: Option<&UserInfo>) -> Option<Stages> {
        let omit = with_attributes(&self.info, |attributes| self.auditor.policy.decide(user, attributes));
        if omit.is_none() {
            self.phase = Phase::Done;
        }
        omit
    }

    fn write(&self, stage: Stage, ending: Option<Ending>) {
        self.auditor.record(self.entry(stage, ending), Vec::new());
    }

    /// `None`: the policy leaves this stage out.
    fn entry(&self, stage: Stage, ending: Option<Ending>) -> Option<Entry> {
        let (Phase::Audited { omit, .. } | Phase::Refused { omit }) = self.phase else { return None };
        (!omit.contains(stage)).then(|| Entry {
            request: Arc::clone(&self.request),
            stage,
            at: if stage == Stage::RequestReceived { self.request.received } else { SystemTime::now() },
            impersonated: self.impersonated.clone(),
            decision: self.decision.clone(),
            status: self.status.clone(),
            ending,
        })
    }
}

/// What the hub's authorizer is asked first is also what a policy is about.
fn with_attributes<T>(info: &RequestInfo, look: impl FnOnce(&Attributes<'_>) -> T) -> T {
    fn first<T>(target: &impl Target, look: impl FnOnce(&Attributes<'_>) -> T) -> T {
        let nothing = Attributes::Path { verb: "", path: "" };
        look(&target.attributes(&Policy::default()).next().unwrap_or(nothing))
    }
    match info {
        RequestInfo::Proxy(target) => first(target, look),
        RequestInfo::Resource(target) => first(target, look),
        RequestInfo::Document(target) => first(target, look),
    }
}

impl ObjectReference {
    fn of(attributes: &Attributes<'_>) -> Option<Self> {
        let Attributes::Resource { group, version, resource, subresource, namespace, name, .. } = attributes
        else {
            return None;
        };
        let text = |text: &str| bounded(text, MAX_TEXT);
        Some(Self {
            resource: text(resource),
            namespace: text(namespace),
            name: text(name),
            api_group: text(group),
            api_version: text(version),
            subresource: text(subresource),
        })
    }
}

/// A proxied request as the member will read it.
struct InnerTarget {
    cluster: String,
    verb: String,
    /// `None`: the path is no resource's.
    resource: Option<ResourceTarget>,
    path: String,
}

impl InnerTarget {
    fn of(target: &ProxyTarget) -> Self {
        let cluster = target.path.cluster.clone();
        match target.at_member() {
            Ok(MemberRequest::Resource(resource)) => Self {
                cluster,
                verb: resource.verb.as_str().to_owned(),
                resource: Some(resource),
                path: String::new(),
            },
            Ok(MemberRequest::Document(document)) => {
                let path = bounded(&document.path, MAX_TEXT);
                Self { cluster, verb: bounded(&document.verb, MAX_TEXT), resource: None, path }
            }
            // What it means, the member decides.
            Err(_) => {
                let verb = target.verb.as_str().to_owned();
                Self { cluster, verb, resource: None, path: bounded(&target.path.path, MAX_TEXT) }
            }
        }
    }

    /// As kube-apiserver has it.
    fn is_long_running(&self) -> bool {
        self.resource.as_ref().is_some_and(|resource| {
            matches!(resource.verb, Verb::Watch | Verb::Proxy)
                || ["attach", "exec", "proxy", "log", "portforward"].contains(&resource.subresource.as_str())
        })
    }

    fn into_inner(self) -> Inner {
        let common = Inner { cluster: self.cluster, verb: self.verb, ..Inner::default() };
        let Some(resource) = self.resource else { return Inner { path: self.path, ..common } };
        let group = Some(resource.group.as_str()).filter(|group| !group.is_empty());
        let subresource = Some(resource.subresource.as_str()).filter(|subresource| !subresource.is_empty());
        let words =
            [Some(resource.resource.as_str()), group].into_iter().flatten().collect::<Vec<_>>().join(".");
        let words = [Some(words.as_str()), subresource].into_iter().flatten().collect::<Vec<_>>().join("/");
        Inner {
            resource: bounded(&words, MAX_TEXT),
            namespace: bounded(&resource.namespace, MAX_TEXT),
            name: bounded(&resource.name, MAX_TEXT),
            ..common
        }
    }
}

/// The credentials that were shown; which, never what.
#[derive(Debug, Clone, Copy)]
struct Attempted {
    bearer: bool,
    certificate: bool,
}

impl Attempted {
    fn of(headers: &HeaderMap, connection: &Connection) -> Self {
        let bearer = headers.get(header::AUTHORIZATION).is_some_and(|value| {
            value
                .as_bytes()
                .trim_ascii_start()
                .get(..7)
                .is_some_and(|start| start.eq_ignore_ascii_case(b"bearer "))
        });
        Self { bearer, certificate: !connection.certificates().is_empty() }
    }

    /// kube-apiserver's words.
    fn message(self) -> String {
        let shown = [(self.bearer, "bearer"), (self.certificate, "x509")];
        let shown: Vec<_> = shown.iter().filter(|(shown, _)| *shown).map(|(_, word)| *word).collect();
        if shown.is_empty() {
            "Authentication failed, no credentials provided".to_owned()
        } else {
            format!("Authentication failed, attempted: {}", shown.join(", "))
        }
    }
}

fn user_agent(headers: &HeaderMap) -> String {
    let bytes = headers.get(header::USER_AGENT).map_or(&b""[..], |value| value.as_bytes());
    bounded(&String::from_utf8_lossy(bytes), MAX_USER_AGENT)
}
