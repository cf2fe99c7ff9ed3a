//! Which file may import which one.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use crate::source::{none, sources};

#[test]
fn the_core_is_pure() {
    let impure = [
        "kube::",
        "k8s_openapi",
        "reqwest",
        "tokio",
        "axum",
        "tracing",
        "std::time::Instant",
        "SystemTime",
        "async ",
        ".await",
        "Timestamp::now",
        "Zoned::now",
        "std::env",
        "std::fs",
        "std::thread",
    ];
    let breaks = |line: &str| {
        // A name such as `awaiting_manager` is not an `.await`.
        let line = line.replace(".awaiting_", ".");
        impure.iter().any(|word| line.contains(word))
    };
    let domain = sources().into_iter().filter(|source| source.room() == "domain");
    none(&domain.flat_map(|source| source.offences(&source.text, breaks)).collect::<Vec<_>>());
}

/// A file, and the files of `src` that its code imports. Code of tests does not count.
pub type Imports = BTreeMap<PathBuf, BTreeSet<PathBuf>>;

/// Returns the names of the modules from the root of the crate to a file.
fn module(path: &Path) -> Vec<String> {
    let mut parts: Vec<_> =
        path.with_extension("").iter().map(|part| part.to_string_lossy().into_owned()).collect();
    if parts.last().is_some_and(|last| ["mod", "lib", "main"].contains(&last.as_str())) {
        parts.pop();
    }
    parts
}

pub fn imports() -> Imports {
    let sources: Vec<_> = sources().into_iter().filter(|source| !source.is_test()).collect();
    let files: BTreeMap<Vec<String>, &PathBuf> =
        sources.iter().map(|source| (module(&source.path), &source.path)).collect();
    let mut found = Imports::new();
    for source in &sources {
        let entry = found.entry(source.path.clone()).or_default();
        for segments in source.paths() {
            let mut at = module(&source.path);
            let mut rest = segments.as_slice();
            match rest.first().map(String::as_str) {
                Some("crate") => (at, rest) = (Vec::new(), &rest[1..]),
                Some("self") => rest = &rest[1..],
                Some("super") => {}
                _ => continue,
            }
            while rest.first().is_some_and(|part| part == "super") {
                at.pop();
                rest = &rest[1..];
            }
            at.extend_from_slice(rest);
            while !at.is_empty() && !files.contains_key(&at) {
                at.pop();
            }
            if let Some(file) = files.get(&at).filter(|file| **file != &source.path) {
                entry.insert((*file).clone());
            }
        }
    }
    found
}

/// The room of a file, and in the engine its wing.
fn place(path: &Path) -> (String, String) {
    let mut parts =
        path.iter().map(|part| part.to_string_lossy().trim_end_matches(".rs").to_owned());
    (parts.next().unwrap_or_default(), parts.next().unwrap_or_default())
}

#[test]
fn imports_point_one_way() {
    let ground = ["domain", "api", "http"];
    let floor = |room: &str| match room {
        room if ground.contains(&room) => Some(0),
        "telemetry" => Some(1),
        "bob" | "provider" | "cluster" => Some(2),
        "engine" => Some(3),
        "server" => Some(4),
        "cli" => Some(5),
        _ => None,
    };
    let wing = |wing: &str| match wing {
        "supervisor" => 4,
        "integration" => 3,
        "pass" => 2,
        "intake" | "settings" => 1,
        _ => 0,
    };
    let forbidden =
        [("bob", "api"), ("bob", "telemetry"), ("provider", "api"), ("provider", "telemetry")];
    let (mut found, mut seen) = (Vec::new(), 0);
    for (path, imported) in imports() {
        let (room, own) = place(&path);
        for other in imported {
            seen += 1;
            let (there, its) = place(&other);
            let (Some(from), Some(to)) = (floor(&room), floor(&there)) else { continue };
            let pair = (room.as_str(), there.as_str());
            let rooms = room != there && (to >= from || forbidden.contains(&pair));
            let wings =
                room == "engine" && there == "engine" && own != its && its != "mod" && own != "mod";
            if rooms || wings && wing(&its) >= wing(&own) && wing(&its) + wing(&own) > 0 {
                found.push(format!("src/{} imports src/{}", path.display(), other.display()));
            }
        }
    }
    assert!(seen > 700, "{seen}");
    none(&found);
}
