//! What a new provider touches: its own files, and as few others as possible. JumpCloud is the
//! example.

use std::{collections::BTreeSet, fs, path::Path};

use crate::source::tree;

/// The files of the product that name JumpCloud and are not its own: one list, and a line `mod` for
/// each of its two other files.
const PRODUCT: [&str; 3] =
    ["src/api/provider.rs", "src/engine/settings/targets.rs", "src/provider/mod.rs"];

/// Files that name JumpCloud and are neither product nor its own, each with the reason. A name that
/// ends with a slash is a folder.
const OTHERS: [(&str, &str); 18] = [
    ("CHANGELOG.md", "what has changed, for people who update"),
    ("README.md", "the first question of a reader is which providers there are"),
    ("benches/src/scene.rs", "a scene for each provider whose passes are measured"),
    ("charts/bobsync/templates/crds.yaml", "generated"),
    ("crds/bobsync.dev.yaml", "generated"),
    ("docs/adding-a-provider.md", "names the folder that is its example"),
    ("docs/hosts.md", "the one page for firewalls"),
    ("docs/simulators.md", "a section for each simulator"),
    ("simulators/", "all services start together; the crate knows nothing of the product"),
    ("tests/architecture/adding.rs", "this rule"),
    ("tests/conformance/main.rs", "the module of its cases"),
    ("tests/conformance/words.rs", "what its refusals say"),
    ("tests/stories/left_open.rs", "a story that is told for each provider"),
    ("tests/stories/map_of_stops/", "each stop is tried with two providers"),
    ("tests/stories/providers/every.rs", "a spec that names two providers"),
    ("tests/stories/providers/mod.rs", "the module of its stories"),
    ("tests/stories/refusals.rs", "a story that is told for each provider"),
    ("tests/stories/sums.rs", "a story that is told for each provider"),
];

/// Returns the files of the repository whose text names JumpCloud. Files with its name in their
/// path are its own: its folder, its settings, its simulator, its cases, its story, its page, its
/// example.
fn strangers() -> BTreeSet<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let entries = fs::read_dir(root).expect("the repository");
    let names = entries.map(|entry| entry.expect("an entry").file_name());
    let names = names.map(|name| name.to_string_lossy().into_owned());
    let tracked = names.filter(|name| !["target", ".git"].contains(&name.as_str()));
    let named = |text: &str| {
        let text = text.to_lowercase();
        ["jumpcloud", "jump_cloud", "jump cloud"].iter().any(|name| text.contains(name))
    };
    tracked
        .flat_map(|name| tree(&name))
        .filter(|(path, text)| !path.to_lowercase().contains("jumpcloud") && named(text))
        .map(|(path, _)| path)
        .collect()
}

#[test]
fn a_provider_is_named_in_three_files_of_the_product_that_are_not_its_own() {
    let found = strangers();
    let product: Vec<_> = found.iter().filter(|path| path.starts_with("src/")).collect();
    assert_eq!(product, PRODUCT, "a new provider would touch these files of src");
    let is =
        |path: &str, other: &str| path == other || other.ends_with('/') && path.starts_with(other);
    let unknown: Vec<_> = found
        .iter()
        .filter(|path| !path.starts_with("src/"))
        .filter(|path| !OTHERS.iter().any(|(other, _)| is(path, other)))
        .collect();
    assert!(unknown.is_empty(), "speak of no single provider here: {unknown:#?}");
    for (other, why) in OTHERS {
        assert!(found.iter().any(|path| is(path, other)), "{other} ({why}) names it no more");
    }
}
