//! What a kubeconfig holds to choose from.

use std::sync::Arc;

use axum::extract::State;
use cluster_gateway_client::v1alpha1::{ANNOTATION_INSECURE, CredentialType};
use serde::{Deserialize, Serialize};

use super::source;
use crate::lifecycle::{self, ContextsError, CredentialOutlook, KubeconfigSource, NamedContext};
use crate::manage::{Caller, Code, Json, Manage, Refusal, Right};
use crate::registry::{ClusterPolicy, Entry};

/// What to do about a kubeconfig that is none.
pub(super) const WHOLE: &str = "Paste the whole file. kubectl config view --flatten --raw prints one.";
/// Longest name that is suggested, in bytes.
const LONGEST: usize = 31;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Sent {
    #[serde(default)]
    kube_config: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Contexts {
    current_context: String,
    contexts: Vec<Context>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Context {
    name: String,
    cluster: String,
    user: String,
    server: String,
    suggested_name: String,
    credential_type: Option<&'static str>,
    expires: Option<String>,
    #[serde(rename = "insecureSkipTLSVerify")]
    insecure_skip_tls_verify: bool,
    problem: Option<String>,
    remedy: Option<String>,
}

pub(super) async fn contexts(
    State(manage): State<Arc<Manage>>,
    caller: Caller,
    Json(sent): Json<Sent>,
) -> Result<Json<Contexts>, Refusal> {
    manage.may(&caller, Right::Join).await?;
    let source = source(sent.kube_config)?;
    let policy = manage.policy.clone();
    let shown = blocking(move || {
        let lifecycle::Contexts { current, contexts } = source.contexts().map_err(|error| refused(&error))?;
        let contexts = contexts.into_iter().map(|context| shown(context, &policy)).collect();
        Ok(Contexts { current_context: current, contexts })
    });
    shown.await.map(Json)
}

/// The context that is meant, if the kubeconfig has it; without a name the current one.
pub(super) async fn exists(source: &KubeconfigSource, wanted: String) -> Result<String, Refusal> {
    let source = source.clone();
    blocking(move || {
        let found = source.contexts().map_err(|error| refused(&error))?;
        let name = if wanted.is_empty() { found.current } else { wanted };
        let Some(context) = found.contexts.into_iter().find(|context| context.name == name) else {
            let name: String = name.escape_debug().take(200).collect();
            let message = format!("the kubeconfig has no context \"{name}\"");
            return Err(Refusal::new(Code::KubeconfigContext, message).field("context"));
        };
        match &context.member {
            Ok(_) => Ok(name),
            Err(problem) => {
                let refusal = Refusal::new(Code::KubeconfigMalformed, format!("the kubeconfig: {problem}"));
                let refusal = refusal.field("kubeConfig");
                Err(Refusal { remedy: Some(remedy_of(&context)), ..refusal })
            }
        }
    })
    .await
}

/// A large YAML document is read where it may take its time.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Refusal> + Send + 'static,
) -> Result<T, Refusal> {
    let stumbled = |_| Err(Refusal::new(Code::Internal, "the kubeconfig could not be read"));
    tokio::task::spawn_blocking(work).await.unwrap_or_else(stumbled)
}

fn refused(error: &ContextsError) -> Refusal {
    let (code, remedy) = match error {
        ContextsError::Malformed(_) => (Code::KubeconfigMalformed, WHOLE),
        ContextsError::None => (
            Code::KubeconfigContext,
            "Add one: kubectl config set-context NAME --cluster=CLUSTER --user=USER.",
        ),
    };
    Refusal::new(code, error.to_string()).field("kubeConfig").remedy(remedy)
}

fn shown(context: NamedContext, policy: &ClusterPolicy) -> Context {
    let suggested_name = context.suggested_name(LONGEST);
    let (mut problem, mut remedy) = (None, None);
    let (mut credential_type, mut expires, mut insecure) = (None, None, false);
    match &context.member {
        Err(reason) => (problem, remedy) = (Some(reason.clone()), Some(remedy_of(&context))),
        Ok(member) => {
            let mut secret = member.secret.clone();
            secret.metadata.name = Some(suggested_name.clone());
            let cluster = policy.read(Entry::from(secret), None);
            insecure = cluster.annotations.contains_key(ANNOTATION_INSECURE);
            match &cluster.upstream {
                Ok(_) => {
                    let outlook = CredentialOutlook::of(&cluster);
                    (credential_type, expires) = (outlook.kind, outlook.expires);
                }
                Err(reason) => {
                    let dynamic = cluster.credential_type == Some(CredentialType::Dynamic);
                    (problem, remedy) = (Some(reason.to_string()), Some(mend(insecure, dynamic).to_owned()));
                }
            }
        }
    }
    let NamedContext { name, cluster, user, server, .. } = context;
    Context {
        name,
        cluster,
        user,
        server,
        suggested_name,
        credential_type,
        expires,
        insecure_skip_tls_verify: insecure,
        problem,
        remedy,
    }
}

fn remedy_of(context: &NamedContext) -> String {
    if context.names_files() {
        let name: String = context.name.escape_debug().take(100).collect();
        format!(
            "Put the content of the files into it: kubectl config view --flatten --minify --raw --context \"{name}\"."
        )
    } else {
        "Mend the kubeconfig, or take another context of it.".to_owned()
    }
}

fn mend(insecure: bool, dynamic: bool) -> &'static str {
    if insecure {
        "Put the cluster's CA into it (certificate-authority-data), or let the gateway run with --allow-insecure-clusters."
    } else if dynamic {
        "Take the token of a service account instead, or install the program where the gateway runs and allow it with \
         --allow-exec-credential-command."
    } else {
        "Mend the kubeconfig, or take another context of it."
    }
}
