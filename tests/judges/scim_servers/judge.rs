//! The SCIM provider against servers that others wrote: every call of a provider's contract, with
//! PATCH and with PUT. What a server has is read without the provider. `start` runs the servers,
//! so this needs Python and Node.js, and `tests/judges/run` runs it.

use std::{
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
    sync::Arc,
};

use bobsync::{
    domain::{
        account::{Access, Account, AccountState, AccountWrite, NewValue},
        employee::Fields,
        mapping::{Mapping, Row, Source},
        priority::Urgency,
    },
    http::secret::Secret,
    provider::{
        Error, Initial, Key, Listing, Provider, Written,
        call::Hooks,
        scim::{CATALOG, MarkPlace, ScimServer, Tenant, UpdateMethod, Way, pacer},
    },
};
use serde_json::{Value, json};

const TOKEN: &str = "scim-token-1";
const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";

const TARGETS: [&str; 9] = [
    "userName",
    "emails.work",
    "title",
    "enterprise.department",
    "enterprise.manager",
    "name.givenName",
    "name.familyName",
    "phoneNumbers.work",
    "addresses.work.locality",
];

/// Targets of another tool, which bobsync does not map.
const OTHERS: [&str; 5] =
    ["userName", "nickName", "emails.home", "phoneNumbers.home", "enterprise.division"];

fn mapping(targets: &[&str]) -> Mapping {
    let row = |target: &&str| Row {
        target: (*target).into(),
        source: Source::Field(0),
        on_create_only: false,
        compare: CATALOG.compare(target).expect("a target"),
        required: false,
    };
    Mapping {
        rows: targets.iter().map(row).collect(),
        fields: Fields::default(),
        email: 0,
        username: 0,
        address: targets.iter().position(|target| *target == "emails.work"),
        manager: targets.iter().position(|target| *target == "enterprise.manager"),
    }
}

/// A server, until this is dropped.
struct Server {
    base: String,
    process: Child,
}

impl Server {
    fn start(name: &str) -> Self {
        let start = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/judges/scim_servers/start");
        let mut process = Command::new(start)
            .arg(name)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("a process");
        let mut lines = BufReader::new(process.stdout.take().expect("its output")).lines();
        let line = lines.next().expect("a first line").expect("a text");
        // What the server says later must not fill the pipe.
        std::thread::spawn(move || lines.for_each(drop));
        let base = line.split_whitespace().last().expect("an address").to_owned();
        Self { base, process }
    }

    fn connected(&self, updates: UpdateMethod) -> ScimServer {
        let tenant = Tenant {
            base: self.base.trim_end_matches('/').to_owned(),
            tokens: String::new(),
            scope: String::new(),
            updates,
            mark: MarkPlace::ExternalId,
        };
        let hooks = Hooks {
            observer: Arc::new(|_, _| ()),
            gate: Arc::new(|| true),
            waits: Arc::new(|_| ()),
        };
        ScimServer::new(tenant, Way::Bearer(Secret::new(TOKEN)), hooks, Arc::new(pacer()))
            .expect("a client")
    }

    /// Returns a user as the server has it.
    async fn stored(&self, id: &str) -> Value {
        let url = format!("{}/Users/{id}", self.base);
        let request = reqwest::Client::new().get(url).bearer_auth(TOKEN);
        let body = request.send().await.expect("an answer").bytes().await.expect("a body");
        serde_json::from_slice(&body).expect("JSON")
    }

    /// Waits until the server answers.
    async fn answers(&self) {
        for _ in 0..100 {
            let request = reqwest::Client::new().get(format!("{}/Users?count=1", self.base));
            if request.bearer_auth(TOKEN).send().await.is_ok() {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
        panic!("{} does not answer", self.base);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

fn write(values: &[(usize, Option<&str>)]) -> AccountWrite {
    let value =
        |text: Option<&str>| text.map_or(NewValue::Clear, |text| NewValue::Set(text.into()));
    AccountWrite {
        attributes: values.iter().map(|(row, text)| (*row, value(*text))).collect(),
        ..AccountWrite::default()
    }
}

async fn update(
    provider: &ScimServer,
    mapping: &Mapping,
    id: &str,
    change: &AccountWrite,
) -> Result<Written, Error> {
    let found = provider.find(mapping, Key::Id(id)).await?;
    let foreign = found[0].foreign.as_deref().map(Into::into);
    let change = AccountWrite { foreign, ..change.clone() };
    provider.update(mapping, id, &change, Urgency::Normal).await
}

async fn list(provider: &ScimServer, mapping: &Mapping) -> (Vec<Account<'static>>, Listing) {
    let mut seen = Vec::new();
    let listing = provider.list(mapping, &mut |account| seen.push(account.into_owned())).await;
    (seen, listing.expect("a listing"))
}

fn creation(name: &str, access: Access) -> AccountWrite {
    let email = format!("{name}@example.com");
    AccountWrite {
        mark: Some(
            format!(
                "33328838942350{:05}",
                name.len() * 1000 + usize::from(name.as_bytes()[name.len() - 1])
            )
            .into(),
        ),
        access: Some(access),
        ..write(&[
            (0, Some(&email)),
            (1, Some(&email)),
            (2, Some("Engineer")),
            (3, Some("Platform")),
            (5, Some("Noa")),
            (6, Some("Lind")),
            (7, Some("+44 20 7946 0000")),
            (8, Some("Paris")),
        ])
    }
}

/// Makes, finds, lists, changes and suspends accounts.
async fn judge(name: &str, updates: UpdateMethod) {
    bobsync::cluster::connect::install_crypto();
    let server = Server::start(name);
    server.answers().await;
    let (provider, mapping) = (server.connected(updates), mapping(&TARGETS));
    let make = async |name: &str, access| {
        let write = creation(name, access);
        provider.create(&mapping, &write, &Initial::default()).await
    };
    // More than the smallest page of these servers.
    let mut ids = Vec::new();
    for number in 0..60 {
        let made = make(&format!("person-{number}"), Access::Active).await.expect("an account");
        assert_eq!(made.account.state, AccountState::Active);
        ids.push(made.account.id.into_owned());
    }
    let (seen, listing) = list(&provider, &mapping).await;
    assert_eq!((seen.len(), listing.accounts, listing.whole), (60, 60, true), "{name}");
    assert_eq!(listing.unavailable, Vec::<usize>::new(), "{name}");

    let found =
        provider.find(&mapping, Key::Email("Person-7@Example.com")).await.expect("a search");
    assert_eq!((found.len(), &*found[0].id), (1, &*ids[7]), "{name}: another case");
    let mark = found[0].mark.clone().expect("a mark");
    let marked = provider.find(&mapping, Key::Mark(&mark)).await.expect("a search");
    assert!(marked.iter().any(|account| *account.id == *ids[7]), "{name}");
    for nobody in [Key::Email("nobody@example.com"), Key::Mark("1"), Key::Id("nobody")] {
        assert_eq!(provider.find(&mapping, nobody).await, Ok(vec![]), "{name}: {nobody:?}");
    }
    let taken = make("PERSON-7", Access::Active).await;
    assert!(matches!(taken, Err(Error::Duplicate { .. })), "{name}: {taken:?}");
    let late = make("late", Access::Suspended).await.expect("an account").account;
    assert_eq!(
        (late.state, &server.stored(&late.id).await["active"]),
        (AccountState::Suspended, &json!(false))
    );

    // Another tool adds what bobsync does not map.
    let (id, others) = (&*ids[3], self::mapping(&OTHERS));
    let theirs =
        write(&[(1, Some("Shoe")), (2, Some("h@example.org")), (3, Some("1")), (4, Some("West"))]);
    update(&provider, &others, id, &theirs).await.expect("a change");
    let change = AccountWrite {
        access: Some(Access::Suspended),
        ..write(&[
            (1, Some("p3@example.com")),
            (2, None),
            (3, Some("Sales \"West\"")),
            (4, Some(&ids[9])),
            (5, Some("Zoë")),
            (7, None),
            (8, Some("Łódź")),
        ])
    };
    let written = update(&provider, &mapping, id, &change).await.expect("a change");
    assert_eq!(written.left, None, "{name}");
    let user = server.stored(id).await;
    let entry = |array: &str, kind: &str| {
        let all = user[array].as_array().cloned().unwrap_or_default();
        let found: Vec<Value> = all.into_iter().filter(|entry| entry["type"] == kind).collect();
        assert!(found.len() < 2, "{name}: {user}");
        found.into_iter().next().unwrap_or_default()
    };
    assert_eq!(
        json!([
            user["userName"],
            entry("emails", "work")["value"],
            user["title"],
            user[ENTERPRISE]["department"],
            user[ENTERPRISE]["manager"]["value"],
            user["name"]["givenName"],
            user["name"]["familyName"],
            entry("phoneNumbers", "work")["value"],
            entry("addresses", "work")["locality"],
            user["active"],
            user["externalId"],
        ]),
        json!([
            "person-3@example.com",
            "p3@example.com",
            null,
            "Sales \"West\"",
            ids[9],
            "Zoë",
            "Lind",
            null,
            "Łódź",
            false,
            creation("person-3", Access::Active).mark
        ]),
        "{name} {updates:?}"
    );
    assert_eq!(
        json!([
            user["nickName"],
            entry("emails", "home")["value"],
            entry("phoneNumbers", "home")["value"],
            user[ENTERPRISE]["division"]
        ]),
        json!(["Shoe", "h@example.org", "1", "West"]),
        "{name} {updates:?}: what is not ours is kept"
    );
    // The listing shows what the change has told, so nothing is left to do.
    let (seen, _) = list(&provider, &mapping).await;
    let listed = seen.iter().find(|account| *account.id == *id).expect("the account");
    assert_eq!(listed.attributes, written.account.attributes, "{name}");

    let back = AccountWrite { access: Some(Access::Active), ..write(&[(4, None)]) };
    let written = update(&provider, &mapping, id, &back).await.expect("a change");
    assert_eq!(
        (written.account.state, &written.account.attributes[4]),
        (AccountState::Active, &None)
    );
    let urgent = AccountWrite { access: Some(Access::Suspended), ..AccountWrite::default() };
    provider.update(&mapping, id, &urgent, Urgency::Urgent).await.expect("a suspension");
    assert_eq!(server.stored(id).await["active"], false);
    let gone = provider.update(&mapping, "nobody", &urgent, Urgency::Urgent).await;
    assert_eq!(gone, Err(Error::NotFound), "{name}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_python_server_by_patch() {
    judge("scim2-server", UpdateMethod::Auto).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_python_server_by_put() {
    judge("scim2-server", UpdateMethod::Put).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_python_server_with_cursors() {
    judge("scim2-server-cursors", UpdateMethod::Auto).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_node_server_by_patch() {
    judge("scimmy", UpdateMethod::Auto).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_node_server_by_put() {
    judge("scimmy", UpdateMethod::Put).await;
}
