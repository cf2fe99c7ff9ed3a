//! The rules of the house that a compiler does not check: imports point one way, the core is pure,
//! files stay readable.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use bobsync::api::conditions::Type;

/// Every Rust file below `src`, with its path from there.
fn sources() -> Vec<(PathBuf, String)> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in
            fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path())
        {
            if entry.is_dir() {
                walk(&entry, found);
            } else if entry.extension().is_some_and(|extension| extension == "rs") {
                found.push(entry);
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut paths = Vec::new();
    walk(&root, &mut paths);
    let sources: Vec<_> = paths
        .into_iter()
        .map(|path| {
            (
                path.strip_prefix(&root).expect("below src").to_owned(),
                fs::read_to_string(&path).expect("text"),
            )
        })
        .collect();
    assert!(sources.len() > 40, "the walk found {} files", sources.len());
    sources
}

/// Returns lines that break a rule: file, number, text. Comments do not count.
fn offences(rooms: &[&str], breaks: impl Fn(&str) -> bool) -> Vec<String> {
    let mut found = Vec::new();
    for (path, text) in sources() {
        let room = path
            .components()
            .next()
            .map(|c| c.as_os_str().to_string_lossy().into_owned())
            .unwrap_or_default();
        if !rooms.contains(&room.as_str()) {
            continue;
        }
        for (number, line) in text.lines().enumerate() {
            let code = line.trim_start();
            if !code.starts_with("//") && breaks(code) {
                found.push(format!("src/{}:{}: {line}", path.display(), number + 1));
            }
        }
    }
    found
}

fn none(offences: &[String]) {
    assert!(offences.is_empty(), "\n{}", offences.join("\n"));
}

#[test]
fn the_core_is_pure() {
    let impure = [
        "kube::",
        "k8s_openapi",
        "reqwest",
        "tokio",
        "axum",
        "tracing",
        "std::time::Instant",
        "SystemTime",
        "async ",
        ".await",
        "Timestamp::now",
        "Zoned::now",
        "std::env",
        "std::fs",
        "std::thread",
    ];
    none(&offences(&["domain"], |line| impure.iter().any(|word| line.contains(word))));
}

/// A file, and the files of `src` that its code imports. Code of tests does not count.
type Imports = BTreeMap<PathBuf, BTreeSet<PathBuf>>;

fn imports() -> Imports {
    let sources: Vec<_> = sources()
        .into_iter()
        .filter(|(path, _)| !path.to_string_lossy().ends_with("tests.rs"))
        .collect();
    let module = |path: &Path| -> Vec<String> {
        let mut parts: Vec<_> = path
            .with_extension("")
            .iter()
            .map(|part| part.to_string_lossy().into_owned())
            .collect();
        if parts.last().is_some_and(|last| ["mod", "lib", "main"].contains(&last.as_str())) {
            parts.pop();
        }
        parts
    };
    let files: BTreeMap<Vec<String>, PathBuf> =
        sources.iter().map(|(path, _)| (module(path), path.clone())).collect();
    let mut found = Imports::new();
    for (path, text) in &sources {
        let own = module(path);
        let code = code(text);
        let paths = code
            .split(';')
            .filter_map(|statement| statement.rsplit_once("use ").map(|(_, tree)| flat(tree)));
        let inline = code
            .split(|c: char| !c.is_alphanumeric() && c != '_' && c != ':')
            // A word such as `super::` is the beginning of a tree of imports.
            .filter(|word| word.contains("::") && !word.ends_with("::"));
        let paths =
            paths.flatten().chain(inline.map(|word| word.split("::").map(str::to_owned).collect()));
        let entry = found.entry(path.clone()).or_default();
        for segments in paths {
            let mut at = own.clone();
            let mut rest = segments.as_slice();
            match rest.first().map(String::as_str) {
                Some("crate") => (at, rest) = (Vec::new(), &rest[1..]),
                Some("self") => rest = &rest[1..],
                Some("super") => {}
                _ => continue,
            }
            while rest.first().is_some_and(|part| part == "super") {
                at.pop();
                rest = &rest[1..];
            }
            at.extend_from_slice(rest);
            while !at.is_empty() && !files.contains_key(&at) {
                at.pop();
            }
            if let Some(file) = files.get(&at).filter(|file| *file != path) {
                entry.insert(file.clone());
            }
        }
    }
    found
}

/// The paths of a tree of imports such as `crate::{a::B, c}`.
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

/// The room of a file, and in the engine its wing.
fn place(path: &Path) -> (String, String) {
    let mut parts =
        path.iter().map(|part| part.to_string_lossy().trim_end_matches(".rs").to_owned());
    (parts.next().unwrap_or_default(), parts.next().unwrap_or_default())
}

#[test]
fn imports_point_one_way() {
    let ground = ["domain", "api", "http"];
    let floor = |room: &str| match room {
        room if ground.contains(&room) => Some(0),
        "telemetry" => Some(1),
        "bob" | "provider" | "cluster" => Some(2),
        "engine" => Some(3),
        "server" => Some(4),
        "cli" => Some(5),
        _ => None,
    };
    let wing = |wing: &str| match wing {
        "supervisor" => 4,
        "integration" => 3,
        "pass" => 2,
        "intake" | "settings" => 1,
        _ => 0,
    };
    let forbidden =
        [("bob", "api"), ("bob", "telemetry"), ("provider", "api"), ("provider", "telemetry")];
    let (mut found, mut seen) = (Vec::new(), 0);
    for (path, imported) in imports() {
        let (room, own) = place(&path);
        for other in imported {
            seen += 1;
            let (there, its) = place(&other);
            let (Some(from), Some(to)) = (floor(&room), floor(&there)) else { continue };
            let pair = (room.as_str(), there.as_str());
            let rooms = room != there && (to >= from || forbidden.contains(&pair));
            let wings =
                room == "engine" && there == "engine" && own != its && its != "mod" && own != "mod";
            if rooms || wings && wing(&its) >= wing(&own) && wing(&its) + wing(&own) > 0 {
                found.push(format!("src/{} imports src/{}", path.display(), other.display()));
            }
        }
    }
    assert!(seen > 700, "{seen}");
    none(&found);
}

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

/// The version that rustup installs is the one that images are built with. `rust-version` is the
/// oldest one, for a cargo without rustup.
#[test]
fn the_toolchain_and_the_images_have_one_version_of_rust() {
    let read = |name: &str| {
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).expect(name)
    };
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

#[test]
fn every_room_explains_itself_and_no_file_is_too_long() {
    for (path, text) in sources() {
        let name =
            path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if name == "mod.rs" || name == "lib.rs" {
            assert!(text.starts_with("//!"), "src/{} does not explain its room", path.display());
        }
        let lines = text.lines().count();
        assert!(lines <= 750, "src/{} has {lines} lines", path.display());
        let stem = path.to_string_lossy().into_owned();
        assert!(
            !["utils", "helpers", "common", "manager"].iter().any(|word| stem.contains(word)),
            "src/{stem}: say what it does"
        );
    }
}

/// A lock of `parking_lot` has no poison, which no code here would use. So `lock` cannot fail.
#[test]
fn no_lock_can_be_poisoned() {
    let (mut found, mut locks) = (Vec::new(), 0);
    for (path, text) in sources() {
        let code: Vec<_> =
            text.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
        let code = code.join("\n");
        let imported = code
            .split(';')
            .filter_map(|statement| statement.rsplit_once("use ").map(|(_, tree)| flat(tree)));
        let written = code
            .split(|c: char| !c.is_alphanumeric() && c != '_' && c != ':')
            .filter(|word| word.contains("::"))
            .map(|word| word.split("::").map(str::to_owned).collect());
        for segments in imported.flatten().chain(written) {
            let has = |words: &[&str]| segments.iter().any(|part| words.contains(&part.as_str()));
            let is_lock = has(&["Mutex", "RwLock", "PoisonError"]);
            locks += u32::from(is_lock && has(&["parking_lot"]));
            if is_lock && has(&["std"]) || has(&["PoisonError"]) {
                found.push(format!("src/{}: {}", path.display(), segments.join("::")));
            }
        }
    }
    assert!(locks > 30, "{locks}");
    none(&found);
}

#[test]
fn no_unsafe_code_and_nothing_unfinished() {
    let (_, lib) =
        sources().into_iter().find(|(path, _)| path == Path::new("lib.rs")).expect("lib.rs");
    assert!(lib.contains("#![forbid(unsafe_code)]"));
    let rooms = [
        "api",
        "bob",
        "cli",
        "cluster",
        "domain",
        "engine",
        "http",
        "provider",
        "server",
        "telemetry",
    ];
    none(&offences(&rooms, |line| {
        ["todo!(", "unimplemented!(", "#[ignore"].iter().any(|word| line.contains(word))
    }));
}

/// Only these know which provider it is: the provider's own folder, the two files that name all
/// providers (`engine/settings/targets.rs`, and the list of modules), and the resource's type.
#[test]
fn nobody_else_asks_which_provider_it_is() {
    let rooms =
        ["bob", "cli", "cluster", "domain", "engine", "http", "provider", "server", "telemetry"];
    let names = ["onelogin", "google", "entra", "jumpcloud"];
    let fields = [
        ".one_login",
        ".google_workspace",
        ".entra_id",
        ".jump_cloud",
        ".label ==",
        ".label !=",
        "catalog().name ==",
        "catalog.name ==",
    ];
    let mut found = Vec::new();
    for (path, text) in sources() {
        let parts: Vec<_> =
            path.components().map(|part| part.as_os_str().to_string_lossy().into_owned()).collect();
        let own = parts[0] == "provider" && parts.len() > 2;
        let test = path.file_stem().is_some_and(|stem| stem.to_string_lossy().ends_with("tests"));
        if !rooms.contains(&parts[0].as_str())
            || own
            || test
            || path == Path::new("engine/settings/targets.rs")
        {
            continue;
        }
        for (number, line) in
            text.split("#[cfg(test)]").next().unwrap_or_default().lines().enumerate()
        {
            let code = line.trim_start();
            let named = names.iter().any(|name| {
                code.contains(&format!("{name}::")) || code.contains(&format!("provider::{name}"))
            });
            if !code.starts_with("//") && (named || fields.iter().any(|field| code.contains(field)))
            {
                found.push(format!("src/{}:{}: {line}", path.display(), number + 1));
            }
        }
    }
    none(&found);
}

/// An administrator who opens a firewall reads one page: it names every host in the code.
#[test]
fn every_host_that_is_called_is_on_the_page_of_hosts() {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/hosts.md"))
        .expect("docs/hosts.md");
    let mut hosts = Vec::new();
    for (path, text) in sources() {
        let places = ["provider", "engine", "bob"].iter().any(|room| path.starts_with(room));
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        let lines = code.lines().filter(|line| places && !line.trim_start().starts_with("//"));
        // A host alone is a base; with a path it is a scope or an example, and half a host is a
        // comparison.
        let bases = lines
            .flat_map(|line| line.split("\"https://").skip(1))
            .filter_map(|rest| rest.split_once('"'));
        hosts.extend(
            bases
                .map(|(host, _)| host.to_owned())
                .filter(|host| host.contains('.') && !host.contains('/') && !host.ends_with('.')),
        );
    }
    assert!(hosts.len() > 12, "{hosts:?}");
    for host in hosts {
        let host = host.replace("{}", "acme").replace("{region}", "us");
        assert!(page.contains(&format!("`{host}`")), "docs/hosts.md does not name {host}");
    }
}

/// Returns the code of a file without its tests and comments.
fn code(text: &str) -> String {
    let tests = ["#[cfg(test)]\nmod tests", "#[cfg(test)]\n#[path"]
        .iter()
        .filter_map(|mark| text.find(mark))
        .min();
    let lines = text[..tests.unwrap_or(text.len())]
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"));
    lines.collect::<Vec<_>>().join("\n")
}

/// Finds names that are in the code of `src` only once, where they are made: a compiler does not
/// see that a public item has no use. An item for tests says so.
#[test]
fn what_is_public_is_used_outside_of_tests() {
    let word = |c: char| c.is_alphanumeric() || c == '_';
    let sources: Vec<_> = sources()
        .into_iter()
        .filter(|(path, _)| !path.to_string_lossy().ends_with("tests.rs"))
        .collect();
    let mut uses: std::collections::HashMap<String, u32> = std::collections::HashMap::new();
    for (_, text) in &sources {
        code(text)
            .split(|c| !word(c))
            .for_each(|name| *uses.entry(name.to_owned()).or_default() += 1);
    }
    let kinds = ["fn", "struct", "enum", "const", "static", "trait", "type"];
    let (mut unused, mut seen) = (Vec::new(), 0);
    for (path, text) in &sources {
        let text = &text[..text.find("#[cfg(test)]\nmod tests").unwrap_or(text.len())];
        let mut about = String::new();
        for line in text.lines().map(str::trim_start) {
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
                    unused.push(format!("src/{}: {name}", path.display()));
                }
            }
            about.clear();
        }
    }
    assert!(seen > 700, "{seen}");
    none(&unused);
}

/// The folders of the providers.
const FOLDERS: [&str; 4] = ["entra", "google", "jumpcloud", "onelogin"];

/// Returns the lines of code of a provider's folder: without tests, comments and blanks.
fn lines_of(folder: &str) -> Vec<Vec<String>> {
    let sources = sources().into_iter().filter(|(path, _)| {
        path.starts_with(Path::new("provider").join(folder))
            && !path.to_string_lossy().ends_with("tests.rs")
    });
    let lines = |text: &str| -> Vec<String> {
        let code = code(text);
        code.lines().map(|line| line.trim().to_owned()).filter(|line| !line.is_empty()).collect()
    };
    sources.map(|(_, text)| lines(&text)).collect()
}

/// A provider is a table and a few hooks. What two of them need is written once, next to them.
#[test]
fn a_provider_is_a_table_and_a_few_hooks() {
    let lines: usize = FOLDERS.iter().flat_map(|folder| lines_of(folder)).map(|l| l.len()).sum();
    assert!((2_000..=MOST_LINES).contains(&lines), "{lines} lines of code in the provider folders");
}

/// The four folders had 6,300 lines of code, of which every third one was in another folder too. A
/// text that is broken at 100 columns counts as several lines.
const MOST_LINES: usize = 3_170;

/// Lists of imports and modules, and lines without a word, are alike anyway.
#[test]
fn no_three_lines_of_a_provider_are_those_of_another_one() {
    let mut seen: BTreeMap<Vec<String>, &str> = BTreeMap::new();
    let (mut found, mut windows) = (Vec::new(), 0);
    for folder in FOLDERS {
        for file in lines_of(folder) {
            let text = file.join("\n");
            let lines = text.split(";\n").filter(|part| {
                !["use ", "pub use ", "mod ", "pub mod "].iter().any(|word| part.starts_with(word))
            });
            let lines: Vec<String> = lines
                .flat_map(str::lines)
                .filter(|line| line.contains(char::is_alphanumeric))
                .map(str::to_owned)
                .collect();
            for window in lines.windows(3) {
                windows += 1;
                let other = *seen.entry(window.to_vec()).or_insert(folder);
                if other != folder {
                    found.push(format!("{other} and {folder}: {}", window.join(" ")));
                }
            }
        }
    }
    assert!(windows > 2_000, "{windows}");
    none(&found);
}

/// Every reason in the list is used.
#[test]
fn every_reason_is_given_somewhere() {
    let sources = sources();
    let (_, list) =
        sources.iter().find(|(path, _)| path == Path::new("api/reasons.rs")).expect("the list");
    let all: String = sources
        .iter()
        .filter(|(path, _)| !path.to_string_lossy().ends_with("tests.rs"))
        .map(|(_, text)| code(text))
        .collect();
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
    let mut found = Vec::new();
    for (path, text) in sources() {
        let tests = path.to_string_lossy().ends_with("tests.rs");
        // A printed column has a name of its own.
        let is_one = |line: &&str| {
            !line.contains("printcolumn(") && types.iter().any(|kind| line.contains(kind))
        };
        if !tests {
            found.extend(
                code(&text)
                    .lines()
                    .filter(is_one)
                    .map(|line| format!("src/{}: {line}", path.display())),
            );
        }
    }
    none(&found);
}

/// Words that a reader stumbles over if English is their second language.
const RIDDLES: [&str; 19] = [
    "whom",
    "whoever",
    "somebody",
    "nobody",
    "everybody",
    "anybody",
    "beside",
    "aside",
    "stands",
    "is none",
    "but for",
    "be it",
    "all the same",
    "administrator whose",
    "employee whose",
    "employees whose",
    "people whose",
    "person whose",
    "those whose",
];

/// A text that people read: the line on which it begins, and whether it is a comment.
type Prose = (usize, bool, String);

/// Returns the comments and the string literals of a Rust file. Comments on lines that follow each
/// other are one text, so that a phrase is found across their lines.
fn prose(text: &str) -> Vec<Prose> {
    let chars: Vec<char> = text.chars().collect();
    let at = |i: usize| chars.get(i).copied().unwrap_or('\0');
    let (mut found, mut i, mut line): (Vec<Prose>, usize, usize) = (Vec::new(), 0, 1);
    let mut last_comment = 0;
    while i < chars.len() {
        let begin = (i, line);
        let is_word = i > 0 && (at(i - 1).is_alphanumeric() || at(i - 1) == '_');
        match at(i) {
            '/' if at(i + 1) == '/' => {
                while i < chars.len() && at(i) != '\n' {
                    i += 1;
                }
                let said: String = chars[begin.0..i].iter().collect();
                let said = said.trim_start_matches(['/', '!']).to_owned();
                if last_comment + 1 == line
                    && let Some((_, true, before)) = found.last_mut()
                {
                    before.push_str(&said);
                } else {
                    found.push((line, true, said));
                }
                last_comment = line;
            }
            'r' if !is_word && begins_raw(&chars[i + 1..]) => {
                let hashes = chars[i + 1..].iter().take_while(|c| **c == '#').count();
                i += hashes + 2;
                let end: Vec<char> =
                    std::iter::once('"').chain(std::iter::repeat_n('#', hashes)).collect();
                let from = i;
                while i < chars.len() && !chars[i..].starts_with(&end) {
                    line += usize::from(at(i) == '\n');
                    i += 1;
                }
                found.push((begin.1, false, chars[from..i].iter().collect()));
                i += end.len();
            }
            '"' => {
                i += 1;
                let mut said = String::new();
                while i < chars.len() && at(i) != '"' {
                    if at(i) == '\\' {
                        i += 1;
                        said.push(if at(i) == '"' { '"' } else { ' ' });
                    } else {
                        said.push(at(i));
                    }
                    line += usize::from(at(i) == '\n');
                    i += 1;
                }
                found.push((begin.1, false, said));
                i += 1;
            }
            '\'' if at(i + 1) == '\\' => {
                i += 3;
                while at(i) != '\'' && i < chars.len() {
                    i += 1;
                }
                i += 1;
            }
            '\'' if at(i + 2) == '\'' => i += 3,
            c => {
                line += usize::from(c == '\n');
                i += 1;
            }
        }
    }
    found
}

/// Returns whether a raw string begins after its `r`.
fn begins_raw(rest: &[char]) -> bool {
    rest.iter().find(|c| **c != '#') == Some(&'"')
}

/// Returns the riddles in a text. What is in backticks is code.
fn riddles(text: &str) -> Vec<&'static str> {
    let plain = text.split('`').step_by(2).collect::<Vec<_>>().join(" . ");
    // A sign ends a phrase.
    let signs = |c: char| !c.is_alphanumeric() && !c.is_whitespace() && !['_', '-'].contains(&c);
    let plain = plain.replace(signs, " . ").to_lowercase();
    let words: Vec<&str> = plain.split_whitespace().collect();
    let words = format!(" {} ", words.join(" "));
    RIDDLES.into_iter().filter(|riddle| words.contains(&format!(" {riddle} "))).collect()
}

/// Returns every file below a folder of the repository, with its text. A name of a file gives that
/// file.
fn tree(name: &str) -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (mut found, mut open) = (Vec::new(), vec![root.join(name)]);
    while let Some(path) = open.pop() {
        if path.is_dir() {
            open.extend(
                fs::read_dir(&path).expect("a folder").map(|entry| entry.expect("an entry").path()),
            );
        } else if let Ok(text) = fs::read_to_string(&path) {
            found.push((
                path.strip_prefix(root).expect("below the root").display().to_string(),
                text,
            ));
        }
    }
    found.sort();
    found
}

#[test]
fn riddles_are_found_in_comments_and_texts_and_not_in_code() {
    let code = r##"
        fn nobody(everybody: &'static str) -> char {
            // One sentence, all the
            // same.
            say("a \"text\" for \
                somebody", r#"whom "else" too"#, '"', '\'');
            nobody(everybody) // `whoever` is code
        }
    "##;
    let found: Vec<_> =
        prose(code).into_iter().map(|(line, _, text)| (line, riddles(&text))).collect();
    let found: Vec<_> = found.into_iter().filter(|(_, words)| !words.is_empty()).collect();
    assert_eq!(
        found,
        [(3, vec!["all the same"]), (5, vec!["somebody"]), (6, vec!["whom"])],
        "{:?}",
        prose(code)
    );
}

/// Comments, and the texts of `src` that people read, use plain words. So do the pages and the
/// chart. Names of tests may be sentences of any words.
#[test]
fn prose_uses_plain_words() {
    let (mut found, mut seen) = (Vec::new(), 0);
    let mut check = |file: &str, line: usize, text: &str| {
        seen += 1;
        found.extend(riddles(text).into_iter().map(|word| format!("{file}:{line}: \"{word}\"")));
    };
    for folder in ["src", "tests", "testbed", "simulators", "benches"] {
        for (file, text) in tree(folder) {
            let own = file == "tests/architecture.rs";
            if Path::new(&file).extension().is_none_or(|extension| extension != "rs") || own {
                continue;
            }
            for (line, is_comment, text) in prose(&text) {
                if is_comment || folder == "src" {
                    check(&file, line, &text);
                }
            }
        }
    }
    let pages = ["docs", "charts", "crds", "examples"].into_iter().flat_map(tree);
    let root = ["README", "ARCHITECTURE", "CHANGELOG", "CONTRIBUTING", "SECURITY"];
    let root = root.into_iter().flat_map(|name| tree(&format!("{name}.md")));
    for (file, text) in pages.chain(root) {
        for (number, line) in text.lines().enumerate() {
            check(&file, number + 1, line);
        }
    }
    assert!(seen > 10_000, "{seen}");
    none(&found);
}

/// No line of `src` is longer than 100 columns.
#[test]
fn no_line_is_longer_than_100_columns() {
    let mut found = Vec::new();
    for (path, text) in sources() {
        for (number, line) in text.lines().enumerate() {
            let columns = line.chars().count();
            if columns > 100 {
                found.push(format!("src/{}:{}: {columns}", path.display(), number + 1));
            }
        }
    }
    none(&found);
}

/// Returns the structs of a file with named fields, each with the number of its fields.
fn structs(text: &str) -> Vec<(String, usize)> {
    let mut found: Vec<(String, usize)> = Vec::new();
    let mut inside = None;
    for line in code(text).lines() {
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
    // What a step of a pass works with has few groups. The two exceptions are what is found, as one
    // flat list.
    let few = ["Pass", "Recorder", "Execution", "Guarding", "Deciding"];
    let exceptions = ["Verdict"];
    let (mut found, mut seen) = (Vec::new(), BTreeSet::new());
    for (path, text) in sources().iter().filter(|(path, _)| path.starts_with("engine")) {
        for (name, fields) in structs(text) {
            let most = if few.contains(&&*name) { 8 } else { 12 };
            if fields > most && !exceptions.contains(&&*name) {
                found.push(format!("src/{}: {name} has {fields} fields", path.display()));
            }
            seen.insert(name);
        }
    }
    assert!(seen.len() > 100, "{}", seen.len());
    few.iter().for_each(|name| assert!(seen.contains(*name), "{name} has another name"));
    none(&found);
}
