//! For a hub: the user of the hub's kubeconfig, through the hub or straight to the gateway.

use anyhow::{Context, bail, ensure};
use cluster_gateway_client::v1alpha1::ANNOTATION_EXTERNAL_ADDRESS;

use super::{KubeconfigOptions, save};
use crate::cli::export_config::{names, of};
use crate::cli::output::{self, Progress};
use crate::hub::Operator;
use crate::inventory::{self, Address, Direct, Route, contexts};

pub(super) async fn write(options: &KubeconfigOptions) -> anyhow::Result<()> {
    if !options.direct {
        let given = options.server.as_ref().map(|_| "--server");
        let given = given.or(options.certificate_authority.as_ref().map(|_| "--certificate-authority"));
        if let Some(flag) = given {
            bail!("{flag} has a meaning only with --direct, or for a standalone server with --clusters-dir");
        }
    }
    let target = options.target.open().await?;
    let hub = target.hub.as_ref().context("no hub is named")?;
    let kubeconfig = of(hub)?;
    let names = names(&target, &options.selector.selector).await?;
    let route = if options.direct { Route::Direct(direct(options, hub).await?) } else { Route::Hub };
    let written = contexts(kubeconfig, hub.context(), &names, &route)?;
    save(&options.output, &written, options.overwrite)?;
    output::note(&format!("{} clusters: {}", names.len(), names.join(", ")));
    match &route {
        Route::Hub => output::note(
            "Requests go through the hub: its audit log has each, as one for clustergateways/NAME/proxy; that of the \
             gateway, if it keeps one, too.",
        ),
        Route::Direct(Direct { server, .. }) => {
            output::note(&format!(
                "Requests go to {server}: the hub's audit log has only the gateway's questions who that is and what he \
                 may do. What is done is in the gateway's, if it keeps one (--audit-policy-file)."
            ));
            let user = written.auth_infos.first().and_then(|user| user.auth_info.as_ref());
            if let Some(caveat) = inventory::caveat(user) {
                output::note(&format!("Mind: {caveat}."));
            }
        }
    }
    Ok(())
}

/// The gateway's own address, which has answered with the gateway's certificate.
async fn direct(options: &KubeconfigOptions, hub: &Operator) -> anyhow::Result<Direct> {
    let progress = Progress::start("asking the hub where its gateway is");
    let found = inventory::find(&hub.client()).await;
    let server = match (&options.server, &found) {
        (Some(server), _) => server.clone(),
        (None, Ok(address)) => annotated(address)?,
        (None, Err(error)) => bail!("{error}"),
    };
    let ca = match (&options.certificate_authority, &found) {
        (Some(file), _) => {
            std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?
        }
        (None, Ok(address)) => address.ca.clone().context(
            "the hub does not verify its gateway: the APIService has no caBundle; give the CA of the gateway's \
             certificate with --certificate-authority",
        )?,
        (None, Err(error)) => bail!("{error}"),
    };
    let server = server.trim_end_matches('/').to_owned();
    progress.step(&format!("looking at the certificate of {server}"));
    let name = found.ok().map(|address| address.service.dns_name());
    let tls_server_name = inventory::verify(&server, &ca, name.as_deref()).await?;
    ensure!(!ca.contains("PRIVATE KEY"), "the file of --certificate-authority holds a private key");
    Ok(Direct { server, ca, tls_server_name })
}

fn annotated(address: &Address) -> anyhow::Result<String> {
    let service = &address.service;
    match &address.external {
        Ok(Some(server)) => Ok(server.clone()),
        Ok(None) => bail!(
            "the Service {service} does not say where clients reach the gateway; give --server https://HOST:PORT, or say \
             it once for all: kubectl -n {} annotate service {} {ANNOTATION_EXTERNAL_ADDRESS}=https://HOST:PORT",
            service.namespace,
            service.name
        ),
        Err(error) => bail!("cannot read the Service {service}: {error}; give --server https://HOST:PORT"),
    }
}
