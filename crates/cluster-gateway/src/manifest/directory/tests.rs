//! Files in, versions out.

use std::os::unix::fs::symlink;

use super::*;

/// Takes every text but one that starts with `bad`.
struct Texts;

impl Reader for Texts {
    type Output = String;

    fn wants(&self, file: &str) -> bool {
        file.ends_with(".txt")
    }

    fn parse(&self, file: &str, text: &str) -> Parsed<String> {
        if text.starts_with("bad") {
            return Parsed::refused(vec![Problem::of_file(file, "bad")]);
        }
        Parsed { value: Some(text.to_owned()), problems: Vec::new() }
    }
}

fn open(path: &Path) -> Directory<Texts> {
    Directory::open(path.to_owned(), Texts).unwrap()
}

fn in_force(directory: &Directory<Texts>) -> Vec<(String, String)> {
    directory.files().map(|(name, text)| (name.to_owned(), text.clone())).collect()
}

fn expect(directory: &Directory<Texts>, files: &[(&str, &str)]) {
    let files: Vec<_> = files.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
    assert_eq!(in_force(directory), files);
}

async fn changed(directory: Directory<Texts>) -> Directory<Texts> {
    let change = directory.changed(Duration::from_millis(5));
    tokio::time::timeout(Duration::from_secs(30), change).await.expect("the change is seen").unwrap()
}

#[test]
fn a_directory_that_is_not_there_is_an_error() {
    let root = tempfile::tempdir().unwrap();
    let missing = root.path().join("missing");
    let error = Directory::open(missing.clone(), Texts).err().unwrap();
    assert!(error.to_string().contains(&missing.display().to_string()), "{error}");
    fs::write(&missing, "a file").unwrap();
    assert!(Directory::open(missing, Texts).is_err());
}

#[test]
fn hidden_files_subdirectories_dead_links_and_other_endings_are_ignored() {
    let root = tempfile::tempdir().unwrap();
    fs::write(root.path().join(".hidden.txt"), "h").unwrap();
    fs::write(root.path().join("other.md"), "o").unwrap();
    fs::create_dir(root.path().join("sub.txt")).unwrap();
    symlink("nowhere", root.path().join("dead.txt")).unwrap();
    let directory = open(root.path());
    assert!(directory.is_empty());
    fs::write(root.path().join("a.txt"), "a").unwrap();
    expect(&open(root.path()), &[("a.txt", "a")]);
}

#[test]
fn what_is_too_large_or_no_text_is_refused_and_the_others_stand() {
    let root = tempfile::tempdir().unwrap();
    let large = fs::File::create(root.path().join("large.txt")).unwrap();
    large.set_len(8 * 1024 * 1024 + 1).unwrap();
    fs::File::create(root.path().join("limit.txt")).unwrap().set_len(8 * 1024 * 1024).unwrap();
    fs::write(root.path().join("latin.txt"), b"\xff").unwrap();
    fs::write(root.path().join("a.txt"), "a").unwrap();
    let directory = open(root.path());
    let names: Vec<_> = directory.files().map(|(name, _)| name).collect();
    assert_eq!(names, ["a.txt", "limit.txt"]);
}

#[tokio::test]
async fn a_file_that_becomes_bad_keeps_its_last_good_version_and_the_others_move_on() {
    let root = tempfile::tempdir().unwrap();
    let (a, b) = (root.path().join("a.txt"), root.path().join("b.txt"));
    fs::write(&a, "1").unwrap();
    fs::write(&b, "1").unwrap();
    let directory = open(root.path());
    fs::write(&a, "bad").unwrap();
    fs::write(&b, "2").unwrap();
    let directory = changed(directory).await;
    expect(&directory, &[("a.txt", "1"), ("b.txt", "2")]);
    fs::write(&a, b"\xff").unwrap();
    let directory = changed(directory).await;
    expect(&directory, &[("a.txt", "1"), ("b.txt", "2")]);
    fs::write(&a, "3").unwrap();
    let directory = changed(directory).await;
    expect(&directory, &[("a.txt", "3"), ("b.txt", "2")]);
    fs::remove_file(&a).unwrap();
    let directory = changed(directory).await;
    expect(&directory, &[("b.txt", "2")]);
}

#[tokio::test]
async fn a_new_version_of_the_same_size_is_seen() {
    let root = tempfile::tempdir().unwrap();
    let file = root.path().join("a.txt");
    fs::write(&file, "0").unwrap();
    let mut directory = open(root.path());
    for version in ["1", "2", "3", "4"] {
        fs::write(&file, version).unwrap();
        directory = changed(directory).await;
        expect(&directory, &[("a.txt", version)]);
    }
}

#[tokio::test]
async fn the_swapped_link_of_a_kubernetes_mount_is_seen() {
    let root = tempfile::tempdir().unwrap();
    for (version, text) in [("..1", "one"), ("..2", "two")] {
        fs::create_dir(root.path().join(version)).unwrap();
        fs::write(root.path().join(version).join("a.txt"), text).unwrap();
    }
    symlink("..1", root.path().join("..data")).unwrap();
    symlink("..data/a.txt", root.path().join("a.txt")).unwrap();
    let directory = open(root.path());
    expect(&directory, &[("a.txt", "one")]);
    symlink("..2", root.path().join("..data_tmp")).unwrap();
    fs::rename(root.path().join("..data_tmp"), root.path().join("..data")).unwrap();
    expect(&changed(directory).await, &[("a.txt", "two")]);
}

#[tokio::test]
async fn a_directory_that_vanishes_leaves_everything_in_force_until_it_is_back() {
    let root = tempfile::tempdir().unwrap();
    let (path, away) = (root.path().join("d"), root.path().join("away"));
    fs::create_dir(&path).unwrap();
    fs::write(path.join("a.txt"), "1").unwrap();
    let mut directory = open(&path);
    fs::rename(&path, &away).unwrap();
    assert!(!directory.look());
    expect(&directory, &[("a.txt", "1")]);
    fs::write(away.join("a.txt"), "2").unwrap();
    fs::rename(&away, &path).unwrap();
    expect(&changed(directory).await, &[("a.txt", "2")]);
}

#[test]
fn half_a_file_is_not_believed_before_it_settles() {
    let root = tempfile::tempdir().unwrap();
    let file = root.path().join("a.txt");
    fs::write(&file, "whole").unwrap();
    let mut directory = open(root.path());
    fs::write(&file, "").unwrap();
    assert!(directory.look());
    expect(&directory, &[("a.txt", "whole")]);
    fs::write(&file, "whole again").unwrap();
    assert!(directory.look());
    assert!(!directory.look());
    directory.settle();
    expect(&directory, &[("a.txt", "whole again")]);
}

#[test]
fn a_file_that_cannot_be_read_keeps_its_last_good_version() {
    let root = tempfile::tempdir().unwrap();
    let file = root.path().join("a.txt");
    fs::write(&file, "1").unwrap();
    let mut directory = open(root.path());
    fs::remove_file(&file).unwrap();
    // No mode stops root; reading this file is an I/O error for everybody.
    symlink("/proc/self/mem", &file).unwrap();
    directory.look();
    directory.settle();
    expect(&directory, &[("a.txt", "1")]);
}
