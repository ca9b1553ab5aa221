//! The file.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use anyhow::{Context, bail};
use serde::Serialize;

use crate::cli::output;

/// Writes a kubeconfig that only its owner can read.
pub(in crate::cli) fn save(path: &Path, kubeconfig: &impl Serialize, overwrite: bool) -> anyhow::Result<()> {
    let text = serde_saphyr::to_string(kubeconfig).context("cannot write YAML")?;
    if path == Path::new("-") {
        return output::write(&text);
    }
    if path.exists() && !overwrite {
        bail!("{} is there already; add --overwrite to replace it", path.display());
    }
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let file_name = path.file_name().with_context(|| format!("{} names no file", path.display()))?;
    let temporary = directory.join(format!(".{}.{}", file_name.to_string_lossy(), std::process::id()));
    let written =
        create(&temporary, &text).and_then(|()| std::fs::rename(&temporary, path)).inspect_err(|_| {
            // There is a key in it; the reason why it could not be written is the one to report.
            let _ = std::fs::remove_file(&temporary);
        });
    written.with_context(|| format!("cannot write {}", path.display()))
}

fn create(path: &Path, text: &str) -> std::io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_cannot_be_written_leaves_no_key_behind() {
        let directory = tempfile::tempdir().unwrap();
        let target = directory.path().join("taken");
        std::fs::create_dir(&target).unwrap();
        let error = save(&target, &json!({"key": "secret"}), true).unwrap_err();
        assert!(format!("{error:#}").contains("cannot write"), "{error:#}");
        let left: Vec<_> =
            std::fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert_eq!(left, [target]);
    }

    #[test]
    fn a_file_that_is_there_is_replaced_only_where_that_is_asked_for() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().unwrap();
        let target = directory.path().join("config");
        std::fs::write(&target, "mine").unwrap();
        let error = save(&target, &json!({}), false).unwrap_err().to_string();
        assert!(error.contains("is there already; add --overwrite"), "{error}");
        assert_eq!(std::fs::read_to_string(&target).unwrap(), "mine");
        save(&target, &json!({"kind": "Config"}), true).unwrap();
        assert!(std::fs::read_to_string(&target).unwrap().contains("Config"));
        assert_eq!(target.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }
}
