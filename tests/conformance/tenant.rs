//! A provider's tenant, as the cases see it. They make, read and break accounts without the
//! provider under test, and count calls. Accounts use the types of the domain, so that no case
//! knows a provider's wire.

use std::{borrow::Cow, sync::Arc};

use bobsync::{
    domain::{
        account::{self, Access, AccountState, AccountWrite, NewValue},
        mapping::Mapping,
        priority::Urgency,
    },
    http::waits::Waits,
    provider::{Capabilities, Catalog, Key, Provider, call::Hooks},
};
use parking_lot::Mutex;
use serde_json::Value;
use simulators::{Fault, FaultKind};

/// An account that stays in every page.
pub type Account = account::Account<'static>;

/// The calls that a fault strikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Calls {
    /// Listings and look-ups.
    Reads,
    Creates,
    Updates,
    /// Calls for a token. A provider without tokens has none.
    Tokens,
}

/// How a connection differs from the usual one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Through {
    /// A secret that the tenant does not know.
    AWrongSecret,
    /// An address without a listener.
    NobodyThere,
    /// A process that may not write any more.
    AClosedGate,
}

/// Name and outcome of each call, as reported to the observer.
pub type Outcomes = Arc<Mutex<Vec<(&'static str, &'static str)>>>;

/// Returns the ties of a connection: outcomes go to `outcomes`, and the gate is open or closed.
pub fn hooks(open: bool, outcomes: Outcomes, waits: Waits) -> Hooks {
    Hooks {
        observer: Arc::new(move |call, outcome| outcomes.lock().push((call, outcome))),
        gate: Arc::new(move || open),
        waits,
    }
}

/// Waits are not reported.
pub fn untold() -> Waits {
    Arc::new(|_| ())
}

/// One tenant of one provider.
pub trait Tenant: Sized + Sync {
    /// The declared capabilities of the provider.
    const CATALOG: &'static Catalog;

    /// Rows that the answer to a write does not contain unless they were written.
    const SILENT: &'static [usize] = &[];

    /// Starts an empty tenant, and a connected provider that has not called yet.
    async fn start() -> Self;

    /// Returns the provider under test.
    fn provider(&self) -> &dyn Provider;

    /// Makes another connection to the same tenant.
    fn connect(&self, through: Through) -> Box<dyn Provider>;

    /// Makes another connection to the same tenant, which reports its waits.
    fn telling(&self, waits: Waits) -> Box<dyn Provider>;

    /// Returns the attributes, at the rows of [`rows`]: e-mail, username (or another attribute that
    /// holds an e-mail, if the e-mail is the username), two texts, manager, one attribute that a
    /// tenant defines itself (or a third text), and two names.
    fn mapping(&self) -> &Mapping;

    /// Makes accounts at once, as an administrator would. [`Account::id`] is ignored. Returns the
    /// ids.
    async fn make(&self, accounts: &[Account]) -> Vec<String>;

    /// Returns the account as the tenant has it; [`Account::foreign`] is `None`.
    async fn look(&self, id: &str) -> Option<Account>;

    /// Returns everything of an account outside of the mapping, except times of change.
    async fn rest(&self, id: &str) -> Value;

    /// Adds an entry of another tool to an account, of the kind that a careless update loses.
    async fn give_foreign(&self, id: &str);

    /// Returns the number of accounts.
    async fn size(&self) -> usize;

    async fn delete(&self, id: &str);

    /// Returns [`account::Account::foreign`] of this account. The plan gives it back with every
    /// write, if the provider cannot write an attribute without it.
    async fn foreign(&self, _: &str) -> Option<Box<str>> {
        None
    }

    /// Returns what the manager's row holds for this account: its id, or its e-mail.
    async fn reference(&self, id: &str) -> String {
        id.to_owned()
    }

    /// Removes the definition of the attribute that tenants define themselves.
    async fn undefine(&self);

    /// Ends all tokens.
    async fn revoke_tokens(&self);

    /// Returns the initial passwords of new accounts, oldest first, and whether they must be
    /// changed.
    async fn passwords(&self) -> Vec<(String, bool)>;

    /// Makes the tenant refuse values of this row that contain `text`.
    async fn refuse(&self, row: usize, text: &str);

    /// Makes the account an administrator's, if the provider shows that.
    async fn promote(&self, _: &str) {
        unreachable!("the capability table says that the provider does not tell administrators")
    }

    /// Whether the provider shows that another directory is the master of an account.
    const TELLS_MASTERS: bool = true;

    /// Makes another directory the master of this account.
    async fn master(&self, _: &str) {
        unreachable!("the tenant says that its provider does not tell masters")
    }

    /// Makes the tenant keep new texts with single blanks and composed letters, cut to this length.
    async fn keep_texts(&self, folded: bool, cut: Option<usize>);

    /// Whether the service keeps invisible characters in addresses and in the mark.
    const KEEPS_UNSEEN: bool = true;

    /// Adds an invisible character after the account's mark.
    async fn disguise_mark(&self, _: &str) {
        unreachable!("the tenant says that its service refuses such a character")
    }

    /// Takes the right to change this account from the credential.
    async fn protect(&self, id: &str);

    /// Lets the credential only read from now on.
    async fn only_reads(&self);

    /// Makes the tenant refuse every call as one too many. Returns the seconds after which the
    /// tenant says to come back, if it says so.
    async fn exhaust(&self) -> Option<u64>;

    /// Strikes these calls until [`Tenant::heal`].
    async fn fault(&self, calls: Calls, fault: Fault);

    async fn heal(&self);

    /// Returns all calls that the service has seen, except those that fetched a token.
    async fn calls(&self) -> u64;

    /// Returns the calls that fetched a token.
    async fn token_calls(&self) -> u64;
}

/// The rows of the attributes in [`Tenant::mapping`].
pub mod rows {
    pub const EMAIL: usize = 0;
    // 1: the username, or another attribute that holds an e-mail.
    pub const TITLE: usize = 2;
    pub const DEPARTMENT: usize = 3;
    pub const MANAGER: usize = 4;
    /// An attribute that the tenant defines itself.
    pub const EXTENSION: usize = 5;
    pub const FIRST: usize = 6;
    // 7: the last name.
}

/// Returns whether the provider can do this; prints that the case is skipped if not.
pub fn can<T: Tenant>(what: &str, able: impl Fn(&Capabilities) -> bool) -> bool {
    let able = able(&T::CATALOG.capabilities);
    if !able {
        println!("SKIPPED for {}, by its capability table: {what}", T::CATALOG.name);
    }
    able
}

/// Returns the mark of the employee with this name: a number of 19 digits, as Bob's ids are.
pub fn mark(name: &str) -> String {
    let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    (3_000_000_000_000_000_000 + hash % 1_000_000_000_000_000_000).to_string()
}

/// Returns an employee's active account, with a mark and every attribute except the manager.
pub fn account(name: &str) -> Account {
    let email: Cow<'static, str> = format!("{name}@example.com").into();
    let text = |text: &str| Some(text.to_owned().into());
    Account {
        phase: bobsync::domain::account::AccountPhase::Usual,
        id: "".into(),
        mark: text(&mark(name)),
        email: Some(email.clone()),
        username: Some(email.clone()),
        state: AccountState::Active,
        attributes: [
            Some(email.clone()),
            Some(email),
            text("Engineer"),
            text("Platform"),
            None,
            text("A-7"),
            text("Noa"),
            text("Lind"),
        ]
        .into(),
        administrator: false,
        elsewhere: false,
        foreign: None,
    }
}

/// Returns a write of these rows: text sets, `None` clears.
pub fn write(attributes: &[(usize, Option<&str>)]) -> AccountWrite {
    let value =
        |text: Option<&str>| text.map_or(NewValue::Clear, |text| NewValue::Set(text.into()));
    AccountWrite {
        attributes: attributes.iter().map(|(row, text)| (*row, value(*text))).collect(),
        ..AccountWrite::default()
    }
}

/// Returns the write that makes this account.
pub fn creation(account: &Account, access: Access) -> AccountWrite {
    let set = |(row, text): (usize, &Option<Cow<'static, str>>)| {
        Some((row, NewValue::Set(text.as_deref()?.into())))
    };
    AccountWrite {
        occasion: bobsync::domain::account::Occasion::Other,
        attributes: account.attributes.iter().enumerate().filter_map(set).collect(),
        mark: account.mark.as_deref().map(Into::into),
        access: Some(access),
        foreign: None,
    }
}

/// Returns the account as the provider lists it, with [`Account::foreign`].
pub async fn listed<T: Tenant>(tenant: &T, id: &str) -> Account {
    let found =
        tenant.provider().find(tenant.mapping(), Key::Id(id)).await.expect("the look-up works");
    found.into_iter().next().expect("the account is there")
}

/// Returns what is reported of an account, without what only its provider understands.
pub fn plain(account: Account) -> Account {
    Account { foreign: None, ..account }
}

/// Returns what the answer to a write reports. What such answers leave out comes from `whole`.
pub fn answered<T: Tenant>(account: Account, whole: &Account) -> Account {
    let mut account = plain(account);
    if !T::CATALOG.capabilities.answers_changes {
        // The answer is empty: the report is the write itself, and must be true.
        for (told, stored) in account.attributes.iter().zip(&whole.attributes) {
            assert!(
                told.is_none() || told == stored,
                "{told:?} is told, and {stored:?} was wanted"
            );
        }
        return Account { id: account.id, ..whole.clone() };
    }
    for row in T::SILENT {
        if account.attributes[*row].is_none() {
            account.attributes[*row].clone_from(&whole.attributes[*row]);
        }
    }
    account
}

/// Updates without urgency. Returns how many calls that took.
pub async fn update<T: Tenant>(
    tenant: &T,
    id: &str,
    write: &AccountWrite,
) -> (Result<bobsync::provider::Written, bobsync::provider::Error>, u64) {
    let mut write = write.clone();
    if write.foreign.is_none() && (!write.attributes.is_empty() || write.mark.is_some()) {
        write.foreign = tenant.foreign(id).await;
    }
    let before = tenant.calls().await;
    let outcome = tenant.provider().update(tenant.mapping(), id, &write, Urgency::Normal).await;
    (outcome, tenant.calls().await - before)
}

/// Returns every kind of worthless answer, and whether the call was still carried out.
pub fn worthless() -> Vec<(Fault, bool)> {
    let new = Fault::new;
    vec![
        (new(FaultKind::Status).status(500), false),
        (new(FaultKind::Status).status(502), false),
        (new(FaultKind::Status).status(503), false),
        (new(FaultKind::Html), false),
        (new(FaultKind::Html).status(502), false),
        (new(FaultKind::Html).status(403), false),
        (new(FaultKind::ErrorObject), false),
        (new(FaultKind::Status).status(302).header("location", "/elsewhere"), false),
        (new(FaultKind::Reset), false),
        (new(FaultKind::Truncate), true),
        (new(FaultKind::ResetAfterApply), true),
        (new(FaultKind::StatusAfterApply).status(503), true),
    ]
}
