//! Watches of the two resources: what is there, what changes, and how far that goes (contract rules 27, 230, 231).
//!
//! A watch holds a position in the registry's history and makes its lines when the connection takes them, so a client
//! that reads slowly costs nothing but its place; one that falls too far behind is told to list anew.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http::{HeaderValue, Response, header};
use http_body::Frame;
use http_body_util::StreamBody;
use tokio::time::{Instant, Interval, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use super::negotiate::{Format, Output, Transform};
use super::object::{Resource, Selection};
use super::pages::expired;
use super::table::Include;
use super::{Api, Clusters};
use crate::body::Body;
use crate::registry::{Change, Position, Snapshot, TooOld};
use crate::status::{Error, NotAcceptable};

mod lines;

use lines::{Form, Lines, Type};

/// How often a watch says how far it is.
const BOOKMARKS: Duration = Duration::from_secs(60);
/// Shortest and longest time that a watch lasts when its client does not say.
const DURATION: [Duration; 2] = [Duration::from_secs(30 * 60), Duration::from_secs(60 * 60)];
/// Lines are sent once there are so many bytes, or no more.
const FRAME: usize = 32 << 10;
const STREAMS: &str = "application/json;stream=watch, application/vnd.kubernetes.protobuf;stream=watch";

/// Answers a watch. What is wrong with where it is to begin is its first and only event, as in kube-apiserver.
///
/// # Errors
/// What can be said before it begins: [`Error::NotAcceptable`], [`Error::NotSynced`], [`Error::BadRequest`].
pub(super) async fn serve<R: Resource>(
    api: &Api,
    resource: R,
    selection: Selection,
    query: &str,
    output: Output,
) -> Result<Response<Body>, Error> {
    let form = form::<R>(query, output)?;
    let stage = match begin(api, &selection).await {
        Err(error @ (Error::Expired(_) | Error::FutureVersion { .. })) => Stage::Failed(error),
        stage => stage?,
    };
    let known = if matches!(stage, Stage::Live(_)) { selection.options.version() } else { 0 };
    let watch = Watch {
        resource,
        clusters: Arc::clone(&api.clusters),
        known,
        seen: selection.options.version(),
        bookmarks: selection.options.bookmarks.then(bookmarks),
        end: Instant::now() + selection.options.timeout.unwrap_or_else(duration),
        selection,
        superseded: CancellationToken::new(),
        stage,
        lines: Lines::new(form, api.clock),
    };
    let frames = stream::unfold(watch, |mut watch| async {
        watch.next().await.map(|lines| (Ok(Frame::data(lines)), watch))
    });
    let mut response = Response::new(Body::boxed(StreamBody::new(frames)));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}

fn form<R: Resource>(query: &str, output: Output) -> Result<Form, Error> {
    let form = match output.transform {
        Some(Transform::Table(version)) => Form::Table(version, Include::parse(query)?),
        Some(Transform::PartialObjectMetadata(version)) => Form::Metadata(version),
        Some(Transform::PartialObjectMetadataList(_)) => {
            return Err(Error::NotAcceptable(NotAcceptable::Object(R::KIND.partial[1])));
        }
        Some(Transform::Discovery(_)) | None => Form::Object,
    };
    match output.format {
        Format::Json => Ok(form),
        Format::Yaml => Err(Error::NotAcceptable(NotAcceptable::Encoder(STREAMS))),
    }
}

/// Where a watch begins: with what is there, or behind a version.
async fn begin(api: &Api, selection: &Selection) -> Result<Stage, Error> {
    let options = &selection.options;
    let version = options.version();
    match options.initial_events {
        Some(true) => {
            Ok(Stage::Initial { snapshot: api.fresh(version).await?, next: 0, end: options.bookmarks })
        }
        None if version == 0 => Ok(Stage::Initial { snapshot: api.snapshot()?, next: 0, end: false }),
        Some(false) if version == 0 => Ok(Stage::Live(api.snapshot()?.history().end())),
        _ => api.snapshot()?.follow(version).map(Stage::Live).map_err(|old| expired(version, old)),
    }
}

/// A watch between two of its frames.
struct Watch<R> {
    resource: R,
    clusters: Clusters,
    selection: Selection,
    /// Everything up to this version the client knew from the beginning. It may be ahead of this replica.
    known: u64,
    /// Everything up to this version has been sent or was known.
    seen: u64,
    bookmarks: Option<Interval>,
    end: Instant,
    /// Is cancelled when there is more than what was looked at last.
    superseded: CancellationToken,
    stage: Stage,
    lines: Lines,
}

/// How far a watch is.
enum Stage {
    /// It sends what was there when it began, from the `next` cluster on. `end`: and says when that is done.
    Initial { snapshot: Arc<Snapshot>, next: usize, end: bool },
    /// It sends what changes.
    Live(Position),
    /// It has to say why it ends.
    Failed(Error),
    /// It has said everything.
    Ended,
}

impl<R: Resource> Watch<R> {
    /// The next lines, when there are some.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            let stage = std::mem::replace(&mut self.stage, Stage::Ended);
            let followed = matches!(stage, Stage::Live(_));
            match stage {
                Stage::Initial { snapshot, next, end } => self.initial(snapshot, next, end),
                Stage::Live(position) => self.live(position),
                Stage::Failed(error) => self.lines.error(&error),
                Stage::Ended => {}
            }
            if let Some(lines) = self.lines.take() {
                return Some(lines);
            }
            match self.stage {
                Stage::Ended => return None,
                Stage::Live(_) if followed => self.wait().await,
                _ => {}
            }
        }
    }

    fn initial(&mut self, snapshot: Arc<Snapshot>, next: usize, end: bool) {
        if let Some(object) = self.resource.constant().filter(|_| next == 0 && self.resource.is_listed())
            && self.selection.matches(&object)
        {
            self.lines.event::<R>(Type::Added, &object);
        }
        let mut sent = next;
        for cluster in snapshot.iter_virtual().skip(next) {
            if self.lines.len() >= FRAME {
                break;
            }
            sent += 1;
            let object = self.resource.object(cluster, cluster.version);
            if let Some(object) = object.filter(|object| self.selection.matches(object)) {
                self.lines.event::<R>(Type::Added, &object);
            }
        }
        if sent < snapshot.iter_virtual().len() {
            self.stage = Stage::Initial { snapshot, next: sent, end };
            return;
        }
        self.seen = snapshot.version();
        if end {
            self.lines.bookmark::<R>(self.seen, true);
        }
        self.stage = Stage::Live(snapshot.history().end());
    }

    fn live(&mut self, position: Position) {
        let snapshot = (self.clusters)();
        self.superseded = snapshot.superseded();
        let Some(changes) = snapshot.history().from(position) else {
            let lost = TooOld(snapshot.history().since());
            self.lines.error(&expired(self.seen, lost));
            return;
        };
        let mut position = position;
        for change in changes {
            if self.lines.len() >= FRAME {
                self.stage = Stage::Live(position);
                return;
            }
            position = position.next();
            self.tell(change);
        }
        self.seen = self.seen.max(snapshot.version());
        self.stage = Stage::Live(position);
        if Instant::now() >= self.end {
            self.finish();
        }
    }

    /// Clients see only what they select: for them a cluster that begins or ceases to be selected comes or goes.
    fn tell(&mut self, change: &Change) {
        if change.version <= self.known {
            return;
        }
        let before = change.before.as_ref().and_then(|cluster| self.resource.object(cluster, change.resume));
        let after = change.after.as_ref().and_then(|cluster| self.resource.object(cluster, cluster.version));
        let before = before.filter(|object| self.selection.matches(object));
        match (before, after.filter(|object| self.selection.matches(object))) {
            (None, None) => {}
            (None, Some(object)) => self.lines.event::<R>(Type::Added, &object),
            (Some(_), Some(object)) => self.lines.event::<R>(Type::Modified, &object),
            (Some(object), None) => self.lines.event::<R>(Type::Deleted, &object),
        }
    }

    /// The last word of a watch whose time is over.
    fn finish(&mut self) {
        if self.bookmarks.is_some() {
            self.lines.bookmark::<R>(self.seen, false);
        }
        self.stage = Stage::Ended;
    }

    async fn wait(&mut self) {
        let Self { superseded, bookmarks, end, .. } = self;
        let tick = async {
            match bookmarks {
                Some(interval) => drop(interval.tick().await),
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = superseded.cancelled() => {}
            () = tokio::time::sleep_until(*end) => self.finish(),
            () = tick => self.lines.bookmark::<R>(self.seen, false),
        }
    }
}

fn bookmarks() -> Interval {
    let mut interval = tokio::time::interval_at(Instant::now() + BOOKMARKS, BOOKMARKS);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
}

/// Not the same for all watches, lest they all come back at once.
fn duration() -> Duration {
    let [shortest, longest] = DURATION;
    let random = uuid::Uuid::new_v4().as_u128() % (longest - shortest).as_millis();
    shortest + Duration::from_millis(u64::try_from(random).unwrap_or_default())
}
