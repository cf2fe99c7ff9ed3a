//! Employees who are missing from Bob's answer. That is a suspicion and not a fact: a permission of the service user that
//! was lost looks the same as a file that was deleted. A permission covers lifecycle statuses, so what an answer shows of
//! those decides what a 404 to the read of one employee is worth.

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;

use super::employee::{Cell, Employee, LIFECYCLE, Lifecycle, plain};

/// A lifecycle status in four bytes: a digest of its word, without regard to case and punctuation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Word(u32);

impl Word {
    /// Reads Bob's text; a hidden or empty one gives the default.
    #[must_use]
    pub fn of(cell: Cell<'_>) -> Self {
        let Some(text) = cell.text() else { return Self::default() };
        // FNV-1a.
        let digest = plain(text).bytes().fold(0x811c_9dc5_u32, |digest, byte| (digest ^ u32::from(byte)).wrapping_mul(0x0100_0193));
        Self(digest.max(1))
    }

    /// Whether there is one.
    #[must_use]
    pub const fn is_known(self) -> bool {
        self.0 != 0
    }

    /// The status of employees who have left.
    #[must_use]
    pub fn terminated() -> Self {
        Self::of(Cell::Text("terminated"))
    }

    fn is_terminated(self) -> bool {
        self == Self::terminated()
    }

    /// This one, or `other` where this one is empty.
    #[must_use]
    pub const fn or(self, other: Self) -> Self {
        if self.is_known() { self } else { other }
    }
}

/// Lifecycle statuses, with their words as Bob writes them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Words(BTreeMap<Word, Box<str>>);

impl Words {
    /// Returns the statuses of these employees.
    #[must_use]
    pub fn of(employees: &[Employee]) -> Self {
        let mut words = Self::default();
        employees.iter().for_each(|employee| words.add(employee.values.get(LIFECYCLE)));
        words
    }

    /// Adds a status.
    pub fn add(&mut self, cell: Cell<'_>) {
        if let Some(text) = cell.text() {
            self.0.entry(Word::of(cell)).or_insert_with(|| text.into());
        }
    }

    /// Whether this status is among them.
    #[must_use]
    pub fn has(&self, word: Word) -> bool {
        self.0.contains_key(&word)
    }

    /// The words as Bob writes them, in order.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        let mut texts: Vec<&str> = self.0.values().map(|text| &**text).collect();
        texts.sort_unstable();
        texts.into_iter()
    }
}

impl<'a> FromIterator<&'a str> for Words {
    fn from_iter<I: IntoIterator<Item = &'a str>>(texts: I) -> Self {
        let mut words = Self::default();
        texts.into_iter().for_each(|text| words.add(Cell::Text(text)));
        words
    }
}

/// What earlier answers showed of lifecycle statuses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// The statuses of the last believed answer, and those of employees who are missing since.
    pub words: Words,
    /// Whether employees are missing whose status may be none of them.
    pub incomplete: bool,
    /// Whether Bob has ever shown an employee who is Hired or Terminated.
    pub beyond_work: bool,
    /// Whether Bob has ever shown an employee who is Terminated.
    pub leavers: bool,
}

/// What reads by id have said of an employee who is missing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Absence {
    /// When the first 404 came, in seconds of the epoch; 0 where none did.
    since: u32,
    /// Whether the last read was refused: the employee is outside of the service user's rights.
    pub forbidden: bool,
}

impl Absence {
    /// The state after a refusal, which says nothing of the file.
    pub const FORBIDDEN: Self = Self { since: 0, forbidden: true };

    /// Returns the state after a 404 at `now`.
    #[must_use]
    pub fn not_found(self, now: Timestamp) -> Self {
        let now = u32::try_from(now.as_second()).unwrap_or(u32::MAX).max(1);
        Self { since: if self.since == 0 { now } else { self.since }, forbidden: false }
    }

    /// Whether there was a 404 before.
    #[must_use]
    pub const fn is_doubt(self) -> bool {
        self.since != 0
    }

    /// When the next 404 counts as the second one; `None` where there was none.
    #[must_use]
    pub fn second_look(self, apart: Duration) -> Option<Timestamp> {
        let first = Timestamp::from_second(i64::from(self.since)).ok().filter(|_| self.is_doubt())?;
        Some(first.checked_add(apart).unwrap_or(Timestamp::MAX))
    }
}

/// An employee who was in Bob, and is missing from the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// Bob's `root.id`.
    pub id: Box<str>,
    /// The last known lifecycle status.
    pub word: Word,
    /// What reads by id have said.
    pub absence: Absence,
}

/// What one answer shows, against the memory.
#[derive(Clone, Copy, Debug)]
pub struct Answer<'a> {
    /// The statuses in it.
    pub shown: &'a Words,
    /// What earlier answers showed; `None` where no status has it.
    pub memory: Option<&'a Memory>,
    /// The time.
    pub now: Timestamp,
    /// How far apart two 404 have to be.
    pub apart: Duration,
}

impl Answer<'_> {
    /// Whether a 404 that has just come says that the file is gone: the employee had left before, or it is the second one and
    /// others with the same lifecycle status are in the answer.
    #[must_use]
    pub fn confirms(&self, missing: &Missing) -> bool {
        missing.word.is_terminated() || (self.is_second(missing) && self.shows_others(missing.word))
    }

    /// Whether a 404 now is the second one, and late enough.
    #[must_use]
    pub fn is_second(&self, missing: &Missing) -> bool {
        missing.absence.second_look(self.apart).is_some_and(|at| at <= self.now)
    }

    /// Whether the answer has employees with this status. Of an unknown one that is sure where no status at all is lost.
    fn shows_others(&self, word: Word) -> bool {
        if word.is_known() {
            return self.shown.has(word);
        }
        self.memory.is_some_and(|memory| !memory.incomplete && memory.words.0.keys().all(|word| self.shown.has(*word)))
    }

    /// The statuses that are in no row of the answer although employees who had them are missing, or may be.
    #[must_use]
    pub fn lost(&self, missing: &[Missing]) -> Vec<Lost> {
        let mut lost: BTreeMap<Word, Lost> = BTreeMap::new();
        let unknown = missing.iter().any(|missing| !missing.word.is_known());
        for (word, text) in self.memory.iter().flat_map(|memory| &memory.words.0).filter(|(word, _)| !self.shown.has(**word)) {
            lost.insert(*word, Lost { word: *word, text: Some(text.clone()), holders: 0 });
        }
        for missing in missing.iter().filter(|missing| missing.word.is_known() && !self.shown.has(missing.word)) {
            lost.entry(missing.word).or_insert(Lost { word: missing.word, text: None, holders: 0 }).holders += 1;
        }
        lost.into_values().filter(|lost| lost.holders > 0 || unknown).collect()
    }

    /// What is to be remembered after this answer, of which `missing` are still missing.
    #[must_use]
    pub fn remember(&self, missing: &[Missing]) -> Memory {
        let unknown = missing.iter().any(|missing| !missing.word.is_known());
        let mut words = self.shown.clone();
        words.0.extend(self.lost(missing).into_iter().filter_map(|lost| Some((lost.word, lost.text?))));
        let beyond = |text: &str| matches!(Lifecycle::read(Cell::Text(text)), Lifecycle::Hired | Lifecycle::Terminated);
        Memory {
            incomplete: unknown && self.memory.is_none_or(|memory| memory.incomplete),
            beyond_work: self.memory.is_some_and(|memory| memory.beyond_work) || self.shown.texts().any(beyond),
            leavers: self.has_shown_leavers(),
            words,
        }
    }

    fn has_shown_leavers(&self) -> bool {
        let before = self.memory.is_some_and(|memory| memory.leavers || memory.words.has(Word::terminated()));
        before || self.shown.has(Word::terminated())
    }

    /// Whether Bob has shown employees who are Terminated, and shows none now. A company that hires all of them again is rare.
    #[must_use]
    pub fn hides_leavers(&self) -> bool {
        self.has_shown_leavers() && !self.shown.has(Word::terminated())
    }

    /// The statuses that are missing as a whole, after the reads by id. One whose only employee
    /// may not be read does not count: a refusal concerns that employee.
    #[must_use]
    pub fn suspects(&self, missing: &[Missing]) -> Vec<Lost> {
        let mut lost = self.lost(missing);
        lost.retain(|lost| match lost.holders {
            0 => missing.iter().any(|missing| !missing.word.is_known() && missing.absence.is_doubt()),
            1 => missing.iter().any(|missing| missing.word == lost.word && !missing.absence.forbidden),
            _ => true,
        });
        lost
    }
}

/// A lifecycle status that the answer does not have any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lost {
    /// Which.
    pub word: Word,
    /// The same as Bob writes it, where that is known.
    pub text: Option<Box<str>>,
    /// How many employees who had it are missing.
    pub holders: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    const APART: Duration = Duration::from_secs(300);

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_000_000 + seconds).unwrap()
    }

    fn missing(id: &str, status: &str, absence: Absence) -> Missing {
        Missing { id: id.into(), word: Word::of(Cell::Text(status)), absence }
    }

    fn memory(texts: &[&str]) -> Memory {
        Memory { words: texts.iter().copied().collect(), ..Memory::default() }
    }

    #[test]
    fn words_ignore_case_and_punctuation_and_keep_bobs_spelling() {
        assert_eq!(Word::of(Cell::Text("Parental leave")), Word::of(Cell::Text("parentalLeave")));
        assert_ne!(Word::of(Cell::Text("Parental leave")), Word::of(Cell::Text("Sick leave")));
        assert!(!Word::of(Cell::Null).is_known() && !Word::of(Cell::Text(" ")).is_known());
        let words: Words = ["employed", "Parental leave", "Employed"].into_iter().collect();
        assert_eq!(words.texts().collect::<Vec<_>>(), ["Parental leave", "employed"]);
    }

    #[test]
    fn only_a_second_404_beside_others_of_the_status_says_that_a_file_is_gone() {
        let (shown, before) = (["Employed"].into_iter().collect(), memory(&["Employed", "Parental leave"]));
        let answer = |now| Answer { shown: &shown, memory: Some(&before), now: at(now), apart: APART };
        let first = Absence::default().not_found(at(0));
        assert_eq!(first.not_found(at(100)), first, "the first one counts");
        let employed = missing("1", "Employed", first);
        assert!(!answer(299).confirms(&employed) && answer(300).confirms(&employed));
        assert!(!answer(900).confirms(&missing("1", "Employed", Absence::default())), "the first one");
        assert!(!answer(900).confirms(&missing("1", "Employed", Absence::FORBIDDEN.not_found(at(800)))), "a refusal counts for nothing");
        assert!(!answer(900).confirms(&missing("1", "Parental leave", first)), "no other employee has it");
        assert!(answer(0).confirms(&missing("1", "Terminated", Absence::default())), "who had left needs no second one");
        // Without a memory of the employee: not while any status is lost, and not without a memory of the statuses.
        let unknown = missing("1", "", first);
        assert!(!answer(900).confirms(&unknown));
        let (kept, gap) = (memory(&["Employed"]), Memory { incomplete: true, ..memory(&["Employed"]) });
        for (memory, confirmed) in [(Some(&kept), true), (Some(&gap), false), (None, false)] {
            assert_eq!(Answer { memory, ..answer(900) }.confirms(&unknown), confirmed, "{memory:?}");
        }
    }

    #[test]
    fn a_status_is_lost_where_employees_who_had_it_are_missing() {
        let (shown, before) = (["Employed"].into_iter().collect(), memory(&["Employed", "Parental leave", "Sabbatical"]));
        let answer = Answer { shown: &shown, memory: Some(&before), now: at(0), apart: APART };
        let texts =
            |lost: Vec<Lost>| lost.into_iter().map(|lost| (lost.text.unwrap().into(), lost.holders)).collect::<Vec<(String, usize)>>();
        assert_eq!(texts(answer.lost(&[])), [], "they are in the answer with another status");
        let two = [missing("1", "parental leave", Absence::FORBIDDEN), missing("2", "Parental leave", Absence::default())];
        assert_eq!(texts(answer.suspects(&two)), [("Parental leave".into(), 2)]);
        assert_eq!(texts(answer.suspects(&two[1..])), [("Parental leave".into(), 1)]);
        assert_eq!(texts(answer.suspects(&two[..1])), [], "a refusal concerns that employee only");
        let remembered = answer.remember(&two[..1]);
        assert_eq!(remembered.words.texts().collect::<Vec<_>>(), ["Employed", "Parental leave"], "as long as the employee is missing");
        // After a restart it is not known who had which.
        let unknown = [missing("1", "", Absence::default().not_found(at(0)))];
        assert_eq!(answer.suspects(&unknown).len(), 2);
        assert_eq!(answer.suspects(&[missing("1", "", Absence::FORBIDDEN)]), []);
        assert_eq!(answer.remember(&unknown).words, before.words);
        assert!(!answer.remember(&unknown).incomplete && Answer { memory: None, ..answer }.remember(&unknown).incomplete);
    }

    #[test]
    fn leavers_are_hidden_where_bob_has_shown_some_and_shows_none() {
        let (both, one) = (["Employed", "terminated"].into_iter().collect(), ["Employed"].into_iter().collect());
        let answer = Answer { shown: &one, memory: None, now: at(0), apart: APART };
        assert!(!answer.hides_leavers() && !answer.remember(&[]).leavers, "none was ever shown");
        let first = Answer { shown: &both, ..answer };
        assert!(!first.hides_leavers());
        let first = first.remember(&[]);
        // No missing employee had the status: none of them ever had an account.
        let second = Answer { memory: Some(&first), ..answer };
        assert!(second.hides_leavers() && second.lost(&[]).is_empty());
        let second = second.remember(&[]);
        assert!(Answer { memory: Some(&second), ..answer }.hides_leavers(), "as long as Bob shows none");
        assert!(!Answer { shown: &both, memory: Some(&second), ..answer }.hides_leavers());
        // What an older status keeps has no such mark.
        assert!(Answer { memory: Some(&memory(&["Terminated"])), ..answer }.hides_leavers());
    }

    #[test]
    fn it_is_remembered_for_ever_that_bob_has_shown_people_who_are_not_at_work() {
        let (shown, later) = (["Employed", "HIRED"].into_iter().collect(), ["Employed"].into_iter().collect());
        let answer = Answer { shown: &later, memory: None, now: at(0), apart: APART };
        assert!(!answer.remember(&[]).beyond_work);
        let first = Answer { shown: &shown, ..answer }.remember(&[]);
        assert!(first.beyond_work && Answer { memory: Some(&first), ..answer }.remember(&[]).beyond_work);
    }
}
