//! Values that a provider keeps in another form than bobsync sent them: with single blanks, with
//! composed letters, cut off, or changed by rules of the tenant. Bobsync remembers both forms as
//! digests, so that it writes such a value once and not in every pass.

use super::{
    account::NewValue,
    drift::short_digest,
    employee::Employee,
    mapping::{Compare, Desired, Mapping, Row, key},
};

/// How many times one value is written if the provider keeps it in another form each time.
const MISSES: u8 = 3;
/// How many times in a row one value is written if it is set back later each time.
const SET_BACK: u8 = 6;

/// What is known of the values of one employee that the provider keeps in another form. It is
/// almost always empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Kept {
    pairs: Vec<Pair>,
    tries: Vec<Try>,
}

/// A value as bobsync sent it and as the provider keeps it, in digests.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Pair {
    target: Box<str>,
    sent: u32,
    /// The digest of the kept form. `None` means that the value is not written any more: the form
    /// changed with each write, or the value was set back after each write.
    kept: Option<u32>,
}

/// A value that this process has sent and has not yet seen in place.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Try {
    target: Box<str>,
    sent: u32,
    /// After how many writes the value was not seen in place.
    misses: u8,
    /// How many times the value was written since a look last found it in place.
    writes: u8,
}

/// One value of a write that succeeded, and what was seen of it afterwards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answered {
    /// The row of the mapping.
    pub row: usize,
    /// The value that was sent. It is empty if the value was cleared.
    pub sent: Box<str>,
    /// Whether the account was seen after the write. Some answers do not show it.
    pub seen: bool,
    /// The other form in which the provider keeps the value, if one was seen.
    pub kept: Option<Box<str>>,
}

impl Kept {
    /// Returns whether there is nothing to write for `want`. That is so if the provider is known to
    /// keep `want` as `have`, or if `want` was set back too often.
    #[must_use]
    pub fn is_settled(&self, employee: &Employee, row: &Row, want: &str, have: &str) -> bool {
        let (pair, tried) = (self.pair(&row.target), self.tried(&row.target));
        if pair.is_none() && tried.is_none() {
            return false;
        }
        let sent = form(employee, row, want);
        pair.is_some_and(|pair| pair.sent == sent && pair.kept.is_none_or(|kept| kept == form(employee, row, have)))
            || tried.is_some_and(|tried| tried.sent == sent && tried.writes >= SET_BACK)
    }

    /// Returns whether this process has sent this value before and has not seen it in place since.
    #[must_use]
    pub fn was_tried(&self, employee: &Employee, row: &Row, want: &str) -> bool {
        self.tried(&row.target).is_some_and(|tried| tried.sent == form(employee, row, want))
    }

    /// Returns the targets that the provider keeps in its own form.
    pub fn settled(&self) -> impl Iterator<Item = &str> {
        self.pairs.iter().filter(|pair| pair.kept.is_some()).map(|pair| &*pair.target)
    }

    /// Returns the targets that are not written any more, because no form lasted or because
    /// something sets them back.
    pub fn given_up(&self) -> impl Iterator<Item = &str> {
        self.pairs.iter().filter(|pair| pair.kept.is_none()).map(|pair| &*pair.target)
    }

    /// Returns whether nothing is known.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.pairs.is_empty() && self.tries.is_empty()
    }

    /// Returns whether there are values that this process has sent and has not yet seen in place.
    #[must_use]
    pub const fn has_tries(&self) -> bool {
        !self.tries.is_empty()
    }

    /// Returns what a status keeps, which is everything except the tries.
    #[must_use]
    pub fn lasting(&self) -> Self {
        Self { pairs: self.pairs.clone(), tries: Vec::new() }
    }

    /// Returns the same with the tries of `other`.
    #[must_use]
    pub fn with_tries_of(self, other: Option<&Self>) -> Self {
        Self { tries: other.map(|other| other.tries.clone()).unwrap_or_default(), ..self }
    }

    /// Returns the lines of a status: `<target>=<digest sent>/<digest kept>`, by target, with eight
    /// hexadecimal digits each.
    #[must_use]
    pub fn to_list(&self) -> Vec<String> {
        let line = |Pair { target, sent, kept }: &Pair| match kept {
            Some(kept) => format!("{target}={sent:08x}/{kept:08x}"),
            None => format!("{target}={sent:08x}/"),
        };
        self.pairs.iter().map(line).collect()
    }

    /// Reads a list of [`Kept::to_list`]. A line that cannot be read counts as not known.
    pub fn from_list<'a>(list: impl Iterator<Item = &'a str>) -> Self {
        let digest = |text: &str| u32::from_str_radix(text, 16).ok();
        let read = |line: &str| {
            let (target, digests) = line.rsplit_once('=')?;
            let (sent, kept) = digests.split_once('/')?;
            let kept = if kept.is_empty() { None } else { Some(digest(kept)?) };
            Some(Pair { target: target.into(), sent: digest(sent)?, kept })
        };
        Self { pairs: list.filter_map(read).collect(), tries: Vec::new() }
    }

    /// Returns what is known after a look or a write. `before` is what was known, and `answered` is
    /// what was written. `new` says whether this write made the account. `stays` says whether a row
    /// that was not written may still be kept in another form.
    #[must_use]
    pub fn after(
        before: Option<&Self>,
        mapping: &Mapping,
        employee: &Employee,
        (answered, new): (&[Answered], bool),
        stays: impl Fn(usize) -> bool,
    ) -> Self {
        let before = before.filter(|_| !new);
        let mut known = Self::default();
        let lasts = |target: &str| {
            let row = mapping.position(target).filter(|row| !answered.iter().any(|one| one.row == *row));
            row.is_some_and(|row| stays(row) || matches!(mapping.desired(row, employee), Desired::Keep | Desired::Failed(_)))
        };
        if let Some(before) = before {
            known.pairs.extend(before.pairs.iter().filter(|pair| lasts(&pair.target)).cloned());
            known.tries.extend(before.tries.iter().filter(|one| lasts(&one.target)).cloned());
            // A look did not find the value in place, or `lasts` would have dropped it.
            for Try { target, sent, .. } in known.tries.extract_if(.., |one| one.writes >= SET_BACK) {
                known.pairs.retain(|pair| pair.target != target);
                known.pairs.push(Pair { target, sent, kept: None });
            }
        }
        for one in answered {
            known.learn(before, &mapping.rows[one.row], employee, one, new);
        }
        known.pairs.sort_unstable();
        known.tries.sort_unstable();
        known
    }

    fn learn(&mut self, before: Option<&Self>, row: &Row, employee: &Employee, answered: &Answered, new: bool) {
        let sent = form(employee, row, &answered.sent);
        let pair = before.and_then(|before| before.pair(&row.target)).filter(|pair| pair.sent == sent);
        let tried = before.and_then(|before| before.tried(&row.target)).filter(|tried| tried.sent == sent);
        let (mut misses, writes) = tried.map_or((0, 1), |tried| (tried.misses, tried.writes.saturating_add(1)));
        let kept = answered.kept.as_deref().map(|kept| form(employee, row, kept));
        match kept {
            // The next look shows the form.
            None => {
                misses = misses.saturating_add(u8::from(!answered.seen));
                self.pairs.extend(pair.cloned());
            }
            Some(kept) if pair.is_some_and(|pair| pair.kept == Some(kept)) => {
                self.pairs.extend(pair.cloned());
                return;
            }
            Some(kept) => {
                misses = misses.saturating_add(1);
                let kept = Some(kept).filter(|_| misses < MISSES);
                self.pairs.push(Pair { target: row.target.clone(), sent, kept });
            }
        }
        if !new {
            self.tries.push(Try { target: row.target.clone(), sent, misses, writes });
        }
    }

    fn tried(&self, target: &str) -> Option<&Try> {
        self.tries.iter().find(|tried| *tried.target == *target)
    }

    fn pair(&self, target: &str) -> Option<&Pair> {
        self.pairs.iter().find(|pair| *pair.target == *target)
    }
}

/// Returns the text of a new value. It is empty where the value is cleared.
#[must_use]
pub fn text_of(value: &NewValue) -> &str {
    match value {
        NewValue::Set(text) => text,
        NewValue::Clear => "",
    }
}

/// Returns the digest of a value in the form in which values are compared.
fn form(employee: &Employee, row: &Row, text: &str) -> u32 {
    let text = match row.compare {
        Compare::Exact | Compare::Person => text.trim().into(),
        Compare::IgnoringCase | Compare::Numbered | Compare::PersonByEmail => key(text),
    };
    short_digest([employee.id(), &row.target, &text])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{
        employee::{Cell, Fields, Values},
        mapping::Source,
    };

    fn world() -> (Mapping, Employee) {
        let row = |target: &str| Row {
            target: target.into(),
            source: Source::Field(1),
            on_create_only: false,
            compare: Compare::Exact,
            required: false,
        };
        let mapping = Mapping { rows: vec![row("title"), row("unit")], fields: Fields::default(), email: 0, username: 0, manager: None };
        let mut cells = vec![Cell::Null; mapping.fields.ids().len()];
        (cells[0], cells[1]) = (Cell::Text("1"), Cell::Text("A  B"));
        (mapping, Employee::from_values(Values::from_cells(cells.into_iter())).unwrap())
    }

    #[test]
    fn a_form_that_the_answer_shows_is_known_at_once_and_only_for_this_value() {
        let (mapping, noa) = world();
        let sent = |text: &str, kept: Option<&str>| [Answered { row: 0, sent: text.into(), seen: true, kept: kept.map(Into::into) }];
        let known = Kept::after(None, &mapping, &noa, (&sent("A  B", Some("A B")), true), |_| false);
        let row = &mapping.rows[0];
        assert!(known.is_settled(&noa, row, "A  B ", " A B"));
        assert!(!known.is_settled(&noa, row, "A  B", "A C") && !known.is_settled(&noa, row, "A  C", "A B"));
        assert!(!known.is_settled(&noa, &mapping.rows[1], "A  B", "A B"), "another target");
        assert_eq!((known.settled().collect::<Vec<_>>(), known.has_tries()), (vec!["title"], false));
        // It survives a restart, and ends when nothing is kept in another form any more.
        let read = Kept::from_list(known.to_list().iter().map(String::as_str));
        assert_eq!(read, known.lasting());
        assert!(!known.to_list()[0].contains('A'), "no value");
        assert_eq!(Kept::after(Some(&read), &mapping, &noa, (&[], false), |_| true), read);
        assert!(Kept::after(Some(&read), &mapping, &noa, (&[], false), |_| false).is_empty());
        // The value is written again because it was changed at the provider. What is known stays
        // known.
        for answer in [Some("A B"), None] {
            let again = Kept::after(Some(&read), &mapping, &noa, (&sent("A  B", answer), false), |_| false);
            assert!(again.is_settled(&noa, row, "A  B", "A B"), "{answer:?}");
        }
        assert!(Kept::after(Some(&read), &mapping, &noa, (&sent("C", None), false), |_| false).to_list().is_empty(), "another value");
    }

    #[test]
    fn a_value_that_no_form_lasts_of_is_given_up_after_three_writes_until_bob_has_another() {
        let (mapping, noa) = world();
        let (row, mut known) = (&mapping.rows[0], None);
        for (write, form) in ["1", "2", "3"].into_iter().enumerate() {
            assert!(!known.as_ref().is_some_and(|known: &Kept| known.is_settled(&noa, row, "A", "0")), "write {write}");
            let answered = [Answered { row: 0, sent: "A".into(), seen: true, kept: Some(form.into()) }];
            known = Some(Kept::after(known.as_ref(), &mapping, &noa, (&answered, false), |_| false));
        }
        let known = known.unwrap();
        assert!(known.is_settled(&noa, row, "A", "0") && known.is_settled(&noa, row, "A", "3"));
        assert_eq!((known.settled().count(), known.given_up().collect::<Vec<_>>()), (0, vec!["title"]));
        assert!(!known.is_settled(&noa, row, "B", "3"), "Bob has another value");
        assert_eq!(Kept::from_list(known.to_list().iter().map(String::as_str)), known.lasting());
    }

    #[test]
    fn a_value_that_is_set_back_after_each_write_is_given_up_when_it_was_set_back_six_times() {
        let (mapping, noa) = world();
        let (row, mut known) = (&mapping.rows[0], None);
        let answered = [Answered { row: 0, sent: "A".into(), seen: true, kept: None }];
        for write in 0..6 {
            assert!(!known.as_ref().is_some_and(|known: &Kept| known.is_settled(&noa, row, "A", "X")), "write {write}");
            known = Some(Kept::after(known.as_ref(), &mapping, &noa, (&answered, false), |_| false));
        }
        let known = known.unwrap();
        assert!(known.is_settled(&noa, row, "A", "X") && !known.is_settled(&noa, row, "B", "X"));
        assert!(known.to_list().is_empty(), "nothing is told before it was set back again");
        let told = Kept::after(Some(&known), &mapping, &noa, (&[], false), |_| true);
        assert_eq!((told.given_up().collect::<Vec<_>>(), told.has_tries()), (vec!["title"], false));
        assert!(told.is_settled(&noa, row, "A", "X"));
        assert!(Kept::after(Some(&told), &mapping, &noa, (&[], false), |_| false).is_empty(), "it is in place");
        assert!(Kept::after(Some(&known), &mapping, &noa, (&[], false), |_| false).is_empty(), "and so it is before");
    }

    #[test]
    fn a_value_that_was_sent_and_is_not_in_place_is_known_as_tried_until_it_is() {
        let (mapping, noa) = world();
        let answered = [Answered { row: 0, sent: "A".into(), seen: false, kept: None }];
        let known = Kept::after(None, &mapping, &noa, (&answered, false), |_| false);
        assert!(known.was_tried(&noa, &mapping.rows[0], "A") && !known.was_tried(&noa, &mapping.rows[0], "B"));
        assert!(known.to_list().is_empty(), "no status grows by it");
        assert!(Kept::after(Some(&known), &mapping, &noa, (&[], false), |_| true).has_tries(), "the next write waits");
        assert!(Kept::after(Some(&known), &mapping, &noa, (&[], false), |_| false).is_empty(), "it is in place");
        let made = Kept::after(None, &mapping, &noa, (&answered, true), |_| false);
        assert!(made.is_empty(), "nothing is kept of every new account");
    }
}
