//! What the provider has made of the values that were written.

use super::{LAG, Run, change::Landed, streaks::Sort};
use crate::{
    domain::{
        account::{Account, AccountWrite},
        kept::{Answered, text_of},
        mapping::equal,
        matching::PersonIndex,
    },
    provider::{Key, tries::Tries},
};

impl Run<'_, '_, '_> {
    /// Returns, for each of these rows of a write, whether the answer shows it in another form.
    /// Many answers show no values.
    pub(super) fn answered(
        &self,
        account: &Account<'_>,
        write: &AccountWrite,
        rows: &[usize],
    ) -> Vec<Answered> {
        let seen = self.cx.provider.capabilities().answers_changes;
        let written = write.attributes.iter().filter(|(row, _)| rows.contains(row));
        written
            .map(|(row, value)| {
                let sent = text_of(value);
                let have = text(account, *row);
                let other = !have.is_empty()
                    && !equal(self.cx.planned.mapping.rows[*row].compare, have, sent);
                Answered { row: *row, sent: sent.into(), seen, kept: other.then(|| have.into()) }
            })
            .collect()
    }

    /// Reads the account if a value was sent for the second time and the answer shows no other
    /// form. Either the provider changes the value to another form, or a person had changed it. If
    /// reads lag behind writes, a value that is not there yet gets some time. If they do not lag,
    /// the rules of the tenant get that time, because they may run after the answer.
    pub(super) async fn read_back(&self, index: PersonIndex, sort: Sort, landed: &mut Landed) {
        let person = self.cx.planned.person(index);
        let Some(known) = person.kept.as_deref().filter(|known| known.has_tries()) else { return };
        let rows = &self.cx.planned.mapping.rows;
        let is_doubtful = |one: &Answered| {
            one.kept.is_none() && known.was_tried(&person.employee, &rows[one.row], &one.sent)
        };
        let doubtful: Vec<usize> =
            (0..landed.answered.len()).filter(|at| is_doubtful(&landed.answered[*at])).collect();
        if doubtful.is_empty() {
            return;
        }
        let lags = self.cx.provider.capabilities().lags;
        let mut pause = LAG;
        loop {
            let Ok(found) =
                self.look(index, sort, Key::Id(&landed.account), Tries::at_most(1)).await
            else {
                return;
            };
            let Some(account) = found.into_iter().find(|account| *account.id == *landed.account)
            else {
                return;
            };
            let other =
                |one: &Answered| !equal(rows[one.row].compare, text(&account, one.row), &one.sent);
            let differ: Vec<usize> =
                doubtful.iter().copied().filter(|at| other(&landed.answered[*at])).collect();
            if differ.is_empty() == lags || pause > LAG * 2 {
                doubtful.iter().for_each(|at| landed.answered[*at].seen = true);
                for at in differ {
                    landed.answered[at].kept = Some(text(&account, landed.answered[at].row).into());
                }
                return;
            }
            (self.cx.pace.pause)(pause).await;
            pause *= 2;
        }
    }
}

fn text<'a>(account: &'a Account<'_>, row: usize) -> &'a str {
    account.attributes.get(row).and_then(Option::as_deref).unwrap_or_default().trim()
}
