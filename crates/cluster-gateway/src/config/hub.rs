//! The settings of `apiserver`.

use super::{ApiserverOptions, Common, Config, ConfigError, HubMode, Mode, POLL, address, check_files};
use super::{certificate, manage};
use crate::authn::{AuthenticationConfig, RequestHeaderConfig};
use crate::authz::AuthorizationConfig;
use crate::hub::HubConfig;

impl Config {
    /// Checks what was typed for a server of a hub.
    ///
    /// # Errors
    /// [`ConfigError`] with every mistake.
    pub fn for_hub(options: ApiserverOptions) -> Result<Self, ConfigError> {
        let mut mistakes = Vec::new();
        let address = address(&options.bind_address, options.secure_port, &mut mistakes);
        let common = Common::resolve(&options.common, &mut mistakes);
        let secret_namespace = options.secret_namespace.clone().or_else(own_namespace).unwrap_or_else(|| {
            mistakes.push("--secret-namespace is required outside of a cluster".to_owned());
            String::new()
        });
        let manage = manage::resolve(&options.manage, None, None, &mut mistakes);
        check_hub_files(&options, &mut mistakes);
        let request_header = request_header(&options, &mut mistakes);
        let tls = common.tls.or_else(|| certificate::in_directory(options.cert_dir.as_deref()));
        let certificate = certificate::resolve(&options, tls.as_ref(), &mut mistakes);
        if !mistakes.is_empty() {
            return Err(ConfigError(mistakes));
        }
        Ok(Self {
            address,
            serves_gateway: true,
            manage,
            tls,
            allow_loopback_clusters: options.allow_loopback_clusters.unwrap_or(options.kubeconfig.is_some()),
            authorization: AuthorizationConfig {
                allowed_ttl: options.authorization_webhook_cache_authorized_ttl,
                denied_ttl: options.authorization_webhook_cache_unauthorized_ttl,
                ..common.authorization
            },
            mode: Mode::Hub(HubMode {
                secret_namespace,
                certificate,
                authentication: AuthenticationConfig {
                    client_ca_file: options.common.client_ca_file,
                    request_header,
                    skip_lookup: options.authentication_skip_lookup,
                    tolerate_lookup_failure: options.authentication_tolerate_lookup_failure,
                    token_cache_ttl: options.authentication_token_webhook_cache_ttl,
                    ..AuthenticationConfig::default()
                },
                hub: HubConfig {
                    kubeconfig: options.kubeconfig,
                    authentication_kubeconfig: options.authentication_kubeconfig,
                    authorization_kubeconfig: options.authorization_kubeconfig,
                    user_agent: options.user_agent,
                },
                ocm_integration: options.ocm_integration,
                list_control_plane: options.virtual_clutser_with_control_plane,
            }),
            gates: common.gates,
            proxies: common.proxies,
            exec: common.exec,
            audit: common.audit,
            health: common.health,
            renewal: common.renewal,
            response_header_timeout: common.response_header_timeout,
            identity: common.identity,
            allow_insecure_clusters: options.common.allow_insecure_clusters,
            konnectivity: common.konnectivity,
            limits: common.limits,
            shutdown_delay: options.common.shutdown_delay_duration,
            shutdown_send_retry_after: options.common.limits.shutdown_send_retry_after,
            poll: POLL,
        })
    }
}

fn check_hub_files(options: &ApiserverOptions, mistakes: &mut Vec<String>) {
    let files = [
        ("--kubeconfig", &options.kubeconfig),
        ("--authentication-kubeconfig", &options.authentication_kubeconfig),
        ("--authorization-kubeconfig", &options.authorization_kubeconfig),
        ("--requestheader-client-ca-file", &options.requestheader_client_ca_file),
    ];
    check_files(&files, mistakes);
}

/// Namespace of the pod, as Kubernetes mounts it; the original's default.
pub(super) fn own_namespace() -> Option<String> {
    let path = "/var/run/secrets/kubernetes.io/serviceaccount/namespace";
    std::fs::read_to_string(path).ok().map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
}

fn request_header(options: &ApiserverOptions, mistakes: &mut Vec<String>) -> RequestHeaderConfig {
    if options.requestheader_client_ca_file.is_none() && !options.requestheader_allowed_names.is_empty() {
        mistakes.push("--requestheader-allowed-names needs --requestheader-client-ca-file".to_owned());
    }
    let headers = [
        ("--requestheader-username-headers", &options.requestheader_username_headers),
        ("--requestheader-uid-headers", &options.requestheader_uid_headers),
        ("--requestheader-group-headers", &options.requestheader_group_headers),
        ("--requestheader-extra-headers-prefix", &options.requestheader_extra_headers_prefix),
    ];
    for (flag, names) in headers {
        for name in names.iter().filter(|name| http::HeaderName::from_bytes(name.as_bytes()).is_err()) {
            mistakes.push(format!("{flag}: \"{name}\" is not a header name"));
        }
    }
    RequestHeaderConfig {
        client_ca_file: options.requestheader_client_ca_file.clone(),
        allowed_names: options.requestheader_allowed_names.clone(),
        username_headers: options.requestheader_username_headers.clone(),
        uid_headers: options.requestheader_uid_headers.clone(),
        group_headers: options.requestheader_group_headers.clone(),
        extra_header_prefixes: options.requestheader_extra_headers_prefix.clone(),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        options: ApiserverOptions,
    }

    fn mode(flags: &[&str]) -> HubMode {
        let line = ["apiserver", "--secret-namespace=ns"].iter().chain(flags);
        let config = Config::for_hub(Line::parse_from(line).options).unwrap();
        let Mode::Hub(mode) = config.mode else { panic!("not a server of a hub") };
        mode
    }

    #[test]
    fn rule_135_switches_of_the_original_have_its_defaults_and_can_be_turned() {
        let switches = |flags: &[&str]| {
            let mode = mode(flags);
            (mode.ocm_integration, mode.list_control_plane)
        };
        assert_eq!(switches(&[]), (false, true));
        assert_eq!(switches(&["--ocm-integration", "--virtual-clutser-with-control-plane"]), (true, true));
        let turned = ["--ocm-integration=true", "--virtual-clutser-with-control-plane=false"];
        assert_eq!(switches(&turned), (true, false));
    }
}
