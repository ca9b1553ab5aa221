//! What the scenarios share, started once for each test process.

use std::sync::LazyLock;
use std::thread;

use anyhow::{Result, anyhow};
use e2e::{ControlPlane, Pods};

/// The control planes alone, as they are without the gateway.
pub(crate) struct Planes {
    pub(crate) hub: ControlPlane,
    pub(crate) member1: ControlPlane,
    pub(crate) member2: ControlPlane,
    _pods: Pods,
}

impl Planes {
    fn start() -> Result<Self> {
        thread::scope(|scope| {
            let [hub, member1, member2] =
                ["hub", "member1", "member2"].map(|name| scope.spawn(move || ControlPlane::start(name)));
            let member1 = join(member1)?;
            let pods = Pods::start(&member1)?;
            Ok(Self { hub: join(hub)?, member1, member2: join(member2)?, _pods: pods })
        })
    }
}

/// The control planes, started by the first call.
pub(crate) fn planes() -> Result<&'static Planes> {
    static PLANES: LazyLock<Result<Planes>> = LazyLock::new(Planes::start);
    PLANES.as_ref().map_err(|error| anyhow!("{error:#}"))
}

fn join<T>(thread: thread::ScopedJoinHandle<'_, Result<T>>) -> Result<T> {
    thread.join().map_err(|_| anyhow!("a thread that starts a control plane panicked"))?
}
