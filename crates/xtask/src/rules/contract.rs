//! The rules as docs/contract.md numbers them.

use anyhow::{Context, Result, ensure};

/// All rules, in the order of their numbers.
#[derive(Debug)]
pub(crate) struct Contract {
    pub(crate) rules: Vec<Rule>,
}

/// One numbered line.
#[derive(Debug)]
pub(crate) struct Rule {
    pub(crate) number: u16,
    /// The heading that it stands under.
    pub(crate) section: String,
    pub(crate) text: String,
    /// The letters of the points that are listed below it: `a` for `216a`.
    pub(crate) points: Vec<char>,
}

impl Contract {
    /// Reads the document. Numbers must run from 1 without a gap: a rule is never renumbered, tests carry its number.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let mut rules: Vec<Rule> = Vec::new();
        let mut section = String::new();
        for line in text.lines() {
            if let Some(heading) = line.strip_prefix("## ").or_else(|| line.strip_prefix("### ")) {
                heading.clone_into(&mut section);
            } else if let Some((number, text)) = numbered(line) {
                let expected = rules.len() + 1;
                ensure!(
                    usize::from(number) == expected,
                    "docs/contract.md: rule {number} stands where {expected} should"
                );
                rules.push(Rule {
                    number,
                    section: section.clone(),
                    text: text.to_owned(),
                    points: Vec::new(),
                });
            } else if let Some((number, letter)) = point(line) {
                let rule = rules.last_mut().filter(|rule| rule.number == number);
                rule.with_context(|| format!("docs/contract.md: {number}{letter} is not below {number}"))?
                    .points
                    .push(letter);
            }
        }
        ensure!(!rules.is_empty(), "docs/contract.md has no numbered rule");
        Ok(Self { rules })
    }

    /// Whether there is a rule with this number and, if a letter is given, with that point.
    pub(crate) fn has(&self, number: u16, point: Option<char>) -> bool {
        let rule = self.rules.iter().find(|rule| rule.number == number);
        rule.is_some_and(|rule| point.is_none_or(|letter| rule.points.contains(&letter)))
    }
}

/// `12. text`, at the start of a line.
fn numbered(line: &str) -> Option<(u16, &str)> {
    let (number, text) = line.split_once(". ")?;
    Some((number.parse().ok()?, text))
}

/// `- 216a. text`, indented.
fn point(line: &str) -> Option<(u16, char)> {
    let (id, _) = line.strip_prefix(' ')?.trim_start().strip_prefix("- ")?.split_once(". ")?;
    let letter = id.chars().last().filter(char::is_ascii_lowercase)?;
    Some((id.strip_suffix(letter)?.parse().ok()?, letter))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_know_their_section_and_their_points() {
        let contract =
            Contract::parse("# C\n## 1. A\n1. x\n### 1b. B\n2. y\n    - 2a. z\n- D1 no rule\n").unwrap();
        let sections: Vec<_> = contract.rules.iter().map(|rule| rule.section.as_str()).collect();
        assert_eq!(sections, ["1. A", "1b. B"]);
        assert!(contract.has(2, None) && contract.has(2, Some('a')));
        assert!(!contract.has(1, Some('a')) && !contract.has(3, None));
    }

    #[test]
    fn a_gap_or_a_repetition_is_an_error() {
        assert!(Contract::parse("1. x\n3. y\n").is_err());
        assert!(Contract::parse("1. x\n1. y\n").is_err());
        assert!(Contract::parse("nothing\n").is_err());
    }
}
