use std::collections::BTreeMap;

use super::*;

fn request(change: impl FnOnce(&mut CreateCluster)) -> CreateCluster {
    let mut request =
        CreateCluster { name: "edge".to_owned(), kube_config: "x".to_owned(), ..CreateCluster::default() };
    change(&mut request);
    request
}

fn refused(change: impl FnOnce(&mut CreateCluster)) -> (Code, Option<&'static str>) {
    let refusal = create(&request(change)).unwrap_err();
    (refusal.code, refusal.field)
}

#[test]
fn new_names_are_those_that_velaux_takes() {
    for good in ["ab", "a-b", "0a", "a1", &"a".repeat(31)] {
        assert!(is_new_name(good), "{good}");
    }
    for bad in
        ["", "a", "A1", "a.b", "a_b", "-a", "a-", "a\\xb", "a b", "ä1", &"a".repeat(32), "<script>", "a\n"]
    {
        assert!(!is_new_name(bad), "{bad}");
    }
}

#[test]
fn failures_are_told_in_the_words_of_velaux() {
    let refusal = create(&request(|it| {
        it.name = "A".to_owned();
        it.alias = "x".to_owned();
    }))
    .unwrap_err();
    assert_eq!(
        refusal.message,
        "Key: 'CreateClusterRequest.Name' Error:Field validation for 'Name' failed on the 'checkname' tag\n\
         Key: 'CreateClusterRequest.Alias' Error:Field validation for 'Alias' failed on the 'checkalias' tag"
    );
    assert_eq!((refusal.code, refusal.field), (Code::Validation, Some("name")));
    let refusal = create(&request(|it| it.kube_config = " \n".to_owned())).unwrap_err();
    assert_eq!(refusal.field, Some("kubeConfig"));
    assert!(refusal.message.contains("'KubeConfigSecret' failed on the 'required_without' tag"));
    assert!(
        create(&request(|it| {
            it.kube_config = String::new();
            it.kube_config_secret = "s".to_owned();
        }))
        .is_ok()
    );
}

#[test]
fn what_velaux_does_not_check_is_checked_too() {
    let label = |key: &str, value: &str| {
        let labels = BTreeMap::from([(key.to_owned(), value.to_owned())]);
        refused(move |it| it.labels = labels)
    };
    for (key, value) in [
        ("cluster.core.oam.dev/cluster-credential-type", "x"),
        ("<b>", "x"),
        ("a", "<script>"),
        ("", "x"),
        (&"a".repeat(64), ""),
    ] {
        assert_eq!(label(key, value), (Code::Value, Some("labels")), "{key}");
    }
    for url in
        ["javascript:alert(1)", "data:text/html,x", "//host", "https://", "http:///x", "https://a b", "x"]
    {
        assert_eq!(
            refused(|it| it.dashboard_url = url.to_owned()),
            (Code::Value, Some("dashboardURL")),
            "{url}"
        );
    }
    let long = format!("https://{}", "a".repeat(2048));
    assert_eq!(refused(|it| it.dashboard_url = long), (Code::Value, Some("dashboardURL")));
    assert!(create(&request(|it| it.dashboard_url = "HTTPS://grafana.test/d?x=<b>".to_owned())).is_ok());
    assert_eq!(refused(|it| it.alias = "a\u{1b}[2J".to_owned()), (Code::Value, Some("alias")));
    let large = "x".repeat((1 << 20) + 1);
    assert_eq!(refused(|it| it.kube_config = large), (Code::KubeconfigTooLarge, Some("kubeConfig")));
    assert!(
        create(&request(|it| it.alias = "<img src=x onerror=alert(1)>".to_owned())).is_ok(),
        "it is text"
    );
}

#[test]
fn what_a_change_leaves_alone_may_be_what_it_is() {
    let current = Record {
        alias: "x".to_owned(),
        labels: BTreeMap::from([("no label".to_owned(), "<b>".to_owned())]),
        dashboard_url: "ftp://old".to_owned(),
        ..Record::new("a.b")
    };
    let same = CreateCluster {
        name: current.name.clone(),
        alias: current.alias.clone(),
        labels: current.labels.clone(),
        dashboard_url: current.dashboard_url.clone(),
        ..CreateCluster::default()
    };
    assert_eq!(modify(&same, &current), Ok(()));
    let changed = |change: fn(&mut CreateCluster)| {
        let mut request = same.clone();
        change(&mut request);
        modify(&request, &current).unwrap_err().field
    };
    assert_eq!(changed(|it| it.name = "c.d".to_owned()), Some("name"));
    assert_eq!(changed(|it| it.alias = "y".to_owned()), Some("alias"));
    assert_eq!(changed(|it| drop(it.labels.insert("a".to_owned(), String::new()))), Some("labels"));
    assert_eq!(changed(|it| it.dashboard_url = "ftp://new".to_owned()), Some("dashboardURL"));
}

#[test]
fn names_of_namespaces_are_dns_labels() {
    for good in ["a", "a-b", &"a".repeat(63)] {
        assert!(namespace(good).is_ok(), "{good}");
    }
    for bad in ["", "A", "a.b", "-a", "a-", "a/b", "../x", &"a".repeat(64)] {
        assert_eq!(namespace(bad).unwrap_err().field, Some("namespace"), "{bad}");
    }
}
