//! The schemes and how their answers combine.

use std::future::Future;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::SystemTime;

use http::HeaderMap;

use super::token::{self, Tokens};
use super::trust::Trust;
use super::{Connection, UserInfo, certificate};

/// What a scheme may look at.
#[derive(Debug)]
pub(super) struct Asked<'a> {
    pub(super) connection: &'a Connection,
    pub(super) headers: &'a HeaderMap,
    pub(super) now: SystemTime,
}

impl Asked<'_> {
    fn peer(&self) -> IpAddr {
        self.connection.peer().ip()
    }
}

/// A scheme's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    /// The request does not use this scheme.
    NotRequested,
    /// It does, and this is who sent it.
    Authenticated(Arc<UserInfo>),
    /// It does, and it is not to be believed; why, for the log.
    Failed(String),
}

/// One way to prove who one is, by what is found in `A`.
pub(super) trait Scheme<A>: Sync {
    fn authenticate(&self, asked: &A) -> impl Future<Output = Answer> + Send;
}

/// The first success wins. A failure counts only if nobody succeeds, and then nobody is anonymous (rules 60, 61).
pub(super) async fn first_success<A, S: Scheme<A>>(
    schemes: &[S],
    asked: &A,
) -> Result<Option<Arc<UserInfo>>, String> {
    let mut failures = Vec::new();
    for scheme in schemes {
        match scheme.authenticate(asked).await {
            Answer::NotRequested => {}
            Answer::Authenticated(user) => return Ok(Some(user)),
            Answer::Failed(reason) => failures.push(reason),
        }
    }
    if failures.is_empty() { Ok(None) } else { Err(failures.join("; ")) }
}

/// The schemes there are.
#[derive(Debug)]
pub(super) enum Known {
    RequestHeader(Arc<Trust>),
    ClientCertificate(Arc<Trust>),
    Bearer(Arc<Tokens>),
    WebSocket(Arc<Tokens>),
}

impl Scheme<Asked<'_>> for Known {
    async fn authenticate(&self, asked: &Asked<'_>) -> Answer {
        match self {
            Self::RequestHeader(trust) => match trust.request_header() {
                Some(front_proxy) => front_proxy.authenticate(asked),
                None => Answer::NotRequested,
            },
            Self::ClientCertificate(trust) => match trust.client_cas() {
                Some(cas) => certificate::authenticate(&cas, asked),
                None => Answer::NotRequested,
            },
            Self::Bearer(tokens) => {
                tokens.authenticate(token::bearer(asked.headers), asked.peer(), asked.now).await
            }
            Self::WebSocket(tokens) => {
                tokens.authenticate(token::web_socket(asked.headers), asked.peer(), asked.now).await
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    struct Fake<'a>(Answer, &'a AtomicUsize);

    impl Scheme<Asked<'_>> for Fake<'_> {
        async fn authenticate(&self, _: &Asked<'_>) -> Answer {
            self.1.fetch_add(1, Ordering::SeqCst);
            self.0.clone()
        }
    }

    #[tokio::test]
    async fn rule_060_rule_061_the_first_success_wins_and_failures_forbid_anonymous() {
        let user = |name: &str| Arc::new(UserInfo { name: name.to_owned(), ..UserInfo::default() });
        let yes = |name| Answer::Authenticated(user(name));
        let no = |reason: &str| Answer::Failed(reason.to_owned());
        let skip = || Answer::NotRequested;
        let table = [
            (vec![], Ok(None), 0),
            (vec![skip(), skip()], Ok(None), 2),
            (vec![skip(), yes("a"), yes("b")], Ok(Some(user("a"))), 2),
            (vec![no("x"), skip(), yes("b"), no("y")], Ok(Some(user("b"))), 3),
            (vec![no("x"), skip(), no("y")], Err("x; y".to_owned()), 3),
            (vec![skip(), no("x")], Err("x".to_owned()), 2),
        ];
        let connection = Connection::new(([127, 0, 0, 1], 1).into(), Vec::new());
        let (headers, now) = (HeaderMap::new(), SystemTime::now());
        for (answers, expected, tried) in table {
            let count = AtomicUsize::new(0);
            let schemes: Vec<_> = answers.iter().map(|answer| Fake(answer.clone(), &count)).collect();
            let asked = Asked { connection: &connection, headers: &headers, now };
            assert_eq!(first_success(&schemes, &asked).await, expected, "{answers:?}");
            assert_eq!(count.load(Ordering::SeqCst), tried, "{answers:?}");
        }
    }
}
