//! What is measured: a member (nginx), HAProxy in front of it, and the gateway in front of it with a real hub behind.
//!
//! The same request arrives at both proxies, with the same path and the same token, and the same request leaves them: TLS
//! 1.3 in, TLS 1.3 with verification out, the prefix cut off, the member's token in place of the caller's.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use e2e::pki::{Authority, Leaf};
use e2e::{Access, ControlPlane, Credential, registration, scratch};
use tempfile::TempDir;

use super::contender::Contender;
use super::process::{self, Core, Server};

/// The names of the member under which it is registered: once where it speaks HTTP/2, once where it does not.
const MEMBERS: [&str; 2] = ["bench-h2", "bench-h1"];
const MEMBER_TOKEN: &str = "the-token-of-the-member";
const OBJECT: &str = "/api/1k";
const OBJECT_SIZE: usize = 1024;

/// Everything that runs, in the order in which it is ended.
pub(super) struct Rig {
    pub(super) contenders: Vec<Contender>,
    pub(super) hub: Option<Hub>,
    _directory: TempDir,
}

/// The hub, the caller whose token the load carries, and the gateway's own way in.
pub(super) struct Hub {
    pub(super) control_plane: ControlPlane,
    pub(super) caller: Access,
    gateway: Access,
}

/// The ports of the member.
struct Member {
    http2: u16,
    http1: u16,
    ca: Authority,
}

impl Rig {
    /// Starts everything; without a gateway there is no hub either.
    pub(super) fn start(gateway: Option<&Path>) -> Result<Self> {
        let directory = scratch::directory("bench")?;
        let member = Member {
            http2: scratch::free_port()?,
            http1: scratch::free_port()?,
            ca: Authority::new("bench CA")?,
        };
        let nginx = start_member(&member, directory.path())?;
        let hub = gateway.map(|_| start_hub(&member)).transpose()?;
        let token = hub.as_ref().and_then(|hub| token(&hub.caller)).unwrap_or_else(|| "t".repeat(900));
        let address = |port: u16| format!("https://127.0.0.1:{port}{OBJECT}");
        let mut contenders = vec![Contender {
            name: "member itself (nginx)",
            server: nginx,
            http2: address(member.http2),
            http1: address(member.http1),
            token: token.clone(),
        }];
        contenders.push(start_haproxy(&member, &token, directory.path())?);
        if let (Some(binary), Some(hub)) = (gateway, &hub) {
            contenders.push(start_gateway(binary, hub, &token, directory.path())?);
        }
        Ok(Self { contenders, hub, _directory: directory })
    }
}

fn token(access: &Access) -> Option<String> {
    match access.credential() {
        Credential::Token(token) => Some(token.clone()),
        Credential::Anonymous | Credential::X509(_) => None,
    }
}

fn start_member(member: &Member, directory: &Path) -> Result<Server> {
    let folder = directory.join("nginx");
    fs::create_dir_all(folder.join("api")).context("create nginx's folder")?;
    let object = format!("{{\"data\":\"{}\"}}", "x".repeat(OBJECT_SIZE - 11));
    write_identity(&folder, &member.ca, "nginx")?;
    fs::write(folder.join("api/1k"), object).context("write the object")?;
    let Member { http2, http1, .. } = member;
    let folder = folder.display();
    let configuration = format!(
        "daemon off; master_process off; worker_processes 1; pid {folder}/pid; error_log {folder}/error.log;
        events {{ worker_connections 4096; }}
        http {{
            access_log off; default_type application/json; root {folder};
            client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2; fastcgi_temp_path {folder}/t3;
            uwsgi_temp_path {folder}/t4; scgi_temp_path {folder}/t5;
            keepalive_requests 1000000000; keepalive_timeout 300s; http2_max_concurrent_streams 250;
            open_file_cache max=10; open_file_cache_valid 1h;
            ssl_protocols TLSv1.3; ssl_certificate {folder}/tls.crt; ssl_certificate_key {folder}/tls.key;
            server {{ listen 127.0.0.1:{http2} ssl http2; }}
            server {{ listen 127.0.0.1:{http1} ssl; }}
        }}"
    );
    let file = directory.join("nginx.conf");
    fs::write(&file, configuration).context("write nginx.conf")?;
    let mut command = process::command(Core::Others, "nginx");
    command.arg("-c").arg(&file).arg("-p").arg(directory);
    Server::start("nginx", command, &directory.join("nginx.log"), &[member.http2, member.http1])
}

fn start_haproxy(member: &Member, token: &str, directory: &Path) -> Result<Contender> {
    let (http2, http1) = (scratch::free_port()?, scratch::free_port()?);
    let folder = directory.join("haproxy");
    fs::create_dir_all(&folder).context("create HAProxy's folder")?;
    write_identity(&folder, &member.ca, "haproxy")?;
    let pem = fs::read_to_string(folder.join("tls.crt"))? + &fs::read_to_string(folder.join("tls.key"))?;
    fs::write(folder.join("both.pem"), pem).context("write HAProxy's certificate")?;
    let side = |name: &str, port: u16, member_name: &str, member_port: u16, alpn: &str| {
        let prefix = registration::proxy_path(member_name).len();
        let folder = folder.display();
        format!(
            "frontend {name}\n bind 127.0.0.1:{port} ssl crt {folder}/both.pem alpn {alpn}\n \
             http-request set-path %[path,bytes({prefix})]\n \
             http-request set-header Authorization \"Bearer {MEMBER_TOKEN}\"\n default_backend {name}-member\n\
             backend {name}-member\n http-reuse always\n \
             server member 127.0.0.1:{member_port} ssl verify required ca-file {folder}/ca.crt sni str(localhost) alpn {alpn}\n"
        )
    };
    let configuration = format!(
        "global\n nbthread 1\n maxconn 4096\n ssl-default-bind-options ssl-min-ver TLSv1.3\n \
         ssl-default-server-options ssl-min-ver TLSv1.3\n\
         defaults\n mode http\n timeout connect 5s\n timeout client 300s\n timeout server 300s\n{}{}",
        side("h2", http2, MEMBERS[0], member.http2, "h2"),
        side("h1", http1, MEMBERS[1], member.http1, "http/1.1"),
    );
    let file = directory.join("haproxy.cfg");
    fs::write(&file, configuration).context("write haproxy.cfg")?;
    let mut command = process::command(Core::Proxy, "haproxy");
    command.arg("-db").arg("-f").arg(&file);
    let server = Server::start("haproxy", command, &directory.join("haproxy.log"), &[http2, http1])?;
    Ok(Contender {
        name: "HAProxy",
        server,
        http2: proxied(http2, 0),
        http1: proxied(http1, 1),
        token: token.to_owned(),
    })
}

fn start_hub(member: &Member) -> Result<Hub> {
    let control_plane = ControlPlane::start("bench")?;
    let gateway = registration::grant(&control_plane)?;
    let caller = control_plane.service_account("bench", "caller", "cluster-admin")?;
    for (name, port) in MEMBERS.into_iter().zip([member.http2, member.http1]) {
        let access = Access::new(
            &format!("https://127.0.0.1:{port}"),
            &member.ca.pem(),
            Credential::Token(MEMBER_TOKEN.to_owned()),
        )?;
        registration::add_member(&control_plane, name, &access)?;
    }
    Ok(Hub { control_plane, caller, gateway })
}

fn start_gateway(binary: &Path, hub: &Hub, token: &str, directory: &Path) -> Result<Contender> {
    let port = scratch::free_port()?;
    let folder = directory.join("gateway");
    fs::create_dir_all(&folder).context("create the gateway's folder")?;
    let ca = Authority::new("gateway CA")?;
    write_identity(&folder, &ca, "gateway")?;
    let mut command = process::command(Core::Proxy, binary);
    command.arg("apiserver").arg(format!("--secure-port={port}")).arg("--bind-address=127.0.0.1");
    command.arg("--kubeconfig").arg(hub.gateway.kubeconfig());
    command.arg(format!("--secret-namespace={}", registration::NAMESPACE));
    command.arg("--tls-cert-file").arg(folder.join("tls.crt"));
    command.arg("--tls-private-key-file").arg(folder.join("tls.key"));
    let log = directory.join("gateway.log");
    let server = Server::start("cluster-gateway", command, &log, &[port])?;
    let access =
        Access::new(&format!("https://127.0.0.1:{port}"), &ca.pem(), hub.caller.credential().clone())?;
    for name in MEMBERS {
        let path = format!("{}{OBJECT}", registration::proxy_path(name));
        let answer = e2e::wait::eventually("the gateway to proxy", super::memory::TIMEOUT, || {
            let response = access.request("GET", &path).send()?;
            ensure!(response.code == 200, "{path}: {response:?}");
            Ok(Some(response.body))
        });
        let answer = answer.with_context(|| fs::read_to_string(&log).unwrap_or_default())?;
        ensure!(answer.len() == OBJECT_SIZE, "{path} has {} bytes", answer.len());
    }
    let (http2, http1) = (proxied(port, 0), proxied(port, 1));
    Ok(Contender { name: "Cluster Gateway", server, http2, http1, token: token.to_owned() })
}

/// The object's address behind a proxy.
fn proxied(port: u16, member: usize) -> String {
    format!("https://127.0.0.1:{port}{}{OBJECT}", registration::proxy_path(MEMBERS[member]))
}

/// A certificate for loopback with its key and its CA.
fn write_identity(folder: &Path, ca: &Authority, name: &str) -> Result<()> {
    let identity = ca.issue(&Leaf::server(&["localhost", "127.0.0.1"]))?;
    for (file, text) in [("tls.crt", identity.certificate), ("tls.key", identity.key), ("ca.crt", ca.pem())] {
        fs::write(folder.join(file), text).with_context(|| format!("write {file} of {name}"))?;
    }
    Ok(())
}
