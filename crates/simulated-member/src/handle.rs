//! The life of a request: who asks, what goes wrong, what is answered.

use std::io;

use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response};
use hyper::body::Incoming;
use rustls_pki_types::CertificateDer;
use tokio_util::sync::CancellationToken;

use crate::api;
use crate::authn::{Authenticator, Caller, impersonate};
use crate::cluster::Cluster;
use crate::faults::{Fault, Faults, broken, huge_list};
use crate::query::Query;
use crate::recorder::{Recorded, Recorder};
use crate::respond::Body;
use crate::route::Target;
use crate::status::{Result, Status};

const NONCE: HeaderName = HeaderName::from_static("x-simulated-nonce");

/// What a request should know of its connection.
#[derive(Debug)]
pub(crate) struct Connection {
    /// Counted from one.
    pub(crate) number: u64,
    pub(crate) certificates: Vec<CertificateDer<'static>>,
    /// Resets the connection when cancelled.
    pub(crate) reset: CancellationToken,
}

/// What answers requests.
#[derive(Debug)]
pub(crate) struct Handler {
    pub(crate) name: String,
    pub(crate) cluster: Cluster,
    pub(crate) authenticator: Authenticator,
    pub(crate) recorder: Recorder,
    pub(crate) faults: Faults,
}

impl Handler {
    /// Answers a request; an error resets its stream.
    pub(crate) async fn handle(
        &self,
        connection: &Connection,
        request: Request<Incoming>,
    ) -> io::Result<Response<Body>> {
        let caller = self.caller(connection, &request);
        let echo = echo(&self.name, caller.as_ref().ok(), request.headers());
        let fault = self.faults.catch(request.uri().path());
        let answer = match (caller, fault) {
            (_, Some(Fault::StallBeforeHeaders)) => std::future::pending().await,
            (_, Some(Fault::Reset { after: None })) => {
                connection.reset.cancel();
                std::future::pending().await
            }
            (_, Some(Fault::TooManyRequests { retry_after })) => Err(Status::too_many_requests(retry_after)),
            (Ok(_), Some(Fault::HugeList { objects, bytes })) if is_list(&request) => {
                Ok(huge_list(objects, bytes))
            }
            (Ok(caller), _) => api::serve(&self.cluster, &caller.user, request).await,
            (Err(status), _) => Err(status),
        };
        let mut response = answer.unwrap_or_else(|status| status.response());
        if let Ok(id) = HeaderValue::from_str(&uuid::Uuid::new_v4().to_string()) {
            response.headers_mut().insert("audit-id", id);
        }
        response.headers_mut().extend(echo);
        Ok(match fault {
            Some(fault) => broken(response, fault, connection.reset.clone()),
            None => response,
        })
    }

    /// Finds out who asks, and remembers what was asked.
    fn caller(&self, connection: &Connection, request: &Request<Incoming>) -> Result<Caller> {
        let authenticated = self.authenticator.authenticate(&connection.certificates, request.headers());
        let caller = authenticated.clone().and_then(|user| impersonate(user, request.headers()));
        let target = request.uri().path_and_query().map_or("/", |target| target.as_str());
        self.recorder.record(Recorded {
            method: request.method().clone(),
            target: target.to_owned(),
            version: request.version(),
            headers: request.headers().clone(),
            connection: connection.number,
            authenticated: authenticated.ok(),
            user: caller.as_ref().ok().map(|caller| caller.user.clone()),
        });
        caller
    }
}

/// What a request with a nonce is told, whatever the answer: that nonce, which member this is, and as whom it was served.
fn echo(member: &str, caller: Option<&Caller>, asked: &HeaderMap) -> HeaderMap {
    let Some(nonce) = asked.get(NONCE) else { return HeaderMap::new() };
    let user = caller.map(|caller| caller.user.name.as_str()).unwrap_or_default();
    let value = |text: &str| HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static("?"));
    HeaderMap::from_iter([
        (NONCE, nonce.clone()),
        (HeaderName::from_static("x-simulated-member"), value(member)),
        (HeaderName::from_static("x-simulated-user"), value(user)),
    ])
}

fn is_list(request: &Request<Incoming>) -> bool {
    let query = Query::parse(request.uri().query().unwrap_or_default());
    let target = Target::parse(request.uri().path());
    request.method() == Method::GET
        && !query.flag("watch")
        && target.is_some_and(|target| target.name.is_none())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::user::User;

    #[test]
    fn a_nonce_comes_back_with_member_and_user() {
        let asked = HeaderMap::from_iter([(NONCE, HeaderValue::from_static("n-1"))]);
        let caller = Caller { authenticated: User::new("gateway"), user: User::new("ann") };
        let told = echo("member1", Some(&caller), &asked);
        assert_eq!(told["x-simulated-nonce"], "n-1");
        assert_eq!(told["x-simulated-member"], "member1");
        assert_eq!(told["x-simulated-user"], "ann");
        assert_eq!(echo("member1", None, &asked)["x-simulated-user"], "");
        assert!(echo("member1", Some(&caller), &HeaderMap::new()).is_empty());
    }
}
