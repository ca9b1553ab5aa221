//! `cluster-gateway apiserver`

use std::process::ExitCode;

use super::process;
use crate::config::{ApiserverOptions, Config, Leftover};
use crate::serve;

pub(super) fn run(options: ApiserverOptions, leftovers: &[Leftover]) -> ExitCode {
    let common = options.common.clone();
    process::serve(&common, leftovers, || Config::for_hub(options), serve::run)
}
