//! Members that attack the gateway: their own requests fail, the gateway and other members' requests do not.

use std::time::Duration;

use http::Request;
use http_body_util::{BodyExt, Full};
use tokio::time::timeout;

use super::floods::{Bystander, name};
use crate::support::frames::{CONTINUATION, DATA, END_HEADERS, HEADERS, PING, SETTINGS, frame, literal};
use crate::support::world::World;
use crate::transport::frames::{Connection, Raw, STATUS_200};

const PUSH_PROMISE: u8 = 5;
const MOST: usize = 64 << 20;

/// What is sent on a stream that a request has opened.
type Attack<'a> = &'a dyn Fn(u32) -> Vec<u8>;

/// A gateway with the members `m`, who is good, and `hostile`.
struct Besieged {
    world: World,
    hostile: Raw,
    path: String,
}

impl Besieged {
    async fn start() -> Self {
        let (world, hostile) = (World::start().await, Raw::start().await);
        let changes = [("endpoint", hostile.endpoint()), ("ca.crt", hostile.ca.pem())];
        let changes = changes.each_ref().map(|(key, value)| (*key, value.as_str()));
        world.register("hostile", &changes);
        let path = "/apis/cluster.core.oam.dev/v1alpha1/clustergateways/hostile/proxy/x".to_owned();
        world.listed("hostile").await;
        Self { world, hostile, path }
    }

    /// Lets somebody ask the hostile member, and takes the request there. Gives what the caller gets: status and body;
    /// 0 and `None` for an answer that broke off before either.
    async fn ask(&self) -> (Connection, u32, tokio::task::JoinHandle<(u16, Option<String>)>) {
        let (caller, path) = (self.world.masters(), self.path.clone());
        let asking = tokio::spawn(async move {
            let mut request = Request::new(Full::default());
            *request.headers_mut() = caller.headers();
            let Ok(response) = caller.exchange(request, &path).await else { return (0, None) };
            let status = response.status().as_u16();
            let body = response.into_body().collect().await.ok();
            (status, body.map(|body| String::from_utf8_lossy(&body.to_bytes()).into_owned()))
        });
        let accepted = timeout(Duration::from_secs(20), self.hostile.accept());
        let mut connection = accepted.await.expect("a connection");
        let stream = connection.request().await;
        (connection, stream, asking)
    }
}

/// A header block in frames of sixteen kilobytes.
fn head(stream: u32, rest: &[u8]) -> Vec<u8> {
    let block = [STATUS_200, rest].concat();
    let pieces: Vec<&[u8]> = block.chunks(16_000).collect();
    let mut bytes = Vec::new();
    for (index, piece) in pieces.iter().enumerate() {
        let kind = if index == 0 { HEADERS } else { CONTINUATION };
        let flags = if index + 1 == pieces.len() { END_HEADERS } else { 0 };
        bytes.extend(frame(kind, flags, stream, piece));
    }
    bytes
}

fn many_headers(count: usize) -> Vec<u8> {
    let mut block = Vec::new();
    for number in 0..count {
        literal(&mut block, &name(number), "");
    }
    block
}

/// One header of four kilobytes in the table, named over and over again by one byte.
fn unfolding() -> Vec<u8> {
    let mut block = Vec::new();
    literal(&mut block, "x-bomb", &"b".repeat(4000));
    block[0] = 0x40;
    block.extend(std::iter::repeat_n(0x80 | 62, 60_000));
    block
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_258_a_member_s_flood_ends_its_own_requests() {
    let endless = |stream: u32| {
        let piece = frame(CONTINUATION, 0, stream, &[]);
        [frame(HEADERS, 0, stream, STATUS_200), piece.repeat(10_000)].concat()
    };
    let attacks: [(&str, Attack<'_>); 5] = [
        ("a head in endless pieces", &endless),
        ("a head that unfolds", &|stream| head(stream, &unfolding())),
        ("a full map of headers", &|stream| head(stream, &many_headers(24_576))),
        ("more than a map of headers", &|stream| head(stream, &many_headers(28_000))),
        ("a push", &|stream| frame(PUSH_PROMISE, END_HEADERS, stream, &[&[0, 0, 0, 2], STATUS_200].concat())),
    ];
    for (name, attack) in attacks {
        // Another each time: a member that fails too often is no longer asked.
        let besieged = Besieged::start().await;
        let mut bystander = Bystander::of(&besieged.world).await;
        let (mut connection, stream, asking) = besieged.ask().await;
        let _ = connection.bytes(&attack(stream)).await;
        let (status, body) = timeout(Duration::from_secs(20), asking).await.expect(name).unwrap();
        assert_eq!(status, 500, "{name}");
        assert!(body.as_ref().is_some_and(|body| body.contains("cluster hostile: ")), "{name}: {body:?}");
        bystander.is_served().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_258_empty_data_without_end_breaks_the_answer_off() {
    let besieged = Besieged::start().await;
    let mut bystander = Bystander::of(&besieged.world).await;
    let (mut connection, stream, asking) = besieged.ask().await;
    let flood = frame(DATA, 0, stream, &[]).repeat(10_000);
    let _ = connection.bytes(&[head(stream, &[]), flood].concat()).await;
    let (status, body) = timeout(Duration::from_secs(20), asking).await.expect("an end").unwrap();
    assert!(matches!(status, 0 | 200) && body.is_none(), "{status} {body:?}");
    bystander.is_served().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_258_a_member_that_reads_no_answers_is_read_no_further() {
    for (name, kind, payload) in
        [("ping", PING, &[0; 8][..]), ("settings", SETTINGS, &[0, 4, 0, 0, 255, 255])]
    {
        let besieged = Besieged::start().await;
        let mut bystander = Bystander::of(&besieged.world).await;
        let (mut connection, _, asking) = besieged.ask().await;
        let batch = frame(kind, 0, 0, payload).repeat(4000);
        let mut taken = 0;
        while taken < MOST
            && let Ok(written) = timeout(Duration::from_secs(1), connection.bytes(&batch)).await
        {
            written.expect("the connection is kept");
            taken += batch.len();
        }
        assert!(taken < MOST, "{name}: {taken} bytes were taken whose answers nobody reads");
        bystander.is_served().await;
        asking.abort();
        drop(connection);
    }
}
