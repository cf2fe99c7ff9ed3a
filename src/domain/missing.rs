//! Employees who are missing from Bob's answer. That is a suspicion and not a fact: a lost
//! permission of the service user looks the same as a deleted file.
//!
//! A permission covers lifecycle statuses. So the statuses that an answer shows decide how much a
//! 404 to the read of one employee proves.

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;

use super::employee::{Cell, Employee, LIFECYCLE, Lifecycle, plain};

/// A lifecycle status in four bytes: a digest of its word without case and punctuation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Word(u32);

impl Word {
    /// Reads Bob's text. A hidden or empty text gives the default.
    #[must_use]
    pub fn of(cell: Cell<'_>) -> Self {
        let Some(text) = cell.text() else { return Self::default() };
        // This is FNV-1a.
        let digest = plain(text).bytes().fold(0x811c_9dc5_u32, |digest, byte| {
            (digest ^ u32::from(byte)).wrapping_mul(0x0100_0193)
        });
        Self(digest.max(1))
    }

    /// Returns whether the status is known.
    #[must_use]
    pub const fn is_known(self) -> bool {
        self.0 != 0
    }

    /// Returns the status of employees who have left.
    #[must_use]
    pub fn terminated() -> Self {
        Self::of(Cell::Text("terminated"))
    }

    fn is_terminated(self) -> bool {
        self == Self::terminated()
    }

    /// Returns this status, or `other` where this one is not known.
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

    /// Returns whether `word` is among them.
    #[must_use]
    pub fn has(&self, word: Word) -> bool {
        self.0.contains_key(&word)
    }

    /// Returns the words as Bob writes them, in order.
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
pub struct StatusMemory {
    /// The statuses of the last answer that bobsync trusted, and those of employees who are missing
    /// since then.
    pub words: Words,
    /// Whether employees are missing with a status that may not be in `words`.
    pub incomplete: bool,
    /// Whether Bob has ever shown an employee who is Hired or Terminated.
    pub beyond_work: bool,
    /// Whether Bob has ever shown an employee who is Terminated.
    pub leavers: bool,
}

/// What reads by id have said of an employee who is missing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Absence {
    /// When the first 404 came, in seconds of the epoch. It is 0 if no 404 came.
    since: u32,
    /// Whether the last read was refused: the service user has no right to this employee.
    pub forbidden: bool,
}

impl Absence {
    /// The state after a refusal. A refusal does not say whether the file exists.
    pub const FORBIDDEN: Self = Self { since: 0, forbidden: true };

    /// Returns the state after a 404 at `now`.
    #[must_use]
    pub fn not_found(self, now: Timestamp) -> Self {
        let now = u32::try_from(now.as_second()).unwrap_or(u32::MAX).max(1);
        Self { since: if self.since == 0 { now } else { self.since }, forbidden: false }
    }

    /// Returns whether a 404 came before.
    #[must_use]
    pub const fn is_doubt(self) -> bool {
        self.since != 0
    }

    /// Returns from when on the next 404 counts as the second one. Returns `None` if there was no
    /// 404 yet.
    #[must_use]
    pub fn second_look(self, apart: Duration) -> Option<Timestamp> {
        let first =
            Timestamp::from_second(i64::from(self.since)).ok().filter(|_| self.is_doubt())?;
        Some(first.checked_add(apart).unwrap_or(Timestamp::MAX))
    }
}

/// An employee who was in Bob and is missing from the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MissingEmployee {
    /// Bob's `root.id`.
    pub id: Box<str>,
    /// The last known lifecycle status.
    pub word: Word,
    /// What reads by id have said.
    pub absence: Absence,
}

/// What one answer shows, with what earlier answers showed.
#[derive(Clone, Copy, Debug)]
pub struct StatusAnswer<'a> {
    /// The statuses in the answer.
    pub shown: &'a Words,
    /// What earlier answers showed, or `None` if no status keeps it.
    pub memory: Option<&'a StatusMemory>,
    /// The time of the answer.
    pub now: Timestamp,
    /// How much time has to pass between two 404s.
    pub apart: Duration,
}

impl StatusAnswer<'_> {
    /// Returns whether a 404 that has just come says that the file is gone. It does if the employee
    /// had left before. It also does if it is the second 404 and the answer has other employees
    /// with the same lifecycle status.
    #[must_use]
    pub fn confirms(&self, missing: &MissingEmployee) -> bool {
        missing.word.is_terminated() || (self.is_second(missing) && self.shows_others(missing.word))
    }

    /// Returns whether a 404 at this time is the second one, and comes late enough.
    #[must_use]
    pub fn is_second(&self, missing: &MissingEmployee) -> bool {
        missing.absence.second_look(self.apart).is_some_and(|at| at <= self.now)
    }

    /// Returns whether the answer has employees with this status. If the status is not known, the
    /// answer is yes only if no status at all is lost.
    fn shows_others(&self, word: Word) -> bool {
        if word.is_known() {
            return self.shown.has(word);
        }
        self.memory.is_some_and(|memory| {
            !memory.incomplete && memory.words.0.keys().all(|word| self.shown.has(*word))
        })
    }

    /// Returns the statuses that no row of the answer has although employees who had them are
    /// missing, or may be missing.
    #[must_use]
    pub fn lost(&self, missing: &[MissingEmployee]) -> Vec<LostStatus> {
        let mut lost: BTreeMap<Word, LostStatus> = BTreeMap::new();
        let unknown = missing.iter().any(|missing| !missing.word.is_known());
        for (word, text) in self
            .memory
            .iter()
            .flat_map(|memory| &memory.words.0)
            .filter(|(word, _)| !self.shown.has(**word))
        {
            lost.insert(*word, LostStatus { word: *word, text: Some(text.clone()), holders: 0 });
        }
        for missing in missing
            .iter()
            .filter(|missing| missing.word.is_known() && !self.shown.has(missing.word))
        {
            lost.entry(missing.word)
                .or_insert(LostStatus { word: missing.word, text: None, holders: 0 })
                .holders += 1;
        }
        lost.into_values().filter(|lost| lost.holders > 0 || unknown).collect()
    }

    /// Returns what to remember after this answer. `missing` are the employees who are still
    /// missing.
    #[must_use]
    pub fn remember(&self, missing: &[MissingEmployee]) -> StatusMemory {
        let unknown = missing.iter().any(|missing| !missing.word.is_known());
        let mut words = self.shown.clone();
        words.0.extend(
            self.lost(missing).into_iter().filter_map(|lost| Some((lost.word, lost.text?))),
        );
        let beyond = |text: &str| {
            matches!(Lifecycle::read(Cell::Text(text)), Lifecycle::Hired | Lifecycle::Terminated)
        };
        StatusMemory {
            incomplete: unknown && self.memory.is_none_or(|memory| memory.incomplete),
            beyond_work: self.memory.is_some_and(|memory| memory.beyond_work)
                || self.shown.texts().any(beyond),
            leavers: self.has_shown_leavers(),
            words,
        }
    }

    fn has_shown_leavers(&self) -> bool {
        let before = self
            .memory
            .is_some_and(|memory| memory.leavers || memory.words.has(Word::terminated()));
        before || self.shown.has(Word::terminated())
    }

    /// Returns whether Bob has shown employees who are Terminated, and shows none now. A company
    /// that hires all of them again is rare.
    #[must_use]
    pub fn hides_leavers(&self) -> bool {
        self.has_shown_leavers() && !self.shown.has(Word::terminated())
    }

    /// Returns the statuses that are completely missing after the reads by id. A status with a
    /// single missing employee does not count if that read was refused: a refusal concerns only
    /// that employee.
    #[must_use]
    pub fn suspects(&self, missing: &[MissingEmployee]) -> Vec<LostStatus> {
        let mut lost = self.lost(missing);
        lost.retain(|lost| match lost.holders {
            0 => {
                missing.iter().any(|missing| !missing.word.is_known() && missing.absence.is_doubt())
            }
            1 => missing
                .iter()
                .any(|missing| missing.word == lost.word && !missing.absence.forbidden),
            _ => true,
        });
        lost
    }
}

/// A lifecycle status that the answer does not have any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LostStatus {
    /// The status.
    pub word: Word,
    /// The status as Bob writes it, if that is known.
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

    fn missing(id: &str, status: &str, absence: Absence) -> MissingEmployee {
        MissingEmployee { id: id.into(), word: Word::of(Cell::Text(status)), absence }
    }

    fn memory(texts: &[&str]) -> StatusMemory {
        StatusMemory { words: texts.iter().copied().collect(), ..StatusMemory::default() }
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
    fn only_a_second_404_next_to_others_of_the_status_says_that_a_file_is_gone() {
        let (shown, before) =
            (["Employed"].into_iter().collect(), memory(&["Employed", "Parental leave"]));
        let answer =
            |now| StatusAnswer { shown: &shown, memory: Some(&before), now: at(now), apart: APART };
        let first = Absence::default().not_found(at(0));
        assert_eq!(first.not_found(at(100)), first, "the first one counts");
        let employed = missing("1", "Employed", first);
        assert!(!answer(299).confirms(&employed) && answer(300).confirms(&employed));
        assert!(
            !answer(900).confirms(&missing("1", "Employed", Absence::default())),
            "the first one"
        );
        assert!(
            !answer(900).confirms(&missing("1", "Employed", Absence::FORBIDDEN.not_found(at(800)))),
            "a refusal counts for nothing"
        );
        assert!(
            !answer(900).confirms(&missing("1", "Parental leave", first)),
            "no other employee has it"
        );
        assert!(
            answer(0).confirms(&missing("1", "Terminated", Absence::default())),
            "who had left needs no second one"
        );
        // Without a record of the employee's status, a 404 proves nothing while any status is lost
        // or while there is no memory of statuses.
        let unknown = missing("1", "", first);
        assert!(!answer(900).confirms(&unknown));
        let (kept, gap) =
            (memory(&["Employed"]), StatusMemory { incomplete: true, ..memory(&["Employed"]) });
        for (memory, confirmed) in [(Some(&kept), true), (Some(&gap), false), (None, false)] {
            assert_eq!(
                StatusAnswer { memory, ..answer(900) }.confirms(&unknown),
                confirmed,
                "{memory:?}"
            );
        }
    }

    #[test]
    fn a_status_is_lost_where_employees_who_had_it_are_missing() {
        let (shown, before) = (
            ["Employed"].into_iter().collect(),
            memory(&["Employed", "Parental leave", "Sabbatical"]),
        );
        let answer =
            StatusAnswer { shown: &shown, memory: Some(&before), now: at(0), apart: APART };
        let texts = |lost: Vec<LostStatus>| {
            lost.into_iter()
                .map(|lost| (lost.text.unwrap().into(), lost.holders))
                .collect::<Vec<(String, usize)>>()
        };
        assert_eq!(texts(answer.lost(&[])), [], "they are in the answer with another status");
        let two = [
            missing("1", "parental leave", Absence::FORBIDDEN),
            missing("2", "Parental leave", Absence::default()),
        ];
        assert_eq!(texts(answer.suspects(&two)), [("Parental leave".into(), 2)]);
        assert_eq!(texts(answer.suspects(&two[1..])), [("Parental leave".into(), 1)]);
        assert_eq!(texts(answer.suspects(&two[..1])), [], "a refusal concerns that employee only");
        let remembered = answer.remember(&two[..1]);
        assert_eq!(
            remembered.words.texts().collect::<Vec<_>>(),
            ["Employed", "Parental leave"],
            "as long as the employee is missing"
        );
        // After a restart it is not known which employee had which status.
        let unknown = [missing("1", "", Absence::default().not_found(at(0)))];
        assert_eq!(answer.suspects(&unknown).len(), 2);
        assert_eq!(answer.suspects(&[missing("1", "", Absence::FORBIDDEN)]), []);
        assert_eq!(answer.remember(&unknown).words, before.words);
        assert!(
            !answer.remember(&unknown).incomplete
                && StatusAnswer { memory: None, ..answer }.remember(&unknown).incomplete
        );
    }

    #[test]
    fn leavers_are_hidden_where_bob_has_shown_some_and_shows_none() {
        let (both, one) =
            (["Employed", "terminated"].into_iter().collect(), ["Employed"].into_iter().collect());
        let answer = StatusAnswer { shown: &one, memory: None, now: at(0), apart: APART };
        assert!(!answer.hides_leavers() && !answer.remember(&[]).leavers, "none was ever shown");
        let first = StatusAnswer { shown: &both, ..answer };
        assert!(!first.hides_leavers());
        let first = first.remember(&[]);
        // No missing employee had the status, because those employees never had an account.
        let second = StatusAnswer { memory: Some(&first), ..answer };
        assert!(second.hides_leavers() && second.lost(&[]).is_empty());
        let second = second.remember(&[]);
        assert!(
            StatusAnswer { memory: Some(&second), ..answer }.hides_leavers(),
            "as long as Bob shows none"
        );
        assert!(!StatusAnswer { shown: &both, memory: Some(&second), ..answer }.hides_leavers());
        // A status of an older version has no such mark.
        assert!(StatusAnswer { memory: Some(&memory(&["Terminated"])), ..answer }.hides_leavers());
    }

    #[test]
    fn it_is_remembered_for_ever_that_bob_has_shown_people_who_are_not_at_work() {
        let (shown, later) =
            (["Employed", "HIRED"].into_iter().collect(), ["Employed"].into_iter().collect());
        let answer = StatusAnswer { shown: &later, memory: None, now: at(0), apart: APART };
        assert!(!answer.remember(&[]).beyond_work);
        let first = StatusAnswer { shown: &shown, ..answer }.remember(&[]);
        assert!(
            first.beyond_work
                && StatusAnswer { memory: Some(&first), ..answer }.remember(&[]).beyond_work
        );
    }
}
