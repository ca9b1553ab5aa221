//! Messages that two parsers could read differently: none of them becomes two requests, and none reaches a member.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::caller::Caller;
use crate::support::fake_member::{Options, Protocols};
use crate::support::frames::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, Frames, GOAWAY, HEADERS, RST_STREAM, SETTINGS, literal,
    request,
};
use crate::support::world::{PROXY, Setup, World, until};

async fn world(protocols: Protocols) -> World {
    World::with(Setup { member: Options { protocols, ..Options::default() }, ..Setup::default() }).await
}

/// Sends bytes on an HTTP/1.1 connection and reads until the server closes it.
async fn raw(caller: &Caller, bytes: &[u8]) -> String {
    let mut stream = caller.connect().await;
    stream.write_all(bytes).await.unwrap();
    stream.flush().await.unwrap();
    let mut answer = Vec::new();
    let mut buffer = [0; 4096];
    let closing = async {
        // However the connection ends, what came before counts.
        while let Ok(length @ 1..) = stream.read(&mut buffer).await {
            answer.extend_from_slice(&buffer[..length]);
        }
    };
    tokio::time::timeout(Duration::from_secs(10), closing).await.expect("the connection stays open");
    String::from_utf8_lossy(&answer).into_owned()
}

fn answers(text: &str) -> Vec<u16> {
    let heads = text.match_indices("HTTP/1.1 ").map(|(at, start)| &text[at + start.len()..]);
    heads.map(|rest| rest[..3].parse().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_194_a_malformed_message_is_a_400_and_the_end_of_its_connection() {
    let world = World::start().await;
    let caller = world.masters();
    let before = world.member.recorder.requests().len();
    let next = format!("GET {PROXY}/plain HTTP/1.1\r\nhost: localhost\r\n\r\n");
    for headers in [
        "content-length: 3\r\ncontent-length: 4\r\n",
        "content-length: 3, 4\r\n",
        "content-length: 3, 3\r\n",
        "content-length: +3\r\n",
        "content-length: -3\r\n",
        "content-length: 0x3\r\n",
        "content-length: 99999999999999999999999\r\n",
        "transfer-encoding: xchunked\r\n",
        "transfer-encoding: chunked, identity\r\n",
        "transfer-encoding: gzip, chunked\r\n",
        "transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n",
        "transfer-encoding: identity\r\ntransfer-encoding: chunked\r\n",
        "x-folded: a\r\n b\r\n",
        "x-folded: a\r\n\tcontent-length: 3\r\n",
        "x spaced: 1\r\n",
        "x-spaced : 1\r\n",
        "content-length : 3\r\n",
        " content-length: 3\r\n",
        "x-nul: a\0b\r\n",
        "x-\0nul: a\r\n",
        "x-return: a\rb\r\n",
        ": empty\r\n",
        "no colon\r\n",
    ] {
        let head = caller.head(&format!("POST {PROXY}/echo HTTP/1.1"));
        let text = raw(&caller, format!("{head}{headers}\r\nabc{next}").as_bytes()).await;
        assert_eq!(answers(&text), [400], "{headers:?}: {text}");
    }
    for line in [
        format!("GET {PROXY}/plain\r\n"),
        format!("GET {PROXY}/plain HTTP/1.1 HTTP/1.1\r\n"),
        format!("GET  {PROXY}/plain HTTP/1.1\r\n"),
        format!("GET {PROXY}/pl\0ain HTTP/1.1\r\n"),
        format!("GET {PROXY}/pl ain HTTP/1.1\r\n"),
        format!("GE\tT {PROXY}/plain HTTP/1.1\r\n"),
        format!("GET {PROXY}/plain HTTP/2.7\r\n"),
    ] {
        let text = raw(&caller, format!("{}\r\n", caller.head(line.trim_end())).as_bytes()).await;
        assert_eq!(answers(&text), [400], "{line:?}: {text}");
    }
    assert_eq!(world.member.recorder.requests().len(), before, "the member saw something");
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_194_rule_263_what_stands_behind_a_message_of_two_lengths_is_never_a_request() {
    let world = world(Protocols::Http1).await;
    let caller = world.masters();
    let smuggled = format!("{}\r\n", caller.head(&format!("GET {PROXY}/smuggled HTTP/1.1")));
    for lengths in [
        "content-length: 3\r\ntransfer-encoding: chunked\r\n",
        "transfer-encoding: chunked\r\ncontent-length: 3\r\n",
        "transfer-encoding: chunked\r\n",
    ] {
        let head = caller.head(&format!("POST {PROXY}/echo HTTP/1.1"));
        let text = raw(&caller, format!("{head}{lengths}\r\n0\r\n\r\n{smuggled}").as_bytes()).await;
        assert_eq!(answers(&text).len(), 1, "{lengths:?}: {text}");
        assert!(text.to_ascii_lowercase().contains("\r\nconnection: close\r\n"), "{text}");
    }
    let requests = world.member.recorder.requests();
    assert!(requests.iter().all(|request| !request.target.contains("smuggled")), "{requests:?}");
    for request in requests.iter().filter(|request| request.target == "/echo") {
        let lengths = ["content-length", "transfer-encoding"];
        let lengths = lengths.iter().filter(|name| request.headers.contains_key(**name)).count();
        assert!(lengths <= 1, "{request:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_194_broken_chunks_break_the_upload_off() {
    for protocols in [Protocols::Both, Protocols::Http1] {
        let world = world(protocols).await;
        let caller = world.masters();
        let head = caller.head(&format!("POST {PROXY}/echo HTTP/1.1"));
        let smuggled = caller.head(&format!("GET {PROXY}/smuggled HTTP/1.1"));
        for chunks in [
            "3\nabc\r\n0\r\n\r\n",
            "3\r\nabc\n0\r\n\r\n",
            "3\r\nabcd\r\n0\r\n\r\n",
            "3;x\n\r\nabc\r\n0\r\n\r\n",
            "x\r\nabc\r\n0\r\n\r\n",
            "-3\r\nabc\r\n0\r\n\r\n",
            "fffffffffffffffff\r\nabc",
            "3\r\nabc\r\n0\n\n",
        ] {
            let text = format!("{head}transfer-encoding: chunked\r\n\r\n{chunks}{smuggled}\r\n");
            let text = raw(&caller, text.as_bytes()).await;
            assert!(answers(&text).iter().all(|code| *code >= 400), "{chunks:?}: {text}");
        }
        assert!(world.member.recorder.uploads().iter().all(Option::is_none), "a broken upload looked whole");
        let requests = world.member.recorder.requests();
        assert!(requests.iter().all(|request| !request.target.contains("smuggled")));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_196_the_target_comes_from_the_cluster_and_from_nothing_else() {
    let world = world(Protocols::Http1).await;
    let caller = world.masters();
    let own = world.member.address.to_string();
    for (line, host) in [
        (format!("GET https://other.test{PROXY}/echo HTTP/1.1"), "other.test"),
        (format!("GET http://169.254.169.254{PROXY}/echo HTTP/1.1"), "localhost"),
        (format!("GET {PROXY}/echo HTTP/1.1"), "other.test"),
        (format!("GET {PROXY}/echo HTTP/1.1"), "127.0.0.1:1"),
    ] {
        let head = caller.head(&line).replace("host: localhost", &format!("host: {host}"));
        let text = raw(&caller, format!("{head}connection: close\r\n\r\n").as_bytes()).await;
        assert_eq!(answers(&text), [200], "{line}: {text}");
        let seen = world.member.recorder.requests().pop().unwrap();
        assert_eq!((seen.target.as_str(), seen.headers["host"].to_str().unwrap()), ("/echo", own.as_str()));
        assert_eq!(seen.headers.get_all("host").iter().count(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_088_rule_196_connect_opens_no_tunnel() {
    let world = World::start().await;
    let caller = world.masters();
    let before = world.member.recorder.connections();
    for line in [
        format!("CONNECT {} HTTP/1.1", world.member.address),
        format!("CONNECT {PROXY}/echo HTTP/1.1"),
        "CONNECT / HTTP/1.1".to_owned(),
    ] {
        let head = caller.head(&line);
        let text = raw(&caller, format!("{head}connection: close\r\n\r\n").as_bytes()).await;
        assert!(answers(&text).iter().all(|code| (400..500).contains(code)), "{line}: {text}");
        assert_eq!(answers(&text).len(), 1, "{line}: {text}");
    }
    assert_eq!(world.member.recorder.connections(), before);
}

/// How the server takes a stream: `Some(400)`-like first byte of the answer's head, or `None` if it was reset.
async fn refused(caller: &Caller, block: &[u8], data: &[&[u8]]) -> bool {
    let Frames { mut reader, mut writer } = Frames::open(caller).await;
    let end = if data.is_empty() { END_STREAM } else { 0 };
    writer.frame(HEADERS, END_HEADERS | end, 1, block).await.unwrap();
    for (index, data) in data.iter().enumerate() {
        let end = if index + 1 == data.len() || data.is_empty() { END_STREAM } else { 0 };
        let _ = writer.frame(DATA, end, 1, data).await;
    }
    let ended = reader.find(|frame| {
        (frame.stream == 1 && [HEADERS, RST_STREAM].contains(&frame.kind)) || frame.kind == GOAWAY
    });
    let ended = tokio::time::timeout(Duration::from_secs(10), ended).await.expect("an answer");
    // 0x8c: the static table's `:status: 400`.
    ended.is_none_or(|frame| frame.kind != HEADERS || frame.payload[0] == 0x8c)
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_192_rule_195_headers_that_http2_does_not_have_are_an_error_of_the_stream() {
    let world = World::start().await;
    let caller = world.masters();
    let path = format!("{PROXY}/echo");
    let before = world.member.recorder.requests().len();
    for (name, value) in [
        ("connection", "upgrade"),
        ("connection", "close"),
        ("upgrade", "websocket"),
        ("transfer-encoding", "chunked"),
        ("keep-alive", "timeout=5"),
        ("proxy-connection", "keep-alive"),
        ("te", "gzip"),
        ("X-Upper", "1"),
        ("x-return", "a\r\nx-smuggled: 1"),
        ("x-line", "a\nb"),
        ("x-nul", "a\0b"),
        ("x\r\nname", "1"),
        ("x name", "1"),
        ("", "1"),
        (":path", "/second"),
        (":unknown", "1"),
        ("content-length", "x"),
        ("content-length", "1, 1"),
    ] {
        let block = request(&caller, "POST", &path, &[(name, value)]);
        assert!(refused(&caller, &block, &[]).await, "{name}: {value:?}");
    }
    for path in ["", "plain", "/a\r\nb", "/a b", "/\0"] {
        assert!(refused(&caller, &request(&caller, "GET", path, &[]), &[]).await, "{path:?}");
    }
    assert_eq!(world.member.recorder.requests().len(), before, "the member saw something");
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_192_connect_with_a_protocol_is_not_offered() {
    let world = World::start().await;
    let caller = world.masters();
    let Frames { mut reader, writer: _open } = Frames::open(&caller).await;
    let settings = reader.find(|frame| frame.kind == SETTINGS).await.unwrap().payload;
    let offered = settings.chunks(6).any(|setting| setting[..2] == [0, 8] && setting[5] != 0);
    assert!(!offered, "SETTINGS_ENABLE_CONNECT_PROTOCOL is sent");
    let mut block = request(&caller, "CONNECT", &format!("{PROXY}/upgrade"), &[]);
    literal(&mut block, ":protocol", "websocket");
    assert!(refused(&caller, &block, &[]).await);
    let mut block = Vec::new();
    literal(&mut block, ":protocol", "websocket");
    block.extend(request(&caller, "CONNECT", &format!("{PROXY}/upgrade"), &[]));
    assert!(refused(&caller, &block, &[]).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_195_a_length_that_is_not_the_bodys_breaks_the_upload_off() {
    for protocols in [Protocols::Both, Protocols::Http1] {
        let world = world(protocols).await;
        let caller = world.masters();
        for (length, data) in [("10", "abc"), ("3", "abcdefghij"), ("0", "a")] {
            let Frames { mut reader, mut writer } = Frames::open(&caller).await;
            let block = request(&caller, "POST", &format!("{PROXY}/echo"), &[("content-length", length)]);
            writer.frame(HEADERS, END_HEADERS, 1, &block).await.unwrap();
            let _ = writer.frame(DATA, END_STREAM, 1, data.as_bytes()).await;
            let reset = reader.find(|frame| frame.kind == RST_STREAM || frame.kind == GOAWAY);
            let reset = tokio::time::timeout(Duration::from_secs(10), reset).await;
            assert!(reset.is_ok_and(|frame| frame.is_some()), "{length}: {data}");
        }
        assert!(world.member.recorder.uploads().iter().all(Option::is_none), "a broken upload looked whole");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_175_rule_195_an_upload_that_is_cut_off_is_cut_off_for_the_member() {
    const NO_ERROR: u32 = 0;
    const CANCEL: u32 = 8;
    for protocols in [Protocols::Both, Protocols::Http1] {
        let world = world(protocols).await;
        let caller = world.masters();
        let mut expected = 0;
        for reason in [Some(NO_ERROR), Some(CANCEL), None] {
            for _ in 0..10 {
                let Frames { mut reader, mut writer } = Frames::open(&caller).await;
                let block = request(&caller, "POST", &format!("{PROXY}/echo"), &[]);
                let before = world.member.recorder.requests().len();
                writer.frame(HEADERS, END_HEADERS, 1, &block).await.unwrap();
                writer.frame(DATA, 0, 1, b"the first half").await.unwrap();
                world.member.recorder.received(before + 1).await;
                if let Some(reason) = reason {
                    writer.frame(RST_STREAM, 0, 1, &reason.to_be_bytes()).await.unwrap();
                } else {
                    drop(writer);
                    drop(reader);
                    expected += 1;
                    until(|| async { world.member.recorder.uploads().len() >= expected }).await;
                    continue;
                }
                expected += 1;
                until(|| async { world.member.recorder.uploads().len() >= expected }).await;
                writer.frame(6, 0, 0, b"in order").await.unwrap();
                assert!(reader.find(|frame| frame.kind == 6).await.is_some(), "the connection goes on");
            }
            let uploads = world.member.recorder.uploads();
            assert!(uploads.iter().all(Option::is_none), "{protocols:?}, {reason:?}: {uploads:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_175_an_http1_upload_that_is_cut_off_is_cut_off_for_the_member() {
    for protocols in [Protocols::Both, Protocols::Http1] {
        let world = world(protocols).await;
        let caller = world.masters();
        for framing in ["content-length: 100\r\n\r\nhalf", "transfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n"]
        {
            let mut stream = caller.connect().await;
            let before = world.member.recorder.uploads().len();
            let head = caller.head(&format!("POST {PROXY}/echo HTTP/1.1"));
            stream.write_all(format!("{head}{framing}").as_bytes()).await.unwrap();
            stream.flush().await.unwrap();
            until(|| async { world.member.recorder.requests().iter().any(|seen| seen.target == "/echo") })
                .await;
            drop(stream);
            until(|| async { world.member.recorder.uploads().len() > before }).await;
        }
        assert_eq!(world.member.recorder.uploads(), [None, None], "{protocols:?}");
    }
}

/// A large header block arrives in pieces; a member on HTTP/1.1 gets it as one request.
#[tokio::test(flavor = "multi_thread")]
async fn rule_195_continued_headers_are_one_request() {
    let world = world(Protocols::Http1).await;
    let caller = world.masters();
    let Frames { mut reader, mut writer } = Frames::open(&caller).await;
    let block = request(&caller, "GET", &format!("{PROXY}/echo"), &[("x-last", "1")]);
    let (first, rest) = block.split_at(block.len() / 2);
    let before = world.member.recorder.requests().len();
    writer.frame(HEADERS, END_STREAM, 1, first).await.unwrap();
    writer.frame(CONTINUATION, END_HEADERS, 1, rest).await.unwrap();
    let answer = reader.find(|frame| frame.kind == HEADERS).await.unwrap();
    assert_eq!(answer.payload[0], 0x88, "the static table's :status: 200");
    assert_eq!(world.member.recorder.requests().len(), before + 1);
    assert_eq!(world.member.recorder.requests().pop().unwrap().headers["x-last"], "1");
}
