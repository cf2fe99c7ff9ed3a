//! The messages of a person's conditions. Each message is one or more sentences with a capital
//! letter and a full stop.

use super::{DetailReason, OPEN, PlannedChange, Trouble, Verdict, second};
use crate::{
    api::conditions::{followed_by, sentence},
    domain::{
        access::Missing,
        known::MANAGED_BY_ANOTHER,
        mapping::{Mapping, Origin, Source},
        plan::{Block, Conflict},
        safety::ProtectedBy,
        why::Why,
    },
    engine::{
        pass::outcome::{Failure, RefusedPart},
        settings::words::named,
    },
};

/// What a person does about an account that is still open and that bobsync does not suspend.
const BY_HAND: &str = "; access is still open: suspend the account by hand";
/// The same for an account that the settings protect.
const BY_HAND_OR_UNLISTED: &str = "; access is still open: suspend the account by hand, or take \
                                   it off that list, where it is there, to let bobsync do it";
/// The same for an administrator who leaves.
const BY_HAND_OR_SETTING: &str = "; access is still open: suspend the account by hand, or set \
                                  spec.safety.administrators: Suspend to let bobsync do it";
/// The same for an account that the provider does not let bobsync change.
const BY_HAND_OR_RIGHT: &str = "; access is still open: suspend the account by hand, or give the \
                                credential the right to do it (bobsync tries again by itself)";

/// What a person does about a value that the provider refuses.
const CORRECT: &str = "Correct the value in Bob, or in the mapping or spec.attributes if it comes \
                       from there; bobsync tries again by itself.";
/// What a person does about an account that the credential may not change. The message before it
/// names the right.
const OR_LEAVE: &str = "bobsync tries again by itself; to leave the account as it is, set \
                        spec.suspend on this EmployeeSync.";
/// What follows if no person has to act.
const AGAIN: &str = "bobsync tries again by itself.";

impl Verdict<'_> {
    /// Returns the `Ready` message: what there is, and what helps in this case if anything has to
    /// be done.
    #[must_use]
    pub fn message(&self, mapping: &Mapping) -> String {
        named(&self.in_words(mapping), self.provider)
    }

    fn in_words(&self, mapping: &Mapping) -> String {
        let why = self.because();
        match &self.trouble {
            _ if self.decision.why == Why::NotInBob => {
                format!("Waiting: {why}. If the id is wrong, delete this EmployeeSync.")
            }
            Trouble::Blocked(Block::ScopeFailed(failure)) => {
                format!(
                    "The expression in provisioning.scope failed for this employee: {failure}; \
                     employees who were managed stay managed, and others stay unmanaged. Correct \
                     the expression, or in Bob the fields that it uses."
                )
            }
            _ if self.is_left_open() => {
                let or = match &self.unreadable {
                    _ if self.decision.why == Why::HandsOff => "remove spec.suspend".to_owned(),
                    Some(field) => format!("correct {field}, or run a version that can read it"),
                    None => "run a version that can read the EmployeeSync".to_owned(),
                };
                format!(
                    "Not managed: {why}; access is still open: suspend the account by hand, or \
                    {or}."
                )
            }
            _ if self.decision.why == Why::ScopeUnknown => format!(
                "Not managed: {why}. Let the service user view the fields in Bob that \
                 provisioning.scope and emailDomains use (emailDomains: root.email)."
            ),
            _ if !self.decision.managed && !self.decision.only_ends_access() => {
                format!("Not managed: {why}.")
            }
            Trouble::Blocked(Block::ClaimedBy(other)) => {
                let open = self.still_open("; access is still open until one of them takes it");
                format!(
                    "The integration {other}{MANAGED_BY_ANOTHER}; let only one of the two do \
                    so{open}."
                )
            }
            Trouble::Blocked(Block::MappingFailed(from, failure)) => {
                without_a_usable_value(mapping, *from, failure)
            }
            Trouble::Blocked(Block::Frozen(row)) => {
                format!(
                    "The target {} is frozen, because it would change for too many employees at \
                     once; the rest is in sync: {why}.",
                    target_of(mapping, *row)
                )
            }
            Trouble::Blocked(Block::UnknownTarget(target)) => {
                format!(
                    "This EmployeeSync pins {target} in spec.attributes, which the provider does \
                     not have: correct the name there, or remove it; the rest is in sync."
                )
            }
            Trouble::Blocked(Block::Conflict(conflict)) => {
                let open = self.still_open(BY_HAND);
                format!("{}{open}.", self.conflict(conflict, mapping))
            }
            Trouble::Blocked(Block::Protected(by)) | Trouble::Failed(Failure::Protected(by)) => {
                let account = match by {
                    ProtectedBy::Settings => {
                        "The account is listed in spec.safety.protectedAccounts, or bobsync itself \
                         uses this account"
                    }
                    ProtectedBy::Role => "The provider says that the account is an administrator's",
                };
                let open = self.still_open(match by {
                    ProtectedBy::Settings => BY_HAND_OR_UNLISTED,
                    ProtectedBy::Role if self.decision.ends_access() => BY_HAND_OR_SETTING,
                    // That setting is about employees who leave.
                    ProtectedBy::Role => BY_HAND,
                });
                format!("{account}, and it is left as it is: {why}{open}.")
            }
            Trouble::Blocked(Block::ManagedElsewhere)
            | Trouble::Failed(Failure::ManagedElsewhere) => {
                let open = if self.is_open() {
                    format!("; access is still open and has to be taken there: {why}")
                } else {
                    String::new()
                };
                format!(
                    "Another directory manages this account ({}): change it there{open}.",
                    self.phrases.mastered
                )
            }
            Trouble::Several(
                Failure::Rejected(said, _)
                | Failure::Conflict(said)
                | Failure::Forbidden(said)
                | Failure::ByHand(said)
                | Failure::Sessions(said)
                | Failure::Retrying(said),
            ) => {
                format!(
                    "{} One of them could not be suspended: {}",
                    self.several_match(),
                    sentence(said)
                )
            }
            Trouble::Blocked(Block::Ambiguous)
            | Trouble::Failed(Failure::Ambiguous)
            | Trouble::Several(_) => self.several_match(),
            Trouble::Blocked(Block::MissingAttribute(from)) => without_a_value(mapping, *from),
            Trouble::Failed(Failure::Forbidden(said)) if self.is_open() => {
                sentence(&format!("{}{BY_HAND_OR_RIGHT}", said.trim_end_matches('.')))
            }
            Trouble::Failed(Failure::Forbidden(said)) => followed_by(&sentence(said), OR_LEAVE),
            Trouble::Failed(Failure::Rejected(said, RefusedPart::Value)) => {
                followed_by(&sentence(said), CORRECT)
            }
            Trouble::Failed(Failure::ByHand(said)) => {
                let open = self.still_open(BY_HAND);
                sentence(&format!("{}{open}", said.trim_end_matches('.')))
            }
            Trouble::Failed(
                Failure::Rejected(said, RefusedPart::Other)
                | Failure::Sessions(said)
                | Failure::Retrying(said),
            ) => followed_by(&sentence(said), AGAIN),
            Trouble::Failed(Failure::Conflict(said)) => sentence(said),
            Trouble::Waiting { planned, dry_run: true } => {
                format!("Dry run: would {}; {}.", planned.words(), self.because_of(*planned))
            }
            Trouble::Held { planned } => {
                format!(
                    "Held by a guard, see PlanHeld of the integration: would {}; {}.",
                    planned.words(),
                    self.because_of(*planned)
                )
            }
            Trouble::Waiting { planned, dry_run: false } => {
                format!(
                    "Waiting for its turn to {}; {}.",
                    planned.words(),
                    self.because_of(*planned)
                )
            }
            Trouble::RefusedBefore(_) => format!(
                "The provider refused the last change. bobsync tries again by itself, and its \
                 answer is shown here then; {why}."
            ),
            Trouble::Unlisted => format!("Waiting until the provider's accounts are read; {why}."),
            Trouble::None if self.account.is_none() && self.decision.missing == Missing::NotYet => {
                format!("No account yet: {why}.")
            }
            Trouble::None if self.account.is_none() => format!("No account: {why}."),
            Trouble::None if self.lacks_licence() => {
                "The account is active, and cannot be used: the provider has no free licence for \
                 it. Free or buy one there, and give it to this account."
                    .to_owned()
            }
            Trouble::None if self.is_contested() => self.contested(),
            Trouble::None if self.drifted => {
                format!(
                    "Changed at the provider, and spec.safety.driftPolicy only reports it: {}.",
                    self.differs.join(", ")
                )
            }
            Trouble::None => format!("In sync: {why}."),
        }
    }

    /// Returns what `Provisioned` says if there is no account.
    pub(super) fn without_account(&self, why: &str) -> String {
        match self.claimed_by() {
            Some(other) => managed_by(other),
            None if self.reason().is_failure() => {
                "There is no account; Ready says what is in the way.".to_owned()
            }
            None => format!("There is no account: {why}."),
        }
    }

    /// Returns the reason of the decision, with the field that cannot be read.
    pub(super) fn because(&self) -> String {
        let why = self.decision.because();
        match self.unreadable.as_ref().filter(|_| self.decision.why == Why::Unreadable) {
            Some(field) => why.replacen("the spec of", &format!("{field} of"), 1),
            None => why,
        }
    }

    /// Returns why this change is made. The decision is about access, and gives no reason for a
    /// write of attributes.
    fn because_of(&self, planned: PlannedChange) -> String {
        match planned {
            PlannedChange::Update if self.differs.is_empty() => "its mark is to be set".to_owned(),
            PlannedChange::Update => format!("not as decided: {}", self.differs.join(", ")),
            PlannedChange::Create(_) | PlannedChange::Suspend | PlannedChange::Reactivate => {
                self.because()
            }
        }
    }

    /// Returns what `AccessSynced` says if access is not as decided.
    pub(super) fn not_as_decided(&self, words: &str) -> String {
        format!("{}: {}.", if self.is_open() { OPEN } else { words }, self.because())
    }

    /// Returns these words if access is still open, and nothing otherwise.
    pub(super) fn still_open(&self, words: &'static str) -> &'static str {
        if self.is_open() { words } else { "" }
    }

    /// Returns what a message says if another system sets back what bobsync writes.
    fn contested(&self) -> String {
        let list: Vec<_> = self.kept.contested().collect();
        let names = list.iter().map(|known| &*known.target).collect::<Vec<_>>().join(", ");
        let most = list.iter().map(|known| known.at.len()).max().unwrap_or_default();
        let until = second(list.iter().map(|known| known.until).max().unwrap_or_default());
        format!(
            "Another writer at {} sets {names} back: written {most} times within the window of \
             spec.safety.updates, and not again before {until}. Stop the other writer, remove the \
             mapping row, or correct the value in Bob; then request a sync of this EmployeeSync.",
            self.provider
        )
    }

    /// Returns what a message says about the account that has the values which this account should
    /// have.
    fn conflict(&self, conflict: &Conflict, mapping: &Mapping) -> String {
        let (email, username) =
            (target_of(mapping, mapping.email), target_of(mapping, mapping.username));
        let keys =
            if email == username { email.to_owned() } else { format!("{email} or {username}") };
        let provider = self.provider;
        match conflict {
            Conflict::Stranger(account) if self.adopts => format!(
                "The account {account} at {provider} has this employee's {keys}, has no mark and \
                 cannot be adopted, because its e-mail and its username are not both this \
                 employee's: free it there, or correct it in Bob"
            ),
            Conflict::Stranger(account) => format!(
                "The account {account} at {provider} has this employee's {keys}, and with \
                 spec.safety.adoption: Never an account without a mark is not adopted: free it \
                 there, or put the mark on it by hand"
            ),
            Conflict::Marked(account) => format!(
                "The account {account} at {provider} has this employee's {keys}, and its mark is \
                 not the id of an employee in Bob: correct the mark there{}",
                self.phrases.other_mark
            ),
            Conflict::Employee { account, employee } => format!(
                "The account {account} at {provider} has this employee's {keys} and belongs to \
                 employee {employee} in Bob: correct one of the two in Bob, or hand the account \
                 over by setting its mark to this employee's id"
            ),
            Conflict::SameEmail(employee) => format!(
                "Employee {employee} in Bob has the same {email}, and one account cannot belong to \
                 both: correct one of the two in Bob, or hand the account over by setting its mark \
                 to this employee's id"
            ),
            Conflict::Several => format!(
                "Several accounts at {provider} have this employee's {keys}: leave one of them \
                 with it"
            ),
        }
    }

    /// Returns what a message says if several accounts match.
    fn several_match(&self) -> String {
        let open = self
            .still_open("; access is still open: suspend by hand those that are this employee's");
        format!(
            "Several accounts match this employee; leave one of them with this e-mail or \
             mark{open}."
        )
    }

    /// Returns whether the attributes are as decided if none is to be written, and what the message
    /// says of those that are kept in another form.
    pub(super) fn attributes(&self) -> (bool, DetailReason, String) {
        let names =
            |targets: &mut dyn Iterator<Item = &str>| targets.collect::<Vec<_>>().join(", ");
        let (settled, given_up) =
            (names(&mut self.kept.settled()), names(&mut self.kept.given_up()));
        match (&*settled, &*given_up) {
            ("", "") => (true, DetailReason::Equal, "Every mapped attribute is as decided.".into()),
            (kept, "") => {
                let message =
                    format!("As decided; the provider keeps these in another form: {kept}.");
                (true, DetailReason::KeptDifferently, message)
            }
            (_, changing) => {
                let message = format!(
                    "Kept in another form after each write, and not written again until Bob's \
                     value changes or they are in place: {changing}."
                );
                (false, DetailReason::KeptDifferently, message)
            }
        }
    }
}

/// Returns that the integration `other` manages the account of the employee.
pub(super) fn managed_by(other: &str) -> String {
    format!("The integration {other} manages this employee's account.")
}

/// Returns what a message says of a required row without a value.
fn without_a_value(mapping: &Mapping, from: Origin) -> String {
    let (target, fields) = (target_of(mapping, from.row), mapping.fields_of(from.row).join(", "));
    let cause = if from.is_pinned {
        "spec.attributes of this EmployeeSync empties it. Give it a value there, or remove it from \
         there"
            .to_owned()
    } else if fields.is_empty() {
        "the mapping gives no value. Correct the mapping row".to_owned()
    } else {
        format!(
            "Bob has no value in {fields}, or hides it. Fill it in in Bob, or let the service user \
             view it"
        )
    };
    format!("The required target {target} has no value: {cause}.")
}

/// Returns what a message says of a row whose value fails.
fn without_a_usable_value(mapping: &Mapping, from: Origin, failure: &str) -> String {
    let (target, fields) = (target_of(mapping, from.row), mapping.fields_of(from.row).join(", "));
    let is_expression =
        mapping.rows.get(from.row).is_some_and(|row| matches!(row.source, Source::Expression(_)));
    let (of, correct) = if from.is_pinned {
        (
            " (from spec.attributes of this EmployeeSync)".to_owned(),
            "Type the value again there".to_owned(),
        )
    } else if fields.is_empty() {
        (String::new(), "Correct the mapping row".to_owned())
    } else if is_expression {
        (format!(" (from {fields})"), format!("Correct the expression, or {fields} in Bob"))
    } else {
        (format!(" (from {fields})"), format!("Type the value of {fields} again in Bob"))
    };
    let text = format!(
        "The target {target}{of} has no usable value: {failure}; the attribute is left as it is."
    );
    followed_by(&text, &format!("{correct}."))
}

fn target_of(mapping: &Mapping, row: usize) -> &str {
    mapping.rows.get(row).map_or("", |row| &row.target)
}
