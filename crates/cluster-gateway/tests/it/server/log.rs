//! What the log says, and what it never does.

use std::io;
use std::sync::{Arc, Mutex};

use tracing_subscriber::fmt::MakeWriter;

use crate::support::fake_hub::Fault;
use crate::support::world::{PROXY, World};

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'w> MakeWriter<'w> for Log {
    type Writer = Self;

    fn make_writer(&'w self) -> Self {
        self.clone()
    }
}

/// On one thread, so that the log is this test's own.
#[tokio::test]
async fn rule_137_a_failed_request_is_logged_without_its_query() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_writer(log.clone())
        .finish();
    // With a single subscriber, whichever test meets a line first decides for all whether anybody wants it.
    let _second = tracing::Dispatch::new(tracing_subscriber::fmt().with_writer(std::io::sink).finish());
    let _guard = tracing::subscriber::set_default(subscriber);
    let world = World::start().await;
    // Tests on other threads, which have no log, may have met these lines at the wrong moment.
    tracing::callsite::rebuild_interest_cache();
    world.hub.fault("subjectaccessreviews", Fault::Status(500));
    let bob = world.user("bob", &[]);
    for path in [
        format!("{PROXY}/api/v1/namespaces/n/pods/p/exec?command=echo&command=s3cret"),
        "/version?password=s3cret".to_owned(),
    ] {
        let answer = bob.get(&path).await;
        assert_eq!(answer.status, 500, "{}", answer.text());
        // Go's text repeats the request line, to the caller alone.
        assert!(answer.text().contains("s3cret"), "{}", answer.text());
    }
    let malformed = world.masters().get("/apis/g/v/watch?password=s3cret").await;
    assert_eq!(malformed.status, 500);
    let text = log.text();
    assert!(text.contains("request failed") && text.contains("blame=\"hub\""), "{text}");
    let leaks: Vec<_> = text.lines().filter(|line| line.contains("s3cret")).collect();
    assert!(leaks.is_empty(), "{leaks:#?}");
}
