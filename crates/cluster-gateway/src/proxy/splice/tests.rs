use std::sync::Mutex;

use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
use tokio::time::Instant;

use super::*;

#[derive(Clone, Default)]
struct Seen(Arc<Mutex<usize>>);

impl Observer for Seen {
    fn data(&mut self, length: usize) {
        *self.0.lock().expect("a lock") += length;
    }

    fn end(&mut self, _result: Result<(), &BodyError>) {}
}

#[tokio::test]
async fn what_is_on_its_way_arrives_after_one_side_has_ended() {
    let (mut client, client_end) = duplex(64);
    let (mut member, member_end) = duplex(64);
    let seen = Seen::default();
    let relaying = tokio::spawn({
        let mut seen = seen.clone();
        async move { relay(client_end, member_end, Some(&mut seen)).await }
    });
    client.write_all(b"stdin").await.expect("a write");
    client.shutdown().await.expect("an end");
    let mut stdin = Vec::new();
    member.read_to_end(&mut stdin).await.expect("stdin and its end");
    assert_eq!(stdin, b"stdin");
    let answering = tokio::spawn(async move {
        member.write_all(&[b'o'; 1000]).await.expect("a write");
        member.shutdown().await
    });
    let mut stdout = Vec::new();
    client.read_to_end(&mut stdout).await.expect("stdout and its end");
    assert_eq!(stdout.len(), 1000);
    answering.await.expect("a task").expect("an end");
    relaying.await.expect("a task").expect("a clean end");
    assert_eq!(*seen.0.lock().expect("a lock"), 1005);
}

#[tokio::test(start_paused = true)]
async fn rule_189_a_relay_with_one_end_closed_and_the_other_silent_is_cut() {
    let (mut client, client_end) = duplex(64);
    let (mut member, member_end) = duplex(64);
    let relaying = tokio::spawn(async move { relay(client_end, member_end, None).await });
    client.shutdown().await.expect("an end");
    assert_eq!(member.read(&mut [0; 8]).await.expect("the end"), 0);
    let begun = Instant::now();
    relaying.await.expect("a task").expect("a clean end");
    assert_eq!(begun.elapsed(), LINGER);
    member.write_all(b"x").await.expect_err("both sides are closed");
}

#[tokio::test]
async fn rule_189_an_idle_relay_lives() {
    tokio::time::pause();
    let (mut client, client_end) = duplex(64);
    let (mut member, member_end) = duplex(64);
    let relaying = tokio::spawn(async move { relay(client_end, member_end, None).await });
    tokio::time::sleep(Duration::from_secs(24 * 3600)).await;
    member.write_all(b"still here").await.expect("a write");
    let mut bytes = [0; 10];
    client.read_exact(&mut bytes).await.expect("bytes");
    assert_eq!(&bytes, b"still here");
    drop((client, member));
    relaying.await.expect("a task").expect("a clean end");
}

#[tokio::test]
async fn rule_189_a_broken_side_breaks_the_other() {
    let (client, client_end) = duplex(64);
    let broken = broken_side();
    let relaying = relay(client_end, broken, None).await;
    assert!(relaying.is_err());
    drop(client);
}

/// A side whose every read fails.
fn broken_side() -> impl AsyncRead + AsyncWrite + Unpin {
    struct Broken;
    impl AsyncRead for Broken {
        fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, _: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()))
        }
    }
    tokio::io::join(Broken, tokio::io::sink())
}
