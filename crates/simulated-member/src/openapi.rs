//! OpenAPI documents.
use http::{Request, Response};
use hyper::body::Incoming;
use crate::respond::Body;
pub(crate) fn document(_request: &Request<Incoming>) -> Option<Response<Body>> { None }
