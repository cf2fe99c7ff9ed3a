//! What functions take.

use crate::source::{Source, none, sources};

/// Returns the parameters of a function, from the text after its opening parenthesis.
fn parameters(text: &str) -> Vec<String> {
    let (mut depth, mut found, mut one) = (0_u32, Vec::new(), String::new());
    let mut before = ' ';
    for c in text.chars() {
        match c {
            '(' | '[' | '{' | '<' => depth += 1,
            ')' if depth == 0 => break,
            ')' | ']' | '}' => depth -= 1,
            '>' if before != '-' => depth -= 1,
            _ => {}
        }
        if c == ',' && depth == 0 {
            found.push(std::mem::take(&mut one));
        } else {
            one.push(c);
        }
        before = c;
    }
    found.push(one);
    found.into_iter().map(|one| one.trim().to_owned()).collect()
}

/// Returns whether a parameter is a tuple, by its pattern, by its type, or by the name of a type
/// that is one. `&(dyn Trait + Send)` is no tuple.
fn is_tuple(parameter: &str, aliases: &[String]) -> bool {
    let kind = parameter.split_once(": ").map_or("", |(_, kind)| kind);
    let kind = kind.trim_start_matches('&').trim_start_matches("mut ");
    parameter.starts_with('(')
        || kind.starts_with('(') && !kind.starts_with("(dyn ")
        || aliases.iter().any(|alias| kind.split('<').next() == Some(alias.as_str()))
}

/// Returns the names of types that are tuples.
fn aliases(code: &str) -> Vec<String> {
    let names = code.lines().filter_map(|line| {
        let (name, kind) = line.split_once("type ")?.1.split_once(" = (")?;
        (!kind.starts_with(')')).then(|| name.split('<').next().unwrap_or_default().to_owned())
    });
    names.collect()
}

fn offences(source: &Source) -> Vec<String> {
    let code = source.code();
    let aliases = aliases(&code);
    let mut found = Vec::new();
    for (at, _) in code.match_indices("fn ") {
        let rest = &code[at + 3..];
        let Some(open) = rest.find('(') else { continue };
        let all = parameters(&rest[open + 1..]).into_iter();
        let line = code[..at].lines().count();
        found.extend(all.filter(|one| is_tuple(one, &aliases)).map(|one| source.at(line, &one)));
    }
    found
}

/// What always travels together has a type with names. A tuple only hides how much a function
/// takes.
#[test]
fn no_parameter_is_a_tuple() {
    none(&sources().iter().flat_map(offences).collect::<Vec<_>>());
}

#[test]
fn a_tuple_is_found_by_its_pattern_and_by_its_type() {
    let text = "fn a((b, c): (u8, u8), d: &(dyn Fn() + Sync), e: impl Fn(u8, u8) -> bool) {}\n\
                fn f(&self, g: (u8, Vec<(u8, u8)>)) {}\ntype H<'a> = (&'a str, u8);\n\
                type N = ();\nfn i(h: H<'_>, n: N, v: Vec<(u8, u8)>) {}";
    let source = Source { path: "room/file.rs".into(), text: text.to_owned() };
    let found = offences(&source);
    assert_eq!(found.len(), 3, "{found:#?}");
    let wanted = ["(b, c)", "g: (u8", "h: H<"];
    assert!(wanted.iter().zip(&found).all(|(part, one)| one.contains(part)), "{found:#?}");
}
