//! What the guard's sums need in addition to the plan at hand. Events cut the work of one full pass
//! into many small passes, and several of them run at the same time. Each of them has to count the
//! changes of the others.

use std::collections::{BTreeMap, HashMap};

use super::budget::BudgetKind;

/// Whose changes were released, and the budget that counts each.
type ReleasedChanges = Vec<(Box<str>, BudgetKind)>;

/// What passes of one integration have let out that no status tells.
#[derive(Debug, Default)]
pub struct Ledger {
    /// What was released in passes that are under way, by pass, and when (in seconds of the epoch).
    /// Their statuses may not be written yet.
    open: BTreeMap<u64, (i64, ReleasedChanges)>,
    /// When passes that events asked for replaced or cleared the value of an attribute, in seconds
    /// of the epoch, by target and `root.id`.
    replaced: HashMap<Box<str>, HashMap<Box<str>, i64>>,
}

impl Ledger {
    /// A pass is about to make these changes at this moment.
    pub fn open(&mut self, pass: u64, at: i64, released: ReleasedChanges) {
        if !released.is_empty() {
            self.open.insert(pass, (at, released));
        }
    }

    /// Forgets the changes of `pass`, which has ended: they are in the statuses now.
    pub fn close(&mut self, pass: u64) {
        self.open.remove(&pass);
    }

    /// How many people have a change of this kind under way, without those who are counted
    /// elsewhere. `counted` is asked with the moment at which the change was released.
    #[must_use]
    pub fn under_way(&self, kind: BudgetKind, counted: &dyn Fn(&str, i64) -> bool) -> u32 {
        let mut people: HashMap<&str, i64> = HashMap::new();
        for (at, released) in self.open.values() {
            people.extend(
                released
                    .iter()
                    .filter(|(_, own)| *own == kind)
                    .map(|(employee, _)| (&**employee, *at)),
            );
        }
        count(people.into_iter().filter(|(employee, at)| !counted(employee, *at)).count())
    }

    /// Notes that an event replaced or cleared the attribute `target` of `employee` at `at`, in
    /// seconds of the epoch.
    pub fn replace(&mut self, target: &str, employee: &str, at: i64) {
        if let Some(people) = self.replaced.get_mut(target) {
            people.insert(employee.into(), at);
        } else {
            self.replaced.insert(target.into(), HashMap::from([(employee.into(), at)]));
        }
    }

    /// Returns for how many employees events replaced or cleared the attribute `target` after
    /// `since`. Leaves out employees for which `counted` is true: another sum counts them.
    #[must_use]
    pub fn replaced(&self, target: &str, since: i64, counted: &dyn Fn(&str) -> bool) -> u32 {
        let people = self.replaced.get(target).into_iter().flatten();
        count(people.filter(|(employee, at)| **at > since && !counted(employee)).count())
    }

    /// Forgets what was replaced up to `since`.
    pub fn forget_before(&mut self, since: i64) {
        self.replaced.retain(|_, people| {
            people.retain(|_, at| *at > since);
            !people.is_empty()
        });
    }
}

fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_employee_is_counted_once_however_many_passes_there_are() {
        let mut ledger = Ledger::default();
        let of = |ids: &[&str], kind| ids.iter().map(|id| (Box::from(*id), kind)).collect();
        ledger.open(1, 10, of(&["1", "2"], BudgetKind::Disable));
        ledger.open(2, 20, of(&["2", "3"], BudgetKind::Disable));
        ledger.open(3, 30, of(&["4"], BudgetKind::Update));
        assert_eq!(ledger.under_way(BudgetKind::Disable, &|_, _| false), 3);
        assert_eq!(
            ledger.under_way(BudgetKind::Disable, &|id, _| id == "3"),
            2,
            "an employee that a status tells of"
        );
        assert_eq!(
            ledger.under_way(BudgetKind::Disable, &|_, at| at < 20),
            2,
            "the later of two counts"
        );
        assert_eq!(ledger.under_way(BudgetKind::Update, &|_, _| false), 1);
        ledger.close(1);
        assert_eq!(ledger.under_way(BudgetKind::Disable, &|_, _| false), 2);
        ledger.close(2);
        assert_eq!(ledger.under_way(BudgetKind::Disable, &|_, _| false), 0);
    }

    #[test]
    fn an_attribute_is_counted_for_as_long_as_the_window_and_then_forgotten() {
        let mut ledger = Ledger::default();
        for (id, at) in [("1", 10), ("2", 20), ("1", 30)] {
            ledger.replace("title", id, at);
        }
        ledger.replace("company", "9", 5);
        let since = |ledger: &Ledger, since| ledger.replaced("title", since, &|_| false);
        assert_eq!(
            [0, 15, 20, 30].map(|at| since(&ledger, at)),
            [2, 2, 1, 0],
            "the last time counts"
        );
        assert_eq!(ledger.replaced("title", 0, &|id| id == "2"), 1);
        ledger.forget_before(20);
        assert_eq!((since(&ledger, 0), ledger.replaced("company", 0, &|_| false)), (1, 0));
        assert_eq!(ledger.replaced.len(), 1, "nothing is kept");
    }
}
