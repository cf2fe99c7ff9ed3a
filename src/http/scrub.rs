//! Takes values out of what a service says, because employees' data must not reach statuses and
//! logs.

use super::sentence::sentence;

/// The longest text that is kept, in characters.
const CAP: usize = 160;

/// The sign in place of what was taken out.
const GAP: char = '…';
const GAP_TEXT: &str = "…";

/// Signs that a reader takes for the at sign of an address.
const AT: [char; 3] = ['@', '\u{ff20}', '\u{fe6b}'];

/// The least number of digits in a row that counts as a number about an employee.
const DIGITS: usize = 5;

/// The least number of digits in groups that counts as a phone number or a date.
const GROUPED_DIGITS: usize = 7;

/// The least length of a word, in characters, that may be a token, a key or an id.
const TOKEN: usize = 20;

/// The least length of a value, in characters, that is taken out of any place. Shorter values are
/// taken out only as whole words. A surname "Dom" is not a part of "Domain", and taking it out
/// there would reveal it: the rest of a word shows what is missing.
const LONG: usize = 8;

/// Which parts of a text must not be shown, and which may.
#[derive(Clone, Copy, Debug, Default)]
pub struct Scrubber<'a> {
    /// Secrets. They are taken out of any place, even if they are short.
    pub secrets: &'a [&'a str],
    /// Employees' values. They are taken out in upper and lower case (see [`LONG`]).
    pub values: &'a [&'a str],
    /// Names of attributes. They are kept in quotes too, while any other quoted text is taken out.
    pub names: &'a [&'a str],
}

impl Scrubber<'_> {
    /// Returns the sentence in `text` on one line and with a bounded length. It has no secrets, no
    /// values, no quoted text that is not a name, no word with an at sign, no phone number, no long
    /// number, and no word that looks like a token or an id.
    #[must_use]
    pub fn clean(&self, text: &str) -> String {
        // A secret may be part of an escape, and may be written with escapes.
        let text = self.without_secrets(&sentence(&self.without_secrets(text)));
        let all = self.secrets.iter().chain(self.values);
        let mut values: Vec<Vec<char>> =
            all.map(|value| folded(&one_line(value))).filter(|value| !value.is_empty()).collect();
        // The longest value comes first, because a value may be part of another.
        values.sort_by_key(|value| std::cmp::Reverse(value.len()));
        let text = without_quoted(&without_values(&one_line(&text), &values), self.names);
        let mut text = without_words(&without_phones(&text), self.names);
        if text.chars().count() > CAP {
            text = text.chars().take(CAP - 1).chain([GAP]).collect();
        }
        // Parts that were apart may now be next to each other.
        for _ in 0..4 {
            let again = one_line(&without_values(&text, &values));
            if again == text {
                return text;
            }
            text = again;
        }
        String::new()
    }

    fn without_secrets(&self, text: &str) -> String {
        let secrets = self.secrets.iter().filter(|secret| !secret.is_empty());
        secrets.fold(text.to_owned(), |text, secret| text.replace(*secret, GAP_TEXT))
    }
}

fn one_line(text: &str) -> String {
    // An accent that is a character of its own would part two texts that look the same.
    let is_accent = |c: &char| ('\u{300}'..='\u{36f}').contains(c);
    let visible: String = text
        .chars()
        .filter(|c| !is_accent(c))
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    visible.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn folded(text: &str) -> Vec<char> {
    text.chars().map(fold).collect()
}

/// Folds one character to one character, so that positions stay the same: to lower case, and in
/// Latin script without an accent.
fn fold(c: char) -> char {
    let mut lower = c.to_lowercase();
    let lower = match (lower.next(), lower.next()) {
        (Some(only), None) => only,
        _ => c,
    };
    let is_latin =
        ('\u{c0}'..='\u{24f}').contains(&lower) || ('\u{1e00}'..='\u{1eff}').contains(&lower);
    let plain = deunicode::deunicode_char(lower).filter(|plain| is_latin && plain.len() == 1);
    plain
        .and_then(|plain| plain.chars().next())
        .filter(char::is_ascii_alphabetic)
        .map_or(lower, |plain| plain.to_ascii_lowercase())
}

fn without_values(text: &str, values: &[Vec<char>]) -> String {
    let mut chars: Vec<char> = text.chars().collect();
    for value in values {
        let haystack: Vec<char> = chars.iter().copied().map(fold).collect();
        let mut out = Vec::with_capacity(chars.len());
        let mut at = 0;
        while at < chars.len() {
            let end = at + value.len();
            // An HTML form writes a blank as a plus sign.
            let same = |(there, c): (&char, &char)| there == c || (*there, *c) == ('+', ' ');
            let here = haystack.len() >= end && haystack[at..end].iter().zip(value).all(same);
            let before = at.checked_sub(1).and_then(|at| haystack.get(at));
            let within_a_word =
                goes_on(before, value.first()) || goes_on(value.last(), haystack.get(end));
            let counts = value.len() >= LONG || !within_a_word;
            if here && counts && *value != [GAP] {
                out.push(GAP);
                at = end;
            } else {
                out.push(chars[at]);
                at += 1;
            }
        }
        chars = out;
    }
    chars.into_iter().collect()
}

/// Returns whether one word continues from `one` to `next`: both are letters, or both are digits. A
/// digit before a letter is more likely the end of an escape (`%20Dom`). In scripts without case
/// (Chinese, Hebrew, Arabic, Thai), words are not always separated, so such a letter does not say
/// where a word ends.
fn goes_on(one: Option<&char>, next: Option<&char>) -> bool {
    let letter = |c: &char| c.is_lowercase() || c.is_uppercase();
    let both = |part: fn(&char) -> bool| one.is_some_and(part) && next.is_some_and(part);
    both(letter) || both(|c| c.is_numeric())
}

/// Takes out what is in quotes, except for names.
fn without_quoted(text: &str, names: &[&str]) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let mut before = None;
    while let Some(open) = rest.chars().next() {
        let after = &rest[open.len_utf8()..];
        let close = match open {
            '"' | '`' => Some(open),
            // An apostrophe within a word opens no quote.
            '\'' if before.is_none_or(|c: char| !c.is_alphanumeric()) => Some('\''),
            '“' | '„' => Some('”'),
            '‘' => Some('’'),
            '«' => Some('»'),
            _ => None,
        };
        if let Some(close) = close {
            let (quoted, behind) = after.split_at(behind_closing(after, close));
            let inner = quoted.strip_suffix(close).unwrap_or(quoted);
            if names.contains(&inner) {
                out.extend([open]);
                out.push_str(quoted);
            } else {
                out.push(GAP);
            }
            rest = behind;
            before = Some(GAP);
        } else {
            out.push(open);
            rest = after;
            before = Some(open);
        }
    }
    out
}

/// Returns where the text continues after the closing quote. A quote that is not closed runs to the
/// end.
fn behind_closing(text: &str, close: char) -> usize {
    // An apostrophe within a quoted word (O'Brien) does not close the quote.
    let closes = |&(at, c): &(usize, char)| {
        let next = text[at + c.len_utf8()..].chars().next();
        c == close && (close != '\'' || next.is_none_or(|next| !next.is_alphanumeric()))
    };
    text.char_indices().find(closes).map_or(text.len(), |(at, c)| at + c.len_utf8())
}

/// Takes out phone numbers and dates: digits in groups. An address of the network stays.
fn without_phones(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while at < chars.len() {
        let run = chars[at..]
            .iter()
            .take_while(|c| c.is_numeric() || " \u{a0}-./()+".contains(**c))
            .count();
        let begins = chars[at].is_numeric() || matches!(chars[at], '+' | '(');
        let last = chars[at..at + run].iter().rposition(|c| c.is_numeric()).filter(|_| begins);
        let Some(last) = last else {
            out.push(chars[at]);
            at += 1;
            continue;
        };
        let group: String = chars[at..=at + last].iter().collect();
        let digits = group.chars().filter(|c| c.is_numeric()).count();
        let is_number = digits >= GROUPED_DIGITS || (digits >= DIGITS && group.starts_with('+'));
        out.push_str(if is_number && group.parse::<std::net::Ipv4Addr>().is_err() {
            GAP_TEXT
        } else {
            &group
        });
        at += last + 1;
    }
    out
}

fn without_words(text: &str, names: &[&str]) -> String {
    let is_address = |word: &str| word.contains(AT) || word.to_ascii_lowercase().contains("%40");
    let words = text.split(' ').map(|word| {
        if is_address(word) {
            GAP.to_string()
        } else if names.contains(&word.trim_matches(|c: char| c.is_ascii_punctuation())) {
            word.to_owned()
        } else {
            without_long_numbers(&without_tokens(word))
        }
    });
    words.collect::<Vec<_>>().join(" ")
}

/// Takes out what looks like a token, a key or an id: long, with letters and digits that alternate.
fn without_tokens(word: &str) -> String {
    let mut out = String::with_capacity(word.len());
    let mut rest = word;
    while let Some(first) = rest.chars().next() {
        let end = rest
            .find(|c: char| !c.is_ascii_alphanumeric() && !"-_.~+/=".contains(c))
            .unwrap_or(rest.len());
        let (token, behind) = rest.split_at(end.max(first.len_utf8()));
        let kinds: Vec<bool> =
            token.chars().filter(char::is_ascii_alphanumeric).map(|c| c.is_ascii_digit()).collect();
        let turns = kinds.windows(2).filter(|pair| pair[0] != pair[1]).count();
        out.push_str(if token.len() >= TOKEN && turns > 2 { GAP_TEXT } else { token });
        rest = behind;
    }
    out
}

fn without_long_numbers(word: &str) -> String {
    let mut out = String::with_capacity(word.len());
    let mut digits = String::new();
    for c in word.chars().map(Some).chain([None]) {
        match c {
            Some(c) if c.is_numeric() => digits.push(c),
            other => {
                if digits.chars().count() >= DIGITS {
                    out.push(GAP);
                } else {
                    out.push_str(&digits);
                }
                digits.clear();
                out.extend(other);
            }
        }
    }
    out
}

/// Returns whether a text shows a value: a long one in any place, a shorter one with no letter and
/// no digit next to it.
#[cfg(test)]
pub fn shows(text: &str, value: &str) -> bool {
    let [text, value] =
        [text, value].map(|text| one_line(text).to_lowercase().chars().collect::<Vec<char>>());
    let joined = |one: Option<&char>, next: Option<&char>| {
        [one, next].iter().all(|c| c.is_some_and(|c| c.is_alphanumeric()))
    };
    let stands = |at: usize| {
        let before = at.checked_sub(1).map(|at| &text[at]);
        let apart =
            !joined(before, value.first()) && !joined(value.last(), text.get(at + value.len()));
        text[at..].starts_with(&value) && (apart || value.len() >= LONG)
    };
    // The sign in place of a value is not a value.
    value.iter().any(|c| *c != GAP) && (0..text.len()).any(stands)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn scrub(text: &str, values: &[&str]) -> String {
        Scrubber { values, ..Scrubber::default() }.clean(text)
    }

    #[test]
    fn secrets_go_wherever_they_are_and_names_stay_in_quotes() {
        let scrubber =
            Scrubber { secrets: &["Lap1s", ""], values: &["Chief"], names: &["jobTitle", "Chief"] };
        for (text, clean) in [
            ("xLap1sx is refused, and so is Lap1s", "x…x is refused, and so is …"),
            ("Invalid value for 'jobTitle': \"Dom\"", "Invalid value for 'jobTitle': …"),
            ("`jobTitle` and 'department'", "`jobTitle` and …"),
            ("the name 'Chief' is a value as well", "the name … is a value as well"),
        ] {
            assert_eq!(scrubber.clean(text), clean, "{text}");
        }
    }

    #[test]
    fn values_quotes_addresses_and_long_numbers_go() {
        for (text, values, clean) in [
            (
                "Validation failed: Title is too long",
                &[][..],
                "Validation failed: Title is too long",
            ),
            ("Title HEAD OF  nothing is bad", &["Head of Nothing"], "Title … is bad"),
            ("value 'Noa O'Brien' of \"x\" and `y` is bad", &[], "value … of … and … is bad"),
            ("it can't be; don't", &[], "it can't be; don't"),
            ("an 'open quote hides the rest", &[], "an …"),
            ("mail noa.lind@example.com, <a@b>; id 4711 no 123456x", &[], "mail … … id 4711 no …x"),
            ("phone +49 30 1111 is bad", &["+49 30 1111"], "phone … is bad"),
            ("HR is taken, HRX is not", &["hr"], "… is taken, HRX is not"),
            ("line\none\ttwo\u{7}", &[], "line one two"),
            ("ÄRGER gefunden", &["ärger"], "… gefunden"),
            ("Domain not found.", &["Dom"], "Domain not found."),
            ("Dom, (dom) dom-1 x_dom 'x' <Dom>: DOM.", &["Dom"], "…, (…) …-1 x_… … <…>: …."),
            ("a freedom of the kingdom, Dom", &["dom"], "a freedom of the kingdom, …"),
            ("at %20Dom%20, dom2", &["Dom"], "at … , …2"),
            ("number 4711 of 14711", &["4711"], "number … of …"),
            ("number 471 of 4712", &["471"], "number … of 4712"),
            ("no (0)171 and no 1(0)1712", &["(0)171"], "no … and no 1(0)1712"),
            ("user XylophonistX there", &["Xylophonist"], "user …X there"),
            (
                "no access to noa\u{ff20}example.com or noa%40example.com",
                &[],
                "no access to … or …",
            ),
            ("id=12345;n=1234", &[], "id=…;n=1234"),
            ("用户王小明不存在", &["王小明"], "用户…不存在"),
            ("PRUFER is odd, Pru\u{308}fer too", &["Prüfer"], "… is odd, … too"),
            ("Zoë-Łucja", &["zoe-lucja"], "…"),
            ("title=Head+of%20Nothing, t=Head+of+Nothing", &["Head of Nothing"], "title=…, t=…"),
            ("call +49 (30) 901 82 17 or 030/1234567.", &[], "call … or …."),
            (
                "born 1980-02-29, at 203.0.113.77, 400 and 422",
                &[],
                "born …, at 203.0.113.77, 400 and 422",
            ),
            ("Bearer eyJhbGciOiJSUzI1NiJ9.eyJvaWQiOiI4ZjNj.SGVsbG8x, no", &[], "Bearer …, no"),
            (
                "id 8f3c1c2e-7d1b-4c55-9a53-2f1e7c0b9d10 and 5f1e7c0b9d10a4b3c2d1e0f9",
                &[],
                "id … and …",
            ),
            (
                "onPremisesExtensionAttributes.extensionAttribute15",
                &[],
                "onPremisesExtensionAttributes.extensionAttribute15",
            ),
        ] {
            assert_eq!(scrub(text, values), clean, "{text}");
        }
        assert_eq!(scrub(&"word ".repeat(100), &[]).chars().count(), CAP);
    }

    proptest! {
        #[test]
        fn no_value_survives(
            parts in proptest::collection::vec("[a-zA-ZäÖ '\"@0-9\\n…]{0,12}", 0..12),
            values in proptest::collection::vec("[a-zA-ZäÖ '@0-9.…]{3,10}", 1..4),
            picks in proptest::collection::vec((0usize..4, any::<bool>()), 0..12),
        ) {
            let mut text = String::new();
            for (part, (pick, upper)) in parts.iter().zip(picks.iter()) {
                text.push_str(part);
                let value = &values[pick % values.len()];
                text.push_str(&if *upper { value.to_uppercase() } else { value.clone() });
            }
            let given: Vec<&str> = values.iter().map(String::as_str).collect();
            let clean = scrub(&text, &given);
            for value in &values {
                prop_assert!(!shows(&clean, value), "{value:?} in {clean:?}");
            }
            prop_assert!(clean.chars().count() <= CAP);
        }

        #[test]
        fn any_text_is_survived(text in "\\PC{0,400}", value in "\\PC{0,20}") {
            let clean = scrub(&text, &[&value]);
            prop_assert!(clean.chars().count() <= CAP);
            prop_assert!(!clean.contains('@'));
        }

        #[test]
        fn nothing_personal_survives(before in ".{0,40}", user in "[a-z]{1,9}",
            id in "[0-9]{5,19}", after in ".{0,200}") {
            let clean = scrub(&format!("{before} {user}@example.com {id}{after}"), &[]);
            prop_assert!(!clean.contains('@') && !clean.contains(&id));
        }
    }
}
