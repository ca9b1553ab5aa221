//! `Connection` names headers that a proxy must not hand on. It must not name those that the proxy itself sets.

use cluster_gateway::config::FeatureGates;
use tokio::io::AsyncWriteExt;

use super::redirects::head;
use crate::support::fake_member::{Options, Protocols};
use crate::support::frames::{END_HEADERS, END_STREAM, Frames, GOAWAY, HEADERS, RST_STREAM, request};
use crate::support::world::{PROXY, Setup, TOKEN, World};

/// Writings of `Connection` that name what the gateway sets or reads.
const WRITINGS: [&str; 6] = [
    "Connection: Impersonate-User, Impersonate-Group, Authorization\r\n",
    "connection: impersonate-user\r\nCONNECTION: Impersonate-Group\r\nConnection: AUTHORIZATION\r\n",
    "CoNnEcTiOn: keep-alive,IMPERSONATE-USER,impersonate-group ,\tauthorization\r\n",
    "Connection: X-Remote-User, X-Remote-Group, X-Forwarded-For, Host, Content-Length\r\n",
    "Connection: ,, ,Impersonate-User;q=1, Impersonate-Group,close\r\n",
    "Proxy-Connection: Impersonate-User\r\nKeep-Alive: Authorization\r\nTE: Impersonate-Group\r\n",
];

async fn passing(protocols: Protocols) -> World {
    let world = World::with(Setup {
        member: Options { protocols, ..Options::default() },
        gates: FeatureGates { client_identity_penetration: true, ..FeatureGates::default() },
        ..Setup::default()
    })
    .await;
    world.hub.allow_if(|_| true);
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_157_rule_158_rule_254_connection_takes_no_identity_and_no_credential_away() {
    for protocols in [Protocols::Both, Protocols::Http1] {
        let world = passing(protocols).await;
        let alice = world.user("alice", &["team"]);
        for upgrade in ["", "Connection: Upgrade\r\nUpgrade: SPDY/3.1\r\n"] {
            for writing in WRITINGS {
                let path = if upgrade.is_empty() { "echo" } else { "upgrade-refused" };
                let before = world.member.recorder.requests().len();
                let mut socket = alice.connect().await;
                let request = alice.head(&format!("GET {PROXY}/{path} HTTP/1.1"));
                socket.write_all(format!("{request}{writing}{upgrade}\r\n").as_bytes()).await.unwrap();
                socket.flush().await.unwrap();
                let head = head(&mut socket).await;
                let expected = if upgrade.is_empty() { "http/1.1 200" } else { "http/1.1 403" };
                assert!(head.starts_with(expected), "{writing:?}: {head}");
                let seen = world.member.recorder.requests().remove(before);
                let all = |name| {
                    seen.headers.get_all(name).iter().map(|value| value.to_str().unwrap()).collect::<Vec<_>>()
                };
                assert_eq!(all("authorization"), [format!("Bearer {TOKEN}")], "{writing:?}");
                assert_eq!(all("impersonate-user"), ["alice"], "{writing:?}");
                assert_eq!(all("impersonate-group"), ["team", "system:authenticated"], "{writing:?}");
                assert_eq!(all("x-forwarded-for"), ["127.0.0.1"], "{writing:?}");
                assert!(!seen.headers.contains_key("x-remote-user"), "{writing:?}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_254_http2_has_no_connection_header() {
    let world = passing(Protocols::Both).await;
    let before = world.member.recorder.requests().len();
    for (name, value) in
        [("connection", "impersonate-user"), ("Connection", "authorization"), ("keep-alive", "x")]
    {
        let Frames { mut reader, mut writer } = Frames::open(&world.masters()).await;
        let block = request(&world.masters(), "GET", &format!("{PROXY}/echo"), &[(name, value)]);
        writer.frame(HEADERS, END_HEADERS | END_STREAM, 1, &block).await.unwrap();
        let end = reader
            .find(|frame| matches!(frame.kind, RST_STREAM | GOAWAY | HEADERS))
            .await
            .expect("a refusal");
        assert_ne!(end.kind, HEADERS, "{name}: {value}");
    }
    assert_eq!(world.member.recorder.requests().len(), before);
}
