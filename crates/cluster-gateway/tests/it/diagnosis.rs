//! Members with one thing wrong each: which hop says so, and what it tells to do.

mod served;
mod watched;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use cluster_gateway::diagnosis::{Depth, Diagnosis, Finding, Hop, Outcome, diagnose};
use cluster_gateway::registry::{ClusterPolicy, Entry};
use cluster_gateway::transport::{AddressPolicy, Resolver, TransportOptions};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use tokio::net::TcpListener;

use crate::support::fake_member::{FakeMember, Options, TestCa};
use crate::support::fake_proxy::{self, FakeProxy};
use crate::support::scripted_member::{Script, ScriptedMember, TOKEN};

const LABEL: &str = "cluster.core.oam.dev/cluster-credential-type";

/// A Secret of a member with the token that it knows.
fn secret(endpoint: &str, ca: &TestCa) -> Secret {
    let data = [("endpoint", endpoint), ("ca.crt", &ca.pem()), ("token", TOKEN)]
        .map(|(key, value)| (key.to_owned(), ByteString(value.as_bytes().to_vec())));
    Secret {
        metadata: ObjectMeta {
            name: Some("c".to_owned()),
            labels: Some(BTreeMap::from([(LABEL.to_owned(), "ServiceAccountToken".to_owned())])),
            ..ObjectMeta::default()
        },
        data: Some(BTreeMap::from(data)),
        ..Secret::default()
    }
}

fn of(member: &ScriptedMember) -> Secret {
    secret(&format!("https://{}", member.address), &member.ca)
}

fn with(mut secret: Secret, key: &str, value: &str) -> Secret {
    secret.data.as_mut().unwrap().insert(key.to_owned(), ByteString(value.as_bytes().to_vec()));
    secret
}

fn insecure(mut secret: Secret) -> Secret {
    let annotation = "cluster.core.oam.dev/insecure-skip-tls-verify".to_owned();
    secret.metadata.annotations = Some(BTreeMap::from([(annotation, "true".to_owned())]));
    secret
}

fn policy() -> ClusterPolicy {
    let transport =
        TransportOptions { addresses: AddressPolicy { allow_loopback: true }, ..TransportOptions::default() };
    ClusterPolicy { allow_insecure: true, transport: Arc::new(transport), ..ClusterPolicy::default() }
}

/// Names and what they stand for.
fn resolving(answer: fn(&str) -> std::io::Result<Vec<SocketAddr>>) -> ClusterPolicy {
    let transport = TransportOptions {
        addresses: AddressPolicy { allow_loopback: true },
        resolver: Resolver::new(move |host, _| answer(host)),
        ..TransportOptions::default()
    };
    ClusterPolicy { transport: Arc::new(transport), ..policy() }
}

fn depth() -> Depth {
    Depth { hop_limit: Duration::from_secs(5), ..Depth::default() }
}

async fn look(secret: impl Into<Entry>) -> Diagnosis {
    let diagnosis = diagnose(secret.into(), &policy(), &depth()).await;
    assert_sound(&diagnosis);
    diagnosis
}

/// What holds of every diagnosis.
fn assert_sound(diagnosis: &Diagnosis) {
    let hops: Vec<_> = diagnosis.findings.iter().map(|finding| finding.hop).collect();
    assert_eq!(hops, Hop::ALL, "each hop once, in its order");
    for finding in &diagnosis.findings {
        let asks = matches!(finding.outcome, Outcome::Warned | Outcome::Failed);
        assert_eq!(finding.remedy.is_some(), asks, "{finding:?}");
        assert!(!finding.found.is_empty() && !finding.found.contains('\n'), "{finding:?}");
    }
    assert!(!serde_json::to_string(diagnosis).unwrap().contains(TOKEN), "{diagnosis:?}");
    let failed = diagnosis.findings.iter().position(|finding| finding.outcome == Outcome::Failed);
    let after = failed.map_or(&[][..], |failed| &diagnosis.findings[failed + 1..]);
    assert!(after.iter().all(|finding| finding.outcome == Outcome::Skipped), "{diagnosis:?}");
}

/// The hop that failed, and that everything before it was well.
#[track_caller]
fn failed(diagnosis: &Diagnosis, hop: Hop, found: &[&str], remedy: &[&str]) {
    let finding = diagnosis.failed().unwrap_or_else(|| panic!("nothing failed: {diagnosis:#?}"));
    assert_eq!(finding.hop, hop, "{diagnosis:#?}");
    says(finding, found, remedy);
}

#[track_caller]
fn warned(diagnosis: &Diagnosis, hop: Hop, found: &[&str], remedy: &[&str]) {
    assert_eq!(diagnosis.failed(), None, "{diagnosis:#?}");
    let finding = diagnosis.of(hop).unwrap();
    assert_eq!(finding.outcome, Outcome::Warned, "{diagnosis:#?}");
    says(finding, found, remedy);
}

#[track_caller]
fn says(finding: &Finding, found: &[&str], remedy: &[&str]) {
    for part in found {
        assert!(finding.found.contains(part), "{part:?} is missing: {finding:#?}");
    }
    for part in remedy {
        assert!(finding.remedy.as_ref().unwrap().contains(part), "{part:?} is missing: {finding:#?}");
    }
}

#[tokio::test]
async fn of_a_good_member_every_hop_is_well() {
    let member = ScriptedMember::start(Script::default()).await;
    let diagnosis = look(of(&member)).await;
    for finding in &diagnosis.findings {
        let expected = if finding.hop == Hop::Tunnel { Outcome::Skipped } else { Outcome::Passed };
        assert_eq!(finding.outcome, expected, "{finding:#?}");
    }
    let found = |hop: Hop, part: &str| says(diagnosis.of(hop).unwrap(), &[part], &[]);
    found(Hop::Secret, "ca.crt, endpoint, token");
    found(Hop::Parse, &format!("https://{}", member.address));
    found(Hop::Connect, &member.address.to_string());
    found(Hop::Tls, "issued by CN=member CA");
    found(Hop::Authentication, "as system:serviceaccount:vela-system:gateway");
    found(Hop::Version, "v1.34.1");
    found(Hop::Upgrade, "agrees to a WebSocket");
}

#[tokio::test]
async fn what_is_missing_in_the_secret_is_named() {
    let member = ScriptedMember::start(Script::default()).await;
    let mut unlabelled = of(&member);
    unlabelled.metadata.labels = None;
    failed(&look(unlabelled).await, Hop::Secret, &[LABEL], &["label it"]);
    let mut empty = of(&member);
    empty.data.as_mut().unwrap().remove("token");
    failed(&look(empty).await, Hop::Secret, &["\"token\"", "ca.crt, endpoint"], &["ServiceAccountToken"]);
    failed(&look(with(of(&member), "endpoint", "ftp://x")).await, Hop::Parse, &["endpoint"], &["correct"]);
    failed(&look(with(of(&member), "ca.crt", "x")).await, Hop::Parse, &["ca.crt"], &[]);
}

#[tokio::test]
async fn names_without_addresses_and_forbidden_addresses() {
    let ca = TestCa::new("any");
    let none = resolving(|_| {
        Err(std::io::Error::other("failed to lookup address information: Name or service not known"))
    });
    let diagnosis = diagnose(secret("https://nowhere.test:6443", &ca).into(), &none, &depth()).await;
    assert_sound(&diagnosis);
    failed(&diagnosis, Hop::Dns, &["lookup nowhere.test: no such host"], &["\"endpoint\"", "name servers"]);
    let metadata = resolving(|_| Ok(vec!["169.254.169.254:443".parse().unwrap()]));
    let diagnosis = diagnose(secret("https://cloud.test", &ca).into(), &metadata, &depth()).await;
    failed(&diagnosis, Hop::Dns, &["169.254.169.254 (link-local)"], &["never dialled"]);
    let strict = ClusterPolicy::default();
    let diagnosis = diagnose(secret("https://127.0.0.1:1", &ca).into(), &strict, &depth()).await;
    failed(&diagnosis, Hop::Dns, &["127.0.0.1 (loopback)"], &["--allow-loopback-clusters"]);
}

#[tokio::test]
async fn a_refused_connection_is_told_from_one_that_gets_no_answer() {
    let ca = TestCa::new("any");
    let refused = look(secret("https://127.0.0.1:1", &ca)).await;
    failed(
        &refused,
        Hop::Connect,
        &["127.0.0.1:1: connect: connection refused"],
        &["nothing listens", "\"endpoint\""],
    );
    // A socket whose queue is full takes no connections and refuses none.
    let (full, _held) = full().await;
    let hurried = Depth { hop_limit: Duration::from_millis(200), ..Depth::default() };
    let diagnosis = diagnose(secret(&format!("https://{full}"), &ca).into(), &policy(), &hurried).await;
    assert_sound(&diagnosis);
    failed(&diagnosis, Hop::Connect, &["i/o timeout"], &["firewall"]);
}

/// An address that swallows what is sent to it.
async fn full() -> (SocketAddr, Vec<tokio::net::TcpStream>) {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let mut held = Vec::new();
    while let Ok(Ok(stream)) =
        tokio::time::timeout(Duration::from_millis(200), tokio::net::TcpStream::connect(address)).await
    {
        held.push(stream);
    }
    // It must go on listening, and nobody accepts.
    std::mem::forget(listener.into_std().unwrap());
    (address, held)
}

#[tokio::test]
async fn one_address_of_two_is_worth_a_warning() {
    let member = ScriptedMember::start(Script::default()).await;
    let (port, ca) = (member.address.port(), &member.ca);
    let policy = resolving(|_| Ok(Vec::new()));
    let transport = TransportOptions {
        addresses: AddressPolicy { allow_loopback: true },
        resolver: Resolver::new(move |_, _| {
            Ok(["127.0.0.1", "127.0.0.9"].map(|ip| format!("{ip}:{port}").parse().unwrap()).to_vec())
        }),
        ..TransportOptions::default()
    };
    let policy = ClusterPolicy { transport: Arc::new(transport), ..policy };
    let diagnosis =
        diagnose(secret(&format!("https://localhost:{port}"), ca).into(), &policy, &depth()).await;
    assert_sound(&diagnosis);
    warned(&diagnosis, Hop::Connect, &["connected to 127.0.0.1:", "127.0.0.9"], &["take it out"]);
}

#[tokio::test]
async fn proxies_that_refuse_are_the_tunnels_fault() {
    let member = ScriptedMember::start(Script::default()).await;
    let through = |proxy: &FakeProxy| with(of(&member), "proxy-url", &format!("http://{}", proxy.address));
    let refusal = Some("HTTP/1.1 403 Not you\r\ncontent-length: 0\r\n\r\n");
    let proxy = FakeProxy::start(fake_proxy::Options { refusal, ..Default::default() }).await;
    failed(&look(through(&proxy)).await, Hop::Tunnel, &["403 Not you"], &["\"proxy-url\""]);
    let open = FakeProxy::start(fake_proxy::Options::default()).await;
    let diagnosis = look(through(&open)).await;
    assert_eq!(diagnosis.failed(), None, "{diagnosis:#?}");
    says(diagnosis.of(Hop::Tunnel).unwrap(), &[&member.address.to_string(), "http://"], &[]);
    let dead = with(of(&member), "proxy-url", "http://127.0.0.1:1");
    failed(&look(dead).await, Hop::Connect, &["connection refused"], &["\"proxy-url\"", "proxy runs"]);
}

#[tokio::test]
async fn certificates_that_cannot_be_trusted() {
    let member = ScriptedMember::start(Script::default()).await;
    let stranger = secret(&format!("https://{}", member.address), &TestCa::new("another"));
    failed(
        &look(stranger).await,
        Hop::Tls,
        &["unknown authority", "issued by CN=member CA"],
        &["\"ca.crt\""],
    );

    let ca = TestCa::new("member CA");
    let leaf = Some(ca.expired_server(&["127.0.0.1"]));
    let expired = ScriptedMember::start_with(ca, Script { leaf, ..Script::default() }).await;
    let diagnosis = look(of(&expired)).await;
    failed(&diagnosis, Hop::Tls, &["has expired", "it is over"], &["renew", "clocks"]);

    let ca = TestCa::new("member CA");
    let leaf = Some(ca.server(&["another.test"]));
    let named = ScriptedMember::start_with(ca, Script { leaf, ..Script::default() }).await;
    failed(&look(of(&named)).await, Hop::Tls, &["valid for another.test"], &["/tls-server-name"]);
}

#[tokio::test]
async fn a_member_in_clear_text_is_found_out() {
    let member = ScriptedMember::start(Script { tls: false, ..Script::default() }).await;
    let diagnosis = look(of(&member)).await;
    failed(&diagnosis, Hop::Tls, &["does not look like a TLS handshake"], &["plain HTTP", "\"endpoint\""]);
    let plain = insecure(with(of(&member), "endpoint", &format!("http://{}", member.address)));
    warned(&look(plain).await, Hop::Tls, &["NOT ENCRYPTED"], &["https://"]);
}

#[tokio::test]
async fn what_works_and_is_not_well_is_warned_of() {
    let ca = TestCa::new("member CA");
    let leaf = Some(ca.server(&["127.0.0.1"]));
    let ending = ScriptedMember::start_with(ca, Script { leaf, ..Script::default() }).await;
    warned(&look(of(&ending)).await, Hop::Tls, &["the chain ends in 0 hours"], &["renew"]);
    let unverified = insecure(of(&ending));
    warned(&look(unverified).await, Hop::Tls, &["NOT VERIFIED"], &["\"ca.crt\""]);
    let date = Some("Tue, 01 Jan 2030 00:00:00 GMT");
    let ahead = ScriptedMember::start(Script { date, ..Script::default() }).await;
    warned(&look(of(&ahead)).await, Hop::Tls, &["ahead of the one here"], &["NTP"]);
    let old = ScriptedMember::start(Script { version: "v1.16.3", ..Script::default() }).await;
    warned(&look(of(&old)).await, Hop::Version, &["v1.16.3 is older"], &["upgrade the member"]);
}

#[tokio::test]
async fn the_end_of_a_credential_is_warned_of_unless_the_gateway_renews_it_in_time() {
    use time::format_description::well_known::Rfc3339;
    let now = time::OffsetDateTime::now_utc();
    let token = |left: i64| jwt(&format!("{{\"exp\":{}}}", now.unix_timestamp() + left));
    let issued = |ago: i64| (now - time::Duration::seconds(ago)).format(&Rfc3339).unwrap();
    let day = 24 * 60 * 60;
    for (left, renewed_since, outcome, words) in [
        (90 * day, None, Outcome::Passed, "as "),
        (5 * day + 60, None, Outcome::Warned, "the credential ends in 5 days"),
        (20 * 3600, Some(4 * 3600), Outcome::Passed, "the gateway renews its token"),
        (3600, Some(23 * 3600), Outcome::Warned, "should have renewed its token"),
    ] {
        let token: &'static str = token(left).leak();
        let member = ScriptedMember::start(Script { token, ..Script::default() }).await;
        let mut secret = with(of(&member), "token", token);
        if let Some(since) = renewed_since {
            let group = "cluster.core.oam.dev";
            secret.metadata.annotations = Some(BTreeMap::from([
                (format!("{group}/service-account"), "a/b".to_owned()),
                (format!("{group}/token-issued-at"), issued(since)),
            ]));
        }
        let diagnosis = look(secret).await;
        let finding = diagnosis.of(Hop::Authentication).unwrap();
        assert_eq!(finding.outcome, outcome, "{diagnosis:#?}");
        says(finding, &[words], &[]);
    }
}

#[tokio::test]
async fn the_clock_of_a_member_that_is_not_trusted_is_looked_at_without_a_credential() {
    let ca = TestCa::new("member CA");
    let leaf = Some(ca.expired_server(&["127.0.0.1"]));
    let date = Some("Tue, 01 Jan 2019 00:00:00 GMT");
    let behind = ScriptedMember::start_with(ca, Script { leaf, date, ..Script::default() }).await;
    failed(&look(of(&behind)).await, Hop::Tls, &["has expired", "behind the one here"], &["NTP"]);
    let member = FakeMember::start(Options::default()).await;
    let stranger = secret(&format!("https://{}", member.address), &TestCa::new("another"));
    failed(&look(stranger).await, Hop::Tls, &["unknown authority"], &[]);
    let requests = member.recorder.requests();
    assert!(!requests.is_empty(), "its clock was asked for");
    assert!(requests.iter().all(|request| !request.headers.contains_key("authorization")), "{requests:?}");
}

#[tokio::test]
async fn credentials_that_the_member_does_not_take() {
    let stranger = ScriptedMember::start(Script { user: None, ..Script::default() }).await;
    failed(
        &look(of(&stranger)).await,
        Hop::Authentication,
        &["does not accept the token", "401: Unauthorized"],
        &["service account", "another's"],
    );
    let member = ScriptedMember::start(Script::default()).await;
    let over = with(of(&member), "token", &jwt("{\"exp\":1000000000}"));
    failed(
        &look(over).await,
        Hop::Authentication,
        &["ended at 2001-09-09T01:46:40Z"],
        &["has expired", "cluster-gateway rotate"],
    );
    let anonymous =
        ScriptedMember::start(Script { user: Some("system:anonymous"), ..Script::default() }).await;
    failed(
        &look(of(&anonymous)).await,
        Hop::Authentication,
        &["system:anonymous"],
        &["Authorization header"],
    );
}

fn jwt(payload: &str) -> String {
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    format!("{0}.{1}.{0}", URL_SAFE_NO_PAD.encode("{\"alg\":\"RS256\"}"), URL_SAFE_NO_PAD.encode(payload))
}

#[tokio::test]
async fn members_that_cannot_say_who_asks_are_asked_in_another_way() {
    let beta = ScriptedMember::start(Script { reviews: Some("v1beta1"), ..Script::default() }).await;
    let diagnosis = look(of(&beta)).await;
    says(diagnosis.of(Hop::Authentication).unwrap(), &["as system:serviceaccount:"], &[]);
    let old = ScriptedMember::start(Script { reviews: None, ..Script::default() }).await;
    let diagnosis = look(of(&old)).await;
    assert_eq!(diagnosis.failed(), None, "{diagnosis:#?}");
    says(diagnosis.of(Hop::Authentication).unwrap(), &["cannot say as whom"], &[]);
}

#[tokio::test]
async fn what_is_no_api_server_is_said_to_be_none_and_its_words_keep_no_secret() {
    let page = Some((200, "text/html", "<html>\r\nLog in</html>"));
    let login = ScriptedMember::start(Script { instead: page, ..Script::default() }).await;
    failed(&look(of(&login)).await, Hop::Authentication, &["200: <html> Log in"], &["\"endpoint\""]);
    let page = Some((502, "text/plain", "upstream sent scripted-token-of-32-characters! back"));
    let talkative = ScriptedMember::start(Script { instead: page, ..Script::default() }).await;
    failed(&look(of(&talkative)).await, Hop::Authentication, &["502", "withheld"], &["logs"]);
}

#[tokio::test]
async fn a_member_that_does_not_answer_is_given_up() {
    let silent = ScriptedMember::start(Script { silent_at: Some("/apis"), ..Script::default() }).await;
    let hurried = Depth { hop_limit: Duration::from_millis(300), ..Depth::default() };
    let diagnosis = diagnose(of(&silent).into(), &policy(), &hurried).await;
    assert_sound(&diagnosis);
    failed(&diagnosis, Hop::Authentication, &["has not begun to answer within 300ms"], &["overloaded"]);
    // One that takes connections and says nothing.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mute = secret(&format!("https://{}", listener.local_addr().unwrap()), &TestCa::new("any"));
    let diagnosis = diagnose(mute.into(), &policy(), &hurried).await;
    assert_sound(&diagnosis);
    failed(&diagnosis, Hop::Tls, &["no TLS handshake", "within 300ms"], &["firewall"]);
}

#[tokio::test]
async fn rights_that_are_missing_are_named_as_rules() {
    let nothing = ScriptedMember::start(Script { allowed: |_| false, ..Script::default() }).await;
    let rule = "{apiGroups: [\"\"], resources: [\"pods/exec\"], verbs: [\"create\"]}";
    failed(
        &look(of(&nothing)).await,
        Hop::Authorization,
        &["may not list namespaces"],
        &["ClusterRole", rule],
    );
    let reader =
        ScriptedMember::start(Script { allowed: |right| right.starts_with("list "), ..Script::default() });
    warned(&look(of(&reader.await)).await, Hop::Authorization, &["create deployments.apps"], &[rule]);

    let passing = Depth { impersonates: true, ..depth() };
    let impersonator = Script { allowed: |right| right.starts_with("impersonate "), ..Script::default() };
    let impersonator = ScriptedMember::start(impersonator).await;
    let diagnosis = diagnose(of(&impersonator).into(), &policy(), &passing).await;
    assert_eq!(diagnosis.of(Hop::Authorization).unwrap().outcome, Outcome::Passed, "{diagnosis:#?}");
    let diagnosis = diagnose(of(&nothing).into(), &policy(), &passing).await;
    let rule = "{apiGroups: [\"\"], resources: [\"groups\"], verbs: [\"impersonate\"]}";
    failed(&diagnosis, Hop::Authorization, &["may not impersonate users"], &[rule]);
    let everything = ScriptedMember::start(Script::default()).await;
    let diagnosis = diagnose(of(&everything).into(), &policy(), &passing).await;
    warned(&diagnosis, Hop::Authorization, &["may do everything"], &["--service-account"]);
}

#[tokio::test]
async fn upgrades_that_do_not_come_through_are_found_out() {
    let exec = (200, "text/html", "<html>hello</html>");
    let swallowed = ScriptedMember::start(Script { exec, ..Script::default() }).await;
    failed(&look(of(&swallowed)).await, Hop::Upgrade, &["200: <html>hello"], &["Upgrade", "load balancer"]);
    let silent = ScriptedMember::start(Script {
        silent_at: Some("/api/v1/namespaces/default/pods"),
        ..Script::default()
    })
    .await;
    let hurried = Depth { hop_limit: Duration::from_millis(500), ..Depth::default() };
    let diagnosis = diagnose(of(&silent).into(), &policy(), &hurried).await;
    assert_sound(&diagnosis);
    failed(&diagnosis, Hop::Upgrade, &["gets no answer"], &["Upgrade"]);
    let stripped = ScriptedMember::start(Script { websocket: 200, ..Script::default() }).await;
    warned(&look(of(&stripped)).await, Hop::Upgrade, &["headers of the upgrade got lost"], &["Upgrade"]);
    let forbidden = ScriptedMember::start(Script { websocket: 403, ..Script::default() }).await;
    let diagnosis = look(of(&forbidden)).await;
    assert_eq!(diagnosis.of(Hop::Upgrade).unwrap().outcome, Outcome::Passed, "{diagnosis:#?}");
}

#[tokio::test]
async fn no_more_hops_are_looked_at_than_were_asked_for() {
    let member = ScriptedMember::start(Script::default()).await;
    let shallow = Depth { last: Hop::Tls, ..depth() };
    let diagnosis = diagnose(of(&member).into(), &policy(), &shallow).await;
    assert_sound(&diagnosis);
    let authentication = diagnosis.of(Hop::Authentication).unwrap();
    assert_eq!((authentication.outcome, authentication.found.as_str()), (Outcome::Skipped, "not asked for"));
    assert_eq!(diagnosis.of(Hop::Tls).unwrap().outcome, Outcome::Passed);
}
