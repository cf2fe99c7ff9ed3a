//! The questions of an administrator, each answered by one command of the real binary. A user with
//! the rights of the page about the commands asks, and the simulators' own books have the answers.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use jiff::{Timestamp, ToSpan as _};
use serde_json::{Value, json};

use crate::{
    budgets::{leave, staff},
    support::{Controller, Story, expected::expected, until},
};

/// The rights that docs/commands.md names, and a user who has none.
const RIGHTS: &str = "
apiVersion: v1
kind: ServiceAccount
metadata: {name: helpdesk, namespace: NAMESPACE}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: stranger, namespace: NAMESPACE}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: helpdesk, namespace: NAMESPACE}
rules:
  - {apiGroups: [bobsync.dev], resources: [provisioningintegrations, employeesyncs], verbs: [list]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: helpdesk, namespace: NAMESPACE}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: helpdesk}
subjects: [{kind: ServiceAccount, name: helpdesk, namespace: NAMESPACE}]
";

/// What a run of the binary has said.
struct Said {
    code: i32,
    out: String,
    err: String,
}

/// A user of the command line.
struct User {
    kubeconfig: PathBuf,
    namespace: String,
}

impl User {
    async fn of(story: &Story, name: &str) -> Self {
        let kubeconfig = story.plane.kubeconfig_for(&story.namespace, name).await.expect("a token");
        Self { kubeconfig, namespace: story.namespace.clone() }
    }

    async fn run(&self, arguments: &[&str]) -> Said {
        run(&self.kubeconfig, &[arguments, &["-n", &self.namespace]].concat(), None).await
    }

    /// Returns the rows of an answer in JSON.
    async fn rows(&self, arguments: &[&str]) -> Vec<Value> {
        let said = self.run(&[arguments, &["-o", "json"]].concat()).await;
        assert_eq!((said.code, &*said.err), (0, ""), "{arguments:?}: {}", said.out);
        let page: Value = serde_json::from_str(&said.out).expect("JSON");
        assert_eq!(page["format"], format!("bobsync/{}/v1", arguments[0]));
        page["rows"].as_array().expect("rows").clone()
    }
}

async fn run(kubeconfig: &Path, arguments: &[&str], columns: Option<&str>) -> Said {
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_bobsync"));
    command.args(arguments).env("KUBECONFIG", kubeconfig).stdin(Stdio::null()).kill_on_drop(true);
    match columns {
        Some(columns) => command.env("COLUMNS", columns),
        None => command.env_remove("COLUMNS"),
    };
    let output = tokio::time::timeout(Duration::from_secs(60), command.output())
        .await
        .expect("it ends")
        .expect("it starts");
    let [out, err] =
        [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).expect("text"));
    Said { code: output.status.code().unwrap_or(-1), out, err }
}

fn texts(rows: &[Value], key: &str) -> Vec<String> {
    rows.iter().map(|row| row[key].as_str().unwrap_or_default().to_owned()).collect()
}

fn ids(rows: &[Value]) -> BTreeSet<String> {
    texts(rows, "employeeId").into_iter().collect()
}

/// Returns the story of a company with someone for each question, and their ids: who leaves soon,
/// who starts soon, who fails, and who is Jane.
async fn company() -> (Story, Controller, [String; 4]) {
    let story = Story::begin("questions", 40).await;
    story.plane.apply_yaml(&RIGHTS.replace("NAMESPACE", &story.namespace)).await.expect("rights");
    let day = |days: i64| {
        let today = Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date();
        today.checked_add(days.days()).expect("a date").to_string()
    };
    let hire = async |first: &str, email: &str, start: &str, last: Option<String>| {
        story
            .simulated
            .hire(json!({
                "root.firstName": first, "root.surname": "Vale", "root.email": email,
                "work.startDate": start, "work.site": "Auckland",
                "internal.lifecycleStatus": "Employed", "internal.status": "Active",
                "internal.terminationDate": null, "employee.lastDayOfWork": last,
            }))
            .await
    };
    let leaver = hire("Noa", "=leaver@example.com", "2022-03-01", Some(day(3))).await;
    let starter = hire("Mia", "mia.vale@example.com", &day(4), None).await;
    let fails = hire("Ida", "ida.vale@example.com", "2022-03-01", None).await;
    let jane = hire("Jane", "jane.vale@example.com", "2022-03-01", None).await;
    story
        .simulated
        .put("/onelogin/refuse", json!({"rules": [{"field": "title", "contains": "Xylophonist"}]}))
        .await;
    story.simulated.change(&fails, json!({"work.title": "Chief Xylophonist"})).await;
    let controller = Controller::start(&story).await;
    story.integrate(json!({})).await;
    story.ready("Converged").await;
    story.sync().await;
    leave(&story, std::slice::from_ref(&jane)).await;
    story.sync().await;
    until("one employee fails", || async {
        let reason = story.reason(&fails).await;
        if reason == "Rejected" { Ok(()) } else { Err(reason) }
    })
    .await;
    (story, controller, [leaver, starter, fails, jane])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_simulators_books_have_the_answer_to_each_question() {
    let (story, controller, [leaver, starter, fails, jane]) = company().await;
    let user = User::of(&story, "helpdesk").await;
    story.simulated.forget_calls().await;
    let (now, accounts, employees) =
        (Timestamp::now(), story.simulated.accounts().await, story.simulated.employees().await);
    let marked = |status: i64| {
        let of = accounts.iter().filter(|account| account["status"] == status);
        let ids = of.filter_map(|account| account["external_id"].as_str().map(str::to_owned));
        ids.filter(|id| !id.is_empty()).collect::<BTreeSet<_>>()
    };

    // How many people are in which state?
    let matrix = user.rows(&["who"]).await;
    let sum = |access: &str| {
        let rows = matrix.iter().filter(|row| access.is_empty() || row["access"] == access);
        rows.map(|row| row["people"].as_u64().unwrap_or_default()).sum::<u64>()
    };
    assert_eq!(sum(""), story.everybody().await.len() as u64);
    assert_eq!((sum("Active"), sum("Suspended")), (marked(1).len() as u64, marked(2).len() as u64));
    let suspended = user.rows(&["who", "--access", "Suspended"]).await;
    assert_eq!(ids(&suspended), marked(2));
    let terminated = user.rows(&["who", "--access", "Suspended", "--because", "Terminated"]).await;
    assert!(ids(&terminated).contains(&jane), "{terminated:?}");

    // Who loses access this week?
    let id = |employee: &Value| employee["root.id"].as_str().unwrap_or_default().to_owned();
    let week = now.checked_add(168.hours()).expect("a time");
    let loses: BTreeSet<String> = employees
        .iter()
        .filter(|one| expected(one, now) == Some(1) && expected(one, week).is_none())
        .map(id)
        .collect();
    let upcoming = user.rows(&["upcoming", "--loses-access", "--within", "168h"]).await;
    assert_eq!(ids(&upcoming), loses);
    assert!(loses.contains(&leaver));
    let starts = ids(&user.rows(&["upcoming", "--starts"]).await);
    assert!(starts.contains(&starter) && !starts.contains(&leaver), "{starts:?}");
    let calendar = user.run(&["upcoming", "--loses-access", "-o", "ics"]).await;
    assert_eq!(calendar.out.matches("BEGIN:VEVENT").count(), loses.len(), "{}", calendar.out);

    // Why is Jane suspended, and since when?
    let said = user.run(&["explain", "jane.vale"]).await;
    let status = story.person(&jane).await.expect("Jane").status.expect("a status");
    let since = status.history[0].at.0.to_string();
    assert!(said.code == 0 && said.out.contains("jane.vale@example.com"), "{}", said.out);
    for part in ["Suspended", "Terminated", &format!("since {since}"), "what to do"] {
        assert!(said.out.contains(part), "{part}: {}", said.out);
    }
    let said = user.run(&["explain", &leaver, "--at", "6d", "-o", "json"]).await;
    let page: Value = serde_json::from_str(&said.out).expect("JSON");
    let steps = page["people"][0]["steps"].as_array().expect("steps");
    let outcome =
        |id: &str| steps.iter().find(|step| step["id"] == id).map(|step| &step["outcome"]);
    assert_eq!(
        (outcome("decision"), outcome("then")),
        (Some(&json!("Active")), Some(&json!("Suspended")))
    );

    // What failed, and what do I do?
    let failing = user.rows(&["who", "--failing"]).await;
    assert_eq!(ids(&failing), BTreeSet::from([fails.clone()]));
    let said = user.run(&["who", "--failing"]).await.out;
    assert!(said.contains("Rejected  1  Correct the field in Bob"), "{said}");

    // Who was changed, and by which trigger?
    let changed = user.rows(&["who", "--since", "24h"]).await;
    let lines: usize = story
        .everybody()
        .await
        .iter()
        .map(|person| person.status.as_ref().map_or(0, |status| status.history.len()))
        .sum();
    assert_eq!(changed.len(), lines);
    let made: BTreeSet<String> = changed
        .iter()
        .filter(|row| row["action"] == "Create" && row["outcome"] == "Succeeded")
        .map(|row| row["employeeId"].as_str().unwrap_or_default().to_owned())
        .collect();
    let all: BTreeSet<String> = marked(1).union(&marked(2)).cloned().collect();
    assert!(made.is_subset(&all) && made.contains(&jane), "{made:?}");
    let by_hand = user.rows(&["who", "--changed-by", "Manual", "--since", "24h"]).await;
    assert!(ids(&by_hand).contains(&jane), "{by_hand:?}");
    assert!(texts(&by_hand, "trigger").iter().all(|trigger| trigger == "Manual"));
    let before = user.rows(&["who", "--since", "7d", "--until", "2020-01-01"]).await;
    assert!(before.is_empty());

    // A spreadsheet takes no cell for a formula, and a terminal of 40 columns shows whole lines.
    let csv = user.run(&["upcoming", "-o", "csv"]).await.out;
    assert!(csv.contains(",'=leaver@example.com,"), "{csv}");
    for arguments in [&["who"][..], &["who", "--failing"], &["upcoming"], &["explain", "jane"]] {
        let arguments = [arguments, &["-n", &story.namespace]].concat();
        let narrow = run(&user.kubeconfig, &arguments, Some("40")).await;
        let widest = narrow.out.lines().map(|line| line.chars().count()).max().unwrap_or(0);
        assert!(narrow.code == 0 && widest <= 40, "{arguments:?}: {widest}\n{}", narrow.out);
    }

    // Nothing was written, no service was asked, and no value is shown.
    let name = format!("system:serviceaccount:{}:helpdesk", story.namespace);
    let seen = story.plane.audit().await.expect("the audit log");
    let verbs: BTreeSet<&str> = seen
        .iter()
        .filter(|event| event.user == name && event.group == "bobsync.dev")
        .map(|event| &*event.verb)
        .collect();
    assert_eq!(verbs, BTreeSet::from(["list"]));
    assert_eq!(
        (
            story.simulated.writes().await,
            story.simulated.calls("bob", "POST /v1/people/search").await
        ),
        (0, 0)
    );
    let mut shown = String::new();
    for arguments in [
        &["who"][..],
        &["who", "--failing"],
        &["who", "--access", "Active"],
        &["who", "--since", "7d"],
        &["upcoming", "--within", "52w"],
        &["explain", &fails],
    ] {
        for format in ["text", "json", "csv", "markdown", "html"] {
            shown.push_str(&user.run(&[arguments, &["-o", format]].concat()).await.out);
        }
    }
    let mut values = vec!["Xylophonist".to_owned()];
    for employee in &employees {
        let fields = ["root.surname", "work.workPhone", "work.workMobile", "work.title"];
        let long = |value: &&str| value.chars().count() >= 8;
        values.extend(
            fields
                .iter()
                .filter_map(|field| employee[*field].as_str().filter(long))
                .map(str::to_owned),
        );
    }
    let emails: Vec<String> = employees
        .iter()
        .filter_map(|employee| employee["root.email"].as_str().map(str::to_lowercase))
        .collect();
    // A surname is also a part of usernames.
    values.retain(|value| !emails.iter().any(|email| email.contains(&value.to_lowercase())));
    for value in values {
        assert!(!shown.contains(&value), "{value} is shown");
    }
    assert!(controller.stop().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_answered_is_said_in_a_sentence_and_nothing_is_written() {
    let story = Story::begin("bad-input", 4).await;
    story.plane.apply_yaml(&RIGHTS.replace("NAMESPACE", &story.namespace)).await.expect("rights");
    let (user, stranger) = (User::of(&story, "helpdesk").await, User::of(&story, "stranger").await);
    let refused = async |user: &User, arguments: &[&str], parts: &[&str]| {
        let said = user.run(arguments).await;
        assert_ne!(said.code, 0, "{arguments:?}: {}", said.out);
        for part in parts {
            assert!(said.err.contains(part), "{arguments:?} should say {part:?}: {}", said.err);
        }
    };
    refused(&user, &["who"], &["there is no ProvisioningIntegration in", "-A"]).await;
    let controller = Controller::start(&story).await;
    staff(&story, 6).await;
    story.integrate(json!({})).await;
    story.ready("Converged").await;

    let rights = ["list provisioningintegrations.bobsync.dev", "list employeesyncs.bobsync.dev"];
    for arguments in [&["who"][..], &["upcoming"], &["explain", "robin"]] {
        refused(&stranger, arguments, &rights).await;
        refused(&stranger, arguments, &["kind: Role\n"]).await;
    }
    refused(
        &stranger,
        &["stop", "--all"],
        &["patch provisioningintegrations", "resources: [provisioningintegrations]"],
    )
    .await;
    let everywhere = run(&user.kubeconfig, &["who", "-A"], None).await;
    assert!(
        everywhere.code == 1 && everywhere.err.contains("kind: ClusterRole"),
        "{}",
        everywhere.err
    );
    refused(&user, &["who", "--integration", "onelogon"], &["did you mean onelogin?"]).await;
    refused(&user, &["explain", "zz@example.com"], &["no EmployeeSync fits `zz@example.com`"])
        .await;
    refused(&user, &["explain", "robin"], &["fits 6 employees", "robin.5@example.com"]).await;
    refused(&user, &["explain", ""], &["give an e-mail"]).await;
    refused(&user, &["who", "--since", "soon"], &["yesterday"]).await;
    refused(&user, &["who", "-l", "a in b"], &["is not a label selector"]).await;
    refused(&user, &["who", "--context", "none"], &["no Kubernetes API server is configured"])
        .await;
    let no_file = ["who", "--kubeconfig", "/nowhere/config"];
    refused(&user, &no_file, &["no Kubernetes API server is configured"]).await;

    // A cluster that is not there.
    let folder = std::env::temp_dir().join(format!("{}-kubeconfig", story.namespace));
    let text = std::fs::read_to_string(&user.kubeconfig).expect("a kubeconfig");
    let [closed, _] = crate::support::controller::free_ports();
    let (before, rest) = text.split_once("https://").expect("an address");
    let (_, after) = rest.split_once(['"', '\n', '}', ',']).expect("an end");
    let end = &rest[rest.len() - after.len() - 1..];
    let away = format!("{before}https://127.0.0.1:{closed}{end}");
    std::fs::write(&folder, away).expect("a file");
    for arguments in [&["who"][..], &["upcoming"], &["explain", "robin"], &["stop", "onelogin"]] {
        let said = run(&folder, arguments, None).await;
        assert!(said.code == 1 && said.err.starts_with("bobsync: "), "{arguments:?}: {}", said.err);
        assert!(!said.err.contains("panicked"), "{}", said.err);
    }
    std::fs::remove_file(&folder).expect("it was there");

    // A reader that goes away ends the command quietly.
    let command = format!(
        "set -o pipefail; '{}' who --access Active -o html -n {} | true",
        env!("CARGO_BIN_EXE_bobsync"),
        story.namespace
    );
    let ended = tokio::process::Command::new("bash")
        .args(["-c", &command])
        .env("KUBECONFIG", &user.kubeconfig)
        .output()
        .await
        .expect("bash runs");
    assert!(ended.status.success() && ended.stderr.is_empty(), "{ended:?}");

    // As a plugin of kubectl it names itself so.
    let plugin = std::env::temp_dir().join(format!("{}-plugin", story.namespace));
    std::fs::create_dir(&plugin).expect("a folder");
    let link = plugin.join("kubectl-bobsync");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_bobsync"), &link).expect("a link");
    let help = std::process::Command::new(&link).arg("--help").output().expect("it starts");
    let help = String::from_utf8_lossy(&help.stdout).into_owned();
    assert!(help.contains("Usage: kubectl bobsync <COMMAND>"), "{help}");
    std::fs::remove_dir_all(&plugin).expect("it was there");

    // Nothing of all this has stopped the integration.
    assert!(!story.integration().await.spec.suspend);
    assert!(controller.stop().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_ends_all_writes_until_it_is_resumed() {
    let story = Story::begin("stop", 4).await;
    let admin = User { kubeconfig: story.plane.kubeconfig(), namespace: story.namespace.clone() };
    let people = staff(&story, 6).await;
    let controller = Controller::start(&story).await;
    story.integrate(json!({})).await;
    story.ready("Converged").await;

    let wrong = admin.run(&["stop", "onelogin", "okta"]).await;
    assert!(wrong.code == 1 && wrong.err.contains("nothing was written"), "{}", wrong.err);
    assert!(!story.integration().await.spec.suspend);

    let stopped = admin.run(&["stop", "--all"]).await;
    assert!(
        stopped.code == 0 && stopped.out.contains("onelogin has stopped"),
        "{}{}",
        stopped.out,
        stopped.err
    );
    story.ready("Suspended").await;
    story.simulated.forget_calls().await;
    leave(&story, &people[..1]).await;
    let noted = admin.run(&["upcoming"]).await.out;
    assert!(noted.contains("is suspended: no date has an effect"), "{noted}");
    story.ask().await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(story.simulated.writes().await, 0);

    let resumed = admin.run(&["resume", "onelogin"]).await;
    assert!(
        resumed.code == 0 && resumed.out.contains("works again"),
        "{}{}",
        resumed.out,
        resumed.err
    );
    until("the leaver is suspended", || async {
        let account = story.simulated.account(&people[0]).await.unwrap_or_default();
        if account["status"] == 2 { Ok(()) } else { Err(account["status"].to_string()) }
    })
    .await;
    assert!(controller.stop().await);
    // Without a controller the write is made, and the command says that it has no answer.
    let alone = admin.run(&["stop", "onelogin", "--timeout", "1s"]).await;
    assert!(alone.code == 1 && alone.err.contains("Is it running?"), "{}", alone.err);
    let version = admin.run(&["version"]).await.out;
    assert!(version.contains("they have every field of this version"), "{version}");
}
