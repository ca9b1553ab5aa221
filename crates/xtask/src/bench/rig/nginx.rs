//! nginx doing what the gateway does, as far as it can: it speaks HTTP/1.1 to the member, whatever it speaks to the client.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use e2e::scratch;

use super::super::contender::{Contender, Endpoint, Endpoints, NGINX, Protocol, Upstream};
use super::{Rig, member_token, name, prefix};
use crate::process::{self, Core, Server};

impl Rig {
    /// A fresh nginx, with a port for each upstream and protocol.
    pub(in super::super) fn nginx(&self) -> Result<Contender> {
        let folder = self.folder("nginx")?;
        let (mut sides, mut endpoints) = (String::new(), Endpoints::new());
        for upstream in [Upstream::Files, Upstream::Stub] {
            let member_port = self.member_port(upstream, Protocol::Http1)?;
            for protocol in Protocol::ALL {
                let endpoint = Endpoint { port: scratch::free_port()?, prefix: prefix(upstream, protocol) };
                sides += &self.listener(name(upstream, protocol), protocol, &endpoint, member_port);
                endpoints.insert((upstream, protocol), endpoint);
            }
        }
        let file = folder.join("nginx.conf");
        fs::write(&file, self.nginx_configuration(&folder, &sides)).context("write nginx.conf")?;
        let mut command = process::command(Core::Proxy, "nginx");
        command.arg("-c").arg(&file).arg("-p").arg(&folder);
        let ports: Vec<_> = endpoints.values().map(|endpoint| endpoint.port).collect();
        let server = Server::start("nginx", command, &folder.join("log"), &ports)?;
        Ok(Contender { name: NGINX.to_owned(), server: Some(server), endpoints })
    }

    fn nginx_configuration(&self, folder: &Path, sides: &str) -> String {
        let (shared, folder) = (self.directory.path().display(), folder.display());
        format!(
            "daemon off; master_process off; worker_processes 1; pid {folder}/pid; error_log {folder}/error.log;
            events {{ worker_connections 16384; }}
            http {{
                access_log off; keepalive_requests 1000000000; keepalive_timeout 300s;
                client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2; fastcgi_temp_path {folder}/t3;
                uwsgi_temp_path {folder}/t4; scgi_temp_path {folder}/t5;
                ssl_protocols TLSv1.3; ssl_certificate {shared}/tls.crt; ssl_certificate_key {shared}/tls.key;
                map $http_upgrade $upgrading {{ default upgrade; '' ''; }}
                proxy_http_version 1.1; proxy_buffering off; proxy_request_buffering off; client_max_body_size 0;
                proxy_read_timeout 300s; proxy_send_timeout 300s;
                proxy_ssl_verify on; proxy_ssl_trusted_certificate {shared}/ca.crt; proxy_ssl_server_name on;
                proxy_ssl_name localhost; proxy_ssl_protocols TLSv1.3;
                {sides}
            }}"
        )
    }

    fn listener(&self, name: &str, protocol: Protocol, endpoint: &Endpoint, member_port: u16) -> String {
        let http2 = match protocol {
            Protocol::Http2 => " http2",
            Protocol::Http1 => "",
        };
        let (token, Endpoint { port, prefix }) = (member_token(), endpoint);
        format!(
            "upstream {name} {{ server 127.0.0.1:{member_port}; keepalive 256; keepalive_requests 1000000000; }}
            server {{
                listen 127.0.0.1:{port} ssl{http2};
                location {prefix}/ {{
                    proxy_pass https://{name}/;
                    proxy_set_header Authorization \"Bearer {token}\";
                    proxy_set_header Connection $upgrading;
                    proxy_set_header Upgrade $http_upgrade;
                }}
            }}\n"
        )
    }
}
