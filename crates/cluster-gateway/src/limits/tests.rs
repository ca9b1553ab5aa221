use super::*;
use crate::request::DocumentTarget;

fn parse(method: &str, uri: &str) -> RequestInfo {
    let request = http::Request::builder().method(method).uri(uri).body(()).expect("a request");
    RequestInfo::parse(&request.into_parts().0).expect("a readable request line")
}

fn proxied(upgrade: bool) -> RequestInfo {
    let uri = "/apis/cluster.core.oam.dev/v1alpha1/clustergateways/m/proxy/x";
    let RequestInfo::Proxy(mut target) = parse("GET", uri) else { panic!("not proxied") };
    target.upgrade = upgrade;
    RequestInfo::Proxy(target)
}

fn user(name: &str, groups: &[&str]) -> UserInfo {
    let groups = groups.iter().map(|group| (*group).to_owned()).collect();
    UserInfo { name: name.to_owned(), groups, ..UserInfo::default() }
}

fn refusal(result: Result<Place, Error>) -> String {
    match result {
        Err(error) => {
            assert_eq!(error.code(), 429);
            error.to_string()
        }
        Ok(_) => panic!("let in"),
    }
}

#[test]
fn rule_125_reading_and_changing_are_limited_apart() {
    let limits = Limits::new(LimitsConfig { read_only: 2, mutating: 1, ..LimitsConfig::default() });
    let bob = user("bob", &[]);
    let base = "/apis/cluster.core.oam.dev/v1alpha1/clustergateways";
    let reading = [parse("GET", base), parse("HEAD", &format!("{base}/m"))];
    let held: Vec<_> = reading.iter().map(|info| limits.admit(info, &bob).expect("room")).collect();
    assert_eq!(limits.own_in_flight(), (2, 0));
    for info in [parse("GET", &format!("{base}/m")), parse("GET", "/healthz"), parse("GET", "/version")] {
        let text = refusal(limits.admit(&info, &bob));
        assert_eq!(text, "Too many requests, please try again later.\n");
    }
    let changing = limits.admit(&parse("PUT", &format!("{base}/m/health")), &bob).expect("room");
    // kube-apiserver counts every verb but get, list and watch as changing.
    for info in [parse("DELETE", base), parse("OPTIONS", "/version")] {
        refusal(limits.admit(&info, &bob));
    }
    assert_eq!((limits.rejected(Limit::ReadOnly), limits.rejected(Limit::Mutating)), (3, 2));
    drop((held, changing));
    assert_eq!(limits.own_in_flight(), (0, 0));
    assert!(limits.admit(&RequestInfo::Document(document("get")), &bob).is_ok());
}

fn document(verb: &str) -> DocumentTarget {
    DocumentTarget { verb: verb.to_owned(), path: "/version".to_owned() }
}

#[test]
fn rule_120_watches_take_no_place_of_the_gateways_own() {
    let limits = Limits::new(LimitsConfig { read_only: 1, ..LimitsConfig::default() });
    let watch = parse("GET", "/apis/cluster.core.oam.dev/v1alpha1/clustergateways?watch=true");
    let held: Vec<_> = (0..3).map(|_| limits.admit(&watch, &user("bob", &[])).expect("no limit")).collect();
    let proxied: Vec<_> =
        (0..3).map(|_| limits.admit(&proxied(false), &user("bob", &[])).expect("no limit")).collect();
    assert_eq!(limits.own_in_flight(), (0, 0));
    drop((held, proxied));
}

#[test]
fn rule_125_administrators_are_never_refused() {
    let config = LimitsConfig {
        read_only: 1,
        requests_per_user: 1,
        requests_per_cluster: 1,
        ..LimitsConfig::default()
    };
    let limits = Limits::new(config);
    let admin = user("admin", &["system:masters"]);
    let cluster = Arc::default();
    let mut held = Vec::new();
    for _ in 0..3 {
        held.push(limits.admit(&parse("GET", "/version"), &admin).expect("never refused"));
        let place = limits.admit(&proxied(false), &admin).expect("never refused");
        held.push(limits.admit_to(place, "m", &cluster, &admin, false).expect("never refused"));
    }
    let bob = user("bob", &["system:masters:not"]);
    refusal(limits.admit(&parse("GET", "/version"), &bob));
    let place = limits.admit(&proxied(false), &bob).expect("his first");
    refusal(limits.admit_to(place, "m", &cluster, &bob, false));
}

#[test]
fn rule_126_a_user_is_limited_over_all_clusters_and_harms_no_other() {
    let config = LimitsConfig { requests_per_user: 2, upgrades_per_user: 1, ..LimitsConfig::default() };
    let limits = Limits::new(config);
    let (bob, alice) = (user("bob", &[]), user("alice", &[]));
    let request = || limits.admit(&proxied(false), &bob);
    let (first, _second) = (request().expect("room"), request().expect("room"));
    let text = refusal(request());
    assert!(text.starts_with("user \"bob\" has 2 proxied requests"), "{text}");
    assert!(text.contains("--max-proxied-requests-per-user"), "{text}");
    let _stream = limits.admit(&proxied(true), &bob).expect("upgrades are counted apart");
    assert!(refusal(limits.admit(&proxied(true), &bob)).contains("--max-upgrades-per-user"));
    assert!(limits.admit(&proxied(false), &alice).is_ok());
    drop(first);
    assert!(request().is_ok(), "a place is free again");
}

#[test]
fn rule_126_a_cluster_is_limited_over_all_users_and_harms_no_other() {
    let config = LimitsConfig { requests_per_cluster: 1, upgrades_per_cluster: 1, ..LimitsConfig::default() };
    let limits = Limits::new(config);
    let (one, other) = (Arc::default(), Arc::default());
    let send = |cluster: &Arc<InFlight>, upgrade: bool| {
        let bob = user("bob", &[]);
        let place = limits.admit(&proxied(upgrade), &bob).expect("room for the user");
        limits.admit_to(place, "m", cluster, &bob, upgrade)
    };
    let held = send(&one, false).expect("room");
    let text = refusal(send(&one, false));
    assert!(text.starts_with("cluster m has 1 proxied requests"), "{text}");
    assert!(text.contains("--max-proxied-requests-per-cluster"), "{text}");
    assert!(send(&other, false).is_ok(), "another cluster has places of its own");
    let _stream = send(&one, true).expect("upgrades are counted apart");
    assert!(refusal(send(&one, true)).contains("--max-upgrades-per-cluster"));
    assert_eq!((one.count(Kind::Request), one.count(Kind::Upgrade)), (1, 1));
    drop(held);
    assert!(send(&one, false).is_ok());
    assert_eq!(limits.rejected(Limit::ClusterRequests), 1);
}

#[test]
fn rule_126_a_refused_request_leaves_no_place_taken() {
    let limits = Limits::new(LimitsConfig {
        requests_per_user: 1,
        requests_per_cluster: 1,
        ..LimitsConfig::default()
    });
    let cluster = Arc::default();
    let place = limits.admit(&proxied(false), &user("a", &[])).expect("room");
    let _held = limits.admit_to(place, "m", &cluster, &user("a", &[]), false).expect("room");
    for _ in 0..5 {
        let place = limits.admit(&proxied(false), &user("b", &[])).expect("the refused one gave it back");
        refusal(limits.admit_to(place, "m", &cluster, &user("b", &[]), false));
    }
    assert_eq!(cluster.count(Kind::Request), 1);
}

#[test]
fn limits_of_zero_are_none() {
    let limits = Limits::new(LimitsConfig {
        read_only: 0,
        requests_per_user: 0,
        requests_per_cluster: 0,
        ..LimitsConfig::default()
    });
    let (bob, cluster) = (user("bob", &[]), Arc::default());
    let mut held = Vec::new();
    for _ in 0..1000 {
        held.push(limits.admit(&parse("GET", "/version"), &bob).expect("no limit"));
        let place = limits.admit(&proxied(false), &bob).expect("no limit");
        held.push(limits.admit_to(place, "m", &cluster, &bob, false).expect("no limit"));
    }
    assert_eq!(limits.users.len(), 0, "who is not limited is not looked up");
}

#[test]
fn rule_126_users_who_have_left_are_forgotten_and_those_who_have_not_are_kept() {
    let limits = Limits::new(LimitsConfig { requests_per_user: 1, ..LimitsConfig::default() });
    let stays = user("stays", &[]);
    let _held = limits.admit(&proxied(false), &stays).expect("room");
    for number in 0..100_000 {
        drop(limits.admit(&proxied(false), &user(&format!("passing-{number}"), &[])).expect("room"));
    }
    assert!(limits.users.len() <= 16 * 1024, "{} users are remembered", limits.users.len());
    refusal(limits.admit(&proxied(false), &stays));
}

#[test]
fn rule_126_a_controller_of_ten_thousand_clusters_is_not_limited_by_default() {
    let limits = Limits::new(LimitsConfig::default());
    let controller = user("system:serviceaccount:vela-system:kubevela", &[]);
    let held: Vec<_> = (0..10_000)
        .map(|_| {
            let place = limits.admit(&proxied(false), &controller).expect("room for the user");
            limits.admit_to(place, "m", &Arc::default(), &controller, false).expect("room at the cluster")
        })
        .collect();
    assert_eq!(held.len(), 10_000);
}
