//! How long a file, a line and a struct may be, and what a file may be called.

use std::collections::BTreeSet;

use crate::source::{none, sources};

#[test]
fn every_room_explains_itself_and_no_file_is_too_long() {
    for source in sources() {
        let name = format!("src/{}", source.path.display());
        if name.ends_with("/mod.rs") || name.ends_with("/lib.rs") {
            assert!(source.text.starts_with("//!"), "{name} does not explain its room");
        }
        let lines = source.text.lines().count();
        assert!(lines <= 750, "{name} has {lines} lines");
        let says_nothing = ["utils", "helpers", "common", "manager"];
        assert!(!says_nothing.iter().any(|word| name.contains(word)), "{name}: say what it does");
    }
}

/// No line of `src` is longer than 100 columns.
#[test]
fn no_line_is_longer_than_100_columns() {
    let mut found = Vec::new();
    for source in sources() {
        let lines = source.text.lines().enumerate();
        let long = lines.filter(|(_, line)| line.chars().count() > 100);
        found.extend(long.map(|(number, line)| source.at(number + 1, line)));
    }
    none(&found);
}

/// Returns the structs of a file with named fields, each with the number of its fields.
fn structs(code: &str) -> Vec<(String, usize)> {
    let mut found: Vec<(String, usize)> = Vec::new();
    let mut inside = None;
    for line in code.lines() {
        let (indent, line) = (line.len() - line.trim_start().len(), line.trim());
        match inside {
            None if line.ends_with('{') => {
                let Some((_, rest)) = line.split_once("struct ") else { continue };
                let name = rest.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default();
                found.push((name.to_owned(), 0));
                inside = Some(indent);
            }
            Some(at) if indent <= at && line.starts_with('}') => inside = None,
            Some(at) if indent == at + 4 && line.contains(": ") && !line.starts_with('#') => {
                found.last_mut().expect("a struct").1 += 1;
            }
            _ => {}
        }
    }
    found
}

#[test]
fn no_struct_of_the_engine_has_more_fields_than_a_reader_can_hold() {
    // What a step of a pass works with has few groups.
    let few = ["Pass", "Recorder", "Execution", "Guarding", "Deciding"];
    let exceptions = ["Verdict"];
    let (mut found, mut seen) = (Vec::new(), BTreeSet::new());
    for source in sources().iter().filter(|source| source.path.starts_with("engine")) {
        for (name, fields) in structs(&source.code()) {
            let most = if few.contains(&&*name) { 8 } else { 12 };
            if fields > most && !exceptions.contains(&&*name) {
                found.push(format!("src/{}: {name} has {fields} fields", source.path.display()));
            }
            seen.insert(name);
        }
    }
    assert!(seen.len() > 100, "{}", seen.len());
    few.iter().for_each(|name| assert!(seen.contains(*name), "{name} has another name"));
    none(&found);
}
