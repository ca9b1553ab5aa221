//! `clustergateways` and `virtualclusters`.

use cluster_gateway_client::v1alpha1::{
    ANNOTATION_HEALTHY, ANNOTATION_HEALTHY_REASON, ANNOTATION_LAST_PROBE_TIME, ANNOTATION_LATENCY,
    ClusterGateway, LABEL_CONTROL_PLANE,
};
use serde_json::json;

use super::*;
use crate::api::cluster_gateways::{REDACTED_KEY, REDACTED_TOKEN};

fn fixture() -> Fixture {
    Fixture::new(recorded())
}

const ALL: [&str; 5] = ["bad", "dead", "m1", "m3", "o1"];

#[test]
fn rule_212_rule_216_rule_227_a_list_without_options_has_everything_sorted_by_name() {
    let answer = fixture().get(CG);
    assert_eq!((answer.status, answer.header("content-type")), (StatusCode::OK, "application/json"));
    let list = answer.json();
    let metadata = json!({ "resourceVersion": "42" });
    assert_eq!((&list["kind"], &list["metadata"]), (&"ClusterGatewayList".into(), &metadata));
    assert_eq!(names(&list), ALL);
    assert!(list["items"][0].get("kind").is_none() && list["items"][0].get("apiVersion").is_none());
    for uri in [CG, VC] {
        let selector = "labelSelector=nothing%3Dmatches";
        let empty = fixture().get(&format!("{uri}?{selector}")).json();
        assert_eq!(empty["items"], json!([]), "never null");
        let table = fixture().accept(&format!("{uri}?{selector}"), TABLE).json();
        assert_eq!(table["rows"], json!([]), "never null");
    }
}

#[test]
fn rule_091_rule_092_rule_227_selectors_are_applied() {
    let fixture = fixture();
    let cases: [(&str, &[&str]); 9] = [
        ("fieldSelector=metadata.name%3Do1", &["o1"]),
        ("fieldSelector=metadata.name%3D%3Do1", &["o1"]),
        ("fieldSelector=metadata.name!%3Do1", &["bad", "dead", "m1", "m3"]),
        ("fieldSelector=metadata.name%3Dnosuch", &[]),
        ("fieldSelector=metadata.name%3Do1&fieldSelector=metadata.name%3Dm1", &["o1"]),
        ("fieldSelector=metadata.name!%3Dm1,metadata.name%3Do1", &["o1"]),
        ("labelSelector=env%3Dprod", &["m3"]),
        ("labelSelector=env", &["m3", "o1"]),
        ("labelSelector=env&fieldSelector=metadata.name%3Dm3", &["m3"]),
    ];
    for (query, expected) in cases {
        let uri = format!("{CG}?{query}");
        assert_eq!(names(&fixture.get(&uri).json()), expected, "{query}");
        let table = fixture.accept(&uri, TABLE).json();
        let rows: Vec<_> =
            table["rows"].as_array().unwrap().iter().map(|row| row["cells"][0].clone()).collect();
        assert_eq!(rows, expected, "{query}, as a Table");
    }
}

#[test]
fn rule_092_a_list_never_goes_beyond_the_name_that_was_authorized() {
    let fixture = fixture();
    let (parts, ()) = Request::get(CG).body(()).unwrap().into_parts();
    let RequestInfo::Resource(mut target) = RequestInfo::parse(&parts).unwrap() else { panic!("a resource") };
    target.name = "m1".to_owned();
    let response = fixture.api.resource(&target, &parts).now_or_never().unwrap().unwrap();
    let body = response.into_body().collect().now_or_never().unwrap().unwrap().to_bytes();
    assert_eq!(names(&serde_json::from_slice(&body).unwrap()), ["m1"]);
}

#[test]
fn rule_197_rule_206_media_types() {
    let fixture = fixture();
    for accept in [
        "",
        "*/*",
        "application/*",
        "application/json",
        "APPLICATION/JSON",
        "application/vnd.kubernetes.protobuf,application/json",
    ] {
        let answer = fixture.accept(CG, accept);
        assert_eq!(
            (answer.status, answer.header("content-type")),
            (StatusCode::OK, "application/json"),
            "{accept}"
        );
    }
    let yaml = fixture.accept(CG, "application/yaml");
    assert_eq!(yaml.header("content-type"), "application/yaml");
    assert!(
        yaml.body.starts_with("apiVersion: cluster.core.oam.dev/v1alpha1\nitems:\n- metadata:\n"),
        "{}",
        yaml.body
    );
    assert!(yaml.body.ends_with("kind: ClusterGatewayList\nmetadata:\n  resourceVersion: \"42\"\n"));
    for (uri, object) in [(CG.to_owned(), "ClusterGatewayList"), (format!("{CG}/o1"), "ClusterGateway")] {
        let refused = fixture.accept(&uri, "application/vnd.kubernetes.protobuf");
        assert_eq!(refused.status, StatusCode::NOT_ACCEPTABLE);
        let message =
            format!("object *v1alpha1.{object} does not implement the protobuf marshalling interface");
        assert!(refused.message().starts_with(&message), "{}", refused.body);
        assert!(refused.json().get("details").is_none());
    }
}

#[test]
fn rule_198_a_list_names_its_streams_too() {
    let answer = fixture().accept(CG, "text/html");
    assert_eq!(answer.status, StatusCode::NOT_ACCEPTABLE);
    let end = "application/vnd.kubernetes.protobuf, application/json;stream=watch, \
               application/vnd.kubernetes.protobuf;stream=watch";
    assert!(answer.message().ends_with(end), "{}", answer.body);
    assert!(!fixture().accept(&format!("{CG}/o1"), "text/html").body.contains("stream=watch"));
}

#[test]
fn rule_199_an_unknown_transform_is_not_acceptable() {
    let answer = fixture().accept(CG, "application/json;as=Foo;g=meta.k8s.io;v=v1");
    assert_eq!(
        (answer.status, &answer.json()["reason"]),
        (StatusCode::NOT_ACCEPTABLE, &"NotAcceptable".into())
    );
    assert_eq!(
        answer.message(),
        "only the following media types are accepted: application/json, application/yaml, \
         application/vnd.kubernetes.protobuf"
    );
    assert!(answer.json().get("details").is_none());
}

#[test]
fn rule_200_rule_201_tables() {
    let fixture = fixture();
    for (uri, rows) in [(CG.to_owned(), 5), (format!("{CG}/o1"), 1)] {
        let answer = fixture.accept(&uri, TABLE);
        assert_eq!(answer.header("content-type"), "application/json");
        let table = answer.json();
        assert_eq!((&table["kind"], &table["apiVersion"]), (&"Table".into(), &"meta.k8s.io/v1".into()));
        assert_eq!(table["rows"].as_array().unwrap().len(), rows);
    }
    let beta = fixture.accept(CG, "application/json;as=Table;v=v1beta1;g=meta.k8s.io").json();
    assert_eq!(beta["apiVersion"], "meta.k8s.io/v1beta1");
    assert_eq!(beta["rows"][0]["object"]["apiVersion"], "meta.k8s.io/v1beta1");
    let protobuf = "application/vnd.kubernetes.protobuf;as=Table;v=v1;g=meta.k8s.io";
    assert_eq!(
        fixture.accept(CG, &format!("{protobuf},application/json")).json()["kind"],
        "ClusterGatewayList"
    );
    assert_eq!(fixture.accept(CG, protobuf).status, StatusCode::NOT_ACCEPTABLE);
    let yaml = fixture.accept(CG, "application/yaml;as=Table;v=v1;g=meta.k8s.io");
    assert_eq!(yaml.header("content-type"), "application/yaml");
    assert!(yaml.body.contains("kind: Table\n"));
}

#[test]
fn rule_202_include_object() {
    let fixture = fixture();
    let object =
        |query: &str| fixture.accept(&format!("{CG}/o1{query}"), TABLE).json()["rows"][0]["object"].clone();
    for query in ["", "?includeObject=", "?includeObject=Metadata"] {
        assert_eq!(object(query)["kind"], "PartialObjectMetadata", "{query}");
        assert_eq!(object(query).get("spec"), None, "{query}");
    }
    assert_eq!(object("?includeObject=Object")["kind"], "ClusterGateway");
    assert_eq!(object("?includeObject=Object")["apiVersion"], "cluster.core.oam.dev/v1alpha1");
    let table = fixture.accept(&format!("{CG}/o1?includeObject=None"), TABLE).json();
    assert_eq!(table["rows"][0].as_object().unwrap().get("object"), Some(&Value::Null), "the key is there");
    let refused = fixture.accept(&format!("{CG}?includeObject=x"), TABLE);
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
    assert!(refused.message().starts_with("Unable to convert to Table as requested: "));
}

#[test]
fn rule_203_columns_of_cluster_gateways() {
    let mut unlabelled = cluster("x", CredentialType::Dynamic, "2026-01-01T00:00:00Z");
    unlabelled.credential_type = None;
    let table = Fixture::new(vec![unlabelled]).accept(CG, TABLE).json();
    let columns = table["columnDefinitions"].as_array().unwrap();
    let column = |key: &str| columns.iter().map(|column| column[key].clone()).collect::<Vec<_>>();
    let theirs = ["Name", "Provider", "Credential-Type", "Endpoint-Type", "Healthy"];
    assert_eq!(column("name")[..5], theirs, "the original's come first");
    assert_eq!(
        column("name")[5..],
        ["Reason", "Age", "Endpoint", "Credential-Expiry", "Last-Probe", "Latency"]
    );
    assert_eq!(column("type"), ["string"; 11]);
    assert_eq!(column("format")[..5], ["name", "", "", "", ""]);
    assert_eq!(column("priority"), [0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1]);
    let cells = json!([
        "x",
        "",
        "<none>",
        "Const",
        "false",
        "<none>",
        "10d",
        "https://127.0.0.1:16444",
        "<none>",
        "<none>",
        "<none>"
    ]);
    assert_eq!(table["rows"][0]["cells"], cells);
}

#[test]
fn rule_203_what_is_recorded_of_a_cluster_stands_in_its_row() {
    let mut probed = cluster("x", CredentialType::ServiceAccountToken, "2026-01-10T23:59:00Z");
    for (key, value) in [
        (ANNOTATION_HEALTHY, "false"),
        (ANNOTATION_HEALTHY_REASON, "NoAnswer"),
        (ANNOTATION_LAST_PROBE_TIME, "2026-01-10T23:59:55Z"),
        (ANNOTATION_LATENCY, "12ms"),
    ] {
        probed.annotations.insert(key.to_owned(), value.to_owned());
    }
    probed.credential_facts.not_after = Some(OffsetDateTime::from_unix_timestamp(NOW + 90 * 86_400).unwrap());
    let unusable = unusable("y", "key \"endpoint\" is missing or empty");
    let table = Fixture::with(vec![probed, unusable], true).accept(CG, TABLE).json();
    assert_eq!(
        table["rows"][0]["cells"].as_array().unwrap()[4..],
        ["false", "NoAnswer", "60s", "https://127.0.0.1:16444", "90d", "5s", "12ms"]
    );
    assert_eq!(table["rows"][1]["cells"][5], "key \"endpoint\" is missing or empty");
}

#[test]
fn rule_204_rule_215_columns_of_virtual_clusters() {
    let table = fixture().accept(VC, TABLE).json();
    let columns = table["columnDefinitions"].as_array().unwrap();
    let names: Vec<_> = columns.iter().map(|column| column["name"].as_str().unwrap()).collect();
    assert_eq!(
        names,
        ["Name", "Alias", "Credential_Type", "Endpoint", "Accepted", "Labels", "Creation_Timestamp"]
    );
    assert_eq!((&columns[4]["type"], &columns[6]["type"]), (&"boolean".into(), &"dateTime".into()));
    assert_eq!(columns[6]["priority"], 10);
    let cells: Vec<_> = table["rows"].as_array().unwrap().iter().map(|row| row["cells"].clone()).collect();
    let local = json!(["local", "", "Internal", "-", true, "cluster.core.oam.dev/control-plane=true", null]);
    assert_eq!(cells[0], local);
    let m3 = json!([
        "m3",
        "prod-east",
        "X509Certificate",
        "https://127.0.0.1:16444",
        true,
        "cluster.core.oam.dev/control-plane=false,env=prod",
        "2026-01-03T00:00:00Z"
    ]);
    assert!(cells.contains(&m3), "{cells:?}");
    let item = fixture().get(&format!("{VC}/local")).json();
    assert_eq!(item["metadata"]["creationTimestamp"], Value::Null);
    assert!(item["metadata"].as_object().unwrap().contains_key("creationTimestamp"));
    assert_eq!(item["spec"]["credential-type"], "Internal");
}

#[test]
fn rule_205_partial_object_metadata_fits_one_or_many() {
    let fixture = fixture();
    let (one, many) = (format!("{CG}/o1"), CG);
    let partial = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";
    let partials = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";
    let object = fixture.accept(&one, partial).json();
    assert_eq!((&object["kind"], object.get("spec")), (&"PartialObjectMetadata".into(), None));
    let list = fixture.accept(many, partials).json();
    assert_eq!((&list["kind"], names(&list).len()), (&"PartialObjectMetadataList".into(), 5));
    assert_eq!(list["items"][0]["kind"], "PartialObjectMetadata");
    for (uri, accept) in [(many, partial), (one.as_str(), partials)] {
        let refused = fixture.accept(uri, accept);
        assert_eq!(refused.status, StatusCode::NOT_ACCEPTABLE, "{uri}");
        assert!(refused.message().starts_with("you requested PartialObjectMetadata"), "{}", refused.body);
    }
}

#[test]
fn rule_207_pretty() {
    let fixture = fixture();
    let indented = |uri: &str, headers: &[(&str, &str)]| {
        let body = fixture.ask("GET", uri, headers).body;
        let (indented, newline) = (body.starts_with("{\n  \""), body.ends_with('\n'));
        assert_eq!(indented, !newline, "compact JSON ends with a newline, indented does not: {uri}");
        indented
    };
    let pretty = |query: &str| format!("{CG}/o1?pretty={query}");
    assert!(!indented(&pretty(""), &[]) && indented(&pretty("true"), &[]) && indented(&pretty("1"), &[]));
    for agent in ["curl/8", "Wget/1.2", "Mozilla/5.0 (X11)"] {
        assert!(indented(&pretty(""), &[("user-agent", agent)]), "{agent}");
        assert!(!indented(&pretty("false"), &[("user-agent", agent)]), "the query wins over {agent}");
    }
    assert!(!indented(&pretty(""), &[("user-agent", "kubectl/v1.36")]));
    assert!(indented(&pretty(""), &[("accept", "application/json;pretty=1")]));
    assert!(indented(&format!("{CG}/nosuch?pretty=1"), &[]), "failures too");
}

#[test]
fn rule_209_rule_230_the_shape_of_a_cluster_gateway() {
    let object = fixture().get(&format!("{CG}/o1")).json();
    assert_eq!(
        object,
        json!({
            "kind": "ClusterGateway",
            "apiVersion": "cluster.core.oam.dev/v1alpha1",
            "metadata": {
                "name": "o1", "creationTimestamp": "2026-01-02T00:00:00Z", "resourceVersion": "42",
                "uid": uid::uid("clustergateways", "uid-o1"),
            },
            "spec": {
                "provider": "",
                "access": {
                    "endpoint": { "type": "Const", "const": {
                        "address": "https://127.0.0.1:9443",
                        "caBundle": "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0t",
                    } },
                    "credential": { "type": "ServiceAccountToken", "serviceAccountToken": REDACTED_TOKEN,
                        "fingerprint": "sha256:74bec123f8b51c31" },
                },
            },
            "status": { "healthy": false },
        })
    );
}

#[test]
fn rule_210_rule_261_no_form_of_any_answer_holds_a_secret() {
    let mut proxied = cluster("proxied", CredentialType::ServiceAccountToken, "2026-01-01T00:00:00Z");
    proxied.proxy_url = Some("http://user:hunter2@proxy:3128/?a=b@c".to_owned());
    proxied.address = Some("https://user:hunter2@member:6443/base".to_owned());
    let mut clusters = recorded();
    clusters.push(proxied);
    let fixture = Fixture::new(clusters);
    for uri in [
        CG,
        VC,
        &format!("{CG}?includeObject=Object"),
        &format!("{CG}/m1"),
        &format!("{CG}/o1/health"),
        &format!("{CG}/proxied"),
    ] {
        for accept in
            ["application/json", "application/yaml", TABLE, "application/yaml;as=Table;v=v1;g=meta.k8s.io"]
        {
            let body = fixture.accept(uri, accept).body;
            assert!(!body.contains(TOKEN) && !body.contains("hunter2"), "{uri} as {accept}");
        }
    }
    let proxied: ClusterGateway = serde_json::from_str(&fixture.get(&format!("{CG}/proxied")).body).unwrap();
    let endpoint = proxied.spec.access.endpoint.unwrap().const_endpoint.unwrap();
    assert_eq!(endpoint.proxy_url.as_deref(), Some("http://proxy:3128/?a=b@c"));
    assert_eq!(endpoint.address, "https://member:6443/base");
    let x509 = &fixture.get(&format!("{CG}/m1")).json()["spec"]["access"]["credential"]["x509"];
    assert_eq!(x509["privateKey"], REDACTED_KEY);
    let certificate = base64::Engine::decode(
        &base64::engine::general_purpose::STANDARD,
        x509["certificate"].as_str().unwrap(),
    );
    assert!(certificate.unwrap().starts_with(b"-----BEGIN CERTIFICATE-----"), "the public half is shown");
}

#[test]
fn rule_211_rule_213_an_unusable_cluster_is_shown_with_the_reason() {
    for gate in [false, true] {
        let fixture = Fixture::with(vec![unusable("bad", "key \"endpoint\" is missing or empty")], gate);
        let expected = json!({ "healthy": false, "healthyReason": "key \"endpoint\" is missing or empty" });
        assert_eq!(fixture.get(&format!("{CG}/bad")).json()["status"], expected);
        let list = fixture.get(CG).json();
        assert_eq!((names(&list), &list["items"][0]["status"]), (vec!["bad"], &expected));
        let access = &list["items"][0]["spec"]["access"];
        assert_eq!(access["endpoint"], json!({ "type": "Const", "const": { "address": "" } }));
    }
}

#[test]
fn rule_211_rule_232_health_is_shown_behind_the_gate() {
    let with = |healthy: &str, reason: &str| {
        let mut member = cluster("m", CredentialType::ServiceAccountToken, "2026-01-01T00:00:00Z");
        member.annotations.insert(ANNOTATION_HEALTHY.to_owned(), healthy.to_owned());
        member.annotations.insert(ANNOTATION_HEALTHY_REASON.to_owned(), reason.to_owned());
        vec![member]
    };
    let status = |gate: bool, healthy: &str, reason: &str, uri: &str| {
        Fixture::with(with(healthy, reason), gate).get(uri).json()["status"].clone()
    };
    for uri in [format!("{CG}/m"), format!("{CG}/m/health")] {
        assert_eq!(status(true, "true", "", &uri), json!({ "healthy": true }));
        let unwell = json!({ "healthy": false, "healthyReason": "NoAnswer" });
        assert_eq!(status(true, "false", "NoAnswer", &uri), unwell);
        assert_eq!(status(false, "true", "Fine", &uri), json!({ "healthy": false }));
    }
    let table = Fixture::with(with("true", ""), true).accept(CG, TABLE).json();
    assert_eq!(table["rows"][0]["cells"][4], "true");
}

#[test]
fn rule_214_virtual_clusters_are_local_then_the_newest() {
    let mut clusters = recorded();
    clusters.push(cluster("a-twin", CredentialType::ServiceAccountToken, "2026-01-03T00:00:00Z"));
    clusters.push(cluster("local", CredentialType::ServiceAccountToken, "2026-01-09T00:00:00Z"));
    let fixture = Fixture::new(clusters);
    let list = fixture.get(VC).json();
    assert_eq!(list["kind"], "VirtualClusterList");
    assert_eq!(names(&list), ["local", "bad", "dead", "a-twin", "m3", "o1", "m1"]);
    assert_eq!(list["items"][4]["kind"], "VirtualCluster");
    assert_eq!(
        list["items"][4]["metadata"]["labels"],
        json!({ LABEL_CONTROL_PLANE: "false", "env": "prod" })
    );
    let spec = json!({ "alias": "prod-east", "accepted": true, "endpoint": "https://127.0.0.1:16444",
        "credential-type": "X509Certificate" });
    assert_eq!(list["items"][4]["spec"], spec);
    assert_eq!(list["items"][1]["spec"].get("alias"), None, "left out when empty");
    for (selector, expected) in [
        ("cluster.core.oam.dev%2Fcontrol-plane%3Dtrue", vec!["local"]),
        ("env%3Dtest", vec!["o1"]),
        ("cluster.core.oam.dev%2Fcluster-credential-type", vec![]),
    ] {
        let list = fixture.get(&format!("{VC}?labelSelector={selector}")).json();
        assert_eq!(names(&list), expected, "{selector}");
    }
    assert_eq!(names(&fixture.get(&format!("{VC}?fieldSelector=metadata.name%3Dm1")).json()), ["m1"]);
}

#[test]
fn rule_216_rule_217_what_is_not_there_is_not_found() {
    for (uri, resource) in [(CG, "clustergateways"), (VC, "virtualclusters")] {
        for name in ["nosuch", "A_B"] {
            let answer = fixture().get(&format!("{uri}/{name}"));
            assert_eq!(answer.status, StatusCode::NOT_FOUND);
            assert_eq!(answer.message(), format!("{resource}.cluster.core.oam.dev \"{name}\" not found"));
            let details = json!({ "name": name, "group": "cluster.core.oam.dev", "kind": resource });
            assert_eq!(answer.json()["details"], details);
        }
    }
    assert_eq!(fixture().get(&format!("{CG}/nosuch/health")).status, StatusCode::NOT_FOUND);
}

#[test]
fn rule_218_unknown_paths_below_the_group() {
    let base = "/apis/cluster.core.oam.dev/v1alpha1";
    for path in [
        "nosuch",
        "nosuch/x",
        "clustergateways/o1/status",
        "clustergateways/o1/health/x",
        "virtualclusters/o1/health",
        "watch/clustergateways",
        "watch/clustergateways/o1",
        "%77atch/clustergateways",
        "w%61tch/clustergateways/o1",
        "%70roxy/clustergateways/o1",
        "proxy/clustergateways/o1",
        "namespaces/default/clustergateways",
        "clustergateways//o1",
    ] {
        for method in ["GET", "POST"] {
            let answer = fixture().ask(method, &format!("{base}/{path}"), &[]);
            assert_eq!(answer.status, StatusCode::NOT_FOUND, "{method} {path}");
            assert_eq!(
                answer.message(),
                "the server could not find the requested resource",
                "{method} {path}"
            );
            assert_eq!(answer.json()["details"], json!({}), "{method} {path}");
        }
    }
}

#[test]
fn rule_219_known_paths_refuse_other_methods() {
    for uri in
        [CG, VC, &format!("{CG}/o1"), &format!("{CG}?fieldSelector=metadata.name%3Do1"), &format!("{VC}/o1")]
    {
        for method in ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND"] {
            let answer = fixture().ask(method, uri, &[]);
            assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED, "{method} {uri}");
            assert_eq!(answer.json()["reason"], "MethodNotAllowed");
            assert_eq!(answer.message(), "the server does not allow this method on the requested resource");
            assert_eq!((&answer.json()["details"], answer.header("allow")), (&json!({}), ""));
        }
    }
}

#[test]
fn head_has_the_headers_of_get() {
    for uri in [CG, "/apis", "/version"] {
        let (head, get) = (fixture().ask("HEAD", uri, &[]), fixture().get(uri));
        assert_eq!((head.status, head.headers), (get.status, get.headers), "{uri}");
    }
}

#[test]
fn rule_221_rule_222_rule_229_bad_list_options() {
    let cases = [
        ("limit=x", 400, r#"strconv.ParseInt: parsing "x": invalid syntax"#),
        (
            "limit=9223372036854775808",
            400,
            r#"strconv.ParseInt: parsing "9223372036854775808": value out of range"#,
        ),
        ("timeoutSeconds=1s", 400, r#"strconv.ParseInt: parsing "1s": invalid syntax"#),
        ("labelSelector====", 400, "found '==', expected: !, identifier, or 'end of string'"),
        ("fieldSelector=x", 400, "invalid selector: 'x'; can't understand 'x'"),
        (
            "fieldSelector=spec.foo%3D1",
            400,
            r#""spec.foo" is not a known field selector: only "metadata.name", "metadata.namespace""#,
        ),
        (
            "resourceVersionMatch=Exact",
            422,
            r#"ListOptions.meta.k8s.io "" is invalid: resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided"#,
        ),
        (
            "resourceVersion=1&resourceVersionMatch=Foo",
            422,
            r#"ListOptions.meta.k8s.io "" is invalid: resourceVersionMatch: Unsupported value: "Foo": supported values: "Exact", "NotOlderThan", """#,
        ),
        (
            "sendInitialEvents=true",
            422,
            r#"ListOptions.meta.k8s.io "" is invalid: sendInitialEvents: Forbidden: sendInitialEvents is forbidden for list"#,
        ),
        (
            "watch=1&sendInitialEvents=true",
            422,
            r#"ListOptions.meta.k8s.io "" is invalid: resourceVersionMatch: Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"#,
        ),
        (
            "watch=1&resourceVersionMatch=NotOlderThan",
            422,
            r#"ListOptions.meta.k8s.io "" is invalid: resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided"#,
        ),
        (
            "resourceVersion=x",
            422,
            r#"ListOptions.meta.k8s.io "" is invalid: resourceVersion: Invalid value: "x": strconv.ParseUint: parsing "x": invalid syntax"#,
        ),
        (
            "watch=1&resourceVersion=-1",
            422,
            r#"ListOptions.meta.k8s.io "" is invalid: resourceVersion: Invalid value: "-1": strconv.ParseUint: parsing "-1": invalid syntax"#,
        ),
    ];
    for (query, code, message) in cases {
        let answer = fixture().get(&format!("{CG}?{query}"));
        assert_eq!((answer.status.as_u16(), answer.message().as_str()), (code, message), "{query}");
        let reason = if code == 400 { "BadRequest" } else { "Invalid" };
        assert_eq!(answer.json()["reason"], reason, "{query}");
        assert_eq!(answer.json().get("details").is_some(), code == 422, "{query}");
    }
    let several = fixture().get(&format!("{CG}?resourceVersionMatch=Foo&sendInitialEvents=true")).message();
    assert!(several.contains(" is invalid: [") && several.ends_with(']'), "{several}");
}

#[test]
fn rule_225_the_order_in_which_a_list_is_checked() {
    let fixture = fixture();
    let code =
        |accept: &str, query: &str| fixture.accept(&format!("{CG}?watch=1&{query}"), accept).status.as_u16();
    let (decode, validate, field) = ("limit=x", "resourceVersionMatch=Exact", "fieldSelector=spec.x%3D1");
    assert_eq!(code("text/html", &format!("{decode}&{validate}&{field}")), 406);
    assert_eq!(code("*/*", &format!("{decode}&{validate}&{field}")), 400);
    assert_eq!(code("*/*", &format!("{validate}&{field}")), 422);
    assert_eq!(code("*/*", field), 400);
    assert_eq!(code("*/*", ""), 200);
    assert_eq!(code("application/yaml", validate), 422);
    assert_eq!(code("application/yaml", ""), 406, "there is no stream of YAML");
    fixture.synced.store(false, Ordering::Relaxed);
    assert_eq!((code("*/*", field), code("*/*", "")), (400, 503), "at last, the clusters are looked at");
}

#[test]
fn rule_226_export_is_refused() {
    for query in ["export=true", "export"] {
        let answer = fixture().get(&format!("{CG}/o1?{query}"));
        assert_eq!(answer.status, StatusCode::BAD_REQUEST);
        assert_eq!(answer.message(), "the export parameter, deprecated since v1.14, is no longer supported");
    }
    assert_eq!(fixture().get(&format!("{CG}/o1?export=false")).status, StatusCode::OK);
}

#[test]
fn nothing_is_said_of_clusters_before_they_are_read() {
    let fixture = fixture();
    fixture.synced.store(false, Ordering::Relaxed);
    for uri in [CG, VC, &format!("{CG}/o1"), &format!("{CG}/nosuch"), &format!("{VC}/o1")] {
        let answer = fixture.get(uri);
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{uri}");
        assert_eq!(
            (&answer.json()["reason"], answer.header("retry-after")),
            (&"ServiceUnavailable".into(), "1")
        );
    }
}
