#![allow(clippy::unwrap_used)]
//! A simulated member as its clients see it.

mod client;
mod faults;
mod identity;
mod kubectl;
mod order;
mod protocol;
