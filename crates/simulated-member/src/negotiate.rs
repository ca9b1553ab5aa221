//! In which form the client wants its answer, and which form its body has.

use bytes::Bytes;
use http::{HeaderMap, Request, header};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use serde_json::Value;

use crate::protobuf;
use crate::schema::Schemas;
use crate::status::{Result, Status};

/// The largest body that is read, bytes.
const MAX_BODY: usize = 3 << 20;

/// How objects are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// As they are.
    Object,
    /// `PartialObjectMetadata`.
    Metadata,
    /// Columns for people.
    Table,
}

/// The first form in `Accept` that can be given.
pub(crate) fn form(headers: &HeaderMap) -> Result<Form> {
    let accept = accept(headers);
    if accept.is_empty() {
        return Ok(Form::Object);
    }
    accept.iter().find_map(|one| one.form()).ok_or_else(Status::not_acceptable)
}

/// The version of aggregated discovery that is asked for before the classic one, if any.
pub(crate) fn aggregated_discovery(headers: &HeaderMap) -> Option<&'static str> {
    let wanted = accept(headers);
    let wanted = wanted.iter().find(|one| one.is_json())?;
    if wanted.parameter("as") != Some("APIGroupDiscoveryList")
        || wanted.parameter("g") != Some("apidiscovery.k8s.io")
    {
        return None;
    }
    ["v2", "v2beta1"].into_iter().find(|version| wanted.parameter("v") == Some(version))
}

struct Accepted {
    media_type: String,
    parameters: Vec<(String, String)>,
}

impl Accepted {
    fn is_json(&self) -> bool {
        matches!(self.media_type.as_str(), "application/json" | "application/*" | "*/*")
    }

    fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    fn form(&self) -> Option<Form> {
        if !self.is_json() {
            return None;
        }
        let meta = self.parameter("g") == Some("meta.k8s.io") && self.parameter("v") == Some("v1");
        match self.parameter("as") {
            None => Some(Form::Object),
            Some("Table") if meta => Some(Form::Table),
            Some("PartialObjectMetadata" | "PartialObjectMetadataList") if meta => Some(Form::Metadata),
            Some(_) => None,
        }
    }
}

fn accept(headers: &HeaderMap) -> Vec<Accepted> {
    let values = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let ranges = values.flat_map(|value| value.split(',')).map(str::trim).filter(|range| !range.is_empty());
    ranges
        .map(|range| {
            let mut parts = range.split(';').map(str::trim);
            let media_type = parts.next().unwrap_or_default().to_ascii_lowercase();
            let parameters = parts.filter_map(|part| part.split_once('='));
            let parameters =
                parameters.map(|(name, value)| (name.to_owned(), value.trim_matches('"').to_owned()));
            Accepted { media_type, parameters: parameters.collect() }
        })
        .collect()
}

/// The media type of a request's body, empty when it has none.
pub(crate) fn content_type(headers: &HeaderMap) -> &str {
    headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// Reads a body of JSON, YAML or Kubernetes' protobuf; an empty one is null.
pub(crate) async fn document(schemas: &Schemas, request: Request<Incoming>) -> Result<Value> {
    let content_type = content_type(request.headers()).to_owned();
    let bytes = bytes(request).await?;
    parse(schemas, &content_type, &bytes)
}

async fn bytes(request: Request<Incoming>) -> Result<Bytes> {
    match Limited::new(request.into_body(), MAX_BODY).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<http_body_util::LengthLimitError>() => Err(Status::too_large()),
        Err(error) => Err(Status::bad_request(format!("the body could not be read: {error}"))),
    }
}

fn parse(schemas: &Schemas, content_type: &str, bytes: &[u8]) -> Result<Value> {
    if bytes.is_empty() {
        return Ok(Value::Null);
    }
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    let wrong = |error: &dyn std::fmt::Display| {
        Status::bad_request(format!("the object provided is unrecognized: {error}"))
    };
    if media_type.ends_with("yaml") {
        let text = std::str::from_utf8(bytes).map_err(|error| wrong(&error))?;
        return serde_saphyr::from_str(text).map_err(|error| wrong(&error));
    }
    if media_type == "application/vnd.kubernetes.protobuf" {
        return protobuf::decode(schemas, bytes).map_err(|error| wrong(&error));
    }
    if media_type.is_empty() || media_type == "*/*" || media_type.ends_with("json") {
        return serde_json::from_slice(bytes).map_err(|error| wrong(&error));
    }
    let accepted = "application/json, application/yaml, application/vnd.kubernetes.protobuf";
    Err(Status::unsupported_media(media_type, accepted))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn accepting(value: &str) -> HeaderMap {
        HeaderMap::from_iter([(header::ACCEPT, value.parse().unwrap())])
    }

    #[test]
    fn the_first_form_that_can_be_given_is() {
        let kubectl = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json";
        assert_eq!(form(&accepting(kubectl)).unwrap(), Form::Table);
        assert_eq!(form(&HeaderMap::new()).unwrap(), Form::Object);
        assert_eq!(form(&accepting("application/vnd.kubernetes.protobuf, */*")).unwrap(), Form::Object);
        let metadata = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";
        assert_eq!(form(&accepting(metadata)).unwrap(), Form::Metadata);
        assert_eq!(form(&accepting("application/vnd.kubernetes.protobuf")).unwrap_err().code, 406);
        assert_eq!(
            form(&accepting("application/json;as=Table;v=v1beta1;g=meta.k8s.io")).unwrap_err().code,
            406
        );
    }

    #[test]
    fn discovery_is_aggregated_when_that_comes_first() {
        let v2 = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
        assert_eq!(aggregated_discovery(&accepting(&format!("{v2},application/json"))), Some("v2"));
        assert_eq!(aggregated_discovery(&accepting(&v2.replace("v=v2", "v=v2beta1"))), Some("v2beta1"));
        assert_eq!(aggregated_discovery(&accepting(&format!("application/json,{v2}"))), None);
    }

    #[test]
    fn bodies_are_json_yaml_or_protobuf() {
        let parse = |content_type, bytes: &[u8]| parse(&Schemas::load(), content_type, bytes);
        assert_eq!(parse("application/json", b"{\"a\":1}").unwrap(), json!({"a": 1}));
        assert_eq!(
            parse("application/apply-patch+yaml", b"a: 1\nb: [x]\n").unwrap(),
            json!({"a": 1, "b": ["x"]})
        );
        assert_eq!(parse("", b"").unwrap(), Value::Null);
        assert_eq!(parse("application/json", b"{").unwrap_err().code, 400);
        assert_eq!(parse("application/vnd.kubernetes.protobuf", b"k8s").unwrap_err().code, 400);
        assert_eq!(parse("text/html", b"x").unwrap_err().code, 415);
    }
}
