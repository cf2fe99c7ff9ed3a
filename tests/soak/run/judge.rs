//! The judge. It uses the facts in Bob and the applied writes in the provider's journal, and
//! nothing that the controller reports. The contract's sentences about access come from
//! `tests/domain/oracle.rs`.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use bobsync::domain::{
    access::Missing,
    account::Access,
    settings::{AccessEnds, Create, UserStatus},
};
use jiff::Timestamp;
use serde_json::Value;
use simulators::Control;

use super::{
    BOBS_MINUTE,
    company::{Company, File},
    stage::{LONGEST_TEXT, Stage},
    standing::Standing,
};
use oracle::{Before, Facts, Shown, Wishes};

#[allow(dead_code)] // the announcement of what comes next is judged elsewhere
#[path = "../../domain/oracle.rs"]
mod oracle;

/// A rule that was broken.
#[derive(Clone, Debug)]
pub struct Wrong {
    /// The rule.
    pub kind: Kind,
    /// The employee or the account, and what is wrong.
    said: String,
    /// Bob's id of the employee, if the rule concerns one.
    pub employee: Option<String>,
}

impl Wrong {
    /// Makes the finding that there is no obstacle any more, and still something to write.
    pub fn no_rest(last: String) -> Self {
        Self {
            kind: Kind::LostUpdate,
            said: format!("it comes to no rest; the last sync: {last}"),
            employee: None,
        }
    }

    /// Makes the finding of an employee who kept access for two intervals after Bob and the
    /// provider had both answered.
    pub fn late(id: &str) -> Self {
        Self {
            kind: Kind::Late,
            said: format!("{id} should have lost access two intervals ago"),
            employee: Some(id.to_owned()),
        }
    }

    /// Adds what the controller says of the employee.
    pub fn add(&mut self, said: &str) {
        self.said = format!("{}\n{said}", self.said);
    }
}

/// The rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Two accounts with one mark.
    Duplicate,
    /// The provider is not as decided, long after the faults ended.
    LostUpdate,
    /// Access taken without positive evidence.
    Disable,
    /// Access not taken in time.
    Late,
    /// Access given without evidence of employment.
    Access,
    /// An account without an employee, or a stranger's, was written, or an account was deleted.
    NotOurs,
}

impl std::fmt::Display for Wrong {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}: {}", self.kind, self.said)
    }
}

/// Returns the spec's settings, in the form of the oracle.
fn wishes() -> Wishes {
    Wishes {
        create: Create::OnStartDate,
        user_status: UserStatus::AccordingToBob,
        domains: Vec::new(),
        trigger: true,
        ends: AccessEnds::EndOfDay,
        default_zone: "Europe/London",
        sites: vec![("Berlin", "Europe/Berlin"), ("Auckland", "Pacific/Auckland")],
        hands_off: false,
    }
}

pub struct Judge {
    control: Control,
    seen: u64,
    /// Applied writes looked at.
    pub writes: usize,
    /// Applied writes that ended an employee's access.
    pub out: u32,
    /// Bob's data in the step before and now: what a pass may have read.
    files: [BTreeMap<String, File>; 2],
    /// The clock in the step before, at the beginning of this one and at its end.
    clocks: [Timestamp; 3],
}

impl Judge {
    /// Returns a judge that has seen nothing yet.
    pub async fn new(control: &Control, company: &Company) -> Self {
        let now = control.now().await.expect("a clock");
        let files = [company.files.clone(), company.files.clone()];
        Self { control: control.clone(), seen: 0, writes: 0, out: 0, files, clocks: [now; 3] }
    }

    /// Notes that Bob and the clock have changed.
    pub fn time_passes(&mut self, company: &Company, now: Timestamp) {
        let [_, last] = std::mem::take(&mut self.files);
        self.files = [last, company.files.clone()];
        self.clocks = [self.clocks[2], now, now];
    }

    /// Checks every write since the last look, and the marks.
    pub async fn look(&mut self, company: &Company, now: Timestamp) -> Vec<Wrong> {
        self.clocks[2] = now;
        let mut wrong = Vec::new();
        for change in self.control.journal(self.seen).await.expect("the journal") {
            self.seen = change.seq;
            self.writes += 1;
            self.out += u32::from(change.before["status"] == 1 && change.after["status"] == 2);
            wrong.extend(self.one(company, change.id, &change.before, &change.after));
        }
        wrong.extend(self.marks(company).await);
        wrong
    }

    async fn marks(&self, company: &Company) -> Vec<Wrong> {
        let mut marked: BTreeMap<String, u32> = BTreeMap::new();
        for user in self.control.users().await.expect("users") {
            if let Some(mark) = user["external_id"].as_str() {
                *marked.entry(mark.to_owned()).or_default() += 1;
            }
        }
        let ours = |id: &str| company.files.contains_key(id) || company.deleted.contains_key(id);
        let twice = marked.iter().filter(|(id, count)| **count > 1 && ours(id));
        twice
            .map(|(id, count)| Wrong {
                kind: Kind::Duplicate,
                said: format!("{count} accounts bear the mark of {id}"),
                employee: None,
            })
            .collect()
    }

    /// Checks one applied write.
    fn one(&self, company: &Company, account: i64, before: &Value, after: &Value) -> Vec<Wrong> {
        let mut wrong = Vec::new();
        let mark = |user: &Value| user["external_id"].as_str().map(str::to_owned);
        if after.is_null() {
            return vec![Wrong {
                kind: Kind::NotOurs,
                said: format!("account {account} was deleted"),
                employee: None,
            }];
        }
        let Some(id) = mark(after) else {
            return vec![Wrong {
                kind: Kind::NotOurs,
                said: format!("account {account} was written and bears no mark"),
                employee: None,
            }];
        };
        if !company.files.contains_key(&id) && !company.deleted.contains_key(&id) {
            wrong.push(Wrong {
                kind: Kind::NotOurs,
                said: format!("account {account} was written and is of nobody in Bob"),
                employee: None,
            });
        }
        match mark(before) {
            Some(owner) if owner != id => wrong.push(Wrong {
                kind: Kind::NotOurs,
                said: format!("account {account} went from {owner} to {id}"),
                employee: None,
            }),
            None if !before.is_null() => {
                let email = before["email"].as_str().unwrap_or_default();
                let has = |files: &BTreeMap<String, File>| {
                    files
                        .get(&id)
                        .is_some_and(|file| file["root.email"].eq_ignore_ascii_case(email))
                };
                if !self.files.iter().any(has) {
                    wrong.push(Wrong {
                        kind: Kind::NotOurs,
                        said: format!(
                            "account {account} was adopted for {id}, whose address it has not"
                        ),
                        employee: None,
                    });
                }
            }
            _ => {}
        }
        let (was, is) = (before["status"].as_i64(), after["status"].as_i64());
        let (gained, lost) = (is == Some(1) && was != Some(1), is == Some(2) && was != Some(2));
        let decided =
            |wanted: Access| self.moments(company, &id).any(|answer| wants(answer) == Some(wanted));
        if gained && !decided(Access::Active) {
            wrong.push(Wrong {
                kind: Kind::Access,
                said: format!(
                    "account {account} of {id} became active without evidence of employment"
                ),
                employee: None,
            });
        }
        if lost && !decided(Access::Suspended) {
            wrong.push(Wrong {
                kind: Kind::Disable,
                said: format!("account {account} of {id} was suspended without positive evidence"),
                employee: None,
            });
        }
        if before.is_null()
            && !self
                .moments(company, &id)
                .any(|answer| matches!(answer.missing, Missing::Create(_)))
        {
            wrong.push(Wrong {
                kind: Kind::Access,
                said: format!("account {account} was made for {id}, who should have none"),
                employee: None,
            });
        }
        wrong
    }

    /// Returns the decisions for this employee with all data that a pass may have read.
    fn moments<'a>(
        &'a self,
        company: &'a Company,
        id: &'a str,
    ) -> impl Iterator<Item = oracle::Answer> + 'a {
        self.files
            .iter()
            .flat_map(move |files| self.clocks.map(|now| answer(company, files.get(id), id, now)))
    }

    /// Counts active accounts of employees with this decided access.
    pub async fn active(&self, company: &Company, now: Timestamp, decided: Access) -> Vec<i64> {
        let users = self.control.users().await.expect("users");
        let so =
            |id: &str| answer(company, company.files.get(id), id, now).existing == Some(decided);
        let theirs = users
            .iter()
            .filter(|user| user["status"] == 1 && user["external_id"].as_str().is_some_and(so));
        theirs.filter_map(|user| user["id"].as_i64()).collect()
    }

    /// Returns Bob's ids of the employees who should have no access and have it, if Bob and the
    /// provider answer for file and account.
    pub async fn owed(
        &self,
        company: &Company,
        now: Timestamp,
        standing: &Standing,
    ) -> Vec<String> {
        let users = self.control.users().await.expect("users");
        let open = |user: &&Value| {
            user["status"] == 1
                && user["id"].as_i64().is_some_and(|id| !standing.accounts.contains(&id))
        };
        let shown = |id: &str| match company.files.get(id) {
            Some(file) => {
                standing.hidden.is_none_or(|hidden| file["internal.lifecycleStatus"] != hidden)
            }
            None => standing.hidden.is_none(),
        };
        let known = |id: &str| company.files.contains_key(id) || company.deleted.contains_key(id);
        let ends = |id: &str| {
            answer(company, company.files.get(id), id, now).existing == Some(Access::Suspended)
        };
        let theirs = users.iter().filter(open).filter_map(|user| user["external_id"].as_str());
        theirs.filter(|id| known(id) && shown(id) && ends(id)).map(str::to_owned).collect()
    }

    /// Returns what is wrong at rest, once the partial passes have ended. The full
    /// pass does not write an employee who waits for a read of Bob.
    pub async fn comes_right(&self, company: &Company, stage: &Stage) -> Vec<Wrong> {
        let began = Instant::now();
        loop {
            let wrong = self.at_rest(company, stage.now()).await;
            if wrong.is_empty() || began.elapsed() > BOBS_MINUTE {
                return wrong;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// Checks a state without faults and with nothing left to write: the provider equals the
    /// decision for every employee.
    async fn at_rest(&self, company: &Company, now: Timestamp) -> Vec<Wrong> {
        let users = self.control.users().await.expect("users");
        let account = |id: &str| users.iter().find(|user| user["external_id"] == id);
        let mut wrong = Vec::new();
        let mut lost = |id: &str, said: String| {
            wrong.push(Wrong { kind: Kind::LostUpdate, said, employee: Some(id.to_owned()) });
        };
        for id in company.files.keys().chain(company.deleted.keys()) {
            let file = company.files.get(id);
            let answer = answer(company, file, id, now);
            let Some(user) = account(id) else {
                if matches!(answer.missing, Missing::Create(_)) {
                    lost(id, format!("{id} should have an account ({:?})", answer.why));
                }
                continue;
            };
            let active = user["status"] == 1;
            if answer.existing.is_some_and(|access| active != (access == Access::Active)) {
                lost(
                    id,
                    format!(
                        "access of {id} is {}, and should be {:?} ({:?})",
                        user["status"], answer.existing, answer.why
                    ),
                );
            }
            let Some(file) = file else { continue };
            for (target, field) in [
                ("email", "root.email"),
                ("username", "root.email"),
                ("lastname", "root.surname"),
                ("title", "work.title"),
                ("department", "work.department"),
            ] {
                if user[target].as_str().map(str::to_owned)
                    != file.get(field).map(|text| as_kept(text))
                {
                    lost(id, format!("{target} of {id} is not as in Bob ({:?})", answer.why));
                }
            }
            let manager = file
                .get("work.manager")
                .filter(|boss| company.files.contains_key(*boss))
                .and_then(|boss| account(boss));
            if manager.is_some_and(|boss| user["manager_user_id"] != boss["id"]) {
                lost(id, format!("the manager of {id} is not as in Bob ({:?})", answer.why));
            }
        }
        wrong
    }
}

/// Returns a text as the provider keeps it.
fn as_kept(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(LONGEST_TEXT).collect()
}

fn wants(answer: oracle::Answer) -> Option<Access> {
    match (answer.existing, answer.missing) {
        (Some(access), _) | (None, Missing::Create(access)) => Some(access),
        (None, _) => None,
    }
}

fn answer(company: &Company, file: Option<&File>, id: &str, now: Timestamp) -> oracle::Answer {
    let shown = |field: &str| {
        file.and_then(|file| file.get(field)).map_or(Shown::Empty, |text| Shown::text(text))
    };
    let facts = Facts {
        email: shown("root.email"),
        lifecycle: shown("internal.lifecycleStatus"),
        status: shown("internal.status"),
        start: shown("work.startDate"),
        termination: shown("internal.terminationDate"),
        last_day: shown("employee.lastDayOfWork"),
        site: shown("work.site"),
        leave_start: Shown::Empty,
        leave_end: Shown::Empty,
        revoked: None,
        before: Before::Managed,
        deleted: company.deleted.contains_key(id) && file.is_none(),
    };
    oracle::answer(&wishes(), &facts, now)
}
