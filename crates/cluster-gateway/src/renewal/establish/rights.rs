//! What somebody may do on a member.

use std::time::Duration;

use futures_util::future::try_join_all;
use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec, SubjectAccessReview,
    SubjectAccessReviewSpec,
};
use k8s_openapi::api::core::v1::Namespace;
use kube::Client;
use kube::api::{Api, PostParams};
use tokio::time::Instant;

use super::error::{EstablishError, member};
use super::wanted::Role;
use crate::renewal::ServiceAccountRef;

const RBAC: &str = "rbac.authorization.k8s.io";
const AUTHENTICATION: &str = "authentication.k8s.io";

/// A right, as a SubjectAccessReview names it.
#[derive(Clone, Copy)]
struct Right<'a> {
    verb: &'a str,
    group: &'a str,
    resource: &'a str,
    subresource: &'a str,
    namespace: &'a str,
    name: &'a str,
}

/// The rights that whoever `client` is lacks to give `account` this role, in words; nothing if it has them all.
///
/// # Errors
/// [`EstablishError`]: the member does not say.
pub async fn missing_rights(
    client: &Client,
    account: &ServiceAccountRef,
    role: Role,
) -> Result<Vec<String>, EstablishError> {
    let everything = right("*", "*", "*");
    if may(client, &everything).await? {
        return Ok(Vec::new());
    }
    let namespace = account.namespace();
    let within = |right: Right<'static>| Right { namespace, ..right };
    let mut needed = vec![
        within(right("create", "", "serviceaccounts")),
        Right { subresource: "token", ..within(right("create", "", "serviceaccounts")) },
        within(right("create", RBAC, "roles")),
        within(right("create", RBAC, "rolebindings")),
        right("create", RBAC, "clusterrolebindings"),
    ];
    let namespaces = Api::<Namespace>::all(client.clone());
    if !matches!(member("the namespace", "read", namespaces.get_opt(namespace)).await, Ok(Some(_))) {
        needed.push(right("create", "", "namespaces"));
    }
    match role {
        Role::Impersonate => {
            needed.push(right("create", RBAC, "clusterroles"));
            needed.extend(grants(client).await?);
        }
        Role::ClusterAdmin => {
            needed.push(Right { name: "cluster-admin", ..right("bind", RBAC, "clusterroles") });
        }
    }
    let allowed = try_join_all(needed.iter().map(|right| may(client, right))).await?;
    let missing = needed.iter().zip(allowed).filter(|(_, allowed)| !allowed);
    Ok(missing.map(|(right, _)| right.to_string()).collect())
}

/// Nobody can give away what they do not have, unless they may escalate and bind.
async fn grants(client: &Client) -> Result<Vec<Right<'static>>, EstablishError> {
    let held = [
        right("impersonate", "", "users"),
        right("impersonate", "", "groups"),
        right("impersonate", "", "serviceaccounts"),
        right("impersonate", AUTHENTICATION, "*"),
    ];
    let all = try_join_all(held.iter().map(|right| may(client, right))).await?;
    let needed = match all.iter().all(|held| *held) {
        true => Vec::new(),
        false => vec![right("escalate", RBAC, "clusterroles"), right("bind", RBAC, "clusterroles")],
    };
    Ok(needed)
}

fn right(verb: &'static str, group: &'static str, resource: &'static str) -> Right<'static> {
    Right { verb, group, resource, subresource: "", namespace: "", name: "" }
}

async fn may(client: &Client, right: &Right<'_>) -> Result<bool, EstablishError> {
    let review = SelfSubjectAccessReview {
        spec: SelfSubjectAccessReviewSpec {
            resource_attributes: Some(right.attributes()),
            ..SelfSubjectAccessReviewSpec::default()
        },
        ..SelfSubjectAccessReview::default()
    };
    let reviews = Api::<SelfSubjectAccessReview>::all(client.clone());
    let answer = member("what you may do", "ask", reviews.create(&PostParams::default(), &review)).await?;
    Ok(answer.status.is_some_and(|status| status.allowed))
}

/// Waits until the member's authorizer knows the role. Best effort: it may not be asked about others, and then there is nothing
/// to wait for but the first request.
pub(super) async fn wait_effective(
    client: &Client,
    account: &ServiceAccountRef,
    role: Role,
    limit: Duration,
) {
    let right = match role {
        Role::Impersonate => right("impersonate", AUTHENTICATION, "uids"),
        Role::ClusterAdmin => right("*", "*", "*"),
    };
    let review = SubjectAccessReview {
        spec: SubjectAccessReviewSpec {
            user: Some(account.user()),
            resource_attributes: Some(right.attributes()),
            ..SubjectAccessReviewSpec::default()
        },
        ..SubjectAccessReview::default()
    };
    let (reviews, until) = (Api::<SubjectAccessReview>::all(client.clone()), Instant::now() + limit);
    while Instant::now() < until {
        match member("its rights", "ask", reviews.create(&PostParams::default(), &review)).await {
            Ok(answer) if !answer.status.as_ref().is_some_and(|status| status.allowed) => {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            Ok(_) | Err(_) => return,
        }
    }
}

impl Right<'_> {
    fn attributes(&self) -> ResourceAttributes {
        let some = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        ResourceAttributes {
            verb: some(self.verb),
            group: some(self.group),
            resource: some(self.resource),
            subresource: some(self.subresource),
            namespace: some(self.namespace),
            name: some(self.name),
            ..ResourceAttributes::default()
        }
    }
}

impl std::fmt::Display for Right<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.verb, self.resource)?;
        for (mark, text) in
            [("/", self.subresource), (".", self.group), (" ", self.name), (" in ", self.namespace)]
        {
            if !text.is_empty() {
                write!(f, "{mark}{text}")?;
            }
        }
        Ok(())
    }
}
