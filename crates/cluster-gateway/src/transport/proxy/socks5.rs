//! SOCKS5, with the name of the target left to the proxy, as Go does for `socks5` and `socks5h` alike.

use std::net::IpAddr;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::super::Endpoint;
use super::{ProxyLogin, Refusal, broke};

const VERSION: u8 = 5;
const NO_LOGIN: u8 = 0;
const LOGIN: u8 = 2;
const LOGIN_VERSION: u8 = 1;

/// Asks for a tunnel to `target`. Afterwards the next byte read is the target's first.
pub(super) async fn open<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    target: &Endpoint,
    login: Option<&ProxyLogin>,
) -> Result<(), Refusal> {
    let methods: &[u8] =
        if login.is_some() { &[VERSION, 2, NO_LOGIN, LOGIN] } else { &[VERSION, 1, NO_LOGIN] };
    send(stream, methods).await?;
    let [version, method] = receive(stream).await?;
    if version != VERSION {
        return Err("does not speak SOCKS5; is this the address of a SOCKS proxy?".to_owned());
    }
    match (method, login) {
        (NO_LOGIN, _) => {}
        (LOGIN, Some(login)) => authenticate(stream, login).await?,
        _ if login.is_some() => {
            return Err(
                "takes neither a user with a password nor nobody; other ways are not supported".to_owned()
            );
        }
        _ => {
            return Err(
                "asks for a user and a password: write key \"proxy-url\" of the Secret as socks5://USER:PASSWORD@HOST:PORT"
                    .to_owned(),
            );
        }
    }
    send(stream, &connect(target)?).await?;
    answer(stream).await
}

/// RFC 1929.
async fn authenticate<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    login: &ProxyLogin,
) -> Result<(), Refusal> {
    let mut message = vec![LOGIN_VERSION];
    for (what, text) in [("user", &login.user), ("password", &login.password)] {
        let length =
            u8::try_from(text.len()).map_err(|_| format!("cannot be told a {what} over 255 bytes"))?;
        message.push(length);
        message.extend_from_slice(text.as_bytes());
    }
    send(stream, &message).await?;
    match receive(stream).await? {
        [_, 0] => Ok(()),
        _ => Err("refuses the user or password in key \"proxy-url\" of the Secret".to_owned()),
    }
}

fn connect(target: &Endpoint) -> Result<Vec<u8>, Refusal> {
    let mut message = vec![VERSION, 1, 0];
    match target.host.parse() {
        Ok(IpAddr::V4(address)) => {
            message.push(1);
            message.extend_from_slice(&address.octets());
        }
        Ok(IpAddr::V6(address)) => {
            message.push(4);
            message.extend_from_slice(&address.octets());
        }
        Err(_) => {
            let length = u8::try_from(target.host.len());
            let length = length.map_err(|_| "cannot be told a host name over 255 bytes".to_owned())?;
            message.extend_from_slice(&[3, length]);
            message.extend_from_slice(target.host.as_bytes());
        }
    }
    message.extend_from_slice(&target.port.to_be_bytes());
    Ok(message)
}

async fn answer<S: AsyncRead + Unpin>(stream: &mut S) -> Result<(), Refusal> {
    let [version, reply, _, kind] = receive(stream).await?;
    if version != VERSION {
        return Err("answered with something that is not SOCKS5".to_owned());
    }
    if reply != 0 {
        return Err(format!("refused the tunnel: {}", meaning(reply)));
    }
    // The address that the proxy dials from is of no interest.
    match kind {
        1 => receive::<_, 4>(stream).await.map(drop)?,
        4 => receive::<_, 16>(stream).await.map(drop)?,
        3 => {
            let [length] = receive(stream).await?;
            stream.read_exact(&mut vec![0; length.into()]).await.map_err(|error| broke(&error))?;
        }
        _ => return Err("answered with something that is not SOCKS5".to_owned()),
    }
    receive::<_, 2>(stream).await.map(drop)
}

/// RFC 1928, section 6.
fn meaning(reply: u8) -> String {
    let text = match reply {
        1 => "general SOCKS server failure; read the proxy's log",
        2 => "connection not allowed by its rules; it must allow this host and port",
        3 => "network unreachable from the proxy",
        4 => "host unreachable from the proxy; can it resolve the name of the endpoint?",
        5 => "connection refused by the member; is this the address of its API server?",
        6 => "TTL expired on the way from the proxy",
        7 => "command not supported: it makes no tunnels",
        8 => "address type not supported by the proxy",
        other => return format!("reply {other}"),
    };
    text.to_owned()
}

async fn send<S: AsyncWrite + Unpin>(stream: &mut S, bytes: &[u8]) -> Result<(), Refusal> {
    stream.write_all(bytes).await.map_err(|error| broke(&error))?;
    stream.flush().await.map_err(|error| broke(&error))
}

async fn receive<S: AsyncRead + Unpin, const N: usize>(stream: &mut S) -> Result<[u8; N], Refusal> {
    let mut bytes = [0; N];
    stream.read_exact(&mut bytes).await.map_err(|error| broke(&error))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUND: &[u8] = &[5, 0, 0, 1, 10, 0, 0, 1, 0, 80];

    /// What is sent, what comes of `answers`, and what is left to read behind them.
    async fn ask(host: &str, answers: &[u8], login: bool) -> (Vec<u8>, Result<(), Refusal>, Vec<u8>) {
        let (mut ours, mut theirs) = tokio::io::duplex(64 * 1024);
        theirs.write_all(answers).await.unwrap();
        theirs.shutdown().await.unwrap();
        let login = login.then(|| ProxyLogin { user: "u".into(), password: "hunter2".into() });
        let target = Endpoint { tls: true, host: host.into(), port: 6443 };
        let result = open(&mut ours, &target, login.as_ref()).await;
        let mut rest = Vec::new();
        ours.read_to_end(&mut rest).await.unwrap();
        drop(ours);
        let mut sent = Vec::new();
        theirs.read_to_end(&mut sent).await.unwrap();
        (sent, result, rest)
    }

    #[tokio::test]
    async fn names_are_left_to_the_proxy_and_the_tunnel_begins_right_behind_its_answer() {
        let answers = [&[5, 0], BOUND, b"first"].concat();
        let (sent, result, rest) = ask("m.test", &answers, false).await;
        assert_eq!(result, Ok(()));
        assert_eq!(sent, [&[5, 1, 0, 5, 1, 0, 3, 6], b"m.test".as_slice(), &[0x19, 0x2b]].concat());
        assert_eq!(rest, b"first");
        let (sent, ..) = ask("10.0.0.2", &answers, false).await;
        assert_eq!(sent[3..], [5, 1, 0, 1, 10, 0, 0, 2, 0x19, 0x2b]);
        let (sent, ..) = ask("fd00::1", &answers, false).await;
        assert_eq!((sent[6], sent[7], sent[22]), (4, 0xfd, 1));
        for bound in [[&[5, 0, 0, 3, 2], b"hi!!first".as_slice()], [&[5, 0, 0, 4], [b'x'; 18].as_slice()]] {
            let (_, result, _) = ask("m.test", &[&[5, 0], bound.concat().as_slice()].concat(), false).await;
            assert_eq!(result, Ok(()));
        }
    }

    #[tokio::test]
    async fn the_login_is_sent_only_if_it_is_asked_for() {
        let (sent, result, _) = ask("m.test", &[&[5, 2, 1, 0], BOUND].concat(), true).await;
        assert_eq!(result, Ok(()));
        assert!(sent.starts_with(b"\x05\x02\x00\x02\x01\x01u\x07hunter2\x05\x01\x00\x03"), "{sent:?}");
        let (sent, result, _) = ask("m.test", &[&[5, 0], BOUND].concat(), true).await;
        assert_eq!(result, Ok(()));
        assert!(!sent.windows(7).any(|bytes| bytes == b"hunter2"), "{sent:?}");
    }

    #[tokio::test]
    async fn refusals_say_what_to_do() {
        let long = "a".repeat(256);
        for (host, answers, login, expected) in [
            ("m", [5, 0xff].as_slice(), false, "socks5://USER:PASSWORD@HOST:PORT"),
            ("m", &[5, 2], false, "socks5://USER:PASSWORD@HOST:PORT"),
            ("m", &[5, 0xff], true, "other ways are not supported"),
            ("m", &[5, 2, 1, 1], true, "refuses the user or password"),
            ("m", b"HTTP/1.1 400", false, "does not speak SOCKS5"),
            ("m", &[5, 0, 5, 2, 0, 1], false, "must allow this host and port"),
            ("m", &[5, 0, 5, 5, 0, 1], false, "connection refused by the member"),
            ("m", &[5, 0, 5, 77, 0, 1], false, "reply 77"),
            ("m", &[5, 0, 5, 0, 0, 9], false, "not SOCKS5"),
            ("m", &[5, 0, 4, 0, 0, 1], false, "not SOCKS5"),
            ("m", &[5], false, "closed the connection"),
            (&long, &[5, 0], false, "host name over 255 bytes"),
        ] {
            let (_, result, _) = ask(host, answers, login).await;
            let error = result.unwrap_err();
            assert!(error.contains(expected), "{expected:?} is missing in {error:?}");
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}
