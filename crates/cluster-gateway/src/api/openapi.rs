//! stub
use http::Response;
use http::request::Parts;

use crate::body::Body;
use crate::status::Error;

pub(super) struct OpenApi {}

impl OpenApi {
    pub(super) fn new() -> Self {
        Self {}
    }

    pub(super) fn answer(&self, _: &str, _: &Parts) -> Option<Result<Response<Body>, Error>> {
        None
    }
}
