//! The forms in which a service may store a text.

use icu_normalizer::ComposingNormalizerBorrowed as ComposingNormalizer;
use serde_json::{Map, Value};

/// Which forms are switched on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Forms {
    /// Every run of blanks as one blank.
    pub fold_blanks: bool,
    /// Composed letters (NFC).
    pub compose_letters: bool,
    /// At most this many characters.
    pub cut_texts: Option<usize>,
}

impl Forms {
    /// Returns the stored form of a text.
    pub fn kept(self, text: &str) -> String {
        let mut kept = text.to_owned();
        if self.compose_letters {
            kept = ComposingNormalizer::new_nfc().normalize(&kept).into_owned();
        }
        if self.fold_blanks {
            kept = folded(&kept);
        }
        if let Some(most) = self.cut_texts {
            kept = kept.chars().take(most).collect();
        }
        kept
    }

    /// Changes every text of a write into this form, except members with these names and everything
    /// in them.
    pub fn keep(self, members: &mut Map<String, Value>, whole: &[&str]) {
        if self == Self::default() {
            return;
        }
        for (_, value) in members.iter_mut().filter(|(name, _)| !whole.contains(&name.as_str())) {
            self.value(value, whole);
        }
    }

    fn value(self, value: &mut Value, whole: &[&str]) {
        match value {
            Value::String(text) => *text = self.kept(text),
            Value::Array(entries) => entries.iter_mut().for_each(|entry| self.value(entry, whole)),
            Value::Object(members) => self.keep(members, whole),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
}

fn folded(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    for letter in text.chars() {
        if !letter.is_whitespace() {
            folded.push(letter);
        } else if !folded.ends_with(' ') {
            folded.push(' ');
        }
    }
    folded
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn texts_are_kept_in_the_forms_that_are_switched_on_and_keys_stay_whole() {
        let forms = Forms { fold_blanks: true, compose_letters: true, cut_texts: Some(7) };
        let mut members = json!({
            "title": "Zoe\u{308}  \u{a0} Lind", "email": "zoe.lind@example.com", "count": 1,
            "phones": [{"type": "work_mobile", "value": "+44  20 7946"}],
        });
        forms.keep(members.as_object_mut().unwrap(), &["email", "type"]);
        let kept = json!({
            "title": "Zoë Lin", "email": "zoe.lind@example.com", "count": 1,
            "phones": [{"type": "work_mobile", "value": "+44 20 "}],
        });
        assert_eq!(members, kept);
    }
}
