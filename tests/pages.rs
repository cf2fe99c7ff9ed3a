//! Everything that the pages name exists: links lead to a file and a heading, and the pages about
//! the code name files, functions and types as the code has them.

use std::{
    collections::HashSet,
    fs,
    path::{Path, PathBuf},
};

/// Pages that name files, functions and types of the code.
const ABOUT_THE_CODE: [&str; 4] =
    ["ARCHITECTURE.md", "CONTRIBUTING.md", "docs/adding-a-provider.md", "docs/testing.md"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Returns every file of the repository with this extension, with its path from the root.
fn files(extension: &str) -> Vec<PathBuf> {
    fn walk(folder: &Path, extension: &str, found: &mut Vec<PathBuf>) {
        for path in
            fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path())
        {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if path.is_dir() {
                if name != "target" && name != ".git" {
                    walk(&path, extension, found);
                }
            } else if path.extension().is_some_and(|own| own == extension) {
                found.push(path.strip_prefix(root()).expect("below the root").to_owned());
            }
        }
    }
    let mut found = Vec::new();
    walk(root(), extension, &mut found);
    found
}

fn read(path: &Path) -> String {
    fs::read_to_string(root().join(path))
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn is_rust(name: &str) -> bool {
    Path::new(name).extension().is_some_and(|extension| extension == "rs")
}

/// Returns the page without its blocks of code.
fn prose(text: &str) -> String {
    let (mut inside, mut kept) = (false, String::new());
    for line in text.lines() {
        let fence = line.trim_start().starts_with("```");
        inside ^= fence;
        if !inside && !fence {
            kept.push_str(line);
            kept.push('\n');
        }
    }
    kept
}

/// Returns the anchors of a page, as GitHub makes them of its headings.
fn anchors(text: &str) -> HashSet<String> {
    let text = prose(text);
    let headings = text
        .lines()
        .filter(|line| line.starts_with('#'))
        .map(|line| line.trim_start_matches('#').trim().to_lowercase());
    let kept = |c: &char| c.is_alphanumeric() || [' ', '-', '_'].contains(c);
    headings
        .map(|heading| heading.chars().filter(kept).collect::<String>().replace(' ', "-"))
        .collect()
}

#[test]
fn every_link_leads_somewhere() {
    let (mut wrong, mut seen) = (Vec::new(), 0);
    for page in files("md") {
        let text = read(&page);
        let links = prose(&text)
            .split("](")
            .skip(1)
            .filter_map(|rest| Some(rest.split_once(')')?.0.to_owned()))
            .collect::<Vec<_>>();
        for link in links.iter().filter(|link| !link.contains("://")) {
            seen += 1;
            let (path, anchor) = link
                .split_once('#')
                .map_or((link.as_str(), None), |(path, anchor)| (path, Some(anchor)));
            let target = if path.is_empty() {
                root().join(&page)
            } else {
                root().join(&page).with_file_name("").join(path)
            };
            let has = |anchor: &str| {
                fs::read_to_string(&target).is_ok_and(|text| anchors(&text).contains(anchor))
            };
            if !target.exists() || anchor.is_some_and(|anchor| !has(anchor)) {
                wrong.push(format!("{}: {link}", page.display()));
            }
        }
    }
    assert!(seen > 80, "{seen} links were found");
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// Returns whether a line is wider than 100 columns and could be shorter. A row of a table cannot,
/// and neither can one link or one piece of code that has the line for itself.
fn is_too_wide(line: &str) -> bool {
    let alone = line.trim_start_matches([' ', '-', '>']).trim_end_matches(['.', ',', ';', ':']);
    let is_code = alone.starts_with('`') && alone.ends_with('`') && alone.matches('`').count() == 2;
    let is_link = !alone.contains(' ') && alone.contains("://")
        || alone.starts_with('[') && alone.ends_with(')') && alone.matches("](").count() == 1;
    let is_table = line.trim_start().starts_with('|');
    line.chars().count() > 100 && !is_table && !is_code && !is_link
}

#[test]
fn prose_is_at_most_100_columns_wide() {
    let (mut wide, mut seen) = (Vec::new(), 0);
    for page in files("md") {
        let text = prose(&read(&page));
        seen += text.lines().count();
        let lines = text.lines().filter(|line| is_too_wide(line));
        wide.extend(lines.map(|line| format!("{}: {line}", page.display())));
    }
    assert!(seen > 2_000, "{seen} lines were read");
    assert!(wide.is_empty(), "wrap these lines at 100 columns:\n{}", wide.join("\n"));
    let long = "word ".repeat(21);
    assert!(is_too_wide(&long) && is_too_wide(&format!("- {long}`code`")));
    assert!(!is_too_wide(&format!("| {long}|")) && !is_too_wide(&format!("  `{long}`.")));
    assert!(!is_too_wide(&format!("- [{long}](docs/safety.md),")));
}

/// Returns every text between backticks of these pages.
fn named() -> Vec<(&'static str, String)> {
    let mut named = Vec::new();
    for page in ABOUT_THE_CODE {
        let text = prose(&read(Path::new(page)));
        named.extend(
            text.split('`')
                .skip(1)
                .step_by(2)
                .map(|code| (page, code.split_whitespace().collect::<Vec<_>>().join(" "))),
        );
    }
    named
}

#[test]
fn files_that_are_named_exist() {
    let sources: Vec<String> =
        files("rs").iter().map(|path| format!("/{}", path.display())).collect();
    let plain = |code: &str| {
        code.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/._-".contains(&byte))
    };
    let (mut wrong, mut seen) = (Vec::new(), 0);
    for (page, code) in named() {
        let is_source = is_rust(&code);
        let is_path =
            is_source || code.ends_with('/') || (code.contains('/') && code.contains('.'));
        // A path that begins with a slash or leaves the repository is one of another machine.
        if !is_path || !plain(&code) || code.starts_with(['/', '~', '.']) {
            continue;
        }
        seen += 1;
        let named_alone =
            is_source && sources.iter().any(|source| source.ends_with(&format!("/{code}")));
        if !named_alone && !root().join(&code).exists() {
            wrong.push(format!("{page}: {code}"));
        }
    }
    assert!(seen > 150, "{seen} files were found");
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// Returns the names that a text of Rust defines.
fn defined(text: &str) -> HashSet<&str> {
    let kinds = ["fn", "struct", "enum", "trait", "type", "const", "static", "mod", "macro_rules"];
    let words: Vec<&str> = text
        .split(|c: char| !c.is_alphanumeric() && c != '_')
        .filter(|word| !word.is_empty())
        .collect();
    words.windows(2).filter(|pair| kinds.contains(&pair[0])).map(|pair| pair[1]).collect()
}

/// `name` in `file.rs`: the file defines the name. A type or `Type::function` without a file is
/// defined somewhere.
#[test]
fn functions_and_types_that_are_named_exist() {
    let page = prose(&read(Path::new("ARCHITECTURE.md")));
    let page = page.split_whitespace().collect::<Vec<_>>().join(" ");
    let sources: Vec<(String, String)> =
        files("rs").iter().map(|path| (format!("/{}", path.display()), read(path))).collect();
    let all: HashSet<&str> = sources.iter().flat_map(|(_, text)| defined(text)).collect();
    let pieces: Vec<&str> = page.split('`').collect();
    let (mut wrong, mut located, mut named) = (Vec::new(), 0, 0);
    for at in (1..pieces.len()).step_by(2) {
        let parts: Vec<&str> = pieces[at].split("::").collect();
        if !parts
            .iter()
            .all(|part| !part.is_empty() && part.chars().all(|c| c.is_alphanumeric() || c == '_'))
        {
            continue;
        }
        let file = pieces.get(at + 2).filter(|file| pieces[at + 1] == " in " && is_rust(file));
        let ok = if let Some(file) = file {
            located += 1;
            let name = parts[parts.len() - 1];
            sources.iter().any(|(path, text)| {
                path.ends_with(&format!("/{file}")) && defined(text).contains(name)
            })
        } else if parts.len() > 1
            || parts[0].starts_with(char::is_uppercase) && parts[0].ends_with(char::is_lowercase)
        {
            named += 1;
            parts.iter().all(|part| {
                all.contains(part) || part.starts_with(char::is_uppercase) && parts[0] != *part
            })
        } else {
            true
        };
        if !ok {
            wrong.push(format!(
                "{}{}",
                parts.join("::"),
                file.map(|file| format!(" in {file}")).unwrap_or_default()
            ));
        }
    }
    assert!(
        located > 25 && named > 25,
        "{located} names with a file and {named} without one were found"
    );
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}
