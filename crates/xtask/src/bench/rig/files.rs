//! The member for ordinary requests: nginx with files.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use e2e::scratch;

use super::SIZES;
use crate::process::{self, Core, Server};

/// Starts it; its ports are for HTTP/2 and for HTTP/1.1.
pub(super) fn start(directory: &Path) -> Result<(Server, [u16; 2])> {
    let ports = [scratch::free_port()?, scratch::free_port()?];
    let folder = directory.join("files");
    fs::create_dir_all(folder.join("api")).context("create the member's folder")?;
    for (path, size) in SIZES {
        // A JSON document of exactly this size.
        let object = format!("{{\"data\":\"{}\"}}", "x".repeat(size - 11));
        fs::write(folder.join(path.trim_start_matches('/')), object).context("write an object")?;
    }
    let file = folder.join("nginx.conf");
    fs::write(&file, configuration(directory, &folder, ports)).context("write nginx.conf")?;
    let mut command = process::command(Core::Others, "nginx");
    command.arg("-c").arg(&file).arg("-p").arg(&folder);
    Ok((Server::start("nginx", command, &folder.join("log"), &ports)?, ports))
}

fn configuration(directory: &Path, folder: &Path, [http2, http1]: [u16; 2]) -> String {
    let (shared, folder) = (directory.display(), folder.display());
    format!(
        "daemon off; master_process off; worker_processes 1; pid {folder}/pid; error_log {folder}/error.log;
        events {{ worker_connections 8192; }}
        http {{
            access_log off; default_type application/json; root {folder};
            client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2; fastcgi_temp_path {folder}/t3;
            uwsgi_temp_path {folder}/t4; scgi_temp_path {folder}/t5;
            keepalive_requests 1000000000; keepalive_timeout 300s; http2_max_concurrent_streams 250;
            open_file_cache max=10; open_file_cache_valid 1h;
            ssl_protocols TLSv1.3; ssl_certificate {shared}/tls.crt; ssl_certificate_key {shared}/tls.key;
            server {{ listen 127.0.0.1:{http2} ssl http2; }}
            server {{ listen 127.0.0.1:{http1} ssl; }}
        }}"
    )
}
