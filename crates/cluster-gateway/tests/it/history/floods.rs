//! Floods of HTTP/2 frames: the connection they come on ends, or its sender is held back; nobody else notices.

use std::time::Duration;

use tokio::time::timeout;

use crate::support::caller::Caller;
use crate::support::frames::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, Frame, Frames, GOAWAY, HEADERS, PING, RST_STREAM, SETTINGS,
    WINDOW_UPDATE, Writer, frame, literal, request,
};
use crate::support::session::Session;
use crate::support::world::{PROXY, World};

const ENHANCE_YOUR_CALM: u32 = 11;
const CANCEL: [u8; 4] = 8_u32.to_be_bytes();
/// More than any window can have.
const OVERFLOW: [u8; 4] = 0x7fff_ffff_u32.to_be_bytes();
const PRIORITY: u8 = 2;
/// What the sockets between two processes of one machine hold is far less.
const MOST: usize = 64 << 20;

/// Frames without end, batch by batch.
type Flood<'f> = Box<dyn FnMut(u32) -> Vec<u8> + Send + 'f>;

/// A caller beside the flood, on a connection of its own.
pub(super) struct Bystander(Session);

impl Bystander {
    pub(super) async fn of(world: &World) -> Self {
        let mut bystander = Self(Session::open(&world.masters().http2()).await);
        bystander.is_served().await;
        bystander
    }

    pub(super) async fn is_served(&mut self) {
        let answer = self.0.get(&format!("{PROXY}/plain")).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
}

/// Writes batches until the server has had enough, at most `most`; returns how many it took and its reason.
async fn flood(caller: &Caller, begin: &[Vec<u8>], mut frames: Flood<'_>, most: u32) -> (u32, Option<u32>) {
    let Frames { mut reader, mut writer } = Frames::open(caller).await;
    let goaway = tokio::spawn(async move { reader.goaway().await });
    for frame in begin {
        writer.bytes(frame).await.unwrap();
    }
    let mut taken = 0;
    while taken < most && writer.bytes(&frames(taken)).await.is_ok() {
        taken += 1;
    }
    let reason = timeout(Duration::from_secs(20), goaway).await.expect("an end of the connection").unwrap();
    (taken, reason)
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_059_rule_258_a_flood_ends_its_connection_and_harms_no_other() {
    let world = World::start().await;
    let mut bystander = Bystander::of(&world).await;
    let caller = world.masters();
    let get = request(&caller, "GET", &format!("{PROXY}/slow-head"), &[]);
    let post = request(&caller, "POST", &format!("{PROXY}/slow-head"), &[]);
    let mut filler = Vec::new();
    literal(&mut filler, "x-filler", "f");
    let pairs = |second: u8, payload: [u8; 4]| -> Flood<'_> {
        let get = &get;
        Box::new(move |batch| {
            (0..100).fold(Vec::new(), |mut bytes, number| {
                let stream = (batch * 100 + number) * 2 + 1;
                bytes.extend(frame(HEADERS, END_HEADERS | END_STREAM, stream, get));
                bytes.extend(frame(second, 0, stream, &payload));
                bytes
            })
        })
    };
    let same = |bytes: Vec<u8>| -> Flood<'_> { Box::new(move |_| bytes.clone()) };
    let open = frame(HEADERS, END_HEADERS, 1, &post);
    let floods: [(&str, Vec<Vec<u8>>, Flood<'_>, u32); 5] = [
        ("rapid reset", vec![], pairs(RST_STREAM, CANCEL), 1000),
        ("resets that the server is made to send", vec![], pairs(WINDOW_UPDATE, OVERFLOW), 1000),
        (
            "headers in endless pieces",
            vec![frame(HEADERS, END_STREAM, 1, &get)],
            same(frame(CONTINUATION, 0, 1, &filler)),
            10_000,
        ),
        (
            "headers in empty pieces",
            vec![frame(HEADERS, END_STREAM, 1, &get)],
            same(frame(CONTINUATION, 0, 1, &[])),
            10_000,
        ),
        ("empty data", vec![open], same(frame(DATA, 0, 1, &[])), 10_000),
    ];
    for (name, begin, frames, most) in floods {
        let (taken, reason) = flood(&caller, &begin, frames, most).await;
        assert_eq!(reason, Some(ENHANCE_YOUR_CALM), "{name}");
        assert!(taken < most, "{name}: {taken} were taken");
        bystander.is_served().await;
    }
}

/// Writes `frames` until the server takes no more for a while; returns how many bytes it took.
async fn stall(writer: &mut Writer, frames: &[u8]) -> usize {
    let mut taken = 0;
    while taken < MOST {
        match timeout(Duration::from_secs(1), writer.bytes(frames)).await {
            Ok(written) => written.expect("the connection is kept"),
            Err(_) => break,
        }
        taken += frames.len();
    }
    taken
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_258_who_reads_no_answers_is_read_no_further() {
    let world = World::start().await;
    let mut bystander = Bystander::of(&world).await;
    for (name, kind, payload) in
        [("ping", PING, &[0; 8][..]), ("settings", SETTINGS, &[0, 4, 0, 0, 255, 255])]
    {
        let Frames { reader, mut writer } = Frames::open(&world.masters()).await;
        let batch = frame(kind, 0, 0, payload).repeat(4000);
        let taken = stall(&mut writer, &batch).await;
        assert!(taken < MOST, "{name}: {taken} bytes were taken whose answers nobody reads");
        bystander.is_served().await;
        drop(reader);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_258_what_needs_no_answer_is_read_beside_everybody_else() {
    let world = World::start().await;
    let mut bystander = Bystander::of(&world).await;
    let Frames { mut reader, mut writer } = Frames::open(&world.masters()).await;
    let batch = frame(PRIORITY, 0, 1, &[0, 0, 0, 0, 1]).repeat(4000);
    for _ in 0..50 {
        writer.bytes(&batch).await.unwrap();
    }
    bystander.is_served().await;
    writer.frame(PING, 0, 0, b"in order").await.unwrap();
    assert!(reader.find(|frame| frame.kind == PING).await.is_some());
}

/// A name of three letters for each number.
pub(super) fn name(number: usize) -> String {
    const LETTERS: &[u8] = b"abcdefghijklmnopqrstuvwxyz0123456789";
    let letter = |power: u32| char::from(LETTERS[number / LETTERS.len().pow(power) % LETTERS.len()]);
    [letter(0), letter(1), letter(2)].iter().collect()
}

/// How the server answers a header block.
#[derive(Debug, PartialEq)]
enum End {
    /// 431, whose HPACK form is a literal.
    TooLarge,
    Answer(Vec<u8>),
    Reset,
    Goaway(Option<u32>),
}

/// What comes of a request with `rest` behind its header block.
async fn end(caller: &Caller, path: &str, rest: &[u8]) -> End {
    let Frames { mut reader, mut writer } = Frames::open(caller).await;
    let mut block = request(caller, "GET", path, &[]);
    block.extend_from_slice(rest);
    let pieces: Vec<&[u8]> = block.chunks(16_000).collect();
    for (index, piece) in pieces.iter().enumerate() {
        let last = if index + 1 == pieces.len() { END_HEADERS } else { 0 };
        let (kind, flags) = if index == 0 { (HEADERS, END_STREAM | last) } else { (CONTINUATION, last) };
        if writer.frame(kind, flags, 1, piece).await.is_err() {
            break;
        }
    }
    let wanted = |frame: &Frame| frame.kind == GOAWAY || frame.stream == 1 && frame.kind != DATA;
    let Some(frame) = timeout(Duration::from_secs(20), reader.find(wanted)).await.expect("an end") else {
        return End::Goaway(None);
    };
    match frame.kind {
        RST_STREAM => End::Reset,
        GOAWAY => End::Goaway(Some(u32::from_be_bytes(frame.payload[4..8].try_into().unwrap()))),
        // Plain, or in the Huffman code: 4 (011010), 3 (011001), 1 (00001), ones.
        _ if frame.payload.windows(3).any(|part| part == b"431" || part == [0x69, 0x90, 0xff]) => {
            End::TooLarge
        }
        _ => End::Answer(frame.payload),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_058_rule_258_more_headers_than_fit_are_refused_however_small_they_are() {
    let world = World::start().await;
    let mut bystander = Bystander::of(&world).await;
    let caller = world.masters();
    for count in [1100, 20_000, 24_550, 24_576, 28_000] {
        let mut rest = Vec::new();
        for number in 0..count {
            literal(&mut rest, &name(number), "");
        }
        for path in ["/version", &format!("{PROXY}/plain")] {
            assert_eq!(end(&caller, path, &rest).await, End::TooLarge, "{count} headers for {path}");
        }
        bystander.is_served().await;
    }
}

/// One header of four kilobytes in the table, named over and over again by one byte.
#[tokio::test(flavor = "multi_thread")]
async fn rule_258_a_header_block_that_unfolds_is_refused() {
    let world = World::start().await;
    let mut bystander = Bystander::of(&world).await;
    let mut rest = Vec::new();
    literal(&mut rest, "x-bomb", &"b".repeat(4000));
    rest[0] = 0x40;
    rest.extend(std::iter::repeat_n(0x80 | 62, 60_000));
    for path in ["/version", &format!("{PROXY}/plain")] {
        assert_eq!(end(&world.masters(), path, &rest).await, End::Goaway(Some(ENHANCE_YOUR_CALM)), "{path}");
    }
    bystander.is_served().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_258_streams_beyond_the_limit_are_refused_and_windows_that_overflow_end_their_connection() {
    let world = World::start().await;
    let mut bystander = Bystander::of(&world).await;
    let caller = world.masters();
    let Frames { mut reader, mut writer } = Frames::open(&caller).await;
    // No answer may be sent, so every stream stays open.
    writer.frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 0]).await.unwrap();
    let block = request(&caller, "GET", "/version", &[]);
    for stream in 0..1001_u32 {
        writer.frame(HEADERS, END_HEADERS | END_STREAM, stream * 2 + 1, &block).await.unwrap();
    }
    let refused = reader.find(|frame| frame.kind == RST_STREAM).await.expect("a refusal");
    assert_eq!((refused.stream, refused.payload.as_slice()), (2001, &7_u32.to_be_bytes()[..]));
    bystander.is_served().await;
    writer.frame(WINDOW_UPDATE, 0, 0, &OVERFLOW).await.unwrap();
    assert_eq!(reader.goaway().await, Some(3), "FLOW_CONTROL_ERROR");
    bystander.is_served().await;
}
