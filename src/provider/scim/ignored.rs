//! What a server has answered with success and not changed.

use super::{catalog::MarkPlace, write::ACTIVE};
use crate::{domain::mapping::equal, provider::prelude::*};

/// The parts of a write that the account does not show.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Ignored {
    rows: Vec<usize>,
    mark: bool,
    access: bool,
}

impl Ignored {
    /// Compares an account with the write that was made to it. `had` is the account before. A value
    /// in another form than was sent counts as kept differently, unless it is the one from before.
    pub(super) fn of(
        mapping: &Mapping,
        write: &AccountWrite,
        had: Option<&Account<'_>>,
        now: &Account<'_>,
    ) -> Self {
        let text = |account: &Account<'_>, row: usize| {
            account.attributes.get(row).and_then(Option::as_deref).map(str::to_owned)
        };
        let is_ignored = |row: usize, value: &NewValue| {
            let Some(compare) = mapping.rows.get(row).map(|row| row.compare) else { return false };
            match (value, text(now, row)) {
                (NewValue::Clear, None) => false,
                (NewValue::Clear, Some(_)) | (NewValue::Set(_), None) => true,
                (NewValue::Set(want), Some(have)) => {
                    !equal(compare, &have, want)
                        && letters(&have) != letters(want)
                        && had.and_then(|had| text(had, row)).is_some_and(|had| had == have)
                }
            }
        };
        let ignored = write.attributes.iter().filter(|(row, value)| is_ignored(*row, value));
        let mark = write.mark.as_deref().is_some_and(|mark| now.mark.as_deref() != Some(mark));
        let access = write.access.is_some_and(|access| state_of(access) != now.state);
        Self { rows: ignored.map(|(row, _)| *row).collect(), mark, access }
    }

    /// Returns whether the account shows the whole write.
    pub(super) fn is_nothing(&self) -> bool {
        *self == Self::default()
    }

    /// Returns the part of a write that was not made.
    ///
    /// # Errors
    /// Nothing of it was made, or the mark or access was not.
    pub(super) fn left(
        self,
        mapping: &Mapping,
        write: &AccountWrite,
        mark: MarkPlace,
    ) -> Result<Option<LeftUndone>, Error> {
        if self.is_nothing() {
            return Ok(None);
        }
        let mut names: Vec<&str> =
            self.rows.iter().map(|row| &*mapping.rows[*row].target).collect();
        names.extend(self.mark.then(|| mark.attribute()));
        names.extend(self.access.then_some(ACTIVE));
        let said = "the server answered with success and did not change it".to_owned();
        let error = Error::Rejected { field: Some(names.join(", ")), said };
        let all = self.rows.len() == write.attributes.len();
        if all || self.mark || self.access {
            return Err(error);
        }
        Ok(Some(LeftUndone { error, rows: self.rows, sessions: false }))
    }
}

/// Returns the letters and digits of a text. Servers change blanks, case and marks.
fn letters(text: &str) -> String {
    let folded = text.chars().flat_map(char::to_lowercase);
    folded.filter(|c| c.is_ascii_alphanumeric() || (!c.is_ascii() && c.is_alphanumeric())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::fixtures;

    fn account(title: Option<&str>, mark: Option<&str>, state: AccountState) -> Account<'static> {
        let mapping = fixtures::mapping(&["title"], 0);
        let mut account = as_sent(&mapping, &fixtures::write(&[title]), "7".to_owned());
        (account.mark, account.state) = (mark.map(|mark| mark.to_owned().into()), state);
        account
    }

    #[test]
    fn a_success_without_the_change_is_told_from_a_value_that_is_kept_differently() {
        use AccountState::{Active, Suspended};
        let mapping = fixtures::mapping(&["title"], 0);
        let had = account(Some("Boss"), None, Active);
        for (want, now, ignored) in [
            (Some("Lead"), Some("Lead"), false),
            (Some("Lead"), Some("Boss"), true),
            (Some("Lead"), None, true),
            (Some("Lead"), Some("Le"), false),
            (Some("BOSS "), Some("Boss"), false),
            (None, None, false),
            (None, Some("Boss"), true),
        ] {
            let write = fixtures::write(&[want]);
            let now = account(now, None, Active);
            let found = Ignored::of(&mapping, &write, Some(&had), &now);
            assert_eq!(found.rows.is_empty(), !ignored, "{want:?}");
        }
        let write = AccountWrite {
            mark: Some("4711".into()),
            access: Some(Access::Suspended),
            ..AccountWrite::default()
        };
        let done = account(None, Some("4711"), Suspended);
        assert!(Ignored::of(&mapping, &write, None, &done).is_nothing());
        let error = Ignored::of(&mapping, &write, None, &had);
        let error = error.left(&mapping, &write, MarkPlace::ExternalId).unwrap_err();
        assert!(
            matches!(&error, Error::Rejected { field: Some(field), .. }
                if field == "externalId, active"),
            "{error:?}"
        );
    }
}
