//! A person's way to the hub: by kubeconfig files, as kubectl finds them.

use std::fmt;
use std::path::{Path, PathBuf};

use http::{HeaderValue, header};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};

use super::{HubError, chain, client};

/// Which kubeconfig, and what of it.
#[derive(Debug, Clone, Default)]
pub struct OperatorConfig {
    /// Files that are merged as kubectl does it: what stands in an earlier one counts. None: the pod's service account.
    pub kubeconfigs: Vec<PathBuf>,
    /// Context to use. Default: `current-context`.
    pub context: Option<String>,
}

/// A hub as its operator reaches it: with their own rights, not with the gateway's.
#[derive(Clone)]
pub struct Operator {
    client: Client,
    kubeconfig: Option<Box<Kubeconfig>>,
    context: Option<String>,
    namespace: String,
    url: String,
}

impl Operator {
    /// Makes the client. Nothing is sent; a program that the kubeconfig names may be run. Requests are not repeated by
    /// themselves: whoever changes something must know whether it was done.
    ///
    /// # Errors
    /// [`HubError`]: no configuration, or one that cannot be used.
    pub async fn connect(settings: &OperatorConfig) -> Result<Self, HubError> {
        match merged(&settings.kubeconfigs)? {
            Some(kubeconfig) => {
                let path =
                    settings.kubeconfigs.first().map_or_else(String::new, |path| path.display().to_string());
                Self::of(kubeconfig, &path, settings.context.as_deref()).await
            }
            None => {
                let config = Config::incluster().map_err(|error| HubError::NotInCluster(chain(&error)))?;
                Self::with(config, None, None).await
            }
        }
    }

    /// As [`Operator::connect`], with a kubeconfig that `path` names in messages.
    ///
    /// # Errors
    /// [`HubError`].
    pub async fn of(kubeconfig: Kubeconfig, path: &str, context: Option<&str>) -> Result<Self, HubError> {
        let unusable = |cause| HubError::Kubeconfig { path: path.to_owned(), cause };
        let Some(context) = context.map(str::to_owned).or_else(|| kubeconfig.current_context.clone()) else {
            return Err(unusable("it has no current-context; choose one with --hub-context".to_owned()));
        };
        if !kubeconfig.contexts.iter().any(|named| named.name == context) {
            let known: Vec<_> =
                kubeconfig.contexts.iter().take(20).map(|named| named.name.as_str()).collect();
            return Err(unusable(format!("it has no context \"{context}\"; there are {}", known.join(", "))));
        }
        let options = KubeConfigOptions { context: Some(context.clone()), ..KubeConfigOptions::default() };
        let config = Config::from_custom_kubeconfig(kubeconfig.clone(), &options).await;
        let config = config.map_err(|error| unusable(chain(&error)))?;
        Self::with(config, Some(Box::new(kubeconfig)), Some(context)).await
    }

    async fn with(
        mut config: Config,
        kubeconfig: Option<Box<Kubeconfig>>,
        context: Option<String>,
    ) -> Result<Self, HubError> {
        config.default_retry = false;
        let agent = HeaderValue::from_static(concat!("cluster-gateway-cli/", env!("CARGO_PKG_VERSION")));
        config.headers.push((header::USER_AGENT, agent));
        Ok(Self {
            kubeconfig,
            context,
            namespace: config.default_namespace.clone(),
            url: config.cluster_url.to_string(),
            client: client(config).await?,
        })
    }

    /// The client.
    #[must_use]
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// The merged kubeconfig, with the operator's credentials in it; `None` in a pod.
    #[must_use]
    pub fn kubeconfig(&self) -> Option<&Kubeconfig> {
        self.kubeconfig.as_deref()
    }

    /// The context that is used; `None` in a pod.
    #[must_use]
    pub fn context(&self) -> Option<&str> {
        self.context.as_deref()
    }

    /// Namespace of the context.
    #[must_use]
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// URL of the hub's API server.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }
}

impl fmt::Debug for Operator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Operator")
            .field("url", &self.url)
            .field("context", &self.context)
            .finish_non_exhaustive()
    }
}

fn merged(paths: &[PathBuf]) -> Result<Option<Kubeconfig>, HubError> {
    let mut all: Option<Kubeconfig> = None;
    for path in paths {
        let next = Kubeconfig::read_from(path).map_err(|error| unusable(path, &error))?;
        all = Some(match all {
            None => next,
            Some(all) => all.merge(next).map_err(|error| unusable(path, &error))?,
        });
    }
    Ok(all)
}

fn unusable(path: &Path, error: &(dyn std::error::Error + 'static)) -> HubError {
    HubError::Kubeconfig { path: path.display().to_string(), cause: chain(error) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(directory: &Path, name: &str, server: &str) -> PathBuf {
        let path = directory.join(name);
        let text = format!(
            r#"{{"clusters":[{{"name":"{name}","cluster":{{"server":"{server}"}}}}],"current-context":"{name}",
            "contexts":[{{"name":"{name}","context":{{"cluster":"{name}","user":"u","namespace":"of-{name}"}}}}],
            "users":[{{"name":"u","user":{{"token":"sesame"}}}}]}}"#
        );
        std::fs::write(&path, text).unwrap();
        path
    }

    #[tokio::test]
    async fn kubeconfigs_are_merged_and_the_context_can_be_chosen() {
        let directory = tempfile::tempdir().unwrap();
        let kubeconfigs =
            vec![file(directory.path(), "a", "http://a:1"), file(directory.path(), "b", "http://b:2")];
        let config = OperatorConfig { kubeconfigs, context: None };
        let hub = Operator::connect(&config).await.unwrap();
        assert_eq!((hub.url(), hub.namespace(), hub.context()), ("http://a:1/", "of-a", Some("a")));
        let hub =
            Operator::connect(&OperatorConfig { context: Some("b".into()), ..config.clone() }).await.unwrap();
        assert_eq!((hub.url(), hub.namespace(), hub.context()), ("http://b:2/", "of-b", Some("b")));
        assert!(!format!("{hub:?}").contains("sesame"));
        let error = Operator::connect(&OperatorConfig { context: Some("c".into()), ..config }).await;
        assert!(error.unwrap_err().to_string().contains("\"c\""));
    }
}
