//! Programs as small shell scripts.

use std::fs;
use std::time::SystemTime;

use futures_util::future::join_all;
use http::{HeaderMap, header};
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::config::ApiVersion;
use super::*;

const V1: &str = "client.authentication.k8s.io/v1";
const INFO: ClusterInfo<'_> = ClusterInfo {
    name: "c",
    server: "https://m.test:6443",
    tls_server_name: None,
    insecure: false,
    ca_bundle: None,
    proxy_url: None,
};

fn policy() -> ExecPolicy {
    ExecPolicy {
        commands: vec!["/bin/sh".into()],
        environment: vec![("PATH".into(), "/usr/bin:/bin".into())],
        timeout: Duration::from_secs(20),
        ..ExecPolicy::default()
    }
}

fn exec(script: &str) -> Value {
    json!({"apiVersion": V1, "command": "/bin/sh", "args": ["-c", script], "interactiveMode": "Never"})
}

fn read(exec: &Value) -> Result<ExecConfig, String> {
    ExecConfig::read(exec.to_string().as_bytes(), &INFO, &policy())
}

fn credential_of(exec: &Value, policy: ExecPolicy) -> Arc<ExecCredential> {
    let config = ExecConfig::read(exec.to_string().as_bytes(), &INFO, &policy).unwrap();
    Arc::new(ExecCredential::new(config, Arc::new(ExecPlugins::new(policy))))
}

fn credential(script: &str) -> Arc<ExecCredential> {
    credential_of(&exec(script), policy())
}

/// A script that says `status`; text in it is as in a shell's double quotes.
fn says(status: &Value) -> String {
    let answer = json!({"apiVersion": V1, "kind": "ExecCredential", "status": status}).to_string();
    format!("printf %s \"{}\"", answer.replace('"', "\\\""))
}

/// Counts its runs in `file`, and gives their number as the token.
fn counting(file: &std::path::Path) -> String {
    let token = says(&json!({"token": format!("run-$(wc -l < {})", file.display())}));
    format!("echo run >> {}; {token}", file.display())
}

fn runs(file: &std::path::Path) -> usize {
    fs::read_to_string(file).unwrap_or_default().lines().count()
}

fn authorization(issued: &Issued) -> String {
    let mut headers = HeaderMap::new();
    headers.insert(header::AUTHORIZATION, "Bearer the caller's own".parse().unwrap());
    issued.attach(&mut headers);
    headers.get(header::AUTHORIZATION).map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default()
}

async fn until(condition: impl Fn() -> bool) {
    for _ in 0..500 {
        if condition() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("it never came to that");
}

#[test]
fn rule_273_only_programs_that_the_operator_names_are_run() {
    let text = exec("true").to_string();
    let refusal = |policy: &ExecPolicy| ExecConfig::read(text.as_bytes(), &INFO, policy).unwrap_err();
    assert!(refusal(&ExecPolicy::default()).contains("--allow-exec-credential-command="));
    let allow = |paths: &[&str]| ExecPolicy {
        commands: paths.iter().map(PathBuf::from).collect(),
        ..ExecPolicy::default()
    };
    assert!(refusal(&allow(&["/usr/bin/aws"])).contains("\"/bin/sh\" is not among those"));
    let resolved =
        |command: &str| allow(&["/usr/bin/aws", "/opt/a/x", "/opt/b/x"]).resolve(command).map(Path::to_owned);
    assert_eq!(resolved("/usr/bin/aws"), Ok("/usr/bin/aws".into()));
    assert_eq!(resolved("aws"), Ok("/usr/bin/aws".into()));
    assert_eq!(resolved("/opt/b/x"), Ok("/opt/b/x".into()));
    assert!(resolved("x").unwrap_err().contains("absolute path"));
    for other in
        ["./aws", "bin/aws", "/usr/bin/../bin/aws", "/tmp/aws", "/usr/bin/aws ", "AWS", "usr/bin/aws", ""]
    {
        assert!(resolved(other).is_err(), "{other:?}");
    }
}

#[test]
fn rule_273_what_cannot_be_run_as_meant_is_refused_without_repeating_secrets() {
    let with = |key: &str, value: Value| {
        let mut exec = exec("hunter2");
        exec[key] = value;
        exec.to_string()
    };
    let variable = |name: &str| with("env", json!([{"name": name, "value": "hunter2"}]));
    for (text, expected) in [
        (String::new(), "missing or empty"),
        ("{hunter2: [".into(), "neither JSON nor YAML"),
        ("[]".into(), "expected a mapping"),
        (with("command", Value::Null), "command is missing"),
        (with("apiVersion", "client.authentication.k8s.io/v1alpha1".into()), "apiVersion: expected"),
        (with("apiVersion", Value::Null), "apiVersion: expected"),
        (with("interactiveMode", "Always".into()), "no terminal"),
        (with("args", "hunter2".into()), "args: expected"),
        (with("args", json!(["hunter2", 1])), "args: expected"),
        (with("args", json!(["hunter2\0"])), "args: expected"),
        (with("provideClusterInfo", "hunter2".into()), "provideClusterInfo: expected true or false"),
        (with("env", json!([{"value": "hunter2"}])), "env[0].name is missing"),
        (variable("A=B"), "env[0].name: not the name"),
        (variable("LD_PRELOAD"), "LD_PRELOAD decides which code runs"),
        (variable("ld_library_path"), "decides which code runs"),
        (variable("PATH"), "decides which code runs"),
        (variable("BASH_ENV"), "decides which code runs"),
        (variable("PYTHONPATH"), "decides which code runs"),
        (variable("NODE_OPTIONS"), "decides which code runs"),
        (variable("KUBERNETES_EXEC_INFO"), "decides which code runs"),
    ] {
        let error = ExecConfig::read(text.as_bytes(), &INFO, &policy()).unwrap_err();
        assert!(
            error.contains(expected) && !error.contains("hunter2"),
            "{error:?} does not say {expected:?}"
        );
    }
    let yaml = format!("apiVersion: {V1}\ncommand: sh\ninteractiveMode: IfAvailable\nenv: null\n");
    assert!(ExecConfig::read(yaml.as_bytes(), &INFO, &policy()).is_ok());
    assert!(!format!("{:?}", read(&exec("hunter2")).unwrap()).contains("hunter2"));
}

#[test]
fn rule_273_what_was_given_is_kept_for_the_same_program_with_the_same_input_only() {
    let fingerprint = |exec: &Value| *read(exec).unwrap().fingerprint();
    let mut told = exec("true");
    told["provideClusterInfo"] = true.into();
    let mut set = exec("true");
    set["env"] = json!([{"name": "A", "value": "1"}]);
    let all =
        [fingerprint(&exec("true")), fingerprint(&exec("false")), fingerprint(&told), fingerprint(&set)];
    for (index, one) in all.iter().enumerate() {
        assert!(all[..index].iter().all(|other| other != one));
    }
    assert_eq!(fingerprint(&exec("true")), all[0]);
    let elsewhere = ClusterInfo { server: "https://other", ..INFO };
    let elsewhere = ExecConfig::read(told.to_string().as_bytes(), &elsewhere, &policy()).unwrap();
    assert_ne!(*elsewhere.fingerprint(), fingerprint(&told));
}

#[tokio::test]
async fn rule_273_a_program_gets_a_clean_environment_and_is_told_what_client_go_tells() {
    let script = says(&json!({"token": "$PATH,$A,$HOME,$CARGO_MANIFEST_DIR,$PWD,$(env | wc -l)"}));
    let mut exec = exec(&script);
    exec["env"] = json!([{"name": "A", "value": "1"}]);
    let token = authorization(&credential_of(&exec, policy()).obtain().await.unwrap());
    // PATH, A, what it is told, and PWD and perhaps OLDPWD, _ or SHLVL of the shell itself.
    let (known, variables) = token.rsplit_once(',').unwrap();
    assert_eq!(known, "Bearer /usr/bin:/bin,1,,,/");
    assert!(variables.parse::<usize>().unwrap() <= 6, "{token}");

    let told = |exec: &Value, info: &ClusterInfo<'_>| -> Value {
        let config = ExecConfig::read(exec.to_string().as_bytes(), info, &policy()).unwrap();
        let told = config.environment.iter().find(|(name, _)| name == "KUBERNETES_EXEC_INFO").unwrap();
        serde_json::from_str(&told.1).unwrap()
    };
    let bare = json!({"apiVersion": V1, "kind": "ExecCredential", "spec": {"interactive": false}});
    let info = ClusterInfo {
        tls_server_name: Some("n"),
        insecure: true,
        ca_bundle: Some(b"pem"),
        proxy_url: Some("http://p"),
        ..INFO
    };
    assert_eq!(told(&exec, &info), bare);
    exec["provideClusterInfo"] = true.into();
    assert_eq!(
        told(&exec, &info)["spec"]["cluster"],
        json!({
            "server": "https://m.test:6443",
            "tls-server-name": "n",
            "insecure-skip-tls-verify": true,
            "certificate-authority-data": "cGVt",
            "proxy-url": "http://p",
        })
    );
    assert_eq!(told(&exec, &INFO)["spec"]["cluster"], json!({"server": "https://m.test:6443"}));
}

#[tokio::test]
async fn rule_273_one_run_serves_everybody() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("runs");
    let credential = credential(&counting(&file));
    assert!(credential.current().is_none(), "nothing runs before it is needed");
    let all = join_all((0..20).map(|_| credential.obtain())).await;
    assert!(all.iter().all(|issued| authorization(issued.as_ref().unwrap()) == "Bearer run-1"));
    assert_eq!(authorization(&credential.current().unwrap()), "Bearer run-1");
    assert_eq!(runs(&file), 1);
    assert!(!format!("{credential:?} {:?}", credential.current()).contains("run-1"));
}

#[tokio::test]
async fn rule_273_who_stops_waiting_does_not_end_the_run() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("runs");
    let credential = credential(&format!("sleep 0.2; {}", counting(&file)));
    let _ = tokio::time::timeout(Duration::from_millis(20), credential.obtain()).await;
    assert_eq!(authorization(&credential.obtain().await.unwrap()), "Bearer run-1");
    assert_eq!(runs(&file), 1);
}

#[tokio::test]
async fn rule_273_a_failure_is_told_to_all_and_the_program_left_alone_for_a_while() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("runs");
    let script = format!(
        "echo run >> {}; echo 'Unable to locate credentials for hunter2 \
         eyJhbGciOiJSUzI1NiIsImtpZCI6IiJ9.eyJpc3MiOiJr.c2lnbmF0dXJl\nprofile' >&2; exit 3",
        file.display()
    );
    let mut exec = exec(&script);
    exec["env"] = json!([{"name": "PASSWORD", "value": "hunter2"}]);
    let credential = credential_of(&exec, policy());
    let first = credential.obtain().await.unwrap_err();
    assert_eq!(
        first,
        "the credential program /bin/sh failed (exit status: 3); it says: Unable to locate credentials for *** *** profile"
    );
    for _ in 0..5 {
        assert_eq!(credential.obtain().await.unwrap_err(), first);
    }
    assert_eq!(runs(&file), 1);
    tokio::time::sleep(BACKOFF).await;
    credential.obtain().await.unwrap_err();
    assert_eq!(runs(&file), 2);
    let failure = credential.state.load().failure.clone().unwrap();
    assert_eq!(failure.backoff, 2 * BACKOFF);
}

#[tokio::test]
async fn rule_273_a_program_that_hangs_is_ended_with_all_it_has_started() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("pid");
    let script = format!("sleep 1000 & echo $! > {}; wait", file.display());
    let policy = ExecPolicy { timeout: Duration::from_millis(500), ..policy() };
    let error = credential_of(&exec(&script), policy).obtain().await.unwrap_err();
    assert!(error.contains("did not end within 500ms and was killed"), "{error}");
    let pid = fs::read_to_string(&file).unwrap();
    let alive = || {
        let stat = fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
        // An orphan may wait for init to notice that it is dead.
        !stat.is_empty() && !stat.contains(") Z ")
    };
    until(|| !alive()).await;
}

#[tokio::test]
async fn rule_273_output_is_bounded_and_nonsense_is_refused() {
    for (script, expected) in [
        ("head -c 2000000 /dev/zero; sleep 1000".to_owned(), "wrote more than 1048576 bytes"),
        ("head -c 3000000 /dev/zero >&2; exit 1".to_owned(), "failed (exit status: 1)"),
        ("kill -9 $$".to_owned(), "failed (signal: 9"),
        ("echo hunter2".to_owned(), "its output is not JSON"),
        ("true".to_owned(), "its output is not JSON"),
    ] {
        let error = credential(&script).obtain().await.unwrap_err();
        assert!(
            error.contains(expected) && !error.contains("hunter2"),
            "{error:?} does not say {expected:?}"
        );
        assert!(error.len() < 4000);
    }
    let commands = vec!["/no/such/program".into(), "/etc/passwd".into()];
    for (command, expected) in
        [("program", "is not in the gateway's file system"), ("passwd", "cannot be run")]
    {
        let mut exec = exec("");
        exec["command"] = command.into();
        exec["installHint"] = "get it\nfrom us".into();
        let policy = ExecPolicy { commands: commands.clone(), ..policy() };
        let error = credential_of(&exec, policy).obtain().await.unwrap_err();
        assert!(error.contains(expected) && error.ends_with("; get it from us"), "{error}");
    }
}

#[tokio::test]
async fn rule_273_bad_programs_leave_places_for_the_others() {
    let policy = ExecPolicy { timeout: Duration::from_millis(300), ..policy() };
    let plugins = Arc::new(ExecPlugins::new(policy.clone()));
    let with = |script: &str| {
        let config = ExecConfig::read(exec(script).to_string().as_bytes(), &INFO, &policy).unwrap();
        Arc::new(ExecCredential::new(config, Arc::clone(&plugins)))
    };
    let bad: Vec<_> = (0..2 * AT_ONCE).map(|_| with("sleep 1000")).collect();
    for result in join_all(bad.iter().map(ExecCredential::obtain)).await {
        result.unwrap_err();
    }
    // All of them again, now as suspects.
    tokio::time::sleep(BACKOFF).await;
    let again: Vec<_> = bad.iter().map(|bad| bad.start()).collect();
    until(|| plugins.places_of_suspects.available_permits() == 0).await;
    assert_eq!(plugins.places.available_permits(), AT_ONCE);
    with(&says(&json!({"token": "t"}))).obtain().await.unwrap();
    for mut run in again {
        let _ = run.changed().await;
    }
}

/// What is made of `status`.
fn answered(status: &Value) -> Result<Issued, String> {
    let answer = json!({"apiVersion": V1, "kind": "ExecCredential", "status": status});
    answer::read(answer.to_string().as_bytes(), ApiVersion::V1)
}

fn in_seconds(seconds: u64) -> String {
    let time = OffsetDateTime::from(SystemTime::now() + Duration::from_secs(seconds));
    time.format(&Rfc3339).unwrap()
}

#[test]
fn rule_273_version_and_completeness_of_an_answer_are_checked() {
    let pair = rcgen::generate_simple_self_signed(vec!["c".to_owned()]).unwrap();
    let (certificate, key) = (pair.cert.pem(), pair.signing_key.serialize_pem());
    for (status, expected) in [
        (Value::Null, "status is missing"),
        (json!({}), "neither a token nor a certificate"),
        (json!({"token": ""}), "neither a token nor a certificate"),
        (json!({"token": "hunter2\nx: y"}), "no bearer token has"),
        (json!({"token": 7}), "status.token: expected a string"),
        (json!({"token": "t", "clientKeyData": key}), "only one of"),
        (json!({"clientCertificateData": certificate}), "only one of"),
        (
            json!({"clientCertificateData": certificate, "clientKeyData": "hunter2"}),
            "\"tls.key\" holds no PEM",
        ),
        (json!({"token": "t", "expirationTimestamp": "hunter2"}), "expirationTimestamp: expected a time"),
        (json!({"token": "t", "expirationTimestamp": "2020-01-01T00:00:00Z"}), "had expired"),
    ] {
        let error = answered(&status).unwrap_err();
        assert!(
            error.contains(expected) && !error.contains("hunter2"),
            "{error:?} does not say {expected:?}"
        );
    }
    for (kind, version) in
        [("ExecCredential", "client.authentication.k8s.io/v1beta1"), ("Secret", V1), ("ExecCredential", "")]
    {
        let answer = json!({"apiVersion": version, "kind": kind, "status": {"token": "t"}}).to_string();
        let error = answer::read(answer.as_bytes(), ApiVersion::V1).unwrap_err();
        assert!(error.contains("of the apiVersion that the Secret names"), "{error}");
    }
    let both = json!({"token": "t", "clientCertificateData": certificate, "clientKeyData": key});
    let both = answered(&both).unwrap();
    assert!(both.client_certificate().is_some() && authorization(&both) == "Bearer t");
    let only = answered(&json!({"clientCertificateData": certificate, "clientKeyData": key})).unwrap();
    assert_eq!(authorization(&only), "", "the caller's own is taken away");
}

#[test]
fn rule_273_a_credential_is_renewed_in_time_and_not_used_in_its_last_minute() {
    let life = |status: &Value| {
        let issued = answered(status).unwrap();
        let after = |at: Option<Instant>| at.map(|at| (at - issued.since).as_secs_f64().round() as u64);
        (after(issued.renew), after(issued.expires))
    };
    assert_eq!(life(&json!({"token": "t"})), (None, None));
    let until = |seconds| json!({"token": "t", "expirationTimestamp": in_seconds(seconds)});
    assert_eq!(life(&until(900)), (Some(720), Some(840)));
    assert_eq!(life(&until(100)), (Some(80), Some(90)));
    let mut parameters = rcgen::CertificateParams::new(vec!["c".to_owned()]).unwrap();
    parameters.not_after = OffsetDateTime::now_utc() + Duration::from_secs(1000);
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = parameters.self_signed(&key).unwrap().pem();
    let mut both = json!({"clientCertificateData": certificate, "clientKeyData": key.serialize_pem()});
    assert!(matches!(life(&both), (Some(799..=800), Some(939..=940))), "its own end counts as well");
    both["expirationTimestamp"] = in_seconds(100).into();
    assert_eq!(life(&both), (Some(80), Some(90)));
}

#[tokio::test]
async fn rule_273_renewal_goes_on_in_the_background_and_expiry_is_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("runs");
    let credential = credential(&counting(&file));
    let put = |renew: Option<Instant>, expires: Option<Instant>| {
        let issued = Issued { renew, expires, ..answered(&json!({"token": "old"})).unwrap() };
        credential.state.store(Arc::new(State { issued: Some(Arc::new(issued)), failure: None }));
    };
    let now = Instant::now();
    put(Some(now), Some(now + Duration::from_secs(100)));
    assert_eq!(authorization(&credential.current().unwrap()), "Bearer old", "nobody waits");
    until(|| authorization(&credential.current().unwrap()) == "Bearer run-1").await;
    put(Some(now), Some(now));
    assert!(credential.current().is_none());
    assert_eq!(authorization(&credential.obtain().await.unwrap()), "Bearer run-2");
}

#[tokio::test]
async fn rule_273_what_is_still_good_is_used_although_its_renewal_fails() {
    let credential = credential("exit 1");
    let now = Instant::now();
    let expires = Some(now + Duration::from_secs(100));
    let issued = Issued { renew: Some(now), expires, ..answered(&json!({"token": "old"})).unwrap() };
    credential.state.store(Arc::new(State { issued: Some(Arc::new(issued)), failure: None }));
    credential.current().unwrap();
    until(|| credential.state.load().failure.is_some()).await;
    assert_eq!(authorization(&credential.obtain().await.unwrap()), "Bearer old");
}

#[tokio::test]
async fn a_401_makes_the_program_run_again_once_and_not_for_what_is_new() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("runs");
    let credential = credential(&counting(&file));
    let new = credential.obtain().await.unwrap();
    credential.refused(&new);
    let issued = answered(&json!({"token": "old"})).unwrap();
    let old = Arc::new(Issued { since: Instant::now() - policy().least_age, ..issued });
    credential.refused(&old);
    assert!(credential.running.lock().unwrap().is_none(), "neither what is new nor what is no longer used");
    credential.state.store(Arc::new(State { issued: Some(Arc::clone(&old)), failure: None }));
    credential.refused(&old);
    credential.refused(&old);
    until(|| authorization(&credential.current().unwrap()) == "Bearer run-2").await;
    assert_eq!(runs(&file), 2);
}
