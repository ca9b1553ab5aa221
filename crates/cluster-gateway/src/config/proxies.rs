//! Proxies that the environment names.

use crate::registry::ProxyEnvironment;

/// Reads `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY`.
#[expect(clippy::disallowed_methods, reason = "this is the module that reads the environment")]
pub(super) fn proxies(mistakes: &mut Vec<String>) -> ProxyEnvironment {
    ProxyEnvironment::read(|name| std::env::var(name).ok()).unwrap_or_else(|found| {
        mistakes.extend(found);
        ProxyEnvironment::default()
    })
}
