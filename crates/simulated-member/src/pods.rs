//! What happens inside pods.
use crate::respond::Body;
use crate::route::Target;
use crate::status::{Result, Status};
use crate::store::Store;
use http::{Request, Response};
use hyper::body::Incoming;
use std::sync::Arc;
pub(crate) async fn serve(
    _store: &Arc<Store>,
    _target: &Target,
    _request: Request<Incoming>,
) -> Result<Response<Body>> {
    Err(Status::no_route())
}
