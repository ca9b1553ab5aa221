//! Where an API server is, by a kubeconfig.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use kube::config::{Cluster, Kubeconfig};

/// An API server and whom to trust there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// `https://HOST[:PORT][/PATH]`.
    pub url: String,
    /// CA bundle, PEM. `None`: the system's roots.
    pub ca: Option<Vec<u8>>,
}

impl Server {
    /// That of a context; a CA that stands in a file is read.
    ///
    /// # Errors
    /// What is wrong with the kubeconfig; it must name a server that can be verified.
    pub fn of_context(kubeconfig: &Kubeconfig, context: Option<&str>) -> Result<Self, String> {
        let name = context.or(kubeconfig.current_context.as_deref()).ok_or("it has no current-context")?;
        let shown = name.escape_debug();
        let named = kubeconfig.contexts.iter().find(|context| context.name == name);
        let context = named.and_then(|named| named.context.as_ref());
        let context = context.ok_or_else(|| format!("it has no context \"{shown}\""))?;
        let named = kubeconfig.clusters.iter().find(|cluster| cluster.name == context.cluster);
        let cluster = named.and_then(|named| named.cluster.as_ref());
        Self::of(cluster.ok_or_else(|| format!("the cluster of context \"{shown}\" is not in it"))?)
    }

    pub(super) fn of(cluster: &Cluster) -> Result<Self, String> {
        if cluster.insecure_skip_tls_verify == Some(true) {
            return Err(
                "it says insecure-skip-tls-verify, and whoever goes there must know whom to trust".to_owned()
            );
        }
        let url = cluster.server.clone().filter(|url| url.starts_with("https://"));
        let url = url.ok_or("it names no server that begins with https://")?;
        let ca = match (&cluster.certificate_authority_data, &cluster.certificate_authority) {
            (Some(data), _) => {
                Some(STANDARD.decode(data).map_err(|_| "its certificate-authority-data is not base64")?)
            }
            (None, Some(file)) => {
                let cannot = |error| format!("its certificate-authority {file} cannot be read: {error}");
                Some(std::fs::read(file).map_err(cannot)?)
            }
            (None, None) => None,
        };
        Ok(Self { url, ca })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(cluster: &str) -> Result<Server, String> {
        let text = format!(
            "{{current-context: a, contexts: [{{name: a, context: {{cluster: c}}}}], clusters: [{{name: c, cluster: {cluster}}}]}}"
        );
        Server::of_context(&Kubeconfig::from_yaml(&text).unwrap(), None)
    }

    #[test]
    fn a_server_is_taken_with_its_ca_or_refused() {
        let url = "https://h:1".to_owned();
        assert_eq!(server("{server: 'https://h:1'}"), Ok(Server { url: url.clone(), ca: None }));
        let ca = Some(b"CA".to_vec());
        let inline = server("{server: 'https://h:1', certificate-authority-data: Q0E=}");
        assert_eq!(inline, Ok(Server { url: url.clone(), ca: ca.clone() }));
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "CA").unwrap();
        let path = file.path().display();
        assert_eq!(
            server(&format!("{{server: 'https://h:1', certificate-authority: {path}}}")),
            Ok(Server { url, ca })
        );
        for (bad, why) in [
            ("{server: 'http://h'}", "https://"),
            ("{}", "https://"),
            ("{server: 'https://h', insecure-skip-tls-verify: true}", "insecure-skip-tls-verify"),
            ("{server: 'https://h', certificate-authority-data: '!'}", "base64"),
            ("{server: 'https://h', certificate-authority: /nowhere/ca}", "/nowhere/ca"),
        ] {
            let error = server(bad).unwrap_err();
            assert!(error.contains(why), "{bad}: {error}");
        }
        let empty = Kubeconfig::default();
        assert!(Server::of_context(&empty, None).unwrap_err().contains("current-context"));
        assert!(Server::of_context(&empty, Some("b")).unwrap_err().contains("\"b\""));
    }
}
