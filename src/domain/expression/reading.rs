//! Turns text into a tree that can be evaluated. It refuses what is unknown, replaces every field
//! by its number, and adds up the highest cost of an evaluation. It bounds the cost here, before
//! anything runs, because nothing stops an evaluation.

use cel::{
    ParseErrors,
    common::ast::{
        CallExpr, ComprehensionExpr, EntryExpr, Expr, IdedExpr, LiteralValue, operators,
    },
    parser::Parser,
};

use super::functions::{FUNCTIONS, Function, MATCHES, MATCHES_COMPILED, Pattern, Style, Yields};

/// The most characters of an expression.
pub(super) const LENGTH: usize = 2_000;
/// The most brackets within brackets.
const BRACKETS: usize = 24;
/// The most levels of the parser, which also counts each `? :` within another.
const LEVELS: u16 = 32;
/// The most operations within operations.
const DEPTH: usize = 32;
/// The most operations, values and fields.
const NODES: usize = 500;
/// The most macros within macros.
const MACROS: usize = 2;
/// The most patterns. Each of them is kept compiled.
const PATTERNS: usize = 16;
/// The most different fields. There are as many bits to remember the empty ones.
pub(super) const FIELDS: usize = 64;
/// The most bytes of a field's value.
pub(super) const FIELD_LENGTH: usize = 1_024;
/// The highest cost of an evaluation: about 1 for each byte that it reads or writes. Kubernetes has
/// the same limit.
const COST: u64 = 10_000_000;

/// The fixed cost of a step.
const STEP: u64 = 16;
/// The cost of an element of a list or map in addition to its text.
const ELEMENT: u64 = 64;
/// Bytes of the longest number as text.
const NUMBER: u64 = 400;
/// The cost of a pattern for each byte that it looks at.
const PATTERN: u64 = 256;

/// The result of reading an expression.
pub(super) struct Reading {
    pub tree: IdedExpr,
    /// Field ids, in the order of their numbers in the tree.
    pub fields: Vec<Box<str>>,
    pub patterns: Vec<Pattern>,
    /// Bytes of the largest result. Tests compare it with real results.
    #[cfg_attr(not(test), expect(dead_code))]
    pub largest: u64,
}

/// What a number in the tree refers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reference {
    /// The value of a field.
    Field(usize),
    /// Whether a field has a value.
    Has(usize),
    /// A compiled pattern.
    Pattern(usize),
}

impl Reference {
    /// Returns the name for the tree. No user can write such a name in an expression.
    fn name(self) -> String {
        match self {
            Self::Field(number) => format!("@{number}"),
            Self::Has(number) => format!("@?{number}"),
            Self::Pattern(number) => format!("@/{number}"),
        }
    }

    /// Reads a name of [`Reference::name`].
    pub fn read(name: &str) -> Option<Self> {
        let name = name.strip_prefix('@')?;
        if let Some(number) = name.strip_prefix('?') {
            number.parse().ok().map(Self::Has)
        } else if let Some(number) = name.strip_prefix('/') {
            number.parse().ok().map(Self::Pattern)
        } else {
            name.parse().ok().map(Self::Field)
        }
    }
}

/// Reads an expression.
///
/// # Errors
/// A sentence for a person.
pub(super) fn read(text: &str) -> Result<Reading, String> {
    survey(text)?;
    let mut tree = Parser::new()
        .max_recursion_depth(LEVELS)
        .parse(text)
        .map_err(|errors| not_cel(text, &errors))?;
    let mut reader = TreeReader {
        fields: Vec::new(),
        patterns: Vec::new(),
        variables: Vec::new(),
        nodes: 0,
        times: 1,
        cost: 0,
    };
    let result = reader.read(&mut tree, 0)?;
    Ok(Reading { tree, fields: reader.fields, patterns: reader.patterns, largest: result.weight })
}

/// Returns what is wrong with a text that the parser refuses: the place, and the likely cause. The
/// parser's own words say less.
fn not_cel(text: &str, errors: &ParseErrors) -> String {
    if errors.errors.iter().any(|error| error.msg.contains("Recursion limit")) {
        return format!(
            "the expression is nested more than {LEVELS} deep; a map such as {{'Paris': 'Acme \
             SAS'}}[employee.work.site] is flatter"
        );
    }
    if let Some((line, column)) = lone_equals(text) {
        return format!(
            "the expression is not CEL, at line {line}, column {column}: a single = compares \
             nothing; write == instead"
        );
    }
    let place = errors.errors.first().map_or_else(String::new, |error| {
        format!(", at line {}, column {}", error.pos.0, error.pos.1)
    });
    let open = if has_open_quote(text) {
        "a quote that is not closed"
    } else {
        "a bracket or a quote that is not closed"
    };
    format!(
        "the expression is not CEL{place}: the likely causes are {open}, and two values without an \
         operator such as && or == between them"
    )
}

/// Returns line and column of a single equals sign outside of quotes.
fn lone_equals(text: &str) -> Option<(usize, usize)> {
    let (mut quote, mut before, mut line, mut column) = (None, ' ', 1, 0);
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        (line, column) = if c == '\n' { (line + 1, 0) } else { (line, column + 1) };
        match (quote, c) {
            (Some(_), '\\') => {
                chars.next();
                column += 1;
            }
            (Some(open), _) if open == c => quote = None,
            (None, '\'' | '"') => quote = Some(c),
            (None, '=')
                if !matches!(before, '=' | '!' | '<' | '>') && chars.peek() != Some(&'=') =>
            {
                return Some((line, column));
            }
            _ => {}
        }
        before = c;
    }
    None
}

/// Returns whether the text has a quote that is not closed.
fn has_open_quote(text: &str) -> bool {
    let (mut quote, mut chars) = (None, text.chars());
    while let Some(c) = chars.next() {
        match (quote, c) {
            (Some(_), '\\') => drop(chars.next()),
            (Some(open), _) if open == c => quote = None,
            (None, '\'' | '"') => quote = Some(c),
            _ => {}
        }
    }
    quote.is_some()
}

/// Refuses what can be refused before the parser runs, because the parser recurses.
fn survey(text: &str) -> Result<(), String> {
    if text.trim().is_empty() {
        return Err("the expression is empty".to_owned());
    }
    if text.chars().count() > LENGTH {
        return Err(format!(
            "the expression is longer than {LENGTH} characters; split it, or let Bob hold the \
             value in a field"
        ));
    }
    let (mut depth, mut quote) = (0_usize, None);
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (Some(_), '\\') => {
                chars.next();
            }
            (Some(open), _) if open == c => quote = None,
            (None, '\'' | '"') => quote = Some(c),
            (None, '(' | '[' | '{') => depth += 1,
            (None, ')' | ']' | '}') => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > BRACKETS {
            return Err(format!(
                "the expression has brackets nested more than {BRACKETS} deep; write it flatter"
            ));
        }
    }
    Ok(())
}

/// How large a value can be.
#[derive(Clone, Copy)]
struct Bound {
    /// Bytes, with those of elements.
    weight: u64,
    /// How many elements it has.
    count: u64,
    /// Bytes of the heaviest element.
    element: u64,
}

impl Bound {
    const SCALAR: Self = Self::text(8);

    const fn text(weight: u64) -> Self {
        Self { weight, count: 0, element: 0 }
    }

    const fn list(count: u64, element: u64) -> Self {
        Self { weight: count.saturating_mul(element.saturating_add(ELEMENT)), count, element }
    }

    /// Returns the bound of an element of this value, which may be a list too.
    const fn inside(self) -> Self {
        Self { weight: self.element, count: self.element / ELEMENT, element: self.element }
    }

    fn either(self, other: Self) -> Self {
        Self {
            weight: self.weight.max(other.weight),
            count: self.count.max(other.count),
            element: self.element.max(other.element),
        }
    }

    fn both(self, other: Self) -> Self {
        Self {
            weight: self.weight.saturating_add(other.weight),
            count: self.count.saturating_add(other.count),
            element: self.element.max(other.element),
        }
    }
}

struct TreeReader {
    fields: Vec<Box<str>>,
    patterns: Vec<Pattern>,
    /// The variables of the macros around this place, outermost first.
    variables: Vec<(String, Bound)>,
    nodes: usize,
    /// How often the place that is read now can be evaluated.
    times: u64,
    cost: u64,
}

impl TreeReader {
    fn charge(&mut self, work: u64) -> Result<(), String> {
        self.cost = self.cost.saturating_add(self.times.saturating_mul(work));
        if self.cost > COST {
            return Err(
                "the expression could be too expensive to evaluate for every employee; use \
                fewer and shorter lists in macros, \
                        fewer `matches`, and split(text, separator, limit) with a small limit"
                    .to_owned(),
            );
        }
        Ok(())
    }

    fn read(&mut self, node: &mut IdedExpr, depth: usize) -> Result<Bound, String> {
        self.nodes += 1;
        if depth > DEPTH || self.nodes > NODES {
            return Err(format!(
                "the expression is too large: at most {NODES} operations, values and fields, \
                 {DEPTH} within each other; \
                 a map such as {{'Paris': 'Acme SAS'}}[employee.work.site] replaces long chains of \
                 `? :`"
            ));
        }
        self.charge(STEP)?;
        if let Some(field) = path(node)? {
            let number = self.number(field.id)?;
            node.expr = Expr::Ident(
                if field.presence { Reference::Has(number) } else { Reference::Field(number) }
                    .name(),
            );
            return Ok(if field.presence {
                Bound::SCALAR
            } else {
                Bound::text(FIELD_LENGTH as u64)
            });
        }
        let depth = depth + 1;
        match &mut node.expr {
            Expr::Literal(LiteralValue::String(text)) => Ok(Bound::text(text.inner().len() as u64)),
            Expr::Literal(LiteralValue::Bytes(bytes)) => {
                Ok(Bound::text(bytes.inner().len() as u64))
            }
            Expr::Literal(_) => Ok(Bound::SCALAR),
            Expr::Ident(name) => self.variable(name),
            Expr::Call(call) => self.call(call, depth),
            Expr::Comprehension(comprehension) => self.comprehension(comprehension, depth),
            Expr::Select(select) => Ok(self.read(&mut select.operand, depth)?.inside()),
            Expr::List(list) => {
                let mut bound = Bound::list(0, 0);
                for element in &mut list.elements {
                    bound = bound.both(Bound::list(1, self.read(element, depth)?.weight));
                }
                self.charge(bound.weight)?;
                Ok(bound)
            }
            Expr::Map(map) => {
                let mut bound = Bound::list(0, 0);
                for entry in &mut map.entries {
                    let EntryExpr::MapEntry(entry) = &mut entry.expr else {
                        return Err(unknown("a message"));
                    };
                    let key = self.read(&mut entry.key, depth)?.weight;
                    let value = self.read(&mut entry.value, depth)?.weight;
                    let entry = Bound::list(1, key.saturating_add(value));
                    bound = bound.both(Bound { element: key.max(value), ..entry });
                }
                self.charge(bound.weight)?;
                Ok(bound)
            }
            Expr::Struct(_) => Err(unknown("a message")),
            Expr::Unspecified => Err("the expression is not CEL".to_owned()),
        }
    }

    fn number(&mut self, id: String) -> Result<usize, String> {
        if let Some(number) = self.fields.iter().position(|known| **known == *id) {
            return Ok(number);
        }
        if self.fields.len() == FIELDS {
            return Err(format!(
                "the expression reads more than {FIELDS} different fields; split it"
            ));
        }
        self.fields.push(id.into_boxed_str());
        Ok(self.fields.len() - 1)
    }

    fn variable(&mut self, name: &str) -> Result<Bound, String> {
        if let Some(&(_, bound)) = self.variables.iter().rev().find(|(known, _)| known == name) {
            return Ok(bound);
        }
        Err(if name == EMPLOYEE {
            "the expression uses `employee` as a value; name a field of it, such as \
             employee.work.site"
                .to_owned()
        } else {
            format!(
                "the expression reads `{name}`, and only `employee` is known; write a Bob field \
                 after it, such as employee.work.site, and text in quotes"
            )
        })
    }

    fn call(&mut self, call: &mut CallExpr, depth: usize) -> Result<Bound, String> {
        let member = call.target.is_some();
        if !member && OPERATORS.contains(&call.func_name.as_str()) {
            return self.operator(call, depth);
        }
        let operands = call.args.len() + usize::from(member);
        let found = FUNCTIONS.iter().find(|function| function.name == call.func_name);
        let Some(&Function { style, operands: ref takes, yields, .. }) = found else {
            let known: Vec<_> = FUNCTIONS.iter().map(|function| function.name).collect();
            return Err(format!(
                "there is no function `{}` with {operands} operands; there are has, all, exists, \
                 exists_one, map, filter, {}",
                call.func_name,
                known.join(", ")
            ));
        };
        let style_fits = match style {
            Style::Both => true,
            Style::Member => member,
            Style::Global => !member,
        };
        if !style_fits {
            let (name, written) = (
                &call.func_name,
                if member { "as `NAME(x)`" } else { "after a dot, as `x.NAME()`" },
            );
            return Err(format!(
                "the function `{name}` is written {}",
                written.replace("NAME", name)
            ));
        }
        if !takes.contains(&operands) {
            let dot = usize::from(member);
            return Err(format!(
                "the function `{}` takes {} to {} arguments",
                call.func_name,
                takes.start() - dot,
                takes.end() - dot
            ));
        }
        if matches!(yields, Yields::Matched) {
            self.compile_pattern(call)?;
        }
        let mut bounds = Vec::with_capacity(operands);
        for operand in call.target.as_deref_mut().into_iter().chain(&mut call.args) {
            bounds.push(if is_pattern(operand) {
                Bound::SCALAR
            } else {
                self.read(operand, depth)?
            });
        }
        let limit = match call.args.get(1).map(|argument| &argument.expr) {
            Some(Expr::Literal(LiteralValue::Int(limit))) => u64::try_from(*limit.inner()).ok(),
            _ => None,
        };
        let (result, work) = price(yields, &bounds, limit);
        let read = bounds.iter().fold(work, |sum, bound| sum.saturating_add(bound.weight));
        self.charge(read.saturating_add(result.weight))?;
        Ok(result)
    }

    /// Turns `x.matches('pattern')` into `@matches(x, <compiled pattern>)`.
    fn compile_pattern(&mut self, call: &mut CallExpr) -> Result<(), String> {
        let Some(IdedExpr { expr: Expr::Literal(LiteralValue::String(text)), .. }) =
            call.args.last()
        else {
            return Err(format!(
                "the pattern of `{MATCHES}` has to be text in quotes, not computed"
            ));
        };
        if self.patterns.len() == PATTERNS {
            return Err(format!(
                "the expression has more than {PATTERNS} patterns; join some with `|`"
            ));
        }
        self.patterns.push(Pattern::compile(text.inner())?);
        let name = Reference::Pattern(self.patterns.len() - 1).name();
        if let Some(pattern) = call.args.last_mut() {
            pattern.expr = Expr::Ident(name);
        }
        if let Some(text) = call.target.take() {
            call.args.insert(0, *text);
        }
        MATCHES_COMPILED.clone_into(&mut call.func_name);
        Ok(())
    }

    fn operator(&mut self, call: &mut CallExpr, depth: usize) -> Result<Bound, String> {
        let mut bounds = Vec::with_capacity(call.args.len());
        for operand in &mut call.args {
            bounds.push(self.read(operand, depth)?);
        }
        let result = match (call.func_name.as_str(), bounds.as_slice()) {
            (operators::CONDITIONAL, [_, yes, no]) => return Ok(yes.either(*no)),
            (operators::INDEX, [container, _]) => container.inside(),
            (operators::ADD, [left, right]) => left.both(*right),
            _ => Bound::SCALAR,
        };
        self.charge(
            bounds.iter().fold(result.weight, |sum, bound| sum.saturating_add(bound.weight)),
        )?;
        Ok(result)
    }

    fn comprehension(
        &mut self,
        macro_: &mut ComprehensionExpr,
        depth: usize,
    ) -> Result<Bound, String> {
        let range = self.read(&mut macro_.iter_range, depth)?;
        if let Expr::Ident(name) = &macro_.iter_range.expr
            && Reference::read(name).is_some()
        {
            return Err("a field is text, not a list; split it first, as in \
                employee.work.site.split(', ', 10)"
                .to_owned());
        }
        if macro_.iter_var == EMPLOYEE {
            return Err("a macro's variable cannot be called `employee`; call it x".to_owned());
        }
        if self.variables.len() == MACROS {
            return Err(format!(
                "macros (all, exists, exists_one, map, filter) are nested more than {MACROS} deep"
            ));
        }
        // Each element is copied into the variable once.
        self.charge(range.weight)?;
        self.variables.push((macro_.iter_var.clone(), range.inside()));
        let outside = self.times;
        self.times = outside.saturating_mul(range.count.max(1));
        let variable = macro_.iter_var.clone();
        let Some(body) = Body::of(macro_) else {
            return Err("the expression has a macro that is not known".to_owned());
        };
        if let Some(guard) = body.guard {
            self.read(guard, depth)?;
        }
        let same = matches!(&body.element.expr, Expr::Ident(name) if *name == variable);
        let element = self.read(body.element, depth)?;
        self.times = outside;
        self.variables.pop();
        let result = match (body.yields_list, same) {
            (false, _) => Bound::SCALAR,
            (true, true) => range,
            (true, false) => Bound::list(range.count, element.weight),
        };
        self.charge(result.weight)?;
        Ok(result)
    }
}

/// The part of a macro that people wrote. The parser adds the rest of its tree.
struct Body<'a> {
    guard: Option<&'a mut IdedExpr>,
    element: &'a mut IdedExpr,
    yields_list: bool,
}

impl<'a> Body<'a> {
    /// Finds that part by the accumulator: a list for `map` and `filter`, a truth for `all` and
    /// `exists`, a number for `exists_one`.
    fn of(macro_: &'a mut ComprehensionExpr) -> Option<Self> {
        let Expr::Call(step) = &mut macro_.loop_step.expr else { return None };
        match &macro_.accu_init.expr {
            Expr::List(_) => {
                let (guard, appended) = match step.args.as_mut_slice() {
                    [guard, appended, _] => (Some(guard), as_call(appended)?.args.get_mut(1)?),
                    [_, appended] => (None, appended),
                    _ => return None,
                };
                let Expr::List(list) = &mut appended.expr else { return None };
                Some(Self { guard, element: list.elements.first_mut()?, yields_list: true })
            }
            Expr::Literal(LiteralValue::Boolean(_)) => {
                Some(Self { guard: None, element: step.args.get_mut(1)?, yields_list: false })
            }
            Expr::Literal(LiteralValue::Int(_)) => {
                Some(Self { guard: None, element: step.args.first_mut()?, yields_list: false })
            }
            _ => None,
        }
    }
}

fn as_call(node: &mut IdedExpr) -> Option<&mut CallExpr> {
    match &mut node.expr {
        Expr::Call(call) => Some(call),
        _ => None,
    }
}

fn is_pattern(node: &IdedExpr) -> bool {
    matches!(&node.expr, Expr::Ident(name)
        if matches!(Reference::read(name), Some(Reference::Pattern(_))))
}

/// Returns the largest result of a function, and its work in addition to reading operands and
/// writing the result.
fn price(yields: Yields, bounds: &[Bound], limit: Option<u64>) -> (Bound, u64) {
    let operand = |index: usize| bounds.get(index).copied().unwrap_or(Bound::text(0));
    let first = operand(0);
    match yields {
        Yields::Scalar => (Bound::SCALAR, 0),
        Yields::Position => (Bound::SCALAR, first.weight.saturating_mul(operand(1).weight)),
        Yields::AtMost => (Bound::text(first.weight), 0),
        Yields::Text => (Bound::text(first.weight.max(NUMBER)), 0),
        Yields::Parts => {
            let count = first.weight.saturating_add(1).min(limit.unwrap_or(u64::MAX));
            let weight = first.weight.saturating_add(count.saturating_mul(ELEMENT));
            (Bound { weight, count, element: first.weight }, 0)
        }
        Yields::Joined => (
            Bound::text(first.weight.saturating_add(first.count.saturating_mul(operand(1).weight))),
            0,
        ),
        Yields::Replaced => {
            let inserted = first.weight.saturating_add(1).saturating_mul(operand(2).weight);
            (Bound::text(first.weight.saturating_add(inserted)), 0)
        }
        Yields::Matched => (Bound::SCALAR, first.weight.saturating_mul(PATTERN)),
        Yields::Transliterated => (
            Bound::text(first.weight.saturating_mul(LETTERS)),
            first.weight.saturating_mul(LETTERS),
        ),
    }
}

/// The most bytes of ASCII for one byte of text. Some single signs have long names, such as
/// `(partnership sign)`.
pub(super) const LETTERS: u64 = 32;

const EMPLOYEE: &str = "employee";

const OPERATORS: [&str; 18] = [
    operators::CONDITIONAL,
    operators::INDEX,
    operators::LOGICAL_AND,
    operators::LOGICAL_OR,
    operators::LOGICAL_NOT,
    operators::EQUALS,
    operators::NOT_EQUALS,
    operators::LESS,
    operators::LESS_EQUALS,
    operators::GREATER,
    operators::GREATER_EQUALS,
    operators::ADD,
    operators::SUBSTRACT,
    operators::MULTIPLY,
    operators::DIVIDE,
    operators::MODULO,
    operators::NEGATE,
    operators::IN,
];

fn unknown(what: &str) -> String {
    format!(
        "the expression builds {what}, which does not exist here; only text, numbers, truths, \
         lists and maps do"
    )
}

struct Path {
    id: String,
    /// Whether the path is within `has(...)`.
    presence: bool,
}

/// Returns the field that a chain of members and constant indices of `employee` names, or `None`
/// for anything else.
fn path(node: &IdedExpr) -> Result<Option<Path>, String> {
    let presence = matches!(&node.expr, Expr::Select(select) if select.test);
    let mut parts: Vec<Option<&str>> = Vec::new();
    let mut place = node;
    loop {
        match &place.expr {
            Expr::Select(select) if !select.test || parts.is_empty() => {
                parts.push(Some(&select.field));
                place = &select.operand;
            }
            Expr::Call(CallExpr { func_name, args, .. })
                if func_name == operators::INDEX && args.len() == 2 =>
            {
                parts.push(match &args[1].expr {
                    Expr::Literal(LiteralValue::String(text)) => Some(text.inner()),
                    _ => None,
                });
                place = &args[0];
            }
            Expr::Ident(name) if name == EMPLOYEE && !parts.is_empty() => break,
            _ => return Ok(None),
        }
    }
    parts.reverse();
    let Some(parts) = parts.into_iter().collect::<Option<Vec<_>>>() else {
        return Err("an index of `employee` has to be a field's id in quotes, such as \
            employee['work.site']; a field itself is text and has no index"
            .to_owned());
    };
    let id = parts.join(".");
    let well_formed = |part: &str| {
        !part.is_empty()
            && !part.contains(|c: char| c == '/' || c.is_whitespace() || c.is_control())
    };
    if id.len() > 200 || !id.split('.').all(well_formed) {
        return Err(
            "the expression has an index of `employee` that is not a Bob field id, such as \
             employee['work.custom.field_100']"
                .to_owned(),
        );
    }
    if !id.contains('.') {
        return Err(format!(
            "employee.{id} is not a field; write the whole Bob field id after `employee.`, such as \
             employee.work.site, \
             or employee.employee.lastDayOfWork for employee.lastDayOfWork"
        ));
    }
    Ok(Some(Path { id, presence }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_cel_is_told_with_its_place_and_the_likely_causes() {
        for (text, said) in [
            (
                "employee.work.site = 'Paris'",
                "the expression is not CEL, at line 1, column 20: a single = compares nothing; \
                 write == instead",
            ),
            (
                "employee.work.site == 'Paris' employee.work.site",
                "the expression is not CEL, at line 1, column 31: the likely causes are a bracket \
                 or a quote that is not closed, and two values \
                 without an operator such as && or == between them",
            ),
            (
                "'=' + employee.work.site + \"x = y\" = 'a'",
                "the expression is not CEL, at line 1, column 36: a single = compares nothing; \
                 write == instead",
            ),
        ] {
            assert_eq!(read(text).map(drop).unwrap_err(), said, "{text}");
        }
        let open = read("employee.work.site == 'Paris").map(drop).unwrap_err();
        assert!(open.contains("causes are a quote that is not closed, and"), "{open}");
        assert!(read("employee.work.site >= 'a' && employee.work.site != '='").is_ok());
    }
}
