//! What the rules judge: the files of `src`, the code in them, and the paths that the code names.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// One Rust file of `src`.
pub struct Source {
    /// The path from `src`.
    pub path: PathBuf,
    /// The whole text, with comments and tests.
    pub text: String,
}

impl Source {
    /// Returns whether the whole file is tests.
    pub fn is_test(&self) -> bool {
        self.path.to_string_lossy().ends_with("tests.rs")
    }

    /// Returns the folder of `src` that the file is in, or the name of a file that is in none.
    pub fn room(&self) -> String {
        let first = self.path.iter().next().expect("a path has a part");
        first.to_string_lossy().into_owned()
    }

    /// Returns the text without the module of tests at its end.
    pub fn without_tests(&self) -> &str {
        let tests = ["#[cfg(test)]\nmod tests", "#[cfg(test)]\n#[path"];
        let end = tests.iter().filter_map(|mark| self.text.find(mark)).min();
        &self.text[..end.unwrap_or(self.text.len())]
    }

    /// Returns the code without tests and comments. Numbers of lines stay.
    pub fn code(&self) -> String {
        uncommented(self.without_tests())
    }

    /// Returns the paths that the code without tests imports or names.
    pub fn paths(&self) -> Vec<Vec<String>> {
        paths(&self.code())
    }

    /// Returns how an offence on a line is shown.
    pub fn at(&self, line: usize, what: &str) -> String {
        format!("src/{}:{line}: {what}", self.path.display())
    }

    /// Returns the lines of a text of this file that break a rule. Comments do not count.
    pub fn offences(&self, text: &str, breaks: impl Fn(&str) -> bool) -> Vec<String> {
        text.lines()
            .enumerate()
            .filter(|(_, line)| !is_comment(line) && breaks(line.trim_start()))
            .map(|(number, line)| self.at(number + 1, line))
            .collect()
    }
}

fn is_comment(line: &str) -> bool {
    line.trim_start().starts_with("//")
}

/// Reads every Rust file below `src`.
pub fn sources() -> Vec<Source> {
    let sources: Vec<_> = tree("src")
        .into_iter()
        .filter(|(name, _)| Path::new(name).extension().is_some_and(|end| end == "rs"))
        .map(|(name, text)| Source {
            path: Path::new(&name).strip_prefix("src").expect("below src").to_owned(),
            text,
        })
        .collect();
    assert!(sources.len() > 200, "the walk found {} files", sources.len());
    sources
}

/// Reads every file below a folder of the repository. The name of a file gives that file.
pub fn tree(name: &str) -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (mut found, mut open) = (Vec::new(), vec![root.join(name)]);
    while let Some(path) = open.pop() {
        if path.is_dir() {
            let entries = fs::read_dir(&path).expect("a folder");
            open.extend(entries.map(|entry| entry.expect("an entry").path()));
        } else if let Ok(text) = fs::read_to_string(&path) {
            let name = path.strip_prefix(root).expect("below the root");
            found.push((name.display().to_string(), text));
        }
    }
    found.sort();
    found
}

/// Reads one file of the repository.
pub fn read(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).expect(name)
}

/// Returns a text in which a line that is a comment is empty.
pub fn uncommented(text: &str) -> String {
    let line = |line| if is_comment(line) { "" } else { line };
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

/// Returns the paths that code imports, and those that it names where it uses them.
pub fn paths(code: &str) -> Vec<Vec<String>> {
    let imported = code
        .split(';')
        .filter_map(|statement| statement.rsplit_once("use ").map(|(_, tree)| flat(tree)));
    let named = code
        .split(|c: char| !c.is_alphanumeric() && c != '_' && c != ':')
        // A word such as `super::` is the beginning of a tree of imports.
        .filter(|word| word.contains("::") && !word.ends_with("::"))
        .map(|word| word.split("::").map(str::to_owned).collect());
    imported.flatten().chain(named).collect()
}

/// Fails if a rule found something.
pub fn none(offences: &[String]) {
    assert!(offences.is_empty(), "\n{}", offences.join("\n"));
}

/// Returns the paths of a tree of imports such as `crate::{a::B, c}`.
fn flat(tree: &str) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    let (mut stack, mut current): (Vec<Vec<String>>, Vec<String>) = (Vec::new(), Vec::new());
    let mut word = String::new();
    let end = |current: &mut Vec<String>, word: &mut String| {
        if !word.is_empty() {
            current.push(std::mem::take(word));
        }
    };
    for c in tree.trim().chars() {
        match c {
            '{' => stack.push(current.clone()),
            ':' => end(&mut current, &mut word),
            ',' | '}' => {
                end(&mut current, &mut word);
                let base = stack.last().cloned().unwrap_or_default();
                if current.len() > base.len() {
                    found.push(std::mem::replace(&mut current, base));
                }
                if c == '}' {
                    stack.pop();
                    current = stack.last().cloned().unwrap_or_default();
                }
            }
            c if c.is_alphanumeric() || c == '_' => word.push(c),
            _ => {}
        }
    }
    end(&mut current, &mut word);
    if !current.is_empty() && stack.is_empty() {
        found.push(current);
    }
    found
}

#[test]
fn code_has_neither_comments_nor_tests() {
    let text =
        "use crate::{a::B, c};\n// crate::no::No\nd::e();\n#[cfg(test)]\nmod tests { f::g() }";
    let source = Source { path: PathBuf::from("room/file.rs"), text: text.to_owned() };
    assert_eq!(source.code(), "use crate::{a::B, c};\n\nd::e();");
    let paths: Vec<_> = source.paths().iter().map(|path| path.join(".")).collect();
    assert!(["crate.a.B", "crate.c", "d.e"].iter().all(|path| paths.contains(&(*path).to_owned())));
    assert!(!paths.iter().any(|path| path.contains("no") || path.contains('f')), "{paths:?}");
    assert_eq!(source.offences(text, |line| line.contains("e()")), ["src/room/file.rs:3: d::e();"]);
}
