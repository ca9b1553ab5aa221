//! HTTP CONNECT.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncWrite, AsyncWriteExt};

use super::super::Endpoint;
use super::{ProxyLogin, Refusal, broke};

/// Bytes of the head of a proxy's answer.
const MAX_HEAD: usize = 16 * 1024;
/// Characters of a reason phrase that are repeated.
const MAX_REASON: usize = 200;

/// Asks for a tunnel to `target`. Afterwards the next byte read is the target's first.
pub(super) async fn open<S: AsyncBufRead + AsyncWrite + Unpin>(
    stream: &mut S,
    target: &Endpoint,
    login: Option<&ProxyLogin>,
) -> Result<(), Refusal> {
    stream.write_all(request(target, login).as_bytes()).await.map_err(|error| broke(&error))?;
    stream.flush().await.map_err(|error| broke(&error))?;
    judge(&head(stream).await?, login.is_some())
}

fn request(target: &Endpoint, login: Option<&ProxyLogin>) -> String {
    let authority = target.authority();
    let authorization = login.map_or_else(String::new, |ProxyLogin { user, password }| {
        format!("Proxy-Authorization: Basic {}\r\n", STANDARD.encode(format!("{user}:{password}")))
    });
    let agent = concat!("cluster-gateway/", env!("CARGO_PKG_VERSION"));
    format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\nUser-Agent: {agent}\r\n{authorization}\r\n")
}

/// Reads up to the empty line, and not a byte more.
async fn head<S: AsyncBufRead + Unpin>(stream: &mut S) -> Result<Vec<u8>, Refusal> {
    let mut head = Vec::new();
    loop {
        let bytes = stream.fill_buf().await.map_err(|error| broke(&error))?;
        let Some(&byte) = bytes.first() else {
            return Err(broke(&std::io::ErrorKind::UnexpectedEof.into()));
        };
        stream.consume(1);
        head.push(byte);
        if head.ends_with(b"\r\n\r\n") || head.ends_with(b"\n\n") {
            return Ok(head);
        }
        if head.len() >= MAX_HEAD {
            return Err(format!("answered with more than {MAX_HEAD} bytes of headers"));
        }
    }
}

/// What the status line says.
fn judge(head: &[u8], logged_in: bool) -> Result<(), Refusal> {
    let line = head.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let line: String = String::from_utf8_lossy(line).trim_end().chars().take(MAX_REASON).collect();
    let code = line
        .strip_prefix("HTTP/1.")
        .and_then(|rest| rest.split(' ').nth(1))
        .filter(|code| code.len() == 3)
        .and_then(|code| code.parse::<u16>().ok());
    let advice = match code {
        Some(200..=299) => return Ok(()),
        None => {
            return Err(
                "answered with something that is not HTTP/1.1; is this the address of an HTTP proxy?".into(),
            );
        }
        // tinyproxy says 401 of a wrong password.
        Some(401 | 407) if logged_in => "it refuses the user or password in key \"proxy-url\" of the Secret",
        Some(401 | 407) => {
            "it asks for a user and a password: write key \"proxy-url\" of the Secret as SCHEME://USER:PASSWORD@HOST:PORT"
        }
        Some(403 | 405) => "it must allow CONNECT to this host and port",
        Some(502..=504) => "it cannot reach the member; try the endpoint from the proxy's machine",
        Some(_) => "read the proxy's log",
    };
    let said = line.split_once(' ').map_or("", |(_, said)| said);
    Err(format!("refused the tunnel: {}; {advice}", said.escape_debug()))
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, BufReader};

    use super::*;

    fn target() -> Endpoint {
        Endpoint { tls: true, host: "fd00::1".into(), port: 6443 }
    }

    fn login() -> ProxyLogin {
        ProxyLogin { user: "u".into(), password: "hunter2".into() }
    }

    /// What is asked for, what comes of `answer`, and what is left to read behind it.
    async fn ask(answer: &[u8], login: Option<&ProxyLogin>) -> (String, Result<(), Refusal>, String) {
        let (ours, mut theirs) = tokio::io::duplex(64 * 1024);
        theirs.write_all(answer).await.unwrap();
        let mut ours = BufReader::new(ours);
        let half_closed = async {
            let mut asked = vec![0; 4096];
            let length = theirs.read(&mut asked).await.unwrap();
            theirs.shutdown().await.unwrap();
            String::from_utf8(asked[..length].to_vec()).unwrap()
        };
        let target = target();
        let (result, asked) = tokio::join!(open(&mut ours, &target, login), half_closed);
        let mut rest = String::new();
        ours.read_to_string(&mut rest).await.unwrap();
        (asked, result, rest)
    }

    #[tokio::test]
    async fn a_tunnel_begins_right_behind_the_head() {
        let (asked, result, rest) =
            ask(b"HTTP/1.0 200 OK\r\nvia: x\r\n\r\nfirst bytes", Some(&login())).await;
        assert_eq!(result, Ok(()));
        assert_eq!(rest, "first bytes");
        assert!(asked.starts_with("CONNECT [fd00::1]:6443 HTTP/1.1\r\nHost: [fd00::1]:6443\r\n"), "{asked}");
        assert!(asked.ends_with("\r\nProxy-Authorization: Basic dTpodW50ZXIy\r\n\r\n"), "{asked}");
        let (asked, ..) = ask(b"HTTP/1.1 200\r\n\r\n", None).await;
        assert!(!asked.contains("Authorization"), "{asked}");
    }

    #[tokio::test]
    async fn refusals_say_what_to_do() {
        let squid = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 3\r\n\r\nno!".as_slice();
        for (answer, login, expected) in [
            (b"HTTP/1.1 407 Who\r\n\r\n".as_slice(), None, ["407 Who", "SCHEME://USER:PASSWORD@HOST:PORT"]),
            (b"HTTP/1.1 407 Who\r\n\r\n", Some(login()), ["407 Who", "refuses the user or password"]),
            (b"HTTP/1.1 401 Who\r\n\r\n", Some(login()), ["401 Who", "refuses the user or password"]),
            (squid, None, ["403 Forbidden", "must allow CONNECT"]),
            (b"HTTP/1.1 503 Down\x1b[0m\r\n\r\n", None, ["503 Down\\u{1b}[0m", "cannot reach the member"]),
            (b"HTTP/1.1 302 Found\r\nLocation: http://canary/\r\n\r\n", None, ["302 Found", "log"]),
            (b"SSH-2.0-OpenSSH_9.6\r\n\r\n", None, ["not HTTP/1.1", "address of an HTTP proxy"]),
            (b"HTTP/1.1 20 OK\r\n\r\n", None, ["not HTTP/1.1", "address of an HTTP proxy"]),
            (b"HTTP/1.1 200 O", None, ["closed the connection", "address of such a proxy"]),
        ] {
            let (_, result, _) = ask(answer, login.as_ref()).await;
            let error = result.unwrap_err();
            for expected in expected {
                assert!(error.contains(expected), "{expected:?} is missing in {error:?}");
            }
            assert!(!error.contains("hunter2"), "{error}");
        }
    }

    #[tokio::test]
    async fn an_endless_head_is_refused() {
        let head = [b"HTTP/1.1 200 OK\r\nx: ".as_slice(), &[b'x'; 2 * MAX_HEAD]].concat();
        let (_, result, _) = ask(&head, None).await;
        assert!(result.unwrap_err().contains("more than 16384 bytes"));
    }
}
