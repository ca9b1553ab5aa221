//! The webhook backend: batches of events as `EventList`s, POSTed to the server of a kubeconfig.
//!
//! It has a thread and a runtime of its own, so that it neither takes time from requests nor ends before their last
//! event.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode, Uri, header};
use kube::client::Body;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use serde::Serialize;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::StartError;
use super::event::{API_VERSION, Event};
use super::queue::{Backend, Counts, Inbox, Losses, Message, Mode, Queue, Queued};
use crate::hub::chain;

/// Batches that are under way at once.
const CONCURRENT: usize = 4;
/// Attempts at a batch; each wait is half as long again as the one before.
const ATTEMPTS: u32 = 5;
const GROWTH: f64 = 1.5;
/// How long the server may take to answer.
const ANSWER: Duration = Duration::from_secs(30);
/// How long once the process is about to end.
const LAST_ANSWER: Duration = Duration::from_secs(3);

/// Where and how batches are sent.
#[derive(Debug, Clone)]
pub struct WebhookConfig {
    /// `--audit-webhook-config-file`: a kubeconfig.
    pub kubeconfig: PathBuf,
    /// `--audit-webhook-mode`. Default batch. Blocking sends at once what there is.
    pub mode: Mode,
    /// `--audit-webhook-batch-buffer-size`: events that wait, at most. Default 10,000.
    pub buffer_size: u32,
    /// `--audit-webhook-batch-max-size`: events in a batch, at most. Default 400.
    pub max_size: u32,
    /// `--audit-webhook-batch-max-wait`: how long a batch that is not full waits for more. Default 30 s.
    pub max_wait: Duration,
    /// `--audit-webhook-initial-backoff`: how long to wait before the second attempt. Default 10 s.
    pub initial_backoff: Duration,
}

impl WebhookConfig {
    /// The defaults, for this kubeconfig.
    #[must_use]
    pub fn to(kubeconfig: PathBuf) -> Self {
        Self {
            kubeconfig,
            mode: Mode::Batch,
            buffer_size: 10_000,
            max_size: 400,
            max_wait: Duration::from_secs(30),
            initial_backoff: Duration::from_secs(10),
        }
    }
}

/// Reads the kubeconfig and starts to send.
pub(super) async fn start(config: WebhookConfig, counts: &Arc<Counts>) -> Result<Queue, StartError> {
    let (queue, inbox) = Queue::new(Backend::Webhook, config.mode, config.buffer_size.max(1), counts);
    let path = config.kubeconfig.display().to_string();
    let (ready, started) = oneshot::channel();
    tokio::task::spawn_blocking(move || run(config, inbox, ready));
    let started = started.await.unwrap_or_else(|_| Err("the thread of the backend has ended".to_owned()));
    started.map(|()| queue).map_err(|cause| StartError::Webhook { path, cause })
}

fn run(config: WebhookConfig, inbox: Inbox, ready: oneshot::Sender<Result<(), String>>) {
    let answer = |result| {
        // Nobody waits for the answer any more if the start was given up.
        let _ = ready.send(result);
    };
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return answer(Err(format!("no runtime for the backend: {error}"))),
    };
    runtime.block_on(async {
        match Server::connect(&config).await {
            Ok(server) => {
                answer(Ok(()));
                Sender::new(config, inbox, server).run().await;
            }
            Err(cause) => answer(Err(cause)),
        }
    });
}

/// The server that batches are sent to.
#[derive(Clone)]
struct Server {
    client: Client,
    /// Path and query of the kubeconfig's URL, as they stand there.
    target: Uri,
}

impl Server {
    async fn connect(config: &WebhookConfig) -> Result<Self, String> {
        let kubeconfig = Kubeconfig::read_from(&config.kubeconfig).map_err(|error| chain(&error))?;
        let options = KubeConfigOptions::default();
        let loaded = Config::from_custom_kubeconfig(kubeconfig, &options).await;
        let mut loaded = loaded.map_err(|error| chain(&error))?;
        let mut url = loaded.cluster_url.into_parts();
        let target = url.path_and_query.replace(http::uri::PathAndQuery::from_static("/"));
        loaded.cluster_url = Uri::from_parts(url).map_err(|error| chain(&error))?;
        loaded.default_retry = false;
        let client = Client::try_from(loaded).map_err(|error| chain(&error))?;
        Ok(Self { client, target: target.map(Uri::from).unwrap_or_default() })
    }

    async fn post(&self, body: Bytes) -> Result<(), Failure> {
        let request = Request::post(self.target.clone())
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::USER_AGENT, concat!("cluster-gateway/", env!("CARGO_PKG_VERSION")))
            .body(Body::from(body.to_vec()))
            .map_err(|error| Failure { why: chain(&error), again: false })?;
        let answer = self.client.send(request).await;
        let status = answer.map_err(|error| Failure { why: chain(&error), again: true })?.status();
        if status.is_success() {
            return Ok(());
        }
        let again = status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS;
        Err(Failure { why: format!("the server answers {status}"), again })
    }
}

struct Failure {
    why: String,
    /// Whether another attempt makes sense.
    again: bool,
}

/// Gathers batches and sends them.
struct Sender {
    config: WebhookConfig,
    inbox: Inbox,
    server: Server,
    batch: Vec<Queued>,
    posts: JoinSet<()>,
}

impl Sender {
    fn new(config: WebhookConfig, inbox: Inbox, server: Server) -> Self {
        let (batch, posts) = Default::default();
        Self { config, inbox, server, batch, posts }
    }

    async fn run(mut self) {
        let mut due = Instant::now();
        loop {
            let next = self.inbox.messages.recv();
            let message = if self.batch.is_empty() {
                next.await
            } else {
                match tokio::time::timeout_at(due, next).await {
                    Ok(message) => message,
                    Err(_) => {
                        self.send().await;
                        continue;
                    }
                }
            };
            match message {
                Some(Message::Event(queued)) => {
                    if self.batch.is_empty() {
                        due = Instant::now() + self.wait();
                    }
                    self.batch.push(queued);
                    if self.batch.len() >= self.config.max_size.max(1) as usize {
                        self.send().await;
                    }
                }
                Some(Message::Flush(done)) => {
                    self.finish().await;
                    // Whoever asked may have given up waiting.
                    let _ = done.send(());
                }
                None => return self.finish().await,
            }
        }
    }

    fn wait(&self) -> Duration {
        match self.config.mode {
            Mode::Batch if !self.inbox.closing.is_cancelled() => self.config.max_wait,
            _ => Duration::ZERO,
        }
    }

    /// Sends what there is and waits for everything that is under way.
    async fn finish(&mut self) {
        self.send().await;
        while self.posts.join_next().await.is_some() {}
    }

    async fn send(&mut self) {
        if self.batch.is_empty() {
            return;
        }
        while self.posts.len() >= CONCURRENT {
            self.posts.join_next().await;
        }
        let post = Post {
            batch: std::mem::take(&mut self.batch),
            server: self.server.clone(),
            backoff: self.config.initial_backoff,
            losses: Arc::clone(&self.inbox.losses),
            closing: self.inbox.closing.clone(),
        };
        self.posts.spawn(post.run());
    }
}

/// One batch under way. Its events keep their places in the queue until it has arrived or is given up.
struct Post {
    batch: Vec<Queued>,
    server: Server,
    backoff: Duration,
    losses: Arc<Losses>,
    closing: CancellationToken,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct EventList<'a> {
    kind: &'static str,
    api_version: &'static str,
    metadata: ListMeta,
    items: Vec<Event<'a>>,
}

#[derive(Serialize)]
struct ListMeta {}

impl Post {
    async fn run(mut self) {
        let items = self.batch.iter().map(|queued| queued.entry.event(false)).collect();
        let list = EventList { kind: "EventList", api_version: API_VERSION, metadata: ListMeta {}, items };
        let result = match serde_json::to_vec(&list) {
            Ok(body) => self.deliver(body.into()).await,
            Err(error) => Err(format!("the batch makes no JSON: {error}")),
        };
        if let Err(why) = result {
            self.losses.add(self.batch.len(), &why);
        }
    }

    async fn deliver(&mut self, body: Bytes) -> Result<(), String> {
        let mut attempt = 1;
        loop {
            let failure = match self.attempt(body.clone()).await {
                Ok(()) => return Ok(()),
                Err(failure) => failure,
            };
            if !failure.again || attempt == ATTEMPTS || self.closing.is_cancelled() {
                return Err(format!("--audit-webhook-config-file: {} (attempt {attempt})", failure.why));
            }
            tracing::debug!(attempt, why = failure.why, "a batch of audit events will be sent again");
            // The end of the process is worth one more attempt, now.
            tokio::select! {
                () = sleep(self.backoff) => {}
                () = self.closing.cancelled() => {}
            }
            self.backoff = self.backoff.mul_f64(GROWTH);
            attempt += 1;
        }
    }

    async fn attempt(&self, body: Bytes) -> Result<(), Failure> {
        let too_long = Failure { why: "the server does not answer".to_owned(), again: true };
        let hurried = async {
            self.closing.cancelled().await;
            sleep(LAST_ANSWER).await;
        };
        tokio::select! {
            result = timeout(ANSWER, self.server.post(body)) => result.unwrap_or(Err(too_long)),
            () = hurried => Err(too_long),
        }
    }
}
