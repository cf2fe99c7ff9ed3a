//! What no code may contain.

use std::path::Path;

use crate::source::{none, paths, sources, uncommented};

#[test]
fn no_unsafe_code_and_nothing_unfinished() {
    let sources = sources();
    let lib = sources.iter().find(|source| source.path == Path::new("lib.rs")).expect("lib.rs");
    assert!(lib.text.contains("#![forbid(unsafe_code)]"));
    let unfinished = ["todo!(", "unimplemented!(", "#[ignore"];
    let breaks = |line: &str| unfinished.iter().any(|word| line.contains(word));
    let found = sources.iter().flat_map(|source| source.offences(&source.text, breaks));
    none(&found.collect::<Vec<_>>());
}

/// A lock of `parking_lot` has no poison, which no code here would use. So `lock` cannot fail.
#[test]
fn no_lock_can_be_poisoned() {
    let (mut found, mut locks) = (Vec::new(), 0);
    for source in sources() {
        for segments in paths(&uncommented(&source.text)) {
            let has = |words: &[&str]| segments.iter().any(|part| words.contains(&part.as_str()));
            let is_lock = has(&["Mutex", "RwLock", "PoisonError"]);
            locks += u32::from(is_lock && has(&["parking_lot"]));
            if is_lock && has(&["std"]) || has(&["PoisonError"]) {
                found.push(format!("src/{}: {}", source.path.display(), segments.join("::")));
            }
        }
    }
    assert!(locks > 30, "{locks}");
    none(&found);
}
