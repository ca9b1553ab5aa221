//! What the tests stand on.

pub mod certificates;
pub(crate) mod fake_cluster;
pub mod fake_hub;
pub(crate) mod fake_issuer;
pub(crate) mod fake_webhook;
#[allow(dead_code, reason = "unit tests of the crate include these files, too, and each uses its part")]
pub(crate) mod fake_member;
pub(crate) mod caller;
#[allow(dead_code, reason = "the end-to-end tests include this file, too")]
pub(crate) mod fake_proxy;
pub(crate) mod fake_proxy_server;
pub(crate) mod frames;
pub(crate) mod gate;
pub(crate) mod scripted_member;
pub(crate) mod session;
pub(crate) mod world;
