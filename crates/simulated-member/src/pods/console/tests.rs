//! Sessions as a client has them.

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

use super::*;
use crate::pods::shell::{self, Place, Program};

/// What a session did, by its end.
#[derive(Debug, Default, PartialEq, Eq)]
struct Seen {
    stdout: String,
    stderr: String,
    status: Value,
}

struct Session(DuplexStream);

impl Session {
    fn begin(query: &str, protocol: Protocol, program: Program) -> Self {
        let (client, server) = tokio::io::duplex(1 << 20);
        let streams = Streams::asked(&Query::parse(query)).unwrap();
        let pod = json!({"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "env": [{"name": "COLOUR", "value": "red"}]}]}});
        let place = Place::of(&pod, "c");
        tokio::spawn(serve(server, protocol, streams, move |console| shell::run(console, place, program)));
        Self(client)
    }

    async fn send(&mut self, channel: u8, bytes: &[u8]) {
        let payload = [&[channel], bytes].concat();
        let mut frame = vec![0x82, 0x80 | u8::try_from(payload.len()).unwrap(), 0, 0, 0, 0];
        frame.extend(payload);
        self.0.write_all(&frame).await.unwrap();
    }

    /// Reads to the end.
    async fn finish(mut self) -> Seen {
        let mut seen = Seen::default();
        while let Ok(head) = self.0.read_u16().await {
            let length = match head & 0x7f {
                126 => self.0.read_u16().await.unwrap(),
                short => short,
            };
            let mut payload = vec![0; usize::from(length)];
            self.0.read_exact(&mut payload).await.unwrap();
            let text = String::from_utf8_lossy(payload.get(1..).unwrap_or_default()).into_owned();
            match (head >> 8, payload.first()) {
                (0x82, Some(&STDOUT)) => seen.stdout += &text,
                (0x82, Some(&STDERR)) => seen.stderr += &text,
                (0x82, Some(&ERROR)) => seen.status = serde_json::from_str(&text).unwrap(),
                (0x88, _) => return seen,
                other => panic!("{other:?}"),
            }
        }
        panic!("it ended without a close: {seen:?}");
    }
}

fn command(words: &[&str]) -> Program {
    Program::Command(words.iter().map(|&word| word.to_owned()).collect())
}

async fn ran(script: &str) -> (String, String, i64) {
    let session = Session::begin("stdout=1&stderr=1", Protocol::V4, command(&["sh", "-c", script]));
    let seen = session.finish().await;
    let code =
        seen.status["details"]["causes"][0]["message"].as_str().map_or(0, |code| code.parse().unwrap());
    assert_eq!(seen.status["status"] == "Success", code == 0);
    (seen.stdout, seen.stderr, code)
}

#[tokio::test]
async fn commands_print_and_end_with_their_code() {
    for (script, out, err, code) in [
        ("echo a b; echo c >&2; exit 3", "a b\n", "c\n", 3),
        ("echo $COLOUR \"$HOSTNAME\" '$COLOUR'", "red p $COLOUR\n", "", 0),
        ("true && echo yes || echo no", "yes\n", "", 0),
        ("false && echo yes || echo no", "no\n", "", 0),
        ("false; echo $?", "1\n", "", 0),
        ("sh -c 'exit 4'; echo $?", "4\n", "", 0),
        ("exit 5; echo never", "", "", 5),
        ("echo -n x; seq 3", "x1\n2\n3\n", "", 0),
        ("cat", "", "", 0),
    ] {
        assert_eq!(ran(script).await, (out.to_owned(), err.to_owned(), code), "{script}");
    }
    let (_, err, code) = ran("frobnicate").await;
    assert!(err.contains("frobnicate: not found") && code == 127, "{err}");
    assert_eq!(ran("echo 'a").await.2, 2);
}

#[tokio::test]
async fn what_comes_in_goes_out_until_its_end() {
    let mut session = Session::begin("stdin=1&stdout=1", Protocol::V5, command(&["cat"]));
    session.send(STDIN, b"one\n").await;
    session.send(STDIN, b"two").await;
    session.send(CLOSE, &[STDIN]).await;
    let seen = session.finish().await;
    assert_eq!((seen.stdout.as_str(), seen.status["status"].as_str()), ("one\ntwo", Some("Success")));
}

#[tokio::test]
async fn a_shell_reads_commands_from_its_input() {
    let mut session = Session::begin("stdin=1&stdout=1&stderr=1", Protocol::V5, command(&["sh"]));
    session.send(STDIN, b"echo one\necho two >&2\nexit 6\necho three\n").await;
    let seen = session.finish().await;
    assert_eq!((seen.stdout.as_str(), seen.stderr.as_str()), ("one\n", "two\n"));
    assert_eq!(seen.status["details"]["causes"][0]["message"], "6");
}

#[tokio::test]
async fn a_terminal_shows_what_is_typed_and_lets_it_be_edited() {
    let mut session = Session::begin("stdin=1&stdout=1&stderr=1&tty=1", Protocol::V5, Program::Attached);
    session.send(RESIZE, br#"{"Width":99,"Height":33}"#).await;
    session.send(STDIN, b"echp\x7fo hi\r").await;
    session.send(STDIN, b"\x03stty size\r\x04").await;
    let seen = session.finish().await;
    let expected = "/ # echp\u{8} \u{8}o hi\r\nhi\r\n/ # ^C\r\n/ # stty size\r\n33 99\r\n/ # ";
    assert_eq!(seen.stdout, expected);
    assert_eq!(seen.stderr, "");
}

#[tokio::test]
async fn the_program_ends_when_the_client_goes() {
    let (client, server) = tokio::io::duplex(1 << 10);
    let streams = Streams::asked(&Query::parse("stdout=1")).unwrap();
    drop(client);
    let never = |_: Console| std::future::pending::<i32>();
    assert!(serve(server, Protocol::V5, streams, never).await.is_err());
}

#[test]
fn no_stream_at_all_is_refused() {
    assert_eq!(Streams::asked(&Query::parse("tty=1")).unwrap_err().code, 400);
}
