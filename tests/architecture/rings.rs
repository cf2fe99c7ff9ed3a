//! Files that import each other.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use crate::{
    imports::{Imports, imports},
    source::none,
};

/// Files that import each other in a ring. A parent and its own children are one thing.
fn rings(imports: &Imports) -> Vec<Vec<PathBuf>> {
    fn reach(imports: &Imports, from: &Path) -> BTreeSet<PathBuf> {
        let (mut found, mut open) = (BTreeSet::new(), vec![from.to_owned()]);
        while let Some(path) = open.pop() {
            for next in imports.get(&path).into_iter().flatten() {
                if found.insert(next.clone()) {
                    open.push(next.clone());
                }
            }
        }
        found
    }
    let reached: BTreeMap<_, _> =
        imports.keys().map(|path| (path.clone(), reach(imports, path))).collect();
    let mut found: Vec<Vec<PathBuf>> = Vec::new();
    for (path, there) in &reached {
        if found.iter().any(|ring| ring.contains(path)) || !there.contains(path) {
            continue;
        }
        found.push(there.iter().filter(|other| reached[*other].contains(path)).cloned().collect());
    }
    found
}

fn is_family(ring: &[PathBuf]) -> bool {
    let family = |path: &PathBuf| {
        let is_folder = path.file_name().is_some_and(|name| name == "mod.rs");
        if is_folder { path.parent().map(Path::to_owned) } else { Some(path.with_extension("")) }
    };
    ring.iter().filter_map(family).any(|root| {
        ring.iter().all(|path| path.starts_with(&root) || path.with_extension("") == root)
    })
}

/// The largest ring had 37 files, and none is left.
#[test]
fn files_form_no_rings() {
    let imports = imports();
    let found = rings(&imports).into_iter().filter(|ring| !is_family(ring));
    none(&found.map(|ring| format!("{} files: {ring:?}", ring.len())).collect::<Vec<_>>());
}
