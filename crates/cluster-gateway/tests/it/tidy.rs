//! The walls that ARCHITECTURE.md describes and no compiler holds: who may import whom, no hidden state, files that can be
//! read in one sitting, and rule numbers that exist.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Lines of production code in a file, at most.
const FILE_BUDGET: usize = 300;

/// Files that are over the budget, with the lines that they have. No entry is added and no number grows: split the file.
const OVER_BUDGET: &[(&str, usize)] = &[];

#[test]
fn modules_import_only_from_modules_declared_below_them() {
    let source = crate_root().join("src");
    let order = declared_modules(&read(&source.join("lib.rs")));
    let mut wrong = Vec::new();
    for file in rust_files(&source) {
        let path: Vec<_> =
            relative(&file, &source).trim_end_matches(".rs").split('/').map(str::to_owned).collect();
        let Some(own) = order.iter().position(|module| *module == path[0]) else { continue };
        let text = read(&file);
        for name in imported_modules(&text) {
            match order.iter().position(|module| *module == name) {
                Some(other) if other >= own => {}
                Some(_) => {
                    wrong.push(format!("{} imports {name}, which is above it", relative(&file, &source)))
                }
                None => {
                    wrong.push(format!("{} uses crate::{name}, which is no module", relative(&file, &source)))
                }
            }
        }
        if climbs_to_the_root(&text, path.len()) {
            wrong.push(format!("{} reaches the root by super::, write crate::", relative(&file, &source)));
        }
    }
    assert!(wrong.is_empty(), "imports go downwards in the order of lib.rs:\n{}", wrong.join("\n"));
}

#[test]
fn every_module_that_lib_declares_has_its_file() {
    let source = crate_root().join("src");
    let order = declared_modules(&read(&source.join("lib.rs")));
    assert!(order.len() > 5, "lib.rs declares no modules that this test can read: {order:?}");
    for module in &order {
        assert!(source.join(format!("{module}.rs")).is_file(), "{module} is not src/{module}.rs");
    }
    let files = rust_files(&source).into_iter().map(|file| relative(&file, &source));
    let tops: BTreeSet<_> =
        files.filter_map(|file| Some(file.split(['/', '.']).next()?.to_owned())).collect();
    let homeless: Vec<_> =
        tops.iter().filter(|top| !order.contains(top) && !matches!(top.as_str(), "lib" | "main")).collect();
    assert!(homeless.is_empty(), "lib.rs does not declare {homeless:?}");
}

#[test]
fn no_state_outlives_or_precedes_what_serve_builds() {
    let mut wrong = Vec::new();
    for source in [crate_root().join("src"), workspace().join("crates/cluster-gateway-client/src")] {
        for file in rust_files(&source) {
            let found = hidden_state(&read(&file));
            wrong.extend(found.into_iter().map(|what| format!("{}: {what}", relative(&file, workspace()))));
        }
    }
    assert!(wrong.is_empty(), "state belongs to a value that `serve` builds:\n{}", wrong.join("\n"));
}

#[test]
fn files_can_be_read_in_one_sitting() {
    let mut wrong = Vec::new();
    let crates = workspace().join("crates");
    for file in rust_files(&crates) {
        let name = relative(&file, &crates);
        if !name.contains("/src/") || name.ends_with("/tests.rs") || name.contains("/tests/") {
            continue;
        }
        let lines = production_lines(&read(&file));
        match OVER_BUDGET.iter().find(|(listed, _)| *listed == name) {
            None if lines > FILE_BUDGET => {
                wrong.push(format!("{name} has {lines} lines, more than {FILE_BUDGET}"))
            }
            Some((_, listed)) if lines != *listed => {
                wrong.push(format!("{name} has {lines} lines: the list says {listed}, and may only shrink"));
            }
            _ => {}
        }
    }
    assert!(wrong.is_empty(), "split these by what they do:\n{}", wrong.join("\n"));
    let pointless: Vec<_> = OVER_BUDGET.iter().filter(|(_, lines)| *lines <= FILE_BUDGET).collect();
    assert!(pointless.is_empty(), "no longer over the budget, take them off the list: {pointless:?}");
    let gone: Vec<_> = OVER_BUDGET.iter().filter(|(name, _)| !crates.join(name).is_file()).collect();
    assert!(gone.is_empty(), "gone, take them off the list: {gone:?}");
}

#[test]
fn rule_028_the_group_is_spelled_in_one_place() {
    let mut spelled = Vec::new();
    for source in [crate_root().join("src"), workspace().join("crates/cluster-gateway-client/src")] {
        let files = rust_files(&source).into_iter();
        for file in files.filter(|file| !relative(file, &source).contains("tests")) {
            let text = read(&file);
            let lines = code(split_at_tests(&text).0);
            let found = lines.lines().filter(|line| line.contains("cluster.core.oam.dev"));
            spelled.extend(found.map(|line| format!("{}: {}", relative(&file, workspace()), line.trim())));
        }
    }
    assert_eq!(spelled, ["crates/cluster-gateway-client/src/lib.rs: \"cluster.core.oam.dev\""]);
}

#[test]
fn every_rule_that_a_test_names_is_in_the_contract() {
    let contract = read(&workspace().join("docs/contract.md"));
    let known: BTreeSet<_> =
        contract.lines().filter_map(|line| line.split_once(". ")?.0.parse().ok()).collect();
    assert!(known.len() > 200, "docs/contract.md has {} rules that this test can read", known.len());
    let crates = workspace().join("crates");
    let mut wrong = Vec::new();
    // The examples of names in the tests of xtask name no rule.
    for file in rust_files(&crates).into_iter().filter(|file| !file.starts_with(crates.join("xtask/src"))) {
        for (name, rules) in named_rules(&read(&file)) {
            if !rules.is_subset(&known) {
                wrong.push(format!("{name} in {}", relative(&file, &crates)));
            }
        }
    }
    assert!(wrong.is_empty(), "docs/contract.md has no such rule:\n{}", wrong.join("\n"));
}

#[test]
fn the_checks_see_what_they_look_for() {
    assert_eq!(declared_modules("//! mod x;\npub mod a;\nmod b;\n#[cfg(test)]\nmod c { }"), ["a", "b"]);
    let imports = "use crate::{\n  a::{b, c}, // crate::no\n  d as e,\n};\nfn f(x: &crate::g::T) { crate::h::i() }\npub(crate) x";
    assert_eq!(imported_modules(imports), ["a", "d", "g", "h"]);

    assert!(climbs_to_the_root("use super::other;", 1));
    assert!(!climbs_to_the_root("use super::other;", 2));
    assert!(climbs_to_the_root("use super::super::other;", 2));
    assert!(!climbs_to_the_root("#[cfg(test)]\nmod tests {\n  use super::*;\n}", 1));

    for hidden in [
        "static A: OnceLock<u8> = OnceLock::new();",
        "pub(crate) static B: AtomicU64 = AtomicU64::new(0);",
        "static C: Mutex<Vec<u8>> =\n  Mutex::new(Vec::new());",
        "static mut D: u8 = 0;",
        "thread_local! { }",
    ] {
        assert_eq!(hidden_state(hidden).len(), 1, "{hidden}");
    }
    assert!(hidden_state("#[global_allocator]\nstatic ALLOCATOR: A = A;").is_empty());
    assert!(
        hidden_state("static E: [(&str, u16); 1] = [(\"x\", 1)];\nfn f(x: &'static Mutex<u8>) {}").is_empty()
    );

    let file = "//! Doc.\n\nuse a;\n#[cfg(test)]\nmod tests;\nfn f() {} // why\n#[cfg(test)]\nmod more {\n  fn g() {}\n}\n";
    assert_eq!(production_lines(file), 4);

    let names = named_rules(&format!("async {} rule_007_rule_12a_x() {{ rule_9 }}", "fn"));
    assert_eq!(names, [("rule_007_rule_12a_x".to_owned(), BTreeSet::from([7, 12]))]);
}

/// The modules that have a file of their own, in the order of their declaration.
fn declared_modules(lib: &str) -> Vec<String> {
    let declarations = code(lib);
    let lines = declarations.lines().map(str::trim);
    let names = lines
        .filter_map(|line| line.strip_prefix("pub ").unwrap_or(line).strip_prefix("mod ")?.strip_suffix(';'));
    names.map(str::to_owned).collect()
}

/// What follows `crate::`, alone or first in the elements of a group.
fn imported_modules(text: &str) -> Vec<String> {
    let code = code(text);
    let mut names = Vec::new();
    for (at, prefix) in code.match_indices("crate::") {
        let rest = &code[at + prefix.len()..];
        match rest.strip_prefix('{') {
            Some(group) => names.extend(elements(group).iter().map(|element| identifier(element))),
            None => names.push(identifier(rest)),
        }
    }
    names
}

/// The elements of a group of imports, whose opening brace is already off.
fn elements(group: &str) -> Vec<&str> {
    let mut depth = 0_u32;
    let mut start = 0;
    let mut found = Vec::new();
    for (at, character) in group.char_indices() {
        match character {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            ',' | '}' if depth == 0 => {
                found.push(group[start..at].trim());
                start = at + 1;
            }
            _ => {}
        }
        if character == '}' && start == at + 1 {
            break;
        }
    }
    found.retain(|element| !element.is_empty());
    found
}

fn identifier(text: &str) -> String {
    text.chars().take_while(|&character| character == '_' || character.is_ascii_alphanumeric()).collect()
}

/// Whether `super::` leads out of a file whose module is `depth` levels below the root.
fn climbs_to_the_root(text: &str, depth: usize) -> bool {
    let (production, tests) = split_at_tests(text);
    code(production).contains(&"super::".repeat(depth)) || code(tests).contains(&"super::".repeat(depth + 1))
}

/// Statics that are more than plain data, and what hides one.
fn hidden_state(text: &str) -> Vec<String> {
    const PLAIN: &[&str] =
        &["str", "bool", "char", "u8", "u16", "u32", "u64", "usize", "i32", "i64", "f64", "Option"];
    let code = code(text);
    let mut found = Vec::new();
    for (at, keyword) in code.match_indices("static ") {
        let before = &code[..at];
        let within_a_word = |last: char| last == '\'' || last == '_' || last.is_alphanumeric();
        // The language has no other place for the allocator.
        if before.ends_with(within_a_word)
            || before.trim_end().ends_with("#[global_allocator]")
            // A value of a task, which ends with it.
            || before.trim_end().ends_with("task_local! {")
        {
            continue;
        }
        let declaration = code[at + keyword.len()..].split(['=', '{']).next().unwrap_or_default();
        let Some((_, kind)) = declaration.split_once(':') else { continue };
        let words = kind.split(|character: char| character != '_' && !character.is_ascii_alphanumeric());
        let plain = words
            .filter(|word| word.starts_with(|first: char| !first.is_ascii_digit()))
            .all(|word| word == "static" || PLAIN.contains(&word));
        if !plain || declaration.starts_with("mut ") {
            found.push(format!("static {}", declaration.trim()));
        }
    }
    let macros = ["thread_local!", "lazy_static!"].into_iter().filter(|name| code.contains(name));
    found.extend(macros.map(str::to_owned));
    found
}

/// Lines that are neither blank nor comment, up to the tests.
fn production_lines(text: &str) -> usize {
    code(split_at_tests(text).0).lines().filter(|line| !line.trim().is_empty()).count()
}

/// The part before the inline module of tests, and that module.
fn split_at_tests(text: &str) -> (&str, &str) {
    let mut rest = 0;
    while let Some(at) = text[rest..].find("#[cfg(test)]\nmod ").map(|found| rest + found) {
        let declaration = text[at..].lines().nth(1).unwrap_or_default();
        if declaration.ends_with('{') {
            return text.split_at(at);
        }
        rest = at + 1;
    }
    (text, "")
}

/// The functions whose names carry rules, with their numbers; the letter of a point is left to `cargo xtask rules`.
fn named_rules(text: &str) -> Vec<(String, BTreeSet<u16>)> {
    let names = text.match_indices("fn ").map(|(at, keyword)| identifier(&text[at + keyword.len()..]));
    let with_rules = names.map(|name| {
        let rules = name.split("rule_").skip(1).filter_map(|rest| {
            let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
            digits.parse().ok()
        });
        let rules: BTreeSet<u16> = rules.collect();
        (name, rules)
    });
    with_rules.filter(|(_, rules)| !rules.is_empty()).collect()
}

/// The text without its line comments. What follows two slashes in a string goes as well, which hides nothing here.
fn code(text: &str) -> String {
    text.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n")
}

fn crate_root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn workspace() -> &'static Path {
    crate_root().ancestors().nth(2).expect("this crate is in crates/cluster-gateway")
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("read {}: {error}", path.display()))
}

fn relative(path: &Path, folder: &Path) -> String {
    path.strip_prefix(folder).expect("a path below the folder").display().to_string()
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap_or_else(|error| panic!("read {}: {error}", folder.display())) {
        let path = entry.expect("an entry of a folder").path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}
