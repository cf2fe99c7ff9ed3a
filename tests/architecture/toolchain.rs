//! The versions of the tools.

use crate::source::read;

/// The version that rustup installs is the one that images are built with. `rust-version` is the
/// oldest one, for a cargo without rustup.
#[test]
fn the_toolchain_and_the_images_have_one_version_of_rust() {
    let value = |name: &str, key: &str| {
        let text = read(name);
        let line = text.lines().find_map(|line| line.strip_prefix(key).map(str::to_owned));
        line.expect(key).trim_matches(['"', ' ', '=']).to_owned()
    };
    let channel = value("rust-toolchain.toml", "channel");
    let number = |version: &str| -> Vec<u32> {
        version.split('.').map(|part| part.parse().expect("a number")).collect()
    };
    assert!(number(&value("Cargo.toml", "rust-version")) <= number(&channel));
    assert_eq!(number(&channel).len(), 3, "{channel}: only a whole version is always the same one");
    let image = read("Dockerfile");
    assert!(image.contains(&format!("FROM rust:{channel}-alpine")), "the Dockerfile: {channel}");
    // With this file in the image, rustup would look for parts that no build there needs.
    assert!(read(".dockerignore").lines().any(|line| line == "rust-toolchain.toml"));
    let container = read(".devcontainer/Dockerfile");
    for call in ["rustup toolchain install ", "rustup default "] {
        assert!(container.contains(&format!("{call}{channel}")), "{call}{channel}");
    }
}
