//! Employees who would leave management at once, in any combination and any order.

use std::collections::BTreeSet;

use bobsync::domain::{
    access::{Decision, Missing},
    budget::ScopeShrink,
    shrink::Shrink,
    why::Why,
};
use proptest::prelude::*;

/// What is known and decided of one employee.
#[derive(Clone, Copy, Debug)]
struct One {
    was_managed: bool,
    why: Why,
}

impl One {
    fn decision(self) -> Decision {
        let managed = self.why == Why::AtWork;
        Decision {
            managed,
            existing: None,
            missing: Missing::Never,
            why: self.why,
            also: None,
            date: None,
            next: None,
        }
    }

    fn is_left_out(self) -> bool {
        matches!(self.why, Why::OutOfScope | Why::DomainNotListed)
    }
}

fn any_company() -> impl Strategy<Value = Vec<One>> {
    let why = proptest::sample::select(vec![
        Why::AtWork,
        Why::OutOfScope,
        Why::DomainNotListed,
        Why::HandsOff,
        Why::ScopeUnknown,
    ]);
    let one = (any::<bool>(), why).prop_map(|(was_managed, why)| One { was_managed, why });
    proptest::collection::vec(one, 0..60)
}

fn ids(company: &[One]) -> Vec<String> {
    (0..company.len()).map(|id| format!("33328838942358{id:05}")).collect()
}

fn look<'a>(ids: &'a [String], company: &[One], order: impl Iterator<Item = usize>) -> Shrink<'a> {
    let mut shrink = Shrink::default();
    order.for_each(|at| shrink.see(&ids[at], company[at].was_managed, &company[at].decision()));
    shrink
}

proptest! {
    #[test]
    fn more_than_the_larger_of_share_and_floor_are_held_and_no_fewer(
        company in any_company(), max_percent in 0..=100_u32, at_least in 0..20_u32, before in 0..5_u32
    ) {
        let ids = ids(&company);
        let shrink = look(&ids, &company, 0..company.len());
        let managed = company.iter().filter(|one| one.was_managed).count();
        let leaving: BTreeSet<&str> =
            company.iter().zip(&ids).filter(|(one, _)| one.was_managed && one.is_left_out()).map(|(_, id)| &**id).collect();
        prop_assert_eq!(shrink.leaving().collect::<BTreeSet<_>>(), leaving.clone());
        let share = ((managed + before as usize) * max_percent as usize).div_ceil(100);
        let allowed = share.max(at_least as usize);
        let rule = ScopeShrink { max_percent, at_least };
        prop_assert_eq!(shrink.is_over(rule, before, None), !leaving.is_empty() && leaving.len() + before as usize > allowed);
    }

    #[test]
    fn the_digest_knows_no_order_and_outlives_an_interruption(company in any_company(), gone in any::<[bool; 60]>()) {
        let ids = ids(&company);
        let whole = look(&ids, &company, 0..company.len());
        prop_assert_eq!(look(&ids, &company, (0..company.len()).rev()).digest("before"), whole.digest("before"));
        prop_assert_ne!(whole.digest("another"), whole.digest("before"));
        // Some of those that were released have left management when the process ends.
        let later: Vec<One> = company
            .iter()
            .zip(gone)
            .map(|(one, gone)| One { was_managed: one.was_managed && !(gone && one.is_left_out()), ..*one })
            .collect();
        prop_assert_eq!(look(&ids, &later, 0..later.len()).digest("before"), whole.digest("before"));
    }

    #[test]
    fn an_approval_lets_go_no_other_employee(company in any_company(), at in 0..60_usize) {
        prop_assume!(at < company.len());
        let ids = ids(&company);
        let mut other = company.clone();
        other[at].why = if other[at].is_left_out() { Why::AtWork } else { Why::OutOfScope };
        let digest = |company: &[One]| look(&ids, company, 0..company.len()).digest("before");
        prop_assert_ne!(digest(&company), digest(&other));
    }
}
