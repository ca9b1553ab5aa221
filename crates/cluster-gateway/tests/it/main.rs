//! Component tests: the real code against fakes that speak the protocol.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;
mod transport;
