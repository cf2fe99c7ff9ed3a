//! `hack/control-plane/provide`: the order in which it looks, with a fake Go.

use std::io::Read;
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

const ALL: [&str; 5] = ["etcd", "kube-apiserver", "kube-controller-manager", "kubectl", "helm"];
const ENVTEST: [&str; 3] = ["etcd", "kube-apiserver", "kubectl"];

/// Records what it is asked to build. `GO_BLOCKS_ON` names a file that it waits for, `GO_FAILS` a
/// package that it cannot build.
const GO: &str = r#"#!/bin/sh
if [ "$1" = env ]; then echo "${GO_SAYS:-go1.26.0}"; exit 0; fi
while [ $# -gt 1 ]; do [ "$1" = -o ] && out=$2; shift; done
echo "$1" >> "$NOTES"
if [ "$1" = "$GO_FAILS" ]; then echo "imports of $1 are out of cheese" >&2; exit 1; fi
waited=0
while [ -n "$GO_BLOCKS_ON" ] && [ ! -e "$GO_BLOCKS_ON" ] && [ $waited -lt 300 ]; do
  sleep 0.1; waited=$((waited + 1))
done
case $1 in
  *setup-envtest) cp "$ENVTEST_TOOL" "$out" ;;
  *) printf '#!/bin/sh\necho built\n' > "$out" ;;
esac
chmod +x "$out"
"#;

/// Like setup-envtest, it leaves read-only folders behind.
const SETUP_ENVTEST: &str = r#"#!/bin/sh
[ "$1" = list ] && exit 0
mkdir -p "$4/k8s"
for name in etcd kube-apiserver kubectl; do
  printf '#!/bin/sh\necho downloaded\n' > "$4/k8s/$name"; chmod 555 "$4/k8s/$name"
done
chmod 555 "$4/k8s"
echo "$4/k8s"
"#;

struct Scene {
    folder: TempDir,
    /// There is no answer unless a test gives one.
    probe: String,
}

fn executable(path: &Path, content: &str) {
    std::fs::write(path, content).expect("writes");
    std::fs::set_permissions(path, PermissionsExt::from_mode(0o755)).expect("executable");
}

impl Scene {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let bin = folder.path().join("bin");
        std::fs::create_dir(&bin).expect("made");
        executable(&bin.join("go"), GO);
        executable(&folder.path().join("setup-envtest"), SETUP_ENVTEST);
        let printed =
            Command::new("python3").args(["-c", "import sys; print(sys.executable)"]).output();
        let python = String::from_utf8(printed.expect("python3").stdout).expect("text");
        symlink(python.trim(), bin.join("python3")).expect("linked");
        Self { folder, probe: "http://127.0.0.1:1/".to_owned() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn command(&self, variables: &[(&str, &str)]) -> Command {
        let mut command = Command::new(
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../hack/control-plane/provide"),
        );
        command
            .env("PATH", format!("{}:/usr/bin:/bin", self.path("bin").display()))
            .env("BOBSYNC_CACHE", self.path("cache"))
            .env("BOBSYNC_ENVTEST_PROBE", &self.probe)
            .env("NOTES", self.path("notes"))
            .env("ENVTEST_TOOL", self.path("setup-envtest"))
            .env_remove("KUBEBUILDER_ASSETS")
            .env_remove("http_proxy")
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    fn run(&self, variables: &[(&str, &str)]) -> Output {
        self.command(variables).output().expect("runs")
    }

    /// Returns the packages that Go was asked to build, by their last part.
    fn built(&self) -> Vec<String> {
        let notes = std::fs::read_to_string(self.path("notes")).unwrap_or_default();
        notes
            .lines()
            .map(|line| {
                line.replace("/server/v3", "/etcd").rsplit('/').next().unwrap_or("").to_owned()
            })
            .collect()
    }

    fn wait_until_building(&self) {
        let start = Instant::now();
        while self.built().is_empty() {
            assert!(start.elapsed() < Duration::from_secs(20), "it never began to build");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

fn folder(output: &Output) -> PathBuf {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let printed = String::from_utf8_lossy(&output.stdout);
    PathBuf::from(printed.lines().last().expect("a line"))
}

fn sorted<T: AsRef<str>>(names: &[T]) -> Vec<&str> {
    let mut names: Vec<&str> = names.iter().map(AsRef::as_ref).collect();
    names.sort_unstable();
    names
}

fn content(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).expect("a folder");
    entries
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .collect()
}

#[test]
fn it_builds_everything_once_and_says_what_it_does() {
    let scene = Scene::new();
    let first = scene.run(&[]);
    let found = folder(&first);
    assert!(found.starts_with(scene.path("cache").join("control-plane")));
    assert_eq!(sorted(&content(&found)), sorted(&ALL));
    assert_eq!(sorted(&scene.built()), sorted(&ALL));
    let said = String::from_utf8_lossy(&first.stderr);
    assert!(said.contains("helm (5 of 5)"), "{said}");

    assert_eq!(folder(&scene.run(&[])), found);
    assert_eq!(scene.built().len(), ALL.len(), "a second run builds nothing");
}

#[test]
fn it_builds_only_what_is_asked_for_and_later_what_is_missing() {
    let scene = Scene::new();
    let output = scene.command(&[]).args(["--need", "helm,kubectl"]).output().expect("runs");
    assert_eq!(sorted(&content(&folder(&output))), ["helm", "kubectl"]);
    folder(&scene.run(&[]));
    assert_eq!(sorted(&scene.built()), sorted(&ALL));
}

#[test]
fn a_folder_of_the_users_is_taken_when_it_is_complete() {
    let scene = Scene::new();
    let mine = scene.path("mine");
    std::fs::create_dir(&mine).expect("made");
    for name in ENVTEST {
        executable(&mine.join(name), "#!/bin/sh\n");
    }
    let variable = [("KUBEBUILDER_ASSETS", mine.to_str().expect("text"))];
    let output =
        scene.command(&variable).args(["--need", "etcd,kube-apiserver"]).output().expect("runs");
    assert_eq!(folder(&output), mine.canonicalize().expect("there"));
    assert!(scene.built().is_empty());

    let output = scene.run(&variable);
    assert_ne!(folder(&output), mine.canonicalize().expect("there"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("lacks kube-controller-manager, helm"), "{said}");
}

#[test]
fn two_runs_at_once_build_once() {
    let scene = Scene::new();
    let gate = scene.path("gate");
    let blocked = [("GO_BLOCKS_ON", gate.to_str().expect("text"))];
    let first = scene.command(&blocked).spawn().expect("starts");
    scene.wait_until_building();
    let mut second = scene.command(&blocked).spawn().expect("starts");
    let mut said = [0; 1024];
    let length = second.stderr.as_mut().expect("piped").read(&mut said).expect("reads");
    let said = String::from_utf8_lossy(&said[..length]);
    assert!(said.contains("waiting for another run"), "{said}");
    std::fs::write(&gate, "").expect("opened");
    let (first, second) =
        (first.wait_with_output().expect("ends"), second.wait_with_output().expect("ends"));
    assert_eq!(folder(&first), folder(&second));
    assert_eq!(sorted(&scene.built()), sorted(&ALL));
}

#[test]
fn a_run_that_is_killed_leaves_nothing_that_a_later_one_would_trust() {
    let scene = Scene::new();
    let never = scene.path("never");
    let mut killed =
        scene.command(&[("GO_BLOCKS_ON", never.to_str().expect("text"))]).spawn().expect("starts");
    scene.wait_until_building();
    killed.kill().expect("killed");
    killed.wait().expect("ends");
    std::fs::write(&never, "").expect("lets the orphaned compiler end");

    let found = folder(&scene.run(&[]));
    assert_eq!(sorted(&content(&found)), sorted(&ALL), "and nothing else is left there");
}

#[test]
fn a_build_that_fails_says_why_and_prints_no_folder() {
    let scene = Scene::new();
    let output = scene.run(&[("GO_FAILS", "k8s.io/kubernetes/cmd/kubectl")]);
    assert!(!output.status.success());
    assert!(output.stdout.is_empty());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("kubectl (3 of 5) failed") && said.contains("out of cheese"), "{said}");
}

/// Answers every HEAD with 200.
fn reachable() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("binds");
    let address = listener.local_addr().expect("bound");
    std::thread::spawn(move || {
        for stream in listener.incoming().take(4).flatten() {
            let _ = (&stream).read(&mut [0; 1024]);
            let _ = std::io::Write::write_all(
                &mut &stream,
                b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
            );
        }
    });
    format!("http://{address}/")
}

fn printed_by(program: &Path) -> String {
    String::from_utf8(Command::new(program).output().expect("runs").stdout).expect("text")
}

#[test]
fn what_setup_envtest_has_is_downloaded_where_that_is_possible() {
    let scene = Scene { probe: reachable(), ..Scene::new() };
    let found = folder(&scene.run(&[]));
    assert_eq!(sorted(&content(&found)), sorted(&ALL));
    assert_eq!(sorted(&scene.built()), ["helm", "kube-controller-manager", "setup-envtest"]);
    for name in ENVTEST {
        assert_eq!(printed_by(&found.join(name)), "downloaded\n");
    }
}

#[test]
fn downloads_that_turn_out_to_fail_are_made_up_for() {
    let scene = Scene { probe: reachable(), ..Scene::new() };
    executable(&scene.path("setup-envtest"), "#!/bin/sh\nexit 1\n");
    let found = folder(&scene.run(&[]));
    for name in ALL {
        assert_eq!(printed_by(&found.join(name)), "built\n");
    }
}

#[test]
fn downloads_that_never_answer_are_given_up_within_seconds() {
    let silent = TcpListener::bind("127.0.0.1:0").expect("binds");
    let probe = format!("http://{}/", silent.local_addr().expect("bound"));
    let scene = Scene { probe, ..Scene::new() };
    let start = Instant::now();
    let found = folder(&scene.run(&[]));
    assert!(start.elapsed() < Duration::from_secs(20), "it took {:?}", start.elapsed());
    assert_eq!(printed_by(&found.join("etcd")), "built\n");
}

#[test]
fn an_old_go_is_not_used() {
    let scene = Scene::new();
    let output =
        scene.run(&[("GO_SAYS", "go1.25.9"), ("PIP_NO_INDEX", "1"), ("PIP_FIND_LINKS", "")]);
    assert!(!output.status.success());
    assert!(scene.built().is_empty());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("installing Go with pip failed"), "{said}");
}
