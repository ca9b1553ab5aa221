//! The gateway's own address, which its Service names for those who do not want to go through the hub.

use kube::Client;

use super::super::Check;
use crate::inventory::{Address, VerifyError, find, verify};

const SUBJECT: &str = "Direct address";

/// `None`: it names none, or that cannot be read; others say so.
pub(super) async fn look(client: &Client) -> Option<Check> {
    let Address { service, external, ca } = find(client).await.ok()?;
    let server = external.ok()??;
    let Some(ca) = ca else {
        return Some(Check::warned(
            SUBJECT,
            format!("{server}, which cannot be verified: the APIService has no caBundle"),
            "put the CA of the gateway's certificate into caBundle",
        ));
    };
    Some(judge(&server, verify(&server, &ca, Some(&service.dns_name())).await))
}

fn judge(server: &str, verified: Result<Option<String>, VerifyError>) -> Check {
    match verified {
        Ok(None) => Check::passed(SUBJECT, format!("{server} answers with the gateway's certificate")),
        Ok(Some(name)) => Check::passed(
            SUBJECT,
            format!(
                "{server} answers with the gateway's certificate, by the name {name}, which kubeconfigs must set"
            ),
        ),
        Err(error @ VerifyError::Connect { .. }) => Check::warned(
            SUBJECT,
            format!("from here, {error}"),
            "see that clients reach it: kubeconfigs of cluster-gateway kubeconfig --direct lead there",
        ),
        Err(error) => Check::failed(
            SUBJECT,
            error.to_string(),
            "correct the annotation external-address of the gateway's Service, or the name in --advertise-host",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnosis::Outcome;

    #[test]
    fn who_does_not_answer_is_a_warning_and_who_answers_as_another_a_failure() {
        let address = || "gw:443".to_owned();
        let connect = VerifyError::Connect { address: address(), cause: "refused".to_owned() };
        let certificate = VerifyError::Certificate { address: address(), cause: "unknown".to_owned() };
        for (verified, outcome, words) in [
            (Ok(None), Outcome::Passed, "https://gw"),
            (Ok(Some("gw.ns.svc".to_owned())), Outcome::Passed, "gw.ns.svc"),
            (Err(connect), Outcome::Warned, "from here"),
            (Err(certificate), Outcome::Failed, "not with a certificate"),
        ] {
            let check = judge("https://gw", verified);
            assert!(check.outcome == outcome && check.found.contains(words), "{check:?}");
        }
    }
}
