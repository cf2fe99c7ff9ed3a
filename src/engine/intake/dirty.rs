//! Who is to be looked at, and when. Events collect for a moment before a pass: a short one while all is calm, a longer
//! one in a storm, so that one read serves many. People whose access may end have a line of their own, which waits for
//! nobody. A person stands in the line once, however many events came.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use foldhash::HashMap;
use tokio::{sync::Notify, time::Instant};

use crate::{api::employee_sync::Trigger, domain::priority::Class};

impl Class {
    /// Which line it stands in.
    #[must_use]
    pub const fn line(self) -> Line {
        match self {
            Self::Revocation | Self::Leaver => Line::Urgent,
            Self::Joiner | Self::Mover | Self::Cosmetic => Line::Normal,
        }
    }
}

/// How many stand in line by class, and since when the oldest.
pub type Depths = [(usize, Option<Instant>); Class::ALL.len()];

/// The two lines. Each is served by itself, so that the second can never hold up the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Line {
    /// Access may end.
    Urgent,
    /// Everything else.
    Normal,
}

impl Line {
    /// How long to listen for more once an event came: from the last one while all is calm, the same while events keep
    /// coming, and from the first one at most.
    const fn window(self) -> (Duration, Duration, Duration) {
        match self {
            Self::Urgent => {
                (Duration::from_millis(50), Duration::from_millis(100), Duration::from_millis(250))
            }
            Self::Normal => (
                Duration::from_millis(150),
                Duration::from_millis(600),
                Duration::from_millis(1500),
            ),
        }
    }

    const fn index(self) -> usize {
        match self {
            Self::Urgent => 0,
            Self::Normal => 1,
        }
    }
}

/// For so long after a read the next events count as part of a storm.
const CALM: Duration = Duration::from_secs(5);
/// Further looks ask for reads of their own at full steps of this, so that one read serves many: the first one soon, the later
/// ones seldom, for Bob's searches belong to those whom nobody has looked at.
const STEP: Duration = Duration::from_secs(2);
const LATER_STEP: Duration = Duration::from_secs(10);
/// More people than this are not told apart: everybody is looked at.
pub const MOST_PEOPLE: usize = 20_000;

/// Why somebody is in line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// What happened.
    pub trigger: Trigger,
    /// What is at stake.
    pub class: Class,
    /// When the first of the events came that nobody has looked at.
    pub since: Instant,
    /// When the last of them came.
    pub latest: Instant,
    /// How often Bob was looked at since without showing a change.
    pub looks: u8,
    /// Not before this; `None`: with the line's next read.
    pub not_before: Option<Instant>,
    /// From then on with a read that is made anyhow, and at this time with one of its own.
    pub wakes: Option<Instant>,
}

/// Why people are looked at.
pub type Causes = HashMap<Box<str>, Waiting>;

/// The lines of one integration.
#[derive(Debug, Default)]
pub struct Dirty {
    state: Mutex<State>,
    /// Somebody came.
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    people: HashMap<Box<str>, Waiting>,
    windows: [Window; 2],
    /// Where the steps of further looks begin.
    epoch: Option<Instant>,
    /// Everybody is to be looked at: why, and not before this.
    everybody: Option<Everybody>,
}

/// Why everybody is to be looked at.
#[derive(Clone, Debug)]
pub struct Everybody {
    /// What happened.
    pub trigger: Trigger,
    /// Not before this.
    pub due: Instant,
    /// People who were told apart before, and why each was in line.
    pub people: Causes,
}

/// The time in which a line listens before it is served.
#[derive(Clone, Copy, Debug, Default)]
struct Window {
    first: Option<Instant>,
    ends: Option<Instant>,
    served: Option<Instant>,
}

impl Waiting {
    /// Somebody to whom this has happened now.
    #[must_use]
    pub const fn new(trigger: Trigger, class: Class, since: Instant) -> Self {
        Self { trigger, class, since, latest: since, looks: 0, not_before: None, wakes: None }
    }
}

impl Window {
    fn arrive(&mut self, line: Line, now: Instant) {
        let (calm, storm, most) = line.window();
        let listen =
            if self.served.is_some_and(|served| now < served + CALM) { storm } else { calm };
        let first = *self.first.get_or_insert(now);
        self.ends = Some((now + listen).min(first + most));
    }
}

impl Dirty {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Somebody is to be looked at. Of several reasons the most urgent and the oldest count.
    pub fn add(&self, employee: &str, trigger: Trigger, class: Class, now: Instant) {
        let mut state = self.lock();
        if !state.people.contains_key(employee) && state.people.len() >= MOST_PEOPLE {
            drop(state);
            return self.add_everybody(trigger, now);
        }
        let fresh = Waiting::new(trigger, class, now);
        let waiting = state.people.entry(employee.into()).or_insert(fresh);
        *waiting = match waiting.not_before {
            // Looked at before: this is another event, with a wait of its own.
            Some(_) => Waiting { class: waiting.class.min(class), ..fresh },
            None => Waiting {
                trigger: if class < waiting.class { trigger } else { waiting.trigger },
                class: waiting.class.min(class),
                latest: now,
                ..*waiting
            },
        };
        let line = waiting.class.line();
        state.windows[line.index()].arrive(line, now);
        drop(state);
        self.changed.notify_waiters();
    }

    /// Everybody is to be looked at, not before `due`.
    pub fn add_everybody(&self, trigger: Trigger, due: Instant) {
        self.with_everybody(trigger, due, Vec::new());
    }

    fn with_everybody(&self, trigger: Trigger, due: Instant, people: Vec<(Box<str>, Waiting)>) {
        let mut state = self.lock();
        let everybody = state.everybody.get_or_insert_with(|| Everybody {
            trigger,
            due,
            people: HashMap::default(),
        });
        everybody.due = everybody.due.min(due);
        everybody.people.extend(people);
        drop(state);
        self.changed.notify_waiters();
    }

    /// These people, who were taken, are to be looked at with everybody.
    pub fn join_everybody(&self, people: Vec<(Box<str>, Waiting)>, due: Instant) {
        let Some(trigger) = people.first().map(|(_, waiting)| waiting.trigger) else { return };
        self.with_everybody(trigger, due, people);
    }

    /// Somebody who was taken and could not be served stands where they stood. News that came meanwhile count for more.
    pub fn put_back(&self, employee: &str, waiting: Waiting) {
        let mut state = self.lock();
        let waiting = *state.people.entry(employee.into()).or_insert(waiting);
        if waiting.not_before.is_none() {
            // Its window was served without it.
            let line = waiting.class.line();
            state.windows[line.index()].arrive(line, Instant::now());
        }
        drop(state);
        self.changed.notify_waiters();
    }

    /// Somebody who was taken is to be looked at once more, at this time. News that came meanwhile count for more.
    pub fn again(&self, employee: &str, waiting: Waiting, at: Instant) {
        self.put_back(employee, Waiting { not_before: Some(at), wakes: None, ..waiting });
    }

    /// The same for a further look at what Bob may not have shown: with a read that is made after this time, or with one of its
    /// own at the next full step.
    pub fn look_again(&self, employee: &str, waiting: Waiting, at: Instant) {
        let step = if waiting.looks <= 1 { STEP } else { LATER_STEP };
        let epoch = *self.lock().epoch.get_or_insert_with(Instant::now);
        let steps = at.saturating_duration_since(epoch).as_millis().div_ceil(step.as_millis());
        let wakes = epoch + step * u32::try_from(steps).unwrap_or(u32::MAX);
        self.put_back(employee, Waiting { not_before: Some(at), wakes: Some(wakes), ..waiting });
    }

    /// When this line is to be served next, as far as is known now.
    #[must_use]
    pub fn due(&self, line: Line) -> Option<Instant> {
        self.due_of(line, |_, _| true)
    }

    /// The same of those in it who may be served now.
    fn due_of(&self, line: Line, may: impl Fn(&str, &Waiting) -> bool) -> Option<Instant> {
        let state = self.lock();
        let window = state.windows[line.index()].ends;
        let own = state
            .people
            .iter()
            .filter(|(employee, waiting)| waiting.class.line() == line && may(employee, waiting))
            .filter_map(|(_, waiting)| waiting.wakes.or(waiting.not_before).or(window));
        own.min()
    }

    /// When everybody is to be looked at.
    #[must_use]
    pub fn everybody_due(&self) -> Option<Instant> {
        self.lock().everybody.as_ref().map(|everybody| everybody.due)
    }

    /// Takes out of a line whose turn has come, the most urgent and then the oldest first.
    #[must_use]
    pub fn take(&self, line: Line, now: Instant) -> Vec<(Box<str>, Waiting)> {
        self.take_of(line, now, |_, _| true)
    }

    /// The same of those in it who may be served now; all others stand where they stood.
    #[must_use]
    pub fn take_of(
        &self,
        line: Line,
        now: Instant,
        may: impl Fn(&str, &Waiting) -> bool,
    ) -> Vec<(Box<str>, Waiting)> {
        let mut state = self.lock();
        let open = state.windows[line.index()].ends.is_some_and(|ends| ends <= now);
        let come = |waiting: &Waiting| {
            waiting.class.line() == line && waiting.not_before.map_or(open, |at| at <= now)
        };
        let mut taken: Vec<_> = state
            .people
            .extract_if(|employee, waiting| come(waiting) && may(employee, waiting))
            .collect();
        let left = state
            .people
            .values()
            .any(|waiting| waiting.class.line() == line && waiting.not_before.is_none());
        if open && !left {
            state.windows[line.index()] = Window { first: None, ends: None, served: Some(now) };
        }
        drop(state);
        taken.sort_by(|(a, x), (b, y)| (x.class, x.since, a).cmp(&(y.class, y.since, b)));
        taken
    }

    /// Takes the wish to look at everybody: a full pass that is made takes it along, whatever it is made for.
    #[must_use]
    pub fn take_everybody(&self) -> Option<Everybody> {
        self.lock().everybody.take()
    }

    /// Why everybody is to be looked at, if the time for it has come.
    #[must_use]
    pub fn wants_everybody(&self, now: Instant) -> Option<Trigger> {
        self.lock()
            .everybody
            .as_ref()
            .filter(|everybody| everybody.due <= now)
            .map(|everybody| everybody.trigger)
    }

    /// Forgets everything. Only for an integration that is suspended: when it goes on, a full pass comes first.
    pub fn clear(&self) {
        *self.lock() = State::default();
    }

    /// Forgets everything that the first pass of a process that begins to lead sees as well. What Bob pushed it may not see yet.
    pub fn keep_events(&self) {
        let mut state = self.lock();
        state.people.retain(|_, waiting| waiting.trigger == Trigger::Webhook);
        state.everybody = None;
    }

    /// How many stand in line by class, and since when the oldest.
    #[must_use]
    pub fn depths(&self) -> Depths {
        let state = self.lock();
        let mut depths = Depths::default();
        let with_everybody = state.everybody.iter().flat_map(|everybody| everybody.people.values());
        for waiting in
            state.people.values().filter(|waiting| waiting.looks == 0).chain(with_everybody)
        {
            let (count, oldest) = &mut depths[waiting.class as usize];
            *count += 1;
            *oldest = Some(oldest.map_or(waiting.since, |known| known.min(waiting.since)));
        }
        depths
    }

    /// Something else is to be looked at by whoever waits here.
    pub fn nudge(&self) {
        self.changed.notify_waiters();
    }

    /// Completes once something came after it was enabled.
    pub fn changed(&self) -> tokio::sync::futures::Notified<'_> {
        self.changed.notified()
    }

    /// Waits until this line is to be served.
    pub async fn wait(&self, line: Line) {
        self.wait_of(line, |_, _| true).await;
    }

    /// The same for those in it who may be served now.
    pub async fn wait_of(&self, line: Line, may: impl Fn(&str, &Waiting) -> bool) {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            // Listening begins before looking, so that nothing falls between.
            changed.as_mut().enable();
            match self.due_of(line, &may) {
                Some(at) if at <= Instant::now() => return,
                Some(at) => tokio::select! {
                    () = tokio::time::sleep_until(at) => {}
                    () = changed => {}
                },
                None => changed.await,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(taken: &[(Box<str>, Waiting)]) -> Vec<&str> {
        taken.iter().map(|(id, _)| &**id).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn an_event_alone_is_served_soon_and_a_storm_in_batches() {
        let dirty = Dirty::default();
        let began = Instant::now();
        dirty.add("1", Trigger::Webhook, Class::Mover, began);
        dirty.wait(Line::Normal).await;
        assert_eq!(began.elapsed().as_millis(), 150);
        assert_eq!(ids(&dirty.take(Line::Normal, Instant::now())), ["1"]);
        let (mut batches, mut people) = (0, 0);
        let storm = Instant::now();
        while storm.elapsed() < Duration::from_secs(10) {
            dirty.add(&(people % 500).to_string(), Trigger::Webhook, Class::Mover, Instant::now());
            people += 1;
            tokio::time::advance(Duration::from_millis(2)).await;
            batches += usize::from(!dirty.take(Line::Normal, Instant::now()).is_empty());
        }
        assert!((6..=8).contains(&batches), "{batches} reads for {people} events in ten seconds");
    }

    #[tokio::test(start_paused = true)]
    async fn who_may_leave_has_a_line_of_their_own() {
        let dirty = Dirty::default();
        let now = Instant::now();
        for id in ["1", "2", "3"] {
            dirty.add(id, Trigger::Webhook, Class::Cosmetic, now);
        }
        dirty.add("4", Trigger::Webhook, Class::Leaver, now);
        dirty.add("2", Trigger::Webhook, Class::Revocation, now + Duration::from_millis(10));
        dirty.wait(Line::Urgent).await;
        assert!(now.elapsed() <= Duration::from_millis(100), "{:?}", now.elapsed());
        assert_eq!(
            ids(&dirty.take(Line::Urgent, Instant::now())),
            ["2", "4"],
            "the most urgent first"
        );
        dirty.wait(Line::Normal).await;
        assert_eq!(ids(&dirty.take(Line::Normal, Instant::now())), ["1", "3"]);
        assert_eq!((dirty.due(Line::Urgent), dirty.due(Line::Normal)), (None, None));
    }

    #[tokio::test(start_paused = true)]
    async fn another_look_waits_for_its_time_and_news_count_for_more() {
        let dirty = Dirty::default();
        let now = Instant::now();
        dirty.add("1", Trigger::Webhook, Class::Mover, now);
        dirty.wait(Line::Normal).await;
        let (id, waiting) = dirty.take(Line::Normal, Instant::now()).remove(0);
        dirty.again(&id, Waiting { looks: 1, ..waiting }, now + Duration::from_secs(5));
        dirty.wait(Line::Normal).await;
        assert_eq!(now.elapsed(), Duration::from_secs(5));
        let (id, waiting) = dirty.take(Line::Normal, Instant::now()).remove(0);
        assert_eq!((waiting.looks, waiting.since), (1, now));
        dirty.add("1", Trigger::Manual, Class::Joiner, Instant::now());
        dirty.again(&id, Waiting { looks: 2, ..waiting }, now + Duration::from_secs(15));
        dirty.wait(Line::Normal).await;
        assert!(now.elapsed() < Duration::from_secs(6));
        assert_eq!(dirty.take(Line::Normal, Instant::now())[0].1.trigger, Trigger::Manual);
        assert_eq!(dirty.due(Line::Normal), None);
    }

    #[tokio::test(start_paused = true)]
    async fn further_looks_are_collected_and_go_with_a_read_that_is_made_anyhow() {
        let dirty = Dirty::default();
        let now = Instant::now();
        let looked = |looks| Waiting { looks, ..Waiting::new(Trigger::Webhook, Class::Mover, now) };
        for (id, seconds) in [("1", 21), ("2", 25), ("3", 29), ("4", 33)] {
            dirty.look_again(id, looked(3), now + Duration::from_secs(seconds));
        }
        tokio::time::advance(Duration::from_secs(22)).await;
        dirty.add("5", Trigger::Webhook, Class::Mover, Instant::now());
        dirty.wait(Line::Normal).await;
        assert_eq!(now.elapsed().as_millis(), 22_150);
        assert_eq!(
            ids(&dirty.take(Line::Normal, Instant::now())),
            ["1", "5"],
            "what is ripe goes along"
        );
        dirty.wait(Line::Normal).await;
        assert_eq!(now.elapsed().as_secs(), 30, "and the rest together");
        assert_eq!(ids(&dirty.take(Line::Normal, Instant::now())), ["2", "3"]);
        dirty.look_again("6", looked(1), now + Duration::from_secs(31));
        dirty.wait(Line::Normal).await;
        assert_eq!(now.elapsed().as_secs(), 32, "the first further look is sooner");
    }

    #[tokio::test(start_paused = true)]
    async fn memory_is_bounded_and_nobody_is_forgotten() {
        let dirty = Dirty::default();
        let now = Instant::now();
        for id in 0..MOST_PEOPLE + 10 {
            dirty.add(&id.to_string(), Trigger::Webhook, Class::Mover, now);
        }
        assert_eq!(dirty.depths()[Class::Mover as usize], (MOST_PEOPLE, Some(now)));
        assert_eq!(dirty.everybody_due(), Some(now));
    }
}
