//! Closed lists: each entry has a use, and no text goes past the list.

use std::path::Path;

use bobsync::api::conditions::Type;

use crate::source::{Source, none, sources};

/// Every reason in the list is used.
#[test]
fn every_reason_is_given_somewhere() {
    let sources = sources();
    let list = sources.iter().find(|source| source.path == Path::new("api/reasons.rs"));
    let list = &list.expect("the list").text;
    let all: String = sources.iter().filter(|source| !source.is_test()).map(Source::code).collect();
    let (mut kind, mut unused, mut seen) = (String::new(), Vec::new(), 0);
    for line in list.lines() {
        if let Some(name) = line.trim().strip_suffix("Reason {").filter(|name| !name.contains(' '))
        {
            kind = format!("{name}Reason");
        }
        if let Some((reason, _)) = line
            .trim()
            .split_once(": \"")
            .filter(|(reason, _)| reason.chars().all(char::is_alphanumeric))
        {
            seen += 1;
            let given = [format!("{kind}::{reason}"), format!("Self::{reason}")];
            if !given.iter().any(|given| all.contains(given.as_str())) {
                unused.push(format!("{kind}::{reason}"));
            }
        }
    }
    assert!(seen > 60, "{seen}");
    none(&unused);
}

/// A type that is written as text could be one that no list has, and `kubectl explain` would not
/// tell of it.
#[test]
fn condition_types_are_written_in_one_place() {
    let types: Vec<String> =
        Type::ALL.iter().map(|kind| format!("\"{}\"", kind.as_str())).collect();
    // A printed column has a name of its own.
    let breaks =
        |line: &str| !line.contains("printcolumn(") && types.iter().any(|kind| line.contains(kind));
    let code = sources().into_iter().filter(|source| !source.is_test());
    none(&code.flat_map(|source| source.offences(&source.code(), breaks)).collect::<Vec<_>>());
}
