//! The guard looks at the whole plan before the first write, and says what of it is held: an attribute that would be
//! blanked or changed for too many people at once, and every change of a kind whose budget the plan passes. A held plan
//! has a digest, and only that digest releases it.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

use super::{
    budget::{Account, Blackout, Budgets, Kind, kind_of},
    mapping::Mapping,
    matching::{Person, PersonIndex},
    plan::{Change, Counts, Plan},
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
    /// The limit for one attribute.
    pub field_blackout: Blackout,
    /// How many changes of this kind went out within its window.
    pub spent: &'a dyn Fn(Kind) -> u32,
    /// Whether this person's start date has come as the status announced it.
    pub starts: &'a dyn Fn(PersonIndex) -> bool,
    /// Whether this person was asked for: Bob's event, or a sync request of the `EmployeeSync`.
    pub explicit: &'a dyn Fn(PersonIndex) -> bool,
    /// How many people there are where the plan is about some of them; `None`: it is about everybody.
    pub population: Option<Population>,
    /// Whether nobody has been dealt with before: an existing population is created and updated without a limit.
    pub first_pass: bool,
    /// The digest that a person approved.
    pub approved: Option<&'a str>,
    /// The digest that was released last. The next plan has another one, even with the same content: an approval counts once.
    pub released_before: Option<&'a str>,
}

/// How many people there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Population {
    /// With an account that is managed.
    pub accounts: u32,
    /// Managed.
    pub managed: u32,
}

/// What is held.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// For each change of the plan: whether it is held.
    pub changes: Vec<bool>,
    /// Rows of the mapping that are left as they are on every account that exists.
    pub frozen: Vec<usize>,
    /// What is held as a whole; `None` if nothing is.
    pub plan: Option<HeldPlan>,
    /// The digest of a plan that would be held, and is released because a person approved it.
    pub released: Option<String>,
    /// For each change of a plan that was released so: whether it is part of what was approved.
    pub approved: Vec<bool>,
}

/// What is held as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldPlan {
    /// SHA-256 over who, what and the target values of everything that is held, and over the digest released before.
    pub digest: String,
    /// How many of each kind.
    pub counts: Counts,
    /// Why, in one sentence.
    pub because: String,
    /// Whether an attribute is frozen, and no budget is passed.
    pub only_fields: bool,
}

/// Looks at the whole plan.
#[must_use]
pub fn guard(sight: &Sight<'_>) -> Held {
    let (frozen, mut because) = blackout(sight);
    let kinds: Vec<Option<Kind>> = sight
        .plan
        .changes
        .iter()
        .map(|change| {
            let rest = change.write.attributes.iter().filter(|(row, _)| !frozen.contains(row)).count();
            kind_of(change, rest, (sight.starts)(change.person))
        })
        .collect();
    let mut changes = vec![false; kinds.len()];
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
    let over = changes.contains(&true);
    if !over && frozen.is_empty() {
        return Held { changes, ..Held::default() };
    }
    let content = sight.plan.digest_of(sight.mapping, sight.people, &frozen, |index| changes[index]);
    let digest = sight.released_before.map_or_else(|| content.clone(), |before| chained(&content, before));
    if sight.approved == Some(&digest) {
        // What only has a frozen row beside others is not what the person looked at.
        let only_frozen = |change: &Change| {
            let write = &change.write;
            let more = write.access.is_some() || write.mark.is_some() || change.manager.is_some();
            !more && !write.attributes.is_empty() && write.attributes.iter().all(|(row, _)| frozen.contains(row))
        };
        let approved = changes.iter().zip(&sight.plan.changes).map(|(held, change)| *held || only_frozen(change)).collect();
        return Held { changes: vec![false; kinds.len()], released: Some(digest), approved, ..Held::default() };
    }
    let mut counts = sight.plan.counts_of(|index| changes[index]);
    let touched = |(index, change): &(usize, &Change)| !changes[*index] && change.only_rows(&frozen).is_some();
    counts.updates += count(sight.plan.changes.iter().enumerate().filter(touched).count());
    Held { changes, frozen, plan: Some(HeldPlan { digest, counts, because, only_fields: !over }), ..Held::default() }
}

/// The rows that would replace or clear a value for too many people, and why in one sentence. An existing population is
/// brought in line once without this limit.
fn blackout(sight: &Sight<'_>) -> (Vec<usize>, String) {
    let mut because = String::new();
    if sight.first_pass {
        return (Vec::new(), because);
    }
    let limit = sight.field_blackout.limit(with_account(sight));
    let mut replaced = vec![0_u32; sight.mapping.rows.len()];
    sight.plan.changes.iter().flat_map(|change| &change.replaced).for_each(|row| replaced[*row] += 1);
    let frozen: Vec<usize> = (0..replaced.len()).filter(|row| replaced[*row] > limit).collect();
    for &row in &frozen {
        let separator = if because.is_empty() { "" } else { "; " };
        let target = &sight.mapping.rows[row].target;
        let fields = sight.mapping.fields_of(row).join(", ");
        let from = if fields.is_empty() { "from the settings".to_owned() } else { format!("from {fields}") };
        let _ = write!(because, "{separator}{target} ({from}) would change for {} people at once, and the limit is {limit}", replaced[row]);
    }
    (frozen, because)
}

/// The digest of a plan with this content after that release.
fn chained(content: &str, before: &str) -> String {
    let hash = Sha256::new().chain_update(content).chain_update(before).finalize();
    hash.iter().fold(String::from("sha256:"), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

fn with_account(sight: &Sight<'_>) -> u32 {
    if let Some(population) = sight.population {
        return population.accounts;
    }
    let managed = sight.people.iter().zip(&sight.plan.standings).filter(|(person, _)| person.decision.managed);
    count(managed.filter(|(_, standing)| standing.account.is_some()).count())
}

/// How one kind stands; `None` where it has no limit.
fn account(sight: &Sight<'_>, kinds: &[Option<Kind>], kind: Kind) -> Option<Account> {
    if sight.first_pass && matches!(kind, Kind::Create | Kind::Update) {
        return None;
    }
    let budget = sight.budgets.of(kind)?;
    let of = match kind {
        Kind::Create => sight
            .population
            .map_or_else(|| count(sight.people.iter().filter(|person| person.decision.managed).count()), |population| population.managed),
        Kind::Disable | Kind::Reactivate | Kind::Update => with_account(sight),
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
