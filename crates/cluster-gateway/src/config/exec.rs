//! Programs that may be run for credentials.

use std::path::PathBuf;

use super::CommonOptions;
use crate::credential::ExecPolicy;

/// What programs get if the gateway itself has no `PATH`.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Reads the two flags of the servers.
pub(super) fn policy(options: &CommonOptions, mistakes: &mut Vec<String>) -> ExecPolicy {
    exec_policy(&options.allow_exec_credential_command, &options.exec_credential_environment, mistakes)
}

/// These programs, with these variables of the environment.
#[expect(clippy::disallowed_methods, reason = "this is the module that reads the environment")]
pub fn exec_policy(commands: &[PathBuf], environment: &[String], mistakes: &mut Vec<String>) -> ExecPolicy {
    let (commands, names) = (commands.to_vec(), environment.iter());
    for command in commands.iter().filter(|command| !command.is_absolute()) {
        mistakes.push(format!(
            "--allow-exec-credential-command: {} is not an absolute path; whatever is found in PATH is not good enough",
            command.display()
        ));
    }
    if commands.is_empty() && names.len() > 0 {
        mistakes.push("--exec-credential-environment needs --allow-exec-credential-command".to_owned());
    }
    let path = std::env::var("PATH").unwrap_or_else(|_| PATH.to_owned());
    let mut environment = vec![("PATH".to_owned(), path)];
    for name in names {
        match std::env::var(name) {
            Ok(value) => environment.push((name.clone(), value)),
            Err(_) => mistakes.push(format!(
                "--exec-credential-environment: the gateway has no variable \"{}\", or it is not UTF-8 text",
                name.escape_debug()
            )),
        }
    }
    ExecPolicy { commands, environment, ..ExecPolicy::default() }
}
