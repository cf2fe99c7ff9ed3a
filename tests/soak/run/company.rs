//! Bob's side: employees are hired, move, go on leave, leave, come back, are renamed, are deleted.
//! For the judge, this keeps the facts as Bob has them.

use std::collections::BTreeMap;

use jiff::{Timestamp, ToSpan as _, civil::Date, tz::TimeZone};
use serde_json::{Map, Value, json};
use simulators::{Control, rng::Rng};

/// One employee file, as Bob has it: field ids and values; empty fields are not in it.
pub type File = BTreeMap<String, String>;

/// All employees.
#[derive(Clone, Debug, Default)]
pub struct Company {
    /// By `root.id`.
    pub files: BTreeMap<String, File>,
    /// Files that were deleted.
    pub deleted: BTreeMap<String, File>,
    addresses: u32,
}

/// How many there are at first.
const FOUNDERS: usize = 30;
/// From this size on there are no hires until files are deleted.
const MOST: usize = 70;
const SITES: [&str; 4] = ["London", "Berlin", "Auckland", "Paris"];
const TITLES: [&str; 8] = [
    "Engineer",
    "Keeper",
    "Cook",
    "Tailor",
    "Pilot",
    "Gardener",
    "Head  of Gardens",
    "Keeper of the northern greenhouse",
];
const DEPARTMENTS: [&str; 3] = ["Engineering", "Kitchen", "Garden"];

impl Company {
    /// Hires the first employees.
    pub async fn found(control: &Control, rng: &mut Rng, now: Timestamp) -> Self {
        let mut company = Self::default();
        for _ in 0..FOUNDERS {
            company.hire(control, rng, now, 0).await;
        }
        company
    }

    /// Makes a few events. Returns how many.
    pub async fn live(&mut self, control: &Control, rng: &mut Rng, now: Timestamp) -> u32 {
        self.turn_statuses(control, now).await;
        let events = 1 + rng.below(4);
        for _ in 0..events {
            match rng.below(17) {
                0..4 if self.files.len() < MOST => {
                    let ahead = rng.below(40);
                    self.hire(control, rng, now, i64::try_from(ahead).unwrap_or(0) - 5).await;
                }
                0..6 => {
                    self.change(control, rng, |rng, _| {
                        vec![("work.title", Some((*rng.pick(&TITLES)).to_owned()))]
                    })
                    .await
                }
                6 => {
                    self.change(control, rng, |rng, _| {
                        vec![("work.department", Some((*rng.pick(&DEPARTMENTS)).to_owned()))]
                    })
                    .await
                }
                7 => self.promote(control, rng).await,
                8 => self.rename(control, rng).await,
                9 => self.hand_over(control, rng).await,
                10 => {
                    // One or several employees leave at once, by the status.
                    for _ in 0..*rng.pick(&[1, 1, 1, 4]) {
                        self.change(control, rng, |_, _| {
                            vec![
                                ("internal.lifecycleStatus", Some("Terminated".into())),
                                ("internal.status", Some("Inactive".into())),
                            ]
                        })
                        .await;
                    }
                }
                11 | 12 => {
                    let (last, end) = (date(now, rng.below(20)), date(now, 20 + rng.below(20)));
                    self.change(control, rng, |_, _| {
                        vec![
                            ("employee.lastDayOfWork", Some(last)),
                            ("internal.terminationDate", Some(end)),
                        ]
                    })
                    .await;
                }
                13 | 14 => {
                    self.change(control, rng, |rng, file| {
                        let back = file
                            .get("internal.lifecycleStatus")
                            .is_some_and(|word| word == "Leave");
                        let with_access = rng.chance(0.5);
                        let (lifecycle, active) =
                            if back { ("Employed", true) } else { ("Leave", with_access) };
                        vec![
                            ("internal.lifecycleStatus", Some(lifecycle.to_owned())),
                            (
                                "internal.status",
                                Some(if active { "Active" } else { "Inactive" }.to_owned()),
                            ),
                        ]
                    })
                    .await;
                }
                15 => self.come_back(control, rng, now).await,
                _ => self.delete(control, rng).await,
            }
        }
        u32::try_from(events).unwrap_or(0)
    }

    /// Returns the days until the next date on which something begins or ends by itself.
    pub fn days_until_next(&self, now: Timestamp) -> Option<u32> {
        let today = now.to_zoned(TimeZone::UTC).date();
        let fields = ["work.startDate", "employee.lastDayOfWork", "internal.terminationDate"];
        let dates = self.files.values().flat_map(|file| {
            fields.iter().filter_map(|field| file.get(*field)?.parse::<Date>().ok())
        });
        let ahead = dates
            .filter(|day| *day > today)
            .filter_map(|day| (day - today).get_days().try_into().ok());
        ahead.min()
    }

    fn fresh_address(&mut self) -> String {
        self.addresses += 1;
        format!("person.{}@example.com", self.addresses)
    }

    async fn hire(&mut self, control: &Control, rng: &mut Rng, now: Timestamp, days_ahead: i64) {
        let start = now.to_zoned(TimeZone::UTC).date() + days_ahead.days();
        let (lifecycle, status) =
            if days_ahead > 0 { ("Hired", "Inactive") } else { ("Employed", "Active") };
        let address = self.fresh_address();
        let mut file: File = [
            ("root.email", address.as_str()),
            ("root.firstName", "Robin"),
            ("root.surname", &format!("Person{}", self.addresses)),
            ("work.title", *rng.pick(&TITLES[..])),
            ("work.department", *rng.pick(&DEPARTMENTS[..])),
            ("work.site", *rng.pick(&SITES[..])),
            ("work.startDate", &start.to_string()),
            ("internal.lifecycleStatus", lifecycle),
            ("internal.status", status),
        ]
        .map(|(field, value)| (field.to_owned(), value.to_owned()))
        .into();
        if let Some(manager) = self.somebody(rng, |_| true).filter(|_| rng.chance(0.7)) {
            file.insert("work.manager".to_owned(), manager);
        }
        let id = control.create_employee(json!(file)).await.expect("hired");
        self.files.insert(id, file);
    }

    fn somebody(&self, rng: &mut Rng, which: impl Fn(&File) -> bool) -> Option<String> {
        let fitting: Vec<&String> =
            self.files.iter().filter(|(_, file)| which(file)).map(|(id, _)| id).collect();
        (!fitting.is_empty()).then(|| (*rng.pick(&fitting)).clone())
    }

    /// Changes one employee at work.
    async fn change(
        &mut self,
        control: &Control,
        rng: &mut Rng,
        what: impl FnOnce(&mut Rng, &File) -> Vec<(&'static str, Option<String>)>,
    ) {
        let here = |file: &File| {
            !file.contains_key("employee.lastDayOfWork")
                && file["internal.lifecycleStatus"] != "Terminated"
        };
        let started = |file: &File| file["internal.lifecycleStatus"] != "Hired";
        let Some(id) = self.somebody(rng, |file| here(file) && started(file)) else { return };
        let changes = what(rng, &self.files[&id]);
        self.tell(control, &id, changes).await;
    }

    async fn tell(
        &mut self,
        control: &Control,
        id: &str,
        changes: Vec<(&'static str, Option<String>)>,
    ) {
        let told: Map<String, Value> =
            changes.iter().map(|(field, value)| ((*field).to_owned(), json!(value))).collect();
        control.change_employee(id, Value::Object(told)).await.expect("changed");
        let file = self.files.get_mut(id).expect("a file");
        for (field, value) in changes {
            match value {
                Some(value) => drop(file.insert(field.to_owned(), value)),
                None => drop(file.remove(field)),
            }
        }
    }

    async fn promote(&mut self, control: &Control, rng: &mut Rng) {
        let manager = self.somebody(rng, |_| true).filter(|_| rng.chance(0.8));
        if let Some(id) = self.somebody(rng, |_| true).filter(|id| Some(id) != manager.as_ref()) {
            self.tell(control, &id, vec![("work.manager", manager)]).await;
        }
    }

    async fn rename(&mut self, control: &Control, rng: &mut Rng) {
        let Some(id) = self.somebody(rng, |_| true) else { return };
        let address = self.fresh_address();
        self.tell(
            control,
            &id,
            vec![("root.email", Some(address)), ("root.surname", Some("Renamed".to_owned()))],
        )
        .await;
    }

    /// Renames an employee at work, and gives the old address to another one.
    async fn hand_over(&mut self, control: &Control, rng: &mut Rng) {
        let here = |file: &File| {
            file["internal.status"] == "Active" && file["internal.lifecycleStatus"] == "Employed"
        };
        let (Some(giver), Some(taker)) = (self.somebody(rng, here), self.somebody(rng, here))
        else {
            return;
        };
        if giver == taker {
            return;
        }
        let old = self.files[&giver]["root.email"].clone();
        let address = self.fresh_address();
        self.tell(control, &giver, vec![("root.email", Some(address))]).await;
        self.tell(control, &taker, vec![("root.email", Some(old))]).await;
    }

    /// Hires a former employee again, with a new start date.
    async fn come_back(&mut self, control: &Control, rng: &mut Rng, now: Timestamp) {
        let left = |file: &File| file["internal.lifecycleStatus"] == "Terminated";
        let Some(id) = self.somebody(rng, left) else { return };
        let start = date(now, rng.below(10));
        let again = |value: &str| Some(value.to_owned());
        let changes = vec![
            ("work.startDate", Some(start)),
            ("internal.lifecycleStatus", again("Hired")),
            ("internal.status", again("Inactive")),
            ("employee.lastDayOfWork", None),
            ("internal.terminationDate", None),
        ];
        self.tell(control, &id, changes).await;
    }

    async fn delete(&mut self, control: &Control, rng: &mut Rng) {
        let left = |file: &File| {
            file["internal.lifecycleStatus"] == "Terminated"
                || file.contains_key("employee.lastDayOfWork")
        };
        let Some(id) = self.somebody(rng, left) else { return };
        control.delete_employee(&id).await.expect("deleted");
        let file = self.files.remove(&id).expect("a file");
        self.deleted.insert(id, file);
    }

    /// Changes what Bob changes by itself at the dates, some days late.
    async fn turn_statuses(&mut self, control: &Control, now: Timestamp) {
        let today = now.to_zoned(TimeZone::UTC).date();
        let before = |file: &File, field: &str| {
            file.get(field)
                .and_then(|text| text.parse::<Date>().ok())
                .is_some_and(|day| day < today)
        };
        let started = |file: &File| {
            file["internal.lifecycleStatus"] == "Hired" && before(file, "work.startDate")
        };
        let ended = |file: &File| {
            file["internal.lifecycleStatus"] != "Terminated"
                && before(file, "internal.terminationDate")
        };
        let turns: Vec<(String, &str, &str)> = self
            .files
            .iter()
            .filter_map(|(id, file)| {
                if ended(file) {
                    Some((id.clone(), "Terminated", "Inactive"))
                } else {
                    started(file).then(|| (id.clone(), "Employed", "Active"))
                }
            })
            .collect();
        for (id, lifecycle, status) in turns {
            let changes = vec![
                ("internal.lifecycleStatus", Some(lifecycle.to_owned())),
                ("internal.status", Some(status.to_owned())),
            ];
            self.tell(control, &id, changes).await;
        }
    }
}

fn date(now: Timestamp, ahead: usize) -> String {
    (now.to_zoned(TimeZone::UTC).date() + i64::try_from(ahead).unwrap_or(0).days()).to_string()
}
