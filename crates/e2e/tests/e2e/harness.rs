//! The harness itself, without the gateway: what fails here is no fault of the gateway.

use std::time::Instant;

use anyhow::Result;
use e2e::ControlPlane;

use crate::world::planes;

#[test]
fn a_control_plane_starts_and_says_its_version() -> Result<()> {
    planes()?;
    let begun = Instant::now();
    let plane = ControlPlane::start("another")?;
    eprintln!("control plane ready in {:.1?}", begun.elapsed());
    let version = plane.admin().request("GET", "/version").send()?.json(200)?;
    assert_ne!(version["gitVersion"], "v0.0.0-master", "built with its version");
    Ok(())
}
