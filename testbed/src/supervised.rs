//! Children that end with this process, however it ends, and the folder they share.
//!
//! Each child has a small shell above it that holds the read end of a pipe. This process holds the
//! write end: it closes when the value is dropped, and also when the process is killed. Then the
//! shell kills the child. This needs no signal handler and no unsafe code, and works on every Unix.

use std::fs::{File, Permissions};
use std::os::unix::{fs::PermissionsExt, process::CommandExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};

/// Ends with the child's exit code when the child ends by itself.
const WATCH: &str = r#"
exec 3<&0
"$@" 3<&- </dev/null &
child=$!
( read -r _ <&3; kill -KILL "$child" ) >/dev/null 2>&1 &
watch=$!
exec 3<&-
wait "$child"
code=$?
kill "$watch" 2>/dev/null
exit "$code"
"#;

/// Removes a folder once the pipe closes. The children end at the same moment, so a file may still
/// appear during the first attempt.
const REMOVE: &str = r#"
read -r _
for _ in 1 2 3 4 5 6 7 8 9 10; do
  rm -rf "$1" 2>/dev/null && exit 0
  sleep 0.1
done
"#;

/// A running program whose output goes to a file.
#[derive(Debug)]
pub(crate) struct Supervised {
    name: &'static str,
    log: PathBuf,
    shell: Child,
}

impl Supervised {
    /// Starts `program`; its standard output and error are in `<folder>/<name>.log`.
    pub(crate) fn start(
        name: &'static str,
        program: &Path,
        arguments: &[String],
        folder: &Path,
    ) -> Result<Self> {
        let log = folder.join(format!("{name}.log"));
        let output = File::create(&log).with_context(|| format!("creating {}", log.display()))?;
        let shell = Command::new("sh")
            .args(["-c", WATCH, name])
            .arg(program)
            .args(arguments)
            .current_dir(folder)
            .stdin(Stdio::piped())
            .stdout(output.try_clone()?)
            .stderr(output)
            // A process group of its own: Ctrl-C in a terminal reaches this process first, and it
            // ends the children.
            .process_group(0)
            .spawn()
            .with_context(|| format!("starting {name}"))?;
        Ok(Self { name, log, shell })
    }

    /// Returns an explanation if the program has ended, with the end of its log.
    pub(crate) fn ended(&mut self) -> Option<String> {
        let status = self.shell.try_wait().ok().flatten()?;
        Some(format!("{} ended ({status})\n{}", self.name, self.log_end()))
    }

    /// Returns the last lines of the log, for error messages.
    pub(crate) fn log_end(&self) -> String {
        const LINES: usize = 25;
        let text = std::fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        let end = &lines[lines.len().saturating_sub(LINES)..];
        format!("--- end of {}\n{}", self.log.display(), end.join("\n"))
    }
}

impl Drop for Supervised {
    fn drop(&mut self) {
        drop(self.shell.stdin.take());
        // The wait has a bound: the shell only has to kill and to collect the child.
        let _ = self.shell.wait();
    }
}

/// A folder that is removed with this value or the process, unless the user named it.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    remover: Option<Child>,
}

impl Folder {
    /// Makes a new folder that only this user can read, below the system's temporary folder.
    pub(crate) fn temporary() -> Result<Self> {
        let path = tempfile::Builder::new().prefix("bobsync-testbed-").tempdir()?.keep();
        let remover = Command::new("sh")
            .args(["-c", REMOVE, "remove"])
            .arg(&path)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .context("starting a shell")?;
        Ok(Self { path, remover: Some(remover) })
    }

    /// Uses a folder of the user, readable only by its owner; it is made if needed, and stays.
    pub(crate) fn named(path: &Path) -> Result<Self> {
        std::fs::create_dir_all(path)?;
        let path = path.canonicalize()?;
        anyhow::ensure!(
            std::fs::read_dir(&path)?.next().is_none(),
            "{} is not empty: a control plane starts from nothing",
            path.display()
        );
        std::fs::set_permissions(&path, Permissions::from_mode(0o700))?;
        Ok(Self { path, remover: None })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Some(remover) = &mut self.remover {
            drop(remover.stdin.take());
            let _ = remover.wait();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{Folder, Supervised};

    fn alive(pid: &str) -> bool {
        std::process::Command::new("kill")
            .args(["-0", pid])
            .output()
            .is_ok_and(|output| output.status.success())
    }

    fn within_five_seconds(mut check: impl FnMut() -> bool) -> bool {
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(5) {
            if check() {
                return true;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        false
    }

    fn shell(folder: &Folder, script: &str) -> Supervised {
        let arguments = ["-c".to_owned(), script.to_owned()];
        Supervised::start("child", std::path::Path::new("/bin/sh"), &arguments, folder.path())
            .expect("starts")
    }

    #[test]
    fn a_child_ends_when_it_is_dropped() {
        let folder = Folder::temporary().expect("a folder");
        let child = shell(&folder, "echo $$ > pid; exec sleep 600");
        let file = folder.path().join("pid");
        assert!(within_five_seconds(
            || std::fs::read_to_string(&file).is_ok_and(|pid| pid.ends_with('\n'))
        ));
        let pid = std::fs::read_to_string(&file).expect("a pid");
        let pid = pid.trim();
        assert!(alive(pid));
        drop(child);
        assert!(!alive(pid), "the child still runs");
    }

    #[test]
    fn a_child_that_ends_by_itself_is_noticed_with_its_last_words() {
        let folder = Folder::temporary().expect("a folder");
        let mut child = shell(&folder, "echo out of cheese >&2; exit 3");
        let mut said = None;
        assert!(within_five_seconds(|| {
            said = child.ended();
            said.is_some()
        }));
        let said = said.expect("an explanation");
        assert!(said.contains("out of cheese") && said.contains('3'), "{said}");
    }

    #[test]
    fn a_temporary_folder_goes_with_its_content() {
        let folder = Folder::temporary().expect("a folder");
        let path = folder.path().to_owned();
        std::fs::write(path.join("file"), "x").expect("writes");
        drop(folder);
        assert!(!path.exists());
    }

    #[test]
    fn a_folder_of_the_user_stays_and_has_to_be_empty() {
        let outer = Folder::temporary().expect("a folder");
        let inner = outer.path().join("mine");
        drop(Folder::named(&inner).expect("made"));
        assert!(inner.is_dir());
        std::fs::write(inner.join("file"), "x").expect("writes");
        assert!(Folder::named(&inner).is_err());
    }
}
