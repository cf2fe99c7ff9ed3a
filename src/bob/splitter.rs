//! Finds the employees in a search answer while it arrives.
//!
//! The answer is one object, possibly hundreds of megabytes long, with all employees in its
//! `employees` array. The splitter follows its outer grammar byte by byte and hands out the bytes
//! of each element as a whole. The parser of an element checks what is inside. Only an element that
//! goes across the end of a chunk is copied.

/// The limits of one answer. A real employee takes a few KiB.
const WHOLE: u64 = 2 << 30;
const ELEMENT: usize = 1 << 20;
const DEPTH: u32 = 64;

/// Why the bytes are not an answer to a search. No variant has any of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// The outer grammar is broken.
    #[error("the answer is not the JSON object of a search")]
    Grammar,
    /// The body ended early.
    #[error("the answer was cut off")]
    CutOff,
    /// There is no `employees` array: it is missing, null or something else.
    #[error("the answer has no employees array")]
    NoEmployees,
    /// The key is there twice.
    #[error("the answer has two employees arrays")]
    TwoArrays,
    /// An element is not an object, or not valid JSON.
    #[error("an element of the employees array is not a JSON object")]
    Element,
    /// Something follows the object.
    #[error("something follows the end of the answer")]
    Trailing,
    /// The answer exceeds a limit of this reader.
    #[error("the answer passes the limit of {0}")]
    TooLarge(&'static str),
}

/// What the splitter has found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    /// One element of the array: the bytes of an object.
    Employee(&'a [u8]),
    /// A member next to the array: its key with the quotes, and its value.
    Member(&'a [u8], &'a [u8]),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expects {
    Start,
    KeyOrEnd,
    Key,
    Colon,
    Value,
    AfterValue,
    ElementOrEnd,
    Element,
    AfterElement,
    Done,
}

/// What kind of value is being taken in, with what is needed to find its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Taking {
    Nothing,
    Text { escaped: bool },
    Nested { depth: u32, text: bool, escaped: bool },
    Scalar,
}

/// The state between chunks. The caller feeds chunks in order and then calls [`Splitter::finish`].
#[derive(Debug)]
pub struct Splitter {
    at: Expects,
    taking: Taking,
    /// The part of the current value that came with earlier chunks.
    carry: Vec<u8>,
    /// The key of the next value, with its quotes.
    key: Vec<u8>,
    seen: u64,
    found_array: bool,
}

impl Default for Splitter {
    fn default() -> Self {
        Self {
            at: Expects::Start,
            taking: Taking::Nothing,
            carry: Vec::new(),
            key: Vec::new(),
            seen: 0,
            found_array: false,
        }
    }
}

impl Splitter {
    /// Takes the next chunk and gives every piece that it completes to `sink`, in order.
    ///
    /// # Errors
    /// [`Malformed`] as soon as the bytes cannot become an answer any more, or the error of `sink`.
    pub fn feed(
        &mut self,
        chunk: &[u8],
        sink: &mut impl FnMut(Piece<'_>) -> Result<(), Malformed>,
    ) -> Result<(), Malformed> {
        self.seen += chunk.len() as u64;
        if self.seen > WHOLE {
            return Err(Malformed::TooLarge("2 GiB in all"));
        }
        let mut rest = chunk;
        loop {
            if self.taking == Taking::Nothing {
                let Some(start) = rest.iter().position(|byte| !is_blank(*byte)) else {
                    return Ok(());
                };
                let used = self.step(rest[start])?;
                rest = &rest[start + usize::from(used)..];
                continue;
            }
            let end = self.value_end(rest)?;
            let taken = end.unwrap_or(rest.len());
            if self.carry.len() + taken > ELEMENT {
                return Err(Malformed::TooLarge("1 MiB for one value"));
            }
            if end.is_none() {
                self.carry.extend_from_slice(rest);
                return Ok(());
            }
            let (value, after) = rest.split_at(taken);
            self.taking = Taking::Nothing;
            if self.carry.is_empty() {
                self.deliver(value, sink)?;
            } else {
                let mut carry = std::mem::take(&mut self.carry);
                carry.extend_from_slice(value);
                self.deliver(&carry, sink)?;
                carry.clear();
                self.carry = carry;
            }
            rest = after;
        }
    }

    /// Checks that the answer was complete.
    ///
    /// # Errors
    /// [`Malformed::CutOff`] or [`Malformed::NoEmployees`].
    pub fn finish(&self) -> Result<(), Malformed> {
        match (self.at, self.found_array) {
            (Expects::Done, true) => Ok(()),
            (Expects::Done, false) => Err(Malformed::NoEmployees),
            _ => Err(Malformed::CutOff),
        }
    }

    /// Takes one byte of the outer grammar that is not white space. Returns whether it is used up.
    /// The first byte of a value is not used up, because the value begins with it.
    fn step(&mut self, byte: u8) -> Result<bool, Malformed> {
        let (next, taking) = match (self.at, byte) {
            (Expects::Start, b'{') => (Expects::KeyOrEnd, Taking::Nothing),
            (Expects::KeyOrEnd | Expects::Key, b'"') => {
                (Expects::Key, Taking::Text { escaped: false })
            }
            (Expects::Colon, b':') => (Expects::Value, Taking::Nothing),
            (Expects::Value, _) if self.key == b"\"employees\"" => match byte {
                _ if self.found_array => return Err(Malformed::TwoArrays),
                b'[' => {
                    self.found_array = true;
                    (Expects::ElementOrEnd, Taking::Nothing)
                }
                _ => return Err(Malformed::NoEmployees),
            },
            (Expects::Value, b'{' | b'[') => {
                (Expects::Value, Taking::Nested { depth: 0, text: false, escaped: false })
            }
            (Expects::Value, b'"') => (Expects::Value, Taking::Text { escaped: false }),
            (Expects::Value, b'-' | b'0'..=b'9' | b't' | b'f' | b'n') => {
                (Expects::Value, Taking::Scalar)
            }
            (Expects::ElementOrEnd | Expects::Element, b'{') => {
                (Expects::Element, Taking::Nested { depth: 0, text: false, escaped: false })
            }
            (Expects::AfterElement, b',') => (Expects::Element, Taking::Nothing),
            (Expects::ElementOrEnd | Expects::AfterElement, b']') => {
                (Expects::AfterValue, Taking::Nothing)
            }
            (Expects::AfterValue, b',') => (Expects::Key, Taking::Nothing),
            (Expects::KeyOrEnd | Expects::AfterValue, b'}') => (Expects::Done, Taking::Nothing),
            (Expects::Element | Expects::ElementOrEnd, _) => return Err(Malformed::Element),
            (Expects::Done, _) => return Err(Malformed::Trailing),
            _ => return Err(Malformed::Grammar),
        };
        self.at = next;
        self.taking = taking;
        Ok(taking == Taking::Nothing)
    }

    /// Returns where in `bytes` the value that is being taken in ends, if it ends there.
    fn value_end(&mut self, bytes: &[u8]) -> Result<Option<usize>, Malformed> {
        match &mut self.taking {
            Taking::Nothing => Ok(Some(0)),
            Taking::Scalar => Ok(bytes
                .iter()
                .position(|byte| is_blank(*byte) || matches!(byte, b',' | b'}' | b']'))),
            Taking::Text { escaped } => {
                // The opening quote is the first byte of the value. It may have come with an
                // earlier chunk.
                let from = usize::from(self.carry.is_empty());
                Ok(text_end(bytes, from, escaped))
            }
            Taking::Nested { depth, text, escaped } => nested_end(bytes, depth, text, escaped),
        }
    }

    fn deliver(
        &mut self,
        value: &[u8],
        sink: &mut impl FnMut(Piece<'_>) -> Result<(), Malformed>,
    ) -> Result<(), Malformed> {
        match self.at {
            Expects::Key => {
                self.key.clear();
                // A key may have escapes, and only then has to be decoded.
                if value.contains(&b'\\') {
                    let plain: String =
                        serde_json::from_slice(value).map_err(|_| Malformed::Grammar)?;
                    self.key.extend_from_slice(format!("\"{plain}\"").as_bytes());
                } else {
                    self.key.extend_from_slice(value);
                }
                self.at = Expects::Colon;
                Ok(())
            }
            Expects::Value => {
                self.at = Expects::AfterValue;
                sink(Piece::Member(&self.key, value))
            }
            _ => {
                self.at = Expects::AfterElement;
                sink(Piece::Employee(value))
            }
        }
    }
}

/// Returns whether this is JSON's white space. No other character counts.
const fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

/// Returns the place after the closing quote, searching from `from`.
fn text_end(bytes: &[u8], from: usize, escaped: &mut bool) -> Option<usize> {
    let mut at = from;
    while at < bytes.len() {
        if *escaped {
            *escaped = false;
            at += 1;
            continue;
        }
        at += bytes[at..].iter().position(|byte| matches!(byte, b'"' | b'\\'))? + 1;
        if bytes[at - 1] == b'"' {
            return Some(at);
        }
        *escaped = true;
    }
    None
}

/// Returns the place after the bracket that closes the first one. Kinds of brackets are not
/// compared: the parser refuses a value with brackets that do not match.
fn nested_end(
    bytes: &[u8],
    depth: &mut u32,
    text: &mut bool,
    escaped: &mut bool,
) -> Result<Option<usize>, Malformed> {
    let mut at = 0;
    while at < bytes.len() {
        if *text {
            match text_end(bytes, at, escaped) {
                Some(end) => {
                    *text = false;
                    at = end;
                }
                None => return Ok(None),
            }
            continue;
        }
        match bytes[at] {
            b'"' => *text = true,
            b'{' | b'[' => {
                *depth += 1;
                // The object and the array around the value are levels too.
                if *depth > DEPTH - 2 {
                    return Err(Malformed::TooLarge("64 levels"));
                }
            }
            b'}' | b']' => {
                *depth -= 1;
                if *depth == 0 {
                    return Ok(Some(at + 1));
                }
            }
            _ => {}
        }
        at += 1;
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Returns the elements and members of a body that arrives in these chunks.
    fn split<'a>(
        chunks: impl IntoIterator<Item = &'a [u8]>,
    ) -> Result<(Vec<String>, Vec<String>), Malformed> {
        let (mut employees, mut members) = (Vec::new(), Vec::new());
        let mut splitter = Splitter::default();
        for chunk in chunks {
            splitter.feed(chunk, &mut |piece| {
                match piece {
                    Piece::Employee(bytes) => {
                        employees.push(String::from_utf8(bytes.to_vec()).unwrap())
                    }
                    Piece::Member(key, value) => {
                        members.push(String::from_utf8([key, b"=", value].concat()).unwrap());
                    }
                }
                Ok(())
            })?;
        }
        splitter.finish().map(|()| (employees, members))
    }

    const BODY: &str = concat!(
        " {\"before\": [1, {\"employees\": [\"no\"]}], \"n\":-1.5e3 ,\r\n\"employees\" : [\n",
        r#"{"id":"1","a":"quote \" brace } bracket ] back\\"}, "#,
        r#"{"id":"2","b":{"c":[{},[]]},"é":"名\ud83d\ude00 👩‍💻"} ,{}"#,
        "\t], \"after\":null,\"text\":\"]}\\\"\"} \n"
    );

    #[test]
    fn elements_and_members_come_out_as_they_are_written() {
        let (employees, members) = split([BODY.as_bytes()]).unwrap();
        assert_eq!(employees.len(), 3);
        assert_eq!(employees[0], r#"{"id":"1","a":"quote \" brace } bracket ] back\\"}"#);
        assert_eq!(employees[2], "{}");
        let expected = [
            r#""before"=[1, {"employees": ["no"]}]"#,
            r#""n"=-1.5e3"#,
            r#""after"=null"#,
            r#""text"="]}\"""#,
        ];
        assert_eq!(members, expected);
    }

    #[test]
    fn every_pair_of_cuts_gives_the_same_pieces() {
        let bytes = BODY.as_bytes();
        let whole = split([bytes]).unwrap();
        for first in 0..=bytes.len() {
            for second in first..=bytes.len() {
                let chunks = [&bytes[..first], &bytes[first..second], &bytes[second..]];
                assert_eq!(split(chunks).as_ref(), Ok(&whole), "{first} {second}");
            }
        }
        assert_eq!(split(bytes.chunks(1)).unwrap(), whole);
    }

    #[test]
    fn every_truncation_is_an_error() {
        let bytes = BODY.trim_end().as_bytes();
        for end in 0..bytes.len() {
            assert_eq!(
                split([&bytes[..end]]),
                Err(Malformed::CutOff),
                "{}",
                String::from_utf8_lossy(&bytes[..end])
            );
        }
        assert!(split([bytes]).is_ok());
    }

    #[test]
    fn what_is_no_search_answer_says_why() {
        let deep = |levels: usize| {
            format!("{{\"employees\":[{}{}]}}", "{\"a\":".repeat(levels), "}".repeat(levels))
        };
        let long =
            |bytes: usize| format!("{{\"employees\":[{{\"a\":\"{}\"}}]}}", "x".repeat(bytes));
        for (body, expected) in [
            ("{}", Malformed::NoEmployees),
            (r#"{"key":"k","error":"e"}"#, Malformed::NoEmployees),
            (r#"{"employees":null}"#, Malformed::NoEmployees),
            (r#"{"employees":{"id":"1"}}"#, Malformed::NoEmployees),
            (r#"{"employees":"[]"}"#, Malformed::NoEmployees),
            (r#"{"employees":[],"employees":[]}"#, Malformed::TwoArrays),
            (r#"{"employees":[],"employ\u0065es":null}"#, Malformed::TwoArrays),
            (r#"{"employees":[null]}"#, Malformed::Element),
            (r#"{"employees":["1"]}"#, Malformed::Element),
            (r#"{"employees":[[]]}"#, Malformed::Element),
            (r#"{"employees":[{},]}"#, Malformed::Element),
            (r#"{"employees":[,{}]}"#, Malformed::Element),
            (r#"{"employees":[{}{}]}"#, Malformed::Grammar),
            (r#"{"employees":[]]}"#, Malformed::Grammar),
            (r#"{"employees":[],}"#, Malformed::Grammar),
            (r"{employees:[]}", Malformed::Grammar),
            (r#"{"employees"[]}"#, Malformed::Grammar),
            (r#"{"a":x,"employees":[]}"#, Malformed::Grammar),
            (r#"[{"id":"1"}]"#, Malformed::Grammar),
            ("<!DOCTYPE html><html></html>", Malformed::Grammar),
            ("\u{feff}{\"employees\":[]}", Malformed::Grammar),
            ("{\"employees\":[]}\u{c}", Malformed::Trailing),
            (r#"{"employees":[]}{"employees":[]}"#, Malformed::Trailing),
            (r#"{"employees":[]}x"#, Malformed::Trailing),
            (&deep(63), Malformed::TooLarge("64 levels")),
            (&long(ELEMENT), Malformed::TooLarge("1 MiB for one value")),
            ("", Malformed::CutOff),
            (" \n", Malformed::CutOff),
        ] {
            assert_eq!(split([body.as_bytes()]), Err(expected), "{}", &body[..body.len().min(80)]);
            assert_eq!(
                split(body.as_bytes().chunks(7)),
                Err(expected),
                "{}",
                &body[..body.len().min(80)]
            );
        }
        assert!(split([deep(62).as_bytes()]).is_ok());
        assert!(split([long(ELEMENT - 8).as_bytes()]).is_ok());
        assert_eq!(split([r#"{"employ\u0065es":[{}]}"#.as_bytes()]).unwrap().0, ["{}"]);
    }

    #[test]
    fn two_gibibytes_are_enough() {
        let mut splitter = Splitter { seen: WHOLE - 1, ..Splitter::default() };
        let mut sink = |_: Piece<'_>| Ok(());
        assert_eq!(splitter.feed(b" ", &mut sink), Ok(()));
        assert_eq!(splitter.feed(b" ", &mut sink), Err(Malformed::TooLarge("2 GiB in all")));
    }

    /// Returns any small JSON object.
    fn object() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<i64>().prop_map(Into::into),
            r#"[\[\]{}",:\\a-cé\u{1f600}\n ]{0,12}"#.prop_map(Into::into),
        ];
        let value = leaf.prop_recursive(4, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Into::into),
                prop::collection::btree_map(r#"[a-c"\\]{0,3}"#, inner, 0..4)
                    .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
            ]
        });
        prop::collection::btree_map(r#"[a-c"\\\[{]{0,4}"#, value, 0..5)
            .prop_map(|map| serde_json::Value::Object(map.into_iter().collect()))
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            failure_persistence: None,
            ..ProptestConfig::default()
        })]

        #[test]
        fn any_employees_in_any_chunks_come_out(
            people in prop::collection::vec(object(), 0..6),
            pretty in any::<bool>(),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
        ) {
            let answer = serde_json::json!({"employees": people,
                "response_metadata": {"next": "]"}});
            let written = if pretty {
                serde_json::to_vec_pretty(&answer)
            } else {
                serde_json::to_vec(&answer)
            };
            let body = written.unwrap();
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(body.len() + 1)).collect();
            cuts.extend([0, body.len()]);
            cuts.sort_unstable();
            let (employees, _) = split(cuts.windows(2).map(|cut| &body[cut[0]..cut[1]])).unwrap();
            let parsed: Vec<serde_json::Value> =
                employees.iter().map(|text| serde_json::from_str(text).unwrap()).collect();
            prop_assert_eq!(parsed, people);
            let cut_off = cuts[cuts.len() / 2];
            prop_assert_eq!(split([&body[..cut_off]]).is_ok(), cut_off == body.len());
        }
    }
}
