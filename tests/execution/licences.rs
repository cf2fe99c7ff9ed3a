//! Accounts that were given access and have no licence: few reads find them, and soon.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use bobsync::{
    cluster::leadership::Leadership,
    domain::{
        access::Missing,
        account::{Access, Account, AccountState, AccountWrite},
        mapping::Mapping,
        matching::Matcher,
        plan::plan,
        priority::Urgency,
        safety::Protected,
    },
    engine::{
        intake::claims::Claims,
        pass::{
            execute::{Execution, Pace, execute},
            guard::Released,
            outcome::Outcome,
        },
    },
    provider::{Capabilities, Error, Initial, Key, Listing, Provider, Written},
};
use futures::future::BoxFuture;
use parking_lot::Mutex;
use tokio::time::Instant;

use super::{answer, mapping, person};

/// Makes accounts. Only the first ones get a licence, and only a read shows it.
#[derive(Default)]
struct Licensed {
    /// How many accounts get a licence.
    licences: usize,
    made: Mutex<Vec<String>>,
    /// How many reads there were.
    reads: AtomicU32,
    /// The number of the first reads that are throttled.
    throttled: u32,
    /// How long a read takes.
    slow: std::time::Duration,
    /// Whether every read fails.
    fails: bool,
    /// After this number of accounts, every call waits for an hour, as in a pause that a provider
    /// asked for.
    paused_after: Option<usize>,
}

impl Licensed {
    async fn pause(&self) {
        let made = self.made.lock().len();
        if self.paused_after.is_some_and(|most| made >= most) {
            tokio::time::sleep(std::time::Duration::from_mins(50)).await;
        }
    }
}

impl Provider for Licensed {
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
        Box::pin(async { Ok(Vec::new()) })
    }

    fn create<'a>(
        &'a self,
        _: &'a Mapping,
        write: &'a AccountWrite,
        _: &'a Initial<'a>,
    ) -> BoxFuture<'a, Result<Written, Error>> {
        Box::pin(async move {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            self.pause().await;
            let id = write.mark.clone().unwrap().to_string();
            self.made.lock().push(id.clone());
            Ok(answer(write, &id))
        })
    }

    fn update<'a>(
        &'a self,
        _: &'a Mapping,
        id: &'a str,
        write: &'a AccountWrite,
        _: Urgency,
    ) -> BoxFuture<'a, Result<Written, Error>> {
        Box::pin(async move { Ok(answer(write, id)) })
    }

    fn unlicensed<'a>(
        &'a self,
        _: &'a Mapping,
        ids: &'a [&'a str],
    ) -> BoxFuture<'a, Result<Vec<Box<str>>, Error>> {
        Box::pin(async move {
            self.pause().await;
            let read = self.reads.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(self.slow.max(std::time::Duration::from_millis(50))).await;
            if read < self.throttled {
                return Err(Error::Throttled { wait: None });
            }
            if self.fails {
                return Err(Error::Unavailable { said: "HTTP 503".to_owned() });
            }
            let made = self.made.lock();
            let lacks = made.iter().skip(self.licences).filter(|id| ids.contains(&id.as_str()));
            Ok(lacks.map(|id| id.as_str().into()).collect())
        })
    }

    fn capabilities(&self) -> &'static Capabilities {
        &bobsync::provider::onelogin::CATALOG.capabilities
    }
}

/// Returns how many employees have a usable account, one without a licence, and a wait.
async fn hire(provider: &Licensed, employees: u32) -> (usize, usize, usize) {
    let hour = std::time::Duration::from_hours(1);
    hire_within(provider, employees, hour, hour).await
}

/// Returns the same of what was told in this time. `deadline`: no change begins after it.
async fn hire_within(
    provider: &Licensed,
    employees: u32,
    time: std::time::Duration,
    deadline: std::time::Duration,
) -> (usize, usize, usize) {
    let mapping = mapping();
    let people: Vec<_> = (0..employees)
        .map(|id| person(&id.to_string(), Access::Active, Missing::Create(Access::Active)))
        .collect();
    let planned = plan(Matcher::new(&mapping, &people, true), true);
    let claims = Claims::default();
    let told = Mutex::new((0, 0, 0));
    let (handle, leadership, turns) =
        (claims.begin_full(), Leadership::always(), AtomicU64::new(0));
    let execution = Execution {
        provider,
        initial: Ok(Initial::default()),
        unavailable: &[],
        planned: &planned,
        released: &Released::default(),
        adopt: true,
        protected: &Protected::default(),
        pace: Pace {
            deadline: Instant::now() + deadline,
            ..Pace::unhurried(&handle, &leadership, &turns)
        },
    };
    let executed = execute(&execution, |_, outcome, claim| {
        let mut told = told.lock();
        match outcome {
            Outcome::Done(done) if done.state == AccountState::Active => told.0 += 1,
            Outcome::Done(done) if done.state == AccountState::Unlicensed => told.1 += 1,
            Outcome::Waiting => told.2 += 1,
            other => panic!("{other:?}"),
        }
        assert!(claim.is_some(), "the claim lasts until the outcome is on record");
    });
    drop(tokio::time::timeout(time, executed).await);
    told.into_inner()
}

#[tokio::test(start_paused = true)]
async fn a_thousand_new_accounts_are_proven_by_few_reads() {
    let provider = Licensed { licences: usize::MAX, ..Licensed::default() };
    assert_eq!(hire(&provider, 1_000).await, (1_000, 0, 0));
    let reads = provider.reads.into_inner();
    assert!(reads <= 40, "{reads} reads beside 1,000 writes");
}

#[tokio::test(start_paused = true)]
async fn every_account_without_a_licence_is_told_and_creates_stop_soon() {
    for licences in [0, 1, 10, 100] {
        let provider = Licensed { licences, ..Licensed::default() };
        let (active, lacking, waiting) = hire(&provider, 1_000).await;
        assert_eq!((active, active + lacking + waiting), (licences, 1_000));
        // The accounts under way while a group was read, the group, and the next one.
        assert!(
            (3..=licences.clamp(5, 40) + 24).contains(&lacking),
            "{lacking} accounts without one of {licences} licences"
        );
    }
    for millis in [50, 500, 4_000] {
        let slow = std::time::Duration::from_millis(millis);
        let provider = Licensed { licences: 10, slow, ..Licensed::default() };
        let (active, lacking, waiting) = hire(&provider, 1_000).await;
        assert_eq!((active, lacking + waiting), (10, 990));
        assert!((3..20).contains(&lacking), "{lacking} if a read takes {slow:?}");
    }
    let provider = Licensed { licences: 10, throttled: 2, ..Licensed::default() };
    let (active, lacking, waiting) = hire(&provider, 1_000).await;
    assert_eq!((active, lacking + waiting), (10, 990), "a throttled read is made again");
}

#[tokio::test(start_paused = true)]
async fn one_new_account_is_read_at_once_and_a_failing_read_keeps_nothing_from_being_told() {
    let provider = Licensed::default();
    assert_eq!(hire(&provider, 1).await, (0, 1, 0));
    assert_eq!(provider.reads.into_inner(), 1);
    let provider = Licensed { fails: true, ..Licensed::default() };
    assert_eq!(hire(&provider, 100).await, (100, 0, 0), "the next listing tells");
}

#[tokio::test(start_paused = true)]
async fn the_last_accounts_of_a_pass_are_read_back_after_its_deadline() {
    let provider = Licensed::default();
    let short = std::time::Duration::from_millis(20);
    let told = hire_within(&provider, 20, short * 1_000, short).await;
    assert_eq!(told, (0, 8, 12), "eight creates are under way at the deadline");
}

#[tokio::test(start_paused = true)]
async fn what_is_done_is_told_during_a_pause_that_the_provider_asked_for() {
    for paused_after in [3, 5, 20] {
        let provider = Licensed {
            licences: usize::MAX,
            paused_after: Some(paused_after),
            ..Licensed::default()
        };
        let time = std::time::Duration::from_secs(20);
        let (told, ..) = hire_within(&provider, 100, time, time * 2).await;
        assert!(told >= paused_after, "{told} of {paused_after} accounts are told in {time:?}");
    }
}
