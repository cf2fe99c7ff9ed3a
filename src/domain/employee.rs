//! One row of Bob. It is compact, because a pass holds up to a hundred thousand of them.

use jiff::civil::Date;

/// The Bob fields that a pass asks for, in the order in which every [`Values`] holds them. The
/// first ten are always there, because decisions use them. Mapped fields follow, each of them once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fields {
    ids: Vec<Box<str>>,
}

/// Index of a field in [`Fields`].
pub type FieldIndex = usize;

/// `root.id`
pub const ID: FieldIndex = 0;
/// `root.email`
pub const EMAIL: FieldIndex = 1;
/// `internal.lifecycleStatus`
pub const LIFECYCLE: FieldIndex = 2;
/// `internal.status`
pub const STATUS: FieldIndex = 3;
/// `work.startDate`
pub const START: FieldIndex = 4;
/// `internal.terminationDate`
pub const TERMINATION: FieldIndex = 5;
/// `employee.lastDayOfWork`
pub const LAST_DAY: FieldIndex = 6;
/// `work.site`
pub const SITE: FieldIndex = 7;
/// `employee.recentLeaveStartDate`
pub const LEAVE_START: FieldIndex = 8;
/// `employee.recentLeaveEndDate`
pub const LEAVE_END: FieldIndex = 9;

const ALWAYS: [&str; 10] = [
    "root.id",
    "root.email",
    "internal.lifecycleStatus",
    "internal.status",
    "work.startDate",
    "internal.terminationDate",
    "employee.lastDayOfWork",
    "work.site",
    "employee.recentLeaveStartDate",
    "employee.recentLeaveEndDate",
];

impl Default for Fields {
    fn default() -> Self {
        Self { ids: ALWAYS.iter().map(|&id| id.into()).collect() }
    }
}

/// What follows the id of a reference to an employee, for the name of that employee as Bob shows
/// it. It comes with the reference, so Bob is not asked for it.
const LABEL: &str = "/label";

/// Returns the id under which Bob knows a field.
#[must_use]
pub fn known_to_bob(id: &str) -> &str {
    id.strip_suffix(LABEL).unwrap_or(id)
}

impl Fields {
    /// Returns the index of the name behind this reference to an employee.
    pub fn want_label(&mut self, reference: &str) -> FieldIndex {
        self.want(reference);
        self.want(&format!("{reference}{LABEL}"))
    }

    /// Returns the names of employees that are wanted: the index of each name, and of the
    /// reference.
    pub fn labels(&self) -> impl Iterator<Item = (FieldIndex, FieldIndex)> + '_ {
        let all = self.ids.iter().enumerate();
        all.filter_map(|(field, id)| Some((field, self.position(id.strip_suffix(LABEL)?)?)))
    }

    /// Returns the ids that Bob is asked for.
    #[must_use]
    pub fn asked(&self) -> Vec<&str> {
        self.ids.iter().map(|id| &**id).filter(|id| !id.ends_with(LABEL)).collect()
    }

    /// Returns the index of this field. Adds the field if it is new.
    pub fn want(&mut self, id: &str) -> FieldIndex {
        self.position(id).unwrap_or_else(|| {
            self.ids.push(id.into());
            self.ids.len() - 1
        })
    }

    /// Returns the index of this field, if Bob is asked for it.
    #[must_use]
    pub fn position(&self, id: &str) -> Option<FieldIndex> {
        self.ids.iter().position(|known| **known == *id)
    }

    /// Returns the field ids in order.
    #[must_use]
    pub fn ids(&self) -> &[Box<str>] {
        &self.ids
    }
}

/// One cell of a row. Bob leaves out a field that the service user may not see, and sends null for
/// an empty one. The code never confuses the two, because an absent field must not clear an
/// attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cell<'a> {
    /// The field is hidden by permission, unknown to Bob, or not asked for.
    Absent,
    /// The field is empty in Bob.
    Null,
    /// Text: the human label of list fields, ISO dates, ids of references.
    Text(&'a str),
}

impl<'a> Cell<'a> {
    /// Returns the text, if there is one that is not blank.
    #[must_use]
    pub fn text(self) -> Option<&'a str> {
        match self {
            Self::Text(text) => Some(trimmed(text)).filter(|text| !text.is_empty()),
            _ => None,
        }
    }
}

/// Returns `text` without blanks at its ends. The first branch is a short cut, because few texts
/// have such blanks.
fn trimmed(text: &str) -> &str {
    match text.as_bytes() {
        [first, .., last] if first.is_ascii_graphic() && last.is_ascii_graphic() => text,
        _ => text.trim(),
    }
}

/// The cells of one row, in one allocation of text and one of offsets.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Values {
    text: Box<str>,
    /// End offset of each cell's text. The two highest bits mean Absent and Null.
    ends: Box<[u32]>,
}

const ABSENT: u32 = 1 << 31;
const NULL: u32 = 1 << 30;
const OFFSET: u32 = NULL - 1;

impl Values {
    /// Builds a row from its cells, in the order of [`Fields`].
    #[must_use]
    pub fn from_cells<'a>(cells: impl ExactSizeIterator<Item = Cell<'a>>) -> Self {
        let mut text = String::new();
        let mut ends = Vec::with_capacity(cells.len());
        for cell in cells {
            let flag = match cell {
                Cell::Absent => ABSENT,
                Cell::Null => NULL,
                Cell::Text(value) => {
                    // A single row never reaches 1 GiB: readers refuse an employee of that size
                    // much earlier.
                    if text.len() + value.len() <= OFFSET as usize {
                        text.push_str(value);
                    }
                    0
                }
            };
            ends.push(flag | u32::try_from(text.len()).unwrap_or(OFFSET));
        }
        Self { text: text.into_boxed_str(), ends: ends.into_boxed_slice() }
    }

    /// Returns the cell at `index`, or [`Cell::Absent`] after the end.
    #[must_use]
    pub fn get(&self, index: FieldIndex) -> Cell<'_> {
        let Some(&end) = self.ends.get(index) else { return Cell::Absent };
        if end & ABSENT != 0 {
            return Cell::Absent;
        }
        if end & NULL != 0 {
            return Cell::Null;
        }
        let start = if index == 0 { 0 } else { self.ends[index - 1] & OFFSET };
        Cell::Text(&self.text[start as usize..end as usize])
    }
}

/// Bob's lifecycle status. Upper and lower case differ between tenants, and companies add leave
/// types of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Lifecycle {
    /// The start date is in the future, or was when Bob last changed the status.
    Hired,
    /// The employee is at work.
    Employed,
    /// The last day of work is over, and the termination date is in the future.
    GardenLeave,
    /// Any kind of leave, also one that the company added.
    Leave,
    /// The employee has left.
    Terminated,
    /// The status is hidden by permission or empty.
    Unknown,
}

impl Lifecycle {
    /// Reads Bob's text and ignores case, blanks and punctuation.
    #[must_use]
    pub fn read(cell: Cell<'_>) -> Self {
        let Some(text) = cell.text() else { return Self::Unknown };
        match plain(text).as_str() {
            "hired" => Self::Hired,
            "employed" | "active" => Self::Employed,
            "gardenleave" => Self::GardenLeave,
            "terminated" => Self::Terminated,
            _ => Self::Leave,
        }
    }
}

/// Returns a word without blanks and punctuation, in lower case.
pub(super) fn plain(text: &str) -> String {
    text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// `internal.status`: whether the employee may use Bob. Bob's own integrations follow it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BobStatus {
    /// `Active`
    Active,
    /// `Inactive`
    Inactive,
    /// The status is hidden, empty, or another word.
    Unknown,
}

impl BobStatus {
    /// Reads Bob's text and ignores case.
    #[must_use]
    pub fn read(cell: Cell<'_>) -> Self {
        match cell.text() {
            Some(text) if text.eq_ignore_ascii_case("active") => Self::Active,
            Some(text) if text.eq_ignore_ascii_case("inactive") => Self::Inactive,
            _ => Self::Unknown,
        }
    }
}

/// A date cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Day {
    /// The date is hidden, or the text is not a date. It is no evidence of anything.
    Unknown,
    /// The date is empty in Bob.
    None,
    /// A date in the site's calendar.
    On(Date),
}

impl Day {
    /// Reads `YYYY-MM-DD`, or the date part of an ISO date and time.
    #[must_use]
    pub fn read(cell: Cell<'_>) -> Self {
        match cell {
            Cell::Null => Self::None,
            Cell::Text(text) if text.trim().is_empty() => Self::None,
            Cell::Text(text) => {
                let text = text.trim();
                let date = text
                    .get(..10)
                    .filter(|_| text.len() == 10 || text.as_bytes().get(10) == Some(&b'T'));
                date.and_then(|date| date.parse().ok()).map_or(Self::Unknown, Self::On)
            }
            Cell::Absent => Self::Unknown,
        }
    }

    /// Returns the date, if there is one.
    #[must_use]
    pub fn date(self) -> Option<Date> {
        match self {
            Self::On(date) => Some(date),
            _ => None,
        }
    }
}

/// Rows of the mapping, each with the value that an `EmployeeSync` pins.
pub type Pins = Box<[(usize, Box<str>)]>;

/// One employee as Bob shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Employee {
    /// Every cell that Bob was asked for.
    pub values: Values,
    /// Lifecycle status.
    pub lifecycle: Lifecycle,
    /// Access to Bob.
    pub status: BobStatus,
    /// First day of the current employment.
    pub start: Day,
    /// Day on which the employment ends.
    pub termination: Day,
    /// Last day at the office, which may be before the termination.
    pub last_day: Day,
    /// First day of the latest leave that Bob knows, past or planned.
    pub leave_start: Day,
    /// Last day of that leave.
    pub leave_end: Day,
    /// What the `EmployeeSync` pins: row of the mapping, and the value that replaces the value of
    /// the row.
    pub pins: Option<Pins>,
    /// Whether a read by id said that the file is gone. Only the id is known then.
    pub deleted: bool,
    /// Whether an `EmployeeSync` was written before the employee is in Bob. Only the id is known
    /// then.
    pub expected: bool,
    /// Whether Bob was not read for this decision, or does not show the employee. Only the id is
    /// known then, and the decision uses only what is on record.
    pub unread: bool,
}

impl Employee {
    /// Reads the decision fields of a row. Returns `None` if the row has no id.
    #[must_use]
    pub fn from_values(values: Values) -> Option<Self> {
        values.get(ID).text()?;
        Some(Self {
            lifecycle: Lifecycle::read(values.get(LIFECYCLE)),
            status: BobStatus::read(values.get(STATUS)),
            start: Day::read(values.get(START)),
            termination: Day::read(values.get(TERMINATION)),
            last_day: Day::read(values.get(LAST_DAY)),
            leave_start: Day::read(values.get(LEAVE_START)),
            leave_end: Day::read(values.get(LEAVE_END)),
            pins: None,
            deleted: false,
            expected: false,
            unread: false,
            values,
        })
    }

    /// Returns an employee with a file that is confirmed to be gone.
    #[must_use]
    pub fn gone(id: &str) -> Self {
        Self { deleted: true, ..Self::nothing_but(id) }
    }

    /// Returns an employee who is not in Bob yet.
    #[must_use]
    pub fn expected(id: &str) -> Self {
        Self { expected: true, ..Self::nothing_but(id) }
    }

    /// Returns an employee that Bob was not asked about, or does not show.
    #[must_use]
    pub fn unread(id: &str) -> Self {
        Self { unread: true, ..Self::nothing_but(id) }
    }

    /// Returns whether no row of Bob is known for the employee.
    #[must_use]
    pub const fn is_without_a_row(&self) -> bool {
        self.deleted || self.expected || self.unread
    }

    fn nothing_but(id: &str) -> Self {
        Self {
            values: Values::from_cells([Cell::Text(id)].into_iter()),
            lifecycle: Lifecycle::Unknown,
            status: BobStatus::Unknown,
            start: Day::Unknown,
            termination: Day::Unknown,
            last_day: Day::Unknown,
            leave_start: Day::Unknown,
            leave_end: Day::Unknown,
            pins: None,
            deleted: false,
            expected: false,
            unread: false,
        }
    }

    /// Returns Bob's `root.id`.
    #[must_use]
    pub fn id(&self) -> &str {
        self.values.get(ID).text().unwrap_or_default()
    }

    /// Returns what the `EmployeeSync` pins for this row of the mapping.
    #[must_use]
    pub fn pinned(&self, row: usize) -> Option<&str> {
        self.pins.as_ref()?.iter().find(|(pinned, _)| *pinned == row).map(|(_, value)| &**value)
    }

    /// Returns the work e-mail without blanks and invisible characters at its ends.
    #[must_use]
    pub fn email(&self) -> Option<&str> {
        self.values.get(EMAIL).text().map(super::visible::trimmed).filter(|email| !email.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absent_null_and_text_stay_apart() {
        let row = Values::from_cells(
            [Cell::Text("1"), Cell::Null, Cell::Absent, Cell::Text(""), Cell::Text("né")]
                .into_iter(),
        );
        let cells: Vec<_> = (0..6).map(|i| row.get(i)).collect();
        assert_eq!(
            cells,
            [
                Cell::Text("1"),
                Cell::Null,
                Cell::Absent,
                Cell::Text(""),
                Cell::Text("né"),
                Cell::Absent
            ]
        );
    }

    #[test]
    fn lifecycle_words_ignore_case_and_unknown_words_are_leaves() {
        for (word, expected) in [
            ("hired", Lifecycle::Hired),
            ("Employed", Lifecycle::Employed),
            ("GARDEN LEAVE", Lifecycle::GardenLeave),
            ("gardenLeave", Lifecycle::GardenLeave),
            ("Parental leave", Lifecycle::Leave),
            ("Sabbatical", Lifecycle::Leave),
            ("terminated", Lifecycle::Terminated),
            ("  ", Lifecycle::Unknown),
        ] {
            assert_eq!(Lifecycle::read(Cell::Text(word)), expected, "{word}");
        }
        assert_eq!(Lifecycle::read(Cell::Null), Lifecycle::Unknown);
    }

    #[test]
    fn only_iso_dates_are_dates() {
        assert_eq!(
            Day::read(Cell::Text("2026-11-02")).date(),
            Some(jiff::civil::date(2026, 11, 2))
        );
        assert_eq!(
            Day::read(Cell::Text("2026-11-02T00:00:00")).date(),
            Some(jiff::civil::date(2026, 11, 2))
        );
        assert_eq!(Day::read(Cell::Text("02/11/2026")), Day::Unknown);
        assert_eq!(Day::read(Cell::Null), Day::None);
        assert_eq!(Day::read(Cell::Absent), Day::Unknown);
    }
}
