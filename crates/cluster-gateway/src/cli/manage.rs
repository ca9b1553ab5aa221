//! `cluster-gateway manage`

use std::process::ExitCode;

use clap::Command;

use super::process;
use crate::config::{ApiserverOptions, Config, Leftover};
use crate::serve;

pub(super) fn run(options: ApiserverOptions, leftovers: &[Leftover]) -> ExitCode {
    let common = options.common.clone();
    process::serve(&common, leftovers, || Config::for_management(options), serve::run)
}

/// It is reached at another port than the gateway, by people.
pub(super) fn adjusted(command: Command) -> Command {
    command
        .mut_arg("secure_port", |port| {
            port.default_value("8000").help("Port to serve HTTPS on; 0 lets the system choose one")
        })
        .mut_arg("bind_address", |address| address.value_name("IP[:PORT]"))
        .mut_arg("manage_address", |address| address.hide(true))
}
