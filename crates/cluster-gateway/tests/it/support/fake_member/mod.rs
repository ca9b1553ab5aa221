//! A member cluster on loopback that answers as told, and remembers what it was asked.

mod pki;
mod recorder;
mod routes;
mod server;
mod upgrade;

pub(crate) use pki::{Leaf, TestCa, server_config};
pub(crate) use server::{FakeMember, Options, Protocols};
