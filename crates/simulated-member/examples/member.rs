//! A simulated member to drive by hand.
//!
//! ```sh
//! cargo run -p simulated-member --example member -- /tmp/kubeconfig
//! KUBECONFIG=/tmp/kubeconfig kubectl get pods
//! ```

use anyhow::{Context, Result};
use simulated_member::{Member, User};

#[tokio::main]
async fn main() -> Result<()> {
    let path = std::env::args().nth(1).context("usage: member KUBECONFIG (the file to write)")?;
    let deployment = serde_json::json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
        "spec": {
            "replicas": 2, "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [{"name": "web", "image": "nginx:1.29", "ports": [{"containerPort": 80}]}]},
            },
        },
    });
    let member = Member::builder().token("demo", User::new("demo")).objects([deployment]).start().await?;
    std::fs::write(&path, member.kubeconfig("demo")).with_context(|| format!("write {path}"))?;
    let mut out = std::io::stdout();
    std::io::Write::write_all(&mut out, format!("{} serves; KUBECONFIG={path}\n", member.url()).as_bytes())?;
    tokio::signal::ctrl_c().await?;
    member.stop().await;
    Ok(())
}
