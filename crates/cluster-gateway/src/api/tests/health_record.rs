//! Writes of `clustergateways/NAME/health`.

use cluster_gateway_client::v1alpha1::{ANNOTATION_HEALTHY, ANNOTATION_HEALTHY_REASON};
use serde_json::json;

use super::*;
use crate::hub::WriteError;

const MERGE: &str = "application/merge-patch+json";
const JSON_PATCH: &str = "application/json-patch+json";
const MODIFIED: &str = "Operation cannot be fulfilled on clustergateways.cluster.core.oam.dev \"o1\": the object has \
                        been modified; please apply your changes to the latest version and try again";

fn health(name: &str) -> String {
    format!("{CG}/{name}/health")
}

fn object(changes: &Value) -> String {
    let mut object = json!({
        "apiVersion": "cluster.core.oam.dev/v1alpha1", "kind": "ClusterGateway", "metadata": { "name": "o1" },
        "spec": { "provider": "", "access": { "endpoint": { "type": "Const" } } },
        "status": { "healthy": true, "healthyReason": "MyReason" },
    });
    json_patch::merge(&mut object, changes);
    object.to_string()
}

impl Fixture {
    fn put(&self, changes: &Value) -> Answer {
        self.send("PUT", &health("o1"), &[("content-type", "application/json")], &object(changes))
    }

    fn patch(&self, content_type: &str, body: &Value) -> Answer {
        self.send("PATCH", &health("o1"), &[("content-type", content_type)], &body.to_string())
    }

    /// What is recorded for `o1`.
    fn recorded(&self) -> [Option<String>; 2] {
        [ANNOTATION_HEALTHY, ANNOTATION_HEALTHY_REASON].map(|key| self.records.annotation("o1", key))
    }
}

fn fixture() -> Fixture {
    Fixture::new(recorded())
}

fn some(healthy: &str, reason: &str) -> [Option<String>; 2] {
    [Some(healthy.to_owned()), Some(reason.to_owned())]
}

#[test]
fn rule_232_a_put_records_health_and_nothing_else_and_answers_with_what_was_written() {
    for gate in [false, true] {
        let fixture = Fixture::with(recorded(), gate);
        let answer =
            fixture.put(&json!({ "spec": { "provider": "other" }, "metadata": { "labels": { "a": "b" } } }));
        assert_eq!((answer.status, answer.header("content-type")), (StatusCode::OK, "application/json"));
        let mut expected = fixture.get(&format!("{CG}/o1")).json();
        expected["status"] = json!({ "healthy": true, "healthyReason": "MyReason" });
        // That of the Secret, which has just been written.
        expected["metadata"]["resourceVersion"] = json!("2");
        assert_eq!(answer.json(), expected, "the gate decides only what is shown elsewhere");
        assert!(!answer.body.contains(TOKEN));
        assert_eq!(fixture.recorded(), some("true", "MyReason"));
        let state = fixture.records.state();
        let change = &state.changes[0];
        let keys: Vec<_> = change.annotations.keys().map(String::as_str).collect();
        assert_eq!(keys, [ANNOTATION_HEALTHY, ANNOTATION_HEALTHY_REASON]);
        assert_eq!((change.resource_version.as_str(), change.dry_run), ("1", false));
        assert_eq!(state.secrets["o1"].annotations.as_ref().unwrap()[ANNOTATION_ALIAS], "origin");
    }
}

#[test]
fn rule_232_a_missing_status_is_not_healthy_and_a_missing_type_is_the_path_s() {
    let fixture = fixture();
    fixture.put(&json!({}));
    let body = r#"{"metadata":{"name":"o1"}}"#;
    let answer = fixture.send("PUT", &health("o1"), &[], body);
    assert_eq!((answer.status, &answer.json()["status"]), (StatusCode::OK, &json!({ "healthy": false })));
    assert_eq!(fixture.recorded(), some("false", ""));
}

#[test]
fn rule_232_yaml_is_taken_and_given() {
    let fixture = fixture();
    let body = "apiVersion: cluster.core.oam.dev/v1alpha1\nkind: ClusterGateway\nmetadata:\n  name: o1\nstatus:\n  \
                healthy: true\n  healthyReason: \"yes\"\n";
    let headers = [("content-type", "application/yaml; charset=utf-8"), ("accept", "application/yaml")];
    let answer = fixture.send("PUT", &health("o1"), &headers, body);
    assert_eq!((answer.status, answer.header("content-type")), (StatusCode::OK, "application/yaml"));
    assert!(answer.body.ends_with("status:\n  healthy: true\n  healthyReason: \"yes\"\n"), "{}", answer.body);
    assert_eq!(fixture.recorded(), some("true", "yes"));
}

#[test]
fn rule_232_what_is_recorded_already_is_not_written_again() {
    let fixture = fixture();
    for _ in 0..3 {
        assert_eq!(fixture.put(&json!({})).status, StatusCode::OK);
    }
    assert_eq!(fixture.records.state().changes.len(), 1);
}

#[test]
fn rule_232_rule_233_patches_change_what_they_name() {
    let fixture = fixture();
    let answer = fixture.patch(MERGE, &json!({ "status": { "healthy": false, "healthyReason": "X" } }));
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.json()["status"], json!({ "healthy": false, "healthyReason": "X" }));
    fixture.patch(MERGE, &json!({ "status": { "healthy": true } }));
    assert_eq!(fixture.recorded(), some("true", "X"));
    fixture.patch(MERGE, &json!({ "status": { "healthyReason": null } }));
    assert_eq!(fixture.recorded(), some("true", ""));
    fixture.patch(MERGE, &json!({ "status": null }));
    assert_eq!(fixture.recorded(), some("false", ""));

    let operations = json!([
        { "op": "test", "path": "/status/healthy", "value": false },
        { "op": "replace", "path": "/status/healthy", "value": true },
        { "op": "add", "path": "/status/healthyReason", "value": "Fine" },
        { "op": "add", "path": "/spec/provider", "value": "ignored" },
    ]);
    let answer = fixture.patch(JSON_PATCH, &operations);
    assert_eq!(answer.json()["status"], json!({ "healthy": true, "healthyReason": "Fine" }));
    assert_eq!(answer.json()["spec"]["provider"], "");
    let refused = fixture.patch(JSON_PATCH, &operations);
    assert_eq!(
        (refused.status, &refused.json()["reason"]),
        (StatusCode::UNPROCESSABLE_ENTITY, &"Invalid".into())
    );
    assert!(refused.message().contains("operation 0 at \"/status/healthy\""), "{}", refused.message());
    assert_eq!(fixture.recorded(), some("true", "Fine"));
}

#[test]
fn rule_233_a_version_that_is_no_longer_there_is_a_conflict() {
    let fixture = fixture();
    let fresh =
        json!({ "metadata": { "resourceVersion": "1", "uid": uid::uid("clustergateways", "uid-o1") } });
    assert_eq!(fixture.put(&fresh).status, StatusCode::OK);
    let stale = json!({ "metadata": { "resourceVersion": "1" }, "status": { "healthy": false } });
    for answer in [
        fixture.put(&stale),
        fixture.patch(MERGE, &stale),
        fixture
            .patch(JSON_PATCH, &json!([{ "op": "add", "path": "/metadata/resourceVersion", "value": "1" }])),
    ] {
        assert_eq!((answer.status, &answer.json()["reason"]), (StatusCode::CONFLICT, &"Conflict".into()));
        assert_eq!(answer.message(), MODIFIED);
        let details = json!({ "name": "o1", "group": "cluster.core.oam.dev", "kind": "clustergateways" });
        assert_eq!(answer.json()["details"], details);
    }
    let other = fixture.put(&json!({ "metadata": { "uid": "another" } }));
    assert_eq!(other.status, StatusCode::CONFLICT);
    let own = uid::uid("clustergateways", "uid-o1").unwrap();
    let expected = format!("UID in precondition: another, UID in object meta: {own}");
    assert!(other.message().contains(&expected), "{}", other.message());
    assert_eq!(fixture.recorded(), some("true", "MyReason"));
}

#[test]
fn rule_233_a_write_without_a_version_is_tried_again_when_somebody_comes_before_it() {
    let fixture = fixture();
    fixture.records.state().overtaken = 4;
    assert_eq!(fixture.put(&json!({})).status, StatusCode::OK);
    assert_eq!(fixture.records.state().changes.len(), 5);
    fixture.records.state().overtaken = 1;
    let named = json!({ "metadata": { "resourceVersion": "6" }, "status": { "healthy": false } });
    assert_eq!(fixture.put(&named).message(), MODIFIED, "who names a version is not helped over its end");
    fixture.records.state().overtaken = usize::MAX;
    let answer = fixture.put(&json!({ "status": { "healthy": false } }));
    assert_eq!((answer.status, answer.message().as_str()), (StatusCode::CONFLICT, MODIFIED));
}

#[test]
fn rule_234_what_is_no_cluster_is_not_found_and_never_written() {
    let fixture = fixture();
    let body = object(&json!({ "metadata": { "name": "nosuch" } }));
    let unknown = fixture.send("PUT", &health("nosuch"), &[], &body);
    assert_eq!(unknown.status, StatusCode::NOT_FOUND);
    assert_eq!(unknown.message(), "clustergateways.cluster.core.oam.dev \"nosuch\" not found");
    assert_eq!(fixture.get(&health("nosuch")).message(), unknown.message(), "the same for a read");

    // Its label was removed a moment ago, and the watch has not said so yet.
    fixture.records.state().secrets.get_mut("o1").unwrap().labels = None;
    for answer in [fixture.put(&json!({})), fixture.patch(MERGE, &json!({}))] {
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{}", answer.body);
    }
    fixture.records.state().secrets.remove("o1");
    assert_eq!(fixture.put(&json!({})).status, StatusCode::NOT_FOUND);
    assert_eq!(fixture.records.state().changes.len(), 0);
}

#[test]
fn rule_223_a_body_of_another_type_is_not_understood() {
    let fixture = fixture();
    for content_type in ["text/plain", "", "application/json"] {
        let headers: &[_] = if content_type.is_empty() { &[] } else { &[("content-type", content_type)] };
        let answer = fixture.send("PATCH", &health("o1"), headers, "{}");
        assert_eq!(answer.status, StatusCode::UNSUPPORTED_MEDIA_TYPE, "{content_type}");
        assert_eq!(answer.message(), "415: Unsupported Media Type");
        assert_eq!(
            (&answer.json()["reason"], &answer.json()["details"]),
            (&"UnsupportedMediaType".into(), &json!({}))
        );
    }
    for content_type in ["application/strategic-merge-patch+json", "application/apply-patch+yaml"] {
        let answer = fixture.patch(content_type, &json!({}));
        assert_eq!(answer.status, StatusCode::UNSUPPORTED_MEDIA_TYPE, "{content_type}");
        let words = "the body of the request was in an unknown format - accepted media types include: \
                     application/json-patch+json, application/merge-patch+json";
        assert_eq!(answer.message(), words, "it helps on");
    }
    let answer = fixture.send("PUT", &health("o1"), &[("content-type", "text/plain")], "x");
    assert_eq!(answer.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    assert!(
        answer.message().ends_with("include: application/json, application/yaml"),
        "{}",
        answer.message()
    );
    assert_eq!(fixture.records.state().changes.len(), 0);
}

#[test]
fn rule_223_a_body_that_is_no_cluster_gateway_is_refused() {
    let prefix = "the object provided is unrecognized (must be of type ClusterGateway): couldn't get version/kind; \
                  json parse error: ";
    let fixture = fixture();
    let put = |body: &str| fixture.send("PUT", &health("o1"), &[], body);
    for (body, end) in [
        ("{", "unexpected end of JSON input ({)"),
        ("", "unexpected end of JSON input (<empty>)"),
        ("[1]", "it is no object (5b315d)"),
        (r#"{"a":1,"a":2,"bbbbbbbbbbbbbbbbbbbbbbbbbbbb":3}"#, r#"({"a":1,"a":2,"bbbbbbbbbbbbbbbb ...)"#),
    ] {
        let answer = put(body);
        assert_eq!(
            (answer.status, &answer.json()["reason"]),
            (StatusCode::BAD_REQUEST, &"BadRequest".into())
        );
        let message = answer.message();
        assert!(message.starts_with(prefix) && message.ends_with(end), "{body}: {message}");
    }
    for (changes, words) in [
        (
            json!({ "metadata": { "name": "a" } }),
            "the name of the object (a) does not match the name on the URL (o1)",
        ),
        (
            json!({ "metadata": { "name": null } }),
            "the name of the object (o1 based on URL) was undeterminable: name must be provided",
        ),
        (
            json!({ "apiVersion": "v1" }),
            "the API version in the data (v1) does not match the expected API version \
             (cluster.core.oam.dev/v1alpha1)",
        ),
        (json!({ "kind": "Pod" }), "Pod in version \"v1alpha1\" cannot be handled as a ClusterGateway"),
        (json!({ "status": { "healthy": "yes" } }), "status.healthy is not a boolean"),
        (json!({ "status": { "healthyReason": 1 } }), "status.healthyReason is not a string"),
        (json!({ "status": [] }), "status is not an object"),
        (json!({ "metadata": 1 }), "metadata is not an object"),
    ] {
        let answer = fixture.put(&changes);
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{changes}");
        assert!(answer.message().contains(words), "{changes}: {}", answer.message());
    }
    let renamed = fixture.patch(MERGE, &json!({ "metadata": { "name": "a" } }));
    assert_eq!(renamed.message(), "the name of the object (a) does not match the name on the URL (o1)");
    for (content_type, body) in
        [(MERGE, json!("x")), (JSON_PATCH, json!({})), (JSON_PATCH, json!([{ "op": "x" }]))]
    {
        let answer = fixture.patch(content_type, &body);
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{body}");
        assert!(answer.message().starts_with("error decoding patch: "), "{}", answer.message());
    }
    assert_eq!(fixture.records.state().changes.len(), 0);
}

#[test]
fn rule_127_a_body_over_three_mebibytes_is_too_large() {
    let fixture = fixture();
    let padded = |length: usize| {
        let object = object(&json!({}));
        format!("{object}{}", " ".repeat(length - object.len()))
    };
    let limit = 3 * 1024 * 1024;
    assert_eq!(fixture.send("PUT", &health("o1"), &[], &padded(limit)).status, StatusCode::OK);
    for method in ["PUT", "PATCH"] {
        let answer = fixture.send(method, &health("o1"), &[("content-type", MERGE)], &padded(limit + 1));
        assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE, "{method}");
        assert_eq!(answer.json()["reason"], "RequestEntityTooLarge");
        assert_eq!(answer.message(), "Request entity too large: limit is 3145728");
    }
}

#[test]
fn rule_260_bombs_are_refused_before_they_go_off() {
    let fixture = fixture();
    let put = |content_type: &str, body: &str| {
        fixture.send("PUT", &health("o1"), &[("content-type", content_type)], body)
    };
    let within = |inner: &str| format!(r#"{{"metadata":{{"name":"o1"}},"spec":{inner}}}"#);
    let nested = |levels: usize| within(&format!("{}{}", "[".repeat(levels), "]".repeat(levels)));
    let items = |count: usize| within(&format!("[{}[]]", "[],".repeat(count - 1)));
    assert_eq!(put("application/json", &nested(63)).status, StatusCode::OK);
    assert_eq!(put("application/json", &items(99_990)).status, StatusCode::OK);
    for (body, json, yaml) in [
        (nested(64), "more than 64 levels deep", "Depth"),
        (nested(1_500_000), "more than 64 levels deep", ""),
        (items(100_000), "it holds more than 100000 values", "more than 100000 values"),
        (items(1_000_000), "it holds more than 100000 values", ""),
        (r#"{"a":"#.repeat(300_000) + "1" + &"}".repeat(300_000), "more than 64 levels deep", ""),
    ] {
        for (content_type, words) in [("application/json", json), ("application/yaml", yaml)] {
            let answer = put(content_type, &body);
            assert_eq!(answer.status, StatusCode::BAD_REQUEST);
            assert!(
                answer.message().contains(words) && answer.message().len() < 1000,
                "{}",
                answer.message()
            );
        }
        let answer = fixture.send("PATCH", &health("o1"), &[("content-type", MERGE)], &body);
        assert_eq!(answer.status, StatusCode::BAD_REQUEST);
        assert!(answer.message().contains(json), "{}", answer.message());
    }
    for levels in [5, 20] {
        let mut aliases = "metadata: {name: o1}\na0: &a0 [x,x,x,x,x,x,x,x,x,x]\n".to_owned();
        for level in 1..levels {
            let below = format!("*a{},", level - 1).repeat(10);
            aliases.push_str(&format!("a{level}: &a{level} [{below}]\n"));
        }
        let answer = put("application/yaml", &aliases);
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{levels}");
        assert!(answer.message().len() < 1000, "{}", answer.message());
    }
    fixture.records.state().changes.clear();

    let operation = json!({ "op": "add", "path": "/status/healthyReason", "value": "x" });
    let many = fixture.patch(JSON_PATCH, &Value::Array(vec![operation; 10_000]));
    assert_eq!(
        (many.status, &many.json()["reason"]),
        (StatusCode::PAYLOAD_TOO_LARGE, &"RequestEntityTooLarge".into())
    );
    assert_eq!(many.message(), "The allowed maximum operations in a JSON patch is 1000, got 10000");
    let copies =
        (0..60).map(|to| json!({ "op": "copy", "from": "/status", "path": format!("/status/{to}") }));
    let doubled = fixture.patch(JSON_PATCH, &copies.collect());
    assert_eq!(doubled.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(doubled.message().contains("copy more than"), "{}", doubled.message());
    assert_eq!(fixture.records.state().changes.len(), 0);
}

#[test]
fn options_of_a_write_are_read_and_checked() {
    let fixture = fixture();
    let put =
        |query: &str| fixture.send("PUT", &format!("{}?{query}", health("o1")), &[], &object(&json!({})));
    let answer = put("dryRun=All&fieldManager=prober&fieldValidation=Strict");
    assert_eq!(answer.json()["status"], json!({ "healthy": true, "healthyReason": "MyReason" }));
    assert_eq!(fixture.recorded(), [None, None], "nothing is written");
    let change = fixture.records.state().changes[0].clone();
    assert_eq!((change.field_manager.as_str(), change.dry_run), ("prober", true));
    put("");
    assert_eq!(fixture.records.state().changes[1].field_manager, "cluster-gateway");
    for (query, words) in [
        (
            "dryRun=x",
            r#"UpdateOptions.meta.k8s.io "" is invalid: dryRun: Unsupported value: []string{"x"}: supported values: "All""#,
        ),
        (
            "fieldValidation=x",
            r#"UpdateOptions.meta.k8s.io "" is invalid: fieldValidation: Unsupported value: "x": supported values: "", "Ignore", "Strict", "Warn""#,
        ),
        (
            "fieldManager=%07",
            r#"UpdateOptions.meta.k8s.io "" is invalid: fieldManager: Invalid value: "\u{7}": invalid character U+0007 (at position 0)"#,
        ),
    ] {
        let answer = put(query);
        assert_eq!((answer.status, answer.message().as_str()), (StatusCode::UNPROCESSABLE_ENTITY, words));
    }
    let long = put(&format!("fieldManager={}", "x".repeat(129))).message();
    assert!(long.ends_with("fieldManager: Too long: may not be more than 128 bytes"), "{long}");
    let uri = format!("{}?force=true", health("o1"));
    let forced = fixture.send("PATCH", &uri, &[("content-type", MERGE)], "{}").message();
    let words = "PatchOptions.meta.k8s.io \"\" is invalid: force: Forbidden: may not be specified for non-apply patch";
    assert_eq!(forced, words);
}

#[test]
fn fields_that_nobody_knows_are_ignored_warned_of_or_refused() {
    let fixture = fixture();
    let put = |query: &str, changes: &Value| {
        fixture.send("PUT", &format!("{}{query}", health("o1")), &[], &object(changes))
    };
    let warnings = |answer: &Answer| -> Vec<String> {
        answer.headers.get_all("warning").iter().map(|value| value.to_str().unwrap().to_owned()).collect()
    };
    let odd = json!({ "nosuch": 1, "status": { "helthy\"\n": true }, "spec": { "access": { "endpoint": { "x": 1 } } } });
    let expected = [
        "299 - \"unknown field \\\"nosuch\\\"\"",
        "299 - \"unknown field \\\"spec.access.endpoint.x\\\"\"",
        "299 - \"unknown field \\\"status.helthy\\\"\\n\\\"\"",
    ];
    for query in ["", "?fieldValidation=Warn"] {
        let answer = put(query, &odd);
        assert_eq!((answer.status, warnings(&answer)), (StatusCode::OK, expected.map(str::to_owned).into()));
    }
    let ignored = put("?fieldValidation=Ignore", &odd);
    assert_eq!((ignored.status, warnings(&ignored)), (StatusCode::OK, Vec::new()));
    let refused = put("?fieldValidation=Strict", &odd);
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
    let words = "strict decoding error: unknown field \"nosuch\", unknown field \"spec.access.endpoint.x\", ";
    assert!(refused.message().contains(words), "{}", refused.message());
    let many: serde_json::Map<_, _> = (0..1000).map(|number| (format!("field{number}"), json!(1))).collect();
    assert_eq!(warnings(&put("", &many.into())).len(), 20);

    // What is shown can be sent back.
    let shown = put("", &json!({})).body;
    let answer = fixture.send("PUT", &format!("{}?fieldValidation=Strict", health("o1")), &[], &shown);
    assert_eq!((answer.status, warnings(&answer)), (StatusCode::OK, Vec::new()), "{}", answer.body);
    let patch = json!({ "status": { "healthy": true, "x": 1 } }).to_string();
    let uri = format!("{}?fieldValidation=Strict", health("o1"));
    let refused = fixture.send("PATCH", &uri, &[("content-type", MERGE)], &patch);
    assert!(refused.message().ends_with("unknown field \"status.x\""), "{}", refused.message());
}

#[test]
fn rule_225_nothing_is_written_for_an_answer_that_nobody_takes() {
    let fixture = fixture();
    let headers = [("accept", "text/html"), ("content-type", MERGE)];
    for method in ["PUT", "PATCH"] {
        let answer = fixture.send(method, &health("o1"), &headers, "{}");
        assert_eq!(answer.status, StatusCode::NOT_ACCEPTABLE);
    }
    fixture.synced.store(false, Ordering::Relaxed);
    assert_eq!(fixture.put(&json!({})).status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(fixture.records.state().changes.len(), 0);
    for method in ["POST", "DELETE", "OPTIONS"] {
        assert_eq!(
            fixture.ask(method, &health("o1"), &[]).status,
            StatusCode::METHOD_NOT_ALLOWED,
            "{method}"
        );
    }
}

#[test]
fn rule_224_a_hub_that_cannot_or_will_not_is_an_error_without_a_reason() {
    let fixture = fixture();
    for (failure, words) in [
        (
            WriteError::Unreachable("connection refused".to_owned()),
            "the hub cannot be asked: connection refused",
        ),
        (
            WriteError::Refused("no".to_owned()),
            "the hub refuses: no; the gateway needs the rights to get and patch secrets in namespace vela-system",
        ),
    ] {
        fixture.records.state().failures.push(failure);
        let answer = fixture.put(&json!({}));
        assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR);
        let expected = json!({ "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": format!("health cannot be recorded: {words}"), "code": 500 });
        assert_eq!(answer.json(), expected);
    }
    fixture.records.state().failures.push(WriteError::Invalid("metadata.annotations: Too long".to_owned()));
    let answer = fixture.put(&json!({}));
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(answer.message().ends_with("metadata.annotations: Too long"), "{}", answer.message());
}

#[test]
fn without_a_hub_there_is_nowhere_to_write() {
    let mut fixture = fixture();
    fixture.api.health = None;
    for answer in [fixture.put(&json!({})), fixture.patch(MERGE, &json!({}))] {
        assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(answer.json()["reason"], "MethodNotAllowed");
        assert!(
            answer.message().contains("without one: there is nowhere to write it"),
            "{}",
            answer.message()
        );
    }
    assert_eq!(fixture.get(&health("o1")).status, StatusCode::OK);
}

/// Where the versions that are shown are not those of the Secrets.
#[test]
fn rule_233_the_version_that_is_shown_is_good_for_one_write() {
    let mut shown = cluster("o1", CredentialType::ServiceAccountToken, "2026-01-02T00:00:00Z");
    (shown.resource_version, shown.version) = ("1".to_owned(), 99);
    let fixture = Fixture::new(vec![shown]);
    let named = json!({ "metadata": { "resourceVersion": "99" } });
    assert_eq!(fixture.put(&json!({ "metadata": { "resourceVersion": "98" } })).status, StatusCode::CONFLICT);
    assert_eq!(fixture.put(&named).status, StatusCode::OK);
    assert_eq!(fixture.put(&named).status, StatusCode::CONFLICT, "the Secret is another now");
}
