//! The whole server: fake hub, fake member, real sockets.

mod connections;
mod identity;
mod lifecycle;
mod messages;
mod proxying;
mod streams;
mod upgrades;
