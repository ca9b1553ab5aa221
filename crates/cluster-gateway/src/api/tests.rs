//! Tests of the API as a whole: a request line goes in, an answer comes out. What asks for a permit is thin, so these
//! begin right behind it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use cluster_gateway_client::v1alpha1::{
    ANNOTATION_ALIAS, CredentialType, EndpointType, LABEL_CREDENTIAL_TYPE,
};
use futures_util::FutureExt as _;
use http::{Request, StatusCode};
use http_body_util::BodyExt as _;
use serde_json::Value;

use super::*;
use crate::credential::{Credential, CredentialFacts};
use crate::identity::Rules;
use crate::registry::{Cluster, Unusable, Upstream};
use crate::request::RequestInfo;
use crate::transport::{Endpoint, Peer, Route, Transport, TransportSpec, Verification};

mod compressed;
mod documents;
mod golden;
mod health_record;
mod items;
mod managed;
mod openapi;
mod records;
mod pages;
mod replay;
mod resources;
mod watch;

use records::Records;

/// 2026-01-11T00:00:00Z, when every test takes place.
const NOW: i64 = 1_768_089_600;
/// Key material that must never be seen in an answer.
const TOKEN: &str = "s3cr3t-token-of-more-than-32-bytes";

/// An answer, read to its end.
struct Answer {
    status: StatusCode,
    headers: http::HeaderMap,
    body: String,
}

impl Answer {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    fn message(&self) -> String {
        self.json()["message"].as_str().unwrap_or_default().to_owned()
    }
}

/// The API with the switches that tests turn.
struct Fixture {
    api: Api,
    records: Arc<Records>,
    synced: Arc<AtomicBool>,
    stopping: Arc<AtomicBool>,
}

impl Fixture {
    fn new(clusters: Vec<Cluster>) -> Self {
        Self::with(clusters, false)
    }

    fn with(clusters: Vec<Cluster>, healthiness_check: bool) -> Self {
        Self::of(Snapshot::new(clusters.into_iter().map(Arc::new)), healthiness_check)
    }

    fn of(snapshot: Snapshot, healthiness_check: bool) -> Self {
        let records = Arc::new(Records::of(&snapshot));
        let snapshot = Arc::new(snapshot);
        let synced = Arc::new(AtomicBool::new(true));
        let stopping = Arc::new(AtomicBool::new(false));
        let api = api(
            healthiness_check,
            [&synced, &stopping],
            Arc::new(move || Arc::clone(&snapshot)),
            Arc::<Records>::clone(&records),
        );
        Self { api, records, synced, stopping }
    }

    fn ask(&self, method: &str, uri: &str, headers: &[(&str, &str)]) -> Answer {
        self.send(method, uri, headers, "")
    }

    /// The answer as far as it is there: of a watch, what it says at once.
    fn send(&self, method: &str, uri: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        // Keeps the time of watches; nothing runs on it.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let _guard = runtime.enter();
        let mut request = Request::builder().method(method).uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (parts, ()) = request.body(()).unwrap().into_parts();
        let result = match RequestInfo::parse(&parts).unwrap() {
            RequestInfo::Document(target) => self.api.path(&target.path, &parts),
            RequestInfo::Resource(target) => {
                let answer = self.api.answer(&target, &parts, Body::from(body.to_owned()));
                answer.now_or_never().expect("an answer that waits for nobody")
            }
            RequestInfo::Proxy(_) => panic!("{uri} is not answered here"),
        };
        let response = result.unwrap_or_else(|error| error.into_response(wants_pretty(&parts)));
        let (parts, body) = response.into_parts();
        let mut body = body;
        let mut text = Vec::new();
        while let Some(Some(frame)) = body.frame().now_or_never() {
            text.extend_from_slice(&frame.unwrap().into_data().unwrap());
        }
        Answer { status: parts.status, headers: parts.headers, body: String::from_utf8(text).unwrap() }
    }

    fn get(&self, uri: &str) -> Answer {
        self.ask("GET", uri, &[])
    }

    fn accept(&self, uri: &str, accept: &str) -> Answer {
        self.ask("GET", uri, &[("accept", accept)])
    }
}

fn api(
    healthiness_check: bool,
    flags: [&Arc<AtomicBool>; 2],
    clusters: Clusters,
    records: Arc<Records>,
) -> Api {
    let [synced, stopping] = flags.map(|flag| -> Condition {
        let flag = Arc::clone(flag);
        Arc::new(move || flag.load(Ordering::Relaxed))
    });
    let mut api = Api::new(ApiConfig {
        version: VersionInfo {
            major: "1".to_owned(),
            minor: "2".to_owned(),
            git_version: "v1.2.3".to_owned(),
            git_commit: "0123abcd".to_owned(),
            git_tree_state: "clean".to_owned(),
            build_date: "2026-01-02T03:04:05Z".to_owned(),
            platform: "linux/amd64".to_owned(),
            ..VersionInfo::current()
        },
        secure_port: 19443,
        healthiness_check,
        list_control_plane: true,
        synced,
        stopping,
        clusters,
        metrics: Arc::new(|| "# TYPE up gauge\nup 1\n# EOF\n".to_owned()),
        impersonates: false,
        health: Some(records),
    });
    api.clock = || OffsetDateTime::from_unix_timestamp(NOW).unwrap();
    api
}

/// The clusters of the recordings.
fn recorded() -> Vec<Cluster> {
    let mut m3 = cluster("m3", CredentialType::X509Certificate, "2026-01-03T00:00:00Z");
    m3.labels.insert("env".to_owned(), "prod".to_owned());
    m3.annotations.insert(ANNOTATION_ALIAS.to_owned(), "prod-east".to_owned());
    let mut o1 = cluster("o1", CredentialType::ServiceAccountToken, "2026-01-02T00:00:00Z");
    o1.labels.insert("env".to_owned(), "test".to_owned());
    o1.annotations.insert(ANNOTATION_ALIAS.to_owned(), "origin".to_owned());
    o1.address = Some("https://127.0.0.1:9443".to_owned());
    let mut dead = cluster("dead", CredentialType::ServiceAccountToken, "2026-01-04T00:00:00Z");
    dead.address = Some("https://127.0.0.1:1".to_owned());
    // The original took a Secret without a CA for insecure; ours has to be told.
    dead.ca_bundle = None;
    dead.upstream.as_mut().unwrap().insecure = true;
    let bad = unusable("bad", "key \"endpoint\" is missing or empty");
    vec![o1, m3, dead, bad, cluster("m1", CredentialType::X509Certificate, "2026-01-01T00:00:00Z")]
}

/// A registered cluster that cannot be used.
fn unusable(name: &str, reason: &str) -> Cluster {
    Cluster {
        address: None,
        ca_bundle: None,
        upstream: Err(Unusable(reason.to_owned())),
        ..cluster(name, CredentialType::ServiceAccountToken, "2026-01-05T00:00:00Z")
    }
}

fn cluster(name: &str, credential_type: CredentialType, created: &str) -> Cluster {
    let credential = match credential_type {
        CredentialType::X509Certificate => {
            let made = rcgen::generate_simple_self_signed(["client".to_owned()]).unwrap();
            Credential::x509(made.cert.pem().as_bytes(), made.signing_key.serialize_pem().as_bytes())
        }
        _ => Credential::token(TOKEN.as_bytes()),
    };
    let credential = credential.unwrap();
    let facts = CredentialFacts::of(&credential);
    let spec = TransportSpec {
        endpoint: Endpoint { tls: true, host: "127.0.0.1".to_owned(), port: 16444 },
        route: Route::Direct,
        verification: Verification::SystemRoots,
        server_name: None,
        client_certificate: None,
        peer: Peer::Member,
    };
    let transport = Transport::new(spec, Arc::default());
    Cluster {
        identity_rules: Ok(Rules::default()),
        name: name.to_owned(),
        labels: BTreeMap::from([(LABEL_CREDENTIAL_TYPE.to_owned(), credential_type.as_str().to_owned())]),
        annotations: BTreeMap::new(),
        registered: true,
        names_endpoint: true,
        managed_cluster: None,
        creation_timestamp: Some(created.to_owned()),
        uid: format!("uid-{name}"),
        resource_version: "42".to_owned(),
        version: 42,
        credential_type: Some(credential_type),
        endpoint_type: EndpointType::Const,
        address: Some("https://127.0.0.1:16444".to_owned()),
        ca_bundle: Some(Arc::from(&b"-----BEGIN CERTIFICATE-----"[..])),
        proxy_url: None,
        credential_facts: facts,
        upstream: Ok(Upstream {
            certified: None,
            origin: "https://127.0.0.1:16444".to_owned(),
            base_path: String::new(),
            credential,
            insecure: false,
            transport: Arc::new(transport),
        }),
        in_flight: Arc::default(),
    }
}

const CG: &str = "/apis/cluster.core.oam.dev/v1alpha1/clustergateways";
const VC: &str = "/apis/cluster.core.oam.dev/v1alpha1/virtualclusters";
const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io,\
                     application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json";

/// Names of a list's items, in order.
fn names(list: &Value) -> Vec<&str> {
    let items = list["items"].as_array().unwrap_or_else(|| panic!("no items: {list}"));
    items.iter().map(|item| item["metadata"]["name"].as_str().unwrap()).collect()
}
