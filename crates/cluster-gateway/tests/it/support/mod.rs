//! What the component tests stand on.

#[allow(dead_code, reason = "each test binary uses its part")]
pub(crate) mod fake_member;
