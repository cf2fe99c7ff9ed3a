//! Names of types: one name for one thing.

use std::collections::{BTreeMap, BTreeSet};

use crate::source::{Source, none, sources};

/// How many names of types are declared more than once. The figure only goes down.
const SHARED: usize = 22;

const KINDS: [&str; 5] = ["struct", "enum", "type", "trait", "union"];

/// Returns the names of the types that code declares outside an `impl`, a function and a macro.
fn declared(code: &str) -> BTreeSet<String> {
    let name = |line: &str| {
        let mut words = line.split_whitespace().skip_while(|word| word.starts_with("pub"));
        // `pub(in a::b)` has a second word.
        let kind = words.find(|word| !word.ends_with(')') && *word != "unsafe")?;
        KINDS.contains(&kind).then(|| words.next()).flatten().map(|name| {
            name.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>()
        })
    };
    code.lines().filter(|line| !line.starts_with(char::is_whitespace)).filter_map(name).collect()
}

/// Returns the names that are declared in several files, each with the number of the files.
fn shared(sources: &[Source]) -> BTreeMap<String, usize> {
    let mut found: BTreeMap<String, usize> = BTreeMap::new();
    for source in sources.iter().filter(|source| !source.is_test()) {
        for name in declared(&source.code()) {
            *found.entry(name).or_default() += 1;
        }
    }
    assert!(found.len() > 400, "the walk found {} names", found.len());
    found.retain(|_, files| *files > 1);
    found
}

/// Returns the text of the imports of a file.
fn imports(code: &str) -> Vec<&str> {
    let import = |line: &&str| line.trim_start().starts_with("use ") || line.contains(" use ");
    let starts = code.lines().filter(import).filter_map(|line| {
        let at = line.as_ptr() as usize - code.as_ptr() as usize;
        let rest = &code[at..];
        let tree = &rest[rest.find("use ")? + 4..];
        Some(&tree[..tree.find(';')?])
    });
    starts.collect()
}

/// Returns the last names of a tree of imports, without the names that they get by `as`, and
/// without traits that are only in scope (`as _`).
fn leaves(tree: &str) -> Vec<&str> {
    let paths = tree.split([',', '{', '}']).filter(|path| !path.trim_end().ends_with(" as _"));
    let ends = paths.map(|path| {
        let path = path.split(" as ").next().unwrap_or_default();
        path.rsplit("::").next().unwrap_or_default().trim()
    });
    ends.filter(|name| name.starts_with(char::is_uppercase)).collect()
}

/// Returns the shared names that a file has from more than one place: from an import and of its
/// own, or from two imports.
fn met(code: &str, shared: &BTreeMap<String, usize>) -> Vec<String> {
    let mut times: BTreeMap<&str, usize> = BTreeMap::new();
    let own = declared(code);
    let imported = imports(code).into_iter().flat_map(leaves);
    for name in imported.chain(own.iter().map(String::as_str)) {
        *times.entry(name).or_default() += usize::from(shared.contains_key(name));
    }
    times.into_iter().filter(|(_, times)| *times > 1).map(|(name, _)| name.to_owned()).collect()
}

#[test]
fn few_names_are_shared_by_several_types() {
    let shared = shared(&sources());
    assert!(
        shared.len() <= SHARED,
        "{} names are declared in several files; give the new type a name of its own: {shared:?}",
        shared.len()
    );
}

#[test]
fn no_two_types_of_one_name_meet_in_a_file() {
    let sources = sources();
    let shared = shared(&sources);
    let found = sources.iter().flat_map(|source| {
        let met = met(&source.code(), &shared);
        met.into_iter().map(|name| format!("src/{}: {name}", source.path.display()))
    });
    none(&found.collect::<Vec<_>>());
}

#[test]
fn the_walk_sees_names_that_meet() {
    let code = "use crate::{\n    api::{Budget as Limit, Other},\n    domain::Budget,\n};\n\
                pub(crate) struct Step<'a>(u8);\nimpl X {\n    type Kind = u8;\n}\n";
    assert_eq!(declared(code), BTreeSet::from(["Step".to_owned()]));
    let shared = ["Budget", "Other", "Step"].map(|name| (name.to_owned(), 2));
    let shared = BTreeMap::from(shared);
    assert_eq!(met(code, &shared), ["Budget"]);
    assert_eq!(met(&format!("{code}pub use self::late::Step;\n"), &shared), ["Budget", "Step"]);
    assert!(met("use a::Budget;\nuse b::Other;\n", &shared).is_empty());
}
