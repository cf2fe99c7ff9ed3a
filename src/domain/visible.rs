//! Invisible characters. In an address, such a character makes two texts differ that look the same.

use std::borrow::Cow;

/// First and last character of each range: Unicode's format characters (Cf), and other characters
/// that are drawn as nothing.
const UNSEEN: [(char, char); 30] = [
    ('\u{ad}', '\u{ad}'),
    ('\u{34f}', '\u{34f}'),
    ('\u{600}', '\u{605}'),
    ('\u{61c}', '\u{61c}'),
    ('\u{6dd}', '\u{6dd}'),
    ('\u{70f}', '\u{70f}'),
    ('\u{890}', '\u{891}'),
    ('\u{8e2}', '\u{8e2}'),
    ('\u{115f}', '\u{1160}'),
    ('\u{17b4}', '\u{17b5}'),
    ('\u{180b}', '\u{180f}'),
    ('\u{200b}', '\u{200f}'),
    ('\u{202a}', '\u{202e}'),
    ('\u{2060}', '\u{206f}'),
    ('\u{3164}', '\u{3164}'),
    ('\u{fe00}', '\u{fe0f}'),
    ('\u{feff}', '\u{feff}'),
    ('\u{ffa0}', '\u{ffa0}'),
    ('\u{fff0}', '\u{fffb}'),
    ('\u{110bd}', '\u{110bd}'),
    ('\u{110cd}', '\u{110cd}'),
    ('\u{13430}', '\u{1343f}'),
    ('\u{1bca0}', '\u{1bca3}'),
    ('\u{1d173}', '\u{1d17a}'),
    ('\u{e0000}', '\u{e001f}'),
    ('\u{e0020}', '\u{e007f}'),
    ('\u{e0080}', '\u{e00ff}'),
    ('\u{e0100}', '\u{e01ef}'),
    ('\u{e01f0}', '\u{e07ff}'),
    ('\u{e0800}', '\u{e0fff}'),
];

/// Returns whether a character is drawn as nothing. Blanks do not count.
#[must_use]
pub fn is_unseen(c: char) -> bool {
    !c.is_ascii() && UNSEEN.iter().any(|(first, last)| (*first..=*last).contains(&c))
}

/// Returns whether this is the wide form of an ASCII character, as East Asian keyboards type it.
const fn is_full_width(c: char) -> bool {
    matches!(c, '\u{ff01}'..='\u{ff5e}')
}

/// Returns the text without blanks and invisible characters at its ends.
#[must_use]
pub fn trimmed(text: &str) -> &str {
    if text.is_ascii() {
        text.trim()
    } else {
        text.trim_matches(|c: char| c.is_whitespace() || is_unseen(c))
    }
}

/// Returns the same for a text that may be owned, or `None` if nothing is left of it.
#[must_use]
pub fn trimmed_of(text: Cow<'_, str>) -> Option<Cow<'_, str>> {
    let text = match text {
        Cow::Borrowed(text) => Cow::Borrowed(trimmed(text)),
        Cow::Owned(text) if trimmed(&text).len() == text.len() => Cow::Owned(text),
        Cow::Owned(text) => Cow::Owned(trimmed(&text).to_owned()),
    };
    (!text.is_empty()).then_some(text)
}

/// Returns what is wrong with an address that contains an invisible character or one that looks
/// like another.
#[must_use]
pub fn fault(address: &str) -> Option<String> {
    if address.is_ascii() {
        return None;
    }
    let bad = address.chars().find(|c| is_unseen(*c) || is_full_width(*c))?;
    let what = if is_full_width(bad) { "a full-width letter" } else { "an invisible character" };
    Some(format!("its value has {what} (U+{:04X})", u32::from(bad)))
}

/// Returns the text as it looks on a screen: without invisible characters, and with narrow letters
/// in place of wide ones.
#[must_use]
pub fn look(text: &str) -> Cow<'_, str> {
    if text.is_ascii() || !text.chars().any(|c| is_unseen(c) || is_full_width(c)) {
        return Cow::Borrowed(text);
    }
    let narrow = |c: char| {
        if is_full_width(c) { char::from_u32(u32::from(c) - 0xfee0).unwrap_or(c) } else { c }
    };
    Cow::Owned(text.chars().filter(|c| !is_unseen(*c)).map(narrow).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_format_character_of_unicode_is_unseen() {
        let format = regex::Regex::new(r"^\p{Cf}$").unwrap();
        let missed: Vec<char> = ('\0'..=char::MAX)
            .filter(|c| format.is_match(c.encode_utf8(&mut [0; 4])) && !is_unseen(*c))
            .collect();
        assert!(missed.is_empty(), "{missed:?}");
        let letters: Vec<char> = ('\0'..=char::MAX)
            .filter(|c| is_unseen(*c) && (c.is_whitespace() || c.is_numeric()))
            .collect();
        assert!(letters.is_empty(), "{letters:?}");
    }

    #[test]
    fn unseen_characters_go_at_the_ends_and_are_named_inside() {
        for unseen in
            ['\u{200b}', '\u{feff}', '\u{200f}', '\u{ad}', '\u{202e}', '\u{2066}', '\u{e0041}']
        {
            assert_eq!(trimmed(&format!("{unseen} noa@example.com{unseen}")), "noa@example.com");
            let inside = format!("noa{unseen}@example.com");
            assert_eq!((trimmed(&inside), &*look(&inside)), (&*inside, "noa@example.com"));
            assert!(
                fault(&inside)
                    .is_some_and(|why| why.contains(&format!("U+{:04X}", u32::from(unseen)))),
                "{unseen:?}"
            );
        }
        assert!(fault("\u{ff4e}oa@example.com").is_some_and(|why| why.contains("full-width")));
        assert_eq!(look("\u{ff2e}oa@example.com"), "Noa@example.com");
        for good in [
            "noa@example.com",
            "kim@m\u{fc}nchen.example",
            "\u{5c71}\u{7530}@example.com",
            "o'neil+x@example.com",
        ] {
            assert_eq!((fault(good), trimmed(good), &*look(good)), (None, good, good));
        }
        assert_eq!(
            (trimmed_of("\u{200b} ".into()), trimmed_of("\u{feff}7".into())),
            (None, Some("7".into()))
        );
    }
}
