//! When somebody must be told that a credential ends.

use std::time::{Duration, SystemTime};

use super::token::written;

const DAY: Duration = Duration::from_secs(24 * 3600);

/// What is told of the end of a credential; each once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Notice {
    /// Nobody renews it, and it ends within this many days.
    Within(u64),
    /// It is renewed, but that fails, and the end comes near.
    Unrenewed,
    /// It has ended.
    Ended,
}

impl Notice {
    /// What is to be told of a credential that nobody renews and that ends at `ends`.
    pub(super) fn of_static(ends: SystemTime, now: SystemTime) -> Option<Self> {
        let Ok(left) = ends.duration_since(now) else { return Some(Self::Ended) };
        if left.is_zero() {
            return Some(Self::Ended);
        }
        let within = [1, 7, 30].into_iter().find(|days| left <= DAY * (*days as u32));
        within.map(Self::Within)
    }

    /// What is to be told of one that is renewed, at the latest `due`, and of whose renewal the last try failed or not.
    pub(super) fn of_renewed(
        due: SystemTime,
        ends: SystemTime,
        fails: bool,
        now: SystemTime,
    ) -> Option<Self> {
        let Ok(left) = ends.duration_since(now) else { return Some(Self::Ended) };
        if left.is_zero() {
            return Some(Self::Ended);
        }
        let margin = ends.duration_since(due).unwrap_or_default();
        (fails && left <= margin / 2).then_some(Self::Unrenewed)
    }

    /// The `reason` of an Event.
    pub(super) fn reason(self) -> &'static str {
        match self {
            Self::Within(_) => "CredentialExpires",
            Self::Unrenewed => "CredentialNotRenewed",
            Self::Ended => "CredentialExpired",
        }
    }

    /// Tells two of them apart in the name of an Event.
    pub(super) fn key(self) -> String {
        match self {
            Self::Within(days) => format!("{days}d"),
            Self::Unrenewed => "unrenewed".to_owned(),
            Self::Ended => "ended".to_owned(),
        }
    }

    /// The whole message, for the cluster's owner. `failure` is why it was not renewed.
    pub(super) fn message(self, cluster: &str, ends: SystemTime, failure: Option<&str>) -> String {
        let (ends, failure) = (written(ends), failure.map(|why| format!(": {why}")).unwrap_or_default());
        let remedy = format!(
            "give it another with: cluster-gateway rotate {cluster} KUBECONFIG, or one that renews itself with: \
             cluster-gateway rotate {cluster} --service-account"
        );
        match self {
            Self::Within(1) => format!(
                "the gateway's credential for cluster {cluster} ends at {ends}, in less than a day; {remedy}"
            ),
            Self::Within(days) => {
                format!(
                    "the gateway's credential for cluster {cluster} ends at {ends}, in less than {days} days; {remedy}"
                )
            }
            Self::Unrenewed => format!(
                "the token of cluster {cluster} ends at {ends} and is not renewed{failure}; the gateway goes on trying"
            ),
            Self::Ended => {
                format!("the gateway's credential for cluster {cluster} ended at {ends}{failure}; {remedy}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn days(days: f64) -> SystemTime {
        SystemTime::UNIX_EPOCH + DAY.mul_f64(days)
    }

    #[test]
    fn a_static_credential_is_told_of_thirty_seven_and_one_days_before_its_end() {
        let told = |left| Notice::of_static(days(100.0), days(100.0 - left));
        for (left, notice) in [
            (31.0, None),
            (30.0, Some(Notice::Within(30))),
            (7.5, Some(Notice::Within(30))),
            (7.0, Some(Notice::Within(7))),
            (1.5, Some(Notice::Within(7))),
            (1.0, Some(Notice::Within(1))),
            (0.1, Some(Notice::Within(1))),
            (0.0, Some(Notice::Ended)),
            (-1.0, Some(Notice::Ended)),
        ] {
            assert_eq!(told(left), notice, "{left} days before");
        }
    }

    #[test]
    fn a_renewed_one_is_told_of_only_when_that_fails_and_half_of_the_margin_is_gone() {
        let told = |now, fails| Notice::of_renewed(days(8.0), days(10.0), fails, days(now));
        assert_eq!(told(8.9, true), None);
        assert_eq!(told(9.0, true), Some(Notice::Unrenewed));
        assert_eq!(told(9.9, false), None, "it is about to be renewed");
        assert_eq!(told(10.0, false), Some(Notice::Ended));
    }

    #[test]
    fn every_notice_names_cluster_and_end_and_what_to_do() {
        for notice in [Notice::Within(30), Notice::Within(1), Notice::Ended] {
            let text = notice.message("c", days(1.0), None);
            assert!(text.contains("cluster c ") && text.contains("1970-01-02T00:00:00Z"), "{text}");
            assert!(text.contains("cluster-gateway rotate c"), "{text}");
        }
        let text = Notice::Unrenewed.message("c", days(1.0), Some("the member answered 403"));
        assert!(text.contains("is not renewed: the member answered 403"), "{text}");
    }
}
