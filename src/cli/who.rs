//! `bobsync who`: how many employees are in which state, and who they are. It reads only the API
//! server.

use std::{collections::BTreeMap, fmt::Write as _};

use clap::{ArgGroup, Args, ValueEnum};
use jiff::Timestamp;

use super::{
    connection, moment,
    people::{Looking, NamedIntegration, ShownEmployee, ShownName, access_word, reason_of},
    table::{AnswerPage, TableCell},
};
use crate::api::{
    conditions,
    employee_sync::{Access, HISTORY, OutcomeWord, Trigger},
    reasons::EmployeeReason,
};

/// What `bobsync who` is told.
#[derive(Clone, Debug, Args)]
#[command(group(ArgGroup::new("state").args(["failing", "held", "unmanaged"])))]
pub struct Options {
    /// Only employees with this access. Repeatable.
    #[arg(long, value_enum, value_name = "ACCESS")]
    pub access: Vec<AccessWord>,
    /// Only employees with access that follows this: AccessRevoked, FileDeleted, Terminated,
    /// LastDayOfWork, TerminationDate, or the date that they wait for (StartDate, LeaveEnd).
    #[arg(long, value_enum, value_name = "CAUSE")]
    pub because: Option<Cause>,
    /// Only employees who fail, by reason, with what to do, those who fail for longest first.
    #[arg(long)]
    pub failing: bool,
    /// Only employees with a change that a guard holds.
    #[arg(long)]
    pub held: bool,
    /// Only employees that the settings leave out.
    #[arg(long)]
    pub unmanaged: bool,
    /// The changes that this trigger started. Default with --since: all changes.
    #[arg(long, value_enum, value_name = "TRIGGER", conflicts_with_all = ["state", "access",
        "because"])]
    pub changed_by: Option<TriggerWord>,
    /// The changes since then: 24h, 7d, yesterday, 2026-11-30, or RFC 3339.
    #[arg(long, value_name = "TIME", value_parser = moment::since, conflicts_with_all = ["state",
        "access", "because"])]
    pub since: Option<Timestamp>,
    /// The changes until then.
    #[arg(long, value_name = "TIME", value_parser = moment::until, conflicts_with_all = ["state",
        "access", "because"])]
    pub until: Option<Timestamp>,
    #[command(flatten)]
    pub looking: Looking,
    #[command(flatten)]
    pub shown: ShownName,
}

/// Access, as a person types it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "PascalCase")]
pub enum AccessWord {
    NotYet,
    Active,
    Suspended,
    Absent,
    Unmanaged,
}

impl AccessWord {
    fn is(self, access: Option<Access>) -> bool {
        access
            == Some(match self {
                Self::NotYet => Access::NotYet,
                Self::Active => Access::Active,
                Self::Suspended => Access::Suspended,
                Self::Absent => Access::Absent,
                Self::Unmanaged => Access::Unmanaged,
            })
    }
}

/// What access follows, as a person types it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "PascalCase")]
pub enum Cause {
    AccessRevoked,
    FileDeleted,
    Terminated,
    LastDayOfWork,
    TerminationDate,
    StartDate,
    LeaveStart,
    LeaveEnd,
}

/// What started a pass, as a person types it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "PascalCase")]
pub enum TriggerWord {
    Interval,
    Webhook,
    Manual,
    Transition,
    Spec,
    Retry,
}

impl TriggerWord {
    fn is(self, trigger: Trigger) -> bool {
        trigger
            == match self {
                Self::Interval => Trigger::Interval,
                Self::Webhook => Trigger::Webhook,
                Self::Manual => Trigger::Manual,
                Self::Transition => Trigger::Transition,
                Self::Spec => Trigger::Spec,
                Self::Retry => Trigger::Retry,
            }
    }
}

/// Shows who is in which state.
///
/// # Errors
/// A sentence for the person at the terminal.
pub fn main(options: Options) -> Result<(), String> {
    connection::run(async {
        let (reader, integrations) = options.looking.begin().await?;
        let mut answer = WhoAnswer::of(&options);
        options.looking.each(&reader, |person| answer.see(&options, &person)).await?;
        answer.page(&options, &integrations).print(options.shown.output)
    })
}

/// What is collected while the employees go by.
enum WhoAnswer {
    /// How many are in which state.
    Matrix(BTreeMap<(String, String, String), u64>),
    /// Employees.
    List(Vec<Vec<TableCell>>),
    /// Employees who fail: the reason, since when, and the row.
    Failing(Vec<(String, Option<Timestamp>, Vec<TableCell>)>),
    /// Changes: when, and the row; and how many histories may have lost older ones.
    Changes(Vec<(Timestamp, Vec<TableCell>)>, u64),
}

impl WhoAnswer {
    fn of(options: &Options) -> Self {
        let Options { changed_by, since, until, access, because, failing, held, unmanaged, .. } =
            options;
        if changed_by.is_some() || since.is_some() || until.is_some() {
            Self::Changes(Vec::new(), 0)
        } else if *failing {
            Self::Failing(Vec::new())
        } else if !access.is_empty() || because.is_some() || *held || *unmanaged {
            Self::List(Vec::new())
        } else {
            Self::Matrix(BTreeMap::new())
        }
    }

    fn see(&mut self, options: &Options, person: &ShownEmployee) {
        if let Self::Changes(rows, full) = self {
            return changes(options, person, rows, full);
        }
        if !is_meant(options, person) {
            return;
        }
        let (integration, who) = (person.integration(), person.who());
        match self {
            Self::Changes(..) => {}
            Self::Matrix(counts) => {
                let state = (integration, access_word(person.access()), person.reason());
                *counts.entry(state).or_default() += 1;
            }
            Self::List(rows) => rows.push(vec![
                integration.into(),
                who.into(),
                person.0.spec.employee_id.clone().into(),
                access_word(person.access()).into(),
                person.because().into(),
                person.access_since().map(|since| since.to_string()).into(),
                person.reason().into(),
                person.message().into(),
            ]),
            Self::Failing(rows) => {
                let since = person.ready_since();
                let row = vec![
                    person.reason().into(),
                    integration.into(),
                    who.into(),
                    person.0.spec.employee_id.clone().into(),
                    since.map(|since| since.to_string()).into(),
                    person.message().into(),
                ];
                rows.push((person.reason(), since, row));
            }
        }
    }

    fn page(self, options: &Options, integrations: &[NamedIntegration]) -> AnswerPage {
        let page = AnswerPage {
            name: "who",
            head: integrations.iter().map(|(name, object)| head(name, object)).collect(),
            ..AnswerPage::default()
        };
        match self {
            Self::Matrix(counts) => AnswerPage {
                columns: vec!["integration", "access", "reason", "people"],
                rows: counts
                    .into_iter()
                    .map(|((integration, access, reason), people)| {
                        vec![integration.into(), access.into(), reason.into(), people.into()]
                    })
                    .collect(),
                next: vec!["bobsync who --failing".to_owned()],
                ..page
            },
            Self::List(mut rows) => {
                rows.sort_by_key(|row| row.iter().take(2).map(text).collect::<Vec<_>>());
                AnswerPage {
                    foot: vec![counted(rows.len(), "employee", "employees")],
                    next: if options.held {
                        vec!["bobsync approve INTEGRATION".to_owned()]
                    } else {
                        vec!["bobsync explain EMPLOYEE".to_owned()]
                    },
                    columns: vec![
                        "integration",
                        "who",
                        "employeeId",
                        "access",
                        "because",
                        "since",
                        "reason",
                        "message",
                    ],
                    rows,
                    ..page
                }
            }
            Self::Failing(rows) => failing(page, rows),
            Self::Changes(mut rows, full) => {
                rows.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
                let mut foot = vec![counted(rows.len(), "change", "changes")];
                if full > 0 {
                    foot.push(format!(
                        "A status keeps the last {HISTORY} changes. {} may have older ones in this \
                         time that are not shown.",
                        counted(
                            usize::try_from(full).unwrap_or(usize::MAX),
                            "employee",
                            "employees"
                        )
                    ));
                }
                AnswerPage {
                    columns: vec![
                        "at",
                        "integration",
                        "who",
                        "employeeId",
                        "action",
                        "fields",
                        "trigger",
                        "outcome",
                        "plan",
                        "requestId",
                    ],
                    rows: rows.into_iter().map(|(_, row)| row).collect(),
                    foot,
                    ..page
                }
            }
        }
    }
}

fn text(cell: &TableCell) -> String {
    match cell {
        TableCell::Text(text) => text.clone(),
        TableCell::Number(_) | TableCell::Empty => String::new(),
    }
}

/// Returns whether the options mean this employee.
fn is_meant(options: &Options, person: &ShownEmployee) -> bool {
    let access = person.access();
    let reason = reason_of(&person.reason());
    let left_out =
        matches!(reason, Some(EmployeeReason::DomainNotListed | EmployeeReason::OutOfScope));
    (options.access.is_empty() || options.access.iter().any(|word| word.is(access)))
        && options.because.is_none_or(|cause| person.because() == Some(format!("{cause:?}")))
        && (!options.failing || reason.is_some_and(EmployeeReason::is_failure))
        && (!options.held || matches!(reason, Some(EmployeeReason::Held | EmployeeReason::Frozen)))
        && (!options.unmanaged || access == Some(Access::Unmanaged) || left_out)
}

/// Collects the changes of one employee.
fn changes(
    options: &Options,
    person: &ShownEmployee,
    rows: &mut Vec<(Timestamp, Vec<TableCell>)>,
    full: &mut u64,
) {
    let history = person.0.status.as_ref().map(|status| &*status.history).unwrap_or_default();
    for line in history {
        let at = line.at.0;
        let meant = options.changed_by.is_none_or(|word| word.is(line.trigger))
            && options.since.is_none_or(|since| since <= at)
            && options.until.is_none_or(|until| at < until);
        if meant {
            let failed = line.outcome == OutcomeWord::Failed;
            let row = vec![
                at.to_string().into(),
                person.integration().into(),
                person.who().into(),
                person.0.spec.employee_id.clone().into(),
                format!("{:?}", line.action).into(),
                line.fields.join(", ").into(),
                format!("{:?}", line.trigger).into(),
                if failed { "Failed".into() } else { "Succeeded".into() },
                line.plan.clone().into(),
                line.request_id.clone().into(),
            ];
            rows.push((at, row));
        }
    }
    // If the oldest line is of this time, an older one may have been too.
    let oldest = history.last().filter(|_| history.len() >= HISTORY).map(|line| line.at.0);
    if oldest.is_some_and(|oldest| options.since.is_none_or(|since| since <= oldest)) {
        *full += 1;
    }
}

/// Returns the page of those who fail: by reason, the oldest first.
fn failing(
    page: AnswerPage,
    mut rows: Vec<(String, Option<Timestamp>, Vec<TableCell>)>,
) -> AnswerPage {
    rows.sort_by(|a, b| (&a.0, a.1).cmp(&(&b.0, b.1)));
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    rows.iter().for_each(|(reason, ..)| *counts.entry(reason.clone()).or_default() += 1);
    let headings = counts
        .into_iter()
        .map(|(reason, count)| {
            let todo = reason_of(&reason).map(EmployeeReason::what_to_do).unwrap_or_default();
            (reason, format!("{count}  {todo}"))
        })
        .collect();
    let oldest = rows.iter().filter_map(|(_, since, _)| *since).min();
    let mut foot = vec![match rows.len() {
        0 => "No employee fails.".to_owned(),
        1 => "1 employee fails".to_owned(),
        several => format!("{several} employees fail"),
    }];
    if let (Some(oldest), Some(last)) = (oldest, foot.last_mut()) {
        let _ = write!(last, ", the first since {oldest}");
    }
    let next =
        if rows.is_empty() { Vec::new() } else { vec!["bobsync explain EMPLOYEE".to_owned()] };
    AnswerPage {
        columns: vec!["reason", "integration", "who", "employeeId", "since", "message"],
        rows: rows.into_iter().map(|(.., row)| row).collect(),
        grouped: true,
        headings,
        foot,
        next,
        ..page
    }
}

/// Says in one line how an integration is.
fn head(name: &str, object: &crate::api::ProvisioningIntegration) -> String {
    let status = object.status.clone().unwrap_or_default();
    let ready = conditions::find(&status.conditions, conditions::Type::Ready)
        .map_or_else(|| "Pending".to_owned(), |ready| ready.reason.clone());
    let people = status.employees.map_or_else(String::new, |counts| {
        format!(
            ", {} in Bob, {} in scope, {} ready, {} failing, {} held, {} waiting",
            counts.in_bob,
            counts.in_scope,
            counts.ready,
            counts.failing,
            counts.held,
            counts.pending
        )
    });
    format!("{name}: {ready}{people}")
}

fn counted(number: usize, one: &str, several: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { several })
}
