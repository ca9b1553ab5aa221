//! Which representation a request asks for (contract rules 31, 197-201, 205-207).

use http::request::Parts;
use http::{HeaderMap, header};

use crate::request::query_value;
use crate::status::{Error, NotAcceptable};

/// How a document is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Json,
    Yaml,
}

/// What an object is turned into before it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Transform {
    Table(MetaVersion),
    PartialObjectMetadata(MetaVersion),
    PartialObjectMetadataList(MetaVersion),
    Discovery(DiscoveryVersion),
}

/// A version of `meta.k8s.io`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MetaVersion {
    V1,
    V1beta1,
}

/// A version of `apidiscovery.k8s.io`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DiscoveryVersion {
    V2,
    V2beta1,
}

/// The representation that was agreed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Output {
    pub(super) format: Format,
    pub(super) pretty: bool,
    pub(super) transform: Option<Transform>,
}

/// What an endpoint can write.
pub(super) struct Offer {
    /// The media types that its router names in a 406 (rule 198).
    pub(super) representations: &'static str,
    /// What is said when only protobuf would do; empty: what is said of any other type (rule 206).
    pub(super) protobuf: &'static str,
    /// The transform that `as`, `g` and `v` name, if the endpoint has it in this format.
    pub(super) transform: fn(&Target<'_>, Format) -> Option<Transform>,
}

/// The media types that the encoder knows.
const ENCODER: &str = "application/json, application/yaml, application/vnd.kubernetes.protobuf";
const PROTOBUF: &str = "vnd.kubernetes.protobuf";
/// Clauses of an `Accept` header that are looked at; real clients send three.
const MAX_CLAUSES: usize = 64;

/// The offer of a document that is no resource.
pub(super) const DOCUMENT: Offer = Offer { representations: ENCODER, protobuf: "", transform: |_, _| None };

/// The parameters of a media type that name another kind.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Target<'a> {
    pub(super) kind: &'a str,
    pub(super) group: &'a str,
    pub(super) version: &'a str,
}

/// Agrees on a representation.
///
/// # Errors
/// [`Error::NotAcceptable`].
pub(super) fn negotiate(parts: &Parts, offer: &Offer) -> Result<Output, Error> {
    let clauses = clauses(&parts.headers);
    let pretty = wants_pretty(parts);
    if clauses.is_empty() {
        return Ok(Output { format: Format::Json, pretty, transform: None });
    }
    if !clauses.iter().any(Clause::is_known) {
        return Err(Error::NotAcceptable(NotAcceptable::Router(offer.representations)));
    }
    if let Some(output) = clauses.iter().find_map(|clause| clause.output(offer, pretty)) {
        return Ok(output);
    }
    let only_protobuf = clauses.iter().any(|clause| clause.sub == PROTOBUF && clause.target.is_none());
    Err(Error::NotAcceptable(if only_protobuf && !offer.protobuf.is_empty() {
        NotAcceptable::Object(offer.protobuf)
    } else {
        NotAcceptable::Encoder(ENCODER)
    }))
}

/// Whether JSON is to be indented: the query says so, or a person seems to be reading it (rule 207).
#[must_use]
pub fn wants_pretty(parts: &Parts) -> bool {
    match query_value(parts.uri.query().unwrap_or_default(), "pretty") {
        Some(value) if !value.is_empty() => matches!(&*value, "1" | "t" | "T" | "true" | "TRUE" | "True"),
        _ => {
            parts.headers.get(header::USER_AGENT).and_then(|agent| agent.to_str().ok()).is_some_and(|agent| {
                ["curl", "Wget", "Mozilla/5.0"].iter().any(|name| agent.starts_with(name))
            })
        }
    }
}

/// Whether plain JSON is acceptable, for the documents that have no other form (rule 45).
pub(super) fn accepts_json(headers: &HeaderMap) -> bool {
    let clauses = clauses(headers);
    clauses.is_empty() || clauses.iter().any(|clause| clause.matches("json"))
}

/// One clause of an `Accept` header.
struct Clause<'a> {
    main: &'a str,
    sub: &'a str,
    /// Thousandths.
    quality: u16,
    target: Option<Target<'a>>,
    pretty: bool,
    /// Names a stream that nobody here writes.
    foreign_stream: bool,
}

impl Clause<'_> {
    fn matches(&self, sub: &str) -> bool {
        match (self.main, self.sub) {
            ("*", "*") => true,
            (main, own) => {
                main.eq_ignore_ascii_case("application") && (own == "*" || own.eq_ignore_ascii_case(sub))
            }
        }
    }

    fn is_known(&self) -> bool {
        ["json", "yaml", PROTOBUF].iter().any(|sub| self.matches(sub))
    }

    fn output(&self, offer: &Offer, pretty: bool) -> Option<Output> {
        if self.foreign_stream {
            return None;
        }
        [("json", Format::Json), ("yaml", Format::Yaml)]
            .into_iter()
            .filter(|(sub, _)| self.matches(sub))
            .find_map(|(_, format)| {
                let transform = match &self.target {
                    Some(target) => Some((offer.transform)(target, format)?),
                    None => None,
                };
                Some(Output { format, pretty: pretty || self.pretty, transform })
            })
    }
}

/// All clauses: best quality first, then as they stand, wildcards last.
fn clauses(headers: &HeaderMap) -> Vec<Clause<'_>> {
    let mut clauses: Vec<_> = headers
        .get_all(header::ACCEPT)
        .into_iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(parse_clause)
        .take(MAX_CLAUSES)
        .collect();
    clauses.sort_by_key(|clause| (1000 - clause.quality, clause.main == "*", clause.sub == "*"));
    clauses
}

/// Reads one clause; `None` if it is none, or if its quality is zero.
fn parse_clause(text: &str) -> Option<Clause<'_>> {
    let mut fields = text.split(';').map(str::trim);
    let (main, sub) = fields.next()?.split_once('/')?;
    let mut clause = Clause { main, sub, quality: 1000, target: None, pretty: false, foreign_stream: false };
    for (key, value) in fields.filter_map(|field| field.split_once('=')) {
        let value = value.trim().trim_matches('"');
        match key.trim() {
            "q" => clause.quality = quality(value),
            "as" => clause.target.get_or_insert_default().kind = value,
            "g" => clause.target.get_or_insert_default().group = value,
            "v" => clause.target.get_or_insert_default().version = value,
            "pretty" => clause.pretty = value == "1",
            "stream" => clause.foreign_stream = !matches!(value, "" | "watch"),
            _ => {}
        }
    }
    (clause.quality > 0).then_some(clause)
}

/// Thousandths; what is no number between 0 and 1 counts as 1.
fn quality(value: &str) -> u16 {
    let value: f32 = value.parse().unwrap_or(1.0);
    if value.is_finite() { (value.clamp(0.0, 1.0) * 1000.0).round() as u16 } else { 1000 }
}
