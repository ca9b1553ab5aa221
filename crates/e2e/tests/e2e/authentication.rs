//! Who somebody is at the gateway's own port.

use anyhow::{Result, ensure};
use e2e::control_plane::FRONT_PROXY_USER;
use e2e::pki::{Authority, Leaf};
use e2e::{Access, Credential};
use serde_json::json;

use crate::world::world;

const REMOTE_ADMIN: [&str; 2] = ["X-Remote-User: admin", "X-Remote-Group: system:masters"];

fn spoofed(access: &Access) -> Result<e2e::curl::Response> {
    let request = access.through("member1")?.request("GET", "/healthz");
    REMOTE_ADMIN.iter().fold(request, |request, header| request.header(header)).send()
}

#[test]
fn rule_063_rule_067_remote_headers_without_a_certificate_stay_anonymous() -> Result<()> {
    let message = spoofed(&world()?.anonymous()?)?.status_message(403)?;
    ensure!(message.contains(r#"User "system:anonymous" cannot get"#), "{message}");
    Ok(())
}

#[test]
fn rule_067_rule_075_remote_headers_of_an_ordinary_client_are_ignored() -> Result<()> {
    let bob = world()?.hub.user("bob-with-headers", &["some-group"])?;
    let message = spoofed(&world()?.gateway.access(bob.credential().clone())?)?.status_message(403)?;
    ensure!(message.contains(r#"User "bob-with-headers" cannot get"#), "{message}");
    Ok(())
}

#[test]
fn rule_067_a_front_proxy_certificate_of_another_name_is_refused() -> Result<()> {
    let identity = world()?.hub.front_proxy_ca().issue(&Leaf::client("another-proxy"))?;
    spoofed(&world()?.gateway.access(Credential::X509(identity))?)?.status_message(401).map(drop)
}

#[test]
fn rule_065_rule_067_a_front_proxy_speaks_for_others() -> Result<()> {
    let identity = world()?.hub.front_proxy_identity()?;
    let proxy = world()?.gateway.access(Credential::X509(identity))?;
    ensure!(spoofed(&proxy)?.expect(200)? == "ok");

    let request = proxy.through("member1")?.request("GET", "/healthz");
    let request = request.header("X-Remote-User: alice").header("X-Remote-Group: some-group");
    let message = request.send()?.status_message(403)?;
    ensure!(message.contains(r#"User "alice" cannot get"#), "{message}");
    Ok(())
}

#[test]
fn rule_070_a_front_proxy_that_names_nobody_is_nobody() -> Result<()> {
    // Its certificate is not one of a client of the hub, so that the next authenticator refuses it.
    let identity = world()?.hub.front_proxy_identity()?;
    let proxy = world()?.gateway.access(Credential::X509(identity))?.through("member1")?;
    let answer = proxy.request("GET", "/healthz").send()?;
    ensure!([401, 403].contains(&answer.code) && !answer.body.contains(FRONT_PROXY_USER), "{answer:?}");
    Ok(())
}

#[test]
fn rule_055_rule_064_a_certificate_of_an_unknown_ca_is_a_401() -> Result<()> {
    let identity = Authority::new("unknown CA")?.issue(&Leaf::client("admin").group("system:masters"))?;
    let stranger = world()?.gateway.access(Credential::X509(identity))?;
    let status = stranger.through("member1")?.request("GET", "/healthz").send()?.json(401)?;
    let expected = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": "Unauthorized", "reason": "Unauthorized", "code": 401,
    });
    ensure!(status == expected, "{status}");
    Ok(())
}

#[test]
fn a_certificate_that_is_out_of_date_or_no_clients_is_a_401() -> Result<()> {
    let server = Leaf::with_usage("admin", rcgen::ExtendedKeyUsagePurpose::ServerAuth).group("system:masters");
    for leaf in [Leaf::client("admin").group("system:masters").expired(), server] {
        let credential = Credential::X509(world()?.hub.ca().issue(&leaf)?);
        let access = world()?.gateway.access(credential)?.through("member1")?;
        access.request("GET", "/healthz").send()?.status_message(401)?;
    }
    let identity = world()?.hub.front_proxy_ca().issue(&Leaf::client(FRONT_PROXY_USER).expired())?;
    spoofed(&world()?.gateway.access(Credential::X509(identity))?)?.status_message(401).map(drop)
}

#[test]
fn rule_061_rule_076_a_token_that_nobody_issued_is_a_401() -> Result<()> {
    let access = world()?.gateway.access(Credential::Token("nonsense".to_owned()))?;
    access.through("member1")?.request("GET", "/healthz").send()?.status_message(401)?;
    // "Basic" is no bearer token, and so no credential at all.
    let request = world()?.anonymous()?.through("member1")?.request("GET", "/healthz");
    let message = request.header("Authorization: Basic YWRtaW46YWRtaW4=").send()?.status_message(403)?;
    ensure!(message.contains("system:anonymous"), "{message}");
    Ok(())
}

#[test]
fn rule_054_http_1_and_http_2_are_served_on_one_port() -> Result<()> {
    for (version, sent) in [("--http1.1", "HTTP/1.1 200"), ("--http2", "HTTP/2 200")] {
        let request = world()?.anonymous()?.request("GET", "/healthz").args([version, "--include"]);
        let answer = request.send()?;
        ensure!(answer.body.starts_with(sent), "{answer:?}");
    }
    Ok(())
}
