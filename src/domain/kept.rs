//! Values that a provider keeps in another form than they were sent: with single blanks, with
//! composed letters, cut, or as rules of the tenant have it. Both forms are remembered as digests,
//! so that such a value is written once and not in every pass. With them the values that something
//! else sets back (`set_back`).

use super::{
    account::NewValue,
    drift::short_digest,
    employee::Employee,
    mapping::{Compare, Desired, Mapping, Row, key},
    set_back::{SetBack, Window},
};

/// After so many writes of one value that the provider keeps in another form each time, it is
/// written no more.
const MISSES: u8 = 3;

/// What is known of the values of one employee that the provider keeps in another form, or that
/// something else sets back. Almost always nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Kept {
    pairs: Vec<Pair>,
    tries: Vec<Try>,
    set_back: Vec<SetBack>,
}

/// Why a value that is not as desired is not written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Left {
    /// The provider keeps it in another form.
    Kept,
    /// Something else sets it back, and it was written too often.
    Contested,
}

/// What a look shows of a row that was not written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// It is in place.
    InPlace,
    /// It was not compared, or its write is still to come.
    Unseen,
    /// It is not as desired, and left so.
    Left(Left),
}

/// What was written.
#[derive(Clone, Copy, Debug, Default)]
pub struct Writes<'a> {
    /// The values that landed, and what was seen of them.
    pub answered: &'a [Answered],
    /// Whether the account was made by this write.
    pub new: bool,
    /// Whether the account was managed before, so that who changes its values back changes what
    /// bobsync wrote.
    pub ours: bool,
}

/// A value as it was sent and as it is kept, in digests.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Pair {
    target: Box<str>,
    sent: u32,
    /// `None`: in another form after each write, so that no more writes go out.
    kept: Option<u32>,
}

/// A value that this process has sent and not yet seen to be in place.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Try {
    target: Box<str>,
    sent: u32,
    /// After how many writes it was not seen to be in place.
    misses: u8,
}

/// One value of a write that landed, and what was seen of it afterwards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answered {
    /// The row.
    pub row: usize,
    /// What was sent; empty where the value was cleared.
    pub sent: Box<str>,
    /// Whether the account was seen after the write: some answers say nothing.
    pub seen: bool,
    /// The other form in which the provider keeps it; `None` where none was seen.
    pub kept: Option<Box<str>>,
}

impl Kept {
    /// Returns whether the provider keeps `want` as `have`, as far as is known, or `want` was set
    /// back too often: then there is nothing to write.
    #[must_use]
    pub fn is_settled(&self, employee: &Employee, row: &Row, want: &str, have: &str) -> bool {
        self.left(employee, row, want, have).is_some()
    }

    /// Returns why `want` is not written where the account has `have`; `None` where it is.
    #[must_use]
    pub fn left(&self, employee: &Employee, row: &Row, want: &str, have: &str) -> Option<Left> {
        let (pair, set_back) =
            (self.pair(&row.target), self.set_back(&row.target).filter(|known| known.is_paused()));
        if pair.is_none() && set_back.is_none() {
            return None;
        }
        let sent = form(employee, row, want);
        if pair.is_some_and(|pair| {
            pair.sent == sent && pair.kept.is_none_or(|kept| kept == form(employee, row, have))
        }) {
            return Some(Left::Kept);
        }
        set_back.filter(|known| known.sent == sent).map(|_| Left::Contested)
    }

    /// Returns whether this process has sent this value before, and has not seen it in place since.
    #[must_use]
    pub fn was_tried(&self, employee: &Employee, row: &Row, want: &str) -> bool {
        self.tried(&row.target).is_some_and(|tried| tried.sent == form(employee, row, want))
    }

    /// Returns the targets that are kept in a form of the provider's own.
    pub fn settled(&self) -> impl Iterator<Item = &str> {
        self.pairs.iter().filter(|pair| pair.kept.is_some()).map(|pair| &*pair.target)
    }

    /// Returns the values that something else has set back too often, and that are not known to be
    /// in place again.
    pub fn contested(&self) -> impl Iterator<Item = &SetBack> {
        self.set_back.iter().filter(|known| known.contested)
    }

    /// Returns the targets that are not written any more, because no form lasted.
    pub fn given_up(&self) -> impl Iterator<Item = &str> {
        self.pairs.iter().filter(|pair| pair.kept.is_none()).map(|pair| &*pair.target)
    }

    /// Returns whether nothing is known.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.pairs.is_empty() && self.tries.is_empty() && self.set_back.is_empty()
    }

    /// Returns whether there are values that this process has sent and not yet seen to be in place.
    #[must_use]
    pub const fn has_tries(&self) -> bool {
        !self.tries.is_empty()
    }

    /// Returns whether something is known that no status keeps.
    #[must_use]
    pub const fn has_memory(&self) -> bool {
        self.has_tries() || !self.set_back.is_empty()
    }

    /// Returns what a status keeps.
    #[must_use]
    pub fn lasting(&self) -> Self {
        let told = self.set_back.iter().filter(|known| known.is_told()).map(SetBack::lasting);
        Self { pairs: self.pairs.clone(), tries: Vec::new(), set_back: told.collect() }
    }

    /// Returns the same with what another one knows of writes.
    #[must_use]
    pub fn with_writes_of(self, other: Option<&Self>) -> Self {
        let (tries, set_back) =
            other.map(|other| (other.tries.clone(), other.set_back.clone())).unwrap_or_default();
        Self { tries, set_back, ..self }
    }

    /// Returns the same, which a status says, with what this process knew of writes that no status
    /// tells of.
    #[must_use]
    pub fn with_memory_of(mut self, known: Option<&Self>) -> Self {
        let Some(known) = known else { return self };
        let untold = known
            .set_back
            .iter()
            .filter(|own| !own.is_told() && self.set_back(&own.target).is_none())
            .cloned();
        let untold: Vec<_> = untold.collect();
        self.set_back.extend(untold);
        Self { tries: known.tries.clone(), ..self }
    }

    /// Finds out what may be written again. `asked`: a person asks for it, so that every value may.
    pub fn look(&mut self, window: Window, asked: bool) {
        if asked {
            self.set_back.clear();
        }
        self.set_back.iter_mut().for_each(|known| known.look(window));
    }

    /// Adds values that a status says were set back.
    #[must_use]
    pub fn with_set_back(self, set_back: Vec<SetBack>) -> Self {
        Self { set_back, ..self }
    }

    /// Returns the values that were set back, as a status keeps them.
    pub fn set_backs(&self) -> impl Iterator<Item = &SetBack> {
        self.set_back.iter()
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

    /// Reads [`Kept::to_list`]. A line that cannot be read is not known.
    pub fn from_list<'a>(list: impl Iterator<Item = &'a str>) -> Self {
        let digest = |text: &str| u32::from_str_radix(text, 16).ok();
        let read = |line: &str| {
            let (target, digests) = line.rsplit_once('=')?;
            let (sent, kept) = digests.split_once('/')?;
            let kept = if kept.is_empty() { None } else { Some(digest(kept)?) };
            Some(Pair { target: target.into(), sent: digest(sent)?, kept })
        };
        Self { pairs: list.filter_map(read).collect(), ..Self::default() }
    }

    /// Returns what is known after a look or a write. `before`: what was known. `written`: what was
    /// written. `look`: what was seen of a row that was not written.
    #[must_use]
    pub fn after(
        before: Option<&Self>,
        mapping: &Mapping,
        employee: &Employee,
        written: Writes<'_>,
        window: Window,
        look: impl Fn(usize) -> Look,
    ) -> Self {
        let before = before.filter(|_| !written.new);
        let mut known = Self::default();
        // What is seen of a target that is mapped and was not written.
        let seen = |target: &str| {
            let row = mapping
                .position(target)
                .filter(|row| !written.answered.iter().any(|one| one.row == *row))?;
            Some(match mapping.desired(row, employee) {
                Desired::Keep | Desired::Failed(_) => Look::Unseen,
                Desired::Text(_) | Desired::Empty | Desired::Person(_) => look(row),
            })
        };
        let lasts = |target: &str| seen(target).is_some_and(|look| look != Look::InPlace);
        if let Some(before) = before {
            known.pairs.extend(before.pairs.iter().filter(|pair| lasts(&pair.target)).cloned());
            known.tries.extend(before.tries.iter().filter(|one| lasts(&one.target)).cloned());
            for mut one in before.set_back.iter().cloned() {
                let Some(look) = seen(&one.target) else { continue };
                one.look(window);
                let ended = one.is_over(window) || !is_of(&one, mapping, employee);
                match look {
                    Look::InPlace | Look::Left(Left::Kept) if ended => continue,
                    Look::InPlace | Look::Left(Left::Kept) => one.contested = false,
                    Look::Left(Left::Contested) => one.contested = true,
                    Look::Unseen => {}
                }
                known.set_back.push(one);
            }
        }
        for one in written.answered {
            let row = &mapping.rows[one.row];
            known.learn(before, row, employee, one, written.new);
            if written.ours {
                known.count(before, row, form(employee, row, &one.sent), window);
            }
        }
        known.pairs.sort_unstable();
        known.tries.sort_unstable();
        known.set_back.sort_unstable();
        known
    }

    /// Takes down a write of this value.
    fn count(&mut self, before: Option<&Self>, row: &Row, sent: u32, window: Window) {
        let known = before
            .and_then(|before| before.set_back(&row.target))
            .filter(|known| known.sent == sent)
            .cloned();
        self.set_back.push(match known {
            Some(mut known) => {
                known.written(window);
                known
            }
            None => SetBack::first(row.target.clone(), sent, window),
        });
    }

    fn learn(
        &mut self,
        before: Option<&Self>,
        row: &Row,
        employee: &Employee,
        answered: &Answered,
        new: bool,
    ) {
        let sent = form(employee, row, &answered.sent);
        let pair =
            before.and_then(|before| before.pair(&row.target)).filter(|pair| pair.sent == sent);
        let tried =
            before.and_then(|before| before.tried(&row.target)).filter(|tried| tried.sent == sent);
        let mut misses = tried.map_or(0, |tried| tried.misses);
        let kept = answered.kept.as_deref().map(|kept| form(employee, row, kept));
        match kept {
            // The next look tells.
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
            self.tries.push(Try { target: row.target.clone(), sent, misses });
        }
    }

    fn set_back(&self, target: &str) -> Option<&SetBack> {
        self.set_back.iter().find(|known| *known.target == *target)
    }

    fn tried(&self, target: &str) -> Option<&Try> {
        self.tries.iter().find(|tried| *tried.target == *target)
    }

    fn pair(&self, target: &str) -> Option<&Pair> {
        self.pairs.iter().find(|pair| *pair.target == *target)
    }
}

/// Returns the text of a new value; empty if the value is cleared.
#[must_use]
pub fn text_of(value: &NewValue) -> &str {
    match value {
        NewValue::Set(text) => text,
        NewValue::Clear => "",
    }
}

/// Returns whether the value that was set back is still the one that the employee should have, as
/// far as a row of Bob tells.
fn is_of(known: &SetBack, mapping: &Mapping, employee: &Employee) -> bool {
    let Some(row) = mapping.position(&known.target) else { return false };
    match mapping.desired(row, employee) {
        Desired::Text(text) => form(employee, &mapping.rows[row], &text) == known.sent,
        Desired::Empty => form(employee, &mapping.rows[row], "") == known.sent,
        Desired::Keep | Desired::Failed(_) | Desired::Person(_) => true,
    }
}

/// Returns the digest of a value as it is compared.
fn form(employee: &Employee, row: &Row, text: &str) -> u32 {
    let text = match row.compare {
        Compare::Exact | Compare::Person => text.trim().into(),
        Compare::IgnoringCase | Compare::Numbered | Compare::PersonByEmail => key(text),
    };
    short_digest([employee.id(), &row.target, &text])
}

#[cfg(test)]
mod tests {
    use jiff::{SignedDuration, Timestamp};

    use super::*;
    use crate::domain::{
        budget::Budgets,
        employee::{Cell, Fields, Values},
        mapping::Source,
        set_back::WRITES,
    };

    /// Hours since the beginning, in the window of a day.
    fn at(hours: i64) -> Window {
        Window::of(
            &Budgets::default(),
            Timestamp::UNIX_EPOCH + SignedDuration::from_hours(1000 + hours),
        )
    }

    fn wrote(answered: &[Answered]) -> Writes<'_> {
        Writes { answered, new: false, ours: false }
    }

    fn seen(stays: bool) -> impl Fn(usize) -> Look {
        move |_| if stays { Look::Left(Left::Kept) } else { Look::InPlace }
    }

    fn world() -> (Mapping, Employee) {
        let row = |target: &str| Row {
            target: target.into(),
            source: Source::Field(1),
            on_create_only: false,
            compare: Compare::Exact,
            required: false,
        };
        let mapping = Mapping {
            address: None,
            rows: vec![row("title"), row("unit")],
            fields: Fields::default(),
            email: 0,
            username: 0,
            manager: None,
        };
        let mut cells = vec![Cell::Null; mapping.fields.ids().len()];
        (cells[0], cells[1]) = (Cell::Text("1"), Cell::Text("A  B"));
        (mapping, Employee::from_values(Values::from_cells(cells.into_iter())).unwrap())
    }

    #[test]
    fn a_form_that_the_answer_shows_is_known_at_once_and_only_for_this_value() {
        let (mapping, noa) = world();
        let sent = |text: &str, kept: Option<&str>| {
            [Answered { row: 0, sent: text.into(), seen: true, kept: kept.map(Into::into) }]
        };
        let known = Kept::after(
            None,
            &mapping,
            &noa,
            Writes { new: true, ..wrote(&sent("A  B", Some("A B"))) },
            at(0),
            seen(false),
        );
        let row = &mapping.rows[0];
        assert!(known.is_settled(&noa, row, "A  B ", " A B"));
        assert!(
            !known.is_settled(&noa, row, "A  B", "A C")
                && !known.is_settled(&noa, row, "A  C", "A B")
        );
        assert!(!known.is_settled(&noa, &mapping.rows[1], "A  B", "A B"), "another target");
        assert_eq!(
            (known.settled().collect::<Vec<_>>(), known.has_tries()),
            (vec!["title"], false)
        );
        // It survives a restart, and ends when nothing is kept in another form any more.
        let read = Kept::from_list(known.to_list().iter().map(String::as_str));
        assert_eq!(read, known.lasting());
        assert!(!known.to_list()[0].contains('A'), "no value");
        assert_eq!(Kept::after(Some(&read), &mapping, &noa, wrote(&[]), at(0), seen(true)), read);
        assert!(
            Kept::after(Some(&read), &mapping, &noa, wrote(&[]), at(0), seen(false)).is_empty()
        );
        // Written again because a person changed it at the provider: what is known stays known.
        for answer in [Some("A B"), None] {
            let again = Kept::after(
                Some(&read),
                &mapping,
                &noa,
                wrote(&sent("A  B", answer)),
                at(0),
                seen(false),
            );
            assert!(again.is_settled(&noa, row, "A  B", "A B"), "{answer:?}");
        }
        assert!(
            Kept::after(Some(&read), &mapping, &noa, wrote(&sent("C", None)), at(0), seen(false))
                .to_list()
                .is_empty(),
            "another value"
        );
    }

    #[test]
    fn a_value_that_no_form_lasts_of_is_given_up_after_three_writes_until_bob_has_another() {
        let (mapping, noa) = world();
        let (row, mut known) = (&mapping.rows[0], None);
        for (write, form) in ["1", "2", "3"].into_iter().enumerate() {
            assert!(
                !known.as_ref().is_some_and(|known: &Kept| known.is_settled(&noa, row, "A", "0")),
                "write {write}"
            );
            let answered =
                [Answered { row: 0, sent: "A".into(), seen: true, kept: Some(form.into()) }];
            known = Some(Kept::after(
                known.as_ref(),
                &mapping,
                &noa,
                wrote(&answered),
                at(0),
                seen(false),
            ));
        }
        let known = known.unwrap();
        assert!(known.is_settled(&noa, row, "A", "0") && known.is_settled(&noa, row, "A", "3"));
        assert_eq!(
            (known.settled().count(), known.given_up().collect::<Vec<_>>()),
            (0, vec!["title"])
        );
        assert!(!known.is_settled(&noa, row, "B", "3"), "Bob has another value");
        assert_eq!(Kept::from_list(known.to_list().iter().map(String::as_str)), known.lasting());
    }

    /// The title in Bob.
    const BOB: &str = "A  B";

    /// What is known of a title that was written at these hours, and looked at after each write.
    fn fought(hours: impl IntoIterator<Item = i64>, known: Option<Kept>, look: Look) -> Kept {
        let (mapping, noa) = world();
        let answered = [Answered { row: 0, sent: BOB.into(), seen: true, kept: None }];
        let mut known = known.unwrap_or_default();
        for hour in hours {
            known.look(at(hour), false);
            known = Kept::after(
                Some(&known),
                &mapping,
                &noa,
                Writes { ours: true, ..wrote(&answered) },
                at(hour),
                |_| look,
            );
            known = looked(known, hour, look);
        }
        known
    }

    fn looked(known: Kept, hour: i64, look: Look) -> Kept {
        let (mapping, noa) = world();
        Kept::after(Some(&known), &mapping, &noa, wrote(&[]), at(hour), |_| look)
    }

    fn leaves(known: &Kept, hour: i64, value: &str) -> Option<Left> {
        let (mapping, noa) = world();
        let mut known = known.clone();
        known.look(at(hour), false);
        known.left(&noa, &mapping.rows[0], value, "X")
    }

    const CONTESTED: Look = Look::Left(Left::Contested);

    #[test]
    fn a_value_that_is_set_back_after_six_writes_within_the_window_is_contested() {
        // Another writer who comes less often than bobsync looks: the value is in place in between.
        let known = fought(0..5, None, Look::InPlace);
        assert_eq!((leaves(&known, 5, BOB), known.contested().count()), (None, 0));
        let known = fought([5], Some(known), Look::InPlace);
        assert_eq!(
            (leaves(&known, 6, BOB), leaves(&known, 6, "B")),
            (Some(Left::Contested), None),
            "another value is written"
        );
        assert_eq!(known.contested().count(), 0, "it is in place");
        let known = looked(known, 6, CONTESTED);
        let told: Vec<_> =
            known.contested().map(|known| (&*known.target, known.at.len(), known.until)).collect();
        assert_eq!(told, [("title", WRITES, (1005 + 24) * 3600)]);
        assert_eq!(
            (leaves(&known, 28, BOB), leaves(&known, 29, BOB)),
            (Some(Left::Contested), None),
            "a window after the last write"
        );
        // Five within the window, and one before: no fight.
        assert_eq!(leaves(&fought([0, 24, 25, 26, 27, 28], None, Look::InPlace), 28, BOB), None);
    }

    #[test]
    fn a_fight_that_goes_on_costs_one_write_a_window_and_one_that_ended_is_forgotten() {
        let known = looked(fought(0..6, None, Look::InPlace), 6, CONTESTED);
        let tried = fought([30], Some(known.clone()), CONTESTED);
        assert_eq!(
            (leaves(&tried, 31, BOB), leaves(&tried, 53, BOB), leaves(&tried, 54, BOB)),
            (Some(Left::Contested), Some(Left::Contested), None)
        );
        assert_eq!(
            tried.contested().count(),
            1,
            "it is not said to be in sync before it was looked at"
        );
        // In place: nothing is contested any more, and the next who sets it back within the window
        // is known.
        let held = looked(fought([30], Some(known.clone()), CONTESTED), 31, Look::InPlace);
        assert_eq!((held.contested().count(), leaves(&held, 32, BOB)), (0, Some(Left::Contested)));
        assert!(looked(held, 54, Look::InPlace).is_empty(), "it stayed in place for a window");
        assert_eq!(
            looked(known.clone(), 100, Look::Unseen).contested().count(),
            1,
            "nothing is learnt where nothing is compared"
        );
        // A person asks, or Bob has another value.
        let mut asked = known.clone();
        asked.look(at(7), true);
        assert_eq!(leaves(&asked, 7, BOB), None);
        let other = [Answered { row: 0, sent: "B".into(), seen: true, kept: None }];
        let (mapping, noa) = world();
        let other = Kept::after(
            Some(&known),
            &mapping,
            &noa,
            Writes { ours: true, ..wrote(&other) },
            at(7),
            |_| CONTESTED,
        );
        assert_eq!(
            (other.contested().count(), leaves(&other, 7, "B"), leaves(&other, 7, BOB)),
            (0, None, None)
        );
    }

    #[test]
    fn a_status_keeps_what_was_set_back_and_no_write_that_stayed() {
        let (mapping, noa) = world();
        let once = fought([0], None, Look::InPlace);
        assert!(once.has_memory() && once.lasting().is_empty(), "no status grows by a write");
        assert!(looked(once.clone(), 24, Look::InPlace).is_empty());
        let again = fought([1], Some(once.clone()), Look::InPlace);
        assert_eq!(
            again.lasting().set_backs().map(|known| known.at.len()).collect::<Vec<_>>(),
            [2]
        );
        assert_eq!(
            again.lasting().with_memory_of(Some(&again)),
            again,
            "the status and the memory are one"
        );
        assert_eq!(
            Kept::default().with_memory_of(Some(&again)),
            Kept::default(),
            "a status that says that it is over is believed"
        );
        assert_eq!(
            Kept::default().with_memory_of(Some(&once)),
            once,
            "what no status tells stays known"
        );
        // What was written to an account that was not managed before is no fight, nor is what made
        // it.
        let answered = [Answered { row: 0, sent: BOB.into(), seen: true, kept: None }];
        assert!(
            !Kept::after(None, &mapping, &noa, wrote(&answered), at(0), seen(false))
                .set_backs()
                .any(|_| true)
        );
    }

    #[test]
    fn a_value_that_was_sent_and_is_not_in_place_is_known_as_tried_until_it_is() {
        let (mapping, noa) = world();
        let answered = [Answered { row: 0, sent: "A".into(), seen: false, kept: None }];
        let known = Kept::after(None, &mapping, &noa, wrote(&answered), at(0), seen(false));
        assert!(
            known.was_tried(&noa, &mapping.rows[0], "A")
                && !known.was_tried(&noa, &mapping.rows[0], "B")
        );
        assert!(known.to_list().is_empty(), "no status grows by it");
        assert!(
            Kept::after(Some(&known), &mapping, &noa, wrote(&[]), at(0), seen(true)).has_tries(),
            "the next write waits"
        );
        assert!(
            Kept::after(Some(&known), &mapping, &noa, wrote(&[]), at(0), seen(false)).is_empty(),
            "it is in place"
        );
        let made = Kept::after(
            None,
            &mapping,
            &noa,
            Writes { new: true, ..wrote(&answered) },
            at(0),
            seen(false),
        );
        assert!(made.is_empty(), "nothing is kept of every new account");
    }
}
