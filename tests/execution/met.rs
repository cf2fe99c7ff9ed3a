//! A create that meets an account: frozen rows and budgets apply to its write, as if the plan had
//! known the account.

use std::sync::atomic::AtomicU64;

use bobsync::{
    cluster::leadership::Leadership,
    domain::{
        access::{Decision, Missing},
        account::{Access, Account, AccountState, AccountWrite},
        budget::BudgetKind,
        employee::{Cell, Employee, Fields, Values},
        guard::{Held, Room},
        mapping::{Compare, Mapping, Row, Source},
        matching::{Matcher, Person},
        plan::plan,
        priority::Urgency,
        safety::Protected,
        why::Why,
    },
    engine::{
        intake::claims::Claims,
        pass::{
            execute::{Execution, Pace, execute},
            guard::Released,
            outcome::{Failure, Outcome},
        },
    },
    provider::{Error, Initial, Key, Listing, Provider, Written},
};
use futures::future::BoxFuture;
use parking_lot::Mutex;

use crate::answer;

const TITLE: usize = 1;
const PHONE: usize = 2;

fn mapping() -> Mapping {
    let row = |(field, target): (usize, &&str)| Row {
        target: (*target).into(),
        source: Source::Field(field + 1),
        on_create_only: false,
        compare: if field == 0 { Compare::IgnoringCase } else { Compare::Exact },
        required: field == 0,
    };
    let rows = ["email", "title", "phone"].iter().enumerate().map(row).collect();
    Mapping { address: None, rows, fields: Fields::default(), email: 0, username: 0, manager: None }
}

/// The provider has this account, and its listing did not show it.
struct Unlisted {
    account: Account<'static>,
    /// Whether look-ups by the mark find it. If not, the create says that there is one.
    by_mark: bool,
    writes: Mutex<Vec<(Vec<usize>, Option<Access>)>>,
}

impl Provider for Unlisted {
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
        key: Key<'a>,
    ) -> BoxFuture<'a, Result<Vec<Account<'static>>, Error>> {
        let found = self.by_mark || matches!(key, Key::Email(_));
        Box::pin(async move { Ok(found.then(|| self.account.clone()).into_iter().collect()) })
    }

    fn create<'a>(
        &'a self,
        _: &'a Mapping,
        _: &'a AccountWrite,
        _: &'a Initial<'a>,
    ) -> BoxFuture<'a, Result<Written, Error>> {
        Box::pin(async { Err(Error::Duplicate { field: None }) })
    }

    fn update<'a>(
        &'a self,
        _: &'a Mapping,
        id: &'a str,
        write: &'a AccountWrite,
        _: Urgency,
    ) -> BoxFuture<'a, Result<Written, Error>> {
        let rows = write.attributes.iter().map(|(row, _)| *row).collect();
        self.writes.lock().push((rows, write.access));
        Box::pin(async move { Ok(answer(write, id)) })
    }

    fn capabilities(&self) -> &'static bobsync::provider::Capabilities {
        &bobsync::provider::onelogin::CATALOG.capabilities
    }
}

/// Carries out the create of an employee at work with an existing account that is suspended and has
/// other values.
async fn met(
    marked: bool,
    by_mark: bool,
    held: Held,
) -> (Outcome, Vec<(Vec<usize>, Option<Access>)>) {
    let mapping = mapping();
    let cells =
        [Cell::Text("1"), Cell::Text("noa@example.com"), Cell::Text("Baker"), Cell::Text("7")];
    let person = Person {
        first_login: false,
        employee: Employee::from_values(Values::from_cells(cells.into_iter()))
            .expect("a row with an id"),
        decision: Decision {
            managed: true,
            existing: Some(Access::Active),
            missing: Missing::Create(Access::Active),
            why: Why::AtWork,
            also: None,
            date: None,
            next: None,
        },
        forgotten: false,
        known_account: None,
        known_active: false,
        several: false,
        sessions_open: false,
        claimed_by: None,
        scope_failure: None,
        unknown_target: None,
        baseline: None,
        in_place: None,
        kept: None,
    };
    let text = |text: &str| Some(text.to_owned().into());
    let account = Account {
        phase: bobsync::domain::account::AccountPhase::Usual,
        id: "a".into(),
        mark: marked.then(|| "1".into()),
        email: text("noa@example.com"),
        username: text("noa@example.com"),
        state: AccountState::Suspended,
        attributes: [text("noa@example.com"), text("Miller"), text("8")].into(),
        administrator: false,
        elsewhere: false,
        foreign: None,
    };
    let people = [person];
    // A listing that was not consistent.
    let planned = plan(Matcher::new(&mapping, &people, true), false);
    let provider = Unlisted { account, by_mark, writes: Mutex::default() };
    let (claims, told) = (Claims::default(), Mutex::new(None));
    execute(
        &Execution {
            provider: &provider,
            initial: Ok(Initial::default()),
            unavailable: &[],
            planned: &planned,
            released: &Released { held, ..Released::default() },
            adopt: true,
            protected: &Protected::default(),
            pace: Pace::unhurried(&claims.begin_full(), &Leadership::always(), &AtomicU64::new(0)),
        },
        |_, outcome, _| *told.lock() = Some(outcome),
    )
    .await;
    (told.into_inner().expect("an outcome"), provider.writes.into_inner())
}

fn room(left: &[(BudgetKind, u32)], first_pass: bool) -> Room {
    Room { left: left.iter().copied().collect(), first_pass }
}

#[tokio::test(start_paused = true)]
async fn a_row_that_is_frozen_stays_as_it_is_on_an_account_that_a_create_meets() {
    for (marked, by_mark) in [(true, true), (true, false), (false, false)] {
        let (outcome, writes) =
            met(marked, by_mark, Held { frozen: vec![TITLE], ..Held::default() }).await;
        assert!(matches!(outcome, Outcome::Done(_)), "{outcome:?}");
        assert_eq!(
            writes,
            [(vec![PHONE], Some(Access::Active))],
            "marked: {marked}, found by its mark: {by_mark}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn access_that_a_create_would_give_back_needs_room_in_its_budget() {
    for (marked, by_mark) in [(true, true), (true, false), (false, false)] {
        let held = Held { room: room(&[(BudgetKind::Reactivate, 0)], true), ..Held::default() };
        let (outcome, writes) = met(marked, by_mark, held).await;
        assert!(writes.is_empty(), "{writes:?}");
        let Outcome::Failed { failure: Failure::Retrying(said), account, .. } = outcome else {
            panic!("{outcome:?}")
        };
        assert!(
            said.contains("the next plan")
                && account == Some(("a".into(), AccountState::Suspended)),
            "{said}"
        );
        let held = Held { room: room(&[(BudgetKind::Reactivate, 1)], false), ..Held::default() };
        assert_eq!(
            met(marked, by_mark, held).await.1,
            [(vec![TITLE, PHONE], Some(Access::Active))]
        );
    }
}

#[test]
fn a_first_pass_updates_accounts_without_a_mark_beside_the_budget_and_no_others() {
    let mut first = room(&[(BudgetKind::Update, 1)], true);
    assert!(
        first.take(BudgetKind::Update, false)
            && first.take(BudgetKind::Update, true)
            && first.take(BudgetKind::Update, false)
    );
    assert!(
        !first.take(BudgetKind::Update, true) && first.take(BudgetKind::Create, false),
        "creates have no limit here"
    );
}
