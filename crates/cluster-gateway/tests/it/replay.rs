//! Replays over the whole server what was recorded of the Go original: what callers were answered, and what members
//! received. Everything is equal but for the exceptions of one table, and every one of those is needed.

use std::collections::{BTreeMap, BTreeSet};

use cluster_gateway::config::FeatureGates;
use serde_json::Value;

use crate::support::world::{Setup, World, until};

mod member;
mod recording;

use member::{Member, Received};
use recording::{Answer, Recording};

/// Which recordings an exception is about.
enum Of {
    /// All in which a member received a request, but for these.
    AllBut(&'static [&'static str]),
    These(&'static [&'static str]),
}

/// Where ours differs on purpose: recordings, what differs, rule, why.
const EXCEPTIONS: &[(Of, &str, &str, &str)] = &[
    (
        Of::These(&["base-path-escape.txt", "path-dots.txt", "proxy-dotdot.txt"]),
        "refused",
        "107, 108, 109",
        "a dot segment is not resolved",
    ),
    (
        Of::These(&["path-encoded.txt"]),
        "member's target",
        "140, 142",
        "escapes and the query stay as they are",
    ),
    (Of::These(&["path-trailing-slash.txt"]), "member's target", "139", "the trailing slash stays"),
    (
        Of::These(&["query-dryrun-twice.txt"]),
        "member's target",
        "143",
        "dryRun arrives as often as it was said",
    ),
    (Of::AllBut(&[]), "member's host", "145", "the authority has its port"),
    (Of::AllBut(&[]), "member's accept-encoding", "161", "a coding is not asked for in the client's place"),
    (Of::AllBut(&[]), "member's x-cluster-gateway-passed", "168", "a request that comes back is known"),
    (Of::These(&["uid.txt"]), "member's x-remote-uid", "71, 82", "the hub's identity headers end here"),
    (
        Of::AllBut(&["proxy-doubleslash.txt", "proxy-encoded.txt"]),
        "audit-id",
        "115",
        "the gateway's id, once",
    ),
    (Of::AllBut(&["proxy-encoded.txt", "put-expect.txt"]), "cache-control", "115", "the member's word, once"),
    (
        Of::These(&["post-chunked.txt"]),
        "connection",
        "194",
        "nothing behind a chunked HTTP/1.1 request is read",
    ),
    (Of::These(&["proxy-nopath.txt"]), "status", "141", "a bare proxy path is the member's /"),
    (Of::These(&["proxy-nopath.txt"]), "location", "141", "a bare proxy path is the member's /"),
    (
        Of::These(&["proxy-bad-secret.txt"]),
        "status",
        "178",
        "a Secret that cannot be used is not a missing cluster",
    ),
    (
        Of::These(&["proxy-bad-secret.txt"]),
        "document",
        "178",
        "a Secret that cannot be used is not a missing cluster",
    ),
];

const ANNOTATION: &str = "cluster.core.oam.dev/cluster-gateway-proxy-configuration";
const RULES: &str = "spec: {clientIdentityExchanger: {rules: [
  {name: ux, type: PrivilegedIdentityExchanger, source: {group: 'kubevela:ux'}},
  {name: dev, type: StaticMappingIdentityExchanger, source: {userPattern: 'dev-.*'}, target: {user: developer, groups: [devs]}}]}}";

/// Hub and gateway as they were for the recordings, all clusters on one member.
async fn world(member: &Member) -> World {
    let gates = FeatureGates { client_identity_penetration: true, ..FeatureGates::default() };
    let world = World::with(Setup { gates, ..Setup::default() }).await;
    world
        .hub
        .allow_if(|spec| ["alice", "ux-user", "dev-1"].contains(&spec.user.as_deref().unwrap_or_default()));
    let endpoint = format!("https://{}", member.address);
    let based = format!("{endpoint}/base/path");
    let ca = member.ca.pem();
    for (name, endpoint) in [("m1", &endpoint), ("o1", &endpoint), ("e1", &endpoint), ("e2", &based)] {
        world.register(name, &[("endpoint", endpoint), ("ca.crt", &ca)]);
    }
    let mut ruled = world.secret("e3", &[("endpoint", &endpoint), ("ca.crt", &ca)]);
    ruled.metadata.annotations = Some(BTreeMap::from([(ANNOTATION.to_owned(), RULES.to_owned())]));
    world.hub.put_secret(&ruled);
    for (name, endpoint, missing) in [("dead", "https://127.0.0.1:1", "ca.crt"), ("bad", "", "endpoint")] {
        let mut secret = world.secret(name, &[("endpoint", endpoint)]);
        secret.data.as_mut().unwrap().remove(missing);
        world.hub.put_secret(&secret);
    }
    let last = "/apis/cluster.core.oam.dev/v1alpha1/clustergateways/bad/proxy/x";
    let caller = world.masters();
    until(|| async { !caller.get(last).await.message().contains("no such cluster") }).await;
    world
}

/// What differs, by name.
type Differences = BTreeMap<String, String>;

fn compare(found: &mut Differences, what: &str, ours: &impl std::fmt::Debug, theirs: &impl std::fmt::Debug) {
    let (ours, theirs) = (format!("{ours:?}"), format!("{theirs:?}"));
    if ours != theirs {
        found.insert(what.to_owned(), format!("{ours} instead of {theirs}"));
    }
}

fn differences(recording: &Recording, answer: &Answer, received: Option<&Received>) -> Differences {
    let mut found = Differences::new();
    if answer.status == 400 && recording.answer.status < 400 {
        assert!(received.is_none(), "{}: refused, and the member received it", recording.file);
        found.insert("refused".to_owned(), answer.body.clone());
        return found;
    }
    let theirs = &recording.answer;
    compare(&mut found, "status", &answer.status, &theirs.status);
    for name in [
        "content-type",
        "x-content-type-options",
        "cache-control",
        "audit-id",
        "location",
        "etag",
        "x-member",
        "www-authenticate",
        "connection",
    ] {
        compare(&mut found, name, &answer.all(name), &theirs.all(name));
    }
    if recording.is_own_status() {
        let document = |text: &str| serde_json::from_str::<Value>(text).unwrap_or_default();
        compare(&mut found, "document", &document(&answer.body), &document(&theirs.body));
        compare(
            &mut found,
            "indentation",
            &answer.body.starts_with("{\n  "),
            &theirs.body.starts_with("{\n  "),
        );
    } else if !theirs.body.is_empty() {
        compare(&mut found, "body", &answer.body, &theirs.body);
    }
    if let Some(expected) = &recording.received {
        let received = received.unwrap_or_else(|| panic!("{}: the member received nothing", recording.file));
        received_differences(&mut found, received, expected);
    }
    found
}

fn received_differences(found: &mut Differences, ours: &Received, theirs: &Received) {
    compare(found, "member's method", &ours.method, &theirs.method);
    compare(found, "member's target", &ours.target, &theirs.target);
    compare(found, "member's body", &ours.body, &theirs.body);
    let names: BTreeSet<&String> = ours.headers.iter().chain(&theirs.headers).map(|(name, _)| name).collect();
    for name in names {
        compare(found, &format!("member's {name}"), &ours.all(name), &theirs.all(name));
    }
}

/// Names of what may, and must, differ.
fn excepted(recording: &Recording, refused: bool) -> BTreeSet<String> {
    let file = recording.file.as_str();
    let of = |of: &Of, what: &str| match of {
        Of::These(files) => files.contains(&file),
        Of::AllBut(files) => {
            let about_member = what.starts_with("member's");
            recording.answered_by_member
                && (!about_member || recording.received.is_some())
                && !files.contains(&file)
        }
    };
    let all = EXCEPTIONS.iter().filter(|(files, what, ..)| of(files, what));
    all.filter(|(_, what, ..)| !refused || *what == "refused")
        .map(|(_, what, ..)| (*what).to_owned())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn recorded_exchanges_through_the_whole_server_are_those_of_the_original() {
    let member = Member::start().await;
    let world = world(&member).await;
    let mut wrong = Vec::new();
    for recording in recording::all() {
        member.answer_as(&recording);
        let answer = recording.replay(&world).await;
        let received = member.take_received();
        let differences = differences(&recording, &answer, received.as_ref());
        let excepted = excepted(&recording, differences.contains_key("refused"));
        if !differences.keys().eq(excepted.iter()) {
            wrong.push(format!("{}: {differences:#?}, but the table says {excepted:?}", recording.file));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_exception_names_recordings_and_a_rule() {
    let files: BTreeSet<String> = recording::all().into_iter().map(|recording| recording.file).collect();
    for (of, what, rule, why) in EXCEPTIONS {
        let (Of::These(named) | Of::AllBut(named)) = of;
        for file in *named {
            assert!(files.contains(*file), "{file} is not there ({what}, rule {rule}: {why})");
        }
    }
}

/// What the unit tests of `api` leave to the whole server, and everything that a member received.
#[test]
fn every_recording_is_replayed() {
    let replayed = recording::all();
    let upstream = replayed.iter().filter(|recording| recording.upstream).count();
    assert_eq!((upstream, replayed.len() - upstream), (24, 17));
}
