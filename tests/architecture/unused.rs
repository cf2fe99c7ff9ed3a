//! Code that nothing uses.

use std::collections::HashMap;

use crate::source::{none, sources};

/// Finds names that are in the code of `src` only once, where they are made: a compiler does not
/// see that a public item has no use. An item for tests says so.
#[test]
fn what_is_public_is_used_outside_of_tests() {
    let word = |c: char| c.is_alphanumeric() || c == '_';
    let sources: Vec<_> = sources().into_iter().filter(|source| !source.is_test()).collect();
    let mut uses: HashMap<String, u32> = HashMap::new();
    for source in &sources {
        source
            .code()
            .split(|c| !word(c))
            .for_each(|name| *uses.entry(name.to_owned()).or_default() += 1);
    }
    let kinds = ["fn", "struct", "enum", "const", "static", "trait", "type"];
    let (mut unused, mut seen) = (Vec::new(), 0);
    for source in &sources {
        let mut about = String::new();
        for line in source.without_tests().lines().map(str::trim_start) {
            if line.starts_with("///") {
                about.push_str(line);
                continue;
            }
            if line.starts_with('#') {
                continue;
            }
            let mut words = line.split(|c| !word(c)).filter(|word| !word.is_empty());
            let public = words.next() == Some("pub");
            let mut words = words.skip_while(|word| !kinds.contains(word)).peekable();
            while public && words.peek().is_some_and(|word| kinds.contains(word)) {
                words.next();
            }
            if let Some(name) = words
                .next()
                .filter(|_| public && !line.starts_with("pub use") && !line.starts_with("pub mod"))
            {
                seen += 1;
                if uses[name] < 2 && !about.contains("for tests") {
                    unused.push(format!("src/{}: {name}", source.path.display()));
                }
            }
            about.clear();
        }
    }
    assert!(seen > 700, "{seen}");
    none(&unused);
}
