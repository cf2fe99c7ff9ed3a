//! `testbed up`, as a demo or a script uses it.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

struct Up {
    child: Child,
    line: serde_json::Value,
}

fn up(arguments: &[&str]) -> Up {
    let mut child = Command::new(env!("CARGO_BIN_EXE_testbed"))
        .arg("up")
        .args(arguments)
        .stdout(Stdio::piped())
        .spawn()
        .expect("starts");
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("a line");
    let line = serde_json::from_str(&line).expect("JSON on the first line");
    Up { child, line }
}

impl Up {
    fn kubectl(&self, arguments: &[&str]) -> std::process::Output {
        let mut command = Command::new(self.line["kubectl"].as_str().expect("a path"));
        for (name, value) in self.line["environment"].as_object().expect("an object") {
            command.env(name, value.as_str().expect("a path"));
        }
        command.args(arguments).output().expect("runs")
    }

    fn end(&mut self, signal: &str) {
        let pid = self.child.id().to_string();
        assert_eq!(self.line["pid"].to_string(), pid);
        assert!(Command::new("kill").args([signal, &pid]).status().expect("kill").success());
        self.child.wait().expect("ends");
    }

    fn listens(&self) -> bool {
        let server = self.line["server"].as_str().expect("an address");
        std::net::TcpStream::connect(server.trim_start_matches("https://")).is_ok()
    }
}

fn within_ten_seconds(mut check: impl FnMut() -> bool) -> bool {
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(10) {
        if check() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    false
}

#[test]
fn it_says_where_it_is_and_ends_on_a_signal() {
    let outer = tempfile::tempdir().expect("a folder");
    let folder = outer.path().join("kept");
    let mut up = up(&["--audit", "--dir", folder.to_str().expect("text")]);
    let output = up.kubectl(&["get", "namespaces", "-o", "name"]);
    assert!(String::from_utf8_lossy(&output.stdout).contains("namespace/default"), "{output:?}");
    let helm = Path::new(up.line["helm"].as_str().expect("a path"));
    assert!(helm.is_file());

    up.end("-TERM");
    assert!(!up.listens(), "it left the server behind");
    assert!(folder.join("audit.log").metadata().expect("kept").len() > 0);
}

#[test]
fn killed_without_a_chance_to_clean_up_it_leaves_nothing_behind() {
    let mut up = up(&[]);
    assert!(up.listens());
    let kubeconfig = up.line["kubeconfig"].as_str().expect("a path").to_owned();
    let folder = Path::new(&kubeconfig).parent().expect("a folder").to_owned();
    up.end("-KILL");
    assert!(within_ten_seconds(|| !up.listens()), "the server outlived it");
    assert!(within_ten_seconds(|| !folder.exists()), "the folder outlived it");
}
