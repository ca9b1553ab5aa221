//! The hop of the version: whether the member is one that is known.

use std::ops::RangeInclusive;

use serde::Deserialize;

use super::finding::Verdict;
use super::member::{Member, line};

/// Minor versions of Kubernetes 1 that the gateway is known to work with.
const KNOWN: RangeInclusive<u32> = 24..=37;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Version {
    git_version: String,
}

pub(super) async fn look(member: &Member<'_>) -> Verdict {
    let answer = match member.get("/version").await {
        Ok(answer) => answer,
        Err(error) => return untold(&error.to_string()),
    };
    match answer.parse() {
        Some(Version { git_version }) if answer.status.is_success() => judge(&line(&git_version)),
        _ => untold(&answer.shown()),
    }
}

fn untold(reason: &str) -> Verdict {
    Verdict::warned(
        format!("the member does not tell its version: {reason}"),
        "let everybody read /version, as ClusterRole system:public-info-viewer does",
    )
}

fn judge(version: &str) -> Verdict {
    let (oldest, newest) = (KNOWN.start(), KNOWN.end());
    match minor(version) {
        Some(minor) if minor < *oldest => Verdict::warned(
            format!("{version} is older than v1.{oldest}, the oldest that is tested"),
            "upgrade the member; until then see that what is used there works",
        ),
        Some(minor) if minor > *newest => Verdict::warned(
            format!(
                "{version} is newer than v1.{newest}, the newest that was known when this gateway was built"
            ),
            "upgrade the gateway, if anything does not work",
        ),
        Some(_) => Verdict::passed(version),
        None => Verdict::warned(
            format!("\"{version}\" is no version of Kubernetes 1"),
            "see whether this is the address of a Kubernetes API server",
        ),
    }
}

/// `v1.31.10+k3s1` → 31.
fn minor(version: &str) -> Option<u32> {
    let rest = version.strip_prefix("v1.")?;
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    rest[..end].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::super::Outcome;
    use super::*;

    #[test]
    fn versions_that_are_far_away_are_warned_of() {
        for (version, outcome) in [
            ("v1.31.10", Outcome::Passed),
            ("v1.34.1+k3s1", Outcome::Passed),
            ("v1.24.0-eks-1", Outcome::Passed),
            ("v1.16.3", Outcome::Warned),
            ("v1.99.0", Outcome::Warned),
            ("v2.0.0", Outcome::Warned),
            ("3.11", Outcome::Warned),
            ("v1.", Outcome::Warned),
        ] {
            assert_eq!(judge(version).outcome, outcome, "{version}");
        }
    }
}
