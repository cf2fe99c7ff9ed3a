//! Step 2: reads Bob and the provider. A full pass reads all employees by one search and all
//! accounts by one listing. A partial pass reads some employees and looks up each account on
//! record. A partial pass on evidence does not ask Bob. The results have the same form, so no later
//! step has to ask which of these it was.

pub mod full;
pub mod partial;
mod unlisted;

use std::collections::HashSet;

use tokio::time::Instant;

use super::{
    Early, Pass, Scope, answered,
    context::Requests,
    execute::Cut,
    report::{BobFound, Report},
    scope::Rest,
};
use crate::{
    api::{employee_sync::Trigger, reasons::IntegrationReason},
    cluster::roster::Entry,
    domain::{
        account::{Access, Account},
        employee::Employee,
        matching::{Matcher, Person},
        priority::{Class, Urgency},
    },
    engine::stop::Stop,
    provider::Listing,
};

/// How many accounts of employees may have another system's value where the mark should be. If
/// there are more, the settings name the wrong attribute.
const MOST_FOREIGN_MARKS: u32 = 10;

/// Bob, as one pass saw it.
#[derive(Debug, Default)]
pub struct SeenBob {
    /// The employees to decide on: those in Bob's answer, employees with a file that is confirmed
    /// to be gone, and leavers on record that Bob does not show.
    pub employees: Vec<Employee>,
    /// What the report says of Bob.
    pub found: BobFound,
    /// The employees that the pass will not finish.
    pub rest: Rest,
    /// Why the answer is not believed about missing employees, if it is not.
    pub suspect: Option<String>,
    /// The id of the company in Bob, if events are to be compared with it.
    pub company: Option<u64>,
    /// The employees with a file that this pass confirmed to be gone.
    pub deleted_now: HashSet<Box<str>>,
    /// The accounts that were looked up. A full pass lists all accounts later.
    pub accounts: Vec<Account<'static>>,
    /// The employees for which a search looked for all accounts with their mark.
    pub searched: HashSet<Box<str>>,
    /// Whether the pass may take access and do nothing else, because Bob was not asked.
    pub only_access: bool,
}

/// The accounts, as one pass saw them.
#[derive(Debug, Default)]
pub struct Accounts {
    /// What is known of them together. The matcher has seen each of them.
    pub listing: Listing,
    /// The managers that are not among the employees of the pass.
    pub managers: partial::Managers,
}

impl SeenBob {
    /// Takes out the employees that this read says nothing about, and notes for which of the others
    /// all accounts were found.
    pub fn restrict(&self, people: &mut Vec<Person>) {
        people.retain(|person| {
            !self.only_access || person.decision.existing == Some(Access::Suspended)
        });
        people
            .iter_mut()
            .for_each(|person| person.several &= !self.searched.contains(person.employee.id()));
    }
}

impl Pass<'_> {
    /// Returns the sync requests of single employees that existed before Bob was read.
    pub(super) fn requests(&self) -> Requests {
        let mut requests = Requests::new();
        let mut look = |employee: &str, entry: &Entry| {
            if let Some(requested) = &entry.sync_requested {
                requests.insert(employee.into(), requested.clone());
            }
        };
        match self.request.scope {
            Scope::Full { .. } => self.integration.roster.for_each(look),
            // A pass that reads Bob answers the sync requests.
            Scope::Partial { on_evidence: true, .. } => {}
            Scope::Partial { on_evidence: false, .. } => {
                self.request.causes.keys().for_each(|employee| {
                    self.integration.roster.with(employee, |entry| {
                        entry.into_iter().for_each(|entry| look(employee, entry))
                    });
                })
            }
        }
        requests
    }

    /// Reads the employees of the pass. A partial pass also looks up their accounts.
    pub(super) async fn observe_bob(&self) -> Result<SeenBob, Early> {
        match self.request.scope {
            Scope::Full { .. } => self.read_all().await,
            Scope::Partial { on_evidence: true, .. } => self.take_evidence().await,
            Scope::Partial { line, .. } => self.read_some(line).await,
        }
    }

    async fn read_all(&self) -> Result<SeenBob, Early> {
        let source = self
            .unless_halted(full::employees(
                self.services.bob,
                self.integration.settings(),
                self.integration.roster,
                &self.memory.last_read,
                self.cluster.clock.now(),
            ))
            .await??;
        self.concurrent.mailbox.company(source.company);
        Ok(source)
    }

    async fn read_some(&self, urgency: Urgency) -> Result<SeenBob, Early> {
        if self.integration.validated.dry_run {
            // `partial` starts no such pass for a dry run. A dry run writes nothing, whatever
            // started it.
            return Err(Early::Idle);
        }
        let (settings, roster) = (self.integration.settings(), self.integration.roster);
        let mut seen = partial::employees(
            self.services.bob,
            settings,
            roster,
            self.request.causes,
            urgency,
            self.cluster.clock.now(),
            self.memory.last_read.apart,
        )
        .await?;
        self.concurrent.mailbox.company(seen.company);
        let accounts = partial::accounts(
            self.services.provider,
            &settings.mapping,
            roster,
            &mut seen,
            &|| self.is_wanted(),
        )
        .await?;
        let unseen_now = self.concurrent.company.shown(|field| seen.fields.contains(field));
        let found = BobFound { answered: Some(true), unseen_now, ..BobFound::default() };
        Ok(SeenBob { found, accounts, ..SeenBob::from(seen) })
    }

    /// Takes the access that evidence on record takes, and does nothing else. The pass does not ask
    /// Bob, so an employee who has to lose access at once does not wait for an answer of Bob. A
    /// pass that reads the rows of these employees finds everything else that they need.
    async fn take_evidence(&self) -> Result<SeenBob, Early> {
        let (settings, roster) = (self.integration.settings(), self.integration.roster);
        let mut seen = partial::by_evidence(roster, self.request.causes);
        if self.integration.validated.dry_run
            || !settings.disabling_trigger
            || seen.employees.is_empty()
        {
            return Err(Early::Idle);
        }
        let mut accounts = partial::accounts(
            self.services.provider,
            &settings.mapping,
            roster,
            &mut seen,
            &|| self.is_wanted(),
        )
        .await?;
        accounts.extend(
            partial::marked(self.services.provider, &settings.mapping, roster, &mut seen).await?,
        );
        Ok(SeenBob { accounts, only_access: true, ..SeenBob::from(seen) })
    }

    /// Shows all accounts to the matcher. A full pass lists them; a partial pass has looked them up
    /// and looks up the managers of these employees.
    pub(super) async fn observe_accounts(
        &self,
        people: &[Person],
        matcher: &mut Matcher<'_>,
        source: &mut SeenBob,
    ) -> Result<Accounts, Early> {
        let mapping = &self.integration.settings().mapping;
        match self.request.scope {
            Scope::Full { listed, .. } => {
                let listing = self.listed(people, matcher).await?;
                let listing = listing.inspect_err(|_| self.leavers_do_not_wait(people))?;
                self.look_up_unlisted(people, matcher).await?;
                if let Some(stop) = self.mark_is_taken(matcher) {
                    self.leavers_do_not_wait(people);
                    return Err(stop.into());
                }
                let unavailable = listing.unavailable.iter();
                let unavailable = unavailable.map(|row| mapping.rows[*row].target.clone());
                listed(unavailable.collect(), &self.unseen(people));
                Ok(Accounts { listing, ..Accounts::default() })
            }
            Scope::Partial { unavailable, .. } => {
                std::mem::take(&mut source.accounts)
                    .into_iter()
                    .for_each(|account| matcher.see(account));
                let managers = if source.only_access {
                    partial::Managers::default()
                } else {
                    partial::managers(
                        self.services.provider,
                        mapping,
                        self.integration.roster,
                        people,
                        &|| self.is_wanted(),
                    )
                    .await?
                };
                let rows = 0..mapping.rows.len();
                let unavailable =
                    rows.filter(|row| unavailable.contains(&mapping.rows[*row].target)).collect();
                Ok(Accounts { listing: Listing { unavailable, ..Listing::default() }, managers })
            }
        }
    }

    /// Returns the stop if many accounts have values of another system where the marks should be:
    /// the settings name the wrong attribute, and no account is adopted by mistake.
    fn mark_is_taken(&self, matcher: &Matcher<'_>) -> Option<Stop> {
        let target = &self.integration.validated.target;
        let attribute = target.destination.reserved()?;
        let count = matcher.foreign_marks();
        let chosen = target.catalog().capabilities.chosen_mark;
        (chosen && count > MOST_FOREIGN_MARKS).then(|| {
            let said = format!(
                "In spec.provider: markAttribute names {attribute}, which has values that are no \
                 marks of bobsync on {count} accounts of employees: name an attribute that nothing \
                 else uses"
            );
            Stop { answered: true, ..Stop::new(IntegrationReason::InvalidSettings, said) }
        })
    }

    /// Keeps what the answers showed, so that later passes can tell what is new in theirs.
    pub(super) fn remember(&self, people: &[Person], listing: &Listing, report: &mut Report) {
        self.looked_at(people);
        let employees = people.iter().map(|person| &person.employee);
        let (company, handle) = (self.concurrent.company, self.concurrent.handle);
        match self.request.scope {
            Scope::Full { .. } => {
                if report.bob.zones.is_some() {
                    company.see_all(employees, |id| handle.is_outdated(id));
                }
                company.hide(&report.bob.unseen_fields);
            }
            Scope::Partial { on_evidence: true, .. } => {}
            Scope::Partial { on_evidence: false, .. } => {
                company.see_some(employees.filter(|employee| !handle.is_outdated(employee.id())));
                report.bob.zones = company.gaps(&self.integration.settings().zones);
            }
        }
        if listing.whole {
            self.integration.roster.without_account(None);
        }
    }

    /// Returns whether a look-up that waits for its turn is still wanted.
    fn is_wanted(&self) -> bool {
        let urgent = matches!(self.request.scope, Scope::Partial { line: Urgency::Urgent, .. });
        !(self.concurrent.halted)()
            && self.cluster.leadership.is_leader()
            && (urgent || Instant::now() < self.request.deadline)
    }

    /// Awaits a read, unless the pass has to end early: a newer spec has no use for that read.
    pub(super) async fn unless_halted<T>(
        &self,
        reading: impl Future<Output = T>,
    ) -> Result<T, Early> {
        tokio::select! {
            read = reading => Ok(read),
            () = (self.concurrent.halting)() => Err(Early::Cut(Cut::Halted)),
        }
    }

    /// Puts employees into the urgent line if they lose access and their account is on record as
    /// open. The urgent line looks up such an account by its id, so a failed listing does not leave
    /// access open.
    fn leavers_do_not_wait(&self, people: &[Person]) {
        if self.integration.validated.dry_run {
            return;
        }
        let now = Instant::now();
        let known = |person: &Person| {
            person.known_account.is_some() && (person.known_active || person.sessions_open)
        };
        let open = |person: &&Person| person.several || known(person);
        for person in people
            .iter()
            .filter(open)
            .filter(|person| person.decision.existing == Some(Access::Suspended))
        {
            self.concurrent.mailbox.lines.add(
                person.employee.id(),
                Trigger::Retry,
                Class::Leaver,
                now,
            );
        }
    }

    /// Returns the employees that an event announced and that Bob shows unchanged or does not show.
    fn unseen(&self, people: &[Person]) -> Vec<Box<str>> {
        if self.request.causes.is_empty() {
            return Vec::new();
        }
        let is_other = |employee: &Employee| {
            let known = self
                .integration
                .roster
                .with(employee.id(), |entry| entry.map_or(0, |entry| entry.row));
            known != answered::row(employee)
        };
        let employees = people
            .iter()
            .map(|person| &person.employee)
            .filter(|employee| self.request.causes.contains_key(employee.id()) && !employee.unread);
        let changed: HashSet<&str> =
            employees.filter(|employee| is_other(employee)).map(Employee::id).collect();
        self.request
            .causes
            .keys()
            .filter(|employee| !changed.contains(&***employee))
            .cloned()
            .collect()
    }

    /// Remembers what Bob said of these employees, so that a pass after the next event can tell
    /// whether Bob shows the change.
    fn looked_at(&self, people: &[Person]) {
        let rows: Vec<(&str, u64)> = people
            .iter()
            .map(|person| &person.employee)
            .filter(|employee| {
                !employee.is_without_a_row() && !self.concurrent.handle.is_outdated(employee.id())
            })
            .map(|employee| (employee.id(), answered::row(employee)))
            .collect();
        self.integration.roster.looked(rows.into_iter());
        // Employees who had no row when Bob was read before have one now.
        let employees =
            people.iter().map(|person| &person.employee).filter(|employee| !employee.expected);
        self.integration
            .roster
            .shown(employees.flat_map(|employee| answered::shown(std::slice::from_ref(employee))));
    }
}
