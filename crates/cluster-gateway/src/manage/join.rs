//! Joining, as the console's wizard does it: choose a context, see the plan, then do what was seen.
//!
//! The kubeconfig comes with each request and is kept nowhere. What it will never do: log a part of it, or read a file that it
//! names.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::post;
use serde::Deserialize;

mod check;
mod commit;
mod contexts;

use super::events::attempt;
use super::fleet::tell;
use super::{Caller, Code, Json, Manage, Refusal, Right};
use crate::lifecycle::{self, AccountChoice, AccountRequest, KubeconfigSource};
use crate::renewal::{DEFAULT_NAME, DEFAULT_NAMESPACE, ServiceAccountRef};

/// Largest kubeconfig, in bytes.
const MAX_KUBECONFIG: usize = 1 << 20;
/// How long the first token of a service account is to hold; the gateway renews it.
const LIFETIME: Duration = Duration::from_secs(24 * 3600);

/// The routes of joining.
pub(super) fn router() -> Router<Arc<Manage>> {
    Router::new()
        .route("/v1/join/contexts", post(contexts::contexts))
        .route("/v1/join/plan", post(plan))
        .route("/v1/join", post(commit::join))
}

/// What is to be joined, and how. It holds a credential, so it cannot be shown.
#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wanted {
    #[serde(default)]
    kube_config: String,
    #[serde(default)]
    context: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    alias: String,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    #[serde(default)]
    service_account: bool,
    #[serde(default, rename = "insecureSkipTLSVerify")]
    insecure_skip_tls_verify: bool,
    /// Of the plan that was seen; only for joining itself.
    #[serde(default)]
    digest: String,
}

/// The text of a kubeconfig, not looked into yet.
fn source(text: String) -> Result<KubeconfigSource, Refusal> {
    if text.len() > MAX_KUBECONFIG {
        return Err(Refusal::new(Code::KubeconfigTooLarge, "the kubeconfig is larger than 1 MiB")
            .field("kubeConfig")
            .remedy(
                "Send only the context that you want to join: kubectl config view --minify --flatten --raw.",
            ));
    }
    if text.trim().is_empty() {
        return Err(Refusal::new(Code::KubeconfigMalformed, "the kubeconfig is empty")
            .field("kubeConfig")
            .remedy(contexts::WHOLE));
    }
    Ok(KubeconfigSource::sent(text))
}

impl Wanted {
    /// What the library is asked for: checked as far as that is possible without asking anybody.
    async fn request(self) -> Result<lifecycle::JoinRequest, Refusal> {
        check::check(&self)?;
        let Self {
            kube_config, context, name, alias, labels, service_account, insecure_skip_tls_verify, ..
        } = self;
        let kubeconfig = source(kube_config)?;
        let context = contexts::exists(&kubeconfig, context).await?;
        let account = ServiceAccountRef::new(DEFAULT_NAMESPACE, DEFAULT_NAME)
            .map_err(|reason| Refusal::new(Code::Internal, reason.to_string()))?;
        Ok(lifecycle::JoinRequest {
            kubeconfig,
            context: Some(context),
            name: Some(name),
            labels,
            alias: Some(alias),
            create_namespace: None,
            overwrite: false,
            allow_insecure: insecure_skip_tls_verify,
            account: service_account.then_some(AccountRequest {
                account,
                choice: AccountChoice::Auto,
                lifetime: LIFETIME,
                asks_gateway: true,
            }),
            preflight: true,
        })
    }
}

/// What joining would do. Writes nothing; if the reader leaves, it stops.
async fn plan(
    State(manage): State<Arc<Manage>>,
    caller: Caller,
    Json(wanted): Json<Wanted>,
) -> Result<Response, Refusal> {
    manage.may(&caller, Right::Join).await?;
    let request = wanted.request().await?;
    let store = manage.clusters_as(&caller)?;
    let stop = manage.stopping.clone();
    let place = manage.fleet.begin_survey(&caller)?;
    attempt(async move |teller| {
        let _place = place;
        let watch = |event| tell(&teller, &event);
        let mut plan = lifecycle::Join::survey(&store, &manage.policy, &request, &stop, &watch).await?;
        // It has been told already.
        plan.preflight = None;
        teller.mention("plan", &plan);
        Ok(())
    })
    .await
}
