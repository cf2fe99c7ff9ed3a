//! The numbers of employees for the metrics.

use super::{Roster, Standing};
use crate::{
    api::{employee_sync::Access, key::IntegrationKey},
    telemetry::metrics::{Figures, GaugedEmployees},
};

const DAY: i64 = 24 * 3600;

impl GaugedEmployees for Roster {
    fn objects(&self) -> usize {
        Self::objects(self)
    }

    fn figures(&self, key: &IntegrationKey, now: i64) -> Figures {
        let employees = self.of(key);
        let counts = employees.sums(|sums| sums.counts.clone());
        let states = [
            ("in_sync", counts.ready),
            ("pending", counts.pending()),
            ("held", counts.held()),
            ("frozen", counts.frozen()),
            ("failing", counts.failing().map(|(_, count)| count).sum()),
            ("unmanaged", counts.unmanaged),
        ];
        let failing = counts.failing().collect();
        let mut figures = Figures { states, failing, ..Figures::default() };
        employees.for_each(|_, entry| {
            if matches!(entry.standing, Standing::Unready(_)) {
                let since = [figures.unready_since, entry.unready_since()];
                figures.unready_since = since.into_iter().flatten().min();
            }
            if let Some((at, access)) = entry.next.filter(|(at, _)| *at > now) {
                let [day, week] = &mut figures.upcoming[usize::from(access != Access::Active)];
                *day += i64::from(at <= now + DAY);
                *week += i64::from(at <= now + 7 * DAY);
            }
        });
        figures
    }
}
