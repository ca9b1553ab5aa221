//! The proxied request itself, as its member's API server will take it (contract rules 101-104, 107-112).
//!
//! It is asked for besides `clustergateways/proxy`, never instead of it.

use super::{Attributes, Authorizer};
use crate::authn::{GROUP_MASTERS, UserInfo};
use crate::request::{MemberRequest, ProxyTarget, ResourceTarget, Verb};
use crate::status::{Error, Forbidden};

/// Subresources of pods that open a session, by whatever method and protocol (KEP-4006: kube-apiserver 1.35 and newer ask
/// for `create` on every request for them).
const SESSIONS: [&str; 3] = ["exec", "attach", "portforward"];
/// Resources whose subresource `proxy` leads on to a program in the cluster.
const PROXIES: [&str; 3] = ["pods", "services", "nodes"];

impl Authorizer {
    /// Whether `user` may do at the member what `target` asks of it.
    ///
    /// # Errors
    /// As [`Authorizer::authorize`]; [`Error::BadRequest`] for a path that names a special verb and nothing to do it to.
    pub(super) async fn check_carried(
        &self,
        user: &UserInfo,
        target: &ProxyTarget,
        uri: &str,
    ) -> Result<(), Error> {
        if user.in_group(GROUP_MASTERS) {
            return Ok(());
        }
        let cluster = Some(target.path.cluster.as_str());
        let request =
            target.at_member().map_err(|error| Error::BadRequest(format!("the proxied path: {error}")))?;
        let resource = match &request {
            MemberRequest::Document(document) => {
                return self.check(user, document.asked(), cluster, uri).await.map(drop);
            }
            MemberRequest::Resource(resource) => resource,
        };
        if leads_to_another_gateway(resource) {
            return Err(another_gateway(user, resource.asked(resource.verb)));
        }
        self.check(user, resource.asked(resource.verb), cluster, uri).await?;
        if resource.verb != Verb::Create && also_creates(resource, target.upgrade) {
            self.check(user, resource.asked(Verb::Create), cluster, uri).await?;
        }
        Ok(())
    }
}

/// Whether a request does more than its method says (rule 110).
fn also_creates(resource: &ResourceTarget, upgrade: bool) -> bool {
    let session = resource.resource == "pods" && SESSIONS.contains(&resource.subresource.as_str());
    let proxy = resource.subresource == "proxy" && PROXIES.contains(&resource.resource.as_str());
    resource.group.is_empty() && (session || (upgrade && proxy))
}

/// Whether the member would pass the request on to a member of its own. What is asked of that one nobody here looks at,
/// and whoever may use this gateway may, by the same words, use that one.
fn leads_to_another_gateway(resource: &ResourceTarget) -> bool {
    resource.group == cluster_gateway_client::GROUP
        && resource.resource == "clustergateways"
        && resource.subresource == "proxy"
}

fn another_gateway(user: &UserInfo, asked: Attributes<'_>) -> Error {
    Error::Forbidden(Box::new(Forbidden {
        user: user.name.clone(),
        verb: asked.verb().to_owned(),
        on: asked.into(),
        reason: "a request that goes on through another gateway cannot be authorized here; send it to that gateway"
            .to_owned(),
    }))
}
