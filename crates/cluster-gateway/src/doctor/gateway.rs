//! What the gateway says, through the hub or at its own address.

use std::time::Duration;

use cluster_gateway_client::{GROUP, VERSION};
use http::Request;
use kube::Client;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::time::{sleep, timeout};

use super::View;
use crate::diagnosis::Finding;
use crate::hub::CallError;

/// A diagnosis takes up to 40 s, and kube-apiserver gives up after 60 s.
const LIMIT: Duration = Duration::from_secs(55);
/// How often to ask again while somebody else has the cluster, or all places, diagnosed.
const TRIES: usize = 10;
const PAUSE: Duration = Duration::from_secs(1);

#[derive(Deserialize)]
struct ClusterDiagnosis {
    findings: Vec<Finding>,
}

#[derive(Deserialize)]
struct List {
    items: Vec<Named>,
}

#[derive(Deserialize)]
struct Named {
    metadata: Name,
}

#[derive(Deserialize)]
struct Name {
    name: String,
}

/// The member as the gateway sees it.
pub(super) async fn diagnosis(client: &Client, name: &str) -> View {
    let path = format!("/apis/{GROUP}/{VERSION}/clustergateways/{name}/diagnosis");
    for _ in 0..TRIES {
        match get::<ClusterDiagnosis>(client, &path).await {
            Ok(ClusterDiagnosis { findings }) => return View::Seen { findings },
            Err(CallError::Unreachable(message)) if message.contains("diagnosed already") => {
                sleep(PAUSE).await
            }
            Err(error) => return refused(name, &error),
        }
    }
    View::unseen("the gateway has been busy with other diagnoses all the time; ask again later")
}

fn refused(name: &str, error: &CallError) -> View {
    let text = error.to_string();
    match error {
        CallError::NotFound(_) if text.contains(&format!("\"{name}\" not found")) => View::unseen(
            "the gateway knows no such cluster: see its log, and that it watches this namespace (--secret-namespace)",
        ),
        CallError::NotFound(_) => {
            View::unasked("this gateway cannot diagnose; it is older than this command")
        }
        CallError::Forbidden(_) => View::unasked(format!(
            "{text}; ask for the right to get clustergateways/diagnosis in group {GROUP}"
        )),
        _ => View::unseen(format!("the gateway cannot be asked: {text}")),
    }
}

/// The clusters that the gateway knows.
pub(super) async fn names(client: &Client) -> Result<Vec<String>, String> {
    let list: List = get(client, &format!("/apis/{GROUP}/{VERSION}/clustergateways"))
        .await
        .map_err(|error| error.to_string())?;
    Ok(list.items.into_iter().map(|item| item.metadata.name).collect())
}

/// Reads a document, or what stops it.
pub(super) async fn get<T: DeserializeOwned>(client: &Client, path: &str) -> Result<T, CallError> {
    let request =
        Request::get(path).body(Vec::new()).map_err(|error| CallError::Refused(error.to_string()))?;
    match timeout(LIMIT, client.request(request)).await {
        Ok(answer) => answer.map_err(CallError::from),
        Err(_) => Err(CallError::Unreachable(format!("no answer within {LIMIT:?}"))),
    }
}
