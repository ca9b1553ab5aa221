//! Questions about who somebody is and what they may do. Here everybody may do everything.

use http::{Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use serde_json::{Value, json};

use crate::clock::rfc3339;
use crate::cluster::Cluster;
use crate::negotiate;
use crate::respond::{Body, json};
use crate::status::{Result, Status};
use crate::user::User;

/// Answers the review at `plural`.
pub(crate) async fn serve(
    plural: &str,
    user: &User,
    cluster: &Cluster,
    request: Request<Incoming>,
) -> Result<Response<Body>> {
    if request.method() != Method::POST {
        return Err(Status::method_not_allowed());
    }
    let mut review = negotiate::document(&cluster.schemas, request).await?;
    if !review.is_object() {
        return Err(Status::bad_request("the body must be a review"));
    }
    review["status"] = answer(plural, user);
    if plural == "selfsubjectreviews" {
        review["metadata"] = json!({"creationTimestamp": rfc3339(cluster.store.clock.now())});
    }
    Ok(json(StatusCode::CREATED, &review))
}

fn answer(plural: &str, user: &User) -> Value {
    match plural {
        "selfsubjectreviews" => json!({"userInfo": user.document()}),
        "selfsubjectrulesreviews" => json!({
            "resourceRules": [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}],
            "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}],
            "incomplete": false,
        }),
        _ => json!({"allowed": true, "reason": "a simulated member allows everything"}),
    }
}
