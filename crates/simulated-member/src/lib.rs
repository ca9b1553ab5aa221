//! A Kubernetes API server in memory, good enough for the stock kubectl.
//!
//! ```no_run
//! # async fn run() -> anyhow::Result<()> {
//! use simulated_member::{Fault, Member, User};
//!
//! let member = Member::builder().name("member1").token("secret", User::new("ann").group("dev")).start().await?;
//! std::fs::write("kubeconfig", member.kubeconfig("secret"))?;
//! member.faults().set_for("/api/v1/pods", Fault::StallBeforeHeaders);
//! # Ok(())
//! # }
//! ```
//!
//! # What it has
//! Namespaces, nodes, pods, services, config maps, secrets, service accounts, events, deployments and replica sets, with
//! all verbs, selectors, pages, watches, the three kinds of patches and server-side apply, tables, discovery, OpenAPI,
//! `scale` and `status`. Deployments have their pods at once, and pods run at once. `kubectl exec`, `attach` and `logs`
//! reach an echo shell and made-up lines.
//!
//!
//! A request with an `X-Simulated-Nonce` gets it back, with `X-Simulated-Member` and `X-Simulated-User`: which member
//! answered, and as whom it saw the caller.
//!
//! # What it has not
//! - Nobody is refused anything: authentication is real, authorization is not, and everybody may impersonate everybody.
//! - Server-side apply merges; nobody owns fields, so nothing conflicts and nothing that is left out is removed.
//! - Deletion is at once: grace periods and propagation policies are taken and ignored.
//! - `exec`, `attach` and `port-forward` speak WebSocket only; SPDY is refused with a text that says so.

mod member;
mod seed;
mod serve;
mod handle;
mod recorder;
mod faults;
mod authn;
mod tls;
mod pki;

mod api;
mod discovery;
mod openapi;
mod reviews;
mod pods;
mod objects;
mod list;
mod watch;
mod table;
mod scale;
mod cluster;

mod write;
mod validate;
mod defaults;
mod store;

mod lifetime;
mod route;
mod respond;
mod negotiate;
mod protobuf;
mod schema;
mod selector;
mod patch;
mod query;
mod user;
mod status;
mod resources;
mod object;
mod clock;

pub use faults::{Fault, Faults};
pub use member::{Builder, Member};
pub use pki::Identity;
pub use recorder::Recorded;
pub use tls::Certificate;
pub use user::User;
