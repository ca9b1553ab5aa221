//! HAProxy doing what the gateway does.

use std::fs;

use anyhow::{Context, Result};
use e2e::scratch;

use super::super::contender::{Contender, Endpoint, Endpoints, HAPROXY, Protocol};
use super::{Rig, member_token, name, prefix};
use crate::process::{self, Core, Server};

impl Rig {
    /// A fresh HAProxy, with a port for each upstream and protocol.
    pub(in super::super) fn haproxy(&self) -> Result<Contender> {
        let folder = self.folder("haproxy")?;
        let mut configuration = String::from(
            "global\n nbthread 1\n maxconn 4096\n ssl-default-bind-options ssl-min-ver TLSv1.3\n \
             ssl-default-server-options ssl-min-ver TLSv1.3\n\
             defaults\n mode http\n timeout connect 5s\n timeout client 300s\n timeout server 300s\n timeout tunnel 300s\n",
        );
        let mut endpoints = Endpoints::new();
        for (upstream, protocol, member_port) in self.member_ports() {
            let endpoint = Endpoint { port: scratch::free_port()?, prefix: prefix(upstream, protocol) };
            configuration += &self.side(name(upstream, protocol), protocol, &endpoint, member_port);
            endpoints.insert((upstream, protocol), endpoint);
        }
        let file = folder.join("haproxy.cfg");
        fs::write(&file, configuration).context("write haproxy.cfg")?;
        let mut command = process::command(Core::Proxy, "haproxy");
        command.arg("-db").arg("-f").arg(&file);
        let ports: Vec<_> = endpoints.values().map(|endpoint| endpoint.port).collect();
        let server = Server::start("haproxy", command, &folder.join("log"), &ports)?;
        Ok(Contender { name: HAPROXY.to_owned(), server: Some(server), endpoints })
    }

    fn side(&self, name: &str, protocol: Protocol, endpoint: &Endpoint, member_port: u16) -> String {
        let alpn = match protocol {
            Protocol::Http2 => "h2",
            Protocol::Http1 => "http/1.1",
        };
        let token = member_token();
        let (port, prefix, folder) = (endpoint.port, endpoint.prefix.len(), self.directory.path().display());
        format!(
            "frontend {name}\n bind 127.0.0.1:{port} ssl crt {folder}/both.pem alpn {alpn}\n \
             http-request set-path %[path,bytes({prefix})]\n \
             http-request set-header Authorization \"Bearer {token}\"\n default_backend {name}-member\n\
             backend {name}-member\n http-reuse always\n \
             server member 127.0.0.1:{member_port} ssl verify required ca-file {folder}/ca.crt sni str(localhost) alpn {alpn}\n"
        )
    }
}
