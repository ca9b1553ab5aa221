//! What both ends of a cluster's connections have shown in the last handshake.

use std::sync::Arc;

use axum::extract::State;
use serde::Serialize;

use crate::manage::{Caller, ClusterName, Json, Manage, Refusal};
use crate::pki::CertificateFacts;
use crate::registry::{Cluster, Unusable};
use crate::transport::{CertificateRole, Certificates, ServedCertificate, VerificationKind};

/// [`Certificates`] as the API has them: the gateway's own has a role, too.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Shown {
    served: Vec<ServedCertificate>,
    verification: VerificationKind,
    verified: bool,
    problem: Option<String>,
    client: Option<ServedCertificate>,
}

pub(super) async fn certificates(
    State(manage): State<Arc<Manage>>,
    caller: Caller,
    ClusterName(name): ClusterName,
) -> Result<Json<Shown>, Refusal> {
    let cluster = manage.seen(&caller, &name).await?;
    Ok(Json(shown(&cluster)))
}

fn shown(cluster: &Cluster) -> Shown {
    let Certificates { served, verification, verified, problem, client } = match &cluster.upstream {
        Ok(upstream) => upstream.certificates(),
        Err(Unusable(reason)) => Certificates {
            served: Vec::new(),
            verification: match cluster.ca_bundle {
                Some(_) => VerificationKind::Bundle,
                None => VerificationKind::SystemRoots,
            },
            verified: false,
            problem: Some(reason.clone()),
            client: None,
        },
    };
    let own = |facts: CertificateFacts| ServedCertificate { facts, role: CertificateRole::Leaf };
    Shown { served, verification, verified, problem, client: client.map(own) }
}
