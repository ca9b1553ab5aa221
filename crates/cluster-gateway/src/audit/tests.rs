//! What happens to events between requests and backends.

use futures_util::FutureExt;

use super::event::Request;
use super::queue::{Inbox, Message};
use super::*;
use crate::authn::UserInfo;

/// An auditor of everything, with one queue that nobody reads but the test.
fn auditor(mode: Mode, size: u32) -> (Arc<Auditor>, Inbox) {
    let counts = Arc::new(Counts::default());
    let (queue, inbox) = Queue::new(Backend::Webhook, mode, size, &counts);
    (Arc::new(Auditor { policy: Policy::default(), queues: vec![queue], counts }), inbox)
}

fn entry(groups: usize) -> Entry {
    let user = UserInfo { groups: vec!["x".repeat(1000); groups], ..UserInfo::default() };
    let request = Request {
        audit_id: "id".to_owned(),
        uri: "/x".to_owned(),
        verb: "get".to_owned(),
        user: Some(user),
        source_ips: Vec::new(),
        user_agent: String::new(),
        object: None,
        inner: None,
        received: std::time::SystemTime::UNIX_EPOCH,
    };
    let at = request.received;
    let request = Arc::new(request);
    let (impersonated, decision, status, ending) = Default::default();
    Entry { request, stage: Stage::RequestReceived, at, impersonated, decision, status, ending }
}

fn queued(inbox: &mut Inbox) -> Option<super::queue::Queued> {
    match inbox.messages.try_recv().ok()? {
        Message::Event(queued) => Some(queued),
        Message::Flush(_) => panic!("nobody asked for that"),
    }
}

#[test]
fn in_batch_mode_a_full_queue_loses_events_and_counts_them() {
    let (auditor, mut inbox) = auditor(Mode::Batch, 2);
    for _ in 0..5 {
        assert!(auditor.admit(Some(entry(0)), 1).is_none(), "a request never waits");
    }
    assert_eq!((auditor.counts().events(), auditor.counts().lost(Backend::Webhook)), (5, 3));
    assert_eq!(auditor.counts().lost(Backend::Log), 0);
    let first = queued(&mut inbox).unwrap();
    auditor.record(Some(entry(0)), Vec::new());
    assert_eq!(
        auditor.counts().lost(Backend::Webhook),
        4,
        "an event takes its place until it has been written"
    );
    drop(first);
    auditor.record(Some(entry(0)), Vec::new());
    assert_eq!(auditor.counts().lost(Backend::Webhook), 4);
}

#[tokio::test]
async fn in_blocking_mode_new_requests_wait_for_room_and_open_ones_do_not() {
    let (auditor, mut inbox) = auditor(Mode::Blocking, 1);
    assert!(auditor.admit(Some(entry(0)), 1).is_none());
    let mut waiting = auditor.admit(Some(entry(0)), 1).expect("the queue is full");
    assert!(waiting.as_mut().now_or_never().is_none());
    auditor.record(Some(entry(0)), Vec::new());
    assert_eq!(auditor.counts().events(), 2, "an open request's event is taken, a new request's is not yet");
    for _ in 0..2 {
        drop(queued(&mut inbox).unwrap());
    }
    waiting.await;
    assert!(queued(&mut inbox).is_some() && auditor.counts().events() == 3);
    assert_eq!(auditor.counts().lost(Backend::Webhook), 0);
}

#[tokio::test]
async fn in_blocking_mode_a_request_waits_also_where_its_first_stage_is_left_out() {
    let (auditor, mut inbox) = auditor(Mode::Blocking, 1);
    assert!(auditor.admit(None, 1).is_none(), "nothing is written, so nothing keeps its place");
    assert!(auditor.admit(Some(entry(0)), 1).is_none());
    let waiting = auditor.admit(None, 1).expect("the queue is full");
    drop(queued(&mut inbox));
    waiting.await;
}

#[test]
fn a_user_with_much_to_carry_takes_more_places() {
    assert_eq!(entry(0).cost(), 1);
    assert_eq!(entry(30).cost(), 1);
    assert_eq!(entry(100).cost(), 4);
    let (auditor, mut inbox) = auditor(Mode::Batch, 4);
    auditor.record(Some(entry(100)), Vec::new());
    auditor.record(Some(entry(0)), Vec::new());
    assert_eq!(auditor.counts().lost(Backend::Webhook), 1);
    drop(queued(&mut inbox));
    auditor.record(Some(entry(1000)), Vec::new());
    assert_eq!(auditor.counts().lost(Backend::Webhook), 1, "the largest fits an empty queue");
}
