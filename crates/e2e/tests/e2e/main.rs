//! Scenarios on real control planes. A test whose name begins with `rule_NNN` proves that rule of the contract.

mod api;
mod audit;
mod authentication;
mod credentials;
mod demo;
mod deploy;
mod direct;
mod documents;
mod failures;
mod harness;
mod health;
mod identity;
mod isolation;
mod lifecycle;
mod members;
mod ocm;
mod pods;
mod proxies;
mod readme;
mod rights;
mod standalone;
mod subpath;
mod through;
mod verbs;
mod world;
