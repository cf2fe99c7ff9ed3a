//! Finds the sentence in what a service says: without escapes, and without the JSON, the page or
//! the stack trace around it.

use serde_json::Value;

/// How deep one text may be wrapped in another.
const DEPTH: u8 = 4;

/// Members that hold the sentence of an error object, the best first.
const SENTENCES: [&str; 8] = [
    "message",
    "error_description",
    "description",
    "detail",
    "errorSummary",
    "error",
    "errors",
    "status",
];

/// Tags that begin a whole page.
const PAGES: [&str; 5] = ["<!doctype", "<html", "<head", "<body", "<?xml"];

/// Tags that may be in a sentence.
const TAGS: [&str; 32] = [
    "a", "b", "br", "center", "code", "div", "em", "font", "h1", "h2", "h3", "h4", "h5", "h6",
    "hr", "i", "img", "li", "link", "meta", "ol", "p", "pre", "script", "small", "span", "strong",
    "style", "table", "td", "title", "ul",
];

/// Returns the sentence. It is empty if the text is only wrapping.
#[must_use]
pub fn sentence(text: &str) -> String {
    unwrapped(text, DEPTH)
}

fn unwrapped(text: &str, depth: u8) -> String {
    let text = text.trim();
    if depth > 0
        && text.starts_with(['{', '['])
        && let Ok(value) = serde_json::from_str::<Value>(text)
    {
        return said(&value, depth).map(|inner| unwrapped(&inner, depth - 1)).unwrap_or_default();
    }
    // A text may be encoded twice, once by each of two services.
    let text = (0..2).fold(text.to_owned(), |text, _| without_references(&without_percents(&text)));
    let text = without_json(&text);
    without_tags(before_page(before_trace(text)))
}

/// Returns the sentence of an error object.
fn said(value: &Value, depth: u8) -> Option<String> {
    match value {
        Value::String(text) if !text.trim().is_empty() => Some(text.clone()),
        Value::Array(items) if depth > 0 => items.iter().find_map(|item| said(item, depth - 1)),
        Value::Object(members) if depth > 0 => {
            // OData has its messages by language: `{"lang": "en", "value": "..."}`.
            let by_language = members.get("lang").and_then(|_| members.get("value"));
            let named = SENTENCES.iter().filter_map(|name| members.get(*name)).chain(by_language);
            let inner = members.values().filter(|member| member.is_object());
            named.chain(inner).find_map(|member| said(member, depth - 1))
        }
        _ => None,
    }
}

/// Returns the text before an object that is written into it.
fn without_json(text: &str) -> &str {
    let compact = ["{\"", "{'", "[{", "{\n", "{\r\n", "{ \""];
    compact.iter().filter_map(|begin| text.find(begin)).min().map_or(text, |at| &text[..at])
}

/// Decodes the escapes of an address (RFC 3986, 2.1), if they hold a text.
fn without_percents(text: &str) -> String {
    let byte = |rest: &str| {
        let digits = rest.strip_prefix('%')?.get(..2)?;
        digits
            .bytes()
            .all(|digit| digit.is_ascii_hexdigit())
            .then(|| u8::from_str_radix(digits, 16).ok())?
    };
    let (mut out, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(at) = rest.find('%') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let bytes: Vec<u8> = std::iter::successors(Some(0), |at| Some(at + 3))
            .map_while(|at| byte(rest.get(at..)?))
            .collect();
        let (escapes, behind) = rest.split_at((3 * bytes.len()).max(1));
        match String::from_utf8(bytes) {
            Ok(decoded) if !decoded.is_empty() => out.push_str(&decoded),
            _ => out.push_str(escapes),
        }
        rest = behind;
    }
    out + rest
}

/// Decodes the character references of a page that have a number, and the best known with a name.
fn without_references(text: &str) -> String {
    let character = |name: &str| match name {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        "nbsp" => Some(' '),
        "commat" => Some('@'),
        _ => {
            let number = name.strip_prefix('#')?;
            let hex = number.strip_prefix(['x', 'X']).map(|digits| u32::from_str_radix(digits, 16));
            char::from_u32(hex.unwrap_or_else(|| number.parse()).ok()?)
        }
    };
    let (mut out, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        match after.split_once(';').and_then(|(name, behind)| Some((character(name)?, behind))) {
            Some((character, behind)) => {
                out.push(character);
                rest = behind;
            }
            None => {
                out.push('&');
                rest = after;
            }
        }
    }
    out + rest
}

/// Returns the text before a whole page.
fn before_page(text: &str) -> &str {
    let lower = text.to_ascii_lowercase();
    PAGES.iter().filter_map(|begin| lower.find(begin)).min().map_or(text, |at| &text[..at])
}

fn without_tags(text: &str) -> String {
    let (mut out, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(at) = rest.find('<') {
        let name = rest[at + 1..].trim_start_matches('/');
        let ends = name.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(name.len());
        let is_tag = TAGS.contains(&&*name[..ends].to_ascii_lowercase())
            && name[ends..].starts_with(['>', ' ', '/']);
        let close = rest[at..].find('>').filter(|_| is_tag);
        out.push_str(&rest[..at]);
        out.push(if close.is_some() { ' ' } else { '<' });
        rest = &rest[close.map_or(at + 1, |close| at + close + 1)..];
    }
    out + rest
}

/// Returns the text before a stack trace.
fn before_trace(text: &str) -> &str {
    let lines = text.match_indices('\n').map(|(at, _)| at);
    let starts = std::iter::once(0).chain(lines).filter(|&at| is_frame(text[at..].trim_start()));
    let calls = text.match_indices(" at ").map(|(at, _)| at).filter(|&at| is_call(&text[at + 4..]));
    starts.chain(calls).min().map_or(text, |at| &text[..at])
}

/// Returns whether a line of a stack trace begins here.
fn is_frame(line: &str) -> bool {
    let line = line.lines().next().unwrap_or_default();
    ["Traceback (most recent", "File \"", "goroutine ", "Caused by: ", "from /", "/"]
        .iter()
        .any(|begin| line.starts_with(begin))
        || line.strip_prefix("at ").is_some_and(is_call)
        || line.strip_prefix('#').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
        || line.contains(":in `")
}

/// Returns whether a function of a program and its place begin here, as in `a.b.C.d(C.java:7)` and
/// `C.d (/a/b.js:7:1)`.
fn is_call(text: &str) -> bool {
    let mut words = text.split_whitespace();
    let (function, place) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let is_place = |place: &str| place.contains('(') && place.contains(['.', ':', '/']);
    (function.contains('.') && (function.contains('(') || is_place(place)))
        || function.starts_with('/')
        || function.starts_with("file:/")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_wraps_a_sentence_goes() {
        for (text, expected) in [
            ("Title is too long", "Title is too long"),
            ("a b < c > d, 50% of 100 %, R&D; <Dom>", "a b < c > d, 50% of 100 %, R&D; <Dom>"),
            (r#"{"error": {"code": 400, "message": "Title is odd"}}"#, "Title is odd"),
            (r#"[{"errors": [{"detail": "{\"message\": \"odd\"}"}]}]"#, "odd"),
            (
                r#"{"odata.error": {"message": {"lang": "en", "value": "Title is odd"}}}"#,
                "Title is odd",
            ),
            (
                r#"{"errors": {"title": {"value": "Noa", "message": "Title is odd"}}}"#,
                "Title is odd",
            ),
            (r#"{"name": "Noa Lind", "names": ["Noa"], "value": "Noa"}"#, ""),
            (r#"Upstream said 400: {"name": "Noa Lind"}"#, "Upstream said 400: "),
            ("title=Head%20of%2520Nothing %zz %FF %C3%BC", "title=Head of Nothing %zz %FF ü"),
            ("R&amp;amp;D is &#x22;odd&#34;", "R&D is \"odd\""),
            ("odd <html><body>Noa</body>", "odd "),
            ("<p>Title</p><br/>is <b class=\"x\">odd</b>", " Title  is  odd "),
            ("boom\n    at a.b.C.d(C.java:7)\n    at x", "boom"),
            ("boom at C.d (/app/c.js:7:1) at E.f (/app/e.js:1:1)", "boom"),
            ("undefined method\n/app/models/user.rb:42:in `save'", "undefined method"),
            ("Traceback (most recent call last):\n  File \"a.py\", line 1", ""),
            ("look at the title, or at example.com", "look at the title, or at example.com"),
        ] {
            assert_eq!(sentence(text), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in "[%&#;<>{}\\[\\]\":a-f0-9 /\\n(.)ü]{0,60}|\\PC{0,80}") {
            let _ = sentence(&text);
        }
    }
}
