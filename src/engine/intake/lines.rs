//! The employees to look at, and when. Events are collected for a moment before a pass: for a short
//! time while few events come, and for a longer time in a storm, so that one read serves many.
//! Employees who may lose access have a line of their own, which waits for no other. An employee
//! is in the line once, however many events came.

mod turns;

use std::time::Duration;

use foldhash::HashMap;
use parking_lot::{Mutex, MutexGuard};
use tokio::{sync::Notify, time::Instant};

use self::turns::QueuedEmployees;
use crate::{
    api::employee_sync::Trigger,
    domain::priority::{Class, Urgency},
};

/// How many employees are in the lines by class, and since when the oldest.
pub type Depths = [(usize, Option<Instant>); Class::ALL.len()];

// There are two lines. Each is served separately, so that the second can never delay the first.
impl Urgency {
    /// Returns how long to wait for more events after an event: since the last event while few
    /// events come, the same in a storm, and since the first event at most.
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

/// For this long after a read, the next events count as part of a storm.
const CALM: Duration = Duration::from_secs(5);
/// Further looks ask for reads of their own only at full steps of this length, so that one read
/// serves many. The first look comes soon and the later ones seldom, because Bob's searches are
/// needed for employees who have not been looked at yet.
const STEP: Duration = Duration::from_secs(2);
const LATER_STEP: Duration = Duration::from_secs(10);
/// If more employees than this are in the lines, all employees are looked at.
pub const MOST_PEOPLE: usize = 20_000;

/// Why an employee is in a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// The event.
    pub trigger: Trigger,
    /// The class of the event: what it puts at risk.
    pub class: Class,
    /// When the first event came that has not been looked at.
    pub since: Instant,
    /// When the last event came.
    pub latest: Instant,
    /// How often Bob was read since then without showing a change.
    pub looks: u8,
    /// The employee is not looked at before this; `None`: the employee is part of the line's next
    /// read.
    pub not_before: Option<Instant>,
    /// Between `not_before` and this time, the employee joins a read that is made for another
    /// reason. At this time, the employee gets a read.
    pub wakes: Option<Instant>,
}

/// The employees of a pass, and why each is looked at.
pub type Causes = HashMap<Box<str>, Waiting>;

/// The lines of one integration.
#[derive(Debug, Default)]
pub struct Lines {
    state: Mutex<State>,
    /// Notified when an employee has entered a line.
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    people: QueuedEmployees,
    windows: [CollectionWindow; 2],
    /// The time from which the steps of further looks are counted.
    epoch: Option<Instant>,
    /// The request to look at all employees: its reason, and the earliest time.
    everybody: Option<Everybody>,
}

/// The request to look at all employees.
#[derive(Clone, Debug)]
pub struct Everybody {
    /// The event.
    pub trigger: Trigger,
    /// The look is not made before this.
    pub due: Instant,
    /// Employees who had entries of their own before, and why each was in a line.
    pub people: Causes,
}

/// The time in which a line collects events before it is served.
#[derive(Clone, Copy, Debug, Default)]
struct CollectionWindow {
    first: Option<Instant>,
    ends: Option<Instant>,
    served: Option<Instant>,
}

impl Waiting {
    /// Returns an entry for an event of now.
    #[must_use]
    pub const fn new(trigger: Trigger, class: Class, since: Instant) -> Self {
        Self { trigger, class, since, latest: since, looks: 0, not_before: None, wakes: None }
    }
}

impl CollectionWindow {
    fn arrive(&mut self, line: Urgency, now: Instant) {
        let (calm, storm, most) = line.window();
        let listen =
            if self.served.is_some_and(|served| now < served + CALM) { storm } else { calm };
        let first = *self.first.get_or_insert(now);
        self.ends = Some((now + listen).min(first + most));
    }
}

impl Lines {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    /// Adds an employee to a line. If there are several reasons, the most urgent class and the
    /// oldest time count.
    pub fn add(&self, employee: &str, trigger: Trigger, class: Class, now: Instant) {
        let mut state = self.lock();
        let known = state.people.get(employee).copied();
        if known.is_none() && state.people.len() >= MOST_PEOPLE {
            drop(state);
            return self.add_everybody(trigger, now);
        }
        let fresh = Waiting::new(trigger, class, now);
        let waiting = known.unwrap_or(fresh);
        let waiting = match waiting.not_before {
            // The employee was looked at before, so this is a new event with a wait of its own.
            Some(_) => Waiting { class: waiting.class.min(class), ..fresh },
            None => Waiting {
                trigger: if class < waiting.class { trigger } else { waiting.trigger },
                class: waiting.class.min(class),
                latest: now,
                ..waiting
            },
        };
        state.people.put(employee, waiting);
        let line = waiting.class.urgency();
        state.windows[line.index()].arrive(line, now);
        drop(state);
        self.changed.notify_waiters();
    }

    /// Requests a look at all employees, not before `due`.
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

    /// Adds these employees, who were taken, to the request to look at all employees.
    pub fn join_everybody(&self, people: Vec<(Box<str>, Waiting)>, due: Instant) {
        let Some(trigger) = people.first().map(|(_, waiting)| waiting.trigger) else { return };
        self.with_everybody(trigger, due, people);
    }

    /// Puts an employee who was taken and could not be served back in the same place. An event that
    /// came in the meantime counts more.
    pub fn put_back(&self, employee: &str, waiting: Waiting) {
        let mut state = self.lock();
        let waiting = state.people.get(employee).copied().unwrap_or(waiting);
        state.people.put(employee, waiting);
        if waiting.not_before.is_none() {
            // The window of the line was served without this employee.
            let line = waiting.class.urgency();
            state.windows[line.index()].arrive(line, Instant::now());
        }
        drop(state);
        self.changed.notify_waiters();
    }

    /// Queues an employee who was taken for another look at this time. An event that came in the
    /// meantime counts more.
    pub fn again(&self, employee: &str, waiting: Waiting, at: Instant) {
        self.put_back(employee, Waiting { not_before: Some(at), wakes: None, ..waiting });
    }

    /// Queues an employee for a further look at what Bob may not have shown. The look joins a read
    /// that is made after this time, or gets a read of its own at the next full step.
    pub fn look_again(&self, employee: &str, waiting: Waiting, at: Instant) {
        let step = if waiting.looks <= 1 { STEP } else { LATER_STEP };
        let epoch = *self.lock().epoch.get_or_insert_with(Instant::now);
        let steps = at.saturating_duration_since(epoch).as_millis().div_ceil(step.as_millis());
        let wakes = epoch + step * u32::try_from(steps).unwrap_or(u32::MAX);
        self.put_back(employee, Waiting { not_before: Some(at), wakes: Some(wakes), ..waiting });
    }

    /// Returns when this line is to be served next, as far as is known now.
    #[must_use]
    pub fn due(&self, line: Urgency) -> Option<Instant> {
        self.due_of(line, |_, _| true)
    }

    /// Returns the same for the employees in the line who may be served now.
    fn due_of(&self, line: Urgency, may: impl Fn(&str, &Waiting) -> bool) -> Option<Instant> {
        let state = self.lock();
        let window = state.windows[line.index()].ends;
        state.people.first_turn(line, window, may)
    }

    /// Returns when all employees are to be looked at.
    #[must_use]
    pub fn everybody_due(&self) -> Option<Instant> {
        self.lock().everybody.as_ref().map(|everybody| everybody.due)
    }

    /// Takes the employees out of a line whose turn has come: the most urgent first, then the
    /// oldest.
    #[must_use]
    pub fn take(&self, line: Urgency, now: Instant) -> Vec<(Box<str>, Waiting)> {
        self.take_of(line, now, |_, _| true)
    }

    /// Takes only employees who may be served now. All others keep their place.
    #[must_use]
    pub fn take_of(
        &self,
        line: Urgency,
        now: Instant,
        may: impl Fn(&str, &Waiting) -> bool,
    ) -> Vec<(Box<str>, Waiting)> {
        let mut state = self.lock();
        let open = state.windows[line.index()].ends.is_some_and(|ends| ends <= now);
        let come = |waiting: &Waiting| {
            waiting.class.urgency() == line && waiting.not_before.map_or(open, |at| at <= now)
        };
        let mut taken =
            state.people.take(|employee, waiting| come(waiting) && may(employee, waiting));
        let left = state.people.waits_for_window(line);
        if open && !left {
            state.windows[line.index()] =
                CollectionWindow { first: None, ends: None, served: Some(now) };
        }
        drop(state);
        taken.sort_by(|(a, x), (b, y)| (x.class, x.since, a).cmp(&(y.class, y.since, b)));
        taken
    }

    /// Takes the request to look at all employees. Every full pass takes it, whatever the pass is
    /// made for.
    #[must_use]
    pub fn take_everybody(&self) -> Option<Everybody> {
        self.lock().everybody.take()
    }

    /// Returns why all employees are to be looked at, if the time for it has come.
    #[must_use]
    pub fn wants_everybody(&self, now: Instant) -> Option<Trigger> {
        self.lock()
            .everybody
            .as_ref()
            .filter(|everybody| everybody.due <= now)
            .map(|everybody| everybody.trigger)
    }

    /// Forgets everything. This is only for an integration that is suspended: when it goes on, a
    /// full pass comes first.
    pub fn clear(&self) {
        *self.lock() = State::default();
    }

    /// Forgets everything that the first pass of a process that begins to lead also sees. It keeps
    /// the events of Bob, because that pass may not see them yet.
    pub fn keep_events(&self) {
        let mut state = self.lock();
        drop(state.people.take(|_, waiting| waiting.trigger != Trigger::Webhook));
        state.everybody = None;
    }

    /// Returns how many employees are in the lines by class, and since when the oldest.
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

    /// Makes all waiting tasks look again, because something has changed.
    pub fn nudge(&self) {
        self.changed.notify_waiters();
    }

    /// Completes once something changed after it was enabled.
    pub fn changed(&self) -> tokio::sync::futures::Notified<'_> {
        self.changed.notified()
    }

    /// Waits until this line is to be served.
    pub async fn wait(&self, line: Urgency) {
        self.wait_of(line, |_, _| true).await;
    }

    /// Waits until this line is to be served for the employees in it who may be served now.
    pub async fn wait_of(&self, line: Urgency, may: impl Fn(&str, &Waiting) -> bool) {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            // The listener is enabled before the state is read, so that no change in between is
            // missed.
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
        let lines = Lines::default();
        let began = Instant::now();
        lines.add("1", Trigger::Webhook, Class::Mover, began);
        lines.wait(Urgency::Normal).await;
        assert_eq!(began.elapsed().as_millis(), 150);
        assert_eq!(ids(&lines.take(Urgency::Normal, Instant::now())), ["1"]);
        let (mut batches, mut people) = (0, 0);
        let storm = Instant::now();
        while storm.elapsed() < Duration::from_secs(10) {
            lines.add(&(people % 500).to_string(), Trigger::Webhook, Class::Mover, Instant::now());
            people += 1;
            tokio::time::advance(Duration::from_millis(2)).await;
            batches += usize::from(!lines.take(Urgency::Normal, Instant::now()).is_empty());
        }
        assert!((6..=8).contains(&batches), "{batches} reads for {people} events in ten seconds");
    }

    #[tokio::test(start_paused = true)]
    async fn who_may_leave_has_a_line_of_their_own() {
        let lines = Lines::default();
        let now = Instant::now();
        for id in ["1", "2", "3"] {
            lines.add(id, Trigger::Webhook, Class::Cosmetic, now);
        }
        lines.add("4", Trigger::Webhook, Class::Leaver, now);
        lines.add("2", Trigger::Webhook, Class::Revocation, now + Duration::from_millis(10));
        lines.wait(Urgency::Urgent).await;
        assert!(now.elapsed() <= Duration::from_millis(100), "{:?}", now.elapsed());
        assert_eq!(
            ids(&lines.take(Urgency::Urgent, Instant::now())),
            ["2", "4"],
            "the most urgent first"
        );
        lines.wait(Urgency::Normal).await;
        assert_eq!(ids(&lines.take(Urgency::Normal, Instant::now())), ["1", "3"]);
        assert_eq!((lines.due(Urgency::Urgent), lines.due(Urgency::Normal)), (None, None));
    }

    #[tokio::test(start_paused = true)]
    async fn another_look_waits_for_its_time_and_news_count_for_more() {
        let lines = Lines::default();
        let now = Instant::now();
        lines.add("1", Trigger::Webhook, Class::Mover, now);
        lines.wait(Urgency::Normal).await;
        let (id, waiting) = lines.take(Urgency::Normal, Instant::now()).remove(0);
        lines.again(&id, Waiting { looks: 1, ..waiting }, now + Duration::from_secs(5));
        lines.wait(Urgency::Normal).await;
        assert_eq!(now.elapsed(), Duration::from_secs(5));
        let (id, waiting) = lines.take(Urgency::Normal, Instant::now()).remove(0);
        assert_eq!((waiting.looks, waiting.since), (1, now));
        lines.add("1", Trigger::Manual, Class::Joiner, Instant::now());
        lines.again(&id, Waiting { looks: 2, ..waiting }, now + Duration::from_secs(15));
        lines.wait(Urgency::Normal).await;
        assert!(now.elapsed() < Duration::from_secs(6));
        assert_eq!(lines.take(Urgency::Normal, Instant::now())[0].1.trigger, Trigger::Manual);
        assert_eq!(lines.due(Urgency::Normal), None);
    }

    #[tokio::test(start_paused = true)]
    async fn further_looks_are_collected_and_go_with_a_read_that_is_made_anyhow() {
        let lines = Lines::default();
        let now = Instant::now();
        let looked = |looks| Waiting { looks, ..Waiting::new(Trigger::Webhook, Class::Mover, now) };
        for (id, seconds) in [("1", 21), ("2", 25), ("3", 29), ("4", 33)] {
            lines.look_again(id, looked(3), now + Duration::from_secs(seconds));
        }
        tokio::time::advance(Duration::from_secs(22)).await;
        lines.add("5", Trigger::Webhook, Class::Mover, Instant::now());
        lines.wait(Urgency::Normal).await;
        assert_eq!(now.elapsed().as_millis(), 22_150);
        assert_eq!(
            ids(&lines.take(Urgency::Normal, Instant::now())),
            ["1", "5"],
            "what is ripe goes along"
        );
        lines.wait(Urgency::Normal).await;
        assert_eq!(now.elapsed().as_secs(), 30, "and the rest together");
        assert_eq!(ids(&lines.take(Urgency::Normal, Instant::now())), ["2", "3"]);
        lines.look_again("6", looked(1), now + Duration::from_secs(31));
        lines.wait(Urgency::Normal).await;
        assert_eq!(now.elapsed().as_secs(), 32, "the first further look is sooner");
    }

    #[tokio::test(start_paused = true)]
    async fn memory_is_bounded_and_nobody_is_forgotten() {
        let lines = Lines::default();
        let now = Instant::now();
        for id in 0..MOST_PEOPLE + 10 {
            lines.add(&id.to_string(), Trigger::Webhook, Class::Mover, now);
        }
        assert_eq!(lines.depths()[Class::Mover as usize], (MOST_PEOPLE, Some(now)));
        assert_eq!(lines.everybody_due(), Some(now));
    }
}
