//! The one program that pods have: an echo shell.

use std::time::Duration;

use serde_json::Value;

use super::console::{Console, Line};
use super::words::{self, Joint};
use crate::clock::rfc3339;
use crate::object::{self, field, items};

/// The longest sleep, and the most lines of `seq`.
const MAX_COUNT: u64 = 10_000_000;

/// What is run.
#[derive(Debug)]
pub(super) enum Program {
    Command(Vec<String>),
    /// The program that the container runs anyway: a shell on a terminal, else one that gives back what it gets.
    Attached,
}

/// Where it runs.
#[derive(Debug)]
pub(super) struct Place {
    variables: Vec<(String, String)>,
}

impl Place {
    pub(super) fn of(pod: &Value, container: &str) -> Self {
        let of_container = items(&pod["spec"]["containers"]).iter().find(|one| one["name"] == container);
        let declared = of_container.map_or(&[][..], |found| items(&found["env"]));
        let mut variables = vec![
            ("PATH".to_owned(), "/bin".to_owned()),
            ("HOSTNAME".to_owned(), object::name(pod).to_owned()),
            ("HOME".to_owned(), "/root".to_owned()),
        ];
        variables.extend(declared.iter().map(|one| (field(one, "name"), field(one, "value"))));
        Self { variables }
    }

    fn variable(&self, name: &str) -> &str {
        let found = self.variables.iter().rev().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str()).unwrap_or_default()
    }
}

/// Runs a program to its end and gives its exit code.
pub(super) async fn run(console: Console, place: Place, program: Program) -> i32 {
    let mut shell = Shell { console, place, last: 0, exited: None };
    match program {
        Program::Command(words) => shell.command(&words, false).await,
        // It writes nothing by itself and never ends.
        Program::Attached if !shell.console.has_stdin() => std::future::pending().await,
        Program::Attached if shell.console.is_terminal() => shell.interact().await,
        Program::Attached => shell.cat().await,
    }
}

struct Shell {
    console: Console,
    place: Place,
    /// The exit code of the command before.
    last: i32,
    /// Set by `exit`.
    exited: Option<i32>,
}

impl Shell {
    /// Runs commands as they are typed, until the end of input or `exit`.
    async fn interact(&mut self) -> i32 {
        loop {
            if self.console.is_terminal() {
                self.console.out("/ # ").await;
            }
            match self.console.line().await {
                Line::Text(line) => self.last = self.script(&line).await,
                Line::Interrupted => self.last = 130,
                Line::End => return self.last,
            }
            if let Some(code) = self.exited {
                return code;
            }
        }
    }

    async fn script(&mut self, script: &str) -> i32 {
        let commands = match words::cut(script) {
            Ok(commands) => commands,
            Err(why) => {
                self.console.err(&format!("sh: syntax error: {why}\n")).await;
                return 2;
            }
        };
        let mut before = Joint::Always;
        for command in commands {
            let skipped = match before {
                Joint::Always => false,
                Joint::And => self.last != 0,
                Joint::Or => self.last == 0,
            };
            before = command.joint;
            if !skipped {
                let words: Vec<String> =
                    command.words.iter().map(|word| word.expand(|name| self.value(name))).collect();
                self.last = Box::pin(self.command(&words, command.to_stderr)).await;
            }
            if let Some(code) = self.exited {
                return code;
            }
        }
        self.last
    }

    fn value(&self, name: &str) -> String {
        if name == "?" { self.last.to_string() } else { self.place.variable(name).to_owned() }
    }

    /// Runs one command.
    async fn command(&mut self, words: &[String], to_stderr: bool) -> i32 {
        let Some((name, args)) = words.split_first() else { return 0 };
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        match (name.rsplit('/').next().unwrap_or_default(), args.as_slice()) {
            ("sh" | "ash" | "bash", ["-c", script, ..]) => Box::pin(self.subshell(script)).await,
            ("sh" | "ash" | "bash", _) => Box::pin(self.interact()).await,
            ("exit", args) => {
                let code = args.first().map_or(Some(self.last), |code| code.parse().ok()).unwrap_or(2) & 0xff;
                self.exited = Some(code);
                code
            }
            ("true" | ":", _) => 0,
            ("false", _) => 1,
            ("cat", []) => self.cat().await,
            ("sleep", [seconds]) => sleep(seconds).await,
            ("seq", [last]) => self.seq(last).await,
            ("stty", ["size"]) => {
                let (rows, columns) = self.console.size().await;
                self.print(&format!("{rows} {columns}\n"), to_stderr).await
            }
            (name, args) => match self.text(name, args) {
                Some(text) => self.print(&text, to_stderr).await,
                None => {
                    let known = "echo, cat, env, printenv, hostname, id, whoami, pwd, date, seq, sleep, stty size, true, false, exit, sh";
                    self.console
                        .err(&format!("sh: {name}: not found (a simulated pod knows {known})\n"))
                        .await;
                    127
                }
            },
        }
    }

    /// What a command prints that does nothing else.
    fn text(&self, name: &str, args: &[&str]) -> Option<String> {
        let text = match (name, args) {
            ("echo", ["-n", words @ ..]) => return Some(words.join(" ")),
            ("echo", words) => words.join(" "),
            ("env" | "printenv", []) => {
                let lines = self.place.variables.iter().map(|(name, value)| format!("{name}={value}"));
                lines.collect::<Vec<_>>().join("\n")
            }
            ("printenv", [name]) => self.place.variable(name).to_owned(),
            ("hostname", []) => self.place.variable("HOSTNAME").to_owned(),
            ("whoami", []) => "root".to_owned(),
            ("id", []) => "uid=0(root) gid=0(root)".to_owned(),
            ("pwd", []) => "/".to_owned(),
            ("date", _) => rfc3339(time::OffsetDateTime::now_utc()),
            _ => return None,
        };
        Some(text + "\n")
    }

    async fn print(&mut self, text: &str, to_stderr: bool) -> i32 {
        if to_stderr {
            self.console.err(text).await
        } else {
            self.console.out(text).await
        }
        0
    }

    /// `exit` in it ends only it.
    async fn subshell(&mut self, script: &str) -> i32 {
        let code = self.script(script).await;
        self.exited = None;
        code
    }

    /// Gives back what comes in.
    async fn cat(&mut self) -> i32 {
        if !self.console.is_terminal() {
            while let Some(bytes) = self.console.read().await {
                self.console.raw(bytes).await;
            }
            return 0;
        }
        loop {
            match self.console.line().await {
                Line::Text(line) => self.console.out(&format!("{line}\n")).await,
                Line::Interrupted => return 130,
                Line::End => return 0,
            }
        }
    }

    async fn seq(&mut self, last: &str) -> i32 {
        let last: u64 = last.parse().unwrap_or_default();
        let mut text = String::new();
        for number in 1..=last.min(MAX_COUNT) {
            text.push_str(&format!("{number}\n"));
            if text.len() > 16 << 10 {
                self.console.out(&text).await;
                text.clear();
            }
        }
        self.print(&text, false).await
    }
}

async fn sleep(seconds: &str) -> i32 {
    match seconds.parse::<f64>().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()) {
        Some(time) => {
            tokio::time::sleep(time.min(Duration::from_secs(MAX_COUNT))).await;
            0
        }
        None => 1,
    }
}
