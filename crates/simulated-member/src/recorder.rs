//! What was asked, by whom, and as whom.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use http::{HeaderMap, Method, Version};

use crate::user::User;

/// How many requests are remembered; the oldest go first.
const REMEMBERED: usize = 10_000;

/// The head of a request as the member received it.
#[derive(Debug, Clone)]
pub struct Recorded {
    /// The method.
    pub method: Method,
    /// Path and query, exactly as they came.
    pub target: String,
    /// The version of HTTP.
    pub version: Version,
    /// The headers. Those that carry credentials are there, but marked as sensitive: `Debug` does not show them.
    pub headers: HeaderMap,
    /// The number of the connection, counted from one over all that the member accepted.
    pub connection: u64,
    /// Who proved to ask; `None` for a wrong credential, which was answered with `401`.
    pub authenticated: Option<User>,
    /// As whom the request was served: the impersonated user if there was one. `None` where it was refused before.
    pub user: Option<User>,
}

/// The requests so far.
#[derive(Debug, Default)]
pub(crate) struct Recorder(Mutex<VecDeque<Recorded>>);

impl Recorder {
    pub(crate) fn record(&self, mut request: Recorded) {
        for name in [http::header::AUTHORIZATION, http::header::COOKIE] {
            if let Some(value) = request.headers.get_mut(name) {
                value.set_sensitive(true);
            }
        }
        let mut requests = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if requests.len() == REMEMBERED {
            requests.pop_front();
        }
        requests.push_back(request);
    }

    pub(crate) fn requests(&self) -> Vec<Recorded> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    pub(crate) fn clear(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(target: &str) -> Recorded {
        let headers = HeaderMap::from_iter([(http::header::AUTHORIZATION, "Bearer secret".parse().unwrap())]);
        Recorded {
            method: Method::GET,
            target: target.to_owned(),
            version: Version::HTTP_11,
            headers,
            connection: 1,
            authenticated: None,
            user: None,
        }
    }

    #[test]
    fn credentials_do_not_show() {
        let recorder = Recorder::default();
        recorder.record(request("/"));
        assert!(!format!("{:?}", recorder.requests()).contains("secret"));
        assert_eq!(recorder.requests()[0].headers[http::header::AUTHORIZATION], "Bearer secret");
    }

    #[test]
    fn only_the_latest_requests_are_remembered() {
        let recorder = Recorder::default();
        for index in 0..=REMEMBERED {
            recorder.record(request(&index.to_string()));
        }
        let requests = recorder.requests();
        assert_eq!((requests.len(), requests[0].target.as_str()), (REMEMBERED, "1"));
        recorder.clear();
        assert!(recorder.requests().is_empty());
    }
}
