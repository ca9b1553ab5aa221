//! The project's own commands, run as `cargo xtask COMMAND`. What CI does, anybody can do with one of them.
#![allow(clippy::print_stdout, reason = "a command line tool whose output is its result")]

mod bench;
mod ci;
mod deny;
mod process;
mod rules;
mod soak;
mod wire;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Debug, Parser)]
#[command(name = "cargo xtask", about = "The project's own commands", disable_version_flag = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Everything that must hold before a change goes in: formatting, lints, tests, documents, dependencies, rules
    Ci,
    /// What a proxied request costs, beside HAProxy, nginx and no proxy; memory, many clusters, many watches
    Bench(bench::Options),
    /// Mixed load over simulated members whose every fault is switched on and off, with checks of each answer
    Soak(soak::Options),
    /// Which rules of docs/contract.md a test names, and which none does
    Rules(rules::Options),
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Ci => ci::run(),
        Command::Bench(options) => bench::run(&options),
        Command::Soak(options) => soak::run(&options),
        Command::Rules(options) => rules::run(&options),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
