//! Expressions: the contract's examples, what null and hidden mean, what is refused, hostile texts.

use bobsync::domain::{
    employee::{Cell, Employee, Fields, Values},
    expression::{Evaluated, Expression, NoOutcome},
};

/// Returns an employee with these fields; the others are empty.
pub fn employee(fields: &Fields, shown: &[(&str, Cell<'_>)]) -> Employee {
    let cells: Vec<Cell<'_>> = fields
        .ids()
        .iter()
        .map(|id| match shown.iter().find(|(field, _)| *field == &**id) {
            Some((_, cell)) => *cell,
            None if **id == *"root.id" => Cell::Text("1"),
            None => Cell::Null,
        })
        .collect();
    Employee::from_values(Values::from_cells(cells.into_iter())).expect("a row with an id")
}

fn compile(text: &str) -> (Expression, Fields) {
    let mut fields = Fields::default();
    let expression =
        Expression::compile(text, &mut fields).unwrap_or_else(|why| panic!("{text}: {why}"));
    (expression, fields)
}

fn text(
    expression: &str,
    shown: &[(&str, Cell<'_>)],
) -> Result<Evaluated<Option<String>>, NoOutcome> {
    let (expression, fields) = compile(expression);
    expression.text(&employee(&fields, shown))
}

fn holds(expression: &str, shown: &[(&str, Cell<'_>)]) -> Result<Evaluated<bool>, NoOutcome> {
    let (expression, fields) = compile(expression);
    expression.holds(&employee(&fields, shown))
}

fn known(text: &str) -> Evaluated<Option<String>> {
    Evaluated::Known(Some(text.to_owned()))
}

fn refused(text: &str) -> String {
    let mut fields = Fields::default();
    let why = Expression::compile(text, &mut fields).expect_err(text);
    assert_eq!(fields, Fields::default(), "{text}: a refused expression asks for nothing");
    why
}

const SITE: &str = "work.site";
const TITLE: &str = "work.title";

#[test]
fn the_examples_of_the_contract() {
    let scope = "employee.work.site != 'Contractors'";
    assert_eq!(holds(scope, &[(SITE, Cell::Text("Paris"))]), Ok(Evaluated::Known(true)));
    assert_eq!(
        holds(scope, &[(SITE, Cell::Text(" Contractors "))]),
        Ok(Evaluated::Known(false)),
        "as in Field rows, trimmed"
    );
    assert_eq!(
        holds(scope, &[(SITE, Cell::Null)]),
        Ok(Evaluated::Known(true)),
        "nobody is lost for want of a site"
    );
    assert_eq!(holds(scope, &[(SITE, Cell::Text("  "))]), Ok(Evaluated::Known(true)));
    assert_eq!(holds(scope, &[(SITE, Cell::Absent)]), Ok(Evaluated::Hidden));
    let company = "employee.work.site == 'Paris' ? 'Acme SAS' : 'Acme Ltd'";
    assert_eq!(text(company, &[(SITE, Cell::Text("Paris"))]), Ok(known("Acme SAS")));
    assert_eq!(text(company, &[(SITE, Cell::Null)]), Ok(known("Acme Ltd")));
    assert_eq!(text(company, &[(SITE, Cell::Absent)]), Ok(Evaluated::Hidden));
}

#[test]
fn every_way_to_write_a_field_asks_bob_for_it() {
    let (_, fields) = compile(
        "employee.work.title + employee['work']['department'] + employee['work.custom.field_100'] + employee.work['custom'].field_200 \
         + employee.work.reportsTo.email + ['a'].map(x, employee.address.city)[0] + {employee.about.a: employee.about.b}['x'] \
         + (has(employee.about.c) ? '' : employee.about.d.substring(int(employee.about.e)))",
    );
    let asked: Vec<&str> =
        fields.ids()[Fields::default().ids().len()..].iter().map(|id| &**id).collect();
    assert_eq!(
        asked,
        [
            "work.title",
            "work.department",
            "work.custom.field_100",
            "work.custom.field_200",
            "work.reportsTo.email",
            "address.city",
            "about.a",
            "about.b",
            "about.c",
            "about.d",
            "about.e"
        ]
    );
    let (expression, fields) = compile("employee.work.site == employee['work.site']");
    assert_eq!(fields, Fields::default(), "a field that is there already is not asked for twice");
    assert_eq!(expression.fields().collect::<Vec<_>>(), [bobsync::domain::employee::SITE]);
}

#[test]
fn results_become_text() {
    let shown: &[(&str, Cell<'_>)] = &[(TITLE, Cell::Text("Lead")), (SITE, Cell::Null)];
    for (expression, expected) in [
        ("employee.work.title", Some("Lead")),
        ("employee.work.site", None),
        ("null", None),
        ("' '", None),
        ("' a '", Some(" a ")),
        ("1 + 2", Some("3")),
        ("-7 % 4", Some("-3")),
        ("2.5 * 2.0", Some("5")),
        ("3u", Some("3")),
        ("1 < 2", Some("true")),
        ("['a', 'b']", Some("a, b")),
        ("[employee.work.site, employee.work.title, '', 'x']", Some("Lead, x")),
        ("[employee.work.site]", None),
        ("[]", None),
        ("'a@b@c'.split('@')", Some("a, b, c")),
        ("'a@b@c'.split('@', 2)[1]", Some("b@c")),
        (
            "employee.work.title.split(',').map(x, x.trim()).filter(x, x != '').join('; ')",
            Some("Lead"),
        ),
        ("['x', 'y'].map(x, x + '!').join('-')", Some("x!-y!")),
        ("['xa', 'y'].filter(x, x.startsWith('x'))", Some("xa")),
        ("['xa', 'y'].map(x, x.size() > 1, x.upperAscii())", Some("XA")),
        ("{'Lead': 'boss'}[employee.work.title]", Some("boss")),
        ("'Noa Lind'.lowerAscii().replace(' ', '.')", Some("noa.lind")),
        (
            "'abc'.substring(1) + 'abc'.substring(0, 1) + 'abc'.charAt(1) + string('abc'.indexOf('c'))",
            Some("bcab2"),
        ),
        (
            "' a '.trim() + string(1.5) + string(true) + string(int('4')) + string(bool('true'))",
            Some("a1.5true4true"),
        ),
        ("has(employee.work.title)", Some("true")),
        ("has(employee.work.site)", Some("false")),
    ] {
        assert_eq!(
            text(expression, shown),
            Ok(Evaluated::Known(expected.map(str::to_owned))),
            "{expression}"
        );
    }
    for expression in ["{'a': 1}", "b'a'", "[1]", "[['a']]", "{'a': 'b'}.a.split('').map(x, 1)"] {
        assert!(matches!(text(expression, shown), Err(NoOutcome::Result { .. })), "{expression}");
    }
}

#[test]
fn a_scope_is_true_or_false_and_nothing_else() {
    for (expression, expected) in [
        ("employee.work.title.matches('^Le.d$')", true),
        ("matches(employee.work.title, 'x')", false),
        ("employee.work.title in ['Lead', 'Chief']", true),
        ("employee.work.site in ['Lead', 'Chief']", false),
        ("employee.work.site == null", true),
        ("['L', 'C'].exists(x, employee.work.title.startsWith(x))", true),
        ("['L', 'C'].all(x, employee.work.title.contains(x))", false),
        ("['L', 'L'].exists_one(x, employee.work.title.contains(x))", false),
        ("employee.work.startDate >= '2026-01-01' && employee.work.startDate < '2027-01-01'", true),
        ("1 / 0 == 1 || true", true),
        ("!(1 / 0 == 1 && false)", true),
    ] {
        let shown = [(TITLE, Cell::Text("Lead")), ("work.startDate", Cell::Text("2026-11-02"))];
        assert_eq!(holds(expression, &shown), Ok(Evaluated::Known(expected)), "{expression}");
    }
    for expression in ["'true'", "1", "null", "employee.work.site", "[true]"] {
        let failure = holds(expression, &[]).expect_err(expression);
        assert!(
            failure.to_string().ends_with("has to be true or false"),
            "{expression}: {failure}"
        );
    }
}

#[test]
fn a_hidden_field_hides_the_outcome_where_it_is_reached_and_only_there() {
    let shown: &[(&str, Cell<'_>)] = &[(SITE, Cell::Absent), (TITLE, Cell::Text("Lead"))];
    for (expression, hidden) in [
        ("employee.work.title == 'Lead' || employee.work.site == 'x'", false),
        ("employee.work.title == 'Chief' && employee.work.site == 'x'", false),
        ("employee.work.title == 'Lead' ? true : employee.work.site == 'x'", false),
        (
            "['Lead', employee.work.title].exists(x, x == 'Lead' || employee.work.site == 'x')",
            false,
        ),
        ("employee.work.site == 'x' || employee.work.title == 'Lead'", true),
        ("has(employee.work.site)", true),
        ("!has(employee.work.site) || true", true),
        ("employee.work.site.startsWith('x') || true", true),
        ("employee.work.site == 'x' || 1 / 0 == 1", true),
        ("1 / 0 == 1 || employee.work.site == 'x'", true),
        ("[employee.work.site].all(x, true)", true),
        ("['a'].exists(x, x == employee.work.site) || true", true),
        ("{employee.work.site: 1}.size() == 0 || true", true),
    ] {
        let outcome = holds(expression, shown);
        assert_eq!(
            outcome,
            Ok(if hidden {
                Evaluated::Hidden
            } else {
                Evaluated::Known(outcome == Ok(Evaluated::Known(true)))
            }),
            "{expression}"
        );
    }
    let (expression, _) = compile("employee.work.site == 'x'");
    assert_eq!(
        expression.holds(&Employee::gone("7")),
        Ok(Evaluated::Hidden),
        "of a deleted file only the id is known"
    );
}

#[test]
fn failures_name_fields_and_functions_and_never_values() {
    let shown: &[(&str, Cell<'_>)] =
        &[(TITLE, Cell::Text("Secret-Title")), ("work.workPhone", Cell::Text("+44-secret"))];
    let empty = |function: &str, fields: &[&str]| NoOutcome::Empty {
        function: function.into(),
        fields: fields.iter().map(|&field| field.into()).collect(),
    };
    let overload = |function: &str| NoOutcome::NoSuchOverload { function: function.into() };
    let refusal = |function: &str| NoOutcome::Refused { function: function.into() };
    for (expression, failure) in [
        ("employee.work.site.startsWith('x')", empty("startsWith", &[SITE])),
        ("employee.work.site.matches('x')", empty("matches", &[SITE])),
        ("employee.work.title.startsWith(employee.work.site)", empty("startsWith", &[SITE])),
        (
            "employee.work.department == 'x' || employee.work.site.startsWith('x')",
            empty("startsWith", &[SITE]),
        ),
        ("(employee.work.site == 'a' ? '' : employee.work.site).trim()", empty("trim", &[SITE])),
        ("['a'].exists(x, employee.work.site.contains(x))", empty("contains", &[SITE])),
        ("employee.work.site + employee.work.title", empty("+", &[SITE])),
        ("employee.work.title + employee.work.site", empty("+", &[SITE])),
        ("employee.work.site < 'x'", empty("<", &[SITE])),
        ("employee.work.title >= employee.work.site", empty(">=", &[SITE])),
        ("size(employee.work.site)", empty("size", &[SITE])),
        ("int(employee.work.site)", empty("int", &[SITE])),
        ("['x', employee.work.site].join('-')", empty("join", &[SITE])),
        ("{'Paris': 'SAS'}[employee.work.site]", empty("[_]", &[SITE])),
        ("employee.work.title + 1", overload("+")),
        ("employee.work.title - employee.work.title", overload("-")),
        ("employee.work.title < 1", overload("<")),
        ("-employee.work.title", overload("-")),
        ("!employee.work.title", overload("!")),
        ("employee.work.title.startsWith(1)", overload("startsWith")),
        ("employee.work.title in employee.work.workPhone", overload("in")),
        ("null.trim()", overload("trim")),
        ("employee.work.title && true", overload("&&")),
        ("int(employee.work.title)", refusal("int")),
        ("employee.work.title.substring(100)", refusal("substring")),
        ("employee.work.title ? 1 : 2", NoOutcome::NotACondition),
        ("employee.work.title.trim().exists(x, x == 'a')", NoOutcome::NotAList),
        ("{'a': 1}[employee.work.title]", NoOutcome::NoSuchElement),
        ("{'a': 1}.b", NoOutcome::NoSuchElement),
        ("['a'][employee.work.title.size()]", NoOutcome::NoSuchElement),
        ("{employee.work.title: 1, employee.work.title: 2}", NoOutcome::BadKey),
        ("{[employee.work.title]: 1}", NoOutcome::BadKey),
        ("employee.work.title.size() / 0", NoOutcome::DivisionByZero),
        ("employee.work.title.size() % 0", NoOutcome::DivisionByZero),
        ("9223372036854775807 + employee.work.title.size()", NoOutcome::Overflow),
        ("-(-9223372036854775808)", NoOutcome::Overflow),
    ] {
        let found = text(expression, shown).expect_err(expression);
        assert_eq!(found, failure, "{expression}");
        let said = format!("{found} {found:?}");
        assert!(!said.to_lowercase().contains("secret"), "{expression}: {said}");
    }
}

#[test]
fn what_is_unknown_is_refused_with_advice() {
    for (expression, advice) in [
        ("", "empty"),
        ("company == 'x'", "only `employee` is known"),
        ("request.work.site == 'x'", "only `employee` is known"),
        (".employee.work.site == 'x'", "only `employee` is known"),
        ("employee.work.site == Paris", "text in quotes"),
        ("employee == null", "name a field of it"),
        ("[employee]", "name a field of it"),
        ("employee.trim()", "name a field of it"),
        ("employee.site == 'x'", "is not a field"),
        ("employee['site'] == 'x'", "is not a field"),
        ("employee.lastDayOfWork == 'x'", "employee.employee.lastDayOfWork"),
        ("employee[employee.work.site]", "in quotes"),
        ("employee['work'][0]", "in quotes"),
        ("employee.work['si' + 'te']", "in quotes"),
        ("employee.work.site[0]", "in quotes"),
        ("employee['/work/site']", "not a Bob field id"),
        ("employee['work..site']", "not a Bob field id"),
        ("employee['work.si te']", "not a Bob field id"),
        ("['a'].map(x, x == y)", "only `employee` is known"),
        ("['a'].map(x, x)[0] == x", "only `employee` is known"),
        ("['a'].map(employee, employee)", "cannot be called"),
        ("employee.work.site.exists(x, x == 'a')", "split it first"),
        ("employee.work.site.format(['a'])", "no function `format`"),
        ("nickname(employee.work.site)", "no function `nickname`"),
        ("employee.work.site.username()", "the function `username` is written as `username(x)`"),
        ("timestamp('2026-01-01T00:00:00Z')", "no function `timestamp`"),
        ("employee.work.site.exists(x)", "no function `exists`"),
        ("type(employee.work.site)", "no function `type`"),
        ("dyn(employee.work.site)", "no function `dyn`"),
        ("startsWith(employee.work.site, 'x')", "as `x.startsWith()`"),
        ("employee.work.site.int()", "as `int(x)`"),
        ("employee.work.site.startsWith()", "takes 1 to 1 arguments"),
        ("employee.work.site.startsWith('a', 'b')", "takes 1 to 1 arguments"),
        ("employee.work.site.matches(employee.work.title)", "text in quotes"),
        ("employee.work.site.matches('a' + 'b')", "text in quotes"),
        ("employee.work.site.matches('(')", "not a regular expression"),
        ("employee.work.site.matches('(?=a)')", "not a regular expression"),
        ("Employee{work: 'x'}", "a message"),
        ("employee.?work.site", "not CEL"),
        ("employee.work.site ==", "not CEL"),
        ("employee.work.site = 'x'", "not CEL"),
        ("if", "not CEL"),
        ("'\\ud800'", "not CEL"),
        ("has(employee)", "not CEL"),
        ("has(employee.work)", "is not a field"),
        ("has(employee['work.site'])", "not CEL"),
    ] {
        let why = refused(expression);
        assert!(why.contains(advice), "{expression}: {why}");
        assert!(why.len() < 500, "{expression}: {why}");
    }
}

#[test]
fn hostile_expressions_are_refused_before_they_run() {
    let nested = |open: &str, inner: &str, close: &str, times: usize| {
        format!("{}{inner}{}", open.repeat(times), close.repeat(times))
    };
    let zeros = |count: usize| format!("[{}]", vec!["0"; count].join(","));
    let doubling = |times: usize| format!("[employee.work.site]{}", ".map(x,x+x)".repeat(times));
    for (expression, advice) in [
        (nested("(", "1", ")", 10_000), "longer than"),
        (nested("(", "1", ")", 900), "brackets nested"),
        (nested("[", "1", "]", 900), "brackets nested"),
        (nested("{1:", "1", "}", 400), "brackets nested"),
        ("(".repeat(1_999), "brackets nested"),
        // A bracket in quotes for each real one, or a raw string, would mislead a count of
        // brackets; the parser counts itself.
        (format!("{}1", "r'\\'==(".repeat(280)), "nested more than 32 deep"),
        (nested("true?1:", "1", "", 280), "nested more than 32 deep"),
        (nested("", "1", "+1", 900), "too large"),
        (nested("", "1", "<1", 900), "too large"),
        (nested("", "employee.work.site", ".trim()", 250), "too large"),
        (format!("[1]{}", "[0]".repeat(600)), "too large"),
        (zeros(900), "too large"),
        (nested("", "true", "||true", 300), "too large"),
        (format!("'{}'", "x".repeat(2_000)), "longer than"),
        ("[1].map(a, [1].map(b, [1].map(c, c)))".to_owned(), "more than 2 deep"),
        ("[1].all(a, [1].exists(b, [1].exists_one(c, c == a)))".to_owned(), "more than 2 deep"),
        (doubling(15), "too expensive"),
        (format!("{}.map(x, {}.map(y, {}))", zeros(150), zeros(150), zeros(150)), "too expensive"),
        (
            format!(
                "{}.map(x, employee.work.site{})",
                zeros(200),
                "+employee.work.site".repeat(28)
            ),
            "too expensive",
        ),
        (
            format!("{0}.all(x, {0}.all(y, employee.work.title.matches('a')))", zeros(100)),
            "too expensive",
        ),
        (
            "employee.work.site.replace('', employee.work.site).replace('', employee.work.site)"
                .to_owned(),
            "too expensive",
        ),
        (
            "employee.work.site.split('').map(x, employee.work.site.split(''))".to_owned(),
            "too expensive",
        ),
        (
            "employee.work.site.split('').map(x, employee.work.site.split('').map(y, x + y))"
                .to_owned(),
            "too expensive",
        ),
        (format!("employee.work.site.matches('{}')", "a".repeat(201)), "longer than 200"),
        ("employee.work.site.matches('(a{1,100}){1,100}{1,100}')".to_owned(), "too large"),
        (
            format!("employee.work.site.matches('{}')", nested("(", "a", ")", 90)),
            "not a regular expression",
        ),
        (vec!["'a'.matches('a')"; 17].join("||"), "more than 16 patterns"),
        (
            (0..65).map(|n| format!("has(employee.a.f{n})")).collect::<Vec<_>>().join("||"),
            "more than 64 different fields",
        ),
    ] {
        let why = refused(&expression);
        assert!(
            why.contains(advice),
            "{}…: {why}",
            expression.chars().take(60).collect::<String>()
        );
    }
}

/// The largest of each kind that is accepted, and refusals of the parser itself, on less stack than
/// any worker has.
#[test]
fn the_deepest_expressions_run_on_a_small_stack() {
    let deep = [
        format!("{}'a'{}", "(".repeat(24), ")".repeat(24)),
        format!("'a'{}", " + 'a'".repeat(29)),
        format!("employee.work.title{}", ".trim()".repeat(29)),
        format!("{}'c'", "employee.work.title == 'b' ? 'a' : ".repeat(28)),
        format!("{}employee.work.title{}", "[".repeat(14), "][0]".repeat(14)),
        vec!["employee.work.title != 'b'"; 60].join(" && "),
    ];
    let run = move || {
        for expression in deep {
            let outcome = text(&expression, &[(TITLE, Cell::Text("a"))]);
            assert!(matches!(outcome, Ok(Evaluated::Known(Some(_)))), "{expression}: {outcome:?}");
        }
        for brackets in [33, 90, 280] {
            refused(&format!("{}1", "r'\\'==(".repeat(brackets)));
        }
    };
    std::thread::Builder::new()
        .stack_size(3 << 19)
        .spawn(run)
        .expect("a thread")
        .join()
        .expect("no overflow");
}

#[test]
fn long_fields_and_long_results_fail() {
    let long = "x".repeat(1_024);
    let longer = "x".repeat(1_025);
    assert_eq!(text("employee.work.site", &[(SITE, Cell::Text(&long))]), Ok(known(&long)));
    assert_eq!(
        holds("has(employee.work.site)", &[(SITE, Cell::Text(&longer))]),
        Ok(Evaluated::Known(true))
    );
    let failure = NoOutcome::FieldTooLong { field: SITE.into() };
    assert_eq!(text("employee.work.site", &[(SITE, Cell::Text(&longer))]), Err(failure.clone()));
    assert_eq!(
        holds("employee.work.site == 'x' || true", &[(SITE, Cell::Text(&longer))]),
        Err(failure)
    );
    let four = "employee.work.site + employee.work.site + employee.work.site + employee.work.site";
    assert!(
        matches!(text(four, &[(SITE, Cell::Text(&long))]), Ok(Evaluated::Known(Some(text))) if text.len() == 4_096)
    );
    assert_eq!(
        text(&format!("{four} + 'x'"), &[(SITE, Cell::Text(&long))]),
        Err(NoOutcome::ResultTooLong)
    );
}

#[test]
fn expressions_are_equal_by_text_and_fields_and_show_nothing_else() {
    fn shared<T: Clone + std::fmt::Debug + Eq + Send + Sync>(_: &T) {}
    let (one, _) = compile("employee.work.title == 'a'");
    shared(&one);
    assert_eq!(one, compile("employee.work.title == 'a'").0);
    assert_eq!(one, one.clone());
    assert_ne!(one, compile("employee.work.title  == 'a'").0);
    let mut fields = Fields::default();
    fields.want("work.department");
    assert_ne!(
        one,
        Expression::compile("employee.work.title == 'a'", &mut fields).unwrap(),
        "its field is elsewhere"
    );
    assert_eq!(format!("{one:?}"), r#"Expression("employee.work.title == 'a'")"#);
    assert_eq!(one.source(), "employee.work.title == 'a'");
}

#[test]
fn the_examples_of_the_page_do_what_they_say() {
    let page = include_str!("../../docs/expressions.md");
    let block = page
        .split("```text")
        .nth(1)
        .and_then(|rest| rest.split("```").next())
        .expect("five examples");
    let examples: Vec<&str> =
        block.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#')).collect();
    assert_eq!(examples.len(), 5);
    let paris: &[(&str, Cell<'_>)] = &[
        (SITE, Cell::Text("Paris")),
        ("root.email", Cell::Text("Noa@Example.com")),
        ("work.custom.field_100", Cell::Text("Intern")),
        ("work.department", Cell::Text("Finance")),
    ];
    let none = &[];
    for (example, here, nowhere) in
        [(examples[0], true, false), (examples[1], false, true), (examples[2], true, false)]
    {
        assert_eq!(holds(example, paris), Ok(Evaluated::Known(here)), "{example}");
        assert_eq!(holds(example, none), Ok(Evaluated::Known(nowhere)), "{example}");
    }
    assert_eq!(text(examples[3], paris), Ok(known("Acme SAS")));
    assert_eq!(text(examples[3], none), Ok(known("Acme Ltd")));
    assert_eq!(text(examples[4], paris), Ok(known("Finance - Paris")));
    assert_eq!(text(examples[4], &[(SITE, Cell::Text("Paris"))]), Ok(known("Paris")));
    assert_eq!(text(examples[4], none), Ok(Evaluated::Known(None)));
}
