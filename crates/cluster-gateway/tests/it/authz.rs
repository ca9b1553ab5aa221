//! What users may do, asked of the public API with a fake hub behind it.

mod impersonation;
mod proxied;
mod quotas;
mod reviews;

use cluster_gateway::authn::UserInfo;
use cluster_gateway::authz::{AuthorizationConfig, Authorizer};
use cluster_gateway::request::RequestInfo;
use cluster_gateway::status::Error;

use crate::support::fake_hub::FakeHub;

pub const PROXY: &str = "/apis/cluster.core.oam.dev/v1alpha1/clustergateways/c/proxy";

pub fn user(name: &str, groups: &[&str]) -> UserInfo {
    let groups = groups.iter().map(|&group| group.to_owned()).collect();
    UserInfo { name: name.to_owned(), groups, ..UserInfo::default() }
}

pub async fn authorizer(hub: &FakeHub, config: &AuthorizationConfig) -> Authorizer {
    Authorizer::new(config, hub.hub().await).unwrap()
}

/// Asks whether `user` may send this request.
pub async fn ask(
    authorizer: &Authorizer,
    user: &UserInfo,
    request: http::request::Builder,
) -> Result<(), Error> {
    let parts = request.body(()).unwrap().into_parts().0;
    let (user, uri) = (user.clone(), parts.uri.to_string());
    match RequestInfo::parse(&parts).unwrap() {
        RequestInfo::Proxy(target) => authorizer.authorize(user, target, &uri).await.map(drop),
        RequestInfo::Resource(target) => authorizer.authorize(user, target, &uri).await.map(drop),
        RequestInfo::Document(target) => authorizer.authorize(user, target, &uri).await.map(drop),
    }
}

pub async fn get(authorizer: &Authorizer, user: &UserInfo, uri: &str) -> Result<(), Error> {
    ask(authorizer, user, http::Request::get(uri)).await
}
