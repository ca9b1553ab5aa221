//! What kubectl does with pods: the same checks straight at the member, and through hub and gateway.

use std::fmt::Write as _;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::Access;
use e2e::kubectl::Kubectl;
use e2e::pods::{CONTAINER, GREETING, POD};

const TIMEOUT: Duration = Duration::from_secs(30);

/// How kubectl upgrades a connection; it has both, and each is a protocol of its own on every hop.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Upgrade {
    WebSocket,
    Spdy,
}

impl Upgrade {
    fn apply(self, kubectl: Kubectl) -> Kubectl {
        let value = match self {
            Self::WebSocket => "true",
            Self::Spdy => "false",
        };
        kubectl.env("KUBECTL_REMOTE_COMMAND_WEBSOCKETS", value).env("KUBECTL_PORT_FORWARD_WEBSOCKETS", value)
    }
}

fn exec(access: &Access, upgrade: Upgrade, options: &[&str], command: &[&str]) -> Kubectl {
    let args = ["exec", POD, "--container", CONTAINER].iter().chain(options).chain(&["--"]).chain(command);
    upgrade.apply(access.kubectl(args))
}

/// The exit code arrives, and standard output and error arrive apart.
pub(crate) fn exec_reports(access: &Access, upgrade: Upgrade) -> Result<()> {
    let command = ["sh", "-c", "echo out; echo err >&2; exit 3"];
    let output = exec(access, upgrade, &[], &command).run()?;
    ensure!(output.code == Some(3), "{output}");
    ensure!(output.stdout == "out\n", "{output}");
    ensure!(output.stderr.starts_with("err\n"), "{output}");
    Ok(())
}

/// Standard input arrives whole, and so does its end; as much comes back.
pub(crate) fn exec_pipes(access: &Access, upgrade: Upgrade) -> Result<()> {
    let mut text = String::new();
    for line in 0..40_000 {
        writeln!(text, "line {line}")?;
    }
    // Not more than fits a pipe at once: the harness writes everything before it reads.
    let input = &text[..60_000];
    let output = exec(access, upgrade, &["--stdin"], &["cat"]).stdin(input).run()?.success()?;
    ensure!(output == input, "{} of {} bytes came back", output.len(), input.len());

    let counted = exec(access, upgrade, &[], &["sh", "-c", "yes | head -c 3000000"]).run()?.success()?;
    ensure!(counted.len() == 3_000_000, "{} bytes of 3000000 came", counted.len());
    Ok(())
}

/// The remote terminal takes the size of the local one.
pub(crate) fn exec_has_a_terminal(access: &Access, upgrade: Upgrade) -> Result<()> {
    // The size follows in a message of its own, after the command has started.
    let command = r#"until [ "$(stty size)" = "33 99" ]; do sleep 0.1; done; echo sized"#;
    let options = ["--stdin", "--tty"];
    let running = exec(access, upgrade, &options, &["sh", "-c", command]).terminal(33, 99).spawn()?;
    running.wait_for("sized", TIMEOUT)?;
    Ok(())
}

/// What is typed comes back from the process that was running already.
pub(crate) fn attach_echoes(access: &Access, upgrade: Upgrade) -> Result<()> {
    let args = ["attach", POD, "--container", CONTAINER, "--stdin"];
    let mut running = upgrade.apply(access.kubectl(args)).spawn()?;
    running.write("to the pod\n")?;
    running.wait_for("to the pod\n", TIMEOUT)?;
    running.finish(TIMEOUT)?.success().map(drop)
}

/// Lines arrive while the command that writes them runs.
pub(crate) fn logs_follow(access: &Access) -> Result<()> {
    let all = access.kubectl(["logs", POD]).run()?.success()?;
    ensure!(all.lines().count() == 10, "{all}");
    let running = access.kubectl(["logs", POD, "--follow"]).spawn()?;
    running.wait_for("line 10\n", TIMEOUT)?;
    Ok(())
}

/// A local port leads to the pod, for several connections at once.
pub(crate) fn port_forward_carries(access: &Access, upgrade: Upgrade) -> Result<()> {
    let forward = upgrade.apply(access.kubectl(["port-forward", &format!("pod/{POD}"), ":80"])).spawn()?;
    let announced = forward.wait_for(" -> 80\n", TIMEOUT)?;
    let address = announced.lines().find_map(|line| {
        line.strip_prefix("Forwarding from ")?.strip_suffix(" -> 80").filter(|address| address.starts_with("127."))
    });
    let url = format!("http://{}", address.context("kubectl named no local address")?);
    let local = access.at(&url)?.with(e2e::Credential::Anonymous)?;
    let body = "x".repeat(100_000);
    std::thread::scope(|scope| {
        let calls = [(); 4].map(|()| {
            scope.spawn(|| {
                let greeting = local.request("GET", "/").send()?.expect(200)?;
                ensure!(greeting == GREETING, "{greeting:?}");
                let echo = local.request("POST", "/").body("text/plain", &body).send()?.expect(200)?;
                ensure!(echo == body, "{} of {} bytes came back", echo.len(), body.len());
                Ok(())
            })
        });
        calls.into_iter().try_for_each(|call| call.join().unwrap_or_else(|_| anyhow::bail!("a call panicked")))
    })
}

/// A file goes in and comes back.
pub(crate) fn cp_copies(access: &Access) -> Result<()> {
    let directory = e2e::scratch::directory("cp")?;
    let path = |name: &str| directory.path().join(name).to_string_lossy().into_owned();
    let content = "copied\n".repeat(50_000);
    std::fs::write(path("here"), &content)?;
    // The "pod" shares this machine's file system.
    let there = format!("{POD}:{}", path("there"));
    access.kubectl(["cp", &path("here"), &there, "--container", CONTAINER]).run()?.success()?;
    access.kubectl(["cp", &there, &path("back"), "--container", CONTAINER]).run()?.success()?;
    ensure!(std::fs::read_to_string(path("back"))? == content, "the copy differs");
    Ok(())
}
