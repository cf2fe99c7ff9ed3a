//! The words of comments, of texts that people read, and of pages.

use std::path::Path;

use crate::source::{none, tree};

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
            let own = file == "tests/architecture/words.rs";
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
