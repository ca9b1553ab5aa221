//! Label selectors in Kubernetes' grammar: `a`, `!a`, `a=b`, `a==b`, `a!=b`, `a in (b,c)`, `a notin (b,c)`, `a>1`,
//! `a<1`, joined by commas. The texts of errors are those that Kubernetes' parser gives (rule 221).

use std::collections::{BTreeMap, BTreeSet};

/// A conjunction of requirements; empty: everything.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct LabelSelector {
    requirements: Vec<Requirement>,
}

#[derive(Debug, PartialEq, Eq)]
struct Requirement {
    key: String,
    test: Test,
}

#[derive(Debug, PartialEq, Eq)]
enum Test {
    Exists,
    Absent,
    In(BTreeSet<String>),
    NotIn(BTreeSet<String>),
    Greater(i64),
    Less(i64),
}

impl LabelSelector {
    /// Reads a selector; the error is the text for the client.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        Parser { tokens: tokens(text), position: 0 }.selector()
    }

    /// Whether it selects everything.
    pub(crate) fn is_empty(&self) -> bool {
        self.requirements.is_empty()
    }

    /// Whether an object with these labels is selected.
    pub(crate) fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        self.requirements.iter().all(|requirement| requirement.test.passes(labels.get(&requirement.key)))
    }
}

impl Test {
    fn passes(&self, value: Option<&String>) -> bool {
        let number = || value.and_then(|value| value.parse::<i64>().ok());
        match self {
            Self::Exists => value.is_some(),
            Self::Absent => value.is_none(),
            Self::In(values) => value.is_some_and(|value| values.contains(value)),
            Self::NotIn(values) => value.is_none_or(|value| !values.contains(value)),
            Self::Greater(bound) => number().is_some_and(|value| value > *bound),
            Self::Less(bound) => number().is_some_and(|value| value < *bound),
        }
    }
}

/// A symbol or a word. The end is a token with an empty text, as in Kubernetes' messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token<'a> {
    Symbol(&'a str),
    Word(&'a str),
    End,
}

impl<'a> Token<'a> {
    fn text(self) -> &'a str {
        match self {
            Self::Symbol(text) | Self::Word(text) => text,
            Self::End => "",
        }
    }
}

const SYMBOLS: [&str; 9] = ["==", "!=", "=", "!", "(", ")", ",", ">", "<"];

fn tokens(text: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start_matches([' ', '\t', '\r', '\n']);
    while !rest.is_empty() {
        let length = match SYMBOLS.iter().find(|symbol| rest.starts_with(**symbol)) {
            Some(symbol) => {
                tokens.push(Token::Symbol(symbol));
                symbol.len()
            }
            None => {
                let end = rest.find(|c: char| " \t\r\n=!(),><".contains(c)).unwrap_or(rest.len());
                tokens.push(Token::Word(&rest[..end]));
                end
            }
        };
        rest = rest[length..].trim_start_matches([' ', '\t', '\r', '\n']);
    }
    tokens
}

struct Parser<'a> {
    tokens: Vec<Token<'a>>,
    position: usize,
}

impl Parser<'_> {
    fn peek(&self) -> Token<'_> {
        self.tokens.get(self.position).copied().unwrap_or(Token::End)
    }

    fn selector(mut self) -> Result<LabelSelector, String> {
        let mut requirements = Vec::new();
        match self.peek() {
            Token::End => return Ok(LabelSelector::default()),
            Token::Word(_) | Token::Symbol("!") => {}
            other => {
                return Err(format!("found '{}', expected: !, identifier, or 'end of string'", other.text()));
            }
        }
        loop {
            let requirement = self.requirement();
            requirements.push(requirement.map_err(|error| format!("unable to parse requirement: {error}"))?);
            match self.peek() {
                Token::End => return Ok(LabelSelector { requirements }),
                Token::Symbol(",") => self.position += 1,
                other => {
                    return Err(format!("found '{}', expected: ',' or 'end of string'", other.text()));
                }
            }
            if !matches!(self.peek(), Token::Word(_) | Token::Symbol("!")) {
                return Err(format!("found '{}', expected: identifier after ','", self.peek().text()));
            }
        }
    }

    fn requirement(&mut self) -> Result<Requirement, String> {
        let negated = self.peek() == Token::Symbol("!");
        self.position += usize::from(negated);
        let Token::Word(key) = self.peek() else {
            return Err(format!("found '{}', expected: identifier", self.peek().text()));
        };
        check_key(key)?;
        let key = key.to_owned();
        self.position += 1;
        let test = match self.peek() {
            _ if negated => Test::Absent,
            Token::End | Token::Symbol(",") => Test::Exists,
            _ => self.comparison()?,
        };
        Ok(Requirement { key, test })
    }

    fn comparison(&mut self) -> Result<Test, String> {
        let operator = self.peek().text().to_owned();
        self.position += 1;
        match operator.as_str() {
            "in" => Ok(Test::In(self.set()?)),
            "notin" => Ok(Test::NotIn(self.set()?)),
            "=" | "==" => Ok(Test::In(BTreeSet::from([self.value()?]))),
            "!=" => Ok(Test::NotIn(BTreeSet::from([self.value()?]))),
            ">" => Ok(Test::Greater(number(&self.value()?)?)),
            "<" => Ok(Test::Less(number(&self.value()?)?)),
            other => Err(format!("found '{other}', expected: in, notin, =, ==, !=, gt, lt")),
        }
    }

    /// One value, which may be empty.
    fn value(&mut self) -> Result<String, String> {
        match self.peek() {
            Token::End | Token::Symbol(",") => Ok(String::new()),
            Token::Word(value) => {
                check_value(value)?;
                let value = value.to_owned();
                self.position += 1;
                Ok(value)
            }
            other => Err(format!("found '{}', expected: identifier", other.text())),
        }
    }

    /// Values in brackets; a missing one is the empty value.
    fn set(&mut self) -> Result<BTreeSet<String>, String> {
        if self.peek() != Token::Symbol("(") {
            return Err(format!("found '{}' expected: '('", self.peek().text()));
        }
        self.position += 1;
        if self.peek() == Token::Symbol(")") {
            return Err("values: Invalid value: []: for 'in', 'notin' operators, values set can't be empty"
                .to_owned());
        }
        let mut values = BTreeSet::new();
        loop {
            let value = match self.peek() {
                Token::Word(value) => {
                    check_value(value)?;
                    let value = value.to_owned();
                    self.position += 1;
                    value
                }
                Token::Symbol("," | ")") => String::new(),
                other => {
                    return Err(format!("found '{}', expected: ',', ')' or identifier", other.text()));
                }
            };
            values.insert(value);
            let after = self.peek();
            match after {
                Token::Symbol(",") => self.position += 1,
                Token::Symbol(")") => {
                    self.position += 1;
                    return Ok(values);
                }
                _ => return Err(format!("found '{}', expected: ',' or ')'", after.text())),
            }
        }
    }
}

fn number(value: &str) -> Result<i64, String> {
    value.parse().map_err(|_| {
        format!("values[0]: Invalid value: {value:?}: for 'Gt', 'Lt' operators, the value must be an integer")
    })
}

/// A key is `[prefix/]name`: a DNS subdomain and a name of at most 63 characters.
fn check_key(key: &str) -> Result<(), String> {
    let (prefix, name) = key.split_once('/').map_or((None, key), |(prefix, name)| (Some(prefix), name));
    let prefix_is_good = prefix.is_none_or(is_subdomain);
    if prefix_is_good && !name.is_empty() && is_name(name) {
        return Ok(());
    }
    Err(format!(
        "key: Invalid value: {key:?}: must be a name of at most 63 letters, digits, '-', '_' and '.' that begins and \
         ends with a letter or digit, optionally after a DNS subdomain and '/'"
    ))
}

fn check_value(value: &str) -> Result<(), String> {
    if is_name(value) {
        return Ok(());
    }
    Err(format!(
        "values[0]: Invalid value: {value:?}: must be empty, or at most 63 letters, digits, '-', '_' and '.' that \
         begin and end with a letter or digit"
    ))
}

fn is_subdomain(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    text.len() <= 253
        && text.split('.').all(|label| {
            !label.is_empty() && !label.starts_with('-') && !label.ends_with('-') && label.bytes().all(inner)
        })
}

fn is_name(text: &str) -> bool {
    let edge = |byte: Option<u8>| byte.is_none_or(|byte| byte.is_ascii_alphanumeric());
    text.len() <= 63
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
        && edge(text.bytes().next())
        && edge(text.bytes().next_back())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selects(selector: &str, labels: &[(&str, &str)]) -> bool {
        let labels = labels.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        LabelSelector::parse(selector).unwrap_or_else(|error| panic!("{selector}: {error}")).matches(&labels)
    }

    #[test]
    fn rule_227_label_selectors_select() {
        let labels = [("env", "test"), ("size", "10"), ("example.com/tier", "")];
        let selected = [
            "",
            "env",
            "!other",
            "env=test",
            "env==test",
            "env = test",
            "env!=prod",
            "other!=x",
            "env in (test,prod)",
            "env notin (prod)",
            "other notin (a)",
            "size>9",
            "size<11",
            "env=test,size",
            "example.com/tier=",
            "example.com/tier in (,)",
            "env in (a,,test)",
            "  env\t,\n!other ",
            "in notin (x)",
        ];
        for selector in selected {
            assert!(selects(selector, &labels), "{selector:?} should select");
        }
        let rejected = [
            "other",
            "!env",
            "env=prod",
            "env==prod",
            "env!=test",
            "env in (prod)",
            "env notin (test)",
            "size>10",
            "size<10",
            "env>1",
            "env=test,other",
            "env=",
            "other=",
            "other in (,)",
        ];
        for selector in rejected {
            assert!(!selects(selector, &labels), "{selector:?} should not select");
        }
    }

    #[test]
    fn rule_221_malformed_selectors_get_the_parsers_text() {
        let cases = [
            ("===", "found '==', expected: !, identifier, or 'end of string'"),
            ("a b", "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt"),
            ("a=b c", "found 'c', expected: ',' or 'end of string'"),
            ("a,", "found '', expected: identifier after ','"),
            ("a,,b", "found ',', expected: identifier after ','"),
            ("!", "unable to parse requirement: found '', expected: identifier"),
            ("a in b", "unable to parse requirement: found 'b' expected: '('"),
            ("a in (b", "unable to parse requirement: found '', expected: ',' or ')'"),
            ("a in (=)", "unable to parse requirement: found '=', expected: ',', ')' or identifier"),
            ("a==(", "unable to parse requirement: found '(', expected: identifier"),
        ];
        for (selector, text) in cases {
            assert_eq!(LabelSelector::parse(selector).unwrap_err(), text, "{selector:?}");
        }
        for selector in ["-a", "a/b/c", "A.b/c", "a=-", "a>x", "a in ()", &"k".repeat(64), "!a=b"] {
            assert!(LabelSelector::parse(selector).is_err(), "{selector:?}");
        }
    }
}
