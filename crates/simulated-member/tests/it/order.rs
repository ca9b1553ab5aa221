//! A module imports only from modules that lib.rs declares below it.

use std::fs;
use std::path::{Path, PathBuf};

#[test]
fn imports_go_downwards_in_the_order_of_lib() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let lib = fs::read_to_string(source.join("lib.rs")).unwrap();
    let order: Vec<&str> =
        lib.lines().filter_map(|line| line.strip_prefix("mod ")?.strip_suffix(';')).collect();
    assert!(order.len() > 20, "{order:?}");
    let mut wrong = Vec::new();
    for file in files(&source) {
        let relative = file.strip_prefix(&source).unwrap().to_string_lossy().into_owned();
        let module = relative.split(['/', '.']).next().unwrap();
        let Some(own) = order.iter().position(|one| *one == module) else { continue };
        let text = fs::read_to_string(&file).unwrap();
        let production =
            text.split("#[cfg(test)]\nmod tests {").next().unwrap().replace("crate::{", "crate::");
        for above in &order[..own] {
            let imported = production.contains(&format!("crate::{above}::"))
                || production.lines().any(|line| {
                    let names = line.strip_prefix("use crate::").and_then(|names| names.strip_suffix("};"));
                    names.is_some_and(|names| names.split(", ").any(|name| name == *above))
                });
            if imported {
                wrong.push(format!("{relative} imports {above}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let (folders, files): (Vec<_>, Vec<_>) = entries.partition(|path| path.is_dir());
    let sources = files.into_iter().filter(|path| {
        path.extension().is_some_and(|extension| extension == "rs") && !path.ends_with("tests.rs")
    });
    sources.chain(folders.iter().flat_map(|folder| self::files(folder))).collect()
}
