use std::path::PathBuf;

use serde_json::json;

use super::*;

fn kubeconfig(cluster: &Value, user: &Value) -> String {
    json!({
        "kind": "Config", "current-context": "c",
        "clusters": [{"name": "x", "cluster": cluster}],
        "users": [{"name": "u", "user": user}],
        "contexts": [{"name": "c", "context": {"cluster": "x", "user": "u"}}],
    })
    .to_string()
}

fn code(text: &str) -> Code {
    source(text).unwrap_err().code
}

fn means(text: &str, name: &str, recorded: Option<&Record>, secret: Option<&Secret>) -> Result<bool, Code> {
    let request = CreateCluster { kube_config: text.to_owned(), ..CreateCluster::default() };
    credential(&request, name, recorded, secret)
        .map(|credential| matches!(credential, Credential::New(_)))
        .map_err(|refusal| refusal.code)
}

#[test]
fn a_kubeconfig_that_names_files_reads_none_of_this_machine() {
    let inline = kubeconfig(&json!({"server": "https://h"}), &json!({"token": "sesame"}));
    assert!(source(&inline).is_ok());
    for (cluster, user) in [
        (json!({"server": "https://h", "certificate-authority": "/etc/passwd"}), json!({"token": "t"})),
        (json!({"server": "https://h"}), json!({"tokenFile": "/etc/passwd"})),
        (json!({"server": "https://h"}), json!({"client-certificate": "/c", "client-key": "/k"})),
        (json!({"server": "https://h"}), json!({"client-key-data": "eA==", "client-certificate": "c"})),
    ] {
        let refusal = source(&kubeconfig(&cluster, &user)).unwrap_err();
        assert_eq!(refusal.code, Code::KubeconfigMalformed);
        assert!(refusal.message.contains("names a file") && refusal.remedy.is_some(), "{}", refusal.message);
        assert!(!refusal.message.contains("passwd"));
    }
}

#[test]
fn what_is_no_kubeconfig_is_told_apart_from_what_has_no_context() {
    let whole = kubeconfig(&json!({"server": "https://h"}), &json!({"token": "sesame"}));
    for bad in ["", "- a", "a: [", "\u{0}", &whole[..whole.len() / 2], "a: 1\n---\nb: 2", "contexts: {}"] {
        assert_eq!(code(bad), Code::KubeconfigMalformed, "{bad}");
    }
    for bad in [
        "kind: Config",
        "contexts: []",
        "{current-context: a, contexts: [{name: b}]}",
        "{contexts: [{name: a}, {name: b}]}",
    ] {
        assert_eq!(code(bad), Code::KubeconfigContext, "{bad}");
    }
    for text in ["clusters: sesame", "users: [{name: u, user: sesame}]\ncontexts: [{name: a}]"] {
        assert!(!source(text).unwrap_err().message.contains("sesame"), "{text}");
    }
}

#[test]
fn what_is_shown_in_place_of_a_kubeconfig_comes_back_as_unchanged() {
    let place = Place::Directory(PathBuf::new());
    for name in ["edge", "a.b", "1e3", "true", LOCAL] {
        let text = shown(&place, name);
        assert_eq!(means(&text, name, None, None), Ok(false), "{text}");
        // Editors add or take away what nobody sees.
        assert_eq!(means(&format!("\n{}\n\n", text.trim_end()), name, None, None), Ok(false));
        assert_eq!(means(&text, "other", None, None), Err(Code::KubeconfigMalformed), "{name}");
    }
    let moved = shown(&place, "edge").replace("ADDRESS-OF-THE-GATEWAY/apis", "10.0.0.9/else");
    assert_eq!(means(&moved, "edge", None, None), Err(Code::KubeconfigMalformed));
}

#[test]
fn what_is_known_already_is_no_change() {
    let text = kubeconfig(&json!({"server": "https://h"}), &json!({"token": "sesame"}));
    assert_eq!(means("", "edge", None, None), Ok(false));
    assert_eq!(means(" \n", "edge", None, None), Ok(false));
    assert_eq!(means(&text, "edge", None, None), Ok(true));
    let secret = source(&text).unwrap().member(None).unwrap().secret;
    assert_eq!(means(&text, "edge", None, Some(&secret)), Ok(false));
    let other = kubeconfig(&json!({"server": "https://h"}), &json!({"token": "another"}));
    assert_eq!(means(&other, "edge", None, Some(&secret)), Ok(true));
    let elsewhere = kubeconfig(&json!({"server": "https://i"}), &json!({"token": "sesame"}));
    assert_eq!(means(&elsewhere, "edge", None, Some(&secret)), Ok(true));
}

#[test]
fn the_name_of_a_secret_is_no_kubeconfig() {
    let request = CreateCluster { kube_config_secret: "s".to_owned(), ..CreateCluster::default() };
    let code = |recorded: Option<&Record>| {
        credential(&request, "edge", recorded, None).map(|_| ()).map_err(|refusal| refusal.code)
    };
    assert_eq!(code(None), Err(Code::SecretOnly));
    assert_eq!(code(Some(&Record::new("edge"))), Err(Code::SecretOnly));
    let same = Record { kube_config_secret: "s".to_owned(), ..Record::new("edge") };
    assert_eq!(code(Some(&same)), Ok(()));
}
