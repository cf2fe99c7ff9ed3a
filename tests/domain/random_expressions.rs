//! Random expressions against a simple evaluator that does not use the CEL crate, and random texts
//! against panics.

use std::cell::Cell as Mark;

use bobsync::domain::{
    employee::{Cell, Fields},
    expression::{Evaluated, Expression},
};
use proptest::prelude::*;

use crate::expressions::employee;

/// The part of the page that the simple evaluator supports: only text and truth values.
#[derive(Clone, Debug)]
enum Text {
    Literal(&'static str),
    Field(usize),
    Null,
    Join(Box<Text>, Box<Text>),
    Lower(Box<Text>),
    If(Box<Truth>, Box<Text>, Box<Text>),
}

#[derive(Clone, Debug)]
enum Truth {
    Constant(bool),
    Same(Text, Text),
    Differ(Text, Text),
    Before(Text, Text),
    Starts(Text, Text),
    In(Text, Vec<Text>),
    Has(usize),
    Not(Box<Truth>),
    And(Box<Truth>, Box<Truth>),
    Or(Box<Truth>, Box<Truth>),
    If(Box<Truth>, Box<Truth>, Box<Truth>),
    Exists(Vec<Text>, Text, Box<Truth>),
    All(Vec<Text>, Text, Box<Truth>),
    /// `1 / 0 == 1`
    Broken,
}

const NAMES: [&str; 3] = ["work.site", "work.title", "work.custom.field_100"];
const WRITTEN: [&str; 3] =
    ["employee.work.site", "employee['work'].title", "employee['work.custom.field_100']"];

impl Text {
    fn write(&self) -> String {
        match self {
            Self::Literal(text) => format!("'{text}'"),
            Self::Field(field) => WRITTEN[*field].to_owned(),
            Self::Null => "null".to_owned(),
            Self::Join(a, b) => format!("({} + {})", a.write(), b.write()),
            Self::Lower(a) => format!("{}.lowerAscii()", a.write()),
            Self::If(a, b, c) => format!("({} ? {} : {})", a.write(), b.write(), c.write()),
        }
    }
}

fn list(texts: &[Text]) -> String {
    format!("[{}]", texts.iter().map(Text::write).collect::<Vec<_>>().join(", "))
}

impl Truth {
    fn write(&self) -> String {
        match self {
            Self::Constant(truth) => truth.to_string(),
            Self::Same(a, b) => format!("({} == {})", a.write(), b.write()),
            Self::Differ(a, b) => format!("({} != {})", a.write(), b.write()),
            Self::Before(a, b) => format!("({} < {})", a.write(), b.write()),
            Self::Starts(a, b) => format!("{}.startsWith({})", a.write(), b.write()),
            Self::In(a, b) => format!("({} in {})", a.write(), list(b)),
            Self::Has(field) => {
                format!(
                    "has({})",
                    [
                        "employee.work.site",
                        "employee['work'].title",
                        "employee.work.custom.field_100"
                    ][*field]
                )
            }
            Self::Not(a) => format!("!({})", a.write()),
            Self::And(a, b) => format!("({} && {})", a.write(), b.write()),
            Self::Or(a, b) => format!("({} || {})", a.write(), b.write()),
            Self::If(a, b, c) => format!("({} ? {} : {})", a.write(), b.write(), c.write()),
            Self::Exists(over, same, or) => {
                format!("{}.exists(x, x == {} || {})", list(over), same.write(), or.write())
            }
            Self::All(over, same, or) => {
                format!("{}.all(x, x == {} || {})", list(over), same.write(), or.write())
            }
            Self::Broken => "(1 / 0 == 1)".to_owned(),
        }
    }
}

/// An error; its kind does not matter here.
#[derive(Debug)]
struct Wrong;

struct Naive<'a> {
    cells: [Cell<'a>; 3],
    hidden: Mark<bool>,
}

impl Naive<'_> {
    fn text(&self, text: &Text) -> Result<Option<String>, Wrong> {
        Ok(match text {
            Text::Literal(text) => Some((*text).to_owned()),
            Text::Null => None,
            Text::Field(field) => match self.cells[*field] {
                Cell::Absent => {
                    self.hidden.set(true);
                    return Err(Wrong);
                }
                cell => cell.text().map(str::to_owned),
            },
            Text::Join(a, b) => {
                let (a, b) = (self.text(a)?, self.text(b)?);
                Some(a.ok_or(Wrong)? + &b.ok_or(Wrong)?)
            }
            Text::Lower(a) => Some(self.text(a)?.ok_or(Wrong)?.to_ascii_lowercase()),
            Text::If(a, b, c) => self.text(if self.truth(a)? { b } else { c })?,
        })
    }

    fn texts(&self, texts: &[Text]) -> Result<Vec<Option<String>>, Wrong> {
        texts.iter().map(|text| self.text(text)).collect()
    }

    /// `||`, and `&&` with everything negated: a side that decides ignores an error of the other
    /// side.
    fn either(&self, decides: bool, a: Result<bool, Wrong>, b: &Truth) -> Result<bool, Wrong> {
        match a {
            Ok(a) if a == decides => Ok(decides),
            Ok(_) => self.truth(b),
            Err(Wrong) if self.truth(b)? == decides => Ok(decides),
            Err(Wrong) => Err(Wrong),
        }
    }

    fn fold(&self, decides: bool, over: &[Text], same: &Text, or: &Truth) -> Result<bool, Wrong> {
        let mut wrong = false;
        for x in self.texts(over)? {
            match self.either(true, self.text(same).map(|text| text == x), or) {
                Ok(found) if found == decides => return Ok(decides),
                Ok(_) => {}
                Err(Wrong) => wrong = true,
            }
        }
        if wrong { Err(Wrong) } else { Ok(!decides) }
    }

    fn truth(&self, truth: &Truth) -> Result<bool, Wrong> {
        Ok(match truth {
            Truth::Constant(truth) => *truth,
            Truth::Same(a, b) => self.text(a)? == self.text(b)?,
            Truth::Differ(a, b) => self.text(a)? != self.text(b)?,
            Truth::Before(a, b) => {
                let (a, b) = (self.text(a)?, self.text(b)?);
                a.ok_or(Wrong)? < b.ok_or(Wrong)?
            }
            // The argument in brackets is evaluated before the receiver.
            Truth::Starts(a, b) => {
                let b = self.text(b)?;
                self.text(a)?.ok_or(Wrong)?.starts_with(&b.ok_or(Wrong)?)
            }
            Truth::In(a, b) => {
                let a = self.text(a)?;
                self.texts(b)?.contains(&a)
            }
            Truth::Has(field) => self.text(&Text::Field(*field))?.is_some(),
            Truth::Not(a) => !self.truth(a)?,
            Truth::And(a, b) => self.either(false, self.truth(a), b)?,
            Truth::Or(a, b) => self.either(true, self.truth(a), b)?,
            Truth::If(a, b, c) => self.truth(if self.truth(a)? { b } else { c })?,
            Truth::Exists(over, same, or) => self.fold(true, over, same, or)?,
            Truth::All(over, same, or) => self.fold(false, over, same, or)?,
            Truth::Broken => return Err(Wrong),
        })
    }
}

fn texts() -> impl Strategy<Value = Text> {
    prop_oneof![
        3 => prop::sample::select(vec!["a", "A", "b", "", "ab"]).prop_map(Text::Literal),
        3 => (0..3_usize).prop_map(Text::Field),
        1 => Just(Text::Null),
    ]
}

/// Generates truth values with up to `depth` levels, and texts with conditions in them.
fn truths(depth: u32) -> BoxedStrategy<Truth> {
    let leaf = prop_oneof![
        any::<bool>().prop_map(Truth::Constant),
        Just(Truth::Broken),
        (0..3_usize).prop_map(Truth::Has),
        (texts(), texts()).prop_map(|(a, b)| Truth::Same(a, b)),
        (texts(), texts()).prop_map(|(a, b)| Truth::Differ(a, b)),
    ];
    leaf.prop_recursive(depth, 24, 3, |inner| {
        let inner = inner.boxed();
        let of = inner.clone();
        let text = texts().prop_recursive(2, 6, 2, move |text| {
            prop_oneof![
                (text.clone(), text.clone()).prop_map(|(a, b)| Text::Join(a.into(), b.into())),
                text.clone().prop_map(|a| Text::Lower(a.into())),
                (of.clone(), text.clone(), text).prop_map(|(a, b, c)| Text::If(
                    a.into(),
                    b.into(),
                    c.into()
                )),
            ]
        });
        let list = prop::collection::vec(text.clone(), 0..4);
        prop_oneof![
            (text.clone(), text.clone()).prop_map(|(a, b)| Truth::Same(a, b)),
            (text.clone(), text.clone()).prop_map(|(a, b)| Truth::Before(a, b)),
            (text.clone(), text.clone()).prop_map(|(a, b)| Truth::Starts(a, b)),
            (text.clone(), list.clone()).prop_map(|(a, b)| Truth::In(a, b)),
            inner.clone().prop_map(|a| Truth::Not(a.into())),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| Truth::And(a.into(), b.into())),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| Truth::Or(a.into(), b.into())),
            (inner.clone(), inner.clone(), inner.clone()).prop_map(|(a, b, c)| Truth::If(
                a.into(),
                b.into(),
                c.into()
            )),
            (list.clone(), text.clone(), inner.clone()).prop_map(|(a, b, c)| Truth::Exists(
                a,
                b,
                c.into()
            )),
            (list, text, inner).prop_map(|(a, b, c)| Truth::All(a, b, c.into())),
        ]
    })
    .boxed()
}

fn cells() -> impl Strategy<Value = [Cell<'static>; 3]> {
    let cell = prop_oneof![
        2 => prop::sample::select(vec!["a", "A", "b", " ab "]).prop_map(Cell::Text),
        1 => Just(Cell::Text("  ")),
        1 => Just(Cell::Null),
        1 => Just(Cell::Absent),
    ];
    [cell.clone(), cell.clone(), cell]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn random_expressions_mean_what_a_naive_reader_thinks(truth in truths(4), cells in cells()) {
        let written = truth.write();
        let mut fields = Fields::default();
        let Ok(expression) = Expression::compile(&written, &mut fields) else { return Err(TestCaseError::reject("too large")) };
        let shown: Vec<_> = NAMES.into_iter().zip(cells).collect();
        let outcome = expression.holds(&employee(&fields, &shown));
        let naive = Naive { cells, hidden: Mark::new(false) };
        let expected = naive.truth(&truth);
        match (naive.hidden.get(), expected) {
            (true, _) => prop_assert_eq!(outcome, Ok(Evaluated::Hidden), "{}", written),
            (false, Ok(truth)) => prop_assert_eq!(outcome, Ok(Evaluated::Known(truth)), "{}", written),
            (false, Err(Wrong)) => prop_assert!(outcome.is_err(), "{}: {:?}", written, outcome),
        }
    }

    #[test]
    fn no_text_panics(text in ".{0,60}", cells in cells()) {
        try_out(&text, cells);
    }

    #[test]
    fn no_row_of_tokens_panics(tokens in prop::collection::vec(prop::sample::select(TOKENS.to_vec()), 0..24), cells in cells()) {
        try_out(&tokens.concat(), cells);
    }

    #[test]
    fn no_operands_panic(
        function in prop::sample::select(CALLS.to_vec()),
        operands in prop::collection::vec(prop::sample::select(OPERANDS.to_vec()), 4),
        cells in cells(),
    ) {
        let mut text = function.to_owned();
        for (place, operand) in ["A", "B", "C", "D"].into_iter().zip(operands) {
            text = text.replace(place, operand);
        }
        try_out(&text, cells);
    }
}

/// Any text is refused, or gives an outcome, or a failure without the values.
fn try_out(text: &str, cells: [Cell<'static>; 3]) {
    let mut fields = Fields::default();
    if let Ok(expression) = Expression::compile(text, &mut fields) {
        let shown: Vec<_> = NAMES.into_iter().zip(cells).collect();
        let employee = employee(&fields, &shown);
        drop((expression.text(&employee), expression.holds(&employee)));
    }
}

const TOKENS: [&str; 48] = [
    "employee.work.site",
    "employee",
    ".",
    "work",
    "['title']",
    "[",
    "]",
    "(",
    ")",
    "{",
    "}",
    "'a'",
    "\"b\"",
    "b'x'",
    "1",
    "1u",
    "2.5",
    "-",
    "!",
    "&&",
    "||",
    "?",
    ":",
    ",",
    "+",
    "*",
    "/",
    "%",
    "==",
    "<",
    " in ",
    "has(",
    ".all(x,",
    ".map(x,",
    ".filter(x,",
    ".exists_one(x,",
    "x",
    "null",
    "true",
    "`",
    "'",
    "r'",
    "\n",
    "//",
    "é",
    "'''",
    "0x",
    ".trim()",
];

const CALLS: [&str; 30] = [
    "A.size()",
    "size(A)",
    "A.contains(B)",
    "A.startsWith(B)",
    "A.endsWith(B)",
    "A.matches('é.')",
    "string(A)",
    "int(A)",
    "double(A)",
    "bool(A)",
    "A.lowerAscii()",
    "A.trim()",
    "A.charAt(B)",
    "A.substring(B)",
    "A.substring(B, C)",
    "A.indexOf(B)",
    "A.indexOf(B, C)",
    "A.lastIndexOf(B)",
    "A.lastIndexOf(B, C)",
    "A.replace(B, C)",
    "A.replace(B, C, D)",
    "A.split(B)",
    "A.split(B, C)",
    "A.join(B)",
    "A[B]",
    "{A: B}[C]",
    "A + B - C",
    "A * B / C % D",
    "-A < B ? C : D",
    "A.filter(x, x == B).map(x, [x, C]) == D",
];

const OPERANDS: [&str; 22] = [
    "employee.work.site",
    "employee.work.title",
    "'é👍'",
    "''",
    "'a'",
    "0",
    "1",
    "-1",
    "2",
    "9223372036854775807",
    "(-9223372036854775807 - 1)",
    "18446744073709551615u",
    "0u",
    "1.5",
    "1e308",
    "(0.0 / 0.0)",
    "null",
    "true",
    "['a', 'é']",
    "[]",
    "{'a': 1}",
    "b'\\xff'",
];
