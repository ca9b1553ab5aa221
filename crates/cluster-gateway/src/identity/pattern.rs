//! Go's regular expressions (RE2), as rules were written for: what a pattern matches here it matches there.
//!
//! The `regex` crate has the same expressions but for a few spellings. Those that would quietly match more, or something
//! else, are written as what Go means by them, or refused; so is what Go does not have.

use std::fmt;
use std::iter::Peekable;
use std::str::Chars;

use regex::bytes::{Regex, RegexBuilder};

/// Bytes that a compiled pattern may take, and its cache again.
const MAX_COMPILED: usize = 128 * 1024;
/// Bytes of a pattern as it is written.
const MAX_WRITTEN: usize = 1024;

/// A pattern that matches anywhere in a text, unless it says `^` and `$` (rule 155).
#[derive(Clone)]
pub(super) struct Pattern {
    written: String,
    regex: Regex,
}

impl Pattern {
    /// # Errors
    /// Why it is no expression of Go's, or not one that can be used here.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        if text.len() > MAX_WRITTEN {
            return Err(format!("is longer than {MAX_WRITTEN} bytes"));
        }
        let regex = RegexBuilder::new(&translate(text)?)
            .size_limit(MAX_COMPILED)
            .dfa_size_limit(MAX_COMPILED)
            .build()
            .map_err(|error| format!("is not a regular expression: {}", one_line(&error)))?;
        Ok(Self { written: text.to_owned(), regex })
    }

    pub(super) fn is_match(&self, text: &str) -> bool {
        self.regex.is_match(text.as_bytes())
    }

    /// Whether it speaks of a whole text.
    pub(super) fn is_anchored(&self) -> bool {
        // A bar at the top level would take one of the anchors away from each side.
        self.written.starts_with('^') && self.written.ends_with('$') && !self.written.contains('|')
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/{}/", self.written)
    }
}

fn one_line(error: &regex::Error) -> String {
    match error {
        regex::Error::CompiledTooBig(limit) => format!("it takes more than {limit} bytes when compiled"),
        // The last line says what is wrong; those before draw an arrow.
        other => other.to_string().lines().last().unwrap_or_default().trim().to_owned(),
    }
}

fn translate(text: &str) -> Result<String, String> {
    let mut out = String::with_capacity(text.len() + 16);
    let mut rest = text.chars().peekable();
    while let Some(letter) = rest.next() {
        match letter {
            '\\' => escape(&mut rest, &mut out)?,
            '[' => class(&mut rest, &mut out)?,
            '(' if rest.peek() == Some(&'?') => flags(&mut rest, &mut out)?,
            '{' if rest.peek() == Some(&',') => {
                return Err("has {,n}, which is no repetition in Go: write {0,n}".to_owned());
            }
            other => out.push(other),
        }
    }
    Ok(out)
}

/// The classes of Perl are ASCII in Go.
fn perl(letter: char) -> Option<&'static str> {
    Some(match letter {
        'd' => "[0-9]",
        'D' => "[^0-9]",
        'w' => "[0-9A-Za-z_]",
        'W' => "[^0-9A-Za-z_]",
        's' => r"[\t\n\f\r ]",
        'S' => r"[^\t\n\f\r ]",
        _ => return None,
    })
}

fn escape(rest: &mut Peekable<Chars<'_>>, out: &mut String) -> Result<(), String> {
    match rest.next() {
        None => return Err("ends in the middle of an escape (\\)".to_owned()),
        Some('b') if rest.peek() == Some(&'{') => return Err("has \\b{, which Go does not know".to_owned()),
        Some('b') => out.push_str(r"(?-u:\b)"),
        Some('B') => out.push_str(r"(?-u:\B)"),
        // Go's are the signs themselves, not ends of words.
        Some('<') => out.push_str(r"\x3C"),
        Some('>') => out.push_str(r"\x3E"),
        Some(letter) => match perl(letter) {
            Some(class) => out.push_str(class),
            None => out.extend(['\\', letter]),
        },
    }
    Ok(())
}

/// A class in brackets: in Go it has no classes within but those with colons, and no operators.
fn class(rest: &mut Peekable<Chars<'_>>, out: &mut String) -> Result<(), String> {
    out.push('[');
    if rest.next_if_eq(&'^').is_some() {
        out.push('^');
    }
    if rest.next_if_eq(&']').is_some() {
        out.push_str(r"\]");
    }
    while let Some(letter) = rest.next() {
        match letter {
            ']' => {
                out.push(']');
                return Ok(());
            }
            '\\' => match rest.next() {
                Some(letter) => match perl(letter) {
                    Some(class) => out.push_str(class),
                    None => out.extend(['\\', letter]),
                },
                None => break,
            },
            '[' if rest.peek() == Some(&':') => named_class(rest, out),
            '-' if rest.peek() == Some(&'-') => return Err("has -- in a class: write \\-".to_owned()),
            '[' | '&' | '~' => out.extend(['\\', letter]),
            other => out.push(other),
        }
    }
    Err("has a [ without its ]".to_owned())
}

fn named_class(rest: &mut Peekable<Chars<'_>>, out: &mut String) {
    out.push('[');
    while let Some(letter) =
        rest.next_if(|letter| *letter == ':' || *letter == '^' || letter.is_ascii_lowercase())
    {
        out.push(letter);
    }
    // The bracket that closes the name; without one there is no such class, and the compiler says so.
    if rest.next_if_eq(&']').is_some() {
        out.push(']');
    }
}

/// What follows `(?`: a name, or flags, of which Go has four.
fn flags(rest: &mut Peekable<Chars<'_>>, out: &mut String) -> Result<(), String> {
    out.push('(');
    for letter in rest.by_ref() {
        out.push(letter);
        match letter {
            ')' | ':' | '<' => break,
            '?' | '-' | 'i' | 'm' | 's' | 'U' | 'P' => {}
            other => return Err(format!("has the flag {other:?}, which Go does not know")),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, text: &str) -> bool {
        Pattern::parse(pattern).unwrap_or_else(|error| panic!("{pattern}: {error}")).is_match(text)
    }

    /// Each was tried with Go 1.26's `regexp.MatchString`.
    #[test]
    fn rule_155_patterns_match_as_go_s_do() {
        for (pattern, text, expected) in [
            ("dev-.*", "a-dev-b", true),
            ("^dev-", "a-dev-b", false),
            ("^a$", "a\n", false),
            (".", "\n", false),
            ("^.$", "é", true),
            (r"^\w+$", "admin", true),
            (r"^\w+$", "ådmin", false),
            (r"^\W$", "å", true),
            (r"^\d$", "٣", false),
            (r"^\D$", "٣", true),
            (r"^\s$", "\u{a0}", false),
            (r"^\S$", "\u{a0}", true),
            (r"^\s$", "\u{b}", false),
            (r"\bx\b", "åxå", true),
            (r"a\Bå", "aå", false),
            (r"^[\w.-]+$", "a.b-c", true),
            (r"^[\w.-]+$", "å", false),
            (r"^[^\w]$", "å", true),
            (r"^[\W]$", "å", true),
            ("^[[a]$", "[", true),
            ("^[a&&b]$", "&", true),
            ("^[a~~b]$", "~", true),
            ("^[]a]$", "]", true),
            ("^[^]a]$", "]", false),
            ("^[[:alpha:]_]+$", "a_b", true),
            ("^[[:^alpha:]]$", "a", false),
            ("^[[:alpha:]]$", "å", false),
            (r"^\<a\>$", "<a>", true),
            (r"^\pL$", "å", true),
            ("(?i)^ADMIN$", "admin", true),
            ("^(?P<n>a|b)$", "b", true),
            ("^(?:a){1,2}$", "aa", true),
            (r"^a\.b$", "a.b", true),
            (r"^\x41$", "A", true),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} on {text:?}");
        }
    }

    #[test]
    fn rule_154_what_go_reads_otherwise_or_not_at_all_is_refused() {
        for (pattern, expected) in [
            ("[", "without its ]"),
            ("(", "unclosed group"),
            ("a)", "unopened group"),
            ("(?x)a b", "flag 'x'"),
            ("(?u)a", "flag 'u'"),
            ("(?=a)", "flag '='"),
            (r"\b{start}", "\\b{"),
            ("a{,3}", "{,n}"),
            ("[+--]", "write \\-"),
            (r"\Qa.b\E", "unrecognized escape"),
            (r"(a)\1", "backreferences"),
            ("\\", "middle of an escape"),
            (r"(\pL{50}){50}", "when compiled"),
        ] {
            let error = Pattern::parse(pattern).expect_err(pattern);
            assert!(error.contains(expected), "{pattern}: {error}");
        }
        assert!(Pattern::parse(&"a".repeat(2000)).is_err());
    }

    #[test]
    fn rule_155_only_what_holds_both_ends_is_anchored() {
        for (pattern, expected) in [("^a$", true), ("^a", false), ("a$", false), ("^a|b$", false)] {
            assert_eq!(Pattern::parse(pattern).expect(pattern).is_anchored(), expected, "{pattern}");
        }
    }
}
