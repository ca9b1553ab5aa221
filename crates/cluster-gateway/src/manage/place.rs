//! Where clusters are kept, as a caller may touch them.

use std::path::PathBuf;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::BoxFuture;
use http::{HeaderMap, Request, Response};
use kube::Client;
use kube::client::Body;
use tower_service::Service;

use super::{Caller, Code, Manage, Refusal};
use crate::authn::{Connection, UserInfo};
use crate::body::Body as GatewayBody;
use crate::gateway::Gateway;
use crate::hub::Hub;
use crate::identity::Exchange;
use crate::lifecycle;

/// Where clusters are kept.
#[derive(Debug, Clone)]
pub enum Place {
    /// Secrets of a hub.
    Hub {
        /// The hub.
        hub: Box<Hub>,
        /// The Secrets' namespace.
        namespace: String,
    },
    /// Files of a standalone server. There the gateway's own rights are the only ones; what a caller may do has been asked
    /// before.
    Directory(PathBuf),
}

impl Place {
    /// The namespace of the Secrets; empty without a hub.
    #[must_use]
    pub fn namespace(&self) -> &str {
        match self {
            Self::Hub { namespace, .. } => namespace,
            Self::Directory(_) => "",
        }
    }
}

impl Manage {
    /// The clusters, for somebody who may have been found to have a right to them: a hub decides once more.
    ///
    /// # Errors
    /// If who they are cannot be passed on.
    pub fn clusters_as(&self, caller: &Caller) -> Result<lifecycle::Store, Refusal> {
        Ok(match &self.place {
            Place::Hub { namespace, .. } => {
                let client =
                    self.hub_as(caller)?.ok_or_else(|| Refusal::new(Code::Internal, "there is no hub"))?;
                lifecycle::Store::hub(client, namespace)
            }
            Place::Directory(path) => lifecycle::Store::directory(path),
        })
    }

    /// The hub, which takes every request of this client for one of the caller's; `None` without a hub.
    ///
    /// # Errors
    /// If who they are cannot be passed on.
    pub fn hub_as(&self, caller: &Caller) -> Result<Option<Client>, Refusal> {
        let Place::Hub { hub, namespace } = &self.place else { return Ok(None) };
        let mut headers = HeaderMap::new();
        Exchange::Caller(&caller.user).apply(&mut headers)?;
        Ok(Some(Client::new(Impersonating { client: hub.client(), headers }, namespace)))
    }

    /// The gateway of this process, which takes every request of this client for one of the caller's: it authorizes, limits,
    /// records and audits as for a request from outside.
    #[must_use]
    pub fn through_gateway(&self, caller: &Caller) -> Client {
        let inside = Inside { gateway: Arc::clone(&self.gateway), user: Arc::clone(&caller.user) };
        Client::new(inside, self.place.namespace())
    }

    /// As [`Manage::through_gateway`], for what waits until a change has come through.
    #[must_use]
    pub fn gateway_check(&self, caller: &Caller) -> lifecycle::Gateway {
        lifecycle::Gateway::new(self.through_gateway(caller), PATIENCE)
    }
}

/// How long a change may take to come through to the gateway of this process.
const PATIENCE: Duration = Duration::from_secs(30);

struct Impersonating {
    client: Client,
    headers: HeaderMap,
}

impl Service<Request<Body>> for Impersonating {
    type Response = Response<Body>;
    type Error = kube::Error;
    type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        for (name, value) in &self.headers {
            request.headers_mut().append(name, value.clone());
        }
        let client = self.client.clone();
        Box::pin(async move { client.send(request).await })
    }
}

struct Inside {
    gateway: Arc<Gateway>,
    user: Arc<UserInfo>,
}

impl Service<Request<Body>> for Inside {
    type Response = Response<GatewayBody>;
    type Error = std::convert::Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let gateway = Arc::clone(&self.gateway);
        let connection = Connection::inside(Arc::clone(&self.user), ([127, 0, 0, 1], 0).into());
        Box::pin(async move { Ok(gateway.answer(&connection, request.map(GatewayBody::boxed_any)).await) })
    }
}
