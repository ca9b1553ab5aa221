//! What the tests stand on.

pub mod certificates;
pub mod fake_hub;
