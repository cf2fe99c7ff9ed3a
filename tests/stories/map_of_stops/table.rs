//! The map of stops as docs/safety.md prints it, read cell by cell. An unknown cell fails.

const DOCUMENT: &str = include_str!("../../../docs/safety.md");
const HEADING: &str = "## The map of stops";

/// Whether something goes on while the trouble lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Goes {
    /// It goes on.
    Yes,
    /// It does not succeed, and is tried again.
    Waits,
    /// It is not tried at the usual pace; the cell says when the next try is.
    No,
}

/// How long it takes at most after the end of the trouble.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    AtOnce,
    Interval,
    FifteenMinutes,
    Hour,
}

/// What ends the trouble.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ends {
    /// The cause goes away, and nothing is done in Kubernetes.
    ByItself,
    /// A person acts.
    Person,
}

/// A condition that a person sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sign {
    pub of: String,
    pub kind: String,
    pub status: String,
    pub reason: String,
}

/// One row.
#[derive(Clone, Debug)]
pub struct Row {
    pub id: String,
    /// Leavers.
    pub suspensions: Goes,
    pub revocations: Goes,
    pub events: Goes,
    /// Events are refused with 503 for now, and Bob sends them again.
    pub sent_again: bool,
    pub changes: Goes,
    pub creates: Goes,
    /// The row concerns an employee of its own, and this employee's change waits.
    pub concerns_one: bool,
    pub then: Then,
    pub signs: Vec<Sign>,
    pub ends: Ends,
    /// The printed cell of the suspensions.
    pub suspensions_cell: String,
}

impl Row {
    /// Returns the row with this id.
    pub fn named(id: &str) -> Self {
        let found = all().into_iter().find(|row| row.id == id);
        found.unwrap_or_else(|| panic!("docs/safety.md has no row {id}"))
    }

    fn read(line: &str) -> Self {
        let cells: Vec<&str> = line.trim().trim_matches('|').split('|').map(str::trim).collect();
        let [id, wrong, suspensions, events, changes, creates, waits, how_long, sees, ends] =
            cells[..]
        else {
            panic!("ten cells: {line}")
        };
        let id = id.trim_matches('`').to_owned();
        assert!(!wrong.is_empty(), "{id}: what went wrong?");
        let leavers = goes(suspensions);
        let row = Self {
            suspensions: leavers,
            revocations: suspensions
                .split_once("immediate revocations: ")
                .map_or(leavers, |(_, word)| goes(word)),
            events: goes(events),
            sent_again: events.contains("503"),
            changes: goes(changes),
            creates: goes(creates),
            concerns_one: waits.contains("the one concerned"),
            then: then(how_long),
            signs: if sees == "nothing" { Vec::new() } else { sees.split(';').map(sign).collect() },
            ends: if ends.starts_with("by itself") {
                Ends::ByItself
            } else {
                assert!(ends.starts_with("a person"), "by itself, or a person: {ends}");
                Ends::Person
            },
            suspensions_cell: suspensions.to_owned(),
            id,
        };
        assert_eq!(row.stops_nothing(), waits == "nothing", "{}: what waits: {waits}", row.id);
        row
    }

    /// Returns whether everything goes on.
    pub fn stops_nothing(&self) -> bool {
        let all = [self.suspensions, self.revocations, self.events, self.changes, self.creates];
        !self.concerns_one && all.iter().all(|goes| *goes == Goes::Yes)
    }
}

/// Returns every row.
pub fn all() -> Vec<Row> {
    let (_, map) = DOCUMENT.split_once(HEADING).expect("the heading of the map");
    let map = map.split("\n## ").next().unwrap_or_default();
    let rows: Vec<Row> =
        map.lines().filter(|line| line.starts_with("| `")).map(Row::read).collect();
    assert!(!rows.is_empty(), "the map has rows");
    rows
}

fn goes(cell: &str) -> Goes {
    let word: String = cell.chars().take_while(char::is_ascii_alphabetic).collect();
    match word.as_str() {
        "yes" => Goes::Yes,
        "waits" => Goes::Waits,
        "no" => Goes::No,
        _ => panic!("yes, waits or no: {cell}"),
    }
}

fn then(cell: &str) -> Then {
    let known = [
        ("then at once", Then::AtOnce),
        ("then an interval at most", Then::Interval),
        ("then 15 minutes at most", Then::FifteenMinutes),
        ("then an hour at most", Then::Hour),
    ];
    let found = known.into_iter().find(|(words, _)| cell.ends_with(words));
    found.unwrap_or_else(|| panic!("how long: {cell}")).1
}

fn sign(text: &str) -> Sign {
    let parts: Vec<&str> = text.split('`').map(str::trim).collect();
    let [of, kind, status, reason, ""] = parts[..] else {
        panic!("who `Condition` Status `Reason`: {text}")
    };
    Sign {
        of: of.to_owned(),
        kind: kind.to_owned(),
        status: status.to_owned(),
        reason: reason.to_owned(),
    }
}
