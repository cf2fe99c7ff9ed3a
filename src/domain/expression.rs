//! Expressions in CEL, the language that Kubernetes users know. They say who is in scope, and give
//! the value of a mapping row. The only variable is `employee`. `docs/expressions.md` is the page
//! for people who write them.
//!
//! - A field is text as in Field rows, or null where Bob has nothing. Null may be compared for
//!   equality with anything, and is equal only to null. So `employee.work.site != 'Contractors'` is
//!   true for an employee without a site. Any other operation on null fails and names the field.
//! - A field that Bob does not show hides the whole outcome as soon as the evaluation reaches it,
//!   also within `has` and also next to an error. A hidden field in a branch that is not reached
//!   does not matter. Evaluation goes from left to right. `&&`, `||` and `? :` stop where the
//!   outcome is known.
//! - The cost is bounded when the expression is read. The bounds are on text, brackets, operations,
//!   macros and patterns, and on the work and memory of the worst case, which
//!   [`Expression::compile`] adds up. Fields over 1 KiB and results over 4 KiB fail. Nothing else
//!   can grow, so an evaluation always ends, after about ten million bytes of work at most.

mod functions;
mod reading;

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
};

use cel::{
    Context, ExecutionError, Value,
    common::{
        ast::{EntryExpr, Expr, IdedExpr, operators},
        types::{CelBool, CelDouble, CelInt, CelList, CelNull, CelString, CelUInt, Kind},
        value::{CowVal, Val},
    },
    context::VariableResolver,
};

use self::{
    functions::{ENVIRONMENT, Pattern},
    reading::{FIELD_LENGTH, Reference},
};
use super::employee::{Cell, Employee, FieldIndex, Fields};

/// The most bytes of a text that an expression gives.
const RESULT_LENGTH: usize = 4 << 10;

/// An expression that was read and accepted. It is cheap to clone.
#[derive(Clone)]
pub struct Expression {
    program: Arc<Program>,
}

struct Program {
    source: Box<str>,
    /// The expression, with numbers in place of field names.
    tree: IdedExpr,
    fields: Box<[FieldUse]>,
    patterns: Box<[Pattern]>,
}

#[derive(PartialEq, Eq)]
struct FieldUse {
    id: Box<str>,
    index: FieldIndex,
}

/// What an expression gives for one employee.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Evaluated<T> {
    /// This value.
    Known(T),
    /// The evaluation reached a field that Bob does not show. The attribute or the scope stays as
    /// it is.
    Hidden,
}

/// Why an expression has no outcome for an employee. It names functions and fields, and never
/// values.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoOutcome {
    /// A function or operator got null.
    #[error("`{function}` does not take null, and Bob has nothing in {}; test it with has(...) \
        first", .fields.join(", "))]
    Empty {
        /// The function or operator.
        function: Box<str>,
        /// The fields that are empty.
        fields: Box<[Box<str>]>,
    },
    /// A function or operator got values of types that it does not take.
    #[error("no such overload: `{function}` does not take values of these types")]
    NoSuchOverload {
        /// The function or operator.
        function: Box<str>,
    },
    /// A function takes values of these types, but not these values.
    #[error(
        "`{function}` could not work with what it was given, such as text that is no number or a \
         position beyond the end"
    )]
    Refused {
        /// The function.
        function: Box<str>,
    },
    /// A condition is neither true nor false.
    #[error("a condition is neither true nor false")]
    NotACondition,
    /// A macro works on something else than a list or map.
    #[error("a macro such as `exists` works on lists and maps only")]
    NotAList,
    /// `/` or `%` divides by zero.
    #[error("division by zero")]
    DivisionByZero,
    /// The result of arithmetic does not fit into 64 bits.
    #[error("a number is too large")]
    Overflow,
    /// A map does not have this key, or a list is shorter.
    #[error("a map or list has no such element; test it with `in` first")]
    NoSuchElement,
    /// A map has a key twice, or a value that cannot be a key.
    #[error("a map has a key twice, or one that is not text, a number or a truth")]
    BadKey,
    /// A field's value is too long to work with.
    #[error("too expensive: {field} is longer than 1 KiB")]
    FieldTooLong {
        /// The field.
        field: Box<str>,
    },
    /// The result is too long for an attribute.
    #[error("too expensive: the result is longer than 4 KiB")]
    ResultTooLong,
    /// The result is of a type that has no use here.
    #[error("the result is {got}, and has to be {wanted}")]
    Result {
        /// What it is.
        got: &'static str,
        /// What it has to be.
        wanted: &'static str,
    },
    /// Any other error.
    #[error("the evaluation failed")]
    Other,
}

impl Expression {
    /// Reads an expression. If it is accepted, adds the fields that it can reach to `fields`, which
    /// Bob is asked for.
    ///
    /// # Errors
    /// A sentence for a person that says what to do.
    pub fn compile(text: &str, fields: &mut Fields) -> Result<Self, String> {
        let reading = reading::read(text)?;
        let fields =
            reading.fields.into_iter().map(|id| FieldUse { index: fields.want(&id), id }).collect();
        let patterns = reading.patterns.into_boxed_slice();
        Ok(Self {
            program: Arc::new(Program {
                source: text.into(),
                tree: reading.tree,
                fields,
                patterns,
            }),
        })
    }

    /// Returns the text as it was written.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.program.source
    }

    /// Returns the fields that the expression can reach, as indices in the [`Fields`] it was
    /// compiled with.
    pub fn fields(&self) -> impl Iterator<Item = FieldIndex> {
        self.program.fields.iter().map(|field| field.index)
    }

    /// Returns the text that the expression gives for a mapping row. `None` is empty and clears the
    /// attribute. Text stays as it is, but blank text is empty as in every other row. Numbers and
    /// truths become text. Lists of text are joined with `, `, without elements that are null or
    /// blank.
    ///
    /// # Errors
    /// [`NoOutcome`]
    pub fn text(&self, employee: &Employee) -> Result<Evaluated<Option<String>>, NoOutcome> {
        self.evaluate(employee, |value| {
            let text = text_of(value)?;
            if text.as_ref().is_some_and(|text| text.len() > RESULT_LENGTH) {
                return Err(NoOutcome::ResultTooLong);
            }
            Ok(text.filter(|text| !text.trim().is_empty()))
        })
    }

    /// Returns whether the expression is true for `employee`, for a scope.
    ///
    /// # Errors
    /// [`NoOutcome`], also if the result is neither true nor false.
    pub fn holds(&self, employee: &Employee) -> Result<Evaluated<bool>, NoOutcome> {
        self.evaluate(employee, |value| match value.downcast_ref::<CelBool>() {
            Some(truth) => Ok(*truth.inner()),
            None => Err(NoOutcome::Result { got: kind(value), wanted: "true or false" }),
        })
    }

    fn evaluate<T>(
        &self,
        employee: &Employee,
        read: impl FnOnce(&dyn Val) -> Result<T, NoOutcome>,
    ) -> Result<Evaluated<T>, NoOutcome> {
        let program = &*self.program;
        let row = RowValues {
            program,
            employee,
            hidden: AtomicBool::new(false),
            long: AtomicU64::new(0),
            empty: AtomicU64::new(0),
        };
        let mut context = Context::with_env(Arc::clone(&ENVIRONMENT));
        context.set_variable_resolver(&row);
        let value = Value::resolve_val(&program.tree, &context);
        if row.hidden.load(Relaxed) {
            return Ok(Evaluated::Hidden);
        }
        if let Some(field) = row.program.fields_in(row.long.load(Relaxed)).next() {
            return Err(NoOutcome::FieldTooLong { field: field.id.clone() });
        }
        match value {
            Ok(value) => read(value.as_ref()).map(Evaluated::Known),
            Err(error) => Err(program.failure(&error, row.empty.load(Relaxed))),
        }
    }
}

impl PartialEq for Expression {
    fn eq(&self, other: &Self) -> bool {
        self.program.source == other.program.source && self.program.fields == other.program.fields
    }
}

impl Eq for Expression {}

impl fmt::Debug for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Expression").field(&self.program.source).finish()
    }
}

/// One employee, as the evaluation sees the row. It looks up a field when the evaluation reaches
/// it, and remembers what was reached. A resolver has to be `Sync`, so it uses atomics, but only
/// one thread ever uses them.
struct RowValues<'a> {
    program: &'a Program,
    employee: &'a Employee,
    hidden: AtomicBool,
    /// One bit for each field that was reached and is too long.
    long: AtomicU64,
    /// One bit for each field that was reached and is empty.
    empty: AtomicU64,
}

impl VariableResolver for RowValues<'_> {
    /// Returns the value of a field or a compiled pattern. `None` makes the evaluation fail, as any
    /// other error does.
    fn resolve<'b>(&'b self, name: &str) -> Option<CowVal<'b, 'b>> {
        let (number, presence) = match Reference::read(name)? {
            Reference::Pattern(number) => {
                return self.program.patterns.get(number).map(|pattern| CowVal::Borrowed(pattern));
            }
            Reference::Field(number) => (number, false),
            Reference::Has(number) => (number, true),
        };
        let cell = self.employee.values.get(self.program.fields.get(number)?.index);
        if cell == Cell::Absent {
            self.hidden.store(true, Relaxed);
            return None;
        }
        let text = cell.text();
        if presence {
            return Some(CowVal::Borrowed(if text.is_some() { &TRUE } else { &FALSE }));
        }
        match text {
            None => {
                self.empty.fetch_or(1 << number, Relaxed);
                Some(CowVal::Borrowed(&NULL))
            }
            Some(text) if text.len() > FIELD_LENGTH => {
                self.long.fetch_or(1 << number, Relaxed);
                None
            }
            Some(text) => Some(CowVal::owned(CelString::from(text))),
        }
    }
}

static TRUE: CelBool = CelBool::TRUE;
static FALSE: CelBool = CelBool::FALSE;
static NULL: CelNull = CelNull;

impl Program {
    fn fields_in(&self, bits: u64) -> impl Iterator<Item = &FieldUse> {
        self.fields
            .iter()
            .enumerate()
            .filter(move |(number, _)| bits >> number & 1 == 1)
            .map(|(_, field)| field)
    }

    /// Returns the failure for an error of the `cel` crate. The crate's errors contain values, so
    /// only their kind and the names in them are taken.
    fn failure(&self, error: &ExecutionError, empty: u64) -> NoOutcome {
        let overload = |function: &str, null: bool| {
            let fields: Box<[_]> = if null { self.blame(function, empty) } else { Box::default() };
            let function = function.trim_matches(['_', '@']).into();
            if fields.is_empty() {
                NoOutcome::NoSuchOverload { function }
            } else {
                NoOutcome::Empty { function, fields }
            }
        };
        match error {
            ExecutionError::NoSuchOverload(error) => overload(
                error.function(),
                error.argument_types().iter().any(|kind| kind == "null_type"),
            ),
            ExecutionError::UnsupportedBinaryOperator(operator, left, right) => {
                overload(symbol(operator), *left == Value::Null || *right == Value::Null)
            }
            ExecutionError::ValuesNotComparable(left, right) => {
                overload("_<_", *left == Value::Null || *right == Value::Null)
            }
            ExecutionError::UnexpectedType { want, .. } if want == "bool" => {
                NoOutcome::NotACondition
            }
            ExecutionError::UnexpectedType { want, .. } if want == "iterable" => {
                NoOutcome::NotAList
            }
            // All other errors of this kind come from `join`, which looks at each element itself.
            ExecutionError::UnexpectedType { got, .. } => overload("join", got == "null_type"),
            ExecutionError::FunctionError { function, .. } => {
                NoOutcome::Refused { function: function.as_str().into() }
            }
            ExecutionError::DivisionByZero(_) | ExecutionError::RemainderByZero(_) => {
                NoOutcome::DivisionByZero
            }
            ExecutionError::Overflow(..) => NoOutcome::Overflow,
            ExecutionError::NoSuchKey(_) | ExecutionError::IndexOutOfBounds(_) => {
                NoOutcome::NoSuchElement
            }
            ExecutionError::DuplicateKey(_) | ExecutionError::UnsupportedKeyType(_) => {
                NoOutcome::BadKey
            }
            _ => NoOutcome::Other,
        }
    }

    /// Returns the empty fields that a call of this function names directly, or else all empty
    /// fields that were reached.
    fn blame(&self, function: &str, empty: u64) -> Box<[Box<str>]> {
        let mut named = 0;
        operands(&self.tree, function, &mut |number| named |= 1_u64 << number);
        let bits = if named & empty == 0 { empty } else { named & empty };
        self.fields_in(bits).map(|field| field.id.clone()).collect()
    }
}

/// Returns the name that the rest of the crate uses for an operator.
fn symbol(operator: &str) -> &'static str {
    match operator {
        "add" => operators::ADD,
        "sub" => operators::SUBSTRACT,
        "mul" => operators::MULTIPLY,
        "div" => operators::DIVIDE,
        _ => operators::MODULO,
    }
}

/// Calls `found` with each field that is a direct operand of a call of `function` below `node`.
fn operands(node: &IdedExpr, function: &str, found: &mut impl FnMut(usize)) {
    match &node.expr {
        Expr::Call(call) => {
            for operand in call.target.as_deref().into_iter().chain(&call.args) {
                match &operand.expr {
                    Expr::Ident(name) if call.func_name == function => {
                        if let Some(Reference::Field(number)) = Reference::read(name) {
                            found(number);
                        }
                    }
                    _ => operands(operand, function, found),
                }
            }
        }
        Expr::Comprehension(part) => {
            for part in [&part.iter_range, &part.loop_step] {
                operands(part, function, found);
            }
        }
        Expr::List(list) => {
            list.elements.iter().for_each(|element| operands(element, function, found))
        }
        Expr::Map(map) => {
            for entry in &map.entries {
                if let EntryExpr::MapEntry(entry) = &entry.expr {
                    operands(&entry.key, function, found);
                    operands(&entry.value, function, found);
                }
            }
        }
        Expr::Select(select) => operands(&select.operand, function, found),
        Expr::Ident(_) | Expr::Literal(_) | Expr::Struct(_) | Expr::Unspecified => {}
    }
}

/// Returns the text of a result, or `None` for null.
fn text_of(value: &dyn Val) -> Result<Option<String>, NoOutcome> {
    if let Some(text) = value.downcast_ref::<CelString>() {
        return Ok(Some(text.inner().to_owned()));
    }
    if let Some(list) = value.downcast_ref::<CelList>() {
        return joined(list.inner());
    }
    match value.get_type().kind() {
        Kind::NullType => Ok(None),
        Kind::Boolean => Ok(value.downcast_ref::<CelBool>().map(|truth| truth.inner().to_string())),
        Kind::Int => Ok(value.downcast_ref::<CelInt>().map(|number| number.inner().to_string())),
        Kind::UInt => Ok(value.downcast_ref::<CelUInt>().map(|number| number.inner().to_string())),
        Kind::Double => {
            Ok(value.downcast_ref::<CelDouble>().map(|number| number.inner().to_string()))
        }
        _ => Err(NoOutcome::Result {
            got: kind(value),
            wanted: "text, a number, a truth, null or a list of text",
        }),
    }
}

fn joined(list: &[Box<dyn Val + '_>]) -> Result<Option<String>, NoOutcome> {
    let mut text: Option<String> = None;
    for element in list {
        match element.downcast_ref::<CelString>() {
            Some(part) if part.inner().trim().is_empty() => {}
            Some(part) => match &mut text {
                None => text = Some(part.inner().to_owned()),
                Some(text) => text.extend([", ", part.inner()]),
            },
            None if element.get_type().kind() == Kind::NullType => {}
            None => {
                return Err(NoOutcome::Result {
                    got: "a list with something else than text in it",
                    wanted: "a list of text",
                });
            }
        }
    }
    Ok(text)
}

fn kind(value: &dyn Val) -> &'static str {
    match value.get_type().kind() {
        Kind::String => "text",
        Kind::Boolean => "true or false",
        Kind::Int | Kind::UInt | Kind::Double => "a number",
        Kind::NullType => "null",
        Kind::List => "a list",
        Kind::Map => "a map",
        Kind::Bytes => "bytes",
        _ => "something else",
    }
}

#[cfg(test)]
mod tests {
    use cel::common::types::CelMap;
    use proptest::prelude::*;

    use super::*;
    use crate::domain::employee::Values;

    /// Bytes of a value, counted in the same way as in `reading`.
    fn weight(value: &dyn Val) -> u64 {
        if let Some(text) = value.downcast_ref::<CelString>() {
            text.inner().len() as u64
        } else if let Some(list) = value.downcast_ref::<CelList>() {
            list.inner().iter().map(|element| 64 + weight(element.as_ref())).sum()
        } else if let Some(map) = value.downcast_ref::<CelMap>() {
            map.inner().values().map(|value| 64 + weight(value.as_ref())).sum()
        } else {
            8
        }
    }

    const STARTS: [&str; 7] = [
        "employee.a.b",
        "['x', employee.a.b]",
        "[['x'], [employee.a.b]]",
        "'x,y'",
        "string(1e308)",
        "{'k': employee.a.b}",
        "[1, 2, 3]",
    ];
    const STEPS: [&str; 19] = [
        "{}.map(x, x + x)",
        "{}.map(x, [x, x])",
        "{}.map(x, employee.a.b)",
        "{}.map(x, x.split(''))",
        "{}.map(x, ['p', 'q'].map(y, y + x))",
        "{}.map(x, x.map(y, [y]))",
        "{}.map(x, true, x)",
        "{}.filter(x, true)",
        "{}.split('')",
        "{}.split(',', 3)",
        "{}.split('#')[0]",
        "{}.join(employee.a.b)",
        "{}.replace('', 'xyz')",
        "{}.replace(',', employee.a.b)",
        "{} + {}",
        "[{}, {}]",
        "{}[0]",
        "(1 < 2 ? {} : employee.a.b)",
        "{'k': {}}",
    ];

    proptest! {
        #![proptest_config(ProptestConfig { cases: 1_000, ..ProptestConfig::default() })]

        #[test]
        fn no_result_is_larger_than_was_foreseen(
            start in prop::sample::select(STARTS.to_vec()),
            steps in prop::collection::vec(prop::sample::select(STEPS.to_vec()), 0..7),
            length in prop::sample::select(vec![3, 40, FIELD_LENGTH]),
        ) {
            let text = steps.iter().fold(start.to_owned(), |text, step| step.replace("{}", &text));
            let mut fields = Fields::default();
            if let Ok(expression) = Expression::compile(&text, &mut fields) {
                let value = "é,".repeat(length / 3);
                let mut cells = vec![Cell::Text("1"); fields.ids().len()];
                if let Some(cell) = cells.get_mut(Fields::default().ids().len()) {
                    *cell = Cell::Text(&value);
                }
                let values = Values::from_cells(cells.into_iter());
                let employee = Employee::from_values(values).unwrap();
                let weighed = expression.evaluate(&employee, |value| Ok(weight(value)));
                if let Ok(Evaluated::Known(weight)) = weighed {
                    let foreseen = reading::read(&text).unwrap().largest;
                    prop_assert!(weight <= foreseen, "{}: {} > {}", text, weight, foreseen);
                }
            }
        }
    }
}
