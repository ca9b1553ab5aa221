//! Who asks, and as whom: bearer tokens, client certificates and impersonation.

use std::collections::BTreeMap;

use http::HeaderMap;
use percent_encoding::percent_decode_str;

use crate::pki::ClientCa;
use crate::status::{Result, Status};
use crate::user::User;

/// Whom the member knows.
#[derive(Default)]
pub(crate) struct Authenticator {
    pub(crate) tokens: BTreeMap<String, User>,
    pub(crate) client_cas: Vec<ClientCa>,
}

/// Who asks and as whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Caller {
    pub(crate) authenticated: User,
    pub(crate) user: User,
}

impl Authenticator {
    /// Whom a request is from. Whoever shows a wrong token or certificate is nobody, not anonymous.
    pub(crate) fn authenticate(
        &self,
        certificates: &[rustls_pki_types::CertificateDer<'_>],
        headers: &HeaderMap,
    ) -> Result<User> {
        if let Some(value) = headers.get(http::header::AUTHORIZATION) {
            let token = value.to_str().ok().and_then(|text| text.split_once(' '));
            let token = token
                .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
                .map(|(_, token)| token.trim());
            return token.and_then(|token| self.tokens.get(token)).cloned().ok_or_else(Status::unauthorized);
        }
        if certificates.is_empty() {
            return Ok(User::anonymous());
        }
        let users = self.client_cas.iter().filter_map(|ca| ca.user(certificates));
        users.into_iter().next().ok_or_else(Status::unauthorized)
    }
}

impl std::fmt::Debug for Authenticator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authenticator").field("tokens", &self.tokens.len()).finish_non_exhaustive()
    }
}

/// As whom the user wants to be served. Everybody may be anybody here.
pub(crate) fn impersonate(authenticated: User, headers: &HeaderMap) -> Result<Caller> {
    let text =
        |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    let groups: Vec<String> = headers
        .get_all("impersonate-group")
        .iter()
        .filter_map(|value| value.to_str().ok())
        .map(str::to_owned)
        .collect();
    let extra = extra(headers);
    let (name, uid) = (text("impersonate-user"), text("impersonate-uid"));
    if name.is_empty() {
        if !groups.is_empty() || !extra.is_empty() || !uid.is_empty() {
            return Err(Status::internal("groups, uid or extra are impersonated without a user"));
        }
        return Ok(Caller { user: authenticated.clone(), authenticated });
    }
    if authenticated.is_anonymous() {
        return Err(Status::forbidden(format!(
            "users \"{name}\" is forbidden: User \"system:anonymous\" cannot impersonate resource \"users\""
        )));
    }
    let user = User { name, uid, groups, extra }.with_implied_groups();
    Ok(Caller { authenticated, user })
}

fn extra(headers: &HeaderMap) -> BTreeMap<String, Vec<String>> {
    let mut extra: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, value) in headers {
        if let (Some(key), Ok(value)) = (name.as_str().strip_prefix("impersonate-extra-"), value.to_str()) {
            let key = percent_decode_str(key).decode_utf8_lossy().into_owned();
            extra.entry(key).or_default().push(value.to_owned());
        }
    }
    extra
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn tokens_name_users_and_wrong_ones_nobody() {
        let tokens = BTreeMap::from([("t1".to_owned(), User::new("ann").group("dev"))]);
        let authenticator = Authenticator { tokens, client_cas: Vec::new() };
        let ask = |value: &str| authenticator.authenticate(&[], &headers(&[("authorization", value)]));
        let ann = ask("Bearer t1").unwrap();
        assert_eq!(
            (ann.name.as_str(), ann.groups),
            ("ann", vec!["dev".to_owned(), "system:authenticated".to_owned()])
        );
        assert_eq!(ask("Bearer t2").unwrap_err().code, 401);
        assert_eq!(ask("Basic t1").unwrap_err().code, 401);
        assert!(authenticator.authenticate(&[], &HeaderMap::new()).unwrap().is_anonymous());
        assert!(!format!("{authenticator:?}").contains("t1"));
    }

    #[test]
    fn the_impersonated_user_is_made_of_all_headers() {
        let headers = headers(&[
            ("impersonate-user", "bob"),
            ("impersonate-group", "g1"),
            ("impersonate-group", "g2"),
            ("impersonate-uid", "7"),
            ("impersonate-extra-a%2fb", "1"),
            ("impersonate-extra-a%2fb", "2"),
        ]);
        let caller = impersonate(User::new("ann"), &headers).unwrap();
        assert_eq!(caller.authenticated, User::new("ann"));
        assert_eq!(
            caller.user,
            User {
                name: "bob".to_owned(),
                uid: "7".to_owned(),
                groups: ["g1", "g2", "system:authenticated"].map(str::to_owned).to_vec(),
                extra: BTreeMap::from([("a/b".to_owned(), vec!["1".to_owned(), "2".to_owned()])]),
            }
        );
    }

    #[test]
    fn groups_follow_from_the_name() {
        let become_ = |name: &str| {
            impersonate(User::new("ann"), &headers(&[("impersonate-user", name)])).unwrap().user.groups
        };
        assert_eq!(
            become_("system:serviceaccount:ns:x"),
            ["system:serviceaccounts", "system:serviceaccounts:ns", "system:authenticated"]
        );
        assert_eq!(become_("system:anonymous"), ["system:unauthenticated"]);
    }

    #[test]
    fn impersonation_needs_a_user_on_both_sides() {
        assert_eq!(
            impersonate(User::new("ann"), &headers(&[("impersonate-group", "g")])).unwrap_err().code,
            500
        );
        assert_eq!(
            impersonate(User::anonymous(), &headers(&[("impersonate-user", "bob")])).unwrap_err().code,
            403
        );
        let caller = impersonate(User::new("ann"), &HeaderMap::new()).unwrap();
        assert_eq!(caller.user, caller.authenticated);
    }
}
