//! The rules that hold in every life at every step, written without the code that they check. The
//! oracle's sentences check access. The rest compares Bob and the provider before and after a pass.

use std::collections::BTreeMap;

use bobsync::domain::{
    access::Missing,
    account::Access,
    known::Met,
    plan::{Block, ChangeKind},
    settings::{AccessEnds, Create, UserStatus, ascii_domain},
    why::Why,
};
use serde_json::Value;

use crate::{
    oracle::{self, Answer, Before, Facts, Shown, Wishes},
    world::{Account, Object, Pass, World, Written},
};

/// Bob's own map for OneLogin (help.hibob.com, its integration guide).
const DEFAULT_MAP: [(&str, &str); 9] = [
    ("email", "root.email"),
    ("username", "root.email"),
    ("firstname", "root.firstName"),
    ("lastname", "root.surname"),
    ("phone", "work.workPhone"),
    ("custom_attributes.work_cell", "work.workMobile"),
    ("title", "work.title"),
    ("department", "work.department"),
    ("manager_user_id", "work.manager"),
];

/// The zones of lives; the oracle needs names with a static lifetime.
const ZONES: [&str; 9] = [
    "UTC",
    "Europe/London",
    "Europe/Berlin",
    "Pacific/Auckland",
    "Pacific/Honolulu",
    "Asia/Beirut",
    "Atlantic/Azores",
    "America/Santiago",
    "Asia/Tokyo",
];
const SITES: [&str; 7] =
    ["Berlin", "Auckland", "Honolulu", "Beirut", "Azores", "Santiago", "Tokyo"];

/// One row of the mapping.
#[derive(Clone, Debug)]
pub struct Row {
    target: String,
    /// One field, or text with fields in braces.
    source: Result<String, String>,
    on_create: bool,
}

/// The expected value of an attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Wanted {
    Text(String),
    Nothing,
    AsItIs,
}

/// The settings, read from the raw spec.
pub struct Contract {
    wishes: Wishes,
    rows: Vec<Row>,
}

/// Returns whether the judge supports everything in this spec: scopes, expressions and `OnChange`
/// have other tests.
pub fn knows(spec: &Value) -> bool {
    let provisioning = &spec["provisioning"];
    let mut rows = spec["mapping"].as_array().into_iter().flatten();
    provisioning["scope"].is_null()
        && provisioning["existingEmployees"] != "OnChange"
        && rows.all(|row| row["cel"].is_null())
}

impl Contract {
    /// Reads a spec.
    pub fn of(spec: &Value) -> Self {
        let provisioning = &spec["provisioning"];
        let word =
            |key: &str, default: &str| provisioning[key].as_str().unwrap_or(default).to_owned();
        let zone =
            |name: &Value| *ZONES.iter().find(|zone| name == **zone).expect("a zone of the list");
        let sites = &spec["bob"]["siteTimeZones"];
        let domains = provisioning["emailDomains"].as_array().into_iter().flatten();
        let wishes = Wishes {
            create: if word("create", "") == "OnEmployeeCreation" {
                Create::OnCreation
            } else {
                Create::OnStartDate
            },
            user_status: match word("userStatus", "").as_str() {
                "AlwaysActive" => UserStatus::AlwaysActive,
                "AlwaysInactive" => UserStatus::AlwaysInactive,
                _ => UserStatus::AccordingToBob,
            },
            domains: domains.filter_map(|domain| domain.as_str().and_then(ascii_domain)).collect(),
            trigger: provisioning["disablingTrigger"] != Value::Bool(false),
            ends: if word("accessEnds", "") == "StartOfLastDay" {
                AccessEnds::StartOfDay
            } else {
                AccessEnds::EndOfDay
            },
            default_zone: zone(&spec["bob"]["timeZone"]),
            sites: SITES
                .iter()
                .filter(|site| sites[**site].is_string())
                .map(|site| (*site, zone(&sites[*site])))
                .collect(),
            hands_off: false,
        };
        let rows = match spec["mapping"].as_array() {
            None => DEFAULT_MAP
                .iter()
                .map(|(target, field)| Row {
                    target: (*target).to_owned(),
                    source: Ok((*field).to_owned()),
                    on_create: false,
                })
                .collect(),
            Some(rows) => rows
                .iter()
                .map(|row| Row {
                    target: row["target"].as_str().unwrap_or_default().to_owned(),
                    source: row["field"]
                        .as_str()
                        .map(str::to_owned)
                        .ok_or_else(|| row["formula"].as_str().unwrap_or_default().to_owned()),
                    on_create: row["apply"] == "OnCreate",
                })
                .collect(),
        };
        Self { wishes, rows }
    }

    fn wishes(&self, world: &World, who: &str) -> Wishes {
        let overrides = world.objects.get(who).map(Object::overrides).unwrap_or_default();
        let user_status = overrides.user_status.unwrap_or(self.wishes.user_status);
        Wishes { hands_off: overrides.hands_off, user_status, ..self.wishes.clone() }
    }

    fn answer(&self, world: &World, who: &str) -> Answer {
        // An EmployeeSync that was written for an employee who was never in Bob decides nothing,
        // and does not count as a deletion.
        let met = world.objects.get(who).and_then(|object| object.met_before);
        if met.is_none() && !world.people.contains_key(who) {
            return Answer {
                managed: false,
                existing: None,
                missing: Missing::Never,
                why: Why::NotInBob,
            };
        }
        oracle::answer(&self.wishes(world, who), &facts(world, who), world.now)
    }

    /// Returns what a row makes of an employee's file; managers are not text.
    fn wanted(world: &World, who: &str, row: &Row) -> Wanted {
        let pins = world.objects.get(who).map(Object::overrides).unwrap_or_default().attributes;
        if let Some((_, value)) = pins.iter().find(|(target, _)| **target == *row.target) {
            return if value.trim().is_empty() {
                Wanted::Nothing
            } else {
                Wanted::Text(value.trim().to_owned())
            };
        }
        let Some(file) = world.people.get(who).filter(|_| !is_gone(world, who)) else {
            return Wanted::AsItIs;
        };
        let shown = |field: &str| file.fields.get(field).cloned().unwrap_or(Shown::Empty);
        let text = match &row.source {
            Ok(field) => match shown(field) {
                Shown::Hidden => return Wanted::AsItIs,
                Shown::Empty => String::new(),
                Shown::Text(text) => text,
            },
            Err(formula) => {
                let (mut text, mut any) = (formula.clone(), false);
                for field in [
                    "root.firstName",
                    "root.surname",
                    "work.title",
                    "work.department",
                    "root.email",
                ] {
                    let hole = format!("{{{field}}}");
                    if !text.contains(&hole) {
                        continue;
                    }
                    let value = match shown(field) {
                        Shown::Hidden => return Wanted::AsItIs,
                        Shown::Empty => String::new(),
                        Shown::Text(value) => value.trim().to_owned(),
                    };
                    any |= !value.is_empty();
                    text = text.replace(&hole, &value);
                }
                if any { text } else { String::new() }
            }
        };
        let text = text.trim();
        if text.is_empty() { Wanted::Nothing } else { Wanted::Text(text.to_owned()) }
    }

    /// Returns the e-mail or username that an employee should have, ignoring case.
    fn key(&self, world: &World, who: &str, target: &str) -> Option<String> {
        let row = self.rows.iter().find(|row| row.target == target)?;
        match Self::wanted(world, who, row) {
            Wanted::Text(text) => Some(text.to_lowercase()),
            Wanted::Nothing | Wanted::AsItIs => None,
        }
    }
}

/// Returns the message of a broken rule.
type Verdict = Result<(), String>;

macro_rules! must {
    ($condition:expr, $($said:tt)+) => {
        if !$condition {
            return Err(format!($($said)+));
        }
    };
}

fn is_gone(world: &World, who: &str) -> bool {
    world.objects.get(who).is_some_and(|object| object.gone)
}

fn facts(world: &World, who: &str) -> Facts {
    let file = world.people.get(who).filter(|_| !is_gone(world, who));
    let shown =
        |field: &str| file.and_then(|file| file.fields.get(field)).cloned().unwrap_or(Shown::Empty);
    Facts {
        email: shown("root.email"),
        lifecycle: shown("internal.lifecycleStatus"),
        status: shown("internal.status"),
        start: shown("work.startDate"),
        termination: shown("internal.terminationDate"),
        last_day: shown("employee.lastDayOfWork"),
        site: shown("work.site"),
        leave_start: shown("employee.recentLeaveStartDate"),
        leave_end: shown("employee.recentLeaveEndDate"),
        revoked: world.objects.get(who).and_then(|object| object.revoked).map(|revoked| {
            revoked.start.map_or(Shown::Empty, |date| Shown::Text(date.to_string()))
        }),
        before: match world.objects.get(who).and_then(|object| object.met_before) {
            None | Some(Met::New | Met::BeforeIntegration | Met::Waiting(_)) => Before::Nothing,
            Some(Met::Unmanaged) => Before::LeftAlone,
            Some(Met::Managed) => Before::Managed,
        },
        deleted: file.is_none(),
    }
}

/// Returns the employee of an account: by its mark, else the only one with a record of it.
fn claim<'a>(world: &'a World, id: &str) -> Option<&'a str> {
    let account = &world.accounts[id];
    match &account.external_id {
        Some(mark) => Some(mark),
        None => {
            let mut recorded = world
                .objects
                .iter()
                .filter(|(_, object)| object.account.as_deref() == Some(id))
                .map(|(who, _)| who.as_str());
            recorded.next().filter(|_| recorded.next().is_none())
        }
    }
}

/// Returns the accounts with an employee's mark.
fn marked<'a>(world: &'a World, who: &str) -> Vec<&'a str> {
    world
        .accounts
        .iter()
        .filter(|(_, account)| account.external_id.as_deref() == Some(who))
        .map(|(id, _)| id.as_str())
        .collect()
}

/// Returns the one account of an employee, if it is unique.
fn own<'a>(world: &'a World, who: &str) -> Option<&'a str> {
    match marked(world, who)[..] {
        [] => {
            world.accounts.keys().map(String::as_str).find(|id| {
                world.accounts[*id].external_id.is_none() && claim(world, id) == Some(who)
            })
        }
        [only] => Some(only),
        _ => None,
    }
}

fn same(account: Option<&str>, key: &str) -> bool {
    account.is_some_and(|text| text.trim().to_lowercase() == key)
}

/// Checks one pass, with any findings: the employees in it, what was written and what was not.
pub fn one_pass(before: &World, pass: &Pass, after: &World) -> Verdict {
    let contract = Contract::of(&after.spec);
    let seen: BTreeMap<&str, Answer> = pass
        .people
        .iter()
        .map(|person| (person.employee.id(), contract.answer(after, person.employee.id())))
        .collect();
    for person in &pass.people {
        let (who, expected) = (person.employee.id(), &seen[person.employee.id()]);
        let decision = &person.decision;
        must!(
            (decision.managed, decision.existing, decision.missing, decision.why)
                == (expected.managed, expected.existing, expected.missing, expected.why),
            "{who}: {decision:?}, and the contract says {expected:?}"
        );
        let announced = decision.next.map(|next| (next.at, next.access, next.because));
        let expected = oracle::next(&contract.wishes(after, who), &facts(after, who), after.now);
        must!(
            announced == expected,
            "{who}: announces {announced:?}, and the contract says {expected:?}"
        );
    }
    for write in &pass.writes {
        let who = write.who.as_str();
        let ends = seen[who].existing == Some(Access::Suspended)
            && write.access == Some(Access::Suspended)
            && write.set.is_empty();
        let ends = ends && marked(before, who).contains(&write.account.as_str());
        must!(seen[who].managed || ends, "{who} is not managed, and {write:?}");
        let facts = facts(after, who);
        match write.access {
            Some(Access::Active) => {
                must!(
                    may_be_active(&contract.wishes(after, who), &facts),
                    "{who} became active without evidence of employment"
                )
            }
            Some(Access::Suspended) if before.accounts.contains_key(&write.account) => {
                must!(
                    may_be_suspended(after, &contract, &facts),
                    "{who} was suspended without positive evidence"
                );
            }
            _ => {}
        }
    }
    let suspends = |write: &&Written| {
        write.kind != ChangeKind::Create && write.access == Some(Access::Suspended)
    };
    let leavers = pass
        .writes
        .iter()
        .take_while(|write| suspends(write) || write.refused)
        .filter(suspends)
        .count();
    must!(
        leavers == pass.writes.iter().filter(suspends).count(),
        "somebody who leaves waits for others: {:?}",
        pass.writes
    );
    for (id, account) in &before.accounts {
        let now = after.accounts.get(id).ok_or_else(|| format!("account {id} is gone"))?;
        untouchable((before, after), &contract, &seen, id, account, now)?;
    }
    for (id, account) in after.accounts.iter().filter(|(id, _)| !before.accounts.contains_key(*id))
    {
        let who = account.external_id.as_deref().unwrap_or_default();
        let Some(Answer { missing: Missing::Create(access), .. }) = seen.get(who) else {
            return Err(format!("account {id} was created, and {who} should have none"));
        };
        must!(
            own(before, who).is_none() && marked(before, who).is_empty(),
            "{who} has an account, and got another one"
        );
        must!(
            account.status == if *access == Access::Active { 1 } else { 2 },
            "account {id} was created with status {}",
            account.status
        );
        must!(marked(after, who).len() == 1, "{who} got two accounts at once");
    }
    Ok(())
}

/// Accounts without a claim, of strangers, of unmanaged employees and of employees with several
/// accounts are not written.
fn untouchable(
    (before, after): (&World, &World),
    contract: &Contract,
    seen: &BTreeMap<&str, Answer>,
    id: &str,
    account: &Account,
    now: &Account,
) -> Verdict {
    let owner = claim(before, id);
    let Some(who) = owner else {
        let Some(by) = now.external_id.as_deref() else {
            must!(account == now, "account {id} is nobody's, and was written");
            return Ok(());
        };
        must!(
            seen.get(by).is_some_and(|answer| answer.managed),
            "account {id} was adopted for {by}, who is not managed"
        );
        let key = contract.key(after, by, "email");
        must!(
            key.is_some_and(|key| same(account.email.as_deref(), &key)),
            "account {id} was adopted for {by}, whose e-mail it has not"
        );
        return Ok(());
    };
    let yours = seen.get(who).is_some_and(|answer| answer.managed) && own(before, who) == Some(id);
    // An employee who must lose access and has several accounts loses it on each of them. Nothing
    // else of them changes.
    let lost = Account { status: 2, ..account.clone() };
    let leaves = seen.get(who).is_some_and(|answer| answer.existing == Some(Access::Suspended));
    must!(
        yours || account == now || (leaves && *now == lost),
        "account {id} may not be written for {who}, and was"
    );
    must!(
        now.external_id.as_deref() == Some(who) || account == now,
        "account {id} of {who} went to {:?}",
        now.external_id
    );
    Ok(())
}

fn says(shown: &Shown, words: &[&str]) -> bool {
    matches!(shown, Shown::Text(text) if words.contains(&text.trim().to_lowercase().as_str()))
}

fn may_be_active(wishes: &Wishes, facts: &Facts) -> bool {
    let a_lifecycle = matches!(&facts.lifecycle, Shown::Text(text) if !text.trim().is_empty());
    let evidence = a_lifecycle
        || says(&facts.status, &["active"])
        || wishes.user_status == UserStatus::AlwaysActive;
    evidence && !facts.deleted && !says(&facts.lifecycle, &["terminated"])
}

fn may_be_suspended(world: &World, contract: &Contract, facts: &Facts) -> bool {
    let a_word = says(&facts.status, &["inactive"]) || says(&facts.lifecycle, &["hired"]);
    let ended = oracle::ends(&contract.wishes, facts).is_some_and(|(at, _)| at <= world.now);
    let an_end = contract.wishes.trigger
        && (facts.revoked.is_some()
            || facts.deleted
            || ended
            || says(&facts.lifecycle, &["terminated"]));
    let a_start = oracle::starts(&contract.wishes, facts).is_some_and(|at| at > world.now);
    a_word || an_end || a_start
}

/// Checks a pass with nothing left to write: every employee without an obstacle is as decided.
pub fn at_rest(before: &World, pass: &Pass, world: &World) -> Verdict {
    let contract = Contract::of(&world.spec);
    for (person, standing) in pass.people.iter().zip(&pass.plan.standings) {
        let who = person.employee.id();
        let answer = contract.answer(world, who);
        must!(
            marked(world, who).len() <= marked(before, who).len().max(1),
            "{who} has more than one account"
        );
        if !answer.managed {
            let open = marked(world, who).into_iter().find(|id| world.accounts[*id].status != 2);
            // Of several accounts with one mark, each pass suspends one.
            let only = marked(world, who).len() == 1;
            must!(
                answer.existing.is_none() || !only || open.is_none(),
                "account {open:?} of {who}, who left, is open"
            );
            continue;
        }
        let known = own(before, who);
        must!(
            known.is_none() || own(world, who) == known,
            "account {known:?} of {who} was forgotten"
        );
        let Some(id) = own(world, who) else {
            if let Missing::Create(_) = answer.missing
                && marked(world, who).is_empty()
            {
                must!(
                    no_account_because(world, &contract, pass, who),
                    "{who} should have an account, and nothing stands in the way"
                );
                must!(standing.block.is_some(), "{who} has no account, and nobody is told why");
            }
            continue;
        };
        let account = &world.accounts[id];
        must!(account.external_id.as_deref() == Some(who), "account {id} of {who} bears no mark");
        let (status, was) = (account.status, before.accounts.get(id).map(|account| account.status));
        match answer.existing {
            Some(Access::Suspended) => {
                must!(status == 2, "account {id} of {who} should be suspended, and is {status}")
            }
            Some(Access::Active) => {
                let locked = was.filter(|was| *was > 2);
                must!(
                    status != 2 && status != 0,
                    "account {id} of {who} should be active, and is {status}"
                );
                must!(
                    locked.is_none_or(|was| was == status),
                    "the lock {locked:?} of {who} is the provider's, and was taken off"
                );
            }
            None => must!(
                was.is_none_or(|was| was == status),
                "account {id} of {who} should be left at {was:?}, and is {status}"
            ),
        }
        attributes(before, &contract, pass, world, who, id, standing.block.as_ref())?;
    }
    Ok(())
}

fn attributes(
    before: &World,
    contract: &Contract,
    pass: &Pass,
    world: &World,
    who: &str,
    id: &str,
    block: Option<&Block>,
) -> Verdict {
    let account = &world.accounts[id];
    let old = before.accounts.get(id);
    let taken = is_taken(world, contract, pass, who, Some(id));
    for row in contract.rows.iter().filter(|row| old.is_none() || !row.on_create) {
        let target = row.target.as_str();
        let have = account.get(target);
        let key = target == "email" || target == "username";
        let as_before = old.is_none_or(|old| old.get(target) == have);
        if target == "manager_user_id" {
            manager(world, pass, who, have, as_before)?;
            continue;
        }
        match Contract::wanted(world, who, row) {
            _ if key && taken => must!(
                matches!(block, Some(Block::Conflict(_))),
                "{target} of {who} is taken, and nobody is told"
            ),
            Wanted::AsItIs => {
                must!(as_before, "{target} of {who} is hidden or {who} is gone, and it was written")
            }
            Wanted::Nothing if key => {
                must!(as_before, "{target} of {who} is empty in Bob, and was written")
            }
            Wanted::Nothing => must!(
                have.is_none_or(|have| have.trim().is_empty()),
                "{target} of {who} should be empty"
            ),
            Wanted::Text(text) if key => {
                must!(same(have, &text.to_lowercase()), "{target} of {who} is not as in Bob")
            }
            Wanted::Text(text) => {
                must!(have.map(str::trim) == Some(&text), "{target} of {who} is not as in Bob")
            }
        }
    }
    must!(
        taken || !matches!(block, Some(Block::Conflict(_))),
        "{who} is told of a conflict that is none"
    );
    Ok(())
}

fn manager(world: &World, pass: &Pass, who: &str, have: Option<&str>, as_before: bool) -> Verdict {
    let file = world.people.get(who).filter(|_| !is_gone(world, who));
    let Some(file) = file else {
        must!(as_before, "{who} is gone, and got another manager");
        return Ok(());
    };
    match file.fields.get("work.manager") {
        None | Some(Shown::Empty) => {
            must!(have.is_none(), "{who} has no manager in Bob, and still one at the provider")
        }
        Some(Shown::Hidden) => must!(as_before, "the manager of {who} is hidden, and was written"),
        Some(Shown::Text(boss)) => {
            let known =
                boss != who && pass.people.iter().any(|person| person.employee.id() == boss);
            match marked(world, boss)[..] {
                [only] if known => {
                    must!(have == Some(only), "the manager of {who} is not the account of {boss}")
                }
                _ => must!(as_before, "{boss} has no account, and {who} got another manager"),
            }
        }
    }
    Ok(())
}

/// Returns whether the e-mail or the username that an employee should have is another account's, or
/// another employee needs it too.
fn is_taken(world: &World, contract: &Contract, pass: &Pass, who: &str, own: Option<&str>) -> bool {
    let (email, username) =
        (contract.key(world, who, "email"), contract.key(world, who, "username"));
    let held =
        world.accounts.iter().filter(|(id, _)| Some(id.as_str()) != own).any(|(_, other)| {
            email.as_ref().is_some_and(|key| same(other.email.as_deref(), key))
                || username.as_ref().is_some_and(|key| same(other.username.as_deref(), key))
        });
    held || is_shared(world, contract, pass, who, own)
}

/// Two profiles with one e-mail: it belongs to the employee with the account that has it, else to
/// the only one who is to be active.
fn is_shared(
    world: &World,
    contract: &Contract,
    pass: &Pass,
    who: &str,
    own: Option<&str>,
) -> bool {
    let Some(key) = contract.key(world, who, "email") else { return false };
    let all: Vec<&str> = pass
        .people
        .iter()
        .map(|person| person.employee.id())
        .filter(|other| {
            contract.answer(world, other).managed
                && contract.key(world, other, "email").as_ref() == Some(&key)
        })
        .collect();
    if all.len() < 2 || own.is_some_and(|id| same(world.accounts[id].email.as_deref(), &key)) {
        return false;
    }
    // If the settings leave accounts as they are, Bob's own status says which employees are active.
    let works = |who: &str| match contract.answer(world, who).existing {
        Some(access) => access == Access::Active,
        None => says(&facts(world, who).status, &["active"]),
    };
    let active: Vec<&&str> = all.iter().filter(|other| works(other)).collect();
    active != [&who]
}

/// A required attribute is missing, or the e-mail or username is another employee's.
fn no_account_because(world: &World, contract: &Contract, pass: &Pass, who: &str) -> bool {
    let missing =
        ["email", "username"].iter().any(|target| contract.key(world, who, target).is_none());
    missing || is_taken(world, contract, pass, who, None)
}

/// The same life in reverse order: nothing may depend on the order in which employees and accounts
/// are read.
pub fn same_worlds(forwards: &World, backwards: &World) -> Verdict {
    must!(
        forwards.accounts == backwards.accounts,
        "the order matters: {:?}\nor {:?}",
        forwards.accounts,
        backwards.accounts
    );
    must!(
        forwards.objects == backwards.objects,
        "the order matters: {:?}\nor {:?}",
        forwards.objects,
        backwards.objects
    );
    Ok(())
}
