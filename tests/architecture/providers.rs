//! What keeps a provider in its own folder, and its folder short.

use std::{collections::BTreeMap, path::Path};

use crate::source::{Source, none, read, sources};

/// Only these know which provider it is: the provider's own folder, the resource's type, and the
/// files that make a tenant from that type (`engine/settings/targets.rs` and below).
#[test]
fn nobody_else_asks_which_provider_it_is() {
    let rooms =
        ["bob", "cli", "cluster", "domain", "engine", "http", "provider", "server", "telemetry"];
    let listed = listed();
    let names: Vec<_> = listed.iter().map(|(module, _)| module.clone()).collect();
    let fields = listed.iter().map(|(_, field)| format!(".{field}"));
    let asked = [".label ==", ".label !=", "catalog().name ==", "catalog.name =="];
    let fields: Vec<_> = fields.chain(asked.map(str::to_owned)).collect();
    let knows = |source: &Source| {
        source.path.starts_with("provider") && source.path.iter().count() > 2
            || source.path == Path::new("engine/settings/targets.rs")
            || source.path.starts_with("engine/settings/targets")
    };
    let breaks = |code: &str| {
        let named = names.iter().any(|name| {
            code.contains(&format!("{name}::")) || code.contains(&format!("provider::{name}"))
        });
        named || fields.iter().any(|field| code.contains(field.as_str()))
    };
    let others = sources().into_iter().filter(|source| {
        rooms.contains(&source.room().as_str()) && !source.is_test() && !knows(source)
    });
    none(&others.flat_map(|source| source.offences(&source.code(), breaks)).collect::<Vec<_>>());
}

/// An administrator who opens a firewall reads one page: it names every host in the code.
#[test]
fn every_host_that_is_called_is_on_the_page_of_hosts() {
    let page = read("docs/hosts.md");
    let mut hosts = Vec::new();
    let rooms = ["provider", "engine", "bob"];
    for source in sources().iter().filter(|source| rooms.contains(&source.room().as_str())) {
        let code = source.code();
        // A host alone is a base; with a path it is a scope or an example, and half a host is a
        // comparison.
        let bases = code
            .lines()
            .flat_map(|line| line.split("\"https://").skip(1))
            .filter_map(|rest| rest.split_once('"'));
        hosts.extend(
            bases
                .map(|(host, _)| host.to_owned())
                .filter(|host| host.contains('.') && !host.contains('/') && !host.ends_with('.')),
        );
    }
    assert!(hosts.len() > 12, "{hosts:?}");
    for host in hosts {
        let host = host.replace("{}", "acme").replace("{region}", "us");
        assert!(page.contains(&format!("`{host}`")), "docs/hosts.md does not name {host}");
    }
}

/// Returns the module of each provider, and its field in Rust, as the one list has them.
fn listed() -> Vec<(String, String)> {
    let text = read("src/api/provider.rs");
    let lines = text.lines().filter_map(|line| line.trim().strip_suffix("\";"));
    let words = lines.map(|line| line.split(' ').collect::<Vec<_>>());
    let listed: Vec<_> = words
        .filter(|words| words.len() == 4 && words[3].starts_with('"'))
        .map(|words| (words[0].to_owned(), words[1].to_owned()))
        .collect();
    assert!(listed.len() > 3, "{listed:?}");
    listed
}

/// Returns the names of the folders of the providers.
fn folders() -> Vec<String> {
    let mut folders: Vec<_> = listed().into_iter().map(|(module, _)| module).collect();
    folders.sort();
    folders
}

/// Returns the lines of code of a provider's folder: without tests, comments and blanks.
fn lines_of(folder: &str) -> Vec<Vec<String>> {
    let folder = Path::new("provider").join(folder);
    let lines = |code: &str| -> Vec<String> {
        code.lines().map(|line| line.trim().to_owned()).filter(|line| !line.is_empty()).collect()
    };
    sources()
        .iter()
        .filter(|source| source.path.starts_with(&folder) && !source.is_test())
        .map(|source| lines(&source.code()))
        .collect()
}

/// A provider is a table and a few hooks. What two of them need is written once, next to them.
#[test]
fn a_provider_is_a_table_and_a_few_hooks() {
    let count = |folder: &String| lines_of(folder).iter().map(Vec::len).sum::<usize>();
    let mut lines: Vec<usize> = folders().iter().map(count).collect();
    lines.sort_unstable();
    let large = lines.split_off(lines.len() - LARGE);
    let (rest, most) = (lines.iter().sum::<usize>(), MOST_LINES * lines.len());
    assert!((2_000..=most).contains(&rest), "{rest} lines of code in the folders that are small");
    assert!(large.iter().all(|lines| *lines <= MOST_LINES_OF_ONE), "{large:?} lines in a folder");
}

/// The most lines of code of a folder, on average, without the large folders. The first four had
/// 6,300 lines together, of which every third one was in another folder too. A text that is broken
/// at 100 columns counts as several lines.
const MOST_LINES: usize = 750;

/// How many folders are large: a provider whose accounts have a life cycle of many states, and one
/// for every server of a standard that servers keep differently.
const LARGE: usize = 2;

/// The most lines of code of a large folder.
const MOST_LINES_OF_ONE: usize = 1_200;

/// Lists of imports and modules, and lines without a word, are alike anyway.
#[test]
fn no_three_lines_of_a_provider_are_those_of_another_one() {
    let folders = folders();
    let mut seen: BTreeMap<Vec<String>, &str> = BTreeMap::new();
    let (mut found, mut windows) = (Vec::new(), 0);
    for folder in &folders {
        for file in lines_of(folder) {
            let text = file.join("\n");
            let lines = text.split(";\n").filter(|part| {
                !["use ", "pub use ", "mod ", "pub mod "].iter().any(|word| part.starts_with(word))
            });
            let lines: Vec<String> = lines
                .flat_map(str::lines)
                .filter(|line| line.contains(char::is_alphanumeric))
                .map(str::to_owned)
                .collect();
            for window in lines.windows(3) {
                windows += 1;
                let other = *seen.entry(window.to_vec()).or_insert(folder);
                if other != folder {
                    found.push(format!("{other} and {folder}: {}", window.join(" ")));
                }
            }
        }
    }
    assert!(windows > 2_000, "{windows}");
    none(&found);
}
