//! As whom a cluster sees those who come through the gateway.

use http::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::{Answer, Gateway, PAUSE, at};
use crate::lifecycle::LifecycleError;
use crate::renewal::ServiceAccountRef;

/// As whom a cluster sees callers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::lifecycle) enum Identity {
    /// As themselves, or as rules say.
    PassedOn,
    /// All as the gateway's own account.
    Account,
}

impl Gateway {
    /// As whom the cluster sees callers, where the gateway's credential there is that of `account`.
    ///
    /// # Errors
    /// [`LifecycleError::Gateway`].
    pub(in crate::lifecycle) async fn identity(
        &self,
        name: &str,
        account: &ServiceAccountRef,
    ) -> Result<Identity, LifecycleError> {
        let review = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"});
        let path = at(name, "/apis/authentication.k8s.io/v1/selfsubjectreviews");
        let deadline = Instant::now() + self.patience / 3;
        loop {
            let why = match self.ask(Method::POST, &path, Some(&review)).await {
                Ok(answer) if answer.status.is_success() => match answer.user() {
                    Some(user) if user == account.user() => return Ok(Identity::Account),
                    Some(_) => return Ok(Identity::PassedOn),
                    None => "its answer names no user".to_owned(),
                },
                // Before Kubernetes 1.28 nobody can be asked so; but a refusal names whom it refuses.
                Ok(answer) if answer.status == StatusCode::NOT_FOUND => {
                    let refusal = self.ask(Method::GET, &at(name, "/api/v1/secrets?limit=1"), None).await;
                    return Ok(match refusal {
                        Ok(answer) if answer.words().contains(&account.user()) => Identity::Account,
                        _ => Identity::PassedOn,
                    });
                }
                Ok(answer) => answer.words(),
                Err(why) => why,
            };
            if Instant::now() >= deadline {
                return Err(LifecycleError::Gateway(format!(
                    "the cluster does not say through the gateway who you are: {why}; --service-account=impersonate and \
                     --service-account=cluster-admin do without asking"
                )));
            }
            sleep(PAUSE).await;
        }
    }
}

impl Answer {
    /// The user that a SelfSubjectReview names.
    fn user(&self) -> Option<String> {
        let review: Value = serde_json::from_slice(&self.body).ok()?;
        review["status"]["userInfo"]["username"].as_str().map(str::to_owned)
    }
}
