//! Clients of other people's making (`clients/` beside this folder), and what they see.

use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::access::Access;
use crate::running::{Output, Running};
use crate::{binaries, process};

/// How an informer comes to know what there is before it watches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beginning {
    /// One watch that begins with everything (`sendInitialEvents`).
    Stream,
    /// A list, then a watch, as clients before client-go 1.35.
    List,
}

/// A client that watches until it is dropped.
#[derive(Debug)]
pub struct Watcher(Running);

impl Watcher {
    /// Starts one: `command` is `informer` (client-go), `cache` or `metadata-cache` (controller-runtime).
    pub fn start(command: &str, access: &Access, beginning: Beginning, args: &[&str]) -> Result<Self> {
        let streams = if beginning == Beginning::Stream { "true" } else { "false" };
        let mut command = command_line(command, access, args)?;
        command.env("KUBE_FEATURE_WatchListClient", streams);
        Running::start(command).map(Self)
    }

    /// Everything that it has seen so far, one object each; see `clients/report.go`.
    pub fn lines(&self) -> Result<Vec<Value>> {
        parsed(&self.0.stdout())
    }

    /// Waits until what it has seen satisfies `enough`.
    pub fn wait_until(
        &self,
        what: &str,
        timeout: Duration,
        enough: impl Fn(&[Value]) -> bool,
    ) -> Result<Vec<Value>> {
        let text = self.0.wait_until(what, timeout, |text| parsed(text).is_ok_and(|lines| enough(&lines)))?;
        parsed(&text)
    }

    /// Waits until it has told an event so often; cheaper than looking at every line.
    pub fn wait_for_events(&self, event: &str, count: usize, timeout: Duration) -> Result<()> {
        let told = format!("\"event\":\"{event}\"");
        let what = format!("{event} {count} times");
        self.0.wait_until(&what, timeout, |text| text.matches(&told).count() >= count).map(drop)
    }

    /// Waits until it has everything that there is of a resource, and returns the names.
    pub fn synced(&self, resource: &str, timeout: Duration) -> Result<Vec<String>> {
        let begins = format!("{{\"event\":\"SYNCED\",\"resource\":\"{resource}\"");
        let here = |text: &str| {
            text.split_inclusive('\n').any(|line| line.starts_with(&begins) && line.ends_with('\n'))
        };
        let text = self.0.wait_until("SYNCED", timeout, here)?;
        let line = text.lines().find(|line| line.starts_with(&begins)).context("it was there")?;
        let line: Value = serde_json::from_str(line)?;
        serde_json::from_value(line["names"].clone()).or_else(|_| Ok(Vec::new()))
    }
}

/// The types of the events about one object, in their order.
pub fn events<'l>(lines: &'l [Value], resource: &str, name: &str) -> Vec<&'l str> {
    let about = |line: &&Value| line["resource"] == resource && line["name"] == name;
    lines.iter().filter(about).filter_map(|line| line["event"].as_str()).collect()
}

/// Runs a command that ends by itself: `conformance` or `register`.
pub fn run(command: &str, access: &Access, args: &[&str], timeout: Duration) -> Result<Output> {
    Running::start(command_line(command, access, args)?)?.finish(timeout)
}

fn command_line(command: &str, access: &Access, args: &[&str]) -> Result<std::process::Command> {
    let mut line = process::command(binaries::clients()?);
    line.arg(command).arg("--kubeconfig").arg(access.kubeconfig()).args(args);
    Ok(line)
}

/// The whole lines of the text, which may end in the middle of one.
fn parsed(text: &str) -> Result<Vec<Value>> {
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    whole.lines().map(|line| serde_json::from_str(line).with_context(|| format!("no JSON: {line}"))).collect()
}
