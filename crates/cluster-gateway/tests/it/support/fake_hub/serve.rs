//! The hub's HTTP.

use std::borrow::Cow;
use std::convert::Infallible;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use cluster_gateway::request::{query_value, watches};
use futures_util::stream;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::gateway;
use super::objects::Selection;
use super::write::Target;
use super::{Fault, Shared, State};

type Answer = Response<UnsyncBoxBody<Bytes, Infallible>>;

/// Serves until it is dropped, connections included.
pub(super) async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let shared = Arc::clone(&shared);
        let service = service_fn(move |request| answer(Arc::clone(&shared), request));
        let http = hyper::server::conn::http1::Builder::new();
        connections.spawn(http.serve_connection(TokioIo::new(stream), service));
        while connections.try_join_next().is_some() {}
    }
}

async fn answer(shared: Arc<Shared>, request: Request<Incoming>) -> io::Result<Answer> {
    let (parts, body) = request.into_parts();
    let (path, query) = (parts.uri.path(), parts.uri.query().unwrap_or_default());
    let agent = parts.headers.get(header::USER_AGENT).map_or("", |value| value.to_str().unwrap_or_default());
    let fault = shared.state().record(&format!("{} {path}?{query}", parts.method), agent, path);
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    if let (true, None) = (gateway::is_for(path), fault) {
        let (code, object) = shared.state().aggregated(&parts.method, path, &body);
        shared.changed.send_replace(());
        return Ok(json(code, &object));
    }
    match fault {
        Some(Fault::Status(code)) => {
            return Ok(failure(StatusCode::from_u16(code).unwrap(), &format!("injected {code}")));
        }
        Some(Fault::Hang) => return std::future::pending().await,
        Some(Fault::Reset) => return Err(io::ErrorKind::ConnectionReset.into()),
        Some(Fault::ResetAfter) | None => {}
    }
    let answer = match (&parts.method, path.split('/').skip(1).collect::<Vec<_>>().as_slice()) {
        (&Method::POST, ["apis", "authentication.k8s.io", "v1", "tokenreviews"]) => {
            json(StatusCode::CREATED, &shared.state().token_review(&body))
        }
        (&Method::POST, ["apis", "authorization.k8s.io", "v1", "subjectaccessreviews"]) => {
            json(StatusCode::CREATED, &shared.state().access_review(&body))
        }
        (&Method::GET, ["api", "v1", "namespaces", namespace, plural]) if watches(query) => {
            watch(&shared, select(namespace, plural, query), query)
        }
        (&Method::GET, ["api", "v1", "namespaces", namespace, plural]) => {
            json(StatusCode::OK, &shared.state().list(&select(namespace, plural, query)))
        }
        (&Method::GET, ["apis", "core.oam.dev", "v1beta1", plural]) if shared.state().kubevela => {
            json(StatusCode::OK, &shared.state().list(&select("*", plural, query)))
        }
        (_, ["apis", "core.oam.dev", ..]) if !shared.state().kubevela => {
            failure(StatusCode::NOT_FOUND, "the server could not find the requested resource")
        }
        (method, path) if let Some(target) = Target::of(path) => {
            let outcome = shared.state().handle(method, &target, query, &body);
            if *method != Method::GET {
                shared.changed.send_replace(());
            }
            match outcome {
                Ok((code, object)) => json(code, &object),
                Err((code, message)) => failure(code, &message),
            }
        }
        (&Method::GET, ["apis", "cluster.open-cluster-management.io", "v1", plural @ "managedclusters"]) => {
            managed_clusters(&shared, plural, query)
        }
        _ => failure(StatusCode::NOT_FOUND, "the server could not find the requested resource"),
    };
    if fault == Some(Fault::ResetAfter) {
        return Err(io::ErrorKind::ConnectionReset.into());
    }
    Ok(answer)
}

impl State {
    /// Writes a request down; returns what is to go wrong with it.
    fn record(&mut self, line: &str, agent: &str, path: &str) -> Option<Fault> {
        self.requests.push(line.to_owned());
        self.user_agents.push(agent.to_owned());
        let meets = |part: &str| path.contains(part) || line.starts_with(part);
        let at = self.faults.iter().position(|(part, ..)| meets(part))?;
        let (_, fault, once) = self.faults[at];
        if once {
            self.faults.remove(at);
        }
        Some(fault)
    }

    fn token_review(&mut self, body: &[u8]) -> Value {
        let mut review: Value = serde_json::from_slice(body).unwrap();
        let token = review["spec"]["token"].as_str().unwrap_or_default().to_owned();
        self.token_reviews.push(serde_json::from_value(review["spec"].clone()).unwrap());
        review["status"] = match (&self.token_status, self.tokens.get(&token)) {
            (Some(status), _) => status.clone(),
            (None, Some(user)) => json!({"authenticated": true, "user": {"username": user.name,
                "uid": user.uid, "groups": user.groups, "extra": user.extra}}),
            (None, None) => json!({"authenticated": false, "error": "[invalid bearer token]"}),
        };
        review
    }

    fn access_review(&mut self, body: &[u8]) -> Value {
        let mut review: Value = serde_json::from_slice(body).unwrap();
        let spec = serde_json::from_value(review["spec"].clone()).unwrap();
        let allowed = self.rules.iter().any(|rule| rule(&spec));
        self.access_reviews.push(spec);
        review["status"] = self.access_status.clone().unwrap_or_else(|| json!({"allowed": allowed}));
        review
    }

    fn list(&self, selection: &Selection) -> Value {
        let kind = match selection.plural.as_str() {
            "secrets" => "SecretList",
            "managedclusters" => "ManagedClusterList",
            "applications" => "ApplicationList",
            "resourcetrackers" => "ResourceTrackerList",
            _ => "ConfigMapList",
        };
        let metadata = json!({"resourceVersion": self.objects.version().to_string()});
        let items = self.objects.list(selection);
        json!({"kind": kind, "apiVersion": "v1", "metadata": metadata, "items": items})
    }
}

fn managed_clusters(shared: &Arc<Shared>, plural: &str, query: &str) -> Answer {
    let known = shared.state().managed_clusters;
    if !known {
        // What kube-apiserver says of a group that it has never heard of: not even a Status.
        let body = Full::new(Bytes::from("404 page not found\n")).boxed_unsync();
        return Response::builder().status(StatusCode::NOT_FOUND).body(body).unwrap();
    }
    let selection = select("", plural, query);
    if watches(query) {
        watch(shared, selection, query)
    } else {
        json(StatusCode::OK, &shared.state().list(&selection))
    }
}

fn select(namespace: &str, plural: &str, query: &str) -> Selection {
    let value = |key: &str| query_value(query, key).map(Cow::into_owned).filter(|value| !value.is_empty());
    let name =
        value("fieldSelector").and_then(|fields| Some(fields.strip_prefix("metadata.name=")?.to_owned()));
    let labels = value("labelSelector").map(|terms| terms.split(',').map(str::to_owned).collect());
    Selection {
        plural: plural.to_owned(),
        namespace: namespace.to_owned(),
        name,
        labels: labels.unwrap_or_default(),
    }
}

fn watch(shared: &Arc<Shared>, selection: Selection, query: &str) -> Answer {
    let version = query_value(query, "resourceVersion").and_then(|version| version.parse().ok()).unwrap_or(0);
    if !shared.state().objects.knows(version) {
        return failure(StatusCode::GONE, "too old resource version");
    }
    let (changed, cut) = (shared.changed.subscribe(), shared.cut.subscribe());
    let start = (Arc::clone(shared), selection, version, changed, cut);
    let events = stream::unfold(start, |(shared, selection, version, mut changed, mut cut)| async move {
        loop {
            changed.borrow_and_update();
            let (events, next) = {
                let state = shared.state();
                (state.objects.since(version, &selection), state.objects.version())
            };
            if !events.is_empty() {
                let lines: String = events.iter().map(|event| format!("{event}\n")).collect();
                let frame = Ok::<_, Infallible>(Frame::data(Bytes::from(lines)));
                return Some((frame, (shared, selection, next, changed, cut)));
            }
            tokio::select! {
                alive = changed.changed() => alive.ok()?,
                _ = cut.changed() => return None,
            }
        }
    });
    let mut response = Response::new(StreamBody::new(events).boxed_unsync());
    response.headers_mut().insert(header::CONTENT_TYPE, "application/json".parse().unwrap());
    response
}

fn failure(code: StatusCode, message: &str) -> Answer {
    let reason = if code == StatusCode::NOT_FOUND { "NotFound" } else { "" };
    let status = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "code": code.as_u16(), "reason": reason, "message": message});
    json(code, &status)
}

fn json(code: StatusCode, value: &Value) -> Answer {
    let body = Full::new(Bytes::from(value.to_string())).boxed_unsync();
    Response::builder().status(code).header(header::CONTENT_TYPE, "application/json").body(body).unwrap()
}
