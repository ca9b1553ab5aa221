//! The settings of the konnectivity proxy server.

use std::path::PathBuf;

use super::{KonnectivityOptions, ProxyModeOption};
use crate::transport::{ProxyFiles, ProxyMode, ProxyServerConfig};

/// The proxy server that was named, if one was. The other flags alone mean nothing, as in the original.
pub(super) fn proxy_server(
    options: &KonnectivityOptions,
    mistakes: &mut Vec<String>,
) -> Option<ProxyServerConfig> {
    let host = options.proxy_host.as_ref().filter(|host| !host.is_empty())?;
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    if http::uri::Authority::try_from(crate::transport::authority(host, 1)).is_err() || host.contains('@') {
        mistakes.push(format!(
            "--proxy-host: \"{}\" is neither a DNS name nor an IP address",
            host.escape_debug()
        ));
    }
    if options.proxy_port == 0 {
        mistakes.push("--proxy-port must be greater than 0".to_owned());
    }
    let before = mistakes.len();
    let mut file = |flag: &str, path: &Option<PathBuf>| {
        path.clone().filter(|path| !path.as_os_str().is_empty()).unwrap_or_else(|| {
            mistakes.push(format!(
                "--proxy-host needs {flag}: the proxy server and the gateway prove themselves to each other"
            ));
            PathBuf::new()
        })
    };
    let files = ProxyFiles {
        ca: file("--proxy-ca-cert", &options.proxy_ca_cert),
        certificate: file("--proxy-cert", &options.proxy_cert),
        key: file("--proxy-key", &options.proxy_key),
    };
    if mistakes.len() == before
        && let Err(mistake) = files.check()
    {
        mistakes.push(mistake);
    }
    let mode = match options.proxy_mode {
        ProxyModeOption::Grpc => ProxyMode::Grpc,
        ProxyModeOption::HttpConnect => ProxyMode::HttpConnect,
    };
    Some(ProxyServerConfig { host: host.to_owned(), port: options.proxy_port, mode, files })
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        options: KonnectivityOptions,
    }

    fn resolved(flags: &[&str]) -> (Option<ProxyServerConfig>, Vec<String>) {
        let line = ["x"].iter().chain(flags);
        let mut mistakes = Vec::new();
        let config = proxy_server(&Line::parse_from(line).options, &mut mistakes);
        (config, mistakes)
    }

    #[test]
    fn without_a_host_there_is_no_proxy_server() {
        for flags in [&[][..], &["--proxy-port=1", "--proxy-ca-cert=/nowhere"], &["--proxy-host="]] {
            assert_eq!(resolved(flags), (None, vec![]), "{flags:?}");
        }
    }

    #[test]
    fn rule_242_every_file_is_needed_and_every_mistake_is_named() {
        let (_, mistakes) = resolved(&["--proxy-host=a b", "--proxy-port=0"]);
        let flags = ["--proxy-host:", "--proxy-port", "--proxy-ca-cert", "--proxy-cert", "--proxy-key"];
        assert_eq!(mistakes.len(), flags.len(), "{mistakes:?}");
        for (mistake, flag) in mistakes.iter().zip(flags) {
            assert!(mistake.contains(flag), "{mistake}");
        }
    }

    #[test]
    fn rule_242_files_are_read_at_the_start() {
        let directory = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let path = directory.path().join(name);
            std::fs::write(&path, text).unwrap();
            path.display().to_string()
        };
        let made = rcgen::generate_simple_self_signed(["proxy".to_owned()]).unwrap();
        let other = rcgen::generate_simple_self_signed(["proxy".to_owned()]).unwrap();
        let certificate = file("tls.crt", &made.cert.pem());
        let flags = |key: &str| {
            ["--proxy-host=proxy", "--proxy-mode=http-connect"].map(str::to_owned).into_iter().chain([
                format!("--proxy-ca-cert={certificate}"),
                format!("--proxy-cert={certificate}"),
                format!("--proxy-key={key}"),
            ])
        };
        let resolved = |key: &str| {
            resolved(&flags(key).collect::<Vec<_>>().iter().map(String::as_str).collect::<Vec<_>>())
        };
        let (config, mistakes) = resolved(&file("tls.key", &made.signing_key.serialize_pem()));
        assert_eq!(mistakes, Vec::<String>::new());
        let config = config.unwrap();
        assert_eq!((config.host.as_str(), config.port, config.mode), ("proxy", 8090, ProxyMode::HttpConnect));
        for key in
            ["/nowhere", &file("other.key", &other.signing_key.serialize_pem()), &file("bad.key", "secret")]
        {
            let (_, mistakes) = resolved(key);
            let [mistake] = mistakes.as_slice() else { panic!("{mistakes:?}") };
            assert!(mistake.contains("--proxy-key") && mistake.contains(key), "{mistake}");
            assert!(!mistake.contains("secret"), "{mistake}");
        }
    }
}
