//! An API server that keeps whatever it is sent, over plain HTTP on loopback: every kind, without schemas, rights or
//! controllers. Good for what writes objects and must be able to take them back.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};

/// What goes wrong with a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriteFault {
    /// It is refused, and nothing is done.
    Refused,
    /// It is done, and the answer does not come.
    Unanswered,
}

#[derive(Default)]
pub struct Objects {
    /// By path.
    objects: BTreeMap<String, Value>,
    versions: u64,
    /// Group versions that are served besides what is there.
    groups: Vec<(String, Value)>,
    writes: Vec<String>,
    /// Number of the write that goes wrong, counted from 0.
    fault: Option<(usize, WriteFault)>,
}

impl Objects {
    pub fn get(&self, path: &str) -> Option<&Value> {
        self.objects.get(path)
    }

    /// All paths below one.
    pub fn below(&self, path: &str) -> Vec<String> {
        self.objects.keys().filter(|key| key.starts_with(path)).cloned().collect()
    }

    /// Everything without what a server counts, so that two moments can be compared.
    pub fn snapshot(&self) -> BTreeMap<String, Value> {
        let mut all = self.objects.clone();
        for object in all.values_mut() {
            if let Some(metadata) = object["metadata"].as_object_mut() {
                metadata.remove("resourceVersion");
            }
        }
        all
    }

    /// Puts an object there, as somebody else would.
    pub fn put(&mut self, path: &str, mut object: Value) {
        self.versions += 1;
        let uid = self.objects.get(path).map(|old| old["metadata"]["uid"].clone());
        object["metadata"]["name"] = json!(path.rsplit('/').next());
        object["metadata"]["uid"] = uid.unwrap_or_else(|| json!(format!("uid-{}", self.versions)));
        object["metadata"]["resourceVersion"] = json!(self.versions.to_string());
        self.objects.insert(path.to_owned(), object);
    }

    /// Changes an object, if it is there.
    pub fn change(&mut self, path: &str, change: impl FnOnce(&mut Value)) {
        if let Some(mut object) = self.objects.get(path).cloned() {
            change(&mut object);
            if self.objects.get(path) != Some(&object) {
                self.put(path, object);
            }
        }
    }

    pub fn serve_group(&mut self, group_version: &str, kinds: &[&str]) {
        let resources: Vec<Value> = kinds
            .iter()
            .map(|kind| {
                json!({"name": kind.to_lowercase() + "s", "kind": kind, "namespaced": false, "verbs": [],
                "singularName": ""})
            })
            .collect();
        let list = json!({"kind": "APIResourceList", "groupVersion": group_version, "resources": resources});
        self.groups.push((format!("/apis/{group_version}"), list));
    }

    pub fn fail_write(&mut self, number: usize, fault: WriteFault) {
        self.writes.clear();
        self.fault = Some((number, fault));
    }

    /// Method and path of each write so far.
    pub fn writes(&self) -> &[String] {
        &self.writes
    }

    fn read(&self, path: &str, query: &str) -> Result<Value, (u16, String)> {
        if let Some(object) = self.objects.get(path) {
            return Ok(object.clone());
        }
        if let Some((_, list)) = self.groups.iter().find(|(known, _)| known == path) {
            return Ok(list.clone());
        }
        let last = path.rsplit('/').next().unwrap_or_default();
        let is_list = last.ends_with('s') && !self.objects.contains_key(path) && path.split('/').count() > 3;
        let prefix = format!("{path}/");
        let items: Vec<&Value> = self
            .objects
            .iter()
            .filter(|(key, _)| key.strip_prefix(&prefix).is_some_and(|rest| !rest.contains('/')))
            .map(|(_, object)| object)
            .filter(|object| selected(object, query))
            .collect();
        if !is_list || (items.is_empty() && !last.contains("requests") && !last.contains("pods")) {
            return Err((404, format!("{path} not found")));
        }
        Ok(json!({"kind": "List", "apiVersion": "v1", "metadata": {"resourceVersion": "1"}, "items": items}))
    }

    fn write(&mut self, method: &Method, path: &str, body: &Value) -> Result<Value, (u16, String)> {
        if let Some(account) = path.strip_suffix("/token") {
            let known = self.objects.contains_key(account);
            let token = json!({"kind": "TokenRequest", "apiVersion": "authentication.k8s.io/v1", "metadata": {}, "spec": {
                "audiences": []}, "status": {"token": "the-token", "expirationTimestamp": "2030-01-01T00:00:00Z"}});
            return if known { Ok(token) } else { Err((404, "no such account".to_owned())) };
        }
        let path = path.trim_end_matches("/approval");
        if *method == Method::POST {
            let name = body["metadata"]["name"].as_str().unwrap_or_default();
            let path = format!("{path}/{name}");
            if self.objects.contains_key(&path) {
                return Err((409, format!("{path} already exists")));
            }
            self.put(&path, body.clone());
            return Ok(self.objects[&path].clone());
        }
        let there = self.objects.get(path).cloned().ok_or((404, format!("{path} not found")))?;
        let expected = [&body["preconditions"]["uid"], &body["metadata"]["resourceVersion"]];
        let actual = [&there["metadata"]["uid"], &there["metadata"]["resourceVersion"]];
        if expected.iter().zip(actual).any(|(expected, actual)| !expected.is_null() && *expected != actual) {
            return Err((409, format!("{path} has been changed")));
        }
        match *method {
            Method::DELETE if has_finalizers(&there) => {
                self.change(path, |object| {
                    object["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z")
                });
            }
            Method::DELETE => drop(self.objects.remove(path)),
            Method::PUT => self.put(path, body.clone()),
            _ => self.change(path, |object| {
                json_patch::merge(object, body);
            }),
        }
        let deleted =
            |object: &Value| !object["metadata"]["deletionTimestamp"].is_null() && !has_finalizers(object);
        if self.objects.get(path).is_some_and(deleted) {
            self.objects.remove(path);
        }
        Ok(self.objects.get(path).cloned().unwrap_or(there))
    }
}

fn has_finalizers(object: &Value) -> bool {
    object["metadata"]["finalizers"].as_array().is_some_and(|all| !all.is_empty())
}

fn selected(object: &Value, query: &str) -> bool {
    let Some((_, selector)) = query.split_once("labelSelector=") else { return true };
    let selector = selector.split('&').next().unwrap_or_default().replace("%3D", "=").replace("%2F", "/");
    let (key, value) = selector.split_once('=').unwrap();
    object["metadata"]["labels"][key] == value
}

/// The server; it stops when dropped.
pub struct FakeCluster {
    objects: Arc<Mutex<Objects>>,
    address: std::net::SocketAddr,
    task: JoinHandle<()>,
}

impl FakeCluster {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let objects = Arc::<Mutex<Objects>>::default();
        let task = tokio::spawn(serve(listener, Arc::clone(&objects)));
        Self { objects, address, task }
    }

    pub fn objects(&self) -> MutexGuard<'_, Objects> {
        self.objects.lock().unwrap()
    }

    /// The objects, for a task that plays a controller.
    pub fn shared(&self) -> Arc<Mutex<Objects>> {
        Arc::clone(&self.objects)
    }

    pub fn client(&self) -> kube::Client {
        let mut config = kube::Config::new(format!("http://{}", self.address).parse().unwrap());
        config.default_retry = false;
        kube::Client::try_from(config).unwrap()
    }
}

impl Drop for FakeCluster {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(listener: TcpListener, objects: Arc<Mutex<Objects>>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let objects = Arc::clone(&objects);
        let service = service_fn(move |request| answer(Arc::clone(&objects), request));
        let http = hyper::server::conn::http1::Builder::new();
        connections.spawn(http.serve_connection(TokioIo::new(stream), service));
        while connections.try_join_next().is_some() {}
    }
}

async fn answer(
    objects: Arc<Mutex<Objects>>,
    request: Request<Incoming>,
) -> io::Result<Response<Full<Bytes>>> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let (path, query) = (parts.uri.path(), parts.uri.query().unwrap_or_default());
    let mut objects = objects.lock().unwrap();
    let outcome = if parts.method == Method::GET {
        objects.read(path, query)
    } else {
        let number = objects.writes.len();
        objects.writes.push(format!("{} {path}", parts.method));
        match objects.fault.filter(|(at, _)| *at == number) {
            Some((_, WriteFault::Refused)) => Err((403, "injected refusal".to_owned())),
            Some((_, WriteFault::Unanswered)) => {
                let _ = objects.write(&parts.method, path, &body);
                return Err(io::ErrorKind::ConnectionReset.into());
            }
            None => objects.write(&parts.method, path, &body),
        }
    };
    let (code, body) = match outcome {
        Ok(object) => (if parts.method == Method::POST { 201 } else { 200 }, object),
        Err((code, message)) => {
            let reason = if code == 409 { "AlreadyExists" } else { "NotFound" };
            (
                code,
                json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": message,
                "reason": reason, "code": code}),
            )
        }
    };
    let answer = Response::builder().status(StatusCode::from_u16(code).unwrap());
    let answer = answer.header(header::CONTENT_TYPE, "application/json");
    answer.body(Full::from(body.to_string())).map_err(io::Error::other)
}
