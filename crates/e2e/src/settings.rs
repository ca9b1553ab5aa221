//! The environment variables that steer the harness.

use std::ffi::OsString;

/// The value of an environment variable, unless it is unset or empty.
#[expect(clippy::disallowed_methods, reason = "the harness has no command line: this is how it is told")]
pub fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}
