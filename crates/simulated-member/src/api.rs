//! Which part of the member answers which path.

use http::{Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use serde_json::{Value, json};

use crate::cluster::{Cluster, VERSION};
use crate::respond::{Body, json, text};
use crate::route::Target;
use crate::status::{Result, Status};
use crate::user::User;
use crate::{discovery, negotiate, objects, openapi, pods, reviews};

/// Answers a request that `user` makes.
pub(crate) async fn serve(
    cluster: &Cluster,
    user: &User,
    request: Request<Incoming>,
) -> Result<Response<Body>> {
    let path = request.uri().path().to_owned();
    let open = matches!(path.as_str(), "/version" | "/healthz" | "/livez" | "/readyz");
    if user.is_anonymous() && !open {
        return Err(Status::unauthorized());
    }
    if let Some(target) = Target::parse(&path) {
        return match target.subresource.as_deref() {
            None | Some("status" | "scale") if is_known(&target) => {
                objects::serve(cluster, &target, request).await
            }
            Some("log" | "exec" | "attach" | "portforward") if target.resource.kind == "Pod" => {
                pods::serve(&cluster.store, &target, request).await
            }
            _ => Err(Status::no_route()),
        };
    }
    if let Some(plural) = review(&path) {
        return reviews::serve(plural, user, cluster, request).await;
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let known = document(cluster, &request).is_some();
        return Err(if known { Status::method_not_allowed() } else { Status::no_route() });
    }
    document(cluster, &request).ok_or_else(Status::no_route)
}

/// The documents that are the same for everybody.
fn document(cluster: &Cluster, request: &Request<Incoming>) -> Option<Response<Body>> {
    let path = request.uri().path();
    let ok = |value: &Value| json(StatusCode::OK, value);
    let aggregated = negotiate::aggregated_discovery(request.headers());
    match path {
        "/" => Some(ok(&index())),
        "/version" | "/version/" => Some(ok(&version())),
        "/healthz" | "/livez" | "/readyz" => Some(text("ok")),
        "/api" | "/api/" | "/apis" | "/apis/" => {
            let core = path.starts_with("/api/") || path == "/api";
            Some(match aggregated {
                Some(version) => aggregated_answer(version, core),
                None if core => ok(&discovery::versions()),
                None => ok(&discovery::groups()),
            })
        }
        "/api/v1" | "/api/v1/" => discovery::resources("").as_ref().map(ok),
        _ => openapi::document(&cluster.schemas, request).or_else(|| {
            let rest = path.strip_prefix("/apis/")?.trim_end_matches('/');
            match rest.split_once('/') {
                None => discovery::group(rest),
                Some((group, "v1")) if !group.is_empty() => discovery::resources(group),
                Some(_) => None,
            }
            .as_ref()
            .map(ok)
        }),
    }
}

/// Whether the resource has the subresource that is asked for.
fn is_known(target: &Target) -> bool {
    match target.subresource.as_deref() {
        None => true,
        Some("status") => target.resource.has_status,
        Some(name) => target.resource.subresources.iter().any(|below| below.name == name),
    }
}

/// The plural name of the review at a path.
fn review(path: &str) -> Option<&str> {
    let (group, rest) = path.strip_prefix("/apis/")?.split_once("/v1/")?;
    let plural = rest.rsplit('/').next()?;
    let local = rest.split('/').count() == 3 && rest.starts_with("namespaces/");
    (discovery::is_review(group, plural) && (local || rest == plural)).then_some(plural)
}

/// Clients tell by the content type that they got what they asked for.
fn aggregated_answer(version: &str, core: bool) -> Response<Body> {
    let mut response = json(StatusCode::OK, &discovery::aggregated(version, core));
    let kind = match version {
        "v2" => "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList",
        _ => "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList",
    };
    response.headers_mut().insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static(kind));
    response
}

fn index() -> Value {
    json!({"paths": ["/api", "/api/v1", "/apis", "/apis/apps", "/apis/apps/v1", "/healthz", "/livez", "/openapi/v2", "/openapi/v3", "/readyz", "/version"]})
}

fn version() -> Value {
    json!({
        "major": "1", "minor": "34", "gitVersion": VERSION, "gitCommit": "", "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z", "goVersion": "", "compiler": "rustc",
        "platform": format!("{}/{}", std::env::consts::OS, std::env::consts::ARCH),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reviews_have_their_paths() {
        assert_eq!(review("/apis/authentication.k8s.io/v1/selfsubjectreviews"), Some("selfsubjectreviews"));
        assert_eq!(
            review("/apis/authorization.k8s.io/v1/namespaces/a/localsubjectaccessreviews"),
            Some("localsubjectaccessreviews")
        );
        assert_eq!(review("/apis/authorization.k8s.io/v1/selfsubjectreviews"), None);
        assert_eq!(review("/apis/authorization.k8s.io/v1/x/subjectaccessreviews"), None);
    }
}
