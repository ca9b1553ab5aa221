//! A new token in a Secret manifest: the file is replaced as a whole, or not touched.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use super::{ClustersDirectory, secret};
use crate::credential::Credential;
use crate::manifest::{Document, Fields};

/// Size of a file, in bytes, from which on it is not read.
const MAX_FILE: u64 = 8 * 1024 * 1024;
const ENDINGS: [&str; 3] = ["yaml", "yml", "json"];

impl ClustersDirectory {
    /// Puts a token and annotations into the manifest of the cluster `name`, a file called `NAME.yaml`, `NAME.yml` or
    /// `NAME.json` that holds this one Secret. Everything else in it stays as it is, but for comments and layout. It blocks.
    ///
    /// `false`: the file is there, but no longer holds the credential `before`; nothing was changed.
    ///
    /// # Errors
    /// There is no such file, or it cannot be written; in words that repeat nothing of it.
    pub fn put_token(
        &self,
        name: &str,
        before: &Credential,
        token: &str,
        annotations: &BTreeMap<String, String>,
    ) -> Result<bool, String> {
        let path = self.manifest(name)?;
        let text = read(&path)?;
        let said = |reason: String| format!("{}: {reason}", path.display());
        let mut object = only_secret(&path, &text, name).map_err(said)?;
        let found = secret::read(&Fields::of(&object, "").map_err(said)?).map_err(said)?;
        let data = found.data.unwrap_or_default();
        let found = data.get("token").and_then(|token| Credential::token(&token.0).ok());
        if !found.is_some_and(|found| found.is_same(before)) {
            return Ok(false);
        }
        change(&mut object, token, annotations);
        let text = match path.extension() {
            Some(ending) if ending == "json" => {
                serde_json::to_string_pretty(&object).map_err(|e| e.to_string())
            }
            _ => serde_saphyr::to_string(&object).map_err(|error| error.to_string()),
        };
        replace(&path, &text.map_err(said)?).map_err(|error| said(error.to_string()))?;
        Ok(true)
    }

    fn manifest(&self, name: &str) -> Result<PathBuf, String> {
        let paths = ENDINGS.map(|ending| self.directory.join(format!("{name}.{ending}")));
        paths.into_iter().find(|path| path.is_file()).ok_or_else(|| {
            format!(
                "there is no file {name}.yaml in {} that holds the Secret of this cluster alone, and no other file is \
                 written to",
                self.directory.display()
            )
        })
    }
}

fn read(path: &Path) -> Result<String, String> {
    let said = |reason: String| format!("{}: {reason}", path.display());
    let metadata = fs::symlink_metadata(path).map_err(|error| said(error.to_string()))?;
    if !metadata.is_file() {
        return Err(said("it is a link, and only plain files are replaced".to_owned()));
    }
    if metadata.len() >= MAX_FILE {
        return Err(said("it is too large".to_owned()));
    }
    fs::read_to_string(path).map_err(|error| said(error.to_string()))
}

/// The manifest, if it is the only one in the file.
fn only_secret(path: &Path, text: &str, name: &str) -> Result<Value, String> {
    let file = path.file_name().unwrap_or_default().to_string_lossy();
    let documents = Document::all(&file, text).map_err(|problem| problem.reason)?;
    let [document] = documents.as_slice() else {
        return Err(
            "it holds more than one document, and only a file with one Secret is written to".to_owned()
        );
    };
    let value = document.value().map_err(|problem| problem.reason)?;
    let is = |pointer: &str, text: &str| value.pointer(pointer).and_then(Value::as_str) == Some(text);
    if is("/kind", "Secret") && is("/apiVersion", "v1") && is("/metadata/name", name) {
        return Ok(value);
    }
    Err(format!("it is not the manifest of the Secret {name}"))
}

fn change(object: &mut Value, token: &str, annotations: &BTreeMap<String, String>) {
    if let Some(plain) = object.get_mut("stringData").and_then(Value::as_object_mut) {
        plain.remove("token");
    }
    if let Some(data) = mapping(object, "data") {
        data.insert("token".to_owned(), STANDARD.encode(token).into());
    }
    if let Some(own) = object.get_mut("metadata").and_then(|metadata| mapping(metadata, "annotations")) {
        own.extend(annotations.iter().map(|(key, value)| (key.clone(), value.clone().into())));
    }
}

/// The mapping at `key`, made if there is none.
fn mapping<'v>(value: &'v mut Value, key: &str) -> Option<&'v mut Map<String, Value>> {
    let slot = value.as_object_mut()?.entry(key).or_insert(Value::Null);
    if slot.is_null() {
        *slot = Value::Object(Map::new());
    }
    slot.as_object_mut()
}

/// Hidden while it is written: nobody reads half a file.
fn replace(path: &Path, text: &str) -> std::io::Result<()> {
    let mode = fs::metadata(path)?.mode() & 0o777;
    let file_name = path.file_name().unwrap_or_default().to_string_lossy();
    let draft = path.with_file_name(format!(".{file_name}.{}", std::process::id()));
    let written = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft);
    let written = written.and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        fs::set_permissions(&draft, std::os::unix::fs::PermissionsExt::from_mode(mode))?;
        file.sync_all()?;
        fs::rename(&draft, path)
    });
    written.inspect_err(|_| {
        // There is a token in it; the reason why it could not be written is the one to report.
        let _ = fs::remove_file(&draft);
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "# mine\napiVersion: v1\nkind: Secret\nmetadata:\n  name: m\n  labels: {l: x}\nstringData:\n  \
                          endpoint: https://m\n  token: old\n";

    struct Folder(tempfile::TempDir);

    impl Folder {
        fn with(files: &[(&str, &str)]) -> Self {
            let folder = tempfile::tempdir().unwrap();
            for (name, text) in files {
                fs::write(folder.path().join(name), text).unwrap();
            }
            Self(folder)
        }

        fn put(&self, before: &str) -> Result<bool, String> {
            let directory =
                ClustersDirectory { directory: self.0.path().to_owned(), ..ClustersDirectory::default() };
            let before = Credential::token(before.as_bytes()).unwrap();
            let annotations = BTreeMap::from([("a/b".to_owned(), "c: d".to_owned())]);
            directory.put_token("m", &before, "new", &annotations)
        }

        fn read(&self, file: &str) -> String {
            fs::read_to_string(self.0.path().join(file)).unwrap()
        }
    }

    #[test]
    fn the_token_of_a_manifest_is_replaced_and_all_else_stays() {
        let json = serde_json::json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "m",
            "annotations": {"x": "y"}}, "data": {"token": STANDARD.encode("old")}});
        for (file, text) in [("m.yaml", SECRET), ("m.json", &json.to_string())] {
            let folder = Folder::with(&[(file, text)]);
            assert_eq!(folder.put("other"), Ok(false));
            assert_eq!(folder.read(file), text, "somebody else's token is left alone");
            assert_eq!(folder.put("old"), Ok(true));
            let text = folder.read(file);
            let written = Document::all(file, &text).unwrap()[0].value().unwrap();
            assert_eq!(written["data"]["token"], STANDARD.encode("new"));
            assert_eq!(written["metadata"]["annotations"]["a/b"], "c: d");
            match file {
                "m.json" => assert_eq!(written["metadata"]["annotations"]["x"], "y"),
                _ => assert_eq!(written["stringData"], serde_json::json!({"endpoint": "https://m"})),
            }
            let left = fs::read_dir(folder.0.path()).unwrap().count();
            assert_eq!(left, 1, "no draft is left behind");
        }
    }

    #[test]
    fn a_file_that_is_not_this_one_secret_is_not_touched_and_said_so() {
        let two = format!("{SECRET}---\n{SECRET}");
        let other = SECRET.replace("name: m", "name: n");
        let kubeconfig = "apiVersion: v1\nkind: Config\n";
        for (text, word) in
            [(two.as_str(), "more than one"), (&other, "not the manifest"), (kubeconfig, "not the manifest")]
        {
            let folder = Folder::with(&[("m.yaml", text)]);
            let error = folder.put("old").unwrap_err();
            assert!(error.contains(word) && error.contains("m.yaml") && !error.contains("https:"), "{error}");
            assert_eq!(folder.read("m.yaml"), text);
        }
        assert!(Folder::with(&[]).put("old").unwrap_err().contains("no file m.yaml"));
        let folder = Folder::with(&[("elsewhere", SECRET)]);
        std::os::unix::fs::symlink(folder.0.path().join("elsewhere"), folder.0.path().join("m.yaml"))
            .unwrap();
        assert!(folder.put("old").unwrap_err().contains("a link"));
    }
}
