//! A provider's tenant, as the cases see it: behind the provider's back accounts are made, looked at and broken, and
//! calls are counted. Accounts are told in the words of the domain, so that no case knows a provider's wire.

use std::{
    borrow::Cow,
    sync::{Arc, Mutex},
};

use bobsync::{
    domain::{
        account::{self, Access, AccountState, AccountWrite, NewValue},
        mapping::Mapping,
    },
    provider::{Capabilities, Catalog, Key, Provider, Urgency, call::Ties, limits::Waits},
};
use serde_json::Value;
use simulators::{Fault, FaultKind};

/// An account that outlives every page.
pub type Account = account::Account<'static>;

/// Which calls a fault strikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Calls {
    /// Listings and look-ups.
    Reads,
    Creates,
    Updates,
}

/// How a connection is made that differs from the usual.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Through {
    /// A secret that the tenant does not know.
    AWrongSecret,
    /// An address where nobody listens.
    NobodyThere,
    /// A process that may not write any more.
    AClosedGate,
}

/// Name and outcome of each call, as the provider told its observer.
pub type Outcomes = Arc<Mutex<Vec<(&'static str, &'static str)>>>;

/// A connection's ties: calls are told to `outcomes`, and the gate is open or not.
pub fn ties(open: bool, outcomes: Outcomes, waits: Waits) -> Ties {
    Ties { observer: Arc::new(move |call, outcome| outcomes.lock().unwrap().push((call, outcome))), gate: Arc::new(move || open), waits }
}

/// Waits are not told.
pub fn untold() -> Waits {
    Arc::new(|_| ())
}

/// One tenant of one provider.
pub trait Tenant: Sized + Sync {
    /// What is declared of the provider.
    const CATALOG: &'static Catalog;

    /// Rows that the answer to a write does not tell of unless they were written.
    const SILENT: &'static [usize] = &[];

    /// An empty tenant, and a provider connected to it that has not called yet.
    async fn start() -> Self;

    /// The provider under test.
    fn provider(&self) -> &dyn Provider;

    /// Another connection to the same tenant.
    fn connect(&self, through: Through) -> Box<dyn Provider>;

    /// Another connection to the same tenant, which tells of its waits.
    fn telling(&self, waits: Waits) -> Box<dyn Provider>;

    /// E-mail, username (or another attribute that holds an e-mail, where the e-mail is the username), two texts, manager, one
    /// attribute that a tenant defines itself (or a third text), and two names, at the rows of [`rows`].
    fn mapping(&self) -> &Mapping;

    /// Accounts as an administrator would make them, all at once; [`Account::id`] is ignored. Answers the ids.
    async fn make(&self, accounts: &[Account]) -> Vec<String>;

    /// The account as the tenant has it; [`Account::foreign`] is `None`.
    async fn look(&self, id: &str) -> Option<Account>;

    /// Everything at an account that the mapping does not speak of, times of change aside.
    async fn rest(&self, id: &str) -> Value;

    /// Gives an account something that is not ours, of the kind that a careless update loses.
    async fn give_foreign(&self, id: &str);

    /// How many accounts there are.
    async fn size(&self) -> usize;

    async fn delete(&self, id: &str);

    /// [`account::Account::foreign`] of this account, which the plan gives back with every write, where the provider cannot
    /// write an attribute without it.
    async fn foreign(&self, _: &str) -> Option<Box<str>> {
        None
    }

    /// What the manager's row holds for this account: its id, or its e-mail.
    async fn reference(&self, id: &str) -> String {
        id.to_owned()
    }

    /// The attribute that tenants define themselves is not defined (any more).
    async fn undefine(&self);

    /// All tokens are over.
    async fn revoke_tokens(&self);

    /// The initial passwords that new accounts were made with, oldest first, and whether they have to be changed.
    async fn passwords(&self) -> Vec<(String, bool)>;

    /// Values of this row that contain `text` are refused from now on.
    async fn refuse(&self, row: usize, text: &str);

    /// The account becomes an administrator's, where the provider says such a thing.
    async fn promote(&self, _: &str) {
        unreachable!("the capability table says that the provider does not tell administrators")
    }

    /// Whether the provider says that another directory is the master of an account.
    const TELLS_MASTERS: bool = true;

    /// Another directory becomes the master of this account.
    async fn master(&self, _: &str) {
        unreachable!("the tenant says that its provider does not tell masters")
    }

    /// Texts that are written from now on are kept with single blanks and composed letters, and up to so many characters.
    async fn keep_texts(&self, folded: bool, cut: Option<usize>);

    /// Whether the service keeps characters that are not seen, in addresses and where the mark goes.
    const KEEPS_UNSEEN: bool = true;

    /// The account's mark is followed by a character that is not seen.
    async fn disguise_mark(&self, _: &str) {
        unreachable!("the tenant says that its service refuses such a character")
    }

    /// The credential may not change this account.
    async fn protect(&self, id: &str);

    /// The credential may read and not write from now on.
    async fn only_reads(&self);

    /// Every call is refused as one too many; answers the seconds after which the tenant says to come back, if it says so.
    async fn exhaust(&self) -> Option<u64>;

    /// Strikes these calls until [`Tenant::heal`].
    async fn fault(&self, calls: Calls, fault: Fault);

    async fn heal(&self);

    /// All calls that the service has seen, but for those that fetched a token.
    async fn calls(&self) -> u64;

    /// The calls that fetched a token.
    async fn token_calls(&self) -> u64;
}

/// Where the attributes stand in [`Tenant::mapping`].
pub mod rows {
    pub const EMAIL: usize = 0;
    // 1: the username, or another attribute that holds an e-mail.
    pub const TITLE: usize = 2;
    pub const DEPARTMENT: usize = 3;
    pub const MANAGER: usize = 4;
    /// What the tenant defines itself.
    pub const EXTENSION: usize = 5;
    pub const FIRST: usize = 6;
    // 7: the last name.
}

/// Whether the provider can do this; prints that the case is skipped where it cannot.
pub fn can<T: Tenant>(what: &str, able: impl Fn(&Capabilities) -> bool) -> bool {
    let able = able(&T::CATALOG.capabilities);
    if !able {
        println!("SKIPPED for {}, by its capability table: {what}", T::CATALOG.name);
    }
    able
}

/// The mark of the person of this name: a number as Bob's ids are, 19 digits.
pub fn mark(name: &str) -> String {
    let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    (3_000_000_000_000_000_000 + hash % 1_000_000_000_000_000_000).to_string()
}

/// Somebody's active account, with a mark and every attribute but the manager.
pub fn account(name: &str) -> Account {
    let email: Cow<'static, str> = format!("{name}@example.com").into();
    let text = |text: &str| Some(text.to_owned().into());
    Account {
        id: "".into(),
        mark: text(&mark(name)),
        email: Some(email.clone()),
        username: Some(email.clone()),
        state: AccountState::Active,
        attributes: [Some(email.clone()), Some(email), text("Engineer"), text("Platform"), None, text("A-7"), text("Noa"), text("Lind")]
            .into(),
        administrator: false,
        elsewhere: false,
        foreign: None,
    }
}

/// A write of these rows: text sets, `None` clears.
pub fn write(attributes: &[(usize, Option<&str>)]) -> AccountWrite {
    let value = |text: Option<&str>| text.map_or(NewValue::Clear, |text| NewValue::Set(text.into()));
    AccountWrite { attributes: attributes.iter().map(|(row, text)| (*row, value(*text))).collect(), ..AccountWrite::default() }
}

/// The write that makes this account.
pub fn creation(account: &Account, access: Access) -> AccountWrite {
    let set = |(row, text): (usize, &Option<Cow<'static, str>>)| Some((row, NewValue::Set(text.as_deref()?.into())));
    AccountWrite {
        attributes: account.attributes.iter().enumerate().filter_map(set).collect(),
        mark: account.mark.as_deref().map(Into::into),
        access: Some(access),
        foreign: None,
    }
}

/// The account as the provider lists it, [`Account::foreign`] included.
pub async fn listed<T: Tenant>(tenant: &T, id: &str) -> Account {
    let found = tenant.provider().find(tenant.mapping(), Key::Id(id)).await.expect("the look-up works");
    found.into_iter().next().expect("the account is there")
}

/// What is told of an account, but for what only its provider understands.
pub fn plain(account: Account) -> Account {
    Account { foreign: None, ..account }
}

/// What the answer to a write tells, with what such answers leave out taken from `whole`.
pub fn answered<T: Tenant>(account: Account, whole: &Account) -> Account {
    let mut account = plain(account);
    if !T::CATALOG.capabilities.answers_changes {
        // Nothing is answered: what is told is the write itself, and it has to be true.
        for (told, stored) in account.attributes.iter().zip(&whole.attributes) {
            assert!(told.is_none() || told == stored, "{told:?} is told, and {stored:?} was wanted");
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

/// Updates without haste, and says how many calls that took.
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

/// Every way in which an answer can be worthless, and whether the call was carried out all the same.
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
