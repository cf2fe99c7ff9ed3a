//! `bobsync explain`: why an employee is so, in seven steps. It reads only the API server.

use std::collections::{BTreeMap, BTreeSet};

use clap::Args;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{
    connection, moment,
    people::{Looking, NamedIntegration, ShownEmployee, access_word, reason_of},
    table::{self, AnswerPage, Format},
};
use crate::{
    api::{
        ProvisioningIntegrationStatus, conditions,
        employee_sync::{Access, HistoryEntry, NextTransition},
        reasons::EmployeeReason,
    },
    domain::mapping::key,
};

/// How many employees are named if several are meant.
const NAMED: usize = 20;

/// What `bobsync explain` is told.
#[derive(Clone, Debug, Args)]
pub struct Options {
    /// E-mail or part of it, Bob's employee id, the name of the EmployeeSync, or the id of the
    /// account.
    #[arg(value_name = "EMPLOYEE")]
    pub who: String,
    /// Also says what access there is then by the next date: 7d, 2026-12-24, or RFC 3339.
    #[arg(long, value_name = "TIME", value_parser = moment::until)]
    pub at: Option<Timestamp>,
    #[command(flatten)]
    pub looking: Looking,
    /// How the answer is shown.
    #[arg(long, short, value_enum, default_value = "text", value_name = "FORMAT")]
    pub output: Format,
}

/// How well a name fits an employee.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fit {
    Part,
    Whole,
}

/// Explains one employee in each integration.
///
/// # Errors
/// A sentence for the person at the terminal: no employee is meant, or several are.
pub fn main(options: Options) -> Result<(), String> {
    connection::run(async {
        if options.who.trim().is_empty() {
            return Err("give an e-mail or an employee id".to_owned());
        }
        let (reader, integrations) = options.looking.begin().await?;
        let mut found: Vec<(Fit, ShownEmployee)> = Vec::new();
        options
            .looking
            .each(&reader, |person| {
                found.extend(fit(&person, &options.who).map(|fit| (fit, person)));
            })
            .await?;
        let people = meant(found, &options.who)?;
        let all: Vec<Explained> =
            people.iter().map(|person| explained(person, &integrations, options.at)).collect();
        if options.output == Format::Json {
            return table::print(&as_json(&all));
        }
        page(&all).print(options.output)
    })
}

/// Returns how well the name fits this employee.
fn fit(person: &ShownEmployee, who: &str) -> Option<Fit> {
    let status = person.status();
    let object = person.0.metadata.name.as_deref();
    let account = status.account.map(|account| account.id);
    if person.0.spec.employee_id == who || object == Some(who) || account.as_deref() == Some(who) {
        return Some(Fit::Whole);
    }
    let username = status.username?;
    let (username, wanted) = (key(&username), key(who));
    if username == wanted {
        Some(Fit::Whole)
    } else {
        username.contains(&*wanted).then_some(Fit::Part)
    }
}

/// Returns the one employee who is meant, in every integration.
fn meant(found: Vec<(Fit, ShownEmployee)>, who: &str) -> Result<Vec<ShownEmployee>, String> {
    let Some(best) = found.iter().map(|(fit, _)| *fit).max() else {
        return Err(format!(
            "no EmployeeSync fits `{who}`: give a username or part of it, Bob's employee id, the \
             name of the EmployeeSync, or the id of the account"
        ));
    };
    let mut people: Vec<ShownEmployee> =
        found.into_iter().filter(|(fit, _)| *fit == best).map(|(_, person)| person).collect();
    people.sort_by_key(|person| (person.integration(), person.0.spec.employee_id.clone()));
    let names: BTreeMap<String, String> =
        people.iter().map(|person| (person.0.spec.employee_id.clone(), person.who())).collect();
    if names.len() > 1 {
        let list: Vec<String> = names
            .iter()
            .take(NAMED)
            .map(|(employee, name)| format!("  {name}  (Bob {employee})"))
            .collect();
        let more = names.len().saturating_sub(NAMED);
        let more = if more > 0 { format!("\n  and {more} more") } else { String::new() };
        return Err(format!(
            "`{who}` fits {} employees; name one of them:\n{}{more}",
            names.len(),
            list.join("\n")
        ));
    }
    Ok(people)
}

/// One step.
#[derive(Clone, Debug, PartialEq)]
struct ExplainedStep {
    id: &'static str,
    outcome: String,
    says: String,
    /// Names of attributes.
    fields: Vec<String>,
}

/// An employee in one integration.
#[derive(Clone, Debug)]
struct Explained {
    integration: String,
    who: String,
    employee: String,
    access: String,
    reason: String,
    steps: Vec<ExplainedStep>,
    todo: String,
    next: Option<String>,
}

fn step(id: &'static str, outcome: impl Into<String>, says: impl Into<String>) -> ExplainedStep {
    ExplainedStep { id, outcome: outcome.into(), says: says.into(), fields: Vec::new() }
}

fn explained(
    person: &ShownEmployee,
    integrations: &[NamedIntegration],
    at: Option<Timestamp>,
) -> Explained {
    let (name, reason, status) = (person.integration(), person.reason(), person.status());
    let of = integrations.iter().find(|(full, _)| *full == name).map(|(_, object)| object);
    let around = of.and_then(|object| object.status.clone()).unwrap_or_default();
    let said = |kind: conditions::Type| {
        conditions::find(&status.conditions, kind)
            .map(|condition| (condition.reason.clone(), condition.message.clone()))
    };
    let known = reason_of(&reason);
    let mut steps = vec![bob(of.is_some(), &around), managed(person, known)];

    let (provisioned, provisioned_says) = said(conditions::Type::Provisioned)
        .unwrap_or_else(|| ("Unknown".to_owned(), String::new()));
    steps.push(match &status.account {
        Some(account) => step(
            "account",
            account.id.clone(),
            format!("Found by: {:?}. {provisioned_says}", account.matched_by),
        ),
        None => step("account", provisioned, provisioned_says),
    });
    steps.push(decision(person));
    let (differs, differs_says) = said(conditions::Type::AttributesSynced)
        .unwrap_or_else(|| ("Unknown".to_owned(), "Nothing is compared.".to_owned()));
    let access_says =
        said(conditions::Type::AccessSynced).map(|(_, says)| says).unwrap_or_default();
    let manager = said(conditions::Type::ManagerResolved).map(|(_, says)| says).unwrap_or_default();
    steps.push(step(
        "differs",
        differs,
        [differs_says, access_says, manager].join(" ").trim().to_owned(),
    ));
    steps.push(guard(known, &around));
    steps.push(last_write(&status.history));
    steps.extend(status.history.iter().skip(1).map(|line| written("history", line)));
    steps.push(match &status.next_transition {
        Some(next) => step(
            "next",
            format!("{:?}", next.access),
            format!("At {} ({}), by {:?}.", next.at, next.time_zone, next.because),
        ),
        None => step("next", "none", "No date changes the decision."),
    });
    steps.extend(at.map(|at| then(person.access(), status.next_transition.as_ref(), at)));

    let full = person.who();
    let next = match known {
        Some(EmployeeReason::Held | EmployeeReason::Frozen) => {
            Some(format!("bobsync approve {}", person.0.spec.integration_ref.name))
        }
        Some(reason) if reason.is_failure() => Some(format!(
            "bobsync sync {} --employee {}",
            person.0.spec.integration_ref.name, person.0.spec.employee_id
        )),
        _ => None,
    };
    Explained {
        integration: name,
        who: full,
        employee: person.0.spec.employee_id.clone(),
        access: access_word(person.access()),
        todo: known.map(EmployeeReason::what_to_do).unwrap_or_default().to_owned(),
        reason,
        steps,
        next,
    }
}

/// Returns what is known of the read of Bob.
fn bob(is_there: bool, around: &ProvisioningIntegrationStatus) -> ExplainedStep {
    let connected = conditions::find(&around.conditions, conditions::Type::BobConnected);
    match connected {
        Some(connected) => step("bob", connected.reason.clone(), connected.message.clone()),
        None if is_there => step("bob", "Unknown", "Bob has not been read yet."),
        None => step("bob", "NoIntegration", "The integration does not exist in this namespace."),
    }
}

/// Returns whether the settings manage this employee.
fn managed(person: &ShownEmployee, reason: Option<EmployeeReason>) -> ExplainedStep {
    let spec = &person.0.spec;
    let mut pins: Vec<&str> = Vec::new();
    if spec.user_status.is_some() {
        pins.push("spec.userStatus");
    }
    if !spec.attributes.is_empty() {
        pins.push("spec.attributes");
    }
    let pins = if pins.is_empty() {
        String::new()
    } else {
        format!(" This EmployeeSync pins {}.", pins.join(" and "))
    };
    let left_out = matches!(
        reason,
        Some(
            EmployeeReason::DomainNotListed
                | EmployeeReason::OutOfScope
                | EmployeeReason::HandsOff
                | EmployeeReason::AwaitingChange
                | EmployeeReason::NoIntegration
        )
    );
    match reason.filter(|_| left_out || person.access() == Some(Access::Unmanaged)) {
        Some(reason) => step("managed", "no", format!("{}{pins}", reason.meaning())),
        None => step("managed", "yes", format!("The settings manage this employee.{pins}")),
    }
}

/// Returns what was decided and why.
fn decision(person: &ShownEmployee) -> ExplainedStep {
    let since = person
        .access_since()
        .map_or_else(String::new, |since| format!(" The access is so since {since}."));
    let ended = person.0.status.as_ref().and_then(|status| status.employment_ended.as_ref());
    let ended = ended.map_or_else(String::new, |ended| {
        let date = ended.date.as_ref().map(|date| format!(", {date}")).unwrap_or_default();
        format!(" The employment has ended: {:?}{date}.", ended.because)
    });
    let evidence = person.0.status.as_ref().and_then(|status| status.evidence.as_ref());
    let evidence = evidence.map_or_else(String::new, |evidence| {
        format!(" Evidence: {:?}, seen at {}.", evidence.kind, evidence.observed_at.0)
    });
    step(
        "decision",
        access_word(person.access()),
        format!("{}{ended}{evidence}{since}", person.message()),
    )
}

/// Returns whether a guard is in the way, and when it opens.
fn guard(reason: Option<EmployeeReason>, around: &ProvisioningIntegrationStatus) -> ExplainedStep {
    let held = matches!(reason, Some(EmployeeReason::Held | EmployeeReason::Frozen));
    if !held {
        return step("guard", "none", "No guard holds a change of this employee.");
    }
    let condition = conditions::find(&around.conditions, conditions::Type::PlanHeld);
    let says = condition.map(|condition| condition.message.clone()).unwrap_or_default();
    let budgets = around.budgets.clone().unwrap_or_default();
    let opens = [
        ("suspensions", budgets.disables),
        ("reactivations", budgets.reactivations),
        ("creates", budgets.creates),
        ("updates", budgets.updates),
    ];
    let opens: Vec<String> = opens
        .into_iter()
        .filter_map(|(kind, budget)| Some((kind, budget?)))
        .filter(|(_, budget)| budget.planned > 0)
        .map(|(kind, budget)| {
            let opens = budget.opens_at.map_or_else(
                || "opens by approval".to_owned(),
                |at| format!("opens at {} or by approval", at.0),
            );
            format!(
                " Budget of {kind}: {} planned, {} done, limit {}; {opens}.",
                budget.planned, budget.done, budget.limit
            )
        })
        .collect();
    let word = condition.map_or_else(|| "Held".to_owned(), |condition| condition.reason.clone());
    step("guard", word, format!("{says}{}", opens.concat()))
}

fn last_write(history: &[HistoryEntry]) -> ExplainedStep {
    history.first().map_or_else(
        || step("lastWrite", "none", "bobsync has written nothing to this account."),
        |line| written("lastWrite", line),
    )
}

fn written(id: &'static str, line: &HistoryEntry) -> ExplainedStep {
    let plan = line.plan.as_ref().map(|plan| format!(", approved plan {plan}")).unwrap_or_default();
    let request = line.request_id.as_ref().map(|id| format!(", request {id}")).unwrap_or_default();
    ExplainedStep {
        id,
        outcome: format!("{:?}", line.outcome),
        says: format!("{:?} at {}, by {:?}{plan}{request}", line.action, line.at.0, line.trigger),
        fields: line.fields.clone(),
    }
}

/// Returns what access there is at a time, by the one date that a status has.
fn then(access: Option<Access>, next: Option<&NextTransition>, at: Timestamp) -> ExplainedStep {
    let due = next.filter(|next| {
        let instant: Option<Timestamp> = next.instant.as_ref().unwrap_or(&next.at).parse().ok();
        instant.is_some_and(|instant| instant <= at)
    });
    match due {
        Some(next) => step(
            "then",
            format!("{:?}", next.access),
            format!("At {at}, by {:?}. Later dates are not in the status.", next.because),
        ),
        None => {
            step("then", access_word(access), format!("At {at}: as now, by what Bob says now."))
        }
    }
}

fn as_json(all: &[Explained]) -> String {
    let people: Vec<Value> = all
        .iter()
        .map(|one| {
            let steps: Vec<Value> = one
                .steps
                .iter()
                .map(|step| {
                    json!({"id": step.id, "outcome": step.outcome, "says": step.says,
                        "fields": step.fields})
                })
                .collect();
            json!({"integration": one.integration, "who": one.who, "employeeId": one.employee,
                "access": one.access, "reason": one.reason, "steps": steps,
                "whatToDo": one.todo})
        })
        .collect();
    format!("{:#}\n", json!({"format": "bobsync/explain/v1", "people": people}))
}

fn page(all: &[Explained]) -> AnswerPage {
    let several = all.len() > 1;
    let mut page = AnswerPage {
        name: "explain",
        columns: vec!["integration", "step", "outcome", "says", "fields"],
        grouped: true,
        ..AnswerPage::default()
    };
    for one in all {
        page.head.push(format!(
            "{}  Bob {}  {}: {}, {}",
            one.who, one.employee, one.integration, one.access, one.reason
        ));
        page.rows.extend(one.steps.iter().map(|step| {
            vec![
                one.integration.clone().into(),
                step.id.into(),
                step.outcome.clone().into(),
                step.says.clone().into(),
                step.fields.join(", ").into(),
            ]
        }));
        let of = if several { format!(" ({})", one.integration) } else { String::new() };
        page.foot.push(format!("what to do{of}: {}", one.todo));
    }
    let next: BTreeSet<String> = all.iter().filter_map(|one| one.next.clone()).collect();
    page.next = next.into_iter().take(2).collect();
    page
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::EmployeeSync;

    fn person(integration: &str, employee: &str, status: Value) -> ShownEmployee {
        let object: EmployeeSync = serde_json::from_value(json!({
            "apiVersion": "bobsync.dev/v1alpha1", "kind": "EmployeeSync",
            "metadata": {"name": format!("{integration}-{employee}"), "namespace": "people"},
            "spec": {"integrationRef": {"name": integration}, "employeeId": employee},
            "status": status,
        }))
        .expect("an EmployeeSync");
        ShownEmployee(object)
    }

    fn chosen(people: &[ShownEmployee], who: &str) -> Result<Vec<String>, String> {
        let found = people.iter().filter_map(|one| Some((fit(one, who)?, one.clone()))).collect();
        meant(found, who).map(|people| people.iter().map(ShownEmployee::integration).collect())
    }

    #[test]
    fn a_whole_name_goes_before_a_part_and_several_employees_are_listed() {
        let people = [
            person(
                "a",
                "1",
                json!({"username": "Jane@example.com", "account": {"id": "900",
                "matchedBy": "Mark"}}),
            ),
            person("b", "1", json!({"username": "jane@example.com"})),
            person("a", "2", json!({"username": "mary-jane@example.com"})),
            person("a", "3", json!({})),
        ];
        let both = ["people/a".to_owned(), "people/b".to_owned()];
        assert_eq!(chosen(&people, "jane@EXAMPLE.com").expect("one"), both);
        assert_eq!(chosen(&people, "1").expect("one"), both);
        assert_eq!(chosen(&people, "900").expect("one"), both[..1]);
        assert_eq!(chosen(&people, "a-3").expect("one"), both[..1]);
        assert_eq!(chosen(&people, "mary").expect("one"), both[..1]);
        let several = chosen(&people, "jane@").expect_err("two");
        assert!(several.contains("mary-jane@example.com  (Bob 2)"), "{several}");
        assert!(chosen(&people, "bob").expect_err("none").contains("`bob`"));
    }

    // The table of reasons says what to do, and every reason has its row.
    #[test]
    fn every_reason_has_seven_steps_and_what_to_do() {
        for reason in EmployeeReason::ALL {
            let status = json!({"access": "Active", "conditions": [{"type": "Ready",
                "status": if reason.is_ready() { "True" } else { "False" },
                "reason": reason.as_str(), "message": "So.", "lastTransitionTime":
                "2026-11-30T02:00:00Z"}]});
            let one = explained(&person("a", "1", status), &[], None);
            let ids: Vec<_> = one.steps.iter().map(|step| step.id).collect();
            let steps =
                ["bob", "managed", "account", "decision", "differs", "guard", "lastWrite", "next"];
            assert_eq!(ids, steps);
            assert_eq!(one.todo, reason.what_to_do());
            assert!(!one.todo.is_empty(), "{reason}");
        }
    }

    #[test]
    fn the_next_date_decides_what_is_then() {
        let next = json!({"at": "2026-12-09T00:00:00+13:00", "instant": "2026-12-08T11:00:00Z",
            "timeZone": "Pacific/Auckland", "access": "Suspended", "because": "LastDayOfWork"});
        let next: NextTransition = serde_json::from_value(next).expect("a date");
        let at = |time: &str| {
            then(Some(Access::Active), Some(&next), time.parse().expect("a time")).outcome
        };
        assert_eq!(at("2026-12-08T10:59:59Z"), "Active");
        assert_eq!(at("2026-12-08T11:00:00Z"), "Suspended");
    }
}
