//! A real control plane on loopback: etcd, kube-apiserver and, where a test asks for it,
//! kube-controller-manager, each the released program and none of them imitated.
//!
//! - `assets`: where the programs come from;
//! - `supervised`: a child process that cannot outlive this one, and the folder they share;
//! - `credentials`: the authority, the server's certificate, the keys that sign tokens;
//! - `kubeconfig`: the files that name a user and the server;
//! - `launch`: the command lines, free ports, waiting until ready;
//! - `control_plane`: what a test holds in its hand;
//! - `proxy`: a way to the server on which requests are held, refused, delayed or cut;
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
//! `static CELL: tokio::sync::OnceCell<ControlPlane>`. A static is never dropped, and need
//! not be: the children and their folder go when the process does.

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
