//! What happens inside pods.
use std::sync::Arc;
use http::{Request, Response};
use hyper::body::Incoming;
use crate::respond::Body;
use crate::route::Target;
use crate::status::{Result, Status};
use crate::store::Store;
pub(crate) async fn serve(_store: &Arc<Store>, _target: &Target, _request: Request<Incoming>) -> Result<Response<Body>> { Err(Status::no_route()) }
