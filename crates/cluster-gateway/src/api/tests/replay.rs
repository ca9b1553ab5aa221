//! Replays what the Go original was recorded to answer: status, content type, reason, message, details and shape (keys
//! and types) are equal, except where a rule says otherwise.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::*;

/// Where ours differs on purpose: recording, rule, why.
const EXCEPTIONS: &[(&str, &str, &str)] = &[
    ("apis-protobuf.txt", "31", "JSON was offered too, and there is no protobuf encoder"),
    ("get-bad-secret.txt", "211, 213", "a labelled Secret that cannot be used is shown with the reason"),
    ("get-missing.txt", "216", "the text does not tell whether a Secret of that name exists"),
    ("list-field.txt", "92, 227", "the field selector is applied"),
    ("list-limit.txt", "228", "a list is cut into pages"),
    ("list-pretty.txt", "228", "a list is cut into pages"),
    ("list-protobuf.txt", "206", "the 406 is written as JSON"),
    ("list-table-object.txt", "228", "a list is cut into pages"),
    ("list-watch.txt", "27, 230", "watches are served"),
    ("health-put.txt", "232", "the answer is what was written, whatever the gate says"),
    ("health-patch-json.txt", "233", "a patch works; the original can never do it"),
    ("health-patch-merge.txt", "233", "a patch works; the original can never do it"),
    ("healthiness-check-on/health-patch-json.txt", "233", "a patch works; the original can never do it"),
    ("healthiness-check-on/health-patch-merge.txt", "233", "a patch works; the original can never do it"),
];

/// What ours says beyond the original: key, rule, why.
const ADDITIONS: &[(&str, &str, &str)] = &[
    ("resourceVersion", "230", "informers need it"),
    ("uid", "230", "clients tell by it whether an object is still the same"),
    ("fingerprint", "210", "instead of the credential"),
    ("notAfter", "210", "instead of the credential"),
    ("categories", "27", "kubectl get cluster-gateway"),
];

/// Recordings of authentication, authorization or the proxy: replayed over the whole server.
const NEEDS_SERVER: &[&str] = &[
    "group-version-anonymous.txt",
    "index-anonymous.txt",
    "list-anonymous.txt",
    "list-bob.txt",
    "metrics-anonymous.txt",
    "proxy-404.txt",
    "proxy-bad-secret.txt",
    "proxy-bob.txt",
    "proxy-dead.txt",
    "proxy-dotdot.txt",
    "proxy-doubleslash.txt",
    "proxy-encoded.txt",
    "proxy-healthz.txt",
    "proxy-impersonate-admin.txt",
    "proxy-missing-cluster.txt",
    "proxy-nopath.txt",
    "proxy-post.txt",
];

/// A recorded exchange.
struct Recording {
    caller: String,
    method: String,
    uri: String,
    headers: Vec<(String, String)>,
    sent: String,
    status: u16,
    answer_headers: Vec<(String, String)>,
    body: String,
}

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/transcripts")
}

/// Every file below the directory, whatever its folder.
fn files() -> Vec<String> {
    fn collect(folder: &Path, files: &mut Vec<String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                collect(&path, files);
            } else {
                files.push(path.strip_prefix(directory()).unwrap().to_str().unwrap().to_owned());
            }
        }
    }
    let mut files = Vec::new();
    collect(&directory(), &mut files);
    files.sort();
    files
}

fn header(line: &str) -> Option<(String, String)> {
    let (name, value) = line.split_once(": ")?;
    Some((name.to_ascii_lowercase(), value.to_owned()))
}

fn read(file: &str) -> Recording {
    let bytes = std::fs::read(directory().join(file)).unwrap();
    let text = String::from_utf8_lossy(&bytes).replace("\r\n", "\n");
    let (asked, answered) = text.split_once("# curl exit 0\n").unwrap_or_else(|| panic!("{file}: no answer"));
    let caller = asked.lines().next().unwrap().trim_start_matches("# caller: ").to_owned();
    let mut asked = asked.lines().filter_map(|line| line.strip_prefix('>')).map(str::trim_start);
    let (method, uri) = asked.next().unwrap().split_once(' ').unwrap();
    // An empty line parts the headers from the body.
    let headers =
        asked.by_ref().take_while(|line| !line.is_empty()).map(|line| header(line).unwrap()).collect();
    let (head, body) = answered.split_once("\n\n").unwrap_or((answered, ""));
    let mut head = head.lines();
    let status = head.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    Recording {
        caller,
        method: method.to_owned(),
        uri: uri.to_owned(),
        headers,
        sent: asked.next().unwrap_or_default().to_owned(),
        status,
        answer_headers: head.filter_map(header).collect(),
        body: body.to_owned(),
    }
}

impl Recording {
    fn header(&self, name: &str) -> &str {
        self.answer_headers.iter().find(|(own, _)| own == name).map_or("", |(_, value)| value)
    }

    fn needs_server(&self) -> bool {
        let rule_18_needs_nobody = ["/healthz", "/livez", "/readyz"].contains(&self.uri.as_str());
        self.uri.contains("/proxy") || !(self.caller.starts_with("admin") || rule_18_needs_nobody)
    }

    fn replay(&self, fixture: &Fixture) -> Answer {
        let mut headers: Vec<_> =
            self.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        // What the recordings were made with; it gets indented JSON.
        headers.push(("user-agent", "curl/7.88.1"));
        fixture.send(&self.method, &self.uri, &headers, &self.sent)
    }
}

/// A document without its values: objects keep their keys, lists the shapes of their items without repeats.
fn shape(value: &Value) -> Value {
    match value {
        Value::Null => "null".into(),
        Value::Bool(_) => "boolean".into(),
        Value::Number(_) => "number".into(),
        Value::String(_) => "string".into(),
        Value::Array(items) => {
            let shapes: BTreeSet<_> = items.iter().map(|item| shape(item).to_string()).collect();
            shapes.into_iter().collect()
        }
        Value::Object(map) => map.iter().map(|(key, value)| (key.clone(), shape(value))).collect(),
    }
}

/// What is not as it was recorded; empty: nothing.
fn differences(recording: &Recording, answer: &Answer) -> Vec<String> {
    let mut found = Vec::new();
    let mut check = |what: &str, ours: String, theirs: String| {
        if ours != theirs {
            found.push(format!("{what}: {ours} instead of {theirs}"));
        }
    };
    check("status", answer.status.as_str().to_owned(), recording.status.to_string());
    for name in ["content-type", "x-content-type-options", "vary"] {
        check(name, answer.header(name).to_owned(), recording.header(name).to_owned());
    }
    let has_etag = |etag: &str| (!etag.is_empty()).to_string();
    check("etag", has_etag(answer.header("etag")), has_etag(recording.header("etag")));
    match recording.header("content-type") {
        kind if kind.starts_with("application/json") => {
            let theirs: Value = serde_json::from_str(&recording.body).unwrap();
            let mut ours = without_bad(serde_json::from_str(&answer.body).unwrap_or_default());
            without_additions(&mut ours);
            check("shape", shape(&ours).to_string(), shape(&theirs).to_string());
            // Of OpenAPI's paths only the keys are the same: what they lead to is named by its hash.
            let same = SAME_VALUES.iter().filter(|key| **key != "paths" || theirs["paths"].is_array());
            for key in same {
                check(key, format!("{:?}", ours.get(key)), format!("{:?}", theirs.get(key)));
            }
            let indented = |body: &str| body.starts_with("{\n  ").to_string();
            check("indentation", indented(&answer.body), indented(&recording.body));
        }
        "application/yaml" => check("keys", yaml_keys(&answer.body), yaml_keys(&recording.body)),
        _ => check("body", answer.body.trim_end().to_owned(), recording.body.trim_end().to_owned()),
    }
    found
}

const SAME_VALUES: [&str; 9] =
    ["kind", "apiVersion", "status", "reason", "message", "details", "code", "paths", "columnDefinitions"];

/// Rule 213: ours lists the unusable cluster too, the original leaves it out.
fn without_bad(mut list: Value) -> Value {
    if let Some(items) = list.get_mut("items").and_then(Value::as_array_mut) {
        items.retain(|item| item["metadata"]["name"] != "bad");
    }
    if let Some(rows) = list.get_mut("rows").and_then(Value::as_array_mut) {
        rows.retain(|row| row["cells"][0] != "bad");
    }
    list
}

/// [`ADDITIONS`], more columns, and the short name of `clustergateways` (rule 27).
fn without_additions(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.retain(|key, _| !ADDITIONS.iter().any(|(added, ..)| added == key));
            if ["name", "resource"].iter().any(|key| map.get(*key) == Some(&"clustergateways".into())) {
                map.remove("shortNames");
            }
            if let Some(Value::Array(columns)) = map.get_mut("columnDefinitions") {
                // Ours of `clustergateways` follow (rule 203).
                if columns.get(1).is_some_and(|column| column["name"] == "Provider") {
                    columns.truncate(5);
                }
            }
            map.values_mut().for_each(without_additions);
        }
        Value::Array(items) => items.iter_mut().for_each(without_additions),
        _ => {}
    }
}

fn yaml_keys(text: &str) -> String {
    let keys = text.lines().filter_map(|line| line.split_once(':')).map(|(key, _)| key);
    let added = |key: &str| ADDITIONS.iter().any(|(added, ..)| *added == key.trim());
    keys.filter(|key| *key != "    healthyReason" && !added(key))
        .collect::<BTreeSet<_>>()
        .into_iter()
        .collect::<Vec<_>>()
        .join("\n")
}

#[test]
fn recorded_exchanges_are_answered_as_the_original_did() {
    let plain = Fixture::new(recorded());
    let with_health = Fixture::with(recorded_with_health(), true);
    let excepted: BTreeSet<_> = EXCEPTIONS.iter().map(|(file, ..)| *file).collect();
    let mut needs_server = Vec::new();
    let mut needless: BTreeSet<_> = ADDITIONS.iter().map(|(key, ..)| *key).collect();
    for file in files() {
        let recording = read(&file);
        if recording.needs_server() {
            needs_server.push(file);
            continue;
        }
        let fixture = if file.starts_with("healthiness-check-on/") { &with_health } else { &plain };
        let answer = recording.replay(fixture);
        assert!(!answer.body.contains(TOKEN) && !answer.body.contains("PRIVATE"), "{file} shows a secret");
        needless.retain(|key| !answer.body.contains(&format!("\"{key}\"")));
        let differences = differences(&recording, &answer);
        // What needs no exception must not have one.
        assert_eq!(differences.is_empty(), !excepted.contains(file.as_str()), "{file}: {differences:#?}");
    }
    assert!(needless.is_empty(), "nothing says {needless:?}");
    assert_eq!(needs_server, NEEDS_SERVER, "what is left for the whole server");
}

/// The clusters of the recordings with the gate `HealthinessCheck`, after health was recorded for two of them.
fn recorded_with_health() -> Vec<Cluster> {
    use cluster_gateway_client::v1alpha1::{ANNOTATION_HEALTHY, ANNOTATION_HEALTHY_REASON};
    let mut clusters = recorded();
    for cluster in clusters.iter_mut().filter(|cluster| matches!(&*cluster.name, "m1" | "o1")) {
        cluster.annotations.insert(ANNOTATION_HEALTHY.to_owned(), "true".to_owned());
        cluster.annotations.insert(ANNOTATION_HEALTHY_REASON.to_owned(), "MyReason".to_owned());
    }
    clusters
}

#[test]
fn every_exception_names_a_recording() {
    let files = files();
    for (file, rule, why) in EXCEPTIONS {
        assert!(files.iter().any(|known| known == file), "{file} is not there (rule {rule}: {why})");
    }
}
