use std::fs;

use super::*;

fn written(directory: &std::path::Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn a_full_file_is_renamed_and_old_ones_are_removed() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("audit.log");
    for old in [
        "audit-2001-02-03T04-05-06.789.log",
        "audit-2001-02-03T04-05-07.000.log",
        "audit-notes.log",
        "other.log",
    ] {
        fs::write(directory.path().join(old), "old").unwrap();
    }
    let config = LogConfig { max_size: 1, max_backups: 2, ..LogConfig::to(LogTarget::File(path.clone())) };
    let mut log = Rotated::open(&path, &config).unwrap();
    assert_eq!(written(directory.path()).len(), 5, "two are within what is kept");
    let line = vec![b'x'; 400 << 10];
    for _ in 0..8 {
        log.write(&line).unwrap();
    }
    let names = written(directory.path());
    let backups: Vec<_> = names.iter().filter(|name| name.starts_with("audit-20")).collect();
    assert_eq!(backups.len(), 2, "{names:?}");
    assert!(backups.iter().all(|name| !name.starts_with("audit-2001")), "the oldest go first: {names:?}");
    for kept in ["audit-notes.log", "other.log", "audit.log"] {
        assert!(names.iter().any(|name| name == kept), "{kept} {names:?}");
    }
    for backup in backups {
        assert_eq!(fs::metadata(directory.path().join(backup)).unwrap().len(), 800 << 10, "whole lines");
    }
    assert_eq!(fs::metadata(&path).unwrap().len(), 800 << 10);
}

#[test]
fn old_files_go_by_age_and_none_go_unless_asked() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("audit");
    fs::write(directory.path().join("audit-2001-02-03T04-05-06.789"), "old").unwrap();
    let config = LogConfig::to(LogTarget::File(path.clone()));
    Rotated::open(&path, &config).unwrap();
    assert_eq!(written(directory.path()).len(), 2);
    Rotated::open(&path, &LogConfig { max_age: 7, ..config }).unwrap();
    assert_eq!(written(directory.path()), ["audit"]);
}

#[test]
fn a_log_is_appended_to_and_only_its_owner_can_read_it() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("audit.log");
    let config = LogConfig::to(LogTarget::File(path.clone()));
    for line in ["one\n", "two\n"] {
        Rotated::open(&path, &config).unwrap().write(line.as_bytes()).unwrap();
    }
    assert_eq!(fs::read_to_string(&path).unwrap(), "one\ntwo\n");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
}

#[tokio::test]
async fn a_log_that_cannot_be_opened_is_said_with_its_flag() {
    let config = LogConfig::to(LogTarget::File("/nowhere/audit.log".into()));
    let error = start(&config, &Arc::default()).unwrap_err().to_string();
    assert!(error.starts_with("--audit-log-path: cannot open /nowhere/audit.log: "), "{error}");
    assert!(error.ends_with("its directory must exist and be writable"), "{error}");
}
