//! Scenarios on real control planes. A test whose name begins with `rule_NNN` proves that rule of the contract.

mod harness;
mod pods;
mod world;
