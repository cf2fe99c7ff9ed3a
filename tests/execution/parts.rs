//! A change that fails delays nothing else: neither another employee's change, nor the rest of the
//! same one.

use std::{
    collections::{HashMap, HashSet},
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use bobsync::{
    api::{employee_sync::Action, reasons::IntegrationReason},
    cluster::leadership::Leadership,
    domain::{
        access::Missing,
        account::{Access, Account, AccountState, AccountWrite},
        employee::{Cell, Fields},
        mapping::{Compare, Mapping, Row, Source},
        matching::{Matcher, Person, PersonIndex},
        plan::{Change, plan},
        priority::Urgency,
        safety::Protected,
        why::Why,
    },
    engine::{
        intake::claims::Claims,
        pass::{
            execute::{Execution, Pace, Summary, execute},
            guard::Released,
            outcome::{Done, Failure, Outcome},
        },
        settings::targets::CATALOGS,
        stop::Stop,
    },
    provider::{
        Capabilities, Catalog, Error, Initial, Key, Listing, Provider, Written, onelogin,
        tries::PAUSES,
    },
};
use futures::future::BoxFuture;
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::{account_of, answer, fixture};

const EMAIL: usize = 0;
const TITLE: usize = 1;
const MOBILE: usize = 2;
const UNITS: [usize; 4] = [3, 4, 5, 6];

fn mapping() -> Mapping {
    let targets =
        ["email", "title", "mobile", "units.name", "units.floor", "units.cost", "units.lead"];
    let row = |(field, target): (usize, &&str)| Row {
        target: (*target).into(),
        source: Source::Field(field + 1),
        on_create_only: false,
        compare: if field == EMAIL { Compare::IgnoringCase } else { Compare::Exact },
        required: field == EMAIL,
    };
    let rows = targets.iter().enumerate().map(row).collect();
    Mapping {
        address: None,
        rows,
        fields: Fields::default(),
        email: EMAIL,
        username: EMAIL,
        manager: None,
    }
}

/// The expected values of these rows for one employee, and access.
#[derive(Clone, Copy, Debug)]
struct Wanted {
    id: u32,
    exists: bool,
    access: Access,
    rows: &'static [usize],
}

fn joiner(id: u32, rows: &'static [usize]) -> Wanted {
    Wanted { id, exists: false, access: Access::Active, rows }
}

fn mover(id: u32, rows: &'static [usize]) -> Wanted {
    Wanted { id, exists: true, access: Access::Active, rows }
}

fn leaver(id: u32, rows: &'static [usize]) -> Wanted {
    Wanted { id, exists: true, access: Access::Suspended, rows }
}

fn email(wanted: &Wanted) -> String {
    let new = if wanted.exists && wanted.rows.contains(&EMAIL) { "new-" } else { "" };
    format!("{new}{}@example.com", wanted.id)
}

fn person(wanted: &Wanted) -> Person {
    let (id, email) = (wanted.id.to_string(), email(wanted));
    let value =
        |row: usize| if wanted.rows.contains(&row) { Cell::Text("new") } else { Cell::Null };
    let cells: Vec<Cell<'_>> =
        [Cell::Text(&id), Cell::Text(&email)].into_iter().chain((TITLE..=6).map(value)).collect();
    let missing = if wanted.exists { Missing::Never } else { Missing::Create(wanted.access) };
    fixture::person(
        fixture::employee(cells.into_iter()),
        fixture::decided(Some(wanted.access), missing, Why::AtWork),
    )
}

/// One write, as the provider sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Call {
    /// The employee; a create too.
    id: u32,
    create: bool,
    rows: Vec<usize>,
    access: Option<Access>,
}

/// Refuses what `judge` refuses, and records everything.
struct Moody<J> {
    judge: J,
    writes: Mutex<Vec<Call>>,
    reads: Mutex<Vec<u32>>,
    suspended: Mutex<HashSet<u32>>,
    capabilities: &'static Capabilities,
}

impl<J: Fn(&Call) -> Result<(), Error> + Send + Sync> Moody<J> {
    fn write(&self, id: &str, write: &AccountWrite, create: bool) -> Result<Written, Error> {
        let rows = write.attributes.iter().map(|(row, _)| *row).collect();
        let call = Call { id: id.parse().expect("a number"), create, rows, access: write.access };
        self.writes.lock().push(call.clone());
        (self.judge)(&call)?;
        let mut written = answer(write, id);
        let mut suspended = self.suspended.lock();
        if call.access == Some(Access::Suspended) {
            suspended.insert(call.id);
        }
        if suspended.contains(&call.id) {
            written.account.state = AccountState::Suspended;
        }
        Ok(written)
    }
}

impl<J: Fn(&Call) -> Result<(), Error> + Send + Sync> Provider for Moody<J> {
    fn list<'a>(
        &'a self,
        _: &'a Mapping,
        _: &'a mut (dyn FnMut(Account) + Send),
    ) -> BoxFuture<'a, Result<Listing, Error>> {
        Box::pin(async { Ok(Listing::default()) })
    }

    /// Returns an account as it was at the start; there is no account if one is to be made.
    fn find<'a>(
        &'a self,
        _: &'a Mapping,
        key: Key<'a>,
    ) -> BoxFuture<'a, Result<Vec<Account<'static>>, Error>> {
        let Key::Id(id) = key else { return Box::pin(async { Ok(Vec::new()) }) };
        let id: u32 = id.parse().expect("a number");
        self.reads.lock().push(id);
        Box::pin(async move { Ok(vec![existing(id)]) })
    }

    fn create<'a>(
        &'a self,
        _: &'a Mapping,
        write: &'a AccountWrite,
        _: &'a Initial<'a>,
    ) -> BoxFuture<'a, Result<Written, Error>> {
        Box::pin(async { self.write(write.mark.as_deref().unwrap_or_default(), write, true) })
    }

    fn update<'a>(
        &'a self,
        _: &'a Mapping,
        id: &'a str,
        write: &'a AccountWrite,
        _: Urgency,
    ) -> BoxFuture<'a, Result<Written, Error>> {
        Box::pin(async move { self.write(id, write, false) })
    }

    fn capabilities(&self) -> &'static Capabilities {
        self.capabilities
    }
}

fn existing(id: u32) -> Account<'static> {
    let mut account = account_of(&id.to_string(), &id.to_string());
    account.attributes =
        std::iter::once(account.email.clone()).chain((TITLE..=6).map(|_| None)).collect();
    account
}

/// The result of a pass.
struct Came {
    writes: Vec<Call>,
    reads: Vec<u32>,
    outcomes: HashMap<u32, Outcome>,
    summary: Summary,
    pauses: Vec<Duration>,
}

impl Came {
    fn done(&self, id: u32) -> &Done {
        match &self.outcomes[&id] {
            Outcome::Done(done) => done,
            other => panic!("{id}: {other:?}"),
        }
    }

    fn failure(&self, id: u32) -> &Failure {
        match &self.outcomes[&id] {
            Outcome::Failed { failure, .. } => failure,
            other => panic!("{id}: {other:?}"),
        }
    }

    fn left(&self, id: u32) -> (&Failure, &[usize]) {
        let (failure, rows) = self.done(id).refused.as_ref().expect("something is left out");
        (failure, rows)
    }

    /// Returns the employees with changes that ended like this.
    fn which(&self, which: impl Fn(&Outcome) -> bool) -> HashSet<u32> {
        self.outcomes.iter().filter(|(_, outcome)| which(outcome)).map(|(id, _)| *id).collect()
    }

    /// Returns the writes for one employee: the rows, and access.
    fn of(&self, id: u32) -> Vec<(&[usize], Option<Access>)> {
        self.writes
            .iter()
            .filter(|call| call.id == id)
            .map(|call| (&*call.rows, call.access))
            .collect()
    }
}

/// What a pass meets in addition to the provider.
struct Around<'a> {
    failed_before: &'a [u32],
    claims: &'a Claims,
    halted: &'a (dyn Fn() -> bool + Sync),
    deadline: Duration,
    catalog: &'static Catalog,
}

/// Runs one pass with these employees; the first ones have waited longest. Time is virtual.
async fn pass(
    wanted: &[Wanted],
    failed_before: &[u32],
    judge: impl Fn(&Call) -> Result<(), Error> + Send + Sync,
) -> Came {
    let around = Around {
        failed_before,
        claims: &Claims::default(),
        halted: &|| false,
        deadline: Duration::from_mins(1),
        catalog: &onelogin::CATALOG,
    };
    pass_with(wanted, around, judge).await
}

async fn pass_with(
    wanted: &[Wanted],
    around: Around<'_>,
    judge: impl Fn(&Call) -> Result<(), Error> + Send + Sync,
) -> Came {
    let mapping = mapping();
    let people: Vec<Person> = wanted.iter().map(person).collect();
    let mut matcher = Matcher::new(&mapping, &people, true);
    wanted
        .iter()
        .filter(|wanted| wanted.exists)
        .for_each(|wanted| matcher.see(existing(wanted.id)));
    let planned = plan(matcher, true);
    let provider = Moody {
        judge,
        writes: Mutex::default(),
        reads: Mutex::default(),
        suspended: Mutex::default(),
        capabilities: &around.catalog.capabilities,
    };
    let (outcomes, pauses) = (Mutex::new(HashMap::new()), Mutex::new(Vec::new()));
    let failed =
        |change: &Change| around.failed_before.contains(&wanted[change.person as usize].id);
    let pause = |wait: Duration| -> BoxFuture<'static, ()> {
        pauses.lock().push(wait);
        Box::pin(std::future::ready(()))
    };
    let summary = execute(
        &Execution {
            provider: &provider,
            initial: Ok(Initial::default()),
            unavailable: &[],
            planned: &planned,
            released: &Released::default(),
            adopt: true,
            protected: &Protected::default(),
            pace: Pace {
                halted: around.halted,
                deadline: Instant::now() + around.deadline,
                waiting_since: &|person: PersonIndex| i64::from(person),
                failed_before: &failed,
                pause: &pause,
                ..Pace::unhurried(
                    &around.claims.begin_full(),
                    &Leadership::always(),
                    &AtomicU64::new(0),
                )
            },
        },
        |person, outcome, _| drop(outcomes.lock().insert(wanted[person as usize].id, outcome)),
    )
    .await;
    let (writes, reads) = (provider.writes.into_inner(), provider.reads.into_inner());
    Came { writes, reads, outcomes: outcomes.into_inner(), summary, pauses: pauses.into_inner() }
}

fn forbidden() -> Error {
    Error::Forbidden { said: "no".to_owned() }
}

fn unknown() -> Error {
    Error::Unknown { said: "HTTP 500".to_owned() }
}

fn unavailable() -> Error {
    Error::Unavailable { said: "HTTP 412".to_owned() }
}

fn rejected(field: Option<&str>) -> Error {
    Error::Rejected { field: field.map(str::to_owned), said: "Bad".to_owned() }
}

fn taken(field: Option<&str>) -> Error {
    Error::Duplicate { field: field.map(str::to_owned) }
}

/// These fail whenever the write has this row.
fn with(row: usize, error: Error) -> impl Fn(&Call) -> Result<(), Error> + Send + Sync {
    move |call| if call.rows.contains(&row) { Err(error.clone()) } else { Ok(()) }
}

#[tokio::test]
async fn refused_leavers_stop_no_other_leaver_however_many_they_are() {
    for refused in [3, 45] {
        let people: Vec<Wanted> = (0..refused + 40).map(|id| leaver(id, &[])).collect();
        let came =
            pass(&people, &[], |call| if call.id < refused { Err(forbidden()) } else { Ok(()) })
                .await;
        let suspended = came.which(|outcome| matches!(outcome, Outcome::Done(_)));
        assert_eq!(suspended, (refused..refused + 40).collect());
        assert_eq!(
            came.which(|outcome| matches!(
                outcome,
                Outcome::Failed { failure: Failure::Forbidden(_), .. }
            ))
            .len(),
            refused as usize
        );
        assert!(came.summary.stop.is_none(), "{:?}", came.summary);
    }
}

#[tokio::test]
async fn a_refused_create_concerns_one_employee_even_if_the_refused_ones_stand_first() {
    for error in [forbidden(), Error::Denied { said: "no".to_owned() }, rejected(Some("email"))] {
        let people: Vec<Wanted> = (0..20).map(|id| joiner(id, &[TITLE])).collect();
        let came =
            pass(&people, &[], |call| if call.id < 10 { Err(error.clone()) } else { Ok(()) }).await;
        assert_eq!(
            came.which(|outcome| matches!(outcome, Outcome::Done(_))),
            (10..20).collect(),
            "{error:?}"
        );
        assert_eq!(
            came.which(|outcome| matches!(outcome, Outcome::Failed { .. })),
            (0..10).collect()
        );
        assert!(came.summary.stop.is_none());
    }
}

#[tokio::test]
async fn creates_that_are_all_refused_wait_alone_and_the_next_pass_begins_with_those_that_were_not_tried()
 {
    let mut people: Vec<Wanted> = (0..60).map(|id| joiner(id, &[])).collect();
    people.extend((60..63).map(|id| leaver(id, &[])));
    people.extend((63..66).map(|id| mover(id, &[TITLE])));
    let refuses = |call: &Call| if call.create { Err(forbidden()) } else { Ok(()) };
    let came = pass(&people, &[], refuses).await;
    assert_eq!(
        came.which(|outcome| matches!(outcome, Outcome::Done(_))),
        (60..66).collect(),
        "everything else goes"
    );
    let tried = came.which(|outcome| matches!(outcome, Outcome::Failed { .. }));
    assert!((20..30).contains(&tried.len()), "{}", tried.len());
    assert_eq!(
        came.summary.stop.map(|stop: Stop| stop.reason),
        Some(IntegrationReason::ProviderForbidden)
    );
    let before: Vec<u32> = tried.iter().copied().collect();
    // By now the others are accepted.
    let came = pass(&people[..60], &before, |call| {
        if tried.contains(&call.id) { Err(forbidden()) } else { Ok(()) }
    })
    .await;
    assert_eq!(came.which(|outcome| matches!(outcome, Outcome::Done(_))).len(), 60 - tried.len());
    let first: Vec<u32> = came.writes.iter().take(60 - tried.len()).map(|call| call.id).collect();
    assert!(first.iter().all(|id| !tried.contains(id)), "{first:?}");
}

#[tokio::test]
async fn silence_stops_updates_and_suspensions_are_tried_all_the_same_but_not_for_ever() {
    let mut people: Vec<Wanted> = (0..40).map(|id| mover(id, &[TITLE])).collect();
    people.extend((40..50).map(|id| leaver(id, &[])));
    let came =
        pass(&people, &[], |call| if call.access.is_none() { Err(unavailable()) } else { Ok(()) })
            .await;
    assert_eq!(came.which(|outcome| matches!(outcome, Outcome::Done(_))), (40..50).collect());
    assert!(came.which(|outcome| matches!(outcome, Outcome::Waiting)).len() >= 20);
    assert_eq!(
        came.summary.stop.map(|stop| stop.reason),
        Some(IntegrationReason::ProviderUnavailable)
    );
    // Twelve accounts that break the provider, before eight others.
    let people: Vec<Wanted> = (0..20).map(|id| leaver(id, &[])).collect();
    let came = pass(&people, &[], |call| if call.id < 12 { Err(unknown()) } else { Ok(()) }).await;
    assert_eq!(came.which(|outcome| matches!(outcome, Outcome::Done(_))), (12..20).collect());
    // A provider that is away.
    let people: Vec<Wanted> = (0..200).map(|id| leaver(id, &[])).collect();
    let came = pass(&people, &[], |_| Err(unavailable())).await;
    let tried = came.which(|outcome| matches!(outcome, Outcome::Failed { .. })).len();
    assert!((50..60).contains(&tried), "{tried}");
    assert!(came.writes.len() < 50 + 4 * 30, "{} writes", came.writes.len());
}

#[tokio::test]
async fn a_credential_that_is_refused_itself_stops_everything() {
    let people: Vec<Wanted> = (0..40).map(|id| leaver(id, &[])).collect();
    let came = pass(&people, &[], |_| Err(Error::Unauthorized { said: "no".to_owned() })).await;
    assert!(came.writes.len() <= 8, "{}", came.writes.len());
    assert_eq!(
        came.summary.stop.map(|stop| stop.reason),
        Some(IntegrationReason::ProviderUnauthorized)
    );
}

#[tokio::test]
async fn whatever_a_value_does_the_second_write_of_a_leaver_carries_access_alone() {
    for error in [
        unknown(),
        unavailable(),
        rejected(None),
        rejected(Some("title")),
        rejected(Some("elsewhere")),
        taken(Some("title")),
        taken(None),
        forbidden(),
    ] {
        let came = pass(&[leaver(1, &[TITLE, MOBILE])], &[], with(TITLE, error.clone())).await;
        let writes = came.of(1);
        assert_eq!(writes[0], (&[TITLE, MOBILE][..], Some(Access::Suspended)), "{error:?}");
        assert_eq!(writes[1], (&[][..], Some(Access::Suspended)), "{error:?}");
        let done = came.done(1);
        assert_eq!(
            (done.action, done.state),
            (Action::Suspend, AccountState::Suspended),
            "{error:?}"
        );
        let (_, rows) = came.left(1);
        assert!(rows.contains(&TITLE), "{error:?}");
        if !matches!(
            error,
            Error::Forbidden { .. }
                | Error::Duplicate { field: None }
                | Error::Rejected { field: Some(_), .. }
        ) {
            assert_eq!(
                (rows, &*done.fields),
                (&[TITLE][..], &[MOBILE][..]),
                "the rest lands: {error:?}"
            );
        }
        assert!(came.summary.stop.is_none());
    }
    // The report has the name, and the provider's last words.
    let came = pass(&[leaver(1, &[TITLE])], &[], with(TITLE, unknown())).await;
    let (Failure::Retrying(said), _) = came.left(1) else { panic!("{:?}", came.outcomes) };
    assert!(
        said.contains("title") && said.contains("HTTP 500") && said.contains("4 tries"),
        "{said}"
    );
}

#[tokio::test]
async fn a_rename_that_goes_first_and_fails_keeps_no_access_open() {
    for error in [unknown(), unavailable(), taken(Some("email"))] {
        let came = pass(&[leaver(1, &[EMAIL, TITLE])], &[], with(EMAIL, error.clone())).await;
        assert_eq!(came.of(1)[1], (&[][..], Some(Access::Suspended)), "{error:?}");
        assert_eq!(
            (came.done(1).state, came.left(1).1),
            (AccountState::Suspended, &[EMAIL][..]),
            "{error:?}"
        );
    }
}

#[tokio::test]
async fn a_value_that_is_taken_or_breaks_the_provider_withholds_nothing_else() {
    for error in [
        taken(Some("email")),
        taken(None),
        rejected(Some("email")),
        rejected(None),
        unknown(),
        unavailable(),
    ] {
        let came =
            pass(&[mover(1, &[EMAIL, TITLE, MOBILE])], &[], with(EMAIL, error.clone())).await;
        let done = came.done(1);
        assert_eq!(
            (&*done.fields, came.left(1).1),
            (&[MOBILE, TITLE][..], &[EMAIL][..]),
            "{error:?}"
        );
        let kind = matches!(
            (came.left(1).0, &error),
            (Failure::Conflict(_), Error::Duplicate { .. })
                | (Failure::Rejected(..), Error::Rejected { .. })
                | (Failure::Retrying(_), _)
        );
        assert!(kind, "{:?}", came.left(1));
    }
    // Alone it is reported as it is.
    let came = pass(&[mover(1, &[EMAIL])], &[], with(EMAIL, taken(Some("email")))).await;
    assert!(
        matches!(came.failure(1), Failure::Conflict(said) if said.contains("email")),
        "{:?}",
        came.outcomes
    );
    assert_eq!(came.reads, [1], "whether it is the employee's own, one read tells");
}

#[tokio::test]
async fn a_taken_address_is_told_in_words_that_are_true_of_the_provider() {
    let claims = Claims::default();
    for (field, catalog) in CATALOGS {
        // Only the directories of these have groups and aliases with addresses of their own.
        let others = ["googleWorkspace", "entraID"].contains(field);
        for (person, field) in [
            (mover(1, &[EMAIL]), Some("email")),
            (mover(1, &[EMAIL]), None),
            // The new account's e-mail is taken, and no look-up shows which account has it.
            (joiner(1, &[EMAIL]), None),
        ] {
            let around = Around {
                failed_before: &[],
                claims: &claims,
                halted: &|| false,
                deadline: Duration::from_mins(1),
                catalog,
            };
            let refuses = |_: &Call| Err(taken(field));
            let came = pass_with(&[person], around, refuses).await;
            let Failure::Conflict(said) = came.failure(1) else { panic!("{:?}", came.outcomes) };
            let told = said.contains("alias") || said.contains("group");
            assert_eq!(told, others, "{}: {said}", catalog.name);
        }
    }
}

#[tokio::test]
async fn a_refusal_that_names_an_array_leaves_out_the_one_value_that_it_is_about() {
    let refuses = || with(UNITS[2], rejected(Some("units")));
    let came = pass(&[mover(1, &[TITLE, 3, 4, 5, 6])], &[], refuses()).await;
    assert_eq!((came.done(1).fields.len(), came.left(1).1), (4, &[UNITS[2]][..]));
    assert!(
        matches!(came.left(1).0, Failure::Rejected(said, _) if said.contains("units.cost") && !said.contains("units.name"))
    );
    // A new account does not wait for it: it is made without these values, and they are tried after
    // that.
    let came = pass(&[joiner(1, &[TITLE, 3, 4, 5, 6])], &[], refuses()).await;
    assert_eq!((came.writes.len(), came.done(1).action), (2, Action::Create));
    let (Failure::Rejected(said, _), rows) = came.left(1) else { panic!("{:?}", came.outcomes) };
    assert!(
        rows == UNITS && UNITS.iter().all(|row| said.contains(&*mapping().rows[*row].target)),
        "{said}"
    );
}

#[tokio::test]
async fn an_account_is_made_without_the_values_that_it_can_be_without() {
    for error in [taken(Some("title")), rejected(Some("title")), rejected(None)] {
        let came = pass(&[joiner(1, &[TITLE])], &[], with(TITLE, error.clone())).await;
        assert_eq!(
            (came.done(1).action, came.left(1).1),
            (Action::Create, &[TITLE][..]),
            "{error:?}"
        );
    }
    // The e-mail is not one of them.
    let came = pass(&[joiner(1, &[TITLE])], &[], with(EMAIL, rejected(Some("email")))).await;
    assert!(matches!(came.failure(1), Failure::Rejected(..)), "{:?}", came.outcomes);
    assert_eq!(came.writes.len(), 1);
}

/// Each refusal costs a call, and some providers name one value at a time.
#[tokio::test]
async fn after_three_refused_values_an_account_is_made_without_all_that_it_can_be_without() {
    let rows = &[TITLE, MOBILE, 3, 4, 5, 6];
    let refuses = |call: &Call| match call.rows.iter().find(|row| **row != EMAIL) {
        Some(row) => Err(rejected(Some(
            ["", "title", "mobile", "units.name", "units.floor", "units.cost", "units.lead"][*row],
        ))),
        None => Ok(()),
    };
    let came = pass(&[joiner(1, rows)], &[], refuses).await;
    let sent: Vec<usize> = came.writes.iter().map(|call| call.rows.len()).collect();
    assert_eq!((sent, came.done(1).action), (vec![7, 6, 5, 4, 1], Action::Create));
}

#[tokio::test]
async fn what_surely_was_not_applied_is_tried_again_with_pauses() {
    for wanted in [leaver(1, &[]), mover(1, &[TITLE]), joiner(1, &[])] {
        let came = pass(&[wanted], &[], |_| Err(unavailable())).await;
        assert_eq!(
            (came.writes.len(), came.reads.len(), &*came.pauses),
            (4, 0, &PAUSES[..]),
            "{wanted:?}"
        );
        assert!(
            matches!(came.failure(1), Failure::Retrying(said) if said.contains("4 tries")),
            "{:?}",
            came.outcomes
        );
    }
}

#[tokio::test]
async fn unknown_outcomes_are_read_back_with_pauses_and_a_create_is_sent_twice_at_most() {
    let came = pass(&[mover(1, &[TITLE])], &[], |_| Err(unknown())).await;
    assert_eq!((came.writes.len(), came.reads.len(), &*came.pauses), (4, 4, &PAUSES[..]));
    let came = pass(&[joiner(1, &[TITLE])], &[], |_| Err(unknown())).await;
    assert_eq!((came.writes.len(), &*came.pauses), (2, &PAUSES[..2]));
    assert!(
        came.writes.iter().all(|call| call.rows == [EMAIL, TITLE]),
        "what was lost may have been an answer"
    );
    assert!(
        matches!(came.failure(1), Failure::Retrying(said) if said.contains("HTTP 500") && said.contains("2 tries"))
    );
    // If it ended like this before, the second write has only the required attributes.
    let came = pass(&[joiner(1, &[TITLE])], &[1], with(TITLE, unknown())).await;
    assert_eq!((came.writes.len(), came.left(1).1), (2, &[TITLE][..]));
}

#[tokio::test]
async fn refusals_in_a_row_speak_for_no_other_create_where_one_went_through() {
    let people: Vec<Wanted> = (0..60).map(|id| joiner(id, &[])).collect();
    let came =
        pass(
            &people,
            &[],
            |call| if (8..48).contains(&call.id) { Err(forbidden()) } else { Ok(()) },
        )
        .await;
    assert_eq!(
        came.which(|outcome| matches!(outcome, Outcome::Done(_))),
        (0..8).chain(48..60).collect()
    );
    assert_eq!(
        came.which(|outcome| matches!(outcome, Outcome::Failed { .. })),
        (8..48).collect(),
        "each is told"
    );
    assert!(came.summary.stop.is_none(), "{:?}", came.summary);
}

#[tokio::test]
async fn access_that_is_refused_is_told_although_the_rest_went_through() {
    for error in [forbidden(), rejected(None)] {
        let came = pass(&[leaver(1, &[TITLE])], &[], |call| {
            if call.access.is_some() { Err(error.clone()) } else { Ok(()) }
        })
        .await;
        let told = matches!(
            (came.failure(1), &error),
            (Failure::Forbidden(_), Error::Forbidden { .. })
                | (Failure::Rejected(..), Error::Rejected { .. })
        );
        assert!(told, "{:?}", came.outcomes);
        assert_eq!(
            came.of(1).last(),
            Some(&(&[TITLE][..], None)),
            "the title is written: {:?}",
            came.writes
        );
    }
}

#[tokio::test]
async fn a_throttled_call_stays_in_line_until_it_is_not_wanted_any_more() {
    let throttled = || Error::Throttled { wait: None };
    for wanted in [leaver(1, &[]), mover(1, &[TITLE]), joiner(1, &[])] {
        // The process stops, or there is a newer spec.
        let asked = AtomicU64::new(0);
        let halted = || asked.load(Ordering::Relaxed) >= 40;
        let around = Around {
            failed_before: &[],
            claims: &Claims::default(),
            halted: &halted,
            deadline: Duration::from_mins(1),
            catalog: &onelogin::CATALOG,
        };
        let came = pass_with(&[wanted], around, |_| {
            assert!(asked.fetch_add(1, Ordering::Relaxed) < 40, "nothing is asked after the halt");
            Err(throttled())
        })
        .await;
        assert!(matches!(came.outcomes[&1], Outcome::Waiting), "{:?}", came.outcomes);
        assert!(
            came.writes.len() == 40 && came.summary.cut.is_some() && came.summary.stop.is_none(),
            "{:?}",
            came.summary
        );
        // A later pass has looked at this employee meanwhile.
        let claims = Claims::default();
        let later = Mutex::new(None);
        let around = Around {
            failed_before: &[],
            claims: &claims,
            halted: &|| false,
            deadline: Duration::from_mins(1),
            catalog: &onelogin::CATALOG,
        };
        let came = pass_with(&[wanted], around, |_| {
            let mut later = later.lock();
            assert!(later.is_none(), "nothing is asked for an outdated pass");
            *later = Some(claims.begin_partial(["1"].into_iter()).0);
            Err(throttled())
        })
        .await;
        assert!(matches!(came.outcomes[&1], Outcome::Outdated), "{:?}", came.outcomes);
    }
}

#[tokio::test]
async fn after_the_deadline_only_whoever_leaves_is_written_to() {
    let people = [mover(1, &[TITLE]), joiner(2, &[]), leaver(3, &[TITLE])];
    let around = Around {
        failed_before: &[],
        claims: &Claims::default(),
        halted: &|| false,
        deadline: Duration::ZERO,
        catalog: &onelogin::CATALOG,
    };
    let came = pass_with(&people, around, |_| Ok(())).await;
    assert_eq!(came.which(|outcome| matches!(outcome, Outcome::Waiting)), [1, 2].into());
    assert_eq!((came.done(3).state, came.writes.len()), (AccountState::Suspended, 1));
    assert!(came.summary.cut.is_some() && came.summary.stop.is_none());
}
