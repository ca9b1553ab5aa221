//! Which CAs and which front proxy to trust: from files, or from the ConfigMap that kube-apiserver publishes for its
//! extensions (contract rules 56, 65, 66, 71-73, 272).
//!
//! Both are swapped as a whole and only by something that can be used: what breaks later leaves the last good in force.

use std::collections::BTreeMap;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use futures_util::StreamExt;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::runtime::watcher::Event;
use rustls::pki_types::CertificateDer;
use tracing::{info, warn};

use super::complaints::Complaints;
use super::request_header::RequestHeader;
use super::{AuthenticationConfig, LoadError, RequestHeaderConfig};
use crate::hub::{Hub, ReadError};
use crate::pki::ClientCas;

const NAMESPACE: &str = "kube-system";
const CONFIG_MAP: &str = "extension-apiserver-authentication";

/// Who is trusted now.
#[derive(Debug)]
pub(super) struct Trust {
    config: AuthenticationConfig,
    client_cas: ArcSwapOption<ClientCas>,
    request_header: ArcSwapOption<RequestHeader>,
    complaints: Complaints,
    /// CAs that are believed beside those that are read.
    own: ClientCas,
    /// Whose ConfigMap says the rest; `None`: there is no hub.
    hub: Option<Hub>,
}

impl Trust {
    pub(super) fn new(config: AuthenticationConfig, own: ClientCas, hub: Option<Hub>) -> Self {
        let client_cas = (!own.is_empty()).then(|| Arc::new(own.clone()));
        Self {
            config,
            client_cas: ArcSwapOption::new(client_cas),
            request_header: ArcSwapOption::empty(),
            complaints: Complaints::default(),
            own,
            hub,
        }
    }

    /// CAs of client certificates; `None` until some were read: then nobody is believed.
    pub(super) fn client_cas(&self) -> Option<Arc<ClientCas>> {
        self.client_cas.load_full()
    }

    /// The front proxy; `None` until one was read: then nobody is believed.
    pub(super) fn request_header(&self) -> Option<Arc<RequestHeader>> {
        self.request_header.load_full()
    }

    pub(super) fn ca_certificates(&self) -> Vec<CertificateDer<'static>> {
        let front_proxy = self.request_header().map(|front_proxy| Arc::clone(&front_proxy.cas));
        let mut union: Vec<CertificateDer<'static>> = Vec::new();
        for cas in [self.client_cas(), front_proxy].into_iter().flatten() {
            for certificate in cas.certificates() {
                if !union.contains(certificate) {
                    union.push(certificate.clone());
                }
            }
        }
        union
    }

    pub(super) async fn load(&self) -> Result<(), LoadError> {
        let problems = self.read_files().await;
        if !problems.is_empty() {
            return Err(LoadError::Fatal(problems.join("; ")));
        }
        if let Some(hub) = self.looks_up()
            && let Err(error) = self.look_up(hub).await
        {
            if !self.config.tolerate_lookup_failure {
                return Err(error);
            }
            warn!(%error, "starting without the hub's authentication configuration: until it can be read, no client \
                certificate and no front proxy is believed");
        }
        Ok(())
    }

    pub(super) async fn watch(&self) {
        tokio::join!(self.follow_files(), self.follow_config_map());
    }

    /// The hub, if something is left to its ConfigMap.
    fn looks_up(&self) -> Option<&Hub> {
        let files =
            self.config.client_ca_file.is_some() && self.config.request_header.client_ca_file.is_some();
        self.hub.as_ref().filter(|_| !self.config.skip_lookup && !files)
    }

    async fn look_up(&self, hub: &Hub) -> Result<(), LoadError> {
        let found = hub.config_map(NAMESPACE, CONFIG_MAP).await.map_err(|error| match error {
            ReadError::Unreachable(_) => LoadError::Unreachable(error.to_string()),
            ReadError::Refused(_) => LoadError::Fatal(format!(
                "ConfigMap {NAMESPACE}/{CONFIG_MAP}: {error}. Bind the role extension-apiserver-authentication-reader \
                 in {NAMESPACE} to the gateway's identity, or pass --client-ca-file and --requestheader-client-ca-file"
            )),
        })?;
        let Some(config_map) = found else {
            warn!(
                "there is no ConfigMap {NAMESPACE}/{CONFIG_MAP}: no client certificate and no front proxy is believed"
            );
            return Ok(());
        };
        let problems = self.apply(&config_map);
        if problems.is_empty() { Ok(()) } else { Err(LoadError::Fatal(problems.join("; "))) }
    }

    async fn follow_config_map(&self) {
        let Some(hub) = self.looks_up() else { return };
        let mut events = pin!(hub.watch_config_map(NAMESPACE, CONFIG_MAP));
        while let Some(event) = events.next().await {
            match event {
                Ok(Event::Apply(config_map) | Event::InitApply(config_map)) => {
                    self.complaints.tell("watch", Vec::new());
                    let problems = self.apply(&config_map);
                    self.complaints.tell(CONFIG_MAP, problems);
                }
                Ok(Event::Delete(_)) => self.complaints.tell(CONFIG_MAP, vec![gone()]),
                Ok(Event::Init | Event::InitDone) => {}
                Err(error) => self.complaints.tell("watch", vec![format!("the watch fails: {error}")]),
            }
        }
    }

    async fn follow_files(&self) {
        if self.config.client_ca_file.is_none() && self.config.request_header.client_ca_file.is_none() {
            return;
        }
        loop {
            tokio::time::sleep(self.config.file_poll).await;
            let problems = self.read_files().await;
            self.complaints.tell("files", problems);
        }
    }

    async fn read_files(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if let Some(path) = &self.config.client_ca_file {
            let cas = read(path).await;
            self.take("--client-ca-file", cas.map(Some), &mut problems, Self::set_client_cas);
        }
        if let Some(path) = &self.config.request_header.client_ca_file {
            let front_proxy = read(path).await.and_then(|cas| front_proxy(cas, &self.config.request_header));
            self.take(
                "--requestheader-client-ca-file",
                front_proxy.map(Some),
                &mut problems,
                Self::set_request_header,
            );
        }
        self.complain_of_shared_ca();
        problems
    }

    /// Takes what can be used from the ConfigMap and is not given by files; returns what cannot be used.
    fn apply(&self, config_map: &ConfigMap) -> Vec<String> {
        let empty = BTreeMap::new();
        let data = config_map.data.as_ref().unwrap_or(&empty);
        let mut problems = Vec::new();
        if self.config.client_ca_file.is_none() {
            let cas = bundle(data, "client-ca-file");
            self.take("client-ca-file", cas, &mut problems, Self::set_client_cas);
        }
        if self.config.request_header.client_ca_file.is_none() {
            self.take("requestheader", published_front_proxy(data), &mut problems, Self::set_request_header);
        }
        self.complain_of_shared_ca();
        problems
    }

    fn take<T>(
        &self,
        what: &str,
        read: Result<Option<T>, String>,
        problems: &mut Vec<String>,
        set: impl FnOnce(&Self, T),
    ) {
        match read {
            Ok(Some(value)) => set(self, value),
            Ok(None) => {}
            Err(error) => problems.push(format!("{what}: {error}")),
        }
    }

    fn set_client_cas(&self, read: ClientCas) {
        let cas = self.own.clone().and(&read);
        // The same bundle keeps its identity, and with it what connections remember of it.
        if self.client_cas.load().as_deref() != Some(&cas) {
            info!(certificates = cas.certificates().len(), "CAs of client certificates are loaded");
            self.client_cas.store(Some(Arc::new(cas)));
        }
    }

    fn set_request_header(&self, mut front_proxy: RequestHeader) {
        let current = self.request_header();
        if let Some(current) = current.as_ref().filter(|current| current.cas == front_proxy.cas) {
            front_proxy.cas = Arc::clone(&current.cas);
        }
        if current.as_deref() != Some(&front_proxy) {
            let certificates = front_proxy.cas.certificates().len();
            info!(certificates, allowed_names = ?front_proxy.allowed_names, "the front proxy's CAs are loaded");
            self.request_header.store(Some(Arc::new(front_proxy)));
        }
    }

    /// Rule 272: then every client certificate is a front proxy's.
    pub(super) fn shared_ca(&self) -> Option<String> {
        let (client_cas, front_proxy) = (self.client_cas()?, self.request_header()?);
        let shared = client_cas.certificates().iter().any(|ca| front_proxy.cas.certificates().contains(ca));
        (shared && front_proxy.allowed_names.is_empty()).then(|| {
            "the front proxy's CA also issues client certificates, and requestheader-allowed-names is empty: whoever \
             has a client certificate can act as any user. Give the front proxy a CA of its own (kube-apiserver \
             --requestheader-client-ca-file), or set --requestheader-allowed-names"
                .to_owned()
        })
    }

    fn complain_of_shared_ca(&self) {
        self.complaints.tell("CAs", self.shared_ca().into_iter().collect());
    }
}

fn gone() -> String {
    format!("ConfigMap {NAMESPACE}/{CONFIG_MAP} was deleted")
}

async fn read(path: &Path) -> Result<ClientCas, String> {
    let pem = tokio::fs::read(path).await.map_err(|error| format!("{}: {error}", path.display()))?;
    ClientCas::from_pem(&pem).map_err(|error| format!("{}: {error}", path.display()))
}

fn bundle(data: &BTreeMap<String, String>, key: &str) -> Result<Option<ClientCas>, String> {
    match data.get(key).map(|pem| pem.trim()).filter(|pem| !pem.is_empty()) {
        None => Ok(None),
        Some(pem) => ClientCas::from_pem(pem.as_bytes()).map(Some).map_err(|error| format!("{key}: {error}")),
    }
}

fn front_proxy(cas: ClientCas, config: &RequestHeaderConfig) -> Result<RequestHeader, String> {
    RequestHeader::new(Arc::new(cas), config)
}

/// The front proxy as kube-apiserver publishes it (rule 65). All or nothing: a new CA with old names would be neither.
fn published_front_proxy(data: &BTreeMap<String, String>) -> Result<Option<RequestHeader>, String> {
    let Some(cas) = bundle(data, "requestheader-client-ca-file")? else { return Ok(None) };
    let list = |key: &str| match data.get(key).filter(|text| !text.is_empty()) {
        None => Ok(Vec::new()),
        Some(text) => serde_json::from_str::<Vec<String>>(text)
            .map_err(|error| format!("{key} is no JSON array of strings: {error}")),
    };
    let config = RequestHeaderConfig {
        client_ca_file: None,
        allowed_names: list("requestheader-allowed-names")?,
        username_headers: list("requestheader-username-headers")?,
        group_headers: list("requestheader-group-headers")?,
        uid_headers: list("requestheader-uid-headers")?,
        extra_header_prefixes: list("requestheader-extra-headers-prefix")?,
    };
    front_proxy(cas, &config).map(Some)
}
