//! A few employees and accounts: few enough to read when a property fails, and varied enough to
//! meet every sentence about matching. They share e-mails, bear marks of strangers, and have
//! records of accounts that do not exist.

use std::fmt;

use bobsync::domain::{
    access::{Decision, Missing},
    account::{Access, Account, AccountState},
    employee::{Cell, Employee, Fields},
    mapping::{Compare, Mapping, Row, Source},
    matching::Person,
    why::Why,
};
use proptest::prelude::*;

use crate::fixture;

/// The rows of every mapping in these tests.
pub const EMAIL: usize = 0;
pub const USERNAME: usize = 1;
pub const TITLE: usize = 2;
pub const MANAGER: usize = 3;

/// All possible employees; the position in here identifies them.
pub const NAMES: [&str; 6] = ["Ada", "Ben", "Cleo", "Dan", "Eve", "Fay"];

/// A mark that belongs to no employee in Bob.
pub const STRANGER: &str = "999";

const EMAILS: [&str; 4] =
    ["ada@example.com", "ADA@Example.com", "ben@example.com", "cleo@example.com"];
const USERNAMES: [&str; 6] = ["ada@example.com", "ben@example.com", "ada", "Ada", "ben", "cleo"];
const TITLES: [&str; 2] = ["Engineer", "Head of Nothing"];

/// Returns the `root.id` of an employee.
pub fn root_id(who: usize) -> String {
    format!("10{who}")
}

/// One cell of Bob's answer.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Told {
    Hidden,
    Empty,
    Text(&'static str),
}

impl Told {
    pub fn text(self) -> Option<&'static str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Hidden | Self::Empty => None,
        }
    }

    fn cell(self) -> Cell<'static> {
        match self {
            Self::Hidden => Cell::Absent,
            Self::Empty => Cell::Null,
            Self::Text(text) => Cell::Text(text),
        }
    }
}

/// The decision for an employee.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stance {
    /// Active, created if missing.
    Works,
    /// Suspended, never created.
    Left,
    /// Suspended, created suspended.
    OnLeave,
    /// Suspended, not created yet.
    Starts,
    /// An account is left as it is (`AlwaysInactive`); created suspended.
    LeftAlone,
    /// An account is left as it is, and none is created.
    NoEvidence,
    /// The settings leave this employee out.
    NotManaged,
}

/// One employee with the decision.
#[derive(Clone)]
pub struct Someone {
    pub who: usize,
    pub email: Told,
    /// The username, if the mapping has separate usernames.
    pub username: Told,
    pub title: Told,
    /// `root.id` of the manager.
    pub manager: Told,
    pub stance: Stance,
    /// `internal.status` says Active.
    pub active_in_bob: bool,
    /// The account in the `EmployeeSync`'s status.
    pub recorded: Option<&'static str>,
    /// The file is gone: only the id is left.
    pub deleted: bool,
}

/// Returns an employee who works and has an e-mail that no other has.
pub fn someone(who: usize) -> Someone {
    const OWN: [&str; 6] = [
        "ada@example.com",
        "ben@example.com",
        "cleo@example.com",
        "dan@example.com",
        "eve@example.com",
        "fay@example.com",
    ];
    Someone {
        who,
        email: Told::Text(OWN[who]),
        username: Told::Text(OWN[who]),
        title: Told::Text("Engineer"),
        manager: Told::Empty,
        stance: Stance::Works,
        active_in_bob: true,
        recorded: None,
        deleted: false,
    }
}

/// Returns an employee of a large company: a number instead of a name.
pub fn someone_else(who: usize) -> Someone {
    let email: &'static str = Box::leak(format!("person.{who}@example.com").into_boxed_str());
    Someone { who, email: Told::Text(email), username: Told::Text(email), ..someone(0) }
}

/// Returns the account of [`someone_else`].
pub fn own_account_of(who: usize) -> Stored {
    let one = someone_else(who);
    let id: &'static str = Box::leak(format!("account-{who}").into_boxed_str());
    Stored { mark: Some(root_id(who)), ..stored(id, one.email.text().unwrap_or_default()) }
}

/// One account.
#[derive(Clone)]
pub struct Stored {
    pub id: &'static str,
    pub mark: Option<String>,
    pub email: Option<&'static str>,
    pub username: Option<&'static str>,
    pub title: Option<&'static str>,
    /// An account's id.
    pub manager: Option<&'static str>,
    pub state: AccountState,
}

/// Returns an active account with this e-mail, also as its username, and without a mark.
pub fn stored(id: &'static str, email: &'static str) -> Stored {
    Stored {
        id,
        mark: None,
        email: Some(email),
        username: Some(email),
        title: Some("Engineer"),
        manager: None,
        state: AccountState::Active,
    }
}

/// How the mapping differs from the simplest one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Style {
    /// Usernames come from a field of their own, not from the e-mail.
    pub own_usernames: bool,
    /// By row: set only at the creation.
    pub once: [bool; 4],
}

/// Everything that matching and planning read.
#[derive(Clone)]
pub struct Crowd {
    pub people: Vec<Someone>,
    pub accounts: Vec<Stored>,
    /// `adoption: MatchByEmail`.
    pub adopt: bool,
    /// The listing was consistent.
    pub whole: bool,
    pub style: Style,
}

/// Returns a crowd with the simplest mapping.
pub fn crowd(people: Vec<Someone>, accounts: Vec<Stored>) -> Crowd {
    Crowd { people, accounts, adopt: true, whole: true, style: Style::default() }
}

impl Someone {
    /// Returns whether access is to be taken, if there is any.
    pub fn leaves(&self) -> bool {
        matches!(self.stance, Stance::Left | Stance::OnLeave | Stance::Starts)
    }

    /// Makes a [`Decision`] of an employee in a crowd; no other test code does.
    pub fn person(&self) -> Person {
        let id = root_id(self.who);
        let status = Cell::Text(if self.active_in_bob { "Active" } else { "Inactive" });
        let cells = [
            Cell::Text(&id),
            self.email.cell(),
            Cell::Null,
            status,
            Cell::Null,
            Cell::Null,
            Cell::Null,
            Cell::Null,
            Cell::Null,
            Cell::Null,
            self.username.cell(),
            self.title.cell(),
            self.manager.cell(),
        ];
        let employee =
            if self.deleted { Employee::gone(&id) } else { fixture::employee(cells.into_iter()) };
        let (managed, existing, missing, why) = match self.stance {
            Stance::Works => {
                (true, Some(Access::Active), Missing::Create(Access::Active), Why::AtWork)
            }
            Stance::Left => (true, Some(Access::Suspended), Missing::Never, Why::Terminated),
            Stance::OnLeave => (
                true,
                Some(Access::Suspended),
                Missing::Create(Access::Suspended),
                Why::LeaveWithoutAccess,
            ),
            Stance::Starts => (true, Some(Access::Suspended), Missing::NotYet, Why::BeforeStart),
            Stance::LeftAlone => {
                (true, None, Missing::Create(Access::Suspended), Why::AlwaysInactive)
            }
            Stance::NoEvidence => (true, None, Missing::Never, Why::NoEvidence),
            Stance::NotManaged => (false, None, Missing::Never, Why::HandsOff),
        };
        let decision =
            Decision { managed, existing, missing, why, also: None, date: None, next: None };
        let known_account = self.recorded.map(Into::into);
        Person { known_account, ..fixture::person(employee, decision) }
    }

    /// Returns the e-mail that this employee's account should have.
    pub fn wanted_email(&self) -> Option<&'static str> {
        self.email.text().filter(|_| !self.deleted)
    }
}

impl Stored {
    pub fn account(&self) -> Account<'static> {
        let text = |text: Option<&str>| text.map(|text| text.to_owned().into());
        Account {
            phase: bobsync::domain::account::AccountPhase::Usual,
            id: self.id.into(),
            mark: text(self.mark.as_deref()),
            email: text(self.email),
            username: text(self.username),
            state: self.state,
            attributes: [self.email, self.username, self.title, self.manager]
                .into_iter()
                .map(text)
                .collect(),
            administrator: false,
            elsewhere: false,
            foreign: None,
        }
    }
}

impl Crowd {
    pub fn people(&self) -> Vec<Person> {
        self.people.iter().map(Someone::person).collect()
    }

    pub fn accounts(&self) -> Vec<Account<'static>> {
        self.accounts.iter().map(Stored::account).collect()
    }

    pub fn mapping(&self) -> Mapping {
        let mut fields = Fields::default();
        let email = fields.want("root.email");
        let own = fields.want("work.custom.username");
        let (title, manager) = (fields.want("work.title"), fields.want("work.manager"));
        let row = |target: &str, field, compare, required, once| Row {
            target: target.into(),
            source: Source::Field(field),
            on_create_only: once,
            compare,
            required,
        };
        let username = if self.style.own_usernames { own } else { email };
        Mapping {
            address: None,
            rows: vec![
                row("email", email, Compare::IgnoringCase, true, self.style.once[EMAIL]),
                row("username", username, Compare::IgnoringCase, true, self.style.once[USERNAME]),
                row("title", title, Compare::Exact, false, self.style.once[TITLE]),
                row("manager_user_id", manager, Compare::Person, false, self.style.once[MANAGER]),
            ],
            fields,
            email: EMAIL,
            username: USERNAME,
            manager: Some(MANAGER),
        }
    }

    /// Returns the username that an employee's account should have.
    pub fn username(&self, one: &Someone) -> Option<&'static str> {
        let told = if self.style.own_usernames { one.username } else { one.email };
        told.text().filter(|_| !one.deleted)
    }
}

impl fmt::Debug for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Hidden => "hidden",
            Self::Empty => "-",
            Self::Text(text) => text,
        })
    }
}

impl fmt::Debug for Someone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { who, email, username, title, manager, stance, active_in_bob, recorded, deleted } =
            self;
        write!(
            f,
            "{} {}: {stance:?}, e-mail {email:?}, username {username:?}, title {title:?}",
            root_id(*who),
            NAMES[*who]
        )?;
        write!(
            f,
            ", manager {manager:?}, {} in Bob",
            if *active_in_bob { "active" } else { "inactive" }
        )?;
        if let Some(recorded) = recorded {
            write!(f, ", recorded #{recorded}")?;
        }
        if *deleted { f.write_str(", file deleted") } else { Ok(()) }
    }
}

impl fmt::Debug for Stored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let or = |text: Option<&str>| text.unwrap_or("-").to_owned();
        write!(
            f,
            "#{}: {:?}, mark {}, e-mail {}",
            self.id,
            self.state,
            or(self.mark.as_deref()),
            or(self.email)
        )?;
        write!(
            f,
            ", username {}, title {}, manager {}",
            or(self.username),
            or(self.title),
            or(self.manager)
        )
    }
}

impl fmt::Debug for Crowd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "adopt: {}, whole: {}, {:?}", self.adopt, self.whole, self.style)?;
        self.people.iter().try_for_each(|one| writeln!(f, "  {one:?}"))?;
        self.accounts.iter().try_for_each(|one| writeln!(f, "  {one:?}"))
    }
}

fn told(words: &'static [&'static str]) -> impl Strategy<Value = Told> {
    prop_oneof![12 => proptest::sample::select(words).prop_map(Told::Text), 1 => Just(Told::Empty), 1 => Just(Told::Hidden)]
}

fn any_stance() -> impl Strategy<Value = (Stance, bool)> {
    prop_oneof![
        6 => Just((Stance::Works, true)),
        3 => Just((Stance::Left, false)),
        1 => Just((Stance::OnLeave, false)),
        1 => Just((Stance::Starts, false)),
        2 => any::<bool>().prop_map(|active| (Stance::LeftAlone, active)),
        1 => Just((Stance::NoEvidence, false)),
        1 => Just((Stance::NotManaged, true)),
    ]
}

const IDS: [&str; 8] = ["1", "2", "3", "4", "5", "6", "7", "8"];
const ROOT_IDS: [&str; 6] = ["100", "101", "102", "103", "104", "105"];

fn any_someone() -> impl Strategy<Value = Someone> {
    (
        (told(&EMAILS), told(&USERNAMES), told(&TITLES)),
        prop_oneof![2 => Just(Told::Empty), 1 => Just(Told::Hidden), 5 => proptest::sample::select(&ROOT_IDS[..]).prop_map(Told::Text)],
        any_stance(),
        proptest::option::weighted(0.25, proptest::sample::select(&IDS[..])),
        proptest::bool::weighted(0.05),
    )
        .prop_map(|((email, username, title), manager, (stance, active_in_bob), recorded, deleted)| Someone {
            who: 0,
            email,
            username,
            title,
            manager,
            stance: if deleted { Stance::Left } else { stance },
            active_in_bob: active_in_bob && !deleted,
            recorded,
            deleted,
        })
}

fn any_stored() -> impl Strategy<Value = Stored> {
    let mark = prop_oneof![
        4 => Just(None),
        4 => proptest::sample::select(&ROOT_IDS[..]).prop_map(|id| Some(id.to_owned())),
        1 => Just(Some(STRANGER.to_owned())),
    ];
    let state = prop_oneof![
        4 => Just(AccountState::Active),
        2 => Just(AccountState::Suspended),
        1 => Just(AccountState::Unactivated),
        1 => Just(AccountState::Other),
    ];
    (
        mark,
        (
            proptest::option::weighted(0.95, proptest::sample::select(&EMAILS[..])),
            proptest::sample::select(&USERNAMES[..]),
        ),
        proptest::option::of(proptest::sample::select(&TITLES[..])),
        proptest::option::weighted(0.4, proptest::sample::select(&IDS[..])),
        state,
    )
        .prop_map(|(mark, (email, username), title, manager, state)| Stored {
            id: "",
            mark,
            email,
            username: Some(username),
            title,
            manager,
            state,
        })
}

/// Generates a crowd of up to six employees and seven accounts.
pub fn any_crowd() -> impl Strategy<Value = Crowd> {
    let style = (any::<bool>(), proptest::array::uniform4(proptest::bool::weighted(0.1)));
    (
        proptest::collection::vec(any_someone(), 1..=6),
        proptest::collection::vec(any_stored(), 0..=7),
        proptest::bool::weighted(0.8),
        proptest::bool::weighted(0.8),
        style,
    )
        .prop_map(|(mut people, mut accounts, adopt, whole, (own_usernames, once))| {
            people.iter_mut().enumerate().for_each(|(who, one)| one.who = who);
            accounts.iter_mut().zip(IDS).for_each(|(one, id)| one.id = id);
            Crowd { people, accounts, adopt, whole, style: Style { own_usernames, once } }
        })
}

/// Generates a crowd, and the same crowd in another order.
pub fn any_shuffled() -> impl Strategy<Value = (Crowd, Crowd)> {
    (
        any_crowd(),
        proptest::collection::vec(any::<u8>(), 6),
        proptest::collection::vec(any::<u8>(), 7),
    )
        .prop_map(|(crowd, people, accounts)| {
            let mut other = crowd.clone();
            other.people.sort_by_key(|one| people[one.who]);
            other
                .accounts
                .sort_by_key(|one| accounts[IDS.iter().position(|id| *id == one.id).unwrap_or(0)]);
            (crowd, other)
        })
}
