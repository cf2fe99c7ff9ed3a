//! A real control plane on loopback: etcd, kube-apiserver and, if a test asks for it,
//! kube-controller-manager. Each is the released program; none is imitated.
//!
//! - `assets`: the source of the programs;
//! - `supervised`: a child process that ends with this one, and the folder they share;
//! - `credentials`: the authority, the server's certificate, the keys that sign tokens;
//! - `kubeconfig`: the files that name a user and the server;
//! - `launch`: the command lines, free ports, waiting until ready;
//! - `control_plane`: the control plane as a test uses it;
//! - `proxy`: a proxy in front of the server that holds, refuses, delays or cuts requests;
//! - `apply`: server-side apply of YAML; `audit`: every request the server answered.
//!
//! ```no_run
//! # async fn example() -> anyhow::Result<()> {
//! use testbed::{ControlPlane, Options};
//!
//! let control_plane = ControlPlane::start(Options { audit: true, ..Options::default() }).await?;
//! let client = control_plane.client();
//! control_plane.apply_yaml("apiVersion: v1\nkind: Namespace\nmetadata: {name: people}").await?;
//! # Ok(())
//! # }
//! ```
//!
//! One control plane can serve all tests of a file: keep it in a
//! `static CELL: tokio::sync::OnceCell<ControlPlane>`. A static is never dropped. The
//! children and their folder still go with the process.

mod apply;
mod assets;
mod audit;
mod control_plane;
mod credentials;
mod kubeconfig;
mod launch;
pub mod proxy;
mod supervised;

pub use crate::{
    audit::AuditEvent,
    control_plane::{ControlPlane, Options},
    proxy::Proxy,
};
