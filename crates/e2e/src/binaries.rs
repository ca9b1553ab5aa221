//! The programs that the harness runs, found or built once.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::process::Group;
use crate::settings::variable;
use crate::{process, scratch};

/// Long enough for everything from nothing on a slow machine.
const BUILD_TIMEOUT: Duration = Duration::from_secs(45 * 60);

/// A Go module of this crate.
struct Module {
    /// Its folder here, and that of its binaries in `target/`.
    folder: &'static str,
    /// What it can build, by name. Another one is a line here and a `tool` line in its go.mod.
    packages: &'static [(&'static str, &'static str)],
    /// What decides, besides the Go files of the folder itself, whether a binary that was built before is still the
    /// right one.
    sources: &'static [&'static str],
    /// What the linker is told, for this go.mod.
    ldflags: fn(&str) -> Result<String>,
}

const CONTROL_PLANE: Module = Module {
    folder: "controlplane",
    packages: &[
        ("etcd", "go.etcd.io/etcd/server/v3"),
        ("kube-apiserver", "k8s.io/kubernetes/cmd/kube-apiserver"),
        ("kubectl", "k8s.io/kubernetes/cmd/kubectl"),
        ("kubelet", "./kubelet"),
    ],
    sources: &["go.mod", "go.sum", "kubelet/main.go"],
    ldflags,
};

/// Apart from the control plane's: its dependencies are older.
const KONNECTIVITY: Module = Module {
    folder: "konnectivity",
    packages: &[
        ("proxy-server", "sigs.k8s.io/apiserver-network-proxy/cmd/server"),
        ("proxy-agent", "sigs.k8s.io/apiserver-network-proxy/cmd/agent"),
    ],
    sources: &["go.mod", "go.sum"],
    ldflags: |_| Ok("-s -w".to_owned()),
};

/// Apart from the control plane's: whoever changes it does not wait for kube-apiserver.
const CLIENTS: Module = Module {
    folder: "clients",
    packages: &[("clients", ".")],
    sources: &["go.mod", "go.sum"],
    ldflags: |_| Ok("-s -w".to_owned()),
};

/// Where the programs are.
#[derive(Clone, Debug)]
pub struct Binaries {
    /// etcd.
    pub etcd: PathBuf,
    /// kube-apiserver.
    pub kube_apiserver: PathBuf,
    /// kubectl.
    pub kubectl: PathBuf,
    /// The kubelet stand-in.
    pub kubelet: PathBuf,
}

impl Binaries {
    /// The programs, found or built by the first call.
    ///
    /// `KUBEBUILDER_ASSETS` names a folder that has etcd and kube-apiserver. Without it they are built by the module
    /// in `controlplane/`, into a folder of `target/` that is kept. kubectl comes from the first of that folder and
    /// `PATH` that has it, and is built when neither has.
    pub fn shared() -> Result<&'static Self> {
        static SHARED: LazyLock<Result<Binaries>> = LazyLock::new(Binaries::find);
        SHARED.as_ref().map_err(|error| anyhow!("{error:#}"))
    }

    fn find() -> Result<Self> {
        let build = Build::prepare(&CONTROL_PLANE)?;
        let assets = variable("KUBEBUILDER_ASSETS").map(PathBuf::from);
        let asset = |name: &str| assets.as_ref().map(|folder| folder.join(name));
        let server = |name: &str| match asset(name) {
            Some(file) if file.exists() => Ok(file),
            Some(file) => bail!("KUBEBUILDER_ASSETS is set, but there is no {}", file.display()),
            None => build.binary(name),
        };
        let kubectl = asset("kubectl").filter(|file| file.exists()).or_else(|| on_path("kubectl"));
        Ok(Self {
            etcd: server("etcd")?,
            kube_apiserver: server("kube-apiserver")?,
            kubectl: kubectl.map_or_else(|| build.binary("kubectl"), Ok)?,
            kubelet: build.binary("kubelet")?,
        })
    }
}

/// Konnectivity's proxy server and its agent, built by the module in `konnectivity/`, in the first call, into a folder of
/// `target/` that is kept.
pub fn konnectivity() -> Result<&'static (PathBuf, PathBuf)> {
    static SHARED: LazyLock<Result<(PathBuf, PathBuf)>> = LazyLock::new(|| {
        let build = Build::prepare(&KONNECTIVITY)?;
        Ok((build.binary("proxy-server")?, build.binary("proxy-agent")?))
    });
    SHARED.as_ref().map_err(|error| anyhow!("{error:#}"))
}

fn on_path(name: &str) -> Option<PathBuf> {
    let path = variable("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file())
}

/// Clients made with client-go and controller-runtime, built by the first call; see `clients/main.go`.
pub fn clients() -> Result<&'static Path> {
    static SHARED: LazyLock<Result<PathBuf>> =
        LazyLock::new(|| Build::prepare(&CLIENTS).and_then(|build| build.binary("clients")));
    SHARED.as_ref().map(PathBuf::as_path).map_err(|error| anyhow!("{error:#}"))
}

/// A Go module, and where its binaries go.
struct Build {
    module: &'static Module,
    directory: PathBuf,
    output: PathBuf,
    ldflags: String,
}

impl Build {
    fn prepare(module: &'static Module) -> Result<Self> {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join(module.folder);
        let mut hash = Sha256::new();
        let named = module.sources.iter().map(|source| directory.join(source));
        for source in named.chain(go_files(&directory)?) {
            hash.update(fs::read(&source).with_context(|| format!("read {}", source.display()))?);
        }
        let hash: String = hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        let output = scratch::target().join(module.folder).join(hash);
        fs::create_dir_all(&output).with_context(|| format!("create {}", output.display()))?;
        let ldflags = (module.ldflags)(&fs::read_to_string(directory.join("go.mod"))?)?;
        Ok(Self { module, directory, output, ldflags })
    }

    fn binary(&self, name: &str) -> Result<PathBuf> {
        let binary = self.output.join(name);
        let _lock = lock(&self.output.join("lock"))?;
        if !binary.exists() {
            self.build(name, &binary)?;
        }
        Ok(binary)
    }

    fn build(&self, name: &str, binary: &Path) -> Result<()> {
        let package =
            self.module.packages.iter().find(|(known, _)| *known == name).context("an unknown binary")?.1;
        let partial = binary.with_extension("partial");
        eprintln!(
            "e2e: building {name} into {}, once (all of {}: some minutes from nothing)",
            self.output.display(),
            self.module.folder
        );
        let begun = Instant::now();
        let mut command = process::command("go");
        command.args(["build", "-ldflags", &self.ldflags, "-o"]).arg(&partial).arg(package);
        command.current_dir(&self.directory).env("CGO_ENABLED", "0").env("GOWORK", "off");
        run(command)
            .with_context(|| format!("build {name}: is Go installed? (or set KUBEBUILDER_ASSETS)"))?;
        fs::rename(&partial, binary).with_context(|| format!("move {}", binary.display()))?;
        eprintln!("e2e: built {name} in {:.0?}", begun.elapsed());
        Ok(())
    }
}

fn go_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).with_context(|| format!("list {}", folder.display()))?;
    let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "go"));
    files.sort();
    Ok(files)
}

/// Without these, Kubernetes' own programs say that they are v0.0.0.
fn ldflags(go_mod: &str) -> Result<String> {
    let version = go_mod.lines().find_map(|line| line.trim().strip_prefix("k8s.io/kubernetes v"));
    let version =
        version.and_then(|rest| rest.split_whitespace().next()).context("no k8s.io/kubernetes in go.mod")?;
    let mut parts = version.split('.');
    let (major, minor) = parts.next().zip(parts.next()).context("a version of three parts")?;
    let package = "k8s.io/component-base/version";
    Ok(format!(
        "-s -w -X {package}.gitVersion=v{version} -X {package}.gitMajor={major} -X {package}.gitMinor={minor}"
    ))
}

/// The gateway's binary: `CLUSTER_GATEWAY_BIN`, or what cargo builds from this workspace.
pub fn gateway() -> Result<&'static Path> {
    static SHARED: LazyLock<Result<PathBuf>> = LazyLock::new(|| match variable("CLUSTER_GATEWAY_BIN") {
        Some(binary) => Ok(PathBuf::from(binary)),
        None => build_gateway(),
    });
    SHARED.as_ref().map(PathBuf::as_path).map_err(|error| anyhow!("{error:#}"))
}

fn build_gateway() -> Result<PathBuf> {
    eprintln!("e2e: building cluster-gateway");
    let cargo = variable("CARGO").map_or_else(|| PathBuf::from("cargo"), PathBuf::from);
    let directory = scratch::directory("cargo")?;
    let messages = directory.path().join("messages");
    let mut command = process::command(cargo);
    command.args(["build", "--package", "cluster-gateway", "--bin", "cluster-gateway"]);
    command.args(["--message-format", "json-render-diagnostics"]).current_dir(scratch::workspace());
    command.stdout(File::create(&messages).context("create a file for cargo's messages")?);
    run(command).context("build cluster-gateway")?;
    let messages = fs::read_to_string(messages).context("read cargo's messages")?;
    let executable =
        messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()).find_map(|message| {
            let ours = message["target"]["name"] == "cluster-gateway";
            message["executable"].as_str().filter(|_| ours).map(PathBuf::from)
        });
    executable.context("cargo built no cluster-gateway")
}

fn run(mut command: Command) -> Result<()> {
    command.stdin(Stdio::null());
    let status = Group::spawn(command)?.wait(BUILD_TIMEOUT)?;
    ensure!(status.success(), "{status}");
    Ok(())
}

/// Several test processes may start at once: the lock is held until the file is dropped.
fn lock(path: &Path) -> Result<File> {
    let file = File::create(path).with_context(|| format!("create {}", path.display()))?;
    file.lock().with_context(|| format!("lock {}", path.display()))?;
    Ok(file)
}
