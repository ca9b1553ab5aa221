//! How the rules and their tests are shown.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::contract::Rule;
use super::{Contract, Test};

/// One line per section: how many of its rules are tested, the tested ones with the number of their tests, the others.
pub(crate) fn table(contract: &Contract, tests: &[Test]) -> String {
    let mut text = String::new();
    for section in contract.rules.chunk_by(|a, b| a.section == b.section) {
        let (tested, untested) = split(section, tests);
        let _ = writeln!(text, "{} ({}/{})", section[0].section, tested.len(), section.len());
        let counted: Vec<_> = tested.iter().map(|(rule, count)| format!("{}×{count}", rule.number)).collect();
        for (label, list) in [("tested", counted.join(" ")), ("none", ranges(&untested))] {
            if !list.is_empty() {
                let _ = writeln!(text, "  {label:<7}{list}");
            }
        }
    }
    let (tested, untested) = split(&contract.rules, tests);
    let _ = writeln!(
        text,
        "{} rules: {} named by a test ({} tests), {} by none",
        contract.rules.len(),
        tested.len(),
        tests.len(),
        untested.len()
    );
    text
}

/// The rules that no test names, each with its text.
pub(crate) fn missing(contract: &Contract, tests: &[Test]) -> String {
    let mut text = String::new();
    for section in contract.rules.chunk_by(|a, b| a.section == b.section) {
        let (_, untested) = split(section, tests);
        if !untested.is_empty() {
            let _ = writeln!(text, "{}", section[0].section);
        }
        for rule in untested {
            let _ = writeln!(text, "  {:>3}. {}", rule.number, shortened(&rule.text));
        }
    }
    text
}

/// Everything, for other programs.
pub(crate) fn json(contract: &Contract, tests: &[Test]) -> Value {
    let rules = contract.rules.iter().map(|rule| {
        let named: Vec<_> =
            of(rule, tests).map(|test| json!({"name": test.name, "file": test.file})).collect();
        json!({"rule": rule.number, "section": rule.section, "tests": named})
    });
    json!({"rules": rules.collect::<Vec<_>>()})
}

/// One line for each test that names a rule which does not exist.
pub(crate) fn unknown(contract: &Contract, tests: &[Test]) -> String {
    let lines =
        tests.iter().filter(|test| !test.rules.iter().all(|&(number, point)| contract.has(number, point)));
    lines.map(|test| format!("  {} in {}", test.name, test.file)).collect::<Vec<_>>().join("\n")
}

/// The rules that a test names, with the number of those tests, and the others.
fn split<'a>(rules: &'a [Rule], tests: &[Test]) -> (Vec<(&'a Rule, usize)>, Vec<&'a Rule>) {
    let counted = rules.iter().map(|rule| (rule, of(rule, tests).count()));
    let (tested, untested): (Vec<_>, Vec<_>) = counted.partition(|&(_, count)| count > 0);
    (tested, untested.into_iter().map(|(rule, _)| rule).collect())
}

fn of<'a>(rule: &Rule, tests: &'a [Test]) -> impl Iterator<Item = &'a Test> {
    let number = rule.number;
    tests.iter().filter(move |test| test.rules.iter().any(|&(named, _)| named == number))
}

/// `1-3 7 9-10`.
fn ranges(rules: &[&Rule]) -> String {
    let runs = rules.chunk_by(|a, b| a.number + 1 == b.number);
    let shown = runs.map(|run| match run {
        [first, .., last] => format!("{}-{}", first.number, last.number),
        [only] => only.number.to_string(),
        [] => String::new(),
    });
    shown.collect::<Vec<_>>().join(" ")
}

fn shortened(text: &str) -> String {
    const WIDTH: usize = 100;
    let mut short: String = text.chars().take(WIDTH).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> (Contract, Vec<Test>) {
        let contract = Contract::parse("## 1. A\n1. x\n2. y\n3. z\n## 2. B\n4. w\n").unwrap();
        let test = |name: &str, rules: &[u16]| Test {
            name: name.to_owned(),
            file: "f.rs".to_owned(),
            rules: rules.iter().map(|&number| (number, None)).collect(),
        };
        (contract, vec![test("rule_1_rule_4", &[1, 4]), test("rule_1", &[1])])
    }

    #[test]
    fn the_table_counts_tests_by_rule_and_rules_by_section() {
        let (contract, tests) = example();
        let expected = "1. A (1/3)\n  tested 1×2\n  none   2-3\n2. B (1/1)\n  tested 4×1\n\
                        4 rules: 2 named by a test (2 tests), 2 by none\n";
        assert_eq!(table(&contract, &tests), expected);
    }

    #[test]
    fn what_is_missing_comes_with_its_text() {
        let (contract, tests) = example();
        assert_eq!(missing(&contract, &tests), "1. A\n    2. y\n    3. z\n");
    }

    #[test]
    fn json_lists_every_rule() {
        let (contract, tests) = example();
        let json = json(&contract, &tests);
        assert_eq!(json["rules"].as_array().unwrap().len(), 4);
        assert_eq!(json["rules"][3]["tests"][0]["name"], "rule_1_rule_4");
    }

    #[test]
    fn a_test_of_a_rule_that_is_not_there_is_named() {
        let (contract, mut tests) = example();
        assert_eq!(unknown(&contract, &tests), "");
        tests[1].rules[0].0 = 5;
        assert_eq!(unknown(&contract, &tests), "  rule_1 in f.rs");
    }
}
