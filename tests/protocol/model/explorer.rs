//! Walks through every reachable state, each once, nearest first. The first broken rule is reported
//! with a shortest path to it.

use std::{
    collections::{HashSet, VecDeque},
    hash::{BuildHasher as _, RandomState},
    sync::atomic::{AtomicUsize, Ordering},
    time::Instant,
};

use parking_lot::Mutex;

use super::{
    scenarios::Scenario,
    state::{Allowed, Runner, State, Step},
};

/// What was seen.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    /// Different states.
    pub states: usize,
    /// Steps between them.
    pub steps: usize,
    /// Idle states. From each of them the provider came to rest as decided.
    pub rests: usize,
    /// Different parts of a pass that the engine ran.
    pub runs: usize,
    /// States in which an employee has two accounts.
    pub doubles: usize,
}

/// A broken rule, and the path to it.
#[derive(Debug)]
pub struct Broken {
    /// The rule.
    pub said: String,
    /// Every step from the beginning.
    pub way: Vec<Step>,
}

/// Walks through all states.
pub fn explore(scenario: &Scenario, allowed: Allowed) -> Result<Counts, Broken> {
    let (runner, mut counts) = (Runner::default(), Counts::default());
    // 64 bits under a random key: among a million states, one walk of thirty million mistakes two
    // states for one.
    let keys = RandomState::new();
    let mark = |state: &State| keys.hash_one(state);
    let first = State::first(scenario);
    let mut seen = HashSet::from([mark(&first)]);
    let mut ways: Vec<(usize, Option<Step>)> = vec![(0, None)];
    let mut ahead = VecDeque::from([(0, first)]);
    let way = |ways: &[(usize, Option<Step>)], mut at: usize, last: Option<Step>| {
        let mut steps: Vec<Step> = last.into_iter().collect();
        while let (from, Some(step)) = &ways[at] {
            steps.push(step.clone());
            at = *from;
        }
        steps.reverse();
        steps
    };
    while let Some((at, state)) = ahead.pop_front() {
        counts.states += 1;
        counts.doubles += usize::from(state.has_doubles());
        if state.is_quiet() {
            counts.rests += 1;
            state
                .comes_to_rest(scenario, &runner)
                .map_err(|said| Broken { said, way: way(&ways, at, None) })?;
        }
        for step in state.steps(scenario, allowed, &runner) {
            counts.steps += 1;
            let next = state
                .after(&step, scenario, &runner)
                .map_err(|said| Broken { said, way: way(&ways, at, Some(step.clone())) })?;
            if seen.insert(mark(&next)) {
                ways.push((at, Some(step)));
                ahead.push_back((ways.len() - 1, next));
            }
        }
    }
    counts.runs = runner.runs();
    Ok(counts)
}

/// Walks through several scenarios, two at a time, and prints what was seen in each.
///
/// # Errors
/// The name of the first scenario with a broken rule, the rule, and the path to it.
pub fn explore_all(
    scenarios: &[Scenario],
    allowed: impl Fn(&Scenario) -> Allowed + Sync,
) -> Result<Counts, String> {
    let (next, sum) = (AtomicUsize::new(0), Mutex::new(Ok(Counts::default())));
    std::thread::scope(|threads| {
        for _ in 0..2 {
            threads.spawn(|| {
                while let Some(scenario) = scenarios.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let began = Instant::now();
                    let found = explore(scenario, allowed(scenario));
                    if let Ok(Counts { states, steps, rests, runs, .. }) = &found {
                        let (name, took) = (scenario.name, began.elapsed().as_secs_f64());
                        eprintln!("{name}: {states} states, {steps} steps, {rests} at rest, {runs} runs of the engine, {took:.1} s");
                    }
                    let mut sum = sum.lock();
                    *sum = match (std::mem::replace(&mut *sum, Ok(Counts::default())), found) {
                        (Ok(so_far), Ok(more)) => Ok(so_far.and(more)),
                        (Ok(_), Err(Broken { said, way })) => Err(format!("{}: {said}, by {way:?}", scenario.name)),
                        (Err(first), _) => Err(first),
                    };
                }
            });
        }
    });
    sum.into_inner()
}

impl Counts {
    fn and(self, more: Self) -> Self {
        Self {
            states: self.states + more.states,
            steps: self.steps + more.steps,
            rests: self.rests + more.rests,
            runs: self.runs + more.runs,
            doubles: self.doubles + more.doubles,
        }
    }
}
