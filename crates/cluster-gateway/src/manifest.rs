//! Manifests in files: text in, documents with the place where they stand out.
//!
//! What it will never do: repeat a value of a document in a message, unless the caller says that there are no secrets in
//! it ([`Document::read`]).

use std::fmt;

use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_saphyr::{DefaultMessageFormatter, MessageFormatter};

mod directory;
mod fields;

pub use directory::{Directory, OpenError, Parsed, Reader};
pub use fields::Fields;

/// Documents in a file, at most.
const MAX_DOCUMENTS: usize = 10_000;

/// What is wrong with a file, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Name of the file in its directory.
    pub file: String,
    /// Line, from 1, if it is known.
    pub line: Option<u64>,
    /// Column in that line, from 1, if it is known.
    pub column: Option<u64>,
    /// Number of the document in the file, from 1, if it is one document's.
    pub document: Option<usize>,
    /// What is wrong, for whoever must mend it.
    pub reason: String,
}

impl Problem {
    /// A problem of a whole file.
    #[must_use]
    pub fn of_file(file: &str, reason: impl Into<String>) -> Self {
        Self { file: file.to_owned(), line: None, column: None, document: None, reason: reason.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.escape_debug())?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        if let Some(document) = self.document {
            write!(f, ": document {document}")?;
        }
        write!(f, ": {}", self.reason)
    }
}

/// One document of a file.
#[derive(Debug, Clone, Copy)]
pub struct Document<'a> {
    file: &'a str,
    /// From 1.
    number: usize,
    /// Lines of the file before this document.
    before: u64,
    text: &'a str,
    json: bool,
}

impl<'a> Document<'a> {
    /// The documents of a file: JSON if its name ends in `.json`, otherwise YAML. Those that hold nothing are left out.
    ///
    /// # Errors
    /// [`Problem`]: more than 10,000 documents.
    pub fn all(file: &'a str, text: &'a str) -> Result<Vec<Self>, Problem> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        if file.ends_with(".json") {
            return Ok(vec![Self { file, number: 1, before: 0, text, json: true }]);
        }
        let mut documents = Vec::new();
        let (mut start, mut before) = (0, 0);
        let mut at = 0;
        for (index, line) in text.split_inclusive('\n').enumerate() {
            if separates(line) {
                documents.push((before, &text[start..at]));
                (start, before) = (at + 3, index as u64);
            }
            at += line.len();
        }
        documents.push((before, &text[start..]));
        documents.retain(|(_, text)| text.lines().any(is_content));
        if documents.len() > MAX_DOCUMENTS {
            return Err(Problem::of_file(file, format!("more than {MAX_DOCUMENTS} documents")));
        }
        let numbered = documents.into_iter().zip(1..);
        Ok(numbered
            .map(|((before, text), number)| Self { file, number, before, text, json: false })
            .collect())
    }

    /// The document as plain data. The text of a failure quotes nothing.
    ///
    /// # Errors
    /// [`Problem`]: it is not YAML, or not JSON.
    pub fn value(&self) -> Result<Value, Problem> {
        self.parse(discreet)
    }

    /// The document as `T`. For documents that hold no secret: the text of a failure may quote them.
    ///
    /// # Errors
    /// [`Problem`]: it is not YAML, not JSON, or no `T`.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        self.parse(|error| DefaultMessageFormatter.format_message(error.without_snippet()).into_owned())
    }

    /// A problem of this document.
    #[must_use]
    pub fn problem(&self, reason: impl Into<String>) -> Problem {
        let blank = self.text.lines().position(is_content).unwrap_or_default();
        self.at(self.before + blank as u64 + 1, reason.into())
    }

    fn parse<T: DeserializeOwned>(
        &self,
        words: impl Fn(&serde_saphyr::Error) -> String,
    ) -> Result<T, Problem> {
        if self.json {
            return serde_json::from_str(self.text).map_err(|error| self.json_problem(&error));
        }
        let options = serde_saphyr::options! { with_snippet: false };
        serde_saphyr::from_str_with_options(self.text, options).map_err(|error| {
            let location = error.location();
            let line = location.map_or(1, |location| location.line().max(1));
            let column = location.map(|location| location.column().max(1));
            let words = printable(&words(&error));
            Problem { column, ..self.at(self.before + line, words) }
        })
    }

    /// Messages about syntax quote nothing; messages about data do, and no data is refused by [`Document::value`].
    fn json_problem(&self, error: &serde_json::Error) -> Problem {
        let text = error.to_string();
        let place = format!(" at line {} column {}", error.line(), error.column());
        let words = printable(text.strip_suffix(&place).unwrap_or(&text));
        Problem { column: Some(error.column() as u64), ..self.at(error.line() as u64, words) }
    }

    fn at(&self, line: u64, reason: String) -> Problem {
        let (file, line, document) = (self.file.to_owned(), Some(line), Some(self.number));
        Problem { file, line, column: None, document, reason }
    }
}

/// Whether a line starts a document. Indentation and quotes cannot hide this from a YAML parser either.
fn separates(line: &str) -> bool {
    line.strip_prefix("---").is_some_and(|rest| rest.is_empty() || rest.starts_with(char::is_whitespace))
}

fn is_content(line: &str) -> bool {
    let line = line.trim();
    !line.is_empty() && !line.starts_with(['#', '%']) && line != "..."
}

/// One line of limited length.
fn printable(text: &str) -> String {
    text.chars().map(|character| if character.is_control() { ' ' } else { character }).take(500).collect()
}

/// What is wrong, in words that hold no part of the document.
fn discreet(error: &serde_saphyr::Error) -> String {
    use serde_saphyr::Error;
    match error.without_snippet() {
        Error::DuplicateMappingKey { .. } => "a key stands twice in one mapping".to_owned(),
        Error::Budget { .. } => "the document is too large or too deeply nested".to_owned(),
        Error::UnknownAnchor { .. } => {
            "an alias (*name) names no anchor; quote values that start with *".to_owned()
        }
        // Fixed sentences of the scanner.
        Error::ExternalMessage { msg, .. } => format!("not YAML: {msg}"),
        _ => "not YAML".to_owned(),
    }
}

#[cfg(test)]
mod tests;
