//! The guard looks at the whole plan before the first write, and says what of it is held: every change of a kind whose
//! budget it passes. A held plan has a digest, and only that digest releases it.

use std::fmt::Write as _;

use super::{
    budget::{Account, Budgets, Kind, kind_of},
    mapping::Mapping,
    matching::{Person, PersonIndex},
    plan::{Counts, Plan},
};

/// What the guard looks at.
pub struct Sight<'a> {
    /// The plan.
    pub plan: &'a Plan,
    /// Its people.
    pub people: &'a [Person],
    /// Its mapping.
    pub mapping: &'a Mapping,
    /// The limits.
    pub budgets: Budgets,
    /// How many changes of this kind went out within its window.
    pub spent: &'a dyn Fn(Kind) -> u32,
    /// Whether this person's start date has come as the status announced it.
    pub starts: &'a dyn Fn(PersonIndex) -> bool,
    /// Whether this person was asked for: Bob's event, or a sync request of the `EmployeeSync`.
    pub explicit: &'a dyn Fn(PersonIndex) -> bool,
    /// Whether nobody has been dealt with before: an existing population is created and updated without a limit.
    pub first_pass: bool,
    /// The digest that a person approved.
    pub approved: Option<&'a str>,
}

/// What is held.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// For each change of the plan: whether it is held.
    pub changes: Vec<bool>,
    /// What is held as a whole; `None` if nothing is.
    pub plan: Option<HeldPlan>,
    /// The digest of a plan that would be held, and is released because a person approved it.
    pub released: Option<String>,
}

/// What is held as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldPlan {
    /// SHA-256 over who, what and the target values of everything that is held.
    pub digest: String,
    /// How many of each kind.
    pub counts: Counts,
    /// Why, in one sentence.
    pub because: String,
}

/// Looks at the whole plan.
#[must_use]
pub fn guard(sight: &Sight<'_>) -> Held {
    let kinds: Vec<Option<Kind>> = sight.plan.changes.iter().map(|change| kind_of(change, (sight.starts)(change.person))).collect();
    let mut changes = vec![false; kinds.len()];
    let mut because = String::new();
    for kind in [Kind::Disable, Kind::Reactivate, Kind::Create, Kind::Update] {
        let Some(account) = account(sight, &kinds, kind).filter(|account| account.is_over()) else { continue };
        // What was asked for person by person is no flood, as long as there is room for it.
        let mut room = account.room();
        for (held, change) in
            changes.iter_mut().zip(&sight.plan.changes).zip(&kinds).filter(|(_, own)| **own == Some(kind)).map(|(pair, _)| pair)
        {
            let passes = kind == Kind::Disable && room > 0 && (sight.explicit)(change.person);
            room -= u32::from(passes);
            *held = !passes;
        }
        let separator = if because.is_empty() { "" } else { "; " };
        let _ = write!(
            because,
            "{separator}{} {} planned, {} done within the window, and the limit is {}",
            account.planned,
            words(kind),
            account.spent,
            account.limit
        );
    }
    if !changes.contains(&true) {
        return Held { changes, ..Held::default() };
    }
    let digest = sight.plan.digest_of(sight.mapping, sight.people, |index| changes[index]);
    if sight.approved == Some(&digest) {
        return Held { changes: vec![false; kinds.len()], plan: None, released: Some(digest) };
    }
    let counts = sight.plan.counts_of(|index| changes[index]);
    Held { changes, plan: Some(HeldPlan { digest, counts, because }), released: None }
}

/// How one kind stands; `None` where it has no limit.
fn account(sight: &Sight<'_>, kinds: &[Option<Kind>], kind: Kind) -> Option<Account> {
    let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    if sight.first_pass && matches!(kind, Kind::Create | Kind::Update) {
        return None;
    }
    let budget = sight.budgets.of(kind)?;
    let managed = sight.people.iter().zip(&sight.plan.standings).filter(|(person, _)| person.decision.managed);
    let of = match kind {
        Kind::Create => count(managed.count()),
        Kind::Disable | Kind::Reactivate | Kind::Update => count(managed.filter(|(_, standing)| standing.account.is_some()).count()),
    };
    let planned = count(kinds.iter().filter(|own| **own == Some(kind)).count());
    Some(Account { planned, spent: (sight.spent)(kind), limit: budget.limit(of) })
}

const fn words(kind: Kind) -> &'static str {
    match kind {
        Kind::Disable => "suspensions",
        Kind::Reactivate => "reactivations",
        Kind::Create => "creations",
        Kind::Update => "updates",
    }
}
