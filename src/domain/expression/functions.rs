//! The functions that an expression may call, what each of them costs, and the environment that
//! runs them. To add a function, add a line to [`FUNCTIONS`] and, if CEL does not have it, an
//! overload to [`ENVIRONMENT`].

use std::{
    any::Any,
    ops::RangeInclusive,
    sync::{Arc, LazyLock},
};

use cel::{
    Env, ExecutionError,
    common::{
        types::{CelBool, CelString, STRING_TYPE, Type},
        value::{CowVal, StaticVal, Val},
    },
    extensions,
};
use regex::{Regex, RegexBuilder};

/// A function that an expression may call.
pub(super) struct Function {
    pub name: &'static str,
    pub style: Style,
    /// The least and the most operands, with the one before the dot.
    pub operands: RangeInclusive<usize>,
    pub yields: Yields,
}

/// How a function is written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    /// `f(x)`
    Global,
    /// `x.f()`
    Member,
    /// Both forms are allowed.
    Both,
}

/// How large a function's result can be, which also says how much work it is.
#[derive(Clone, Copy)]
pub(super) enum Yields {
    /// A number or a truth, after one look at the operands.
    Scalar,
    /// A number, found by trying each position of the second operand in the first.
    Position,
    /// Text that is not longer than the first operand.
    AtMost,
    /// Text of a number or a truth, or the first operand.
    Text,
    /// The parts of the first operand.
    Parts,
    /// The elements of the first operand with the second between them.
    Joined,
    /// The first operand with the third in place of the second.
    Replaced,
    /// A truth, by a pattern that is compiled once.
    Matched,
    /// ASCII text for the first operand. One letter of the operand may become several letters.
    Transliterated,
}

/// All functions. Operators and macros are those of CEL.
pub(super) const FUNCTIONS: &[Function] = &[
    function("size", Style::Both, 1..=1, Yields::Scalar),
    function("contains", Style::Member, 2..=2, Yields::Scalar),
    function("startsWith", Style::Member, 2..=2, Yields::Scalar),
    function("endsWith", Style::Member, 2..=2, Yields::Scalar),
    function(MATCHES, Style::Both, 2..=2, Yields::Matched),
    function("string", Style::Global, 1..=1, Yields::Text),
    function("int", Style::Global, 1..=1, Yields::Scalar),
    function("double", Style::Global, 1..=1, Yields::Scalar),
    function("bool", Style::Global, 1..=1, Yields::Scalar),
    function("lowerAscii", Style::Member, 1..=1, Yields::AtMost),
    function("upperAscii", Style::Member, 1..=1, Yields::AtMost),
    function("trim", Style::Member, 1..=1, Yields::AtMost),
    function("charAt", Style::Member, 2..=2, Yields::AtMost),
    function("substring", Style::Member, 2..=3, Yields::AtMost),
    function("indexOf", Style::Member, 2..=3, Yields::Position),
    function("lastIndexOf", Style::Member, 2..=3, Yields::Position),
    function("replace", Style::Member, 3..=4, Yields::Replaced),
    function("split", Style::Member, 2..=3, Yields::Parts),
    function("join", Style::Member, 1..=2, Yields::Joined),
    function(USERNAME, Style::Global, 1..=1, Yields::Transliterated),
];

const fn function(
    name: &'static str,
    style: Style,
    operands: RangeInclusive<usize>,
    yields: Yields,
) -> Function {
    Function { name, style, operands, yields }
}

/// The name as people write it. CEL's own function compiles the pattern at every call.
pub(super) const MATCHES: &str = "matches";
/// The name after rewriting: the same function over a compiled [`Pattern`].
pub(super) const MATCHES_COMPILED: &str = "@matches";

/// A function of bobsync that makes a username from a name.
pub(super) const USERNAME: &str = "username";

/// CEL's standard library, its strings extension, and bobsync's functions. Expressions can only
/// call what [`FUNCTIONS`] names.
pub(super) static ENVIRONMENT: LazyLock<Arc<Env>> = LazyLock::new(|| {
    let mut environment = Env::default().with_optional_support(false).with_stdlib();
    let added = environment
        .add_extension(extensions::strings)
        .and_then(|()| {
            environment.add_overload(
                MATCHES_COMPILED,
                "string_matches_pattern",
                vec![STRING_TYPE, PATTERN],
                matches,
            )
        })
        .and_then(|()| {
            environment.add_overload(USERNAME, "username_string", vec![STRING_TYPE], username)
        });
    debug_assert!(added.is_ok(), "every overload is new");
    Arc::new(environment)
});

const PATTERN: Type = Type::new_unspecified_type("pattern");
static PATTERN_TYPE: Type = PATTERN;

/// The most characters of a pattern.
const PATTERN_LENGTH: usize = 200;
/// The most bytes of a compiled pattern, and of each of its caches.
const PATTERN_SIZE: usize = 256 << 10;

/// A compiled pattern, as a value that only `@matches` takes.
#[derive(Clone, Debug)]
pub(super) struct Pattern(Regex);

impl Pattern {
    /// Compiles a pattern.
    ///
    /// # Errors
    /// A sentence for a person.
    pub fn compile(text: &str) -> Result<Self, String> {
        if text.chars().count() > PATTERN_LENGTH {
            return Err(format!(
                "a pattern of `matches` is longer than {PATTERN_LENGTH} characters; write several \
                 short ones"
            ));
        }
        RegexBuilder::new(text)
            .size_limit(PATTERN_SIZE)
            .dfa_size_limit(PATTERN_SIZE)
            .nest_limit(20)
            .build()
            .map(Self)
            .map_err(|error| match error {
                regex::Error::CompiledTooBig(_) => {
                    "a pattern of `matches` is too large; use shorter repetitions such as {1,20}, \
                     and [a-z0-9] instead of \\w"
                        .to_owned()
                }
                _ => "a pattern of `matches` is not a regular expression (RE2 syntax, without \
                    look-around and back-references)"
                    .to_owned(),
            })
    }
}

impl Val for Pattern {
    fn get_type(&self) -> &Type {
        &PATTERN_TYPE
    }

    fn cel_type() -> &'static Type {
        &PATTERN_TYPE
    }

    fn clone_as_boxed<'v>(&self) -> Box<dyn Val + 'v> {
        Box::new(self.clone())
    }

    fn as_any(&self) -> Option<&dyn Any> {
        Some(self)
    }
}

impl StaticVal for Pattern {}

/// Matches what is between words: everything except letters, the marks on them, digits, and
/// characters that only say how to show others. `\w` takes connectors such as `_` as parts of a
/// word, and this pattern does not.
static BETWEEN_WORDS: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"[[^\w\p{N}\p{Cf}]\p{Pc}]+")
        .expect("the pattern is a constant, and a test compiles it")
});

/// Returns a username made from a name. The name is transliterated to ASCII and lower-cased. Each
/// run of characters that are not letters or digits becomes one dot, and no dot is left at the
/// ends.
///
/// The name as it is written says where words end, and not its transliteration. The transliteration
/// has signs for letters that ASCII lacks ("Ol'ga" for "Ольга"), and they are left out.
pub(super) fn username_of(text: &str) -> String {
    let mut name = String::with_capacity(text.len());
    for word in BETWEEN_WORDS.split(text) {
        let mut apart = !name.is_empty();
        // A letter without an ASCII form is left out.
        for letter in word.chars().filter_map(deunicode::deunicode_char) {
            for c in letter.chars().filter(char::is_ascii_alphanumeric) {
                if std::mem::take(&mut apart) {
                    name.push('.');
                }
                name.push(c.to_ascii_lowercase());
            }
            // An ideograph is a syllable of its own. Its transliteration shows that by a blank at
            // the end ("Wang ").
            apart |= !name.is_empty()
                && letter.ends_with(' ')
                && letter.starts_with(|c: char| c.is_ascii_alphabetic());
        }
    }
    name
}

fn username<'b, 'v>(operands: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    let [text] = operands.as_slice() else {
        return Err(ExecutionError::missing_argument_or_target());
    };
    match text.downcast_ref::<CelString>() {
        Some(text) => Ok(CowVal::owned(CelString::from(username_of(text.inner())))),
        None => Err(ExecutionError::missing_argument_or_target()),
    }
}

fn matches<'b, 'v>(operands: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    let [text, pattern] = operands.as_slice() else {
        return Err(ExecutionError::missing_argument_or_target());
    };
    match (text.downcast_ref::<CelString>(), pattern.downcast_ref::<Pattern>()) {
        (Some(text), Some(pattern)) => {
            Ok(CowVal::owned(CelBool::from(pattern.0.is_match(text.inner()))))
        }
        _ => Err(ExecutionError::missing_argument_or_target()),
    }
}

#[cfg(test)]
mod tests {
    use super::{super::reading::LETTERS, username_of};

    #[test]
    fn a_username_is_ascii_in_lower_case_with_one_dot_for_whatever_is_between() {
        for (name, username) in [
            ("Noa Lind", "noa.lind"),
            ("  Zoë   Ñandú-Łukasz ", "zoe.nandu.lukasz"),
            ("O'Brien, Jr.", "o.brien.jr"),
            ("Größe", "grosse"),
            ("e\u{301}clair", "eclair"),
            ("王小明", "wang.xiao.ming"),
            ("Доктор Щука", "doktor.shchuka"),
            ("Ольга Кузьмина", "olga.kuzmina"),
            ("Đức ბერიძე", "duc.berize"),
            ("Yae\u{308}l", "yael"),
            ("יָעֵל", "yael"),
            ("सुनील ज़फ़र", "suniil.jphr"),
            ("No\u{ad}a\u{200d} Lind", "noa.lind"),
            ("Noa\tLind\nde＿Vries", "noa.lind.de.vries"),
            ("D’Angelo‐Ōe", "d.angelo.oe"),
            ("Noa № 2²", "noa.22"),
            ("R2 D2", "r2.d2"),
            ("a...b__c", "a.b.c"),
            ("- . -", ""),
            ("", ""),
        ] {
            assert_eq!(username_of(name), username, "{name}");
        }
    }

    #[test]
    fn no_letter_becomes_longer_than_the_cost_of_an_expression_allows() {
        for c in '\0'..=char::MAX {
            // A dot may come before each.
            let longest = deunicode::deunicode_char(c).map_or(1, str::len) as u64 + 1;
            assert!(longest <= LETTERS * c.len_utf8() as u64, "{c:?} becomes {longest} letters");
        }
    }
}
