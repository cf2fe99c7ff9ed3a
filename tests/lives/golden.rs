//! Golden lives: `golden/<name>.yaml` is what happens, `golden/<name>.snap` is what bobsync does.
//!
//! Between two steps the clock stops at every announced transition, and after the last step until
//! no transition is ahead. Tests only read the snapshots; `make snapshots` writes them.

use std::{
    collections::BTreeSet,
    fmt::Write as _,
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
};

use bobsync::domain::{
    access::Missing,
    account::{Access, AccountState},
    matching::Person,
    plan::{Block, ChangeKind, EmployeePlan, Manager},
    why::Why,
};
use serde_json::Value;

use crate::{
    generated::live,
    judge,
    life::{Fragment, Life, Step},
    world::{Pass, World, Written, told},
};

#[test]
fn every_life_goes_as_it_is_written_down() {
    let folder = folder();
    let names = names("yaml");
    assert!(names.len() >= 40, "{} lives", names.len());
    let mut wrong = Vec::new();
    for name in &names {
        let text = fs::read_to_string(folder.join(format!("{name}.yaml"))).expect("text");
        let told = catch_unwind(|| {
            let life = Life::read(&text).unwrap_or_else(|error| panic!("{name}.yaml: {error}"));
            tell(&life)
        });
        let Ok(story) = told else {
            wrong.push(name);
            continue;
        };
        let mut settings = insta::Settings::clone_current();
        settings.set_snapshot_path(&folder);
        settings.set_prepend_module_to_snapshot(false);
        settings.set_omit_expression(true);
        let same = settings.bind(|| {
            catch_unwind(AssertUnwindSafe(|| insta::assert_snapshot!(name.as_str(), story)))
        });
        if same.is_err() {
            wrong.push(name);
        }
    }
    assert!(wrong.is_empty(), "not as written down: {wrong:?}");
}

#[test]
fn every_life_keeps_every_rule() {
    let mut judged = 0;
    for name in names("yaml") {
        let text = fs::read_to_string(folder().join(format!("{name}.yaml"))).expect("text");
        let life = Life::read(&text).unwrap_or_else(|error| panic!("{name}.yaml: {error}"));
        if judge::knows(&World::new(&life.settings).spec) {
            assert_eq!(live(&life), Ok(()), "{name}");
            judged += 1;
        }
    }
    assert!(judged >= 40, "{judged} lives");
}

#[test]
fn no_snapshot_is_left_over_from_a_life_that_is_gone() {
    let lives: BTreeSet<_> = names("yaml").into_iter().collect();
    let left: Vec<_> = names("snap").into_iter().filter(|name| !lives.contains(name)).collect();
    assert!(left.is_empty(), "{left:?}");
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/lives/golden")
}

fn names(extension: &str) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder())
        .expect("the golden lives")
        .filter_map(|entry| {
            let path = entry.expect("an entry").path();
            let matches = path.extension().is_some_and(|found| found == extension);
            matches.then(|| path.file_stem().unwrap_or_default().to_string_lossy().into_owned())
        })
        .collect();
    names.sort_unstable();
    names
}

/// Runs a life, step by step.
fn tell(life: &Life) -> String {
    let mut out = format!("{}\n", life.title);
    if !life.about.is_empty() {
        let _ = writeln!(out, "{}", life.about);
    }
    if !life.settings.is_empty() {
        let _ = writeln!(out, "Settings: {}", settings(&life.settings));
    }
    let mut world = World::new(&life.settings);
    let mut last: Option<Pass> = None;
    for step in &life.steps {
        by_itself(&mut out, &mut world, &mut last, |at| at < step.at.at);
        let note = if step.note.is_empty() { String::new() } else { format!(": {}", step.note) };
        let _ = writeln!(out, "\n{} {}{note}", told(step.at.at, &step.at.zone), step.at.zone);
        what_happens(&mut out, step);
        world.happen(step);
        last = passes(&mut out, &mut world);
    }
    by_itself(&mut out, &mut world, &mut last, |_| true);
    out
}

/// Runs everything that time alone causes, as long as it is wanted.
fn by_itself(
    out: &mut String,
    world: &mut World,
    last: &mut Option<Pass>,
    wanted: impl Fn(jiff::Timestamp) -> bool,
) {
    while let Some((at, zone)) =
        last.as_ref().and_then(|pass| world.next(pass)).filter(|(at, _)| wanted(*at))
    {
        assert!(at > world.now, "a transition that was announced did not come");
        world.now = at;
        let _ = writeln!(out, "\n{} {zone}, by itself", told(at, &zone));
        *last = passes(out, world);
    }
}

fn what_happens(out: &mut String, step: &Step) {
    if !step.settings.is_empty() {
        let _ = writeln!(out, "    settings: {}", settings(&step.settings));
    }
    for (name, changes) in &step.bob {
        let _ = writeln!(out, "    Bob, {name}: {}", said(changes));
    }
    for (name, changes) in &step.provider {
        let _ = writeln!(out, "    somebody at the provider, account {name}: {}", said(changes));
    }
    for (name, changes) in &step.overrides {
        let _ = writeln!(out, "    EmployeeSync of {name}: {}", said(changes));
    }
}

fn said(changes: &Fragment) -> String {
    let one = |(key, value): (&String, &Value)| match value {
        Value::Bool(true) if key == "delete" => "deleted".to_owned(),
        Value::Bool(true) if key == "revoked" => "access revoked immediately".to_owned(),
        Value::Bool(true) if key == "unlisted" => "missing from the search".to_owned(),
        Value::Bool(false) if key == "unlisted" => "in the search again".to_owned(),
        Value::Null => format!("{key} emptied"),
        Value::String(text) if text == "hidden" => format!("{key} hidden from the service user"),
        Value::String(text) => format!("{key} {text}"),
        value => format!("{key} {value}"),
    };
    let words: Vec<String> = changes.iter().map(one).collect();
    if words.is_empty() { "as it is".to_owned() } else { words.join(", ") }
}

fn settings(fragment: &Fragment) -> String {
    fn walk(path: &str, value: &Value, lines: &mut Vec<String>) {
        match value {
            Value::Object(object) if !object.is_empty() => {
                object.iter().for_each(|(key, value)| walk(&format!("{path}.{key}"), value, lines));
            }
            Value::Null => lines.push(format!("{path} left out")),
            Value::String(text) => lines.push(format!("{path} {text}")),
            value => lines.push(format!("{path} {value}")),
        }
    }
    let mut lines = Vec::new();
    fragment.iter().for_each(|(key, value)| walk(key, value, &mut lines));
    lines.join("; ")
}

/// Runs passes until one has nothing to write, and prints the state of each employee.
fn passes(out: &mut String, world: &mut World) -> Option<Pass> {
    let mut passes = world.rest();
    let last = passes.pop()?;
    for (number, pass) in (1..).zip(&passes) {
        let which = if number == 1 { String::new() } else { format!(" (pass {number})") };
        for write in &pass.writes {
            let _ = writeln!(out, "    -> {}{which}", wrote(write));
        }
    }
    if last.suspect {
        let _ = writeln!(
            out,
            "    Bob's answer is implausibly short: nothing rests on who is missing from it"
        );
    }
    for (person, standing) in last.people.iter().zip(&last.plan.standings) {
        stands(out, world, person, standing);
    }
    Some(last)
}

fn wrote(write: &Written) -> String {
    let (verb, access) = match (write.kind, write.access) {
        (ChangeKind::Create, Some(Access::Active)) => ("creates", ", active"),
        (ChangeKind::Create, _) => ("creates", ", suspended"),
        (_, Some(Access::Active)) => ("reactivates", ""),
        (_, Some(Access::Suspended)) => ("suspends", ""),
        (ChangeKind::Adopt, None) => ("adopts", ""),
        (ChangeKind::Update, None) => ("updates", ""),
    };
    let mut parts = Vec::new();
    if write.marked && write.kind != ChangeKind::Create {
        parts.push("the mark".to_owned());
    }
    parts.extend(write.set.iter().cloned());
    parts.extend(write.emptied.iter().map(|target| format!("{target} emptied")));
    let parts = if parts.is_empty() { String::new() } else { format!(": {}", parts.join(", ")) };
    let refused =
        if write.refused { "; refused by the provider: another account has it" } else { "" };
    format!("{} account {} of {}{access}{parts}{refused}", verb, write.account, write.who)
}

fn stands(out: &mut String, world: &World, person: &Person, standing: &EmployeePlan) {
    let who = person.employee.id();
    // An end takes access from an account that bears the mark, whatever the settings say. Without
    // such an account nothing happens.
    let marked = standing.account.as_ref().is_some_and(|held| held.marked);
    let decision = &if marked { person.decision } else { person.decision.left_alone() };
    let access = match (decision.managed, standing.account.as_ref().map(|held| held.state)) {
        (false, _) if !decision.only_ends_access() => "Unmanaged",
        (_, Some(AccountState::Suspended | AccountState::Unactivated)) => "Suspended",
        (
            _,
            Some(
                AccountState::Active
                | AccountState::Staged
                | AccountState::Unlicensed
                | AccountState::Other,
            ),
        ) => "Active",
        (_, None) if decision.missing == Missing::Never => "Absent",
        (_, None) => "NotYet",
    };
    let account = match &standing.account {
        None => "no account".to_owned(),
        Some(held) => match world.accounts[&*held.id].status {
            0 => format!("account {} unactivated", held.id),
            1 => format!("account {} active", held.id),
            2 => format!("account {} suspended", held.id),
            3 => format!("account {} locked", held.id),
            status => format!("account {} in state {status}", held.id),
        },
    };
    let _ = writeln!(out, "    {who}: {access}, {account}; {}", decision.because());
    if let Some(block) = &standing.block {
        let words = match block {
            Block::Conflict(_) => {
                "Conflict: another account has this e-mail or username, or the account with it belongs to another employee".to_owned()
            }
            Block::Protected(_) => "HandsOff: the account is protected".to_owned(),
            Block::ManagedElsewhere => "ManagedElsewhere".to_owned(),
            Block::Ambiguous => "Ambiguous: several accounts match".to_owned(),
            Block::ClaimedBy(other) => format!("Conflict: {other} manages this employee"),
            Block::MappingFailed(from, why) => format!("MappingFailed: {}: {why}", world.settings.mapping.rows[from.row].target),
            Block::ScopeFailed(why) => format!("MappingFailed: scope: {why}"),
            Block::Frozen(row) => format!("Frozen: {}", world.settings.mapping.rows[*row].target),
            Block::UnknownTarget(target) => format!("MappingFailed: the provider has no {target}"),
            Block::MissingAttribute(from) => {
                format!("MissingAttribute: the required target {} has no value in Bob", world.settings.mapping.rows[from.row].target)
            }
        };
        let _ = writeln!(out, "        {words}");
    }
    if standing.manager == Manager::NotManaged {
        let _ = writeln!(out, "        the manager has no account that bobsync manages");
    }
    if let Some(next) =
        decision.next.filter(|_| decision.managed || decision.why == Why::AwaitingChange)
    {
        let zone = world.zone(person).iana_name().unwrap_or("UTC");
        let _ = writeln!(
            out,
            "        next: {:?} from {} {zone}, because of {:?}",
            next.access,
            told(next.at, zone),
            next.because
        );
    }
}
