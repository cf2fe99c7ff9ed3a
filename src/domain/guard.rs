//! The guard looks at the whole plan before the first write, and says which parts of it are held.
//! It holds an attribute that would be cleared or changed for too many employees at once, and every
//! change of a kind that exceeds its budget. A held plan has a digest, and only that digest
//! releases it.

use std::fmt::Write as _;

use foldhash::HashMap;
use sha2::{Digest as _, Sha256};

use super::{
    budget::{Blackout, BudgetKind, Budgets, Usage},
    count::{counted, employees},
    matching::PersonIndex,
    plan::{Approval, Change, ChangeCounts, ChangeKind, Fate, Planned, Ruling},
};

/// The word of the guard that holds more changes of a kind than its budget allows.
pub const BUDGET: &str = "BudgetExceeded";
/// The word of the guard that freezes an attribute.
pub const BLACKOUT: &str = "FieldBlackout";

/// What the guard looks at.
pub struct Sight<'a> {
    /// The plan.
    pub planned: &'a Planned<'a>,
    /// What is known of the employees and of earlier changes.
    pub facts: &'a dyn GuardFacts,
    /// The limits for each kind of change.
    pub budgets: Budgets,
    /// The limit for one attribute.
    pub field_blackout: Blackout,
    /// How many employees there are, if the plan is about some of them. `None` means that it is
    /// about all of them.
    pub population: Option<Population>,
    /// Whether bobsync has not dealt with any employee before. It then creates and updates accounts
    /// without a limit. Accounts with a mark are an exception, because bobsync dealt with them
    /// once.
    pub first_pass: bool,
    /// Whether the integration began without a status, and no person has approved a held plan since
    /// then. It is then not known for which employees Bob had revoked access at once. So no account
    /// with a mark gets access again.
    pub restored: bool,
    /// The digest that a person approved.
    pub approved: Option<&'a str>,
    /// What the next digest is chained to, so that an approval counts once. It is the digest that
    /// was released last. Before the first release it is a text that tells this integration from
    /// another one of the same name.
    pub released_before: &'a str,
}

/// What the guard asks about the employees of a plan and about earlier changes.
pub trait GuardFacts {
    /// Returns how many changes of this kind went out within its window. Every update counts; of
    /// another kind, one change for each employee counts.
    fn spent(&self, kind: BudgetKind) -> u32;

    /// Returns how many employees got an update within the window of its budget.
    fn updated(&self) -> u32;

    /// Returns for how many employees events have replaced or cleared this row within the interval.
    /// Employees with a change in the plan that does that do not count.
    fn replaced_before(&self, row: usize) -> u32;

    /// Returns whether an employee's start date has come as the status announced it.
    fn starts(&self, person: PersonIndex) -> bool;

    /// Returns whether the status says that an employee's manager had no account. Setting the
    /// manager then belongs to the creation.
    fn awaiting_manager(&self, person: PersonIndex) -> bool;

    /// Returns whether the pass was asked for this employee, by Bob's event or by a sync request of
    /// the `EmployeeSync`.
    fn explicit(&self, person: PersonIndex) -> bool;

    /// Returns an employee's part in what a full pass holds, if the plan is about some of the
    /// employees. Partial passes must not let it out piece by piece.
    fn held_before(&self, person: PersonIndex) -> Option<u64>;

    /// Returns whether a change is part of the plan that was released last and has not been carried
    /// out completely.
    fn continues(&self, change: &Change) -> bool;
}

/// How many employees there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Population {
    /// Employees with an account that is managed.
    pub accounts: u32,
    /// Employees who are managed.
    pub managed: u32,
}

/// What is held.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// Rows of the mapping that are left as they are on every account that exists.
    pub frozen: Vec<usize>,
    /// What is held as a whole, if anything is.
    pub plan: Option<HeldPlan>,
    /// The digest of a plan that would be held, and is released because a person approved it.
    pub released_digest: Option<String>,
    /// What the budgets have room for in addition to the plan.
    pub room: Room,
    /// Each employee's part in what is held or was approved, so that approved changes go on after
    /// an interruption.
    pub parts: HashMap<PersonIndex, u64>,
}

/// What the budgets have room for in addition to a plan. A change may become another kind of change
/// than was planned.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Room {
    /// How many more changes of a kind may go out. A kind without an entry has no limit.
    pub left: HashMap<BudgetKind, u32>,
    /// Whether accounts without a mark are updated without a limit.
    pub first_pass: bool,
}

impl Room {
    /// Takes room for one change of this kind. Returns whether there was any. `marked` says whether
    /// the account has the mark.
    pub fn take(&mut self, kind: BudgetKind, marked: bool) -> bool {
        if kind == BudgetKind::Update && self.first_pass && !marked {
            return true;
        }
        match self.left.get_mut(&kind) {
            None => true,
            Some(0) => false,
            Some(left) => {
                *left -= 1;
                true
            }
        }
    }
}

/// What is held as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldPlan {
    /// SHA-256 over employees, kinds and target values of everything that is held, and over the
    /// digest that was released before.
    pub digest: String,
    /// How many changes of each kind are held.
    pub counts: ChangeCounts,
    /// Why they are held: one line for each guard that holds something, with its word and a
    /// sentence.
    pub because: String,
    /// Whether an attribute is frozen and no budget is exceeded.
    pub only_fields: bool,
    /// Whether reactivations are held because the integration began without a status.
    pub restored: bool,
}

/// Looks at the whole plan. Returns what of it is held, and the ruling on each of its changes.
#[must_use]
pub fn guard(sight: &Sight<'_>) -> (Held, Vec<Ruling>) {
    let all = &sight.planned.plan.changes;
    let mut rulings: Vec<Ruling> = all.iter().map(|change| continuing(sight, change)).collect();
    let (frozen, mut because) = blackout(sight, &rulings);
    for (ruling, change) in
        rulings.iter_mut().zip(all).filter(|(ruling, _)| !ruling.approval.goes_on())
    {
        let attributes = attributes(sight, change, &frozen);
        ruling.budget = kind_of(change, attributes, sight.facts.starts(change.person))
            .filter(|kind| !unlimited(sight, change, *kind));
    }
    because.extend(hold_floods(sight, &mut rulings));
    let restored = hold_returns(sight, &mut rulings);
    if restored > 0 {
        because.push(format!(
            "{} of accounts that bobsync managed before: the integration began without a status, \
             so it is not known for which of these employees Bob revoked access immediately; \
             before you approve, set spec.suspend on the EmployeeSync of those who must stay out",
            counted(restored, "reactivation", "reactivations")
        ));
    }
    let waiting = hold_what_was_held(sight, &mut rulings);
    if waiting > 0 {
        let (one, several) = (
            "of the employees has a change that is held already",
            "of the employees have changes that are held already",
        );
        because.push(format!("{BUDGET}: {}", counted(waiting, one, several)));
    }
    let over = rulings.iter().any(|ruling| ruling.is_held());
    let room = room(sight, &rulings);
    if !over && frozen.is_empty() {
        return (Held { room, ..Held::default() }, rulings);
    }
    let touched = |change: &Change| change.only_rows(&frozen).is_some();
    let parts = all
        .iter()
        .zip(&rulings)
        .filter_map(|(change, ruling)| {
            if ruling.is_held() {
                Some(part(sight, change, None))
            } else {
                touched(change).then(|| part(sight, change, Some(&frozen[..])))
            }
        })
        .collect();
    let held = |index: usize| rulings[index].is_held();
    let content = sight.planned.digest_of(&frozen, held);
    let digest = chained(&content, sight.released_before);
    if sight.approved == Some(&digest) {
        for (ruling, change) in rulings.iter_mut().zip(all) {
            if ruling.is_held() || writes_only(change, &frozen) {
                ruling.approval =
                    if ruling.approval.goes_on() { Approval::Again } else { Approval::Now };
            }
            ruling.fate = Fate::Goes;
        }
        let released_digest = Some(digest);
        return (Held { released_digest, room, parts, ..Held::default() }, rulings);
    }
    let mut counts = sight.planned.plan.counts_of(held);
    counts.updates += count(
        all.iter()
            .zip(&rulings)
            .filter(|(change, ruling)| !ruling.is_held() && touched(change))
            .count(),
    );
    let plan = Some(HeldPlan {
        digest,
        counts,
        because: because.join("; "),
        only_fields: !over,
        restored: restored > 0,
    });
    (Held { frozen, plan, room, parts, ..Held::default() }, rulings)
}

fn continuing(sight: &Sight<'_>, change: &Change) -> Ruling {
    let continues = sight.facts.continues(change);
    let approval = if continues { Approval::Before } else { Approval::None };
    Ruling { approval, ..Ruling::default() }
}

/// Holds all changes of each kind that exceeds its budget. Returns why, one clause for each kind.
fn hold_floods(sight: &Sight<'_>, rulings: &mut [Ruling]) -> Vec<String> {
    let mut because = Vec::new();
    for kind in
        [BudgetKind::Disable, BudgetKind::Reactivate, BudgetKind::Create, BudgetKind::Update]
    {
        let Some(account) = account(sight, rulings, kind).filter(|account| account.is_over())
        else {
            continue;
        };
        // A suspension that was asked for by name is not part of a flood, as long as the budget has
        // room for it.
        let mut room = account.room();
        let of_kind = rulings
            .iter_mut()
            .zip(&sight.planned.plan.changes)
            .filter(|(ruling, _)| ruling.budget == Some(kind));
        for (ruling, change) in of_kind {
            let passes =
                kind == BudgetKind::Disable && room > 0 && sight.facts.explicit(change.person);
            room -= u32::from(passes);
            if !passes {
                ruling.fate = Fate::Held;
            }
        }
        let (one, several) = words(kind);
        // Few people with many changes are a fight about a value, and no flood.
        let updated =
            if kind == BudgetKind::Update { sight.facts.updated() } else { account.spent };
        let whose = if updated < account.spent {
            format!(" to {}", employees(updated))
        } else {
            String::new()
        };
        because.push(format!(
            "{BUDGET}: {} planned, {} done within the window{whose}, and the limit is {}",
            counted(account.planned, one, several),
            account.spent,
            account.limit
        ));
    }
    because
}

/// Holds the reactivations of marked accounts if the integration began without a status. Returns
/// how many.
fn hold_returns(sight: &Sight<'_>, rulings: &mut [Ruling]) -> u32 {
    let mut restored = 0;
    for (ruling, change) in rulings.iter_mut().zip(&sight.planned.plan.changes) {
        let returns = ruling.budget == Some(BudgetKind::Reactivate) && is_marked(sight, change);
        if sight.restored && returns && !ruling.approval.goes_on() {
            ruling.fate = Fate::Held;
            restored += 1;
        }
    }
    restored
}

/// Holds the changes of employees with a part in what a full pass holds. Returns how many.
fn hold_what_was_held(sight: &Sight<'_>, rulings: &mut [Ruling]) -> u32 {
    let mut waiting = 0;
    for (ruling, change) in rulings.iter_mut().zip(&sight.planned.plan.changes) {
        let asked =
            ruling.budget == Some(BudgetKind::Disable) && sight.facts.explicit(change.person);
        let stays = ruling.is_held() || ruling.approval.goes_on() || asked;
        if !stays && sight.facts.held_before(change.person).is_some() {
            ruling.fate = Fate::Held;
            waiting += 1;
        }
    }
    waiting
}

/// Returns an employee's part in what is held: the part that a full pass holds, or the part that
/// the change has now.
fn part(sight: &Sight<'_>, change: &Change, rows: Option<&[usize]>) -> (PersonIndex, u64) {
    let before = sight.facts.held_before(change.person);
    let now = || sight.planned.part(change, rows, sight.released_before);
    (change.person, before.unwrap_or_else(now))
}

/// Returns whether the change writes these rows and nothing else. A change that has a frozen row
/// next to other parts is not what the person looked at.
fn writes_only(change: &Change, rows: &[usize]) -> bool {
    let write = &change.write;
    let more = write.access.is_some() || write.mark.is_some() || change.manager.is_some();
    !more
        && !write.attributes.is_empty()
        && write.attributes.iter().all(|(row, _)| rows.contains(row))
}

/// Returns how many attributes this change writes, without frozen ones. A manager who had no
/// account before does not count, unless the account names another manager.
fn attributes(sight: &Sight<'_>, change: &Change, frozen: &[usize]) -> usize {
    let manager = sight.planned.mapping.manager;
    let replaces = manager.is_some_and(|row| change.replaced.contains(&row));
    let late = !replaces && sight.facts.awaiting_manager(change.person);
    let counts = |row: usize| !(frozen.contains(&row) || late && Some(row) == manager);
    let written = change.write.attributes.iter().filter(|(row, _)| counts(*row)).count();
    let awaited = change.manager.is_some() && replaces && manager.is_some_and(counts);
    written + usize::from(awaited)
}

/// Returns what is left of the budgets after everything that is not held has gone out.
fn room(sight: &Sight<'_>, rulings: &[Ruling]) -> Room {
    let left =
        [BudgetKind::Disable, BudgetKind::Reactivate, BudgetKind::Create, BudgetKind::Update]
            .into_iter()
            .filter_map(|kind| {
                if sight.restored && kind == BudgetKind::Reactivate {
                    return Some((kind, 0));
                }
                let account = account(sight, rulings, kind)?;
                let of_kind = rulings.iter().filter(|ruling| ruling.budget == Some(kind));
                let goes = of_kind.filter(|ruling| !ruling.is_held()).count();
                Some((kind, account.room().saturating_sub(count(goes))))
            });
    Room { left: left.collect(), first_pass: sight.first_pass }
}

/// Returns whether a first pass makes this change without a limit. A change of an account with its
/// employee's mark has a limit: bobsync dealt with the account before, and only the record of that
/// is lost.
fn unlimited(sight: &Sight<'_>, change: &Change, kind: BudgetKind) -> bool {
    sight.first_pass
        && match kind {
            BudgetKind::Create => true,
            BudgetKind::Update => !is_marked(sight, change),
            BudgetKind::Disable | BudgetKind::Reactivate => false,
        }
}

fn is_marked(sight: &Sight<'_>, change: &Change) -> bool {
    sight.planned.standing(change.person).account.as_ref().is_some_and(|account| account.marked)
}

/// Returns the rows that would replace or clear a value for too many employees, and the reasons,
/// one clause each. Accounts without marks are brought in line once without this limit.
fn blackout(sight: &Sight<'_>, rulings: &[Ruling]) -> (Vec<usize>, Vec<String>) {
    let mut because = Vec::new();
    let limit = sight.field_blackout.limit(with_account(sight));
    let mut replaced = vec![0_u32; sight.planned.mapping.rows.len()];
    let counts = |(change, ruling): &(&Change, &Ruling)| {
        !ruling.approval.goes_on() && (!sight.first_pass || is_marked(sight, change))
    };
    let changes = sight.planned.plan.changes.iter().zip(rulings).filter(counts);
    changes.flat_map(|(change, _)| &change.replaced).for_each(|row| replaced[*row] += 1);
    let before: Vec<u32> = replaced
        .iter()
        .enumerate()
        .map(|(row, now)| if *now == 0 { 0 } else { sight.facts.replaced_before(row) })
        .collect();
    let frozen: Vec<usize> = (0..replaced.len())
        .filter(|row| replaced[*row].saturating_add(before[*row]) > limit)
        .collect();
    for &row in &frozen {
        let target = &sight.planned.mapping.rows[row].target;
        let fields = sight.planned.mapping.fields_of(row).join(", ");
        let from = if fields.is_empty() {
            "from the settings".to_owned()
        } else {
            format!("from {fields}")
        };
        let now = employees(replaced[row]);
        let already = match before[row] {
            0 => String::new(),
            before => format!(
                ", events have changed it for {} within the interval",
                counted(before, "other", "others")
            ),
        };
        because.push(format!(
            "{BLACKOUT}: the target {target} ({from}) would change for {now} at once{already}, and \
             the limit is {limit}"
        ));
    }
    (frozen, because)
}

/// Returns the digest of a plan with this content after the release `before`.
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
    let managed = sight
        .planned
        .people
        .iter()
        .zip(&sight.planned.plan.standings)
        .filter(|(person, _)| person.decision.managed);
    count(managed.filter(|(_, standing)| standing.account.is_some()).count())
}

/// Returns the use of the budget of one kind, or `None` if the kind has no limit.
fn account(sight: &Sight<'_>, rulings: &[Ruling], kind: BudgetKind) -> Option<Usage> {
    let budget = sight.budgets.of(kind)?;
    let of = match kind {
        BudgetKind::Create => sight.population.map_or_else(
            || count(sight.planned.people.iter().filter(|person| person.decision.managed).count()),
            |population| population.managed,
        ),
        BudgetKind::Disable | BudgetKind::Reactivate | BudgetKind::Update => with_account(sight),
    };
    let planned = count(rulings.iter().filter(|ruling| ruling.budget == Some(kind)).count());
    Some(Usage { planned, spent: sight.facts.spent(kind), limit: budget.limit(of) })
}

const fn words(kind: BudgetKind) -> (&'static str, &'static str) {
    match kind {
        BudgetKind::Disable => ("suspension", "suspensions"),
        BudgetKind::Reactivate => ("reactivation", "reactivations"),
        BudgetKind::Create => ("creation", "creations"),
        BudgetKind::Update => ("update", "updates"),
    }
}

/// Returns the kind of budget that counts a change, or `None` if none counts it. `attributes` is
/// how many attributes the change writes. `starts` says whether the employee's start date has come
/// and the status announced it.
fn kind_of(change: &Change, attributes: usize, starts: bool) -> Option<BudgetKind> {
    if change.suspends() {
        Some(BudgetKind::Disable)
    } else if change.reactivates() && !starts {
        Some(BudgetKind::Reactivate)
    } else if change.kind == ChangeKind::Create {
        Some(BudgetKind::Create)
    } else if attributes == 0 {
        // The change writes only the mark, or sets a manager who had no account before, or it is
        // the announced first day of an employee.
        None
    } else {
        Some(BudgetKind::Update)
    }
}
