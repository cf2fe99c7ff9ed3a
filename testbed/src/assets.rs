//! The source of the programs: a folder that the environment names, or
//! `hack/control-plane/provide`, which finds, downloads or builds them.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, bail, ensure};
use tokio::process::Command;

/// Names a folder with the programs; no other place is tried then.
const FOLDER_VARIABLE: &str = "BOBSYNC_CONTROL_PLANE";

/// A folder that has every program in it.
#[derive(Debug, Clone)]
pub(crate) struct Assets {
    folder: PathBuf,
}

impl Assets {
    pub(crate) async fn find() -> Result<Self> {
        let folder = match std::env::var_os(FOLDER_VARIABLE) {
            Some(folder) if !folder.is_empty() => PathBuf::from(folder),
            _ => provided().await?,
        };
        for name in ["etcd", "kube-apiserver", "kube-controller-manager", "kubectl", "helm"] {
            ensure!(folder.join(name).is_file(), "{} has no {name}", folder.display());
        }
        Ok(Self { folder })
    }

    pub(crate) fn program(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

/// Returns the repository in which this crate was compiled.
pub(crate) fn repository() -> &'static Path {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here)
}

/// Runs the script. It has its own time-outs; its progress goes directly to standard error.
async fn provided() -> Result<PathBuf> {
    let script = repository().join("hack/control-plane/provide");
    let output = Command::new(&script)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .kill_on_drop(true)
        .output()
        .await
        .with_context(|| format!("running {}", script.display()))?;
    if !output.status.success() {
        bail!("{} failed: {}", script.display(), output.status);
    }
    let printed = String::from_utf8(output.stdout)?;
    let folder = printed.lines().last().context("provide printed nothing")?;
    Ok(PathBuf::from(folder))
}
