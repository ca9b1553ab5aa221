//! Running one program: in a process group of its own, which is ended as a whole.

use std::io;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};
use tokio::time::{Instant, timeout, timeout_at};

use super::{ExecConfig, ExecPolicy};

/// Bytes of standard output.
const MAX_OUTPUT: usize = 1024 * 1024;
/// Bytes of standard error that are kept; the rest is read and dropped.
const MAX_ERRORS: usize = 4096;
/// Characters of what a program says that are repeated.
const MAX_SHOWN: usize = 400;
/// Values of the environment, and arguments, from this length on are struck out of what a program says.
const LEAST_SECRET: usize = 4;
/// From this length on, a word without a blank is taken for a credential.
const LEAST_CREDENTIAL: usize = 32;
/// How long an ended process group may take to be gone.
const REAP: Duration = Duration::from_secs(5);

/// The program's standard output, if it ends well before `deadline`. Failures are words that follow the program's name.
pub(super) async fn run(
    config: &ExecConfig,
    policy: &ExecPolicy,
    deadline: Instant,
) -> Result<Vec<u8>, String> {
    let mut child = spawn(config, policy).map_err(|error| not_started(&error, config))?;
    let group = Group(child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw));
    let ended = match timeout_at(deadline, finish(&mut child)).await {
        Ok(Ok(ended)) => {
            group.forget();
            ended
        }
        Ok(Err(reason)) => {
            group.end(&mut child).await;
            return Err(reason);
        }
        Err(_) => {
            group.end(&mut child).await;
            return Err(format!("did not end within {:?} and was killed", policy.timeout));
        }
    };
    if ended.status.success() {
        return Ok(ended.output);
    }
    let said = said(&ended.errors, config);
    Err(format!("failed ({}){said}", ended.status))
}

fn spawn(config: &ExecConfig, policy: &ExecPolicy) -> io::Result<Child> {
    let variables = policy.environment.iter().chain(&config.environment);
    Command::new(&config.command)
        .args(&config.arguments)
        .env_clear()
        .envs(variables.map(|(name, value)| (name, value)))
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
}

fn not_started(error: &io::Error, config: &ExecConfig) -> String {
    let hint = config.install_hint.as_deref().map(|hint| format!("; {}", shown(hint))).unwrap_or_default();
    match error.kind() {
        io::ErrorKind::NotFound => {
            format!("is not in the gateway's file system; put it into the image or mount it{hint}")
        }
        _ => format!("cannot be run: {error}{hint}"),
    }
}

/// How a program has ended.
struct Ended {
    status: ExitStatus,
    output: Vec<u8>,
    errors: Vec<u8>,
}

/// Reads both outputs to their ends, and only then asks how the program ended: until then its process, and so the number
/// of its group, is its own.
async fn finish(child: &mut Child) -> Result<Ended, String> {
    let (Some(output), Some(errors)) = (child.stdout.take(), child.stderr.take()) else {
        return Err("has no outputs".to_owned());
    };
    let (output, errors) = tokio::try_join!(read_output(output), read_errors(errors))?;
    let status = child.wait().await.map_err(|error| broke(&error))?;
    Ok(Ended { status, output, errors })
}

async fn read_output(output: impl AsyncRead + Unpin) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let limit = MAX_OUTPUT as u64 + 1;
    output.take(limit).read_to_end(&mut bytes).await.map_err(|error| broke(&error))?;
    if bytes.len() > MAX_OUTPUT {
        return Err(format!("wrote more than {MAX_OUTPUT} bytes and was killed"));
    }
    Ok(bytes)
}

async fn read_errors(errors: impl AsyncRead + Unpin) -> Result<Vec<u8>, String> {
    let mut kept = Vec::new();
    let mut rest = errors.take(MAX_ERRORS as u64);
    rest.read_to_end(&mut kept).await.map_err(|error| broke(&error))?;
    let mut rest = rest.into_inner();
    tokio::io::copy(&mut rest, &mut tokio::io::sink()).await.map_err(|error| broke(&error))?;
    Ok(kept)
}

fn broke(error: &io::Error) -> String {
    format!("cannot be read from: {error}")
}

/// What a program says about its failure, without what could be a credential.
fn said(errors: &[u8], config: &ExecConfig) -> String {
    let mut text = String::from_utf8_lossy(errors).into_owned();
    let values = config.environment.iter().map(|(_, value)| value.as_str());
    let arguments = config.arguments.iter().map(|argument| match argument.split_once('=') {
        Some((_, value)) => value,
        None if argument.starts_with(['-', '/']) => "",
        None => argument,
    });
    for secret in values.chain(arguments).filter(|secret| secret.len() >= LEAST_SECRET) {
        text = text.replace(secret, "***");
    }
    let text = shown(&text);
    if text.is_empty() { String::new() } else { format!("; it says: {text}") }
}

fn shown(text: &str) -> String {
    let words = text.split_whitespace().map(|word| {
        let longest =
            word.split(|c: char| !(c.is_alphanumeric() || "-_.+/=~".contains(c))).map(str::len).max();
        if longest.unwrap_or_default() >= LEAST_CREDENTIAL { "***" } else { word }
    });
    let text = words.collect::<Vec<_>>().join(" ");
    text.escape_debug().take(MAX_SHOWN).collect()
}

/// The processes that a program has started. Ended when dropped, unless they are gone.
struct Group(Option<Pid>);

impl Group {
    /// The program has been waited for: its number may be another's by now.
    fn forget(mut self) {
        self.0 = None;
    }

    /// Ends all of them, and waits for the program.
    async fn end(self, child: &mut Child) {
        drop(self);
        if timeout(REAP, child.wait()).await.is_err() {
            tracing::warn!("a credential program that was killed is still there");
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // It fails only if there is nobody left.
        let _ = self.0.map(|group| kill_process_group(group, Signal::KILL));
    }
}
