//! The hop of upgrades: whether exec, attach and port-forward come through what stands before the member.
//!
//! Nothing is run: the pod that is asked for cannot exist, and what is watched is only looked at.

use http::StatusCode;

use super::finding::Verdict;
use super::member::{Member, Protocol};
use crate::transport::TransportError;

/// A pod that nobody has: its name is longer than the name of a pod may be in practice, and says whose request this is.
const EXEC: &str = "/api/v1/namespaces/default/pods/cluster-gateway-doctor-asks-for-a-pod-that-does-not-exist/exec?command=true&stdout=true";
/// API servers serve watches over WebSockets as well, so this is an upgrade that reads.
const WATCH: &str = "/api/v1/namespaces?watch=true&timeoutSeconds=1";
const MEND: &str = "let what stands before the member (a load balancer, an ingress, a proxy) pass the headers Connection and \
                    Upgrade on, and speak HTTP/1.1 to the API server; or register the API server's own address";

pub(super) async fn look(member: &Member<'_>) -> Verdict {
    let answer = match member.upgrade(EXEC, Protocol::Spdy).await {
        Ok(answer) => answer,
        Err(error) => return Verdict::failed(swallowed(&error), MEND),
    };
    let refused = match answer.status {
        StatusCode::NOT_FOUND | StatusCode::FORBIDDEN if answer.json && answer.is_kubernetes() => {
            answer.words
        }
        StatusCode::SWITCHING_PROTOCOLS => {
            return Verdict::warned(
                "exec in a pod that cannot exist was answered with 101",
                "see what stands before the member: it agrees to upgrades before it has asked the API server",
            );
        }
        _ => {
            return Verdict::failed(
                format!("an upgrade is not answered by the API server, but with {}", answer.shown()),
                MEND,
            );
        }
    };
    let found = format!("the API server itself answers an exec ({refused})");
    // Headers that were taken away do not show in a refusal; they do where something is agreed to.
    match member.upgrade(WATCH, Protocol::WebSocket).await {
        Ok(answer) if answer.status == StatusCode::SWITCHING_PROTOCOLS => {
            Verdict::passed(format!("{found} and agrees to a WebSocket"))
        }
        Ok(answer) if answer.status.is_success() => Verdict::warned(
            format!(
                "{found}, but a watch over a WebSocket is answered without one: the headers of the upgrade got lost"
            ),
            MEND,
        ),
        Ok(_) => Verdict::passed(found),
        Err(error) => Verdict::warned(format!("{found}, but not a WebSocket: {error}"), MEND),
    }
}

fn swallowed(error: &TransportError) -> String {
    format!("an upgrade gets no answer: {error}")
}
