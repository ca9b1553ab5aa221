//! A cluster whose endpoint leads back here must not send a request round and round (contract rule 168).

use http::header::{HeaderMap, HeaderName, HeaderValue};

use crate::status::Error;

/// Carries the marks of all gateways that a request has passed, each in a header of its own. Not `Via`, for which some
/// servers answer differently.
const PASSED: HeaderName = HeaderName::from_static("x-cluster-gateway-passed");

/// A gateway's mark: random, and new in each process. A member sees it and could show it to this gateway again; all
/// that it would reach is the refusal of its own request.
#[derive(Debug)]
pub struct Hop(HeaderValue);

impl Default for Hop {
    fn default() -> Self {
        let mut buffer = uuid::Uuid::encode_buffer();
        let text = uuid::Uuid::new_v4().simple().encode_lower(&mut buffer);
        Self(HeaderValue::from_str(text).unwrap_or_else(|_| HeaderValue::from_static("unknown")))
    }
}

impl Hop {
    /// Marks a request, unless the mark is there.
    pub(super) fn mark(&self, headers: &mut HeaderMap, cluster: &str) -> Result<(), Error> {
        if headers.get_all(PASSED).iter().any(|mark| *mark == self.0) {
            return Err(Error::Loop(cluster.to_owned()));
        }
        headers.append(PASSED, self.0.clone());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rule_168_a_request_passes_each_gateway_once() {
        let (one, other) = (Hop::default(), Hop::default());
        let mut headers = HeaderMap::new();
        headers.append(PASSED, HeaderValue::from_static("made up by a client"));
        assert!(one.mark(&mut headers, "m").is_ok());
        assert!(other.mark(&mut headers, "m").is_ok(), "gateways may stand in a row");
        for hop in [&one, &other] {
            assert!(matches!(hop.mark(&mut headers, "m"), Err(Error::Loop(cluster)) if cluster == "m"));
        }
        assert_eq!(headers.get_all(PASSED).iter().count(), 3);
    }
}
