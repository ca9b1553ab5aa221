//! The hop of authentication: whether the member takes the credential, and as whom.

use std::time::Duration;

use cluster_gateway_client::v1alpha1::{ANNOTATION_SERVICE_ACCOUNT, ANNOTATION_TOKEN_ISSUED};
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::finding::Verdict;
use super::member::{Answer, Member, line};
use super::secret::timestamp;
use super::tls::{SOON, days, difference};
use crate::credential::Credential;
use crate::registry::Cluster;
use crate::transport::TransportError;

pub(super) const MEND_PROGRAM: &str = "run the program of key \"exec\" by hand with the same arguments, and see that the \
                                       gateway may run it (--allow-exec-credential-command)";
const ANONYMOUS: &str = "system:anonymous";
/// Versions of the review that says who asks, the newest first. None of them: the member is older than Kubernetes 1.27.
const VERSIONS: [&str; 2] = ["v1", "v1beta1"];

type Skew = (Duration, bool);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SelfSubjectReview {
    status: ReviewStatus,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ReviewStatus {
    user_info: User,
}

#[derive(Deserialize)]
struct User {
    username: String,
    #[serde(default)]
    groups: Vec<String>,
}

/// What was found, and how far the member's clock is from ours.
pub(super) async fn look(member: &Member<'_>, cluster: &Cluster) -> (Verdict, Option<Skew>) {
    match who(member).await {
        Ok(answer) => {
            let skew = answer.date.map(difference);
            (judge(&answer, member, cluster), skew)
        }
        Err(error) => (not_asked(&error), None),
    }
}

/// The answer of the first kind of review that the member knows.
async fn who(member: &Member<'_>) -> Result<Answer, TransportError> {
    for version in VERSIONS {
        let api_version = format!("authentication.k8s.io/{version}");
        let review = json!({ "apiVersion": api_version, "kind": "SelfSubjectReview" });
        let answer = member.review(&format!("/apis/{api_version}/selfsubjectreviews"), &review).await?;
        if answer.status != StatusCode::NOT_FOUND {
            return Ok(answer);
        }
    }
    // It cannot say who we are, but it does this for nobody whom it does not know.
    member.review("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", &harmless()).await
}

fn harmless() -> Value {
    json!({
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": { "nonResourceAttributes": { "path": "/version", "verb": "get" } },
    })
}

fn judge(answer: &Answer, member: &Member<'_>, cluster: &Cluster) -> Verdict {
    let credential = &member.upstream.credential;
    match answer.status {
        StatusCode::UNAUTHORIZED => Verdict::failed(
            format!("the member does not accept {} ({})", called(credential, cluster), answer.shown()),
            renew(credential, cluster),
        ),
        _ if answer.words.contains(ANONYMOUS) => anonymous(credential, cluster),
        // It knows us, and does not let us ask who we are.
        StatusCode::FORBIDDEN if answer.is_kubernetes() => known(
            format!("the member knows the credential, and does not say as whom ({})", answer.words),
            cluster,
        ),
        status if status.is_success() && answer.is_kubernetes() => {
            let Some(SelfSubjectReview { status }) = answer.parse() else {
                return known("accepted; this version of Kubernetes cannot say as whom".to_owned(), cluster);
            };
            let User { username, groups } = status.user_info;
            if username == ANONYMOUS {
                return anonymous(credential, cluster);
            }
            known(line(&format!("as {username}, groups {}", groups.join(", "))), cluster)
        }
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT => {
            Verdict::failed(
                format!("the member answers {}", answer.shown()),
                "the member, or what stands before it, is overloaded or not ready: see its own logs, and try again",
            )
        }
        status if status.is_server_error() => Verdict::failed(
            format!("the member answers {}", answer.shown()),
            "see the logs of the member's API server, or of what stands before it",
        ),
        _ => Verdict::failed(
            format!("no API server answers there: {}", answer.shown()),
            "correct key \"endpoint\": host, port and path must be those of the cluster's API server, not of a dashboard or a \
             login page",
        ),
    }
}

/// It is known as somebody; the end of the credential may still be near.
fn known(found: String, cluster: &Cluster) -> Verdict {
    let Some(end) = cluster.credential_facts.not_after else { return Verdict::passed(found) };
    let left = Duration::try_from(end - OffsetDateTime::now_utc()).unwrap_or_default();
    if let Some(life) = renewed(cluster, end) {
        return overdue(&found, left, life);
    }
    if left >= SOON {
        return Verdict::passed(found);
    }
    Verdict::warned(
        format!("{found}; the credential ends in {}, at {}", days(left), timestamp(end)),
        "renew it before it ends (cluster-gateway rotate)",
    )
}

/// The whole life of a token that the gateway renews.
fn renewed(cluster: &Cluster, end: OffsetDateTime) -> Option<Duration> {
    cluster.annotations.get(ANNOTATION_SERVICE_ACCOUNT)?;
    let issued = cluster.annotations.get(ANNOTATION_TOKEN_ISSUED)?;
    let issued = OffsetDateTime::parse(issued, &Rfc3339).ok()?;
    Duration::try_from(end - issued).ok()
}

/// It is renewed when a fifth of its life is left.
fn overdue(found: &str, left: Duration, life: Duration) -> Verdict {
    if left >= life / 10 {
        return Verdict::passed(format!("{found}; the gateway renews its token"));
    }
    Verdict::warned(
        format!("{found}; the gateway should have renewed its token by now, which ends in {}", days(left)),
        "see the gateway's log, and the Events of the Secret, for why the token could not be renewed",
    )
}

fn anonymous(credential: &Credential, cluster: &Cluster) -> Verdict {
    Verdict::failed(
        format!(
            "the member takes the gateway for {ANONYMOUS}: {} has not arrived",
            called(credential, cluster)
        ),
        match credential {
            Credential::X509(_) => {
                "something on the way ends TLS (a load balancer, a proxy), so the client certificate cannot reach the member: \
                 register the API server's own address, or use a token"
            }
            Credential::Token(_) | Credential::Exec(_) => {
                "something on the way takes the Authorization header away: register the API server's own address"
            }
        },
    )
}

fn called(credential: &Credential, cluster: &Cluster) -> String {
    let what = match credential {
        Credential::Token(_) => "the token of key \"token\"",
        Credential::X509(_) => "the client certificate of key \"tls.crt\"",
        Credential::Exec(_) => "the credential that the program of key \"exec\" gave",
    };
    match cluster.credential_facts.not_after {
        Some(end) if end <= OffsetDateTime::now_utc() => format!("{what}, which ended at {}", timestamp(end)),
        Some(end) => format!("{what}, which is good until {} by its own account", timestamp(end)),
        None => what.to_owned(),
    }
}

fn renew(credential: &Credential, cluster: &Cluster) -> String {
    let over = cluster.credential_facts.not_after.is_some_and(|end| end <= OffsetDateTime::now_utc());
    match credential {
        Credential::Token(_) if over => {
            "the token has expired: write a new one into key \"token\" (cluster-gateway rotate, or join again)".to_owned()
        }
        Credential::Token(_) => {
            "see whether its service account, or the Secret that the token was made for, still exists in the member, and \
             whether the token is this cluster's and not another's; then write a new one into key \"token\""
                .to_owned()
        }
        Credential::X509(_) if over => {
            "the client certificate has expired: write a new one into keys \"tls.crt\" and \"tls.key\"".to_owned()
        }
        Credential::X509(_) => {
            "take a certificate that the member's own client CA has issued (--client-ca-file of its API server)".to_owned()
        }
        Credential::Exec(_) => MEND_PROGRAM.to_owned(),
    }
}

/// With TLS 1.3 the member judges a client certificate after the handshake, so that its verdict comes here.
fn not_asked(error: &TransportError) -> Verdict {
    let text = error.to_string();
    let remedy = if text.contains("asks for a client certificate") {
        "use credential type X509Certificate with keys \"tls.crt\" and \"tls.key\""
    } else if text.contains("refuses the client certificate") {
        "renew the client certificate in key \"tls.crt\", or take one that the member's client CA has issued"
    } else if matches!(error, TransportError::Timeout(_)) {
        "the member takes connections and does not answer: see whether its API server, or its etcd, is overloaded"
    } else {
        "something ends the connection as soon as it is used: see the logs of the member, and of load balancers before it"
    };
    Verdict::failed(text, remedy)
}
