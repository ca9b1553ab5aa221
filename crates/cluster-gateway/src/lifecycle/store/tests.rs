//! The directory; the hub's Secrets have component tests on a fake hub (`tests/it/lifecycle`).

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use k8s_openapi::ByteString;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use tempfile::TempDir;

use super::*;

fn secret(name: &str, token: &str) -> Secret {
    let labels = [(LABEL_CREDENTIAL_TYPE.to_owned(), "ServiceAccountToken".to_owned())].into();
    let data = [("endpoint", "https://h:1"), ("token", token)]
        .map(|(key, value)| (key.to_owned(), ByteString(value.as_bytes().to_vec())));
    Secret {
        metadata: ObjectMeta { name: Some(name.to_owned()), labels: Some(labels), ..ObjectMeta::default() },
        data: Some(data.into()),
        ..Secret::default()
    }
}

fn directory() -> (TempDir, Store) {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::directory(directory.path());
    (directory, store)
}

/// All files, hidden ones too.
fn files(directory: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap());
    entries
        .map(|entry| (entry.file_name().into_string().unwrap(), std::fs::read(entry.path()).unwrap()))
        .collect()
}

#[tokio::test]
async fn a_cluster_is_one_file_for_its_owners_eyes() {
    let (directory, store) = directory();
    // Tokens whose base64 or text YAML could take for something else than text.
    for (name, token) in
        [("a", "1e5"), ("b", "\u{d5}]\u{1}"), ("c", "null"), ("d", "~"), ("e", "a: b\n- c # d")]
    {
        let made = store.create(&secret(name, token)).await.unwrap();
        assert_eq!(made.data, secret(name, token).data);
        assert!(made.metadata.creation_timestamp.is_some() && made.metadata.resource_version.is_some());
        let path = directory.path().join(format!("{name}.yaml"));
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }
    let listed = store.list().await.unwrap();
    let names: Vec<_> = listed.iter().map(|entry| name_of(&entry.secret)).collect();
    assert_eq!(names, ["a", "b", "c", "d", "e"]);
    assert_eq!(files(directory.path()).len(), 5, "no drafts are left");
    let error = store.create(&secret("a", "t")).await.unwrap_err();
    assert!(matches!(error, StoreError::Exists(_)), "{error:?}");
}

#[tokio::test]
async fn what_has_changed_meanwhile_is_not_written() {
    let (directory, store) = directory();
    let first = store.create(&secret("a", "1")).await.unwrap();
    let mut second = first.clone();
    second.metadata.annotations = Some([("x".to_owned(), "y".to_owned())].into());
    let second = store.replace(&second).await.unwrap();
    assert_eq!(second.metadata.creation_timestamp, first.metadata.creation_timestamp);
    let before = files(directory.path());
    for error in [store.replace(&first).await.unwrap_err(), store.delete(&first).await.unwrap_err()] {
        assert!(matches!(error, StoreError::Changed(_)), "{error:?}");
    }
    assert_eq!(files(directory.path()), before);
    store.delete(&second).await.unwrap();
    assert!(matches!(store.delete(&second).await, Err(StoreError::NotFound(_))));
    assert!(store.get("a").await.unwrap().is_none());
}

#[tokio::test]
async fn only_a_file_of_one_secret_is_written() {
    let (directory, store) = directory();
    let manifest = |name: &str| {
        format!(
            "apiVersion: v1\nkind: Secret\nmetadata: {{name: {name}, labels: {{{LABEL_CREDENTIAL_TYPE}: \
             ServiceAccountToken}}}}\nstringData: {{endpoint: 'https://h', token: t}}\n"
        )
    };
    std::fs::write(directory.path().join("two.yaml"), [manifest("a"), manifest("b")].join("---\n")).unwrap();
    std::fs::write(directory.path().join("one.yml"), manifest("c")).unwrap();
    let kubeconfig = "apiVersion: v1\nkind: Config\nclusters: [{name: c, cluster: {server: 'https://h'}}]\n\
                      users: [{name: u, user: {token: t}}]\ncontexts: [{name: d, context: {cluster: c, user: u}}]\n";
    std::fs::write(directory.path().join("config"), kubeconfig).unwrap();
    let before = files(directory.path());
    for (name, why) in [("a", "more than this one Secret"), ("d", "is a kubeconfig")] {
        let found = store.cluster(name).await.unwrap();
        let error = store.delete(&found.secret).await.unwrap_err();
        assert!(matches!(&error, StoreError::Foreign(words) if words.contains(why)), "{error:?}");
    }
    // The name of a file is taken also where it holds something else.
    std::fs::write(directory.path().join("e.yaml"), "kind: ConfigMap\napiVersion: v1\n").unwrap();
    assert!(matches!(store.create(&secret("e", "t")).await, Err(StoreError::Exists(_))));
    std::fs::remove_file(directory.path().join("e.yaml")).unwrap();
    assert_eq!(files(directory.path()), before);
    let found = store.cluster("c").await.unwrap();
    store.delete(&found.secret).await.unwrap();
    assert!(!directory.path().join("one.yml").exists());
}

#[tokio::test]
async fn what_is_put_back_is_the_file_as_it_was() {
    let (directory, store) = directory();
    let text = format!(
        "# mine\napiVersion: v1\nkind: Secret\nmetadata:\n  name: a\n  labels: {{{LABEL_CREDENTIAL_TYPE}: \
         ServiceAccountToken}}\nstringData: {{token: t, endpoint: 'https://h'}}\n"
    );
    std::fs::write(directory.path().join("a.yaml"), &text).unwrap();
    let before = files(directory.path());
    let snapshot = store.snapshot("a").await.unwrap();
    let mut changed = snapshot.cluster().unwrap().clone();
    changed.data = secret("a", "other").data;
    let written = store.replace(&changed).await.unwrap();
    assert_ne!(files(directory.path()), before);
    store.restore(&snapshot, Some(&written)).await.unwrap();
    assert_eq!(files(directory.path()), before);

    store.delete(snapshot.cluster().unwrap()).await.unwrap();
    store.restore(&snapshot, None).await.unwrap();
    assert_eq!(files(directory.path()), before);

    let nothing = store.snapshot("b").await.unwrap();
    let made = store.create(&secret("b", "t")).await.unwrap();
    store.restore(&nothing, Some(&made)).await.unwrap();
    assert_eq!(files(directory.path()), before);

    // What somebody else has made of it stays.
    let made = store.create(&secret("b", "t")).await.unwrap();
    let mut theirs = made.clone();
    theirs.data = secret("b", "theirs").data;
    store.replace(&theirs).await.unwrap();
    assert!(matches!(store.restore(&nothing, Some(&made)).await, Err(StoreError::Refused(_))));
    assert!(store.get("b").await.unwrap().is_some());
}

#[tokio::test]
async fn foreign_secrets_and_missing_directories_are_told_apart() {
    let (directory, store) = directory();
    let mut foreign = secret("a", "t");
    foreign.metadata.labels = None;
    for answer in [
        store.create(&foreign).await.map(drop),
        store.replace(&foreign).await.map(drop),
        store.delete(&foreign).await,
    ] {
        assert!(matches!(answer, Err(StoreError::Foreign(_))), "{answer:?}");
    }
    assert!(matches!(store.cluster("a").await, Err(StoreError::NotFound(_))));
    drop(directory);
    let error = store.create(&secret("a", "t")).await.unwrap_err();
    assert!(matches!(error, StoreError::NotFound(_)), "{error:?}");
}
