//! Whether the serving certificate renews itself, and for which Service.

use std::path::Path;

use super::ApiserverOptions;
use super::hub::own_namespace;
use crate::certificate::{CertificateConfig, Times};
use crate::server::TlsFiles;

/// Name of the Service in `deploy/`.
const SERVICE: &str = "cluster-gateway";

/// The files that the original reads from `--cert-dir`, if they are there.
pub(super) fn in_directory(directory: Option<&Path>) -> Option<TlsFiles> {
    let directory = directory?;
    let (certificate, key) = (directory.join("apiserver.crt"), directory.join("apiserver.key"));
    (certificate.exists() && key.exists()).then_some(TlsFiles { certificate, key })
}

/// In a cluster it does. A process that comes with a kubeconfig writes nothing to the hub unless it is told which Service
/// it is.
pub(super) fn resolve(
    options: &ApiserverOptions,
    tls: Option<&TlsFiles>,
    mistakes: &mut Vec<String>,
) -> Option<CertificateConfig> {
    let service = options.service_name.clone();
    if let Some(files) = tls {
        if service.is_some() || options.service_namespace.is_some() || !options.advertise_host.is_empty() {
            let file = files.certificate.display();
            mistakes.push(format!(
                "--service-name, --service-namespace and --advertise-host are for a certificate that is made here, but \
                 {file} is to be served; give either"
            ));
        }
        return None;
    }
    let in_cluster = options.kubeconfig.is_none();
    let Some(service) = service.or_else(|| in_cluster.then(|| SERVICE.to_owned())) else {
        if options.service_namespace.is_some() || !options.advertise_host.is_empty() {
            mistakes.push(
                "--service-namespace and --advertise-host need --service-name with --kubeconfig".to_owned(),
            );
        }
        return None;
    };
    let namespace = options.service_namespace.clone().or_else(|| own_namespace().filter(|_| in_cluster));
    let Some(namespace) = namespace else {
        // Without a pod and without a kubeconfig there is no hub either, and that is said when it is to be reached.
        if options.service_name.is_some() {
            mistakes
                .push("--service-namespace is required with --service-name outside of a cluster".to_owned());
        }
        return None;
    };
    let config = CertificateConfig {
        service,
        namespace,
        names: options.advertise_host.clone(),
        times: Times::default(),
    };
    check(&config, mistakes);
    Some(config)
}

fn check(config: &CertificateConfig, mistakes: &mut Vec<String>) {
    for (flag, name) in [("--service-name", &config.service), ("--service-namespace", &config.namespace)] {
        if !is_label(name) {
            mistakes
                .push(format!("{flag}: \"{name}\" is not the name of a Kubernetes object (a-z, 0-9 and -)"));
        }
    }
    if let Err(error) = config.server_names() {
        mistakes.push(format!("--advertise-host: {error}"));
    }
}

/// Whether it is an RFC 1123 label, as names of Services and namespaces are. It becomes part of a URL's path.
fn is_label(name: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=63).contains(&name.len())
        && name.bytes().all(inner)
        && !name.starts_with('-')
        && !name.ends_with('-')
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::super::{Config, Mode};
    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        options: ApiserverOptions,
    }

    fn resolved(flags: &[&str]) -> Result<Config, String> {
        let dir = tempfile::tempdir().unwrap();
        let kubeconfig = dir.path().join("kubeconfig");
        std::fs::write(&kubeconfig, "{}").unwrap();
        let own = ["x", "--secret-namespace=ns", "--kubeconfig", kubeconfig.to_str().unwrap()];
        let line = Line::try_parse_from(own.iter().chain(flags)).map_err(|error| error.to_string())?;
        Config::for_hub(line.options).map_err(|error| error.to_string())
    }

    fn certificate(flags: &[&str]) -> Result<Option<CertificateConfig>, String> {
        match resolved(flags)?.mode {
            Mode::Hub(mode) => Ok(mode.certificate),
            Mode::Standalone(_) => unreachable!(),
        }
    }

    #[test]
    fn with_a_kubeconfig_nothing_is_kept_at_the_hub_unless_a_service_is_named() {
        assert_eq!(certificate(&[]), Ok(None));
        let found =
            certificate(&["--service-name=gw", "--service-namespace=sys", "--advertise-host=a.example,::1"]);
        let found = found.unwrap().unwrap();
        assert_eq!((found.service.as_str(), found.namespace.as_str()), ("gw", "sys"));
        let names = found.server_names().unwrap();
        assert_eq!(
            names.to_string(),
            "127.0.0.1, ::1, a.example, gw, gw.sys, gw.sys.svc, gw.sys.svc.cluster.local, localhost"
        );
    }

    #[test]
    fn what_does_not_go_together_or_is_no_name_is_refused_with_the_flag() {
        for (flags, expected) in [
            (&["--service-name=gw"][..], "--service-namespace is required"),
            (&["--advertise-host=a.example"], "need --service-name"),
            (&["--service-name=../x", "--service-namespace=sys"], "--service-name: \"../x\""),
            (&["--service-name=gw", "--service-namespace=A"], "--service-namespace: \"A\""),
            (
                &["--service-name=gw", "--service-namespace=sys", "--advertise-host=two words"],
                "--advertise-host",
            ),
        ] {
            let text = resolved(flags).unwrap_err();
            assert!(text.contains(expected), "{flags:?}: {text}");
        }
    }

    #[test]
    fn rule_057_files_in_the_certificate_directory_are_served_and_nothing_is_made() {
        let dir = tempfile::tempdir().unwrap();
        let flag = format!("--cert-dir={}", dir.path().display());
        assert_eq!(resolved(&[&flag]).unwrap().tls, None);
        for file in ["apiserver.crt", "apiserver.key"] {
            std::fs::write(dir.path().join(file), "x").unwrap();
        }
        let config = resolved(&[&flag]).unwrap();
        assert_eq!(config.tls.unwrap().certificate, dir.path().join("apiserver.crt"));
        let text = resolved(&[&flag, "--service-name=gw"]).unwrap_err();
        assert!(text.contains("apiserver.crt is to be served; give either"), "{text}");
    }
}
