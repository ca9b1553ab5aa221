//! `cluster-gateway standalone`

use std::process::ExitCode;

use super::process;
use crate::config::{Config, Leftover, StandaloneOptions};
use crate::serve;

pub(super) fn run(options: StandaloneOptions, leftovers: &[Leftover]) -> ExitCode {
    let common = options.common.clone();
    process::serve(&common, leftovers, || Config::standalone(options), serve::run)
}
