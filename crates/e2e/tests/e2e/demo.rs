//! The demo, driven as its own words say.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use e2e::process::in_group;
use e2e::running::Running;
use e2e::{binaries, process, scratch, shell};
use tempfile::TempDir;

const START_TIMEOUT: Duration = Duration::from_secs(20);
const TIMEOUT: Duration = Duration::from_secs(30);
/// The last line that the demo prints before the first request.
pub(crate) const INTRODUCED: &str = "What is asked of it:\n";

/// A demo in an empty directory, and a directory for its temporary files.
struct Demo {
    running: Running,
    home: TempDir,
    temporary: TempDir,
}

impl Demo {
    /// Starts it and waits until it has introduced itself.
    fn start() -> Result<Self> {
        let program = binaries::gateway()?;
        let (home, temporary) = (scratch::directory("demo")?, scratch::directory("demo-tmp")?);
        let mut command = process::command(program);
        command.arg("demo").current_dir(home.path()).env("TMPDIR", temporary.path());
        let begun = Instant::now();
        let running = Running::start(command)?;
        running.wait_for(INTRODUCED, START_TIMEOUT)?;
        eprintln!("the demo was ready after {:.0?}", begun.elapsed());
        Ok(Self { running, home, temporary })
    }

    /// Waits for its end, which must be a success that leaves nothing behind, and returns what it printed.
    fn ended(self) -> Result<String> {
        let group = self.running.id();
        let output = self.running.finish(TIMEOUT)?;
        ensure!(output.code == Some(0), "{output}");
        ensure!(output.stderr.is_empty(), "nothing was wrong: {output}");
        for directory in [&self.home, &self.temporary] {
            let left = files(directory.path())?;
            ensure!(left.is_empty(), "left behind: {left:?}");
        }
        let left = in_group(group)?;
        ensure!(left.is_empty(), "still running: {left:?}");
        Ok(output.stdout)
    }
}

fn files(directory: &Path) -> Result<Vec<PathBuf>> {
    Ok(fs::read_dir(directory)?.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>()?)
}

/// The commands that it prints, each on an indented line of its own.
fn commands(printed: &str) -> Vec<&str> {
    printed.lines().filter_map(|line| line.strip_prefix("  ")).collect()
}

/// What a line of the shell prints when it succeeds.
fn type_in(directory: &Path, line: &str) -> Result<String> {
    Running::start(shell::command(directory, &[], line)?)?.finish(TIMEOUT)?.success()
}

/// Whether a request was shown: its answer, its method, its cluster and its path.
fn shows(printed: &str, code: &str, method: &str, cluster: &str, path: &str) -> bool {
    printed.lines().any(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        words.starts_with(&[code, method, cluster, path])
    })
}

#[test]
fn the_commands_that_the_demo_prints_work_and_ctrl_c_leaves_nothing_behind() -> Result<()> {
    let demo = Demo::start()?;
    let introduction = demo.running.stdout();
    let [export, pods, deployments, clusters] = commands(&introduction)[..] else {
        anyhow::bail!("one export and three commands:\n{introduction}");
    };
    let kubeconfig = export.strip_prefix("export KUBECONFIG=").context("an export")?;
    ensure!(
        Path::new(kubeconfig) == demo.home.path().join("cluster-gateway-demo.kubeconfig"),
        "{kubeconfig}"
    );
    let console = introduction.lines().find_map(|line| line.strip_prefix("In a browser: "));
    let (url, token) = console.and_then(|line| line.split_once(" and the token ")).context("a console")?;
    let page = type_in(demo.home.path(), &format!("curl -sS {url}"))?;
    ensure!(page.contains("<title>Cluster Gateway</title>"), "{page}");
    let asked = format!("curl -sS -H 'Authorization: Bearer {token}' {url}api/v1/nothing");
    ensure!(type_in(demo.home.path(), &asked)?.contains("BusinessCode"), "the API answers");
    // Wherever it is typed.
    let elsewhere = scratch::directory("elsewhere")?;
    let typed = |command: &str| {
        ensure!(command.starts_with("kubectl "), "{command}");
        type_in(elsewhere.path(), &format!("{export}\n{command}"))
    };
    let text = typed(pods)?;
    ensure!(
        text.lines().filter(|line| line.starts_with("web-") && line.contains("Running")).count() == 2,
        "{text}"
    );
    let text = typed(deployments)?;
    ensure!(text.lines().any(|line| line.starts_with("billing ") && line.contains("3/3")), "{text}");
    let text = typed(clusters)?;
    ensure!(["member1", "member2"].iter().all(|name| text.contains(name)), "{text}");

    let line = "a line for each request";
    demo.running.wait_until(line, TIMEOUT, |printed| {
        let own = "/apis/cluster.core.oam.dev/v1alpha1/clustergateways";
        shows(printed, "200", "GET", "member1", "/api/v1/namespaces/default/pods")
            && shows(printed, "200", "GET", "member2", "/apis/apps/v1/namespaces/default/deployments")
            && shows(printed, "200", "GET", "-", own)
    })?;
    demo.running.interrupt()?;
    let printed = demo.ended()?;
    ensure!(!printed.contains('\u{1b}'), "colours are for terminals: {printed}");
    Ok(())
}

#[test]
fn the_demo_ends_cleanly_while_a_watch_runs_and_when_its_terminal_is_closed() -> Result<()> {
    for signal in [rustix::process::Signal::TERM, rustix::process::Signal::HUP] {
        let demo = Demo::start()?;
        let line = "kubectl --kubeconfig cluster-gateway-demo.kubeconfig get pods --watch --output name";
        let watch = Running::start(shell::command(demo.home.path(), &[], line)?)?;
        watch.wait_for("pod/web-", TIMEOUT)?;
        demo.running.signal(signal)?;
        demo.ended()?;
        watch.finish(TIMEOUT)?;
    }
    Ok(())
}

#[test]
fn a_kubeconfig_that_is_there_stays_as_it_is() -> Result<()> {
    let home = scratch::directory("demo")?;
    let file = home.path().join("cluster-gateway-demo.kubeconfig");
    fs::write(&file, "mine")?;
    let mut command = process::command(binaries::gateway()?);
    command.arg("demo").current_dir(home.path());
    let text = Running::start(command)?.finish(TIMEOUT)?.failure()?;
    ensure!(text.contains("is there already; remove it") && !text.contains("--overwrite"), "{text}");
    ensure!(fs::read_to_string(&file)? == "mine", "it was replaced");
    Ok(())
}

#[test]
fn the_cast_in_the_documentation_shows_what_the_demo_says() -> Result<()> {
    let demo = Demo::start()?;
    let introduction = demo.running.stdout();
    demo.running.interrupt()?;
    demo.ended()?;
    let cast = fs::read_to_string(scratch::workspace().join("docs/demo.md")).context("read docs/demo.md")?;
    // The path is that of whoever reads it; port and token are new each time.
    let own =
        |line: &str| line.contains("KUBECONFIG=") || line.starts_with("In a browser: http://127.0.0.1:");
    ensure!(cast.lines().filter(|line| own(line)).count() >= 2, "docs/demo.md lacks a line of its own");
    let lines = introduction.lines().filter(|line| !line.is_empty() && !own(line));
    for line in lines {
        ensure!(cast.lines().any(|shown| shown == line), "docs/demo.md does not show {line:?}");
    }
    Ok(())
}
