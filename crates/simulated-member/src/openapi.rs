//! OpenAPI documents.
use crate::respond::Body;
use http::{Request, Response};
use hyper::body::Incoming;
pub(crate) fn document(_request: &Request<Incoming>) -> Option<Response<Body>> {
    None
}
