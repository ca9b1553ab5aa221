//! Field selectors: `metadata.name=x,metadata.namespace!=y`, with `\` before a literal `,`, `=` or `\`.
//!
//! One reading for authorization and for selecting: a name that is authorized is a name that is selected by (rule 92).

/// A conjunction of comparisons.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct FieldSelector {
    terms: Vec<Term>,
}

#[derive(Debug, PartialEq, Eq)]
struct Term {
    field: String,
    equal: bool,
    value: String,
}

impl FieldSelector {
    /// Reads a selector.
    ///
    /// # Errors
    /// The text for the client.
    pub fn parse(text: &str) -> Result<Self, String> {
        let terms = split_terms(text).into_iter().filter(|term| !term.is_empty());
        let terms = terms.map(|term| parse_term(text, term)).collect::<Result<_, _>>()?;
        Ok(Self { terms })
    }

    /// Refuses fields that the gateway's own resources cannot be selected by (rule 222).
    ///
    /// # Errors
    /// The text for the client; it lists those fields.
    pub fn check_fields(&self) -> Result<(), String> {
        match self.terms.iter().find(|t| !matches!(t.field.as_str(), "metadata.name" | "metadata.namespace"))
        {
            None => Ok(()),
            Some(term) => Err(format!(
                "\"{}\" is not a known field selector: only \"metadata.name\", \"metadata.namespace\"",
                term.field
            )),
        }
    }

    /// Whether it selects everything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.terms.is_empty()
    }

    /// The name that every selected object has, if the selector says so; of several the first, as in Kubernetes.
    #[must_use]
    pub fn required_name(self) -> Option<String> {
        let mut terms = self.terms.into_iter();
        terms.find(|term| term.equal && term.field == "metadata.name").map(|term| term.value)
    }

    /// Whether an object of this name, in no namespace, is selected.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        self.terms.iter().all(|term| {
            let actual = if term.field == "metadata.name" { name } else { "" };
            (actual == term.value) == term.equal
        })
    }
}

/// Cuts at the commas that no backslash stands before.
fn split_terms(text: &str) -> Vec<&str> {
    let mut terms = Vec::new();
    let (mut start, mut escaped) = (0, false);
    for (index, char) in text.char_indices() {
        match char {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            ',' => {
                terms.push(&text[start..index]);
                start = index + 1;
            }
            _ => {}
        }
    }
    terms.push(&text[start..]);
    terms
}

fn parse_term(selector: &str, term: &str) -> Result<Term, String> {
    let operators = [("!=", false), ("==", true), ("=", true)];
    let cut = term.char_indices().find_map(|(index, _)| {
        let rest = &term[index..];
        let (operator, equal) = operators.iter().find(|(operator, _)| rest.starts_with(operator))?;
        Some((&term[..index], &rest[operator.len()..], *equal))
    });
    let Some((field, value, equal)) = cut else {
        return Err(format!("invalid selector: '{selector}'; can't understand '{term}'"));
    };
    Ok(Term { field: field.to_owned(), equal, value: unescape(value)? })
}

fn unescape(value: &str) -> Result<String, String> {
    let mut out = String::with_capacity(value.len());
    let mut chars = value.chars();
    while let Some(char) = chars.next() {
        match char {
            '\\' => match chars.next() {
                Some(literal @ ('\\' | ',' | '=')) => out.push(literal),
                Some(other) => {
                    return Err(format!(
                        "invalid field selector: invalid escape sequence: \"\\{}\"",
                        other.escape_default()
                    ));
                }
                None => return Err("invalid field selector: invalid escape sequence: \"\\\"".to_owned()),
            },
            ',' | '=' => {
                return Err(format!("invalid field selector: unescaped character in value: \"{char}\""));
            }
            other => out.push(other),
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selects(selector: &str, name: &str) -> bool {
        FieldSelector::parse(selector).unwrap().matches(name)
    }

    #[test]
    fn rule_227_field_selectors_compare_names() {
        for selector in ["metadata.name=m1", "metadata.name==m1", "", "metadata.name=m1,metadata.name!=m2"] {
            assert!(selects(selector, "m1"), "{selector}");
        }
        for selector in ["metadata.name=m2", "metadata.name!=m1", "metadata.name=m1,metadata.name=m2"] {
            assert!(!selects(selector, "m1"), "{selector}");
        }
        assert!(selects("metadata.namespace=", "m1"));
        assert!(!selects("metadata.namespace=default", "m1"));
        assert!(selects(r"metadata.name=a\,b\=c\\", r"a,b=c\"));
    }

    #[test]
    fn malformed_field_selectors_are_refused_with_the_term() {
        assert_eq!(
            FieldSelector::parse("a,b=1").unwrap_err(),
            "invalid selector: 'a,b=1'; can't understand 'a'"
        );
        assert!(FieldSelector::parse(r"metadata.name=a\x").unwrap_err().contains("escape sequence"));
        assert!(FieldSelector::parse("metadata.name=a=b").unwrap_err().contains("unescaped"));
    }

    #[test]
    fn rule_222_only_name_and_namespace_can_be_selected_by() {
        let selector = FieldSelector::parse("metadata.name=x,spec.foo=1").unwrap();
        assert_eq!(
            selector.check_fields().unwrap_err(),
            r#""spec.foo" is not a known field selector: only "metadata.name", "metadata.namespace""#
        );
    }
}
