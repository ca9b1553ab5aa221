//! The manifests of `deploy/` on a real hub, and gateways with the rights that they give.

use std::time::Duration;

use anyhow::{Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use e2e::deployed::{CERTIFICATE, Deployed, Replica};
use e2e::{ControlPlane, registration, wait};
use serde_json::json;

/// Five seconds between two looks, 15 until another takes over; and the machine is busy.
const HEALED: Duration = Duration::from_secs(45);
const READY: Duration = Duration::from_secs(45);

#[test]
fn rule_037_what_the_manifests_install_is_verified_by_the_hub_and_heals() -> Result<()> {
    let hub = ControlPlane::start("deployed")?;
    let admin = hub.admin();
    let deployed = Deployed::install(&hub)?;
    ensure!(deployed.ca_bundle()?.is_empty(), "the manifest sets a caBundle");
    let mut replicas = [deployed.replica()?, deployed.replica()?];
    for replica in &mut replicas {
        replica.wait_ready(READY)?;
    }
    deployed.lead_to(&replicas[0]);
    deployed.wait_available()?;
    let list = || admin.kubectl(["get", "clustergateways"]).run()?.success();
    wait::eventually("the list of clusters", HEALED, || list().map(Some))?;

    // Every replica shows a certificate that the hub verifies.
    let all_verify = |replicas: &[Replica]| -> Result<()> {
        let bundle = deployed.ca_bundle()?;
        for replica in replicas {
            ensure!(replica.verifies(&bundle)?, "not by {bundle}");
        }
        Ok(())
    };
    wait::eventually("both replicas to verify", HEALED, || all_verify(&replicas).map(Some))?;
    let first = deployed.ca_bundle()?;
    ensure!(!replicas[0].verifies(hub.admin().ca())?, "any CA would do");

    // The Secret is gone: there is a new CA beside the old one, and nothing fails meanwhile.
    admin.request("DELETE", CERTIFICATE).send()?.expect(200)?;
    wait::eventually("a new CA", HEALED, || {
        all_verify(&replicas)?;
        list()?;
        let bundle = deployed.ca_bundle()?;
        Ok((bundle != first && bundle.contains(first.trim())).then_some(()))
    })?;
    admin.request("GET", CERTIFICATE).send()?.expect(200)?;
    all_verify(&replicas)?;

    // Somebody breaks caBundle; then one replica dies, and somebody does it again.
    let good = deployed.ca_bundle()?;
    let spoil = || deployed.patch_api_service(&json!({"spec": {"caBundle": BASE64.encode("garbage\n")}}));
    let healed = || Ok((deployed.ca_bundle()? == good).then_some(()));
    spoil()?;
    wait::eventually("a good caBundle", HEALED, healed)?;
    let [gone, left] = replicas;
    drop(gone);
    deployed.lead_to(&left);
    spoil()?;
    wait::eventually("a good caBundle by whoever is left", HEALED, healed)?;
    deployed.wait_available()?;
    wait::eventually("the list of clusters", HEALED, || list().map(Some))?;
    wait::eventually("the replica that is left to verify", HEALED, || {
        all_verify(std::slice::from_ref(&left)).map(Some)
    })?;
    let log = left.log();
    ensure!(!log.contains("grant the right"), "the manifests give too few rights:\n{log}");
    Ok(())
}

#[test]
fn without_the_rights_it_says_what_to_grant_and_serves_all_the_same() -> Result<()> {
    let hub = ControlPlane::start("rightless")?;
    let user = registration::grant(&hub)?;
    let secrets = format!("--secret-namespace={}", registration::NAMESPACE);
    let namespace = format!("--service-namespace={}", registration::NAMESPACE);
    let mut replica = Replica::start(&user, &["apiserver", &secrets, "--service-name=gateway", &namespace])?;
    replica.wait_ready(READY)?;
    let log = replica.log();
    for words in [
        "grant the right, as deploy/cluster-gateway.yaml does, or give --tls-cert-file and --tls-private-key-file",
        "cannot get resource \\\"leases\\\" in API group \\\"coordination.k8s.io\\\" in the namespace",
        "made for this process",
    ] {
        ensure!(log.contains(words) || log.contains(&words.replace('\\', "")), "no {words:?} in\n{log}");
    }
    Ok(())
}
