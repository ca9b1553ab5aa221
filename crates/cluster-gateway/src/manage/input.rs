//! Bodies of requests: bounded, of one media type, and what is wrong with them is said in the API's own form.

use std::sync::Arc;

use axum::extract::{FromRequest, Request};
use axum::response::{IntoResponse, Response};
use http::header;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Code, Manage, Refusal};

/// Largest body of a request, in bytes: a kubeconfig of 1 MiB, as JSON writes it.
pub const MAX_BODY: usize = 2 << 20;

/// A body in JSON, of a request or of an answer.
#[derive(Debug, Clone)]
pub struct Json<T>(pub T);

impl<T: DeserializeOwned> FromRequest<Arc<Manage>> for Json<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, _: &Arc<Manage>) -> Result<Self, Refusal> {
        let kind = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let kind = kind.and_then(|value| value.split(';').next()).unwrap_or_default().trim();
        if !kind.eq_ignore_ascii_case("application/json") {
            let message = format!("the body must be application/json, not \"{kind}\"");
            return Err(Refusal::new(Code::UnsupportedMediaType, message));
        }
        let body = Limited::new(request.into_body(), MAX_BODY).collect().await.map_err(|error| {
            if error.is::<LengthLimitError>() {
                Refusal::new(Code::BodyTooLarge, format!("the body is larger than {MAX_BODY} bytes"))
            } else {
                Refusal::new(Code::BadBody, "the body broke off")
            }
        })?;
        let body = body.to_bytes();
        // serde takes a list for an object, too: what stands first for the first field.
        if body.iter().find(|byte| !byte.is_ascii_whitespace()).is_some_and(|&byte| byte == b'[') {
            return Err(Refusal::new(Code::BadBody, "the body is a list, not an object"));
        }
        // serde's own words name a field or a place, never a value but a mistyped scalar, which may be a secret.
        serde_json::from_slice(&body).map(Self).map_err(|error| {
            let (line, column) = (error.line(), error.column());
            let what = match error.classify() {
                serde_json::error::Category::Data => "has a field of a wrong type, or lacks one",
                _ => "is not JSON",
            };
            Refusal::new(Code::BadBody, format!("the body {what} (line {line}, column {column})"))
        })
    }
}

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        match serde_json::to_vec(&self.0) {
            Ok(body) => ([(header::CONTENT_TYPE, "application/json")], body).into_response(),
            Err(error) => Refusal::new(Code::Internal, error.to_string()).into_response(),
        }
    }
}
