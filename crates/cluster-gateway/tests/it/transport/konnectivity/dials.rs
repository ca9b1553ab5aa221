//! Dials that come to nothing, or nearly.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn rule_237_a_dial_that_nobody_answers_ends_and_is_called_off() {
    let behind = Behind::with(|options| options.dial_timeout = Duration::from_millis(200)).await;
    behind.server.agent("m", Agent::Silent);
    let error = behind.error().await;
    assert!(error.starts_with("dial tcp m:443: konnectivity: i/o timeout: no answer"), "{error}");
    called_off(&behind).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_237_a_dial_that_is_given_up_is_called_off() {
    let behind = Behind::start().await;
    behind.server.agent("m", Agent::Silent);
    let m = behind.cluster("m");
    tokio::select! {
        _ = upgrade(&m) => unreachable!("nobody answers"),
        () = until(|| async { !behind.server.seen().packets().is_empty() }) => {}
    }
    called_off(&behind).await;
}

/// One dial, and the packet that gives it up.
async fn called_off(behind: &Behind) {
    behind.all_closed().await;
    let packets = behind.server.seen().packets();
    let [request, close] = packets.as_slice() else { panic!("{packets:?}") };
    assert_eq!((request.kind, close.kind), (0, 5));
    assert_eq!(request.random, close.random);
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_237_rule_246_every_hop_that_fails_says_so_in_its_own_words() {
    let behind = Behind::start().await;
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let refused = "dial tcp: lookup m on 10.96.0.10:53: no such host";
    for (agent, words) in [
        (None, "has no agent for the cluster: No agent available"),
        (Some(Agent::At(nobody)), "the agent in the cluster"),
        (Some(Agent::At(nobody)), "connect: connection refused"),
        (Some(Agent::Answers(vec![Packet::dial_response(refused, 0, 0)])), refused),
        (Some(Agent::Answers(vec![Packet::close_dial(0)])), "dial closed"),
        (Some(Agent::Status("12")), "--proxy-port"),
        (Some(Agent::Status("16")), "refuses the tunnel: gRPC status 16"),
        (Some(Agent::Hangs), "broke before the cluster was reached"),
    ] {
        behind.server.agent("m", agent);
        let error = behind.error().await;
        assert!(error.starts_with("dial tcp m:443: konnectivity: "), "{error}");
        assert!(error.contains(words), "{error}");
        assert!(
            error.contains(&behind.server.address.port().to_string()),
            "it names the proxy server: {error}"
        );
        behind.all_closed().await;
    }
    let called_off = behind.server.seen().packets().iter().filter(|packet| packet.kind == 5).count();
    assert_eq!(called_off, 0, "what has been answered is not called off");
    behind.server.agent("m", Agent::At(behind.member.address));
    behind.works().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_238_packets_that_belong_to_nobody_are_answered_or_ignored() {
    let behind = Behind::start().await;
    behind.server.agent("m", Agent::Chatty(behind.member.address));
    behind.works().await;
    behind.all_closed().await;
    let packets = behind.server.seen().packets();
    let closed: Vec<_> =
        packets.iter().filter(|packet| packet.kind == 2).map(|packet| packet.connect_id).collect();
    assert_eq!(
        closed,
        [1041, 41],
        "the connection that nobody knows, and in the end the own one: {packets:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_238_a_server_that_never_stops_talking_nonsense_is_left() {
    let behind = Behind::start().await;
    behind.server.agent("m", Agent::Answers(vec![Packet::data(5, b"x"); 2000]));
    let error = behind.error().await;
    assert!(error.contains("too many packets without a meaning"), "{error}");
    behind.all_closed().await;
}
