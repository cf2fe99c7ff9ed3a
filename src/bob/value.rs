//! Chooses which of Bob's forms of a value counts. These are the rules, and the first that matches
//! is used:
//!
//! 1. In neither the nested nor the slash form: absent, even if there is a label. The field is
//!    hidden, misspelt or not asked for.
//! 2. Null in the nested form, or in the slash form if the nested one lacks the key: empty. An
//!    empty list is empty too.
//! 3. References to employees: the machine's value, which is the id. An object (`work.reportsTo`)
//!    gives its `id`. A label never counts, because names repeat.
//! 4. Days, and any text that is an ISO date or date and time: the machine's value. Labels spell
//!    days by locale.
//! 5. Yes or no: `true` or `false`. Labels spell them by language.
//! 6. Numbers: the label, unless it is the same number with separators. Then the number as written,
//!    digit by digit.
//! 7. Text (list items are ids): the label if it is not blank.
//! 8. Lists: the label, or the labels joined with `, `. Other objects: the label, or the name that
//!    they have.
//!
//! A value that these rules cannot read is absent, because absence changes nothing anywhere.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::wanted::ValueKind;

/// The raw JSON of one field's value in each form.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct RawForms<'a> {
    pub nested: Option<&'a str>,
    /// The object `{"value": ..}`.
    pub slash: Option<&'a str>,
    pub human: Option<&'a str>,
}

/// The value of one field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ShownValue<'a> {
    Absent,
    Null,
    Text(Cow<'a, str>),
}

impl<'a> RawForms<'a> {
    pub fn show(&self, kind: ValueKind) -> ShownValue<'a> {
        let Some(machine) = self.nested.or_else(|| inner(self.slash?)) else {
            return ShownValue::Absent;
        };
        let human = || label(self.human?);
        let text = match (machine.as_bytes().first(), kind) {
            (Some(b'n'), _) => return ShownValue::Null,
            (Some(b'['), _) if is_empty_list(machine) => return ShownValue::Null,
            (Some(b'"'), ValueKind::Reference | ValueKind::Date) => text(machine),
            (Some(b'"'), ValueKind::Label) => match text(machine) {
                Some(text) if is_iso_date(&text) => Some(text),
                machine => human().or(machine),
            },
            (Some(b'{'), ValueKind::Reference) => member(machine, &["id"]),
            (Some(b'{'), ValueKind::Name) => human().or_else(|| member(machine, &["displayName"])),
            (_, ValueKind::Name) => human(),
            (Some(b'{'), ValueKind::Label) => {
                human().or_else(|| member(machine, &["displayName", "name", "value"]))
            }
            (Some(b'['), ValueKind::Label) => human().or_else(|| label(machine)),
            (Some(b'[' | b'{'), _) => None,
            (Some(b't' | b'f'), _) | (_, ValueKind::Reference | ValueKind::Date) => {
                Some(Cow::Borrowed(machine))
            }
            _ => human()
                .filter(|label| !is_same_number(machine, label))
                .or(Some(Cow::Borrowed(machine))),
        };
        text.map_or(ShownValue::Absent, ShownValue::Text)
    }
}

/// Returns the raw value inside the slash form.
fn inner(slash: &str) -> Option<&str> {
    #[derive(serde::Deserialize)]
    struct Slash<'a> {
        // Without an explicit adapter a null would count as a missing value.
        #[serde(borrow, default, deserialize_with = "present")]
        value: Option<&'a RawValue>,
    }
    fn present<'de, D: serde::Deserializer<'de>>(
        json: D,
    ) -> Result<Option<&'de RawValue>, D::Error> {
        <&RawValue as serde::Deserialize>::deserialize(json).map(Some)
    }
    serde_json::from_str::<Slash<'_>>(slash).ok()?.value.map(RawValue::get)
}

/// Returns the text of a raw JSON string. Returns `None` for escapes that are not Unicode text
/// (half of a surrogate pair).
fn text(raw: &str) -> Option<Cow<'_, str>> {
    match raw.strip_prefix('"')?.strip_suffix('"')? {
        plain if !plain.as_bytes().contains(&b'\\') => Some(Cow::Borrowed(plain)),
        _ => serde_json::from_str(raw).ok().map(Cow::Owned),
    }
}

/// Returns the text of a label, or `None` if it is blank or has no text.
fn label(raw: &str) -> Option<Cow<'_, str>> {
    let said = match raw.as_bytes().first()? {
        b'"' => text(raw)?,
        b'{' => member(raw, &["displayName", "name", "value"])?,
        b'[' => {
            let items: Vec<&RawValue> = serde_json::from_str(raw).ok()?;
            let labels: Vec<Cow<'_, str>> =
                items.iter().filter_map(|item| label(item.get())).collect();
            Cow::Owned(labels.join(", "))
        }
        b'n' => return None,
        _ => Cow::Borrowed(raw),
    };
    (!said.trim().is_empty()).then_some(said)
}

/// Returns the first of these members of a small object that is text or a number.
fn member(raw: &str, names: &[&str]) -> Option<Cow<'static, str>> {
    #[derive(serde::Deserialize)]
    struct Members<'a>(#[serde(borrow)] std::collections::BTreeMap<Cow<'a, str>, &'a RawValue>);
    let Members(members) = serde_json::from_str(raw).ok()?;
    names.iter().find_map(|name| {
        let raw = members.get(*name)?.get();
        match raw.as_bytes().first()? {
            b'"' => text(raw)
                .filter(|text| !text.trim().is_empty())
                .map(|text| Cow::Owned(text.into_owned())),
            b'-' | b'0'..=b'9' => Some(Cow::Owned(raw.to_owned())),
            _ => None,
        }
    })
}

fn is_empty_list(raw: &str) -> bool {
    serde_json::from_str::<Vec<serde::de::IgnoredAny>>(raw).is_ok_and(|items| items.is_empty())
}

/// Returns whether this is `YYYY-MM-DD`, alone or before a `T`.
fn is_iso_date(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.len() >= 10
        && (bytes.len() == 10 || bytes[10] == b'T')
        && bytes[..10].iter().enumerate().all(|(at, byte)| match at {
            4 | 7 => *byte == b'-',
            _ => byte.is_ascii_digit(),
        })
}

/// Returns whether a label is only this number with separators (`1042` and `1,042.00`). The label
/// of a numbered list item may be another number (`2291837` and `2024`), which is not another
/// format of it.
fn is_same_number(raw: &str, label: &str) -> bool {
    if label.contains(|c: char| c.is_alphabetic()) {
        return false;
    }
    if raw.contains(['.', 'e', 'E']) {
        return true;
    }
    let digits = |text: &str| text.chars().filter(char::is_ascii_digit).collect::<String>();
    let (number, shown) = (digits(raw), digits(label));
    let Some(rest) = shown.strip_prefix(&number) else { return false };
    let decimals = label.chars().rev().take_while(char::is_ascii_digit).count();
    // Two zeros after the last separator are cents, three are thousands.
    rest.is_empty()
        || (rest.len() <= 2 && rest.bytes().all(|digit| digit == b'0') && decimals == rest.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(kind: ValueKind, nested: &str, slash: &str, human: &str) -> String {
        let given = |text| Some(text).filter(|text: &&str| !text.is_empty());
        match (RawForms { nested: given(nested), slash: given(slash), human: given(human) })
            .show(kind)
        {
            ShownValue::Absent => "absent".to_owned(),
            ShownValue::Null => "null".to_owned(),
            ShownValue::Text(text) => format!("'{text}'"),
        }
    }

    #[test]
    fn plain_fields() {
        for (nested, slash, human, expected) in [
            // Presence.
            ("", "", "", "absent"),
            ("", "", r#""Label without a value""#, "absent"),
            ("null", "", "", "null"),
            ("null", r#"{"value":"x"}"#, r#""x""#, "null"),
            ("", r#"{"value":null}"#, "", "null"),
            ("", r#"{"value":"x"}"#, "", "'x'"),
            ("", r#"{ "other": 1, "value" : 2291837 }"#, r#""London""#, "'London'"),
            ("", r#"{"other":"x"}"#, "", "absent"),
            ("", r#""x""#, "", "absent"),
            (r#""nested""#, r#"{"value":"slash"}"#, "", "'nested'"),
            // Text and list items.
            (r#""209192163""#, "", r#""Engineering""#, "'Engineering'"),
            (r#""209192163""#, "", r#""  ""#, "'209192163'"),
            (r#""209192163""#, "", "null", "'209192163'"),
            (r#""209192163""#, "", "{}", "'209192163'"),
            (r#""""#, "", "", "''"),
            (r#""hired""#, "", r#""Hired""#, "'Hired'"),
            (r#""caf\u00e9 \ud83d\ude00 \"q\" \\ \/""#, "", "", "'café 😀 \"q\" \\ /'"),
            (r#""1""#, "", r#""名前 \u00e9""#, "'名前 é'"),
            (r#""half \ud83d""#, "", "", "absent"),
            (r#""half \ud83d""#, "", r#""whole""#, "'whole'"),
            // Days stay as the machine writes them.
            (r#""2026-11-02""#, "", r#""02/11/2026""#, "'2026-11-02'"),
            (
                r#""2023-05-19T11:13:40.175639""#,
                "",
                r#""19/05/2023""#,
                "'2023-05-19T11:13:40.175639'",
            ),
            (r#""2026-11-02-A""#, "", r#""Batch""#, "'Batch'"),
            // Yes and no.
            ("true", "", r#""Yes""#, "'true'"),
            ("false", "", r#""No""#, "'false'"),
            // Numbers.
            ("1042", "", r#""1042""#, "'1042'"),
            ("1042", "", r#""1,042""#, "'1042'"),
            ("1042", "", r#""1.042,00""#, "'1042'"),
            ("1042", "", "\"1\u{202f}042\"", "'1042'"),
            ("-5", "", r#""-5""#, "'-5'"),
            ("1042", "", "1042", "'1042'"),
            ("1042", "", "", "'1042'"),
            ("2291837", "", r#""London""#, "'London'"),
            ("2291837", "", r#""2024""#, "'2024'"),
            ("1", "", r#""100""#, "'100'"),
            ("1", "", r#""1,000""#, "'1,000'"),
            ("50000", "", r#""50,000 USD""#, "'50,000 USD'"),
            ("0.10", "", r#""0.1""#, "'0.10'"),
            ("1234.5678", "", r#""1,234.57""#, "'1234.5678'"),
            ("1e3", "", "", "'1e3'"),
            ("98765432109876543210987", "", "", "'98765432109876543210987'"),
            // Lists.
            (r#"["1","2"]"#, "", r#"["Red","Blue"]"#, "'Red, Blue'"),
            (r#"["1","2"]"#, "", r#""Red, Blue""#, "'Red, Blue'"),
            (r#"["1", 2]"#, "", "", "'1, 2'"),
            (r#"[{"id":"1","name":"Red"}]"#, "", "", "'Red'"),
            ("[ ]", "", "", "null"),
            // Objects.
            (r#"{"value":5,"currency":"EUR"}"#, "", r#""5 EUR""#, "'5 EUR'"),
            (r#"{"value":5,"currency":"EUR"}"#, "", "", "'5'"),
            (r#"{"x":1}"#, "", "", "absent"),
        ] {
            assert_eq!(
                show(ValueKind::Label, nested, slash, human),
                expected,
                "{nested} {slash} {human}"
            );
        }
    }

    #[test]
    fn references_give_the_id() {
        for (nested, human, expected) in [
            (r#""3332883884017713238""#, r#""Ada Okoro""#, "'3332883884017713238'"),
            ("3332883884017713238", r#""Ada Okoro""#, "'3332883884017713238'"),
            ("18446744073709551617123", "", "'18446744073709551617123'"),
            (
                r#"{"displayName":"Ada Okoro","id":"3332883884017713238"}"#,
                r#""Ada Okoro""#,
                "'3332883884017713238'",
            ),
            (r#"{"id":3332883884017713238}"#, "", "'3332883884017713238'"),
            (r#"{"displayName":"Ada Okoro"}"#, r#""Ada Okoro""#, "absent"),
            (r#"["3332883884017713238"]"#, "", "absent"),
            ("null", r#""Ada Okoro""#, "null"),
        ] {
            assert_eq!(show(ValueKind::Reference, nested, "", human), expected, "{nested} {human}");
        }
    }

    #[test]
    fn deciding_days_are_the_machines_even_when_they_are_no_dates() {
        for (nested, expected) in [
            (r#""2026-11-02""#, "'2026-11-02'"),
            (r#""02/11/2026""#, "'02/11/2026'"),
            ("1793577600000", "'1793577600000'"),
            ("null", "null"),
            (r#"{"from":"2026-11-02"}"#, "absent"),
        ] {
            let label = if nested.starts_with('{') { "" } else { r#""2 November""# };
            assert_eq!(show(ValueKind::Date, nested, "", label), expected, "{nested}");
        }
    }

    #[test]
    fn the_name_of_an_employee_is_the_label_and_never_the_id() {
        let id = "\"3332883884017713238\"";
        assert_eq!(show(ValueKind::Name, id, "", "\"Ada Okoro\""), "'Ada Okoro'");
        assert_eq!(
            show(ValueKind::Name, id, "", ""),
            show(ValueKind::Label, "", "", ""),
            "not shown"
        );
        assert_eq!(
            show(ValueKind::Name, "null", "", "null"),
            show(ValueKind::Label, "null", "", "")
        );
        let object = r#"{"id": "3332883884017713238", "displayName": "Ada Okoro"}"#;
        assert_eq!(show(ValueKind::Name, object, "", ""), "'Ada Okoro'");
    }
}
