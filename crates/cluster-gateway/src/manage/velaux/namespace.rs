//! A namespace in a member, made as the caller.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use cluster_gateway_client::ProxyPath;
use http::StatusCode;
use http_body_util::{BodyExt, Limited};
use kube::client::Body;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::model::{CreateNamespace, NamespaceCreated};
use super::{body, check};
use crate::hub::chain;
use crate::manage::cluster_name::no_cluster;
use crate::manage::store::LOCAL;
use crate::manage::{Caller, ClusterName, Code, Json, Manage, Refusal, Right};

/// How long the member may take.
const LIMIT: Duration = Duration::from_secs(20);
/// Bytes of its answer that are read.
const MOST: usize = 1 << 20;

/// `POST /api/v1/clusters/{name}/namespaces`
pub(super) async fn create(
    State(manage): State<Arc<Manage>>,
    caller: Caller,
    ClusterName(name): ClusterName,
    request: Request,
) -> Result<Json<NamespaceCreated>, Refusal> {
    manage.may(&caller, Right::Get(&name)).await?;
    let CreateNamespace { namespace } = body(&manage, request).await?;
    check::namespace(&namespace)?;
    let (client, root) = if name == LOCAL {
        (manage.hub_as(&caller)?.ok_or_else(|| no_cluster(&name))?, String::new())
    } else {
        manage.gateway.registry.get(&name)?;
        (manage.through_gateway(&caller), ProxyPath::prefix(&name))
    };
    let object = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}});
    let request = http::Request::post(format!("{root}/api/v1/namespaces"))
        .header(http::header::CONTENT_TYPE, "application/json")
        .header(http::header::ACCEPT, "application/json")
        .body(Body::from(object.to_string().into_bytes()))
        .map_err(|error| Refusal::new(Code::Internal, error.to_string()))?;
    let exchange = async {
        let answer = client.send(request).await.map_err(|error| chain(&error))?;
        let (status, body) = (answer.status(), Limited::new(answer.into_body(), MOST));
        let body = body.collect().await.map_err(|error| error.to_string())?.to_bytes();
        Ok::<_, String>((status, serde_json::from_slice::<Value>(&body).unwrap_or_default()))
    };
    match timeout(LIMIT, exchange).await {
        Ok(Ok((status, answer))) => judged(status, &answer, &name, &namespace).map(Json),
        Ok(Err(cause)) => {
            Err(Refusal::new(Code::Member, format!("cluster \"{name}\" cannot be asked: {cause}")))
        }
        Err(_) => {
            let message = format!("cluster \"{name}\" has not answered within {LIMIT:?}");
            Err(Refusal::new(Code::MemberTimeout, message))
        }
    }
}

fn judged(
    status: StatusCode,
    answer: &Value,
    name: &str,
    namespace: &str,
) -> Result<NamespaceCreated, Refusal> {
    let words = answer["message"].as_str().unwrap_or("it gives no reason");
    let words: String = words.chars().map(|c| if c.is_control() { ' ' } else { c }).take(400).collect();
    let code = match status {
        StatusCode::CREATED | StatusCode::OK => return Ok(NamespaceCreated { exists: false }),
        StatusCode::CONFLICT if answer["reason"] == "AlreadyExists" => {
            return Ok(NamespaceCreated { exists: true });
        }
        StatusCode::FORBIDDEN => Code::NamespaceForbidden,
        StatusCode::TOO_MANY_REQUESTS => Code::TooMany,
        StatusCode::GATEWAY_TIMEOUT => Code::MemberTimeout,
        StatusCode::UNPROCESSABLE_ENTITY => Code::Value,
        _ => Code::Member,
    };
    let message = match code {
        Code::NamespaceForbidden => {
            format!("no permission to create namespace \"{namespace}\" in cluster \"{name}\": {words}")
        }
        _ => format!("namespace \"{namespace}\" cannot be created in cluster \"{name}\" ({status}): {words}"),
    };
    Err(Refusal::new(code, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_member_says_becomes_a_code() {
        let judged = |status: u16, answer: Value| {
            judged(StatusCode::from_u16(status).unwrap(), &answer, "c", "n")
                .map(|made| made.exists)
                .map_err(|refusal| (refusal.code, refusal.message))
        };
        assert_eq!(judged(201, json!({})), Ok(false));
        assert_eq!(judged(409, json!({"reason": "AlreadyExists"})), Ok(true));
        for (status, code) in [
            (401, Code::Member),
            (403, Code::NamespaceForbidden),
            (404, Code::Member),
            (409, Code::Member),
            (422, Code::Value),
            (429, Code::TooMany),
            (500, Code::Member),
            (503, Code::Member),
            (504, Code::MemberTimeout),
        ] {
            let refusal = judged(status, json!({"message": "for\na reason"})).unwrap_err();
            assert_eq!(refusal.0, code, "{status}");
            assert!(refusal.1.ends_with("for a reason"), "{}", refusal.1);
        }
    }
}
