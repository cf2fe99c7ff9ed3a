//! The steps for some of the employees, which are read by id. They also keep what a pass must not
//! forget of the other employees.

use tokio::time::Instant;

use super::{
    Pass,
    context::Requests,
    decide, guard,
    record::{Basis, Recorder},
    report::Report,
    single,
};
use crate::{
    cluster::roster::Entry,
    domain::{
        account::Access,
        mapping::Desired,
        matching::Matcher,
        plan::{Planned, plan_of_some},
        priority::{Class, Urgency},
    },
    engine::{intake::dirty::Line, stop::Stop},
    provider::Listing,
};

impl Pass<'_> {
    /// Runs the same steps for some of the employees. They are read by id, and the limits are
    /// measured by the whole company.
    pub(super) async fn some(
        &self,
        report: &mut Report,
        line: Line,
        unavailable: &[Box<str>],
        requests: &Requests,
    ) -> Result<(), Stop> {
        if self.integration.validated.dry_run {
            // `partial` starts no such pass for a dry run. A dry run writes nothing, whatever
            // started it.
            return Ok(());
        }
        let (settings, roster) = (self.integration.settings(), self.integration.roster);
        let urgency = match line {
            Line::Urgent => Urgency::Urgent,
            Line::Normal => Urgency::Normal,
        };
        let wanted = || {
            !(self.concurrent.halted)()
                && self.cluster.leadership.is_leader()
                && (urgency == Urgency::Urgent || Instant::now() < self.request.deadline)
        };
        let mut seen = single::employees(
            self.services.bob,
            settings,
            roster,
            self.request.causes,
            urgency,
            (self.cluster.clock.now(), self.memory.last_read.apart),
        )
        .await?;
        report.bob = Some(true);
        self.concurrent.mailbox.company(seen.company);
        let accounts =
            single::accounts(self.services.provider, &settings.mapping, roster, &mut seen, &wanted)
                .await?;
        report.provider = Some(true);
        report.rest.unseen = seen.unseen;
        report.rest.unread = seen.unread;
        report.rest.in_doubt = seen.in_doubt;
        report.unseen_now = self.concurrent.company.shown(|field| seen.fields.contains(field));

        let mut people = decide::everybody(&self.deciding(), seen.employees);
        self.keep_some_in(&mut people, report);
        people
            .iter_mut()
            .for_each(|person| person.several &= !seen.searched.contains(person.employee.id()));
        let mut matcher = Matcher::new(&settings.mapping, &people, settings.adopt)
            .protecting(&settings.protected);
        accounts.into_iter().for_each(|account| matcher.see(account));
        let managers =
            single::managers(self.services.provider, &settings.mapping, roster, &people, &wanted)
                .await?;
        report.rest.unread.extend(managers.without_answer);
        let elsewhere = |id: &str| managers.known.get(id).cloned();
        let mut planned = plan_of_some(matcher, false, &elsewhere);
        let rows = &settings.mapping.rows;
        let missing: Vec<usize> =
            (0..rows.len()).filter(|row| unavailable.contains(&rows[*row].target)).collect();
        planned.plan.without_rows(&missing);
        planned.name_pins_without(&missing);

        let guarding = self.guarding(requests, None);
        let mut released = guard::release(&guarding, &mut planned, &Listing::default());
        report.held.clone_from(&released.held.plan);
        report.rest.in_doubt |= released.in_doubt;
        let left_alone = [&missing[..], &released.held.frozen[..]].concat();
        let mut deferred = vec![false; planned.plan.changes.len()];
        if line == Line::Urgent {
            for (index, change) in
                planned.plan.changes.iter().enumerate().filter(|(_, change)| !change.suspends())
            {
                deferred[index] = std::mem::take(&mut released.go[index]);
                if deferred[index] {
                    let person = &people[change.person as usize];
                    report.rest.deferred.push((
                        person.employee.id().into(),
                        Class::of(change, person, &settings.mapping),
                    ));
                }
            }
        }
        let basis = Basis {
            requests,
            deleted_now: &seen.deleted_now,
            approved: self.approvals(&released),
            left_alone: &left_alone,
        };
        let recorder = self.recorder(&planned, basis);
        report.rest.renamed = planned.renames(|change| released.go[change]);
        let summary = self.converge(&planned, &released, &recorder, &missing, &deferred).await;
        self.looked_at(&people);
        self.concurrent.company.see_some(
            people
                .iter()
                .map(|person| &person.employee)
                .filter(|employee| !self.concurrent.looking.is_outdated(employee.id())),
        );
        report.zones = self.concurrent.company.gaps(&settings.zones);
        recorder.end(report);
        report.cut = summary.cut;
        summary.stop.map_or(Ok(()), Err)
    }

    /// Takes the access that evidence on record takes, and does nothing else. The pass does not ask
    /// Bob, so an employee who has to lose access at once does not wait for an answer of Bob. A
    /// pass that reads the rows of these employees finds everything else that they need.
    pub(super) async fn on_evidence(&self, report: &mut Report) -> Result<(), Stop> {
        let (settings, roster) = (self.integration.settings(), self.integration.roster);
        let wanted = || !(self.concurrent.halted)() && self.cluster.leadership.is_leader();
        let mut seen = single::by_evidence(roster, self.request.causes);
        if self.integration.validated.dry_run
            || !settings.disabling_trigger
            || seen.employees.is_empty()
        {
            return Ok(());
        }
        let mut accounts =
            single::accounts(self.services.provider, &settings.mapping, roster, &mut seen, &wanted)
                .await?;
        accounts.extend(
            single::marked(self.services.provider, &settings.mapping, roster, &mut seen).await?,
        );
        report.provider = Some(true);
        report.rest.unread = seen.unread;
        let mut people = decide::everybody(&self.deciding(), seen.employees);
        people.retain(|person| person.decision.existing == Some(Access::Suspended));
        people
            .iter_mut()
            .for_each(|person| person.several &= !seen.searched.contains(person.employee.id()));
        let mut matcher = Matcher::new(&settings.mapping, &people, settings.adopt)
            .protecting(&settings.protected);
        accounts.into_iter().for_each(|account| matcher.see(account));
        let mut planned = plan_of_some(matcher, false, &|_| None);
        planned.plan.only_access();

        // A pass that reads Bob answers the sync requests.
        let requests = Requests::new();
        let guarding = self.guarding(&requests, None);
        let released = guard::release(&guarding, &mut planned, &Listing::default());
        report.held.clone_from(&released.held.plan);
        let basis = Basis {
            requests: &requests,
            deleted_now: &seen.deleted_now,
            approved: self.approvals(&released),
            left_alone: &[],
        };
        let recorder = self.recorder(&planned, basis);
        let summary = self.converge(&planned, &released, &recorder, &[], &[]).await;
        recorder.end(report);
        report.cut = summary.cut;
        summary.stop.map_or(Ok(()), Err)
    }

    /// Notes the employees with a manager who has no account yet, so that they are looked at when
    /// the manager gets one.
    pub(super) fn wait_for_managers(&self, recorder: &Recorder<'_>) {
        let Planned { mapping, people, .. } = recorder.planned;
        let leaderless = recorder.take_awaiting_manager();
        let pairs = leaderless.into_iter().filter_map(|index| {
            let employee = &people[index as usize].employee;
            match mapping.desired(mapping.manager?, employee) {
                Desired::Person(manager) => Some((Box::from(employee.id()), Box::from(manager))),
                _ => None,
            }
        });
        let some = self
            .request
            .is_partial()
            .then(|| people.iter().map(|person| person.employee.id()).collect());
        self.concurrent.mailbox.wait_for_managers(some, pairs.collect());
        self.concurrent.mailbox.have_accounts(|id| {
            self.integration.roster.with(id, |entry| entry.is_some_and(Entry::has_managed_account))
        });
    }
}
