use super::*;

/// As VelaUX (Go's encoding/json) writes it; the kubeconfig in clear text, and a field of a later release.
const VELAUX: &str = r#"{"createTime":"2023-04-05T06:07:08.123456789+08:00","updateTime":"2023-04-05T06:07:09+08:00","name":"prod","alias":"Prod \u003cb\u003e","description":"","icon":"https://x/y.svg","labels":{"env":"prod"},"status":"Healthy","reason":"","provider":{"provider":"aliyun","clusterID":"c1","zone":"z","labels":null,"future":1},"apiServerURL":"https://1.2.3.4:6443","dashboardURL":"","kubeConfig":"apiVersion: v1\nkind: Config\n","kubeConfigSecret":"","later":{"x":[1]}}"#;

#[test]
fn what_velaux_has_written_is_read() {
    let record = Record::from_json(VELAUX.as_bytes()).unwrap();
    assert_eq!(record.create_time, datetime!(2023-04-04 22:07:08.123456789 UTC));
    assert_eq!((record.name.as_str(), record.alias.as_str()), ("prod", "Prod <b>"));
    assert_eq!((record.status, record.labels["env"].as_str()), (Status::Healthy, "prod"));
    assert_eq!((record.provider.provider.as_str(), record.provider.cluster_id.as_str()), ("aliyun", "c1"));
    assert_eq!(record.provider.labels, BTreeMap::new());
    assert_eq!(record.kube_config.expose(), "apiVersion: v1\nkind: Config\n");
    assert!(!format!("{record:?}").contains("kind: Config"), "{record:?}");
    // Go reads what is absent or null as empty.
    let least =
        Record::from_json(br#"{"name":"x","labels":null,"alias":null,"provider":null,"createTime":null}"#);
    assert_eq!(least.unwrap(), Record::new("x"));
}

#[test]
fn a_kubeconfig_is_never_written_and_what_is_not_known_here_stays() {
    let mut record = Record::from_json(VELAUX.as_bytes()).unwrap();
    record.provider.zone = String::new();
    record.alias = String::new();
    let written = record.to_json_over(VELAUX.as_bytes());
    let json: Value = serde_json::from_slice(&written).unwrap();
    assert_eq!(json["kubeConfig"], "");
    assert_eq!((&json["later"]["x"][0], &json["provider"]["future"]), (&Value::from(1), &Value::from(1)));
    assert_eq!(
        (&json["alias"], json["provider"].get("zone")),
        (&Value::from(""), None),
        "cleared fields are gone"
    );
    assert!(!String::from_utf8(written).unwrap().contains("kind: Config"));
    assert!(!String::from_utf8(record.to_json()).unwrap().contains("kind: Config"));
    assert!(record.clone().made(OffsetDateTime::now_utc()).kube_config.is_empty());
    assert!(record.changed(OffsetDateTime::now_utc()).kube_config.is_empty());
    // What was no record is replaced.
    assert_eq!(Record::new("x").to_json_over(b"[1"), Record::new("x").to_json());
}

#[test]
fn keys_and_their_order_are_those_of_velaux() {
    let json = String::from_utf8(Record::new("x").to_json()).unwrap();
    assert_eq!(
        json,
        r#"{"createTime":"0001-01-01T00:00:00Z","updateTime":"0001-01-01T00:00:00Z","name":"x","alias":"","description":"","icon":"","labels":null,"status":"","reason":"","provider":{"provider":"","clusterID":"","labels":null},"apiServerURL":"","dashboardURL":"","kubeConfig":"","kubeConfigSecret":""}"#
    );
}

#[test]
fn mistakes_are_told_without_what_is_stored() {
    let error = Record::from_json(br#"{"name":"x","alias":7,"kubeConfig":"hunter2"}"#).unwrap_err();
    assert!(error.contains("line 1") && !error.contains("hunter2"), "{error}");
    let error = Record::from_json(br#"{"name":"x","labels":"hunter2"}"#).unwrap_err();
    assert!(!error.contains("hunter2"), "{error}");
    assert!(Record::from_json(br#"{"createTime":"hunter2"}"#).is_err_and(|error| !error.contains("hunter2")));
    assert!(Record::from_json(b"").is_err());
}

#[test]
fn times_are_those_of_the_store_whose_times_are_coarsest_and_only_grow() {
    let now = datetime!(2025-01-01 0:00:00.123_456_789 UTC);
    let made = Record::new("x").made(now);
    assert_eq!(
        (made.create_time, made.update_time),
        (datetime!(2025-01-01 0:00:00.123 UTC), made.create_time)
    );
    assert_eq!(Record::new(LOCAL).made(now).create_time, datetime!(2999-01-01 0:00 UTC));
    let changed = made.clone().changed(now);
    assert!(changed.update_time > made.update_time, "two writes in one millisecond are told apart");
    assert!(changed.clone().changed(now - Duration::HOUR).update_time > changed.update_time);
    assert_eq!(changed.create_time, made.create_time);
}

#[test]
fn what_no_store_could_keep_is_refused_with_its_reason() {
    let longest = format!("{}.{}", "a".repeat(63), "b".repeat(185));
    for name in ["a", "local", "1", "a-b.c", &longest] {
        Record::new(name).check().unwrap();
    }
    for name in
        ["", "A", "a_b", "-a", "a-", "a..b", ".a", "a/b", "..", "a\\xb", "ä", "a b", &format!("{longest}x")]
    {
        let error = Record::new(name).check().unwrap_err().to_string();
        assert!(error.contains("is no name for a cluster"), "{error}");
    }
    let with = |change: fn(&mut Record)| {
        let mut record = Record::new("x");
        change(&mut record);
        record.check().unwrap_err().to_string()
    };
    assert!(with(|record| record.description = "x".repeat(MAX_SIZE)).contains("more than 262144"));
    assert!(with(|record| record.alias = "a\0b".to_owned()).contains("NUL"));
    assert!(with(|record| drop(record.labels.insert("a\0".to_owned(), String::new()))).contains("NUL"));
    let odd = Record { alias: "<script>\u{202e}🦀\\u0000\n".to_owned(), ..Record::new("x") };
    odd.check().unwrap();
    assert_eq!(Record::from_json(&odd.to_json()).unwrap(), odd);
}
