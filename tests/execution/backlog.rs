//! A backlog that is longer than an interval. The time of a pass ends, and the next pass goes on at
//! once, so the length of the interval makes no difference.

use std::{sync::atomic::AtomicU64, time::Duration};

use bobsync::{
    cluster::leadership::Leadership,
    domain::{
        access::Missing,
        account::{Access, Account, AccountWrite},
        mapping::Mapping,
        matching::{Matcher, Person},
        plan::{Planned, plan},
        priority::Urgency,
        safety::Protected,
    },
    engine::{
        intake::claims::Claims,
        integration::state::again,
        pass::{
            execute::{Execution, Pace, execute},
            guard::Released,
        },
    },
    provider::{Error, Initial, Key, Listing, Provider, Written},
};
use futures::future::BoxFuture;
use jiff::SignedDuration;
use parking_lot::Mutex;
use tokio::time::{Instant, sleep, sleep_until};

use crate::{account_of, answer, mapping, person};

const EMPLOYEES: usize = 800;
/// The time between two accounts that the provider makes.
const APART: Duration = Duration::from_micros(1_000_000 / 6);

/// A provider that makes six accounts a second.
struct Slow {
    next: Mutex<Instant>,
    made: Mutex<Vec<String>>,
}

impl Provider for Slow {
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
        let mark = write.mark.as_deref().expect("a mark").to_owned();
        let turn = {
            let mut next = self.next.lock();
            let turn = (*next).max(Instant::now()) + APART;
            *next = turn;
            turn
        };
        Box::pin(async move {
            sleep_until(turn).await;
            self.made.lock().push(mark.clone());
            Ok(answer(write, &mark))
        })
    }

    fn update<'a>(
        &'a self,
        _: &'a Mapping,
        id: &'a str,
        _: &'a AccountWrite,
        _: Urgency,
    ) -> BoxFuture<'a, Result<Written, Error>> {
        panic!("{id} has nothing to change")
    }

    fn capabilities(&self) -> &'static bobsync::provider::Capabilities {
        &bobsync::provider::onelogin::CATALOG.capabilities
    }
}

/// Returns how long it takes until every employee has an account, and in how many passes.
async fn takes(interval: Duration) -> (Duration, usize) {
    let began = Instant::now();
    let (mapping, provider) = (mapping(), Slow { next: Mutex::new(began), made: Mutex::default() });
    let (claims, leadership, turns) = (Claims::default(), Leadership::always(), AtomicU64::new(0));
    let people: Vec<Person> = (0..EMPLOYEES)
        .map(|id| person(&id.to_string(), Access::Active, Missing::Create(Access::Active)))
        .collect();
    let (mut failures, mut passes) = (0, 0);
    loop {
        let mut matcher = Matcher::new(&mapping, &people, true);
        for mark in &*provider.made.lock() {
            matcher.see(account_of(&format!("a{mark}"), mark));
        }
        let planned =
            Planned { mapping: &mapping, people: &people, plan: plan(matcher, true).plan };
        let handle = claims.begin_full();
        let execution = Execution {
            provider: &provider,
            initial: Ok(Initial { password: None, change_at_first_login: false }),
            unavailable: &[],
            planned: &planned,
            released: &Released::default(),
            adopt: true,
            protected: &Protected::default(),
            pace: Pace {
                deadline: Instant::now() + interval,
                ..Pace::unhurried(&handle, &leadership, &turns)
            },
        };
        let summary = execute(&execution, |_, _, _| {}).await;
        passes += 1;
        if summary.cut.is_none() {
            break;
        }
        let interval = SignedDuration::try_from(interval).expect("a short time");
        let (count, wait) = again(summary.stop.as_ref(), summary.cut, failures, interval);
        failures = count;
        sleep(wait.unsigned_abs()).await;
    }
    assert_eq!(provider.made.lock().len(), EMPLOYEES, "one account for each employee");
    (began.elapsed(), passes)
}

#[tokio::test(start_paused = true)]
async fn eight_hundred_new_accounts_take_as_long_at_a_short_interval_as_at_a_long_one() {
    let (long, one) = takes(Duration::from_hours(24)).await;
    let (short, several) = takes(Duration::from_mins(1)).await;
    assert_eq!((one, several), (1, 3), "at six a second, a minute is 360 accounts");
    assert!(long >= Duration::from_secs(133), "{long:?}");
    assert!(short <= long + long / 20, "{short:?} in place of {long:?}");
}
