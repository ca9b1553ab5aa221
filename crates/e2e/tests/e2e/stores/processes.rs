//! Several processes, and such as are killed in the middle of everything.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use cluster_gateway::manage::store::{Expect, Record, Store, StoreError, StoreType};
use e2e::settings::variable;
use serde_json::{Value, json};

use super::conformance::count;
use super::{Place, for_each_store, is, missing, open, place};

const ORDER: &str = "E2E_STORE";
/// So often each process counts.
const COUNTS: usize = 25;
/// So many names each process tries to take.
const NAMES: usize = 40;
/// So often a process is killed while it writes.
const KILLS: u64 = 6;

for_each_store!(
    a_process_killed_between_any_two_steps_leaves_what_was_done,
    a_process_killed_while_it_writes_leaves_the_old_or_the_new,
    two_processes_at_once_lose_nothing,
);

/// Another process: this program, told by its environment that it is only a part of a test.
struct Part {
    child: Child,
    said: BufReader<ChildStdout>,
}

impl Part {
    fn start(place: &Place, what: &str) -> Result<Self> {
        let mut order = place.order();
        order["do"] = json!(what);
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--"]).arg(std::env::current_exe()?);
        command.args(["stores::processes::part", "--exact", "--nocapture", "--test-threads=1"]);
        command.env(ORDER, order.to_string()).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().context("start this program again")?;
        let said = BufReader::new(child.stdout.take().context("its output")?);
        let mut part = Self { child, said };
        part.expect("ready")?;
        Ok(part)
    }

    fn tell(&mut self, line: &str) -> Result<()> {
        let input = self.child.stdin.as_mut().context("its input")?;
        writeln!(input, "{line}").context("tell it")
    }

    /// Waits until it says so; what the test program says besides is passed over.
    fn expect(&mut self, words: &str) -> Result<()> {
        let mut line = String::new();
        while self.said.read_line(&mut line)? > 0 {
            if line.trim() == format!("@{words}") {
                return Ok(());
            }
            ensure!(!line.starts_with('@'), "it says {line} instead of {words}");
            line.clear();
        }
        bail!("it has ended without saying {words}")
    }

    /// By SIGKILL.
    fn kill(mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait().map(drop).context("wait for it")
    }
}

/// No test of its own: what another process does, when a test here has started it.
#[test]
fn part() -> Result<()> {
    let Some(order) = variable(ORDER) else { return Ok(()) };
    let order: Value = serde_json::from_str(&order.to_string_lossy())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let kinds = [StoreType::KubeApi, StoreType::MongoDb, StoreType::Postgres, StoreType::Sqlite];
        let kind = kinds.into_iter().find(|kind| order["kind"] == kind.as_str()).context("a kind")?;
        let text = |key: &str| order[key].as_str();
        let config = place::config(kind, text("database").context("a database")?, text("url"))?;
        let store = Store::open(&config, place::hub(text("kubeconfig").map(PathBuf::from)).await?).await?;
        say("ready");
        match text("do").context("what to do")? {
            "steps" => steps(&store).await,
            "storm" => storm(&store).await,
            "count" => count_and_add(&store).await,
            other => bail!("{other}?"),
        }
    })
}

fn say(words: &str) {
    // Past the capture of the test program.
    let mut out = std::io::stdout();
    let _ = writeln!(out, "\n@{words}");
    let _ = out.flush();
}

/// What `create`, `modify` and `delete` of the REST API do with a record, step by step.
const STEPS: [&str; 5] = ["add", "put", "delete", "add again", "put again"];

async fn step(store: &Store, number: usize) -> Result<()> {
    match STEPS[number] {
        "add" => drop(store.add(version("prod", 1)).await?),
        "put" => drop(store.put(version("prod", 2), Expect::Any).await?),
        "delete" => store.delete("prod").await?,
        "add again" => drop(store.add(version("prod", 3)).await?),
        _ => drop(store.put(version("prod", 4), Expect::Any).await?),
    }
    Ok(())
}

async fn steps(store: &Store) -> Result<()> {
    let lines = std::io::stdin().lines();
    for (number, line) in lines.take(STEPS.len()).enumerate() {
        line?;
        step(store, number).await?;
        say("done");
    }
    Ok(())
}

/// A record all of whose fields say the same number.
fn version(name: &str, number: u64) -> Record {
    let text = number.to_string();
    Record {
        alias: text.clone(),
        description: text.repeat(1000),
        reason: text.clone(),
        labels: [("version".to_owned(), text.clone())].into(),
        dashboard_url: text,
        ..Record::new(name)
    }
}

fn is_whole(record: &Record) -> Result<u64> {
    let number: u64 = record.alias.parse().context("a number")?;
    let whole = Record {
        create_time: record.create_time,
        update_time: record.update_time,
        ..version("prod", number)
    };
    ensure!(*record == whole, "half of one version and half of another: {record:?}");
    Ok(number)
}

/// The version that is there after so many steps.
const AFTER: [Option<u64>; 6] = [None, Some(1), Some(2), None, Some(3), Some(4)];

async fn a_process_killed_between_any_two_steps_leaves_what_was_done(place: Place) -> Result<()> {
    place.prepare().await?;
    for (done, after) in AFTER.into_iter().enumerate() {
        let mut part = Part::start(&place, "steps")?;
        for _ in 0..done {
            part.tell("go")?;
            part.expect("done")?;
        }
        part.kill()?;
        // Another process goes on.
        let store = open(&place).await?;
        match after {
            None => drop(is(store.get("prod").await, missing)?),
            Some(number) => ensure!(is_whole(&store.get("prod").await?)? == number),
        }
        for (next, what) in STEPS.iter().enumerate().skip(done) {
            step(&store, next).await.with_context(|| format!("{what} after {done} steps"))?;
        }
        ensure!(is_whole(&store.get("prod").await?)? == 4);
        store.delete("prod").await?;
    }
    Ok(())
}

async fn storm(store: &Store) -> Result<()> {
    say("storm");
    for number in 1.. {
        if number % 7 == 0 {
            store.delete("prod").await?;
        }
        match store.add(version("prod", number)).await {
            Ok(_) => {}
            Err(StoreError::Exists(_)) => drop(store.put(version("prod", number), Expect::Any).await?),
            Err(other) => return Err(other.into()),
        }
    }
    Ok(())
}

async fn a_process_killed_while_it_writes_leaves_the_old_or_the_new(place: Place) -> Result<()> {
    place.prepare().await?;
    for round in 0..KILLS {
        let mut part = Part::start(&place, "storm")?;
        part.expect("storm")?;
        // It is writing by now, or soon; when exactly it is hit is left to chance.
        let store = open(&place).await?;
        while part.child.try_wait()?.is_none() && store.get("prod").await.is_err() {}
        std::thread::sleep(Duration::from_millis(7 * round + 1));
        ensure!(part.child.try_wait()?.is_none(), "it has ended by itself");
        part.kill()?;
        for record in store.list().await?.records {
            is_whole(&record)?;
        }
        // Nothing is locked, and nothing is in the way.
        match store.put(version("prod", 1), Expect::Any).await {
            Ok(_) => {}
            Err(StoreError::Missing(_)) => drop(store.add(version("prod", 1)).await?),
            Err(other) => return Err(other.into()),
        }
        ensure!(store.list().await?.records.len() == 1);
        store.delete("prod").await?;
    }
    Ok(())
}

async fn count_and_add(store: &Store) -> Result<()> {
    let _ = std::io::stdin().lines().next();
    for _ in 0..COUNTS {
        count(store, "counter").await?;
    }
    let mut won = 0;
    for number in 0..NAMES {
        match store.add(Record::new(&format!("name-{number}"))).await {
            Ok(_) => won += 1,
            Err(StoreError::Exists(_)) => {}
            Err(other) => return Err(other.into()),
        }
    }
    for _ in 0..won {
        count(store, "won").await?;
    }
    say("done");
    Ok(())
}

async fn two_processes_at_once_lose_nothing(place: Place) -> Result<()> {
    place.prepare().await?;
    let store = open(&place).await?;
    store.add(Record::new("counter")).await?;
    store.add(Record::new("won")).await?;
    let mut parts = [Part::start(&place, "count")?, Part::start(&place, "count")?];
    for part in &mut parts {
        part.tell("go")?;
    }
    for part in &mut parts {
        part.expect("done")?;
    }
    for part in parts {
        part.kill()?;
    }
    ensure!(store.get("counter").await?.description == (2 * COUNTS).to_string(), "a count is lost");
    ensure!(
        store.get("won").await?.description == NAMES.to_string(),
        "a name has been taken twice, or never"
    );
    ensure!(store.list().await?.records.len() == NAMES + 2);
    Ok(())
}
