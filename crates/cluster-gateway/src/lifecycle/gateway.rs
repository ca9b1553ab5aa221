//! A running gateway, asked as its callers ask it: whether a cluster that was just written answers through it.

use std::time::Duration;

use cluster_gateway_client::ProxyPath;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Limited};
use k8s_openapi::api::core::v1::Secret;
use kube::Client;
use kube::client::Body;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, timeout};

use super::LifecycleError;

mod identity;

pub(super) use identity::Identity;

/// How long one request may take.
const LIMIT: Duration = Duration::from_secs(15);
/// How long after a failure it is asked again.
const PAUSE: Duration = Duration::from_millis(250);
/// Bytes of an answer that are read.
const MOST: usize = 1024 * 1024;
const ALL: &str = concat!(
    "/apis/",
    cluster_gateway_client::group!(),
    "/",
    cluster_gateway_client::version!(),
    "/clustergateways"
);

/// A gateway behind a hub, or a standalone server.
#[derive(Clone)]
pub struct Gateway {
    client: Client,
    patience: Duration,
}

/// What has become of the namespace that a new member should have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum NamespaceOutcome {
    /// None was asked for.
    NotAsked,
    /// It was there.
    Existed,
    /// It was made.
    Created,
}

/// What a gateway shows of a cluster before it is changed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Shown(Option<String>);

struct Answer {
    status: StatusCode,
    body: Vec<u8>,
}

impl Gateway {
    /// The gateway that `client` reaches below `/apis`. It is given `patience` to learn of a change; default for people: 30 s.
    #[must_use]
    pub fn new(client: Client, patience: Duration) -> Self {
        Self { client, patience }
    }

    /// What it shows of a cluster now, to notice when it knows the next version.
    pub(super) async fn shown(&self, name: &str) -> Shown {
        let answer = self.ask(Method::GET, &format!("{ALL}/{name}"), None).await;
        Shown(
            answer.ok().filter(|answer| answer.status == StatusCode::OK).and_then(|answer| answer.version()),
        )
    }

    /// Waits until it knows the cluster as it was written: a gateway learns of a Secret by its watch.
    ///
    /// # Errors
    /// [`LifecycleError::Gateway`].
    pub(super) async fn until_known(
        &self,
        name: &str,
        written: &Secret,
        before: &Shown,
    ) -> Result<(), LifecycleError> {
        let deadline = Instant::now() + self.patience;
        loop {
            let answer = self.ask(Method::GET, &format!("{ALL}/{name}"), None).await;
            let why = match answer {
                Ok(answer) if answer.status == StatusCode::OK => match answer.version() {
                    Some(version) if is_older(&version, written, before) => {
                        "it still knows only what was there before".to_owned()
                    }
                    _ => return Ok(()),
                },
                // Whoever may not look at clusters may still be allowed to go to them.
                Ok(answer) if answer.status == StatusCode::FORBIDDEN => return Ok(()),
                Ok(answer) if answer.status == StatusCode::NOT_FOUND && !answer.names(name) => {
                    return Err(absent());
                }
                Ok(answer) => answer.words(),
                Err(why) => why,
            };
            if Instant::now() >= deadline {
                return Err(LifecycleError::Gateway(format!(
                    "the gateway does not know the cluster after {:?}: {why}; does it serve this namespace?",
                    self.patience
                )));
            }
            sleep(PAUSE).await;
        }
    }

    /// Waits until the cluster, which it knows by now, answers through it.
    ///
    /// # Errors
    /// [`LifecycleError::Gateway`].
    pub(super) async fn until_it_answers(&self, name: &str) -> Result<(), LifecycleError> {
        let deadline = Instant::now() + self.patience / 3;
        loop {
            let why = match self.ask(Method::GET, &at(name, "/version"), None).await {
                // A member may keep its version to itself; it has answered.
                Ok(answer) if answer.status.is_success() => return Ok(()),
                Ok(answer) if answer.status == StatusCode::UNAUTHORIZED => {
                    return Err(self.silent("it does not accept the credential (401)"));
                }
                Ok(answer) if answer.status == StatusCode::FORBIDDEN => {
                    return Err(self.silent(&format!("{}; grant that first", answer.words())));
                }
                Ok(answer) => answer.words(),
                Err(why) => why,
            };
            if Instant::now() >= deadline {
                return Err(self.silent(&why));
            }
            sleep(PAUSE).await;
        }
    }

    /// Makes a namespace in the cluster, unless it is there.
    ///
    /// # Errors
    /// [`LifecycleError::Gateway`].
    pub(super) async fn ensure_namespace(
        &self,
        name: &str,
        namespace: &str,
    ) -> Result<NamespaceOutcome, LifecycleError> {
        let all = at(name, "/api/v1/namespaces");
        let cannot = |what: &str, why: &str| {
            LifecycleError::Gateway(format!(
                "cannot {what} namespace {namespace} in the cluster: {why}; --create-namespace='' does without it"
            ))
        };
        let found = self.ask(Method::GET, &format!("{all}/{namespace}"), None).await;
        let found = found.map_err(|why| cannot("look for", &why))?;
        match found.status {
            StatusCode::OK => return Ok(NamespaceOutcome::Existed),
            StatusCode::NOT_FOUND => {}
            _ => return Err(cannot("look for", &found.words())),
        }
        let object = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}});
        let made = self.ask(Method::POST, &all, Some(&object)).await.map_err(|why| cannot("create", &why))?;
        match made.status {
            StatusCode::CREATED | StatusCode::OK => Ok(NamespaceOutcome::Created),
            StatusCode::CONFLICT => Ok(NamespaceOutcome::Existed),
            _ => Err(cannot("create", &made.words())),
        }
    }

    fn silent(&self, why: &str) -> LifecycleError {
        LifecycleError::Gateway(format!("the cluster does not answer through the gateway: {why}"))
    }

    async fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Answer, String> {
        let request = Request::builder().method(method).uri(path).header("accept", "application/json");
        let request = match body {
            Some(body) => {
                request.header("content-type", "application/json").body(body.to_string().into_bytes())
            }
            None => request.body(Vec::new()),
        };
        let request = request.map_err(|error| error.to_string())?.map(Body::from);
        let exchange = async {
            let answer = self.client.send(request).await.map_err(|error| crate::hub::chain(&error))?;
            let (status, body) = (answer.status(), Limited::new(answer.into_body(), MOST));
            let body = body.collect().await.map_err(|error| error.to_string())?.to_bytes().to_vec();
            Ok(Answer { status, body })
        };
        timeout(LIMIT, exchange).await.unwrap_or_else(|_| Err(format!("no answer within {LIMIT:?}")))
    }
}

impl std::fmt::Debug for Gateway {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gateway").field("patience", &self.patience).finish_non_exhaustive()
    }
}

impl Answer {
    /// The `resourceVersion` of the object.
    fn version(&self) -> Option<String> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Metadata {
            resource_version: Option<String>,
        }
        #[derive(Deserialize)]
        struct Object {
            metadata: Metadata,
        }
        let object: Object = serde_json::from_slice(&self.body).ok()?;
        object.metadata.resource_version.filter(|version| !version.is_empty())
    }

    /// Whether it speaks of this very cluster.
    fn names(&self, name: &str) -> bool {
        self.status_object()
            .is_some_and(|status| status["details"]["name"] == name || self.words().contains(name))
    }

    fn status_object(&self) -> Option<Value> {
        serde_json::from_slice(&self.body).ok().filter(|value: &Value| value["kind"] == "Status")
    }

    /// What it says, in one line.
    fn words(&self) -> String {
        let message = self.status_object().and_then(|status| status["message"].as_str().map(str::to_owned));
        let text = message.unwrap_or_else(|| String::from_utf8_lossy(&self.body).into_owned());
        let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(400).collect();
        if text.trim().is_empty() { format!("status {}", self.status.as_u16()) } else { text }
    }
}

/// Whether what is shown is what was there before the write. Versions of a hub are numbers that grow; those of a standalone
/// server are its own. The original shows none.
fn is_older(version: &str, written: &Secret, before: &Shown) -> bool {
    let number = |text: &str| text.parse::<u64>().ok();
    let of_hub = written.metadata.namespace.is_some();
    let written = written.metadata.resource_version.as_deref().and_then(number);
    match (of_hub, number(version), written) {
        (true, Some(shown), Some(written)) => shown < written,
        (true, ..) => false,
        (false, ..) => before.0.as_deref() == Some(version),
    }
}

fn absent() -> LifecycleError {
    LifecycleError::Gateway(format!(
        "there is no gateway at the hub (no API of the group {}): install it first, or register the cluster all the same with \
         --skip-post-check",
        cluster_gateway_client::group!()
    ))
}

fn at(cluster: &str, path: &str) -> String {
    format!("{}{path}", ProxyPath::prefix(cluster))
}
