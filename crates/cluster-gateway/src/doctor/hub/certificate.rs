//! By which CA the hub knows the gateway. Whether the gateway's certificate is of it, the hub itself finds out each time it
//! looks whether the gateway is available; so no Secret with a key has to be read here.

use std::time::{Duration, SystemTime};

use k8s_openapi::kube_aggregator::pkg::apis::apiregistration::v1::APIServiceSpec;
use rustls::pki_types::CertificateDer;

use super::super::Check;
use crate::pki;

/// A CA that ends sooner is warned of.
const SOON: Duration = Duration::from_secs(30 * 24 * 60 * 60);

pub(super) fn look(spec: &APIServiceSpec, available: bool) -> Check {
    judge(spec, available, SystemTime::now())
}

fn judge(spec: &APIServiceSpec, available: bool, now: SystemTime) -> Check {
    if spec.insecure_skip_tls_verify == Some(true) {
        return Check::warned(
            "Certificate",
            "NOT VERIFIED: the APIService says insecureSkipTLSVerify, so whoever answers in the gateway's place gets the \
             requests of all users",
            "put the CA of the gateway's certificate into caBundle and remove insecureSkipTLSVerify",
        );
    }
    let Some(bundle) = &spec.ca_bundle else {
        return Check::warned(
            "Certificate",
            "the APIService has no caBundle, so the hub trusts its system's roots",
            "put the CA of the gateway's certificate into caBundle; the gateway does so by itself if it may (docs/certificates.md)",
        );
    };
    let certificates = match pki::certificates(&bundle.0) {
        Ok(certificates) => certificates,
        Err(error) => {
            return Check::failed(
                "Certificate",
                format!("caBundle {error}"),
                "write the CA of the gateway's certificate there",
            );
        }
    };
    let end = certificates.iter().filter_map(end).max();
    match end.map(|end| end.duration_since(now)) {
        Some(Ok(left)) if left >= SOON && available => Check::passed(
            "Certificate",
            format!("the hub verifies the gateway's with caBundle ({} CAs)", certificates.len()),
        ),
        Some(Ok(left)) if left >= SOON => Check::warned(
            "Certificate",
            format!(
                "caBundle holds {} CAs; whether the gateway's certificate is of one is not known",
                certificates.len()
            ),
            "see why the APIService is not available",
        ),
        Some(Ok(left)) => Check::warned(
            "Certificate",
            format!("the CA in caBundle ends in {} days", left.as_secs() / (24 * 60 * 60)),
            "renew the gateway's certificate and CA, and write the CA into caBundle",
        ),
        Some(Err(_)) | None => Check::failed(
            "Certificate",
            "every CA in caBundle has expired",
            "renew the CA, and write it into caBundle",
        ),
    }
}

fn end(certificate: &CertificateDer<'static>) -> Option<SystemTime> {
    Some(*pki::validity(certificate).ok()?.end())
}

#[cfg(test)]
mod tests {
    use k8s_openapi::ByteString;

    use super::*;
    use crate::diagnosis::Outcome;

    fn spec(bundle: Option<&[u8]>, insecure: Option<bool>) -> APIServiceSpec {
        APIServiceSpec {
            ca_bundle: bundle.map(|bundle| ByteString(bundle.to_vec())),
            insecure_skip_tls_verify: insecure,
            ..APIServiceSpec::default()
        }
    }

    #[test]
    fn the_bundle_is_judged_by_its_last_ca_and_by_what_the_hub_makes_of_it() {
        let now = SystemTime::now();
        let ca = |days: i64| {
            let mut parameters = rcgen::CertificateParams::new(vec!["ca".to_owned()]).unwrap();
            parameters.not_after = (now + Duration::from_secs(24 * 60 * 60 * 400)).into();
            parameters.not_after += time::Duration::days(days - 400);
            parameters.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap().pem()
        };
        let [over, soon, good] = [ca(-1), ca(5), ca(300)];
        let judged =
            |bundle: &str, available| judge(&spec(Some(bundle.as_bytes()), None), available, now).outcome;
        assert_eq!(judged(&format!("{over}{good}"), true), Outcome::Passed);
        assert_eq!(judged(&good, false), Outcome::Warned);
        assert_eq!(judged(&soon, true), Outcome::Warned);
        assert_eq!(judged(&over, true), Outcome::Failed);
        assert_eq!(judged("x", true), Outcome::Failed);
        assert_eq!(judge(&spec(None, None), true, now).outcome, Outcome::Warned);
        let insecure = judge(&spec(Some(good.as_bytes()), Some(true)), true, now);
        assert!(
            insecure.outcome == Outcome::Warned && insecure.found.contains("NOT VERIFIED"),
            "{insecure:?}"
        );
    }
}
