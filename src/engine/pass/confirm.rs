//! Part of step 2: reads the employees that Bob's answer lacks by id, as many as Bob's limit for a
//! minute allows. The roster remembers what a read says. `domain::missing` decides whether it means
//! that a file is gone.

use std::{collections::HashSet, time::Duration};

use jiff::Timestamp;
use tokio::time::Instant;

use super::last_read::LastRead;
use crate::{
    bob,
    cluster::roster::Employees,
    domain::{
        employee::{Employee, Fields, LIFECYCLE},
        missing::{Absence, MissingEmployee, StatusAnswer, StatusMemory, Word, Words},
        priority::Urgency,
    },
    engine::stop::{Stop, bob_stop},
};

/// The time after which these reads end, because decisions on all other employees wait for them.
const WITHIN: Duration = Duration::from_secs(60);
/// When the next pass begins while employees wait for their turn: Bob's minute is over then.
const NEXT_MINUTE: Duration = Duration::from_secs(61);
/// How many free reads of Bob's minute are left to partial passes. Without them, an event or a date
/// that needs a read of Bob would wait until a full pass asked for every missing employee.
const LEFT_FOR_SINGLE: usize = 10;
/// How many reads of Bob's minute are then left to a full pass, if no other pass reads: forty reads
/// are not urgent ones.
const IN_A_MINUTE: usize = 40 - LEFT_FOR_SINGLE;
/// How many employees outside of the service user's rights one pass asks for again.
const REFUSED_AGAIN: usize = 5;

/// The result of the reads.
#[derive(Debug, Default)]
pub struct Confirmed {
    /// The employees that a read by id found.
    pub found: Vec<Employee>,
    /// The employees with a file that is gone.
    pub gone: Vec<Box<str>>,
    /// The employees that are still missing.
    pub missing: Vec<Box<str>>,
    /// How many employees wait for their turn, or got no answer.
    pub unconfirmed: usize,
    /// How many employees are outside of the service user's rights.
    pub forbidden: usize,
    /// When the next pass has something to confirm.
    pub again: Option<Timestamp>,
    /// The lifecycle statuses that are missing as a whole, in words.
    pub lost: Vec<String>,
    /// What is to be remembered of lifecycle statuses.
    pub memory: StatusMemory,
    /// Whether Bob has shown Terminated employees before and shows none now.
    pub hides_leavers: bool,
}

/// What the reads work with.
pub struct Confirming<'a> {
    /// The client of Bob, the source.
    pub bob: &'a bob::Client,
    /// The fields to ask for.
    pub fields: &'a Fields,
    /// What is known of every `EmployeeSync`.
    pub roster: &'a Employees,
    /// What is known of earlier reads.
    pub last: &'a LastRead,
    /// The present time.
    pub now: Timestamp,
}

impl Confirming<'_> {
    /// Reads the employees that are missing from an answer with these statuses.
    ///
    /// # Errors
    /// A [`Stop`]: Bob refused the credential. No other answer of Bob to a single read ends a pass,
    /// or the other reads.
    pub async fn run(
        &self,
        shown: Words,
        missing: Vec<MissingEmployee>,
    ) -> Result<Confirmed, Stop> {
        let mut reading = SingleReads {
            cx: self,
            shown,
            missing,
            asked: HashSet::new(),
            outcome: Confirmed::default(),
            ends: Instant::now() + WITHIN,
        };
        // One employee of each lost status is read. If the read finds the employee, the status is
        // not hidden.
        let lost = reading.answer().lost(&reading.missing);
        let probes = lost.iter().filter_map(|lost| {
            let holders: Vec<&MissingEmployee> =
                reading.missing.iter().filter(|missing| missing.word == lost.word).collect();
            holders.get(reading.first(holders.len())).map(|missing| missing.id.clone())
        });
        let probes: Vec<Box<str>> = probes.collect();
        reading.ask(probes).await?;
        let others = reading.others();
        reading.ask(others).await?;
        Ok(reading.end())
    }
}

struct SingleReads<'a> {
    cx: &'a Confirming<'a>,
    shown: Words,
    /// The employees that are still missing.
    missing: Vec<MissingEmployee>,
    asked: HashSet<Box<str>>,
    outcome: Confirmed,
    ends: Instant,
}

impl SingleReads<'_> {
    fn answer(&self) -> StatusAnswer<'_> {
        StatusAnswer {
            shown: &self.shown,
            memory: self.cx.last.memory.as_ref(),
            now: self.cx.now,
            apart: self.cx.last.apart,
        }
    }

    /// Returns where the reads of this minute begin in a list of this many employees.
    fn first(&self, count: usize) -> usize {
        first(self.cx.now, count)
    }

    /// Returns the employees to ask for, in this order: those with a due second 404, those that
    /// were not asked for, and some of those that were refused. Employees of a lost status are left
    /// out, because one of them was just asked for.
    fn others(&self) -> Vec<Box<str>> {
        let answer = self.answer();
        let lost: HashSet<Word> =
            answer.lost(&self.missing).into_iter().map(|lost| lost.word).collect();
        let open = self
            .missing
            .iter()
            .filter(|missing| !self.asked.contains(&missing.id) && !lost.contains(&missing.word));
        let (mut due, mut fresh, mut refused) = (Vec::new(), Vec::new(), Vec::new());
        for missing in open {
            if missing.absence.forbidden {
                refused.push(missing.id.clone());
            } else if !missing.absence.is_doubt() {
                fresh.push(missing.id.clone());
            } else if answer.is_second(missing) {
                due.push(missing.id.clone());
            }
        }
        for list in [&mut due, &mut fresh, &mut refused] {
            list.sort_unstable();
            let first = self.first(list.len());
            list.rotate_left(first);
        }
        refused.truncate(REFUSED_AGAIN);
        [due, fresh, refused].concat()
    }

    async fn ask(&mut self, ids: Vec<Box<str>>) -> Result<(), Stop> {
        let roster = self.cx.roster;
        let mut ids = ids.into_iter();
        for id in ids.by_ref() {
            let left = self.ends.saturating_duration_since(Instant::now());
            if self.cx.bob.free_reads(Urgency::Normal) <= LEFT_FOR_SINGLE || left.is_zero() {
                self.outcome.unconfirmed += 1;
                break;
            }
            let Some(place) = self.missing.iter().position(|missing| missing.id == id) else {
                continue;
            };
            self.asked.insert(id.clone());
            let reading = self.cx.bob.one(self.cx.fields, &id, Urgency::Normal);
            match tokio::time::timeout(left, reading).await {
                Ok(Ok(Some(employee))) => {
                    self.missing.swap_remove(place);
                    self.shown.add(employee.values.get(LIFECYCLE));
                    self.outcome.found.push(employee);
                }
                Ok(Ok(None)) if self.answer().confirms(&self.missing[place]) => {
                    self.missing.swap_remove(place);
                    self.outcome.gone.push(id);
                }
                Ok(Ok(None)) => {
                    let absence = self.missing[place].absence.not_found(self.cx.now);
                    self.missing[place].absence = absence;
                    roster.absent(&id, absence);
                }
                Ok(Err(bob::Error::Forbidden { .. })) => {
                    self.missing[place].absence = Absence::FORBIDDEN;
                    roster.absent(&id, Absence::FORBIDDEN);
                }
                Ok(Err(error @ bob::Error::Unauthorized)) => return Err(bob_stop(error)),
                Ok(Err(bob::Error::Throttled { .. })) => {
                    self.outcome.unconfirmed += 1;
                    break;
                }
                // A missing answer is no evidence. The next pass asks again.
                Ok(Err(bob::Error::Unavailable { .. })) | Err(_) => self.outcome.unconfirmed += 1,
            }
        }
        self.outcome.unconfirmed += ids.count();
        Ok(())
    }

    fn end(self) -> Confirmed {
        let answer = self.answer();
        let name = |text: Option<Box<str>>| {
            text.map_or_else(|| "a status that Bob showed before".to_owned(), Into::into)
        };
        let suspects = answer.suspects(&self.missing);
        let suspected: HashSet<Word> = suspects.iter().map(|lost| lost.word).collect();
        let second = self.missing.iter().filter(|missing| !suspected.contains(&missing.word));
        let second = second
            .filter_map(|missing| missing.absence.second_look(self.cx.last.apart))
            .filter(|at| *at > self.cx.now);
        let soon = (self.outcome.unconfirmed > 0)
            .then(|| self.cx.now.checked_add(NEXT_MINUTE).unwrap_or(Timestamp::MAX));
        let (again, memory) = (second.chain(soon).min(), answer.remember(&self.missing));
        let hides_leavers = answer.hides_leavers();
        let forbidden = self.missing.iter().filter(|missing| missing.absence.forbidden).count();
        let lost = suspects.into_iter().map(|lost| name(lost.text)).collect();
        let missing = self.missing.into_iter().map(|missing| missing.id).collect();
        Confirmed { missing, forbidden, again, lost, memory, hides_leavers, ..self.outcome }
    }
}

/// Returns where the reads of the minute of `now` begin in a list of this many employees: after
/// those of the minute before. Employees that every read finds then do not keep the other ones from
/// their turn.
fn first(now: Timestamp, count: usize) -> usize {
    let minute = usize::try_from(now.as_second()).unwrap_or(0) / 60;
    (minute * IN_A_MINUTE).checked_rem(count).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_employee_has_a_turn_within_as_many_minutes_as_the_reads_take() {
        for count in [1_usize, 29, 30, 31, 45, 60, 80, 120, 997] {
            let minutes = count.div_ceil(IN_A_MINUTE);
            let mut read = vec![false; count];
            for minute in 0..minutes {
                let now =
                    Timestamp::from_second(1_795_510_800 + 60 * i64::try_from(minute).unwrap())
                        .unwrap();
                (0..IN_A_MINUTE).for_each(|place| read[(first(now, count) + place) % count] = true);
            }
            assert!(read.iter().all(|read| *read), "{count} employees in {minutes} minutes");
        }
        assert_eq!(first(Timestamp::UNIX_EPOCH, 0), 0);
    }
}
