//! The execute step alone, with a provider that only records the requests. The tests check that
//! initial passwords reach only a new account, and that a missing one keeps no employee's access
//! open. `parts`: a change that fails delays no other. `met`: a create that meets an account.
//! `licences`: accounts without a licence. `backlog`: more changes than an interval has room for.

mod backlog;
#[path = "../fixtures/person.rs"]
mod fixture;
mod licences;
mod met;
mod parts;

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use bobsync::{
    api::{key::IntegrationKey, reasons::IntegrationReason},
    cluster::{leadership::Leadership, roster::Roster},
    domain::{
        access::Missing,
        account::{Access, Account, AccountState, AccountWrite},
        employee::{Cell, Fields},
        mapping::{Compare, Mapping, Row, Source},
        matching::{Matcher, Person, PersonIndex},
        plan::{Plan, Planned, plan},
        priority::Urgency,
        safety::Protected,
        why::Why,
    },
    engine::{
        intake::claims::Claims,
        pass::{
            execute::{Execution, Pace, Summary, execute},
            guard::Released,
            observe::partial,
            outcome::Outcome,
        },
        stop::Stop,
    },
    http::secret::Secret,
    provider::{Error, Initial, Key, Listing, Provider, Written},
};
use futures::future::BoxFuture;
use parking_lot::Mutex;

/// Records every call: which account was created with which initial password, and what was updated.
#[derive(Default)]
struct Noting {
    calls: Mutex<Vec<String>>,
    /// How many look-ups are throttled.
    throttled: AtomicU32,
}

impl Noting {
    fn note(&self, call: String) {
        self.calls.lock().push(call);
    }

    fn calls(self) -> Vec<String> {
        let mut calls = self.calls.into_inner();
        calls.sort();
        calls
    }
}

fn answer(write: &AccountWrite, id: &str) -> Written {
    let state = if write.access == Some(Access::Suspended) {
        AccountState::Suspended
    } else {
        AccountState::Active
    };
    let account = Account {
        phase: bobsync::domain::account::AccountPhase::Usual,
        id: id.to_owned().into(),
        mark: write.mark.as_deref().map(|mark| mark.to_owned().into()),
        email: None,
        username: None,
        state,
        attributes: Box::default(),
        administrator: false,
        elsewhere: false,
        foreign: None,
    };
    Written { account, request_id: None, left: None }
}

impl Provider for Noting {
    fn list<'a>(
        &'a self,
        _: &'a Mapping,
        _: &'a mut (dyn FnMut(Account) + Send),
    ) -> BoxFuture<'a, Result<Listing, Error>> {
        Box::pin(async { Ok(Listing::default()) })
    }

    fn find<'a>(
        &'a self,
        _: &'a Mapping,
        _: Key<'a>,
    ) -> BoxFuture<'a, Result<Vec<Account<'static>>, Error>> {
        let left = |left: u32| left.checked_sub(1);
        let throttled =
            self.throttled.fetch_update(Ordering::Relaxed, Ordering::Relaxed, left).is_ok();
        Box::pin(async move {
            if throttled {
                Err(Error::Throttled { wait: None })
            } else {
                Ok(vec![account_of_kim()])
            }
        })
    }

    fn create<'a>(
        &'a self,
        _: &'a Mapping,
        write: &'a AccountWrite,
        initial: &'a Initial<'a>,
    ) -> BoxFuture<'a, Result<Written, Error>> {
        let mark = write.mark.clone().unwrap_or_default();
        self.note(format!(
            "create {mark} {:?} {}",
            initial.password.map(Secret::expose),
            initial.change_at_first_login
        ));
        Box::pin(async move { Ok(answer(write, &mark)) })
    }

    fn update<'a>(
        &'a self,
        _: &'a Mapping,
        id: &'a str,
        write: &'a AccountWrite,
        _: Urgency,
    ) -> BoxFuture<'a, Result<Written, Error>> {
        self.note(format!("update {id} {:?}", write.access));
        Box::pin(async move { Ok(answer(write, id)) })
    }

    fn capabilities(&self) -> &'static bobsync::provider::Capabilities {
        &bobsync::provider::onelogin::CATALOG.capabilities
    }
}

fn mapping() -> Mapping {
    let row = Row {
        target: "email".into(),
        source: Source::Field(1),
        on_create_only: false,
        compare: Compare::IgnoringCase,
        required: true,
    };
    Mapping {
        address: None,
        rows: vec![row],
        fields: Fields::default(),
        email: 0,
        username: 0,
        manager: None,
    }
}

fn person(id: &str, existing: Access, missing: Missing) -> Person {
    let email = format!("{id}@example.com");
    let employee = fixture::employee([Cell::Text(id), Cell::Text(&email)].into_iter());
    fixture::person(employee, fixture::decided(Some(existing), missing, Why::AtWork))
}

fn account_of_kim() -> Account<'static> {
    account_of("k", "2")
}

fn account_of(id: &str, mark: &str) -> Account<'static> {
    let email = Some(format!("{mark}@example.com").into());
    Account {
        phase: bobsync::domain::account::AccountPhase::Usual,
        id: id.to_owned().into(),
        mark: Some(mark.to_owned().into()),
        email: email.clone(),
        username: email.clone(),
        state: AccountState::Active,
        attributes: vec![email].into(),
        administrator: false,
        elsewhere: false,
        foreign: None,
    }
}

/// Noa is new, Kim leaves.
fn noa_and_kim(mapping: &Mapping) -> (Vec<Person>, Plan) {
    let people = vec![
        person("1", Access::Active, Missing::Create(Access::Active)),
        person("2", Access::Suspended, Missing::Never),
    ];
    let mut matcher = Matcher::new(mapping, &people, true);
    matcher.see(account_of_kim());
    let plan = plan(matcher, true).plan;
    (people, plan)
}

async fn carried_out(initial: Result<Initial<'_>, &Stop>) -> (Vec<String>, Summary, usize) {
    let mapping = mapping();
    let (people, plan) = noa_and_kim(&mapping);
    let planned = Planned { mapping: &mapping, people: &people, plan };
    let (provider, summary, waiting) =
        carried_out_in_turn(&planned, initial, (&|_| 0, &AtomicU64::new(0)), &|| false).await;
    (provider.calls(), summary, waiting)
}

async fn carried_out_in_turn(
    planned: &Planned<'_>,
    initial: Result<Initial<'_>, &Stop>,
    (since, turns): (&(dyn Fn(PersonIndex) -> i64 + Sync), &AtomicU64),
    halted: &(dyn Fn() -> bool + Sync),
) -> (Noting, Summary, usize) {
    let provider = Noting::default();
    let waiting = Mutex::new(0);
    let claims = Claims::default();
    let summary = execute(
        &Execution {
            provider: &provider,
            initial,
            unavailable: &[],
            planned,
            released: &Released::default(),
            adopt: true,
            protected: &Protected::default(),
            pace: Pace {
                halted,
                waiting_since: since,
                ..Pace::unhurried(&claims.begin_full(), &Leadership::always(), turns)
            },
        },
        |_, outcome, _| {
            if matches!(outcome, Outcome::Waiting) {
                *waiting.lock() += 1;
            }
        },
    )
    .await;
    (provider, summary, waiting.into_inner())
}

#[tokio::test]
async fn a_new_account_gets_the_initial_password_and_an_existing_one_never_does() {
    let password = Secret::new("Welcome-24");
    let initial = Initial { password: Some(&password), change_at_first_login: true };
    let (calls, summary, waiting) = carried_out(Ok(initial)).await;
    assert_eq!(calls, ["create 1 Some(\"Welcome-24\") true", "update k Some(Suspended)"]);
    assert!(summary.stop.is_none() && waiting == 0);
}

#[tokio::test]
async fn without_the_secret_nobody_is_created_and_a_leaver_is_suspended_all_the_same() {
    let stop = Stop::new(
        IntegrationReason::SecretNotFound,
        "Secret welcome does not exist in this namespace",
    );
    let (calls, summary, waiting) = carried_out(Err(&stop)).await;
    assert_eq!(calls, ["update k Some(Suspended)"]);
    assert_eq!((summary.stop, waiting), (Some(stop), 1));
}

#[tokio::test]
async fn the_leaver_goes_first_then_who_has_waited_longest_and_only_who_had_a_turn_is_counted() {
    let mapping = mapping();
    let (mut people, _) = noa_and_kim(&mapping);
    people.extend(
        (3..23).map(|id| person(&id.to_string(), Access::Active, Missing::Create(Access::Active))),
    );
    let mut matcher = Matcher::new(&mapping, &people, true);
    matcher.see(account_of_kim());
    let planned = plan(matcher, true);
    // The last in Bob's answer has waited longest.
    let since = |person: PersonIndex| -i64::from(person);
    let turns = AtomicU64::new(7);
    let initial = || Ok(Initial { password: None, change_at_first_login: false });
    let (provider, ..) =
        carried_out_in_turn(&planned, initial(), (&since, &turns), &|| false).await;
    let calls = provider.calls.into_inner();
    assert!(calls[0].starts_with("update k"), "{calls:?}");
    let created: Vec<u32> =
        calls[1..].iter().map(|call| call.split(' ').nth(1).unwrap().parse().unwrap()).collect();
    assert!(created.len() == 21 && created.is_sorted_by(|a, b| a > b), "{created:?}");
    assert_eq!(turns.into_inner(), 7 + 21, "the leaver takes nobody's turn");
    let turns = AtomicU64::new(7);
    let (provider, _, waiting) =
        carried_out_in_turn(&planned, initial(), (&since, &turns), &|| true).await;
    assert_eq!(
        (provider.calls().len(), waiting, turns.into_inner()),
        (0, 22, 7),
        "who had no turn comes first the next time"
    );
}

#[tokio::test(start_paused = true)]
async fn a_look_up_that_is_throttled_stays_in_line_as_long_as_it_is_wanted() {
    let mapping = mapping();
    let (roster, key) =
        (Roster::default(), IntegrationKey { namespace: "people".into(), name: "onelogin".into() });
    let object = serde_json::json!({
        "apiVersion": "bobsync.dev/v1alpha1", "kind": "EmployeeSync", "metadata": {"name": "onelogin-2", "namespace": "people"},
        "spec": {"integrationRef": {"name": "onelogin"}, "employeeId": "2"},
        "status": {"account": {"id": "k", "matchedBy": "Mark"}, "access": "Active"},
    });
    roster.see(&serde_json::from_value(object).expect("an EmployeeSync"));
    let seen = || partial::PartialSight {
        employees: vec![person("2", Access::Suspended, Missing::Never).employee],
        ..partial::PartialSight::default()
    };
    for (times, wanted_for, found) in [(1_000, u32::MAX, 1), (u32::MAX, 1_000, 0)] {
        let provider = Noting { throttled: times.into(), ..Noting::default() };
        let (asked, mut seen) = (AtomicU32::new(0), seen());
        let wanted = || asked.fetch_add(1, Ordering::Relaxed) < wanted_for;
        let accounts = partial::accounts(&provider, &mapping, &roster.of(&key), &mut seen, &wanted)
            .await
            .expect("no stop");
        assert_eq!(
            (accounts.len(), seen.unread.len(), seen.employees.len()),
            (found, 1 - found, found)
        );
    }
}
