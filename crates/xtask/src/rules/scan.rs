//! The tests that name rules.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::workspace;

/// One test with `rule_NNN` in its name.
#[derive(Debug)]
pub(crate) struct Test {
    /// Its function.
    pub(crate) name: String,
    /// Its file, from the root of the workspace.
    pub(crate) file: String,
    /// The rules that it names, each perhaps with the letter of a point.
    pub(crate) rules: Vec<(u16, Option<char>)>,
}

/// Every test below `crates` whose name carries a rule.
pub(crate) fn find(crates: &Path) -> Result<Vec<Test>> {
    let mut found = Vec::new();
    for path in workspace::rust_files(crates)? {
        let relative = path.strip_prefix(crates).context("a path below the folder")?;
        // This tool's own tests hold examples of names.
        if relative.starts_with("xtask/src") {
            continue;
        }
        let text = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
        let file = format!("crates/{}", relative.display());
        found.extend(test_names(&text).into_iter().filter_map(|name| {
            let rules = named_rules(&name);
            (!rules.is_empty()).then(|| Test { name, file: file.clone(), rules })
        }));
    }
    Ok(found)
}

/// The functions that a test attribute stands above. An ignored test proves nothing and is left out.
fn test_names(text: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut is_test = false;
    let mut ignored = false;
    for line in text.lines().map(str::trim_start) {
        if line.starts_with("#[test]") || line.starts_with("#[tokio::test") {
            is_test = true;
        } else if line.starts_with("#[ignore") {
            ignored = true;
        } else if let Some(name) = function_name(line) {
            if is_test && !ignored {
                names.push(name.to_owned());
            }
            (is_test, ignored) = (false, false);
        }
    }
    names
}

/// The name in a line that begins a function.
fn function_name(line: &str) -> Option<&str> {
    let mut rest = line;
    for modifier in ["pub ", "pub(crate) ", "const ", "async "] {
        rest = rest.strip_prefix(modifier).unwrap_or(rest);
    }
    let name = rest.strip_prefix("fn ")?;
    name.split(|c: char| c != '_' && !c.is_ascii_alphanumeric()).next()
}

/// Every `rule_NNN` and `rule_NNNa` in a name.
fn named_rules(name: &str) -> Vec<(u16, Option<char>)> {
    let words: Vec<_> = name.split('_').collect();
    words.windows(2).filter(|pair| pair[0] == "rule").filter_map(|pair| number(pair[1])).collect()
}

fn number(word: &str) -> Option<(u16, Option<char>)> {
    let letter = word.chars().last().filter(char::is_ascii_lowercase);
    let digits = letter.and_then(|letter| word.strip_suffix(letter)).unwrap_or(word);
    Some((digits.parse().ok()?, letter))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_carry_one_rule_or_several() {
        assert_eq!(named_rules("rule_086_rule_087_x"), [(86, None), (87, None)]);
        assert_eq!(named_rules("rule_216a_details"), [(216, Some('a'))]);
        assert_eq!(named_rules("rule_of_thumb"), []);
        assert_eq!(named_rules("a_rule_007"), [(7, None)]);
    }

    #[test]
    fn only_functions_that_run_as_tests_count() {
        let text = "
            #[test]
            fn rule_001_a() {}
            #[tokio::test(start_paused = true)]
            // Why.
            async fn rule_002_b() {
                let _ = 1;
            }
            fn rule_003_helper() {}
            #[test]
            #[ignore = \"slow\"]
            fn rule_004_c() {}
            #[test]
            #[should_panic]
            fn rule_005_d() {}
        ";
        assert_eq!(test_names(text), ["rule_001_a", "rule_002_b", "rule_005_d"]);
    }

    #[test]
    fn files_are_searched_all_the_way_down_except_ours() {
        let crates = tempfile::tempdir().unwrap();
        for (folder, text) in
            [("a/src/deep", "#[test]\nfn rule_009_x() {}"), ("xtask/src", "#[test]\nfn rule_8_y() {}")]
        {
            fs::create_dir_all(crates.path().join(folder)).unwrap();
            fs::write(crates.path().join(folder).join("lib.rs"), text).unwrap();
        }
        let found = find(crates.path()).unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(
            (found[0].name.as_str(), found[0].file.as_str()),
            ("rule_009_x", "crates/a/src/deep/lib.rs")
        );
    }
}
