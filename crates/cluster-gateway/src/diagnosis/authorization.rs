//! The hop of authorization: whether the credential may do what the gateway, or those who come through it, need.

use futures_util::future::join_all;
use serde::Deserialize;
use serde_json::json;

use super::finding::Verdict;
use super::member::Member;

const PATH: &str = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";

/// A right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Right {
    group: &'static str,
    resource: &'static str,
    subresource: &'static str,
    verb: &'static str,
    /// Whether nothing works without it.
    needed: bool,
}

const fn right(group: &'static str, resource: &'static str, verb: &'static str, needed: bool) -> Right {
    Right { group, resource, subresource: "", verb, needed }
}

const EVERYTHING: Right = right("*", "*", "*", false);

/// For passing identities on (contract rules 151, 152). Which other extra attributes there will be nobody knows before.
const IMPERSONATION: [Right; 4] = [
    right("", "users", "impersonate", true),
    right("", "groups", "impersonate", true),
    right("", "serviceaccounts", "impersonate", true),
    // Hubs of Kubernetes 1.32 and later say it of everybody who has a certificate or a service account's token.
    Right {
        subresource: "authentication.kubernetes.io/credential-id",
        ..right("authentication.k8s.io", "userextras", "impersonate", false)
    },
];

/// What people and KubeVela do with a cluster, when all of them are the gateway's user there.
const USE: [Right; 5] = [
    right("", "namespaces", "list", false),
    right("", "namespaces", "create", false),
    right("", "pods", "list", false),
    Right { subresource: "exec", ..right("", "pods", "create", false) },
    right("apps", "deployments", "create", false),
];

#[derive(Deserialize)]
struct SelfSubjectAccessReview {
    status: ReviewStatus,
}

#[derive(Deserialize)]
struct ReviewStatus {
    allowed: bool,
}

pub(super) async fn look(member: &Member<'_>, impersonates: bool) -> Verdict {
    match may(member, &EVERYTHING).await {
        Ok(true) if impersonates => {
            return Verdict::warned(
                "the credential may do everything, impersonate too",
                "requests run as their callers, so the right to impersonate is enough: take a service account that has only \
                 that (cluster-gateway join --service-account)",
            );
        }
        Ok(true) => return Verdict::passed("the credential may do everything"),
        Ok(false) => {}
        Err(reason) => return unknown(&reason),
    }
    let rights: &[Right] = if impersonates { &IMPERSONATION } else { &USE };
    let mut missing = Vec::new();
    for (right, answer) in rights.iter().zip(join_all(rights.iter().map(|right| may(member, right))).await) {
        match answer {
            Ok(true) => {}
            Ok(false) => missing.push(*right),
            Err(reason) => return unknown(&reason),
        }
    }
    judge(rights, &missing, impersonates)
}

fn judge(rights: &[Right], missing: &[Right], impersonates: bool) -> Verdict {
    let purpose = if impersonates { "to pass identities on" } else { "for what people usually do" };
    if missing.is_empty() {
        let all: Vec<_> = rights.iter().map(Right::shown).collect();
        return Verdict::passed(format!("it may do what is needed {purpose}: {}", all.join(", ")));
    }
    let shown: Vec<_> = missing.iter().map(Right::shown).collect();
    let found = format!("the credential may not {}, which is needed {purpose}", shown.join(", nor "));
    let rules: Vec<_> = missing.iter().map(Right::rule).collect();
    let remedy = format!("in the member, give its user a ClusterRole with: {}", rules.join(" "));
    let fatal = missing.iter().any(|right| right.needed) || missing.len() == rights.len();
    if fatal { Verdict::failed(found, remedy) } else { Verdict::warned(found, remedy) }
}

fn unknown(reason: &str) -> Verdict {
    Verdict::warned(
        format!("the member does not say what the credential may do: {reason}"),
        "let it create selfsubjectaccessreviews.authorization.k8s.io, as ClusterRole system:basic-user does",
    )
}

async fn may(member: &Member<'_>, right: &Right) -> Result<bool, String> {
    let review = json!({
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": { "resourceAttributes": {
            "group": right.group,
            "resource": right.resource,
            "subresource": right.subresource,
            "verb": right.verb,
        } },
    });
    let answer = member.review(PATH, &review).await.map_err(|error| error.to_string())?;
    let decision = answer.parse().filter(|_| answer.status.is_success());
    decision
        .map(|SelfSubjectAccessReview { status: ReviewStatus { allowed } }| allowed)
        .ok_or_else(|| answer.shown())
}

impl Right {
    fn object(&self) -> String {
        let slash = if self.subresource.is_empty() { "" } else { "/" };
        format!("{}{slash}{}", self.resource, self.subresource)
    }

    /// In words: `impersonate users`.
    fn shown(&self) -> String {
        let dot = if self.group.is_empty() { "" } else { "." };
        format!("{} {}{dot}{}", self.verb, self.object(), self.group)
    }

    /// As a rule of a ClusterRole.
    fn rule(&self) -> String {
        format!(
            "- {{apiGroups: [\"{}\"], resources: [\"{}\"], verbs: [\"{}\"]}}",
            self.group,
            self.object(),
            self.verb
        )
    }
}
