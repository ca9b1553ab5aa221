//! The whole server: fake hub, fake member, real sockets.

mod aggregator;
mod connections;
mod exec_credentials;
mod identity;
mod lifecycle;
mod limits;
mod log;
mod loops;
mod messages;
mod panics;
mod proxying;
mod streams;
mod upgrades;
mod webhook;
