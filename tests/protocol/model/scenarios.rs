//! Small worlds: two employees, the events, and the expected provider at the end, stated by hand.

use bobsync::domain::employee::Cell;

use super::{
    controller::{Object, id_of},
    provider::{Account, Provider},
    state::Allowed,
};

/// One employee's file in Bob.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct File {
    /// `root.email`
    pub email: &'static str,
    /// `work.title`
    pub title: &'static str,
    /// `work.manager`, by index.
    pub manager: Option<usize>,
    /// At work.
    pub is: Is,
}

/// Bob's statuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Is {
    /// Employed, Active.
    AtWork,
    /// On leave, Inactive: has an account that is suspended.
    OnLeave,
    /// Terminated, Inactive.
    Left,
}

impl File {
    const fn at_work(email: &'static str) -> Self {
        Self { email, title: "Engineer", manager: None, is: Is::AtWork }
    }

    const fn under(self, manager: usize) -> Self {
        Self { manager: Some(manager), ..self }
    }

    const fn but(self, is: Is) -> Self {
        Self { is, ..self }
    }

    /// Returns one field, as Bob's search shows it.
    pub fn cell<'a>(&self, id: &'a str, field: &str) -> Cell<'a> {
        match field {
            "root.id" => Cell::Text(id),
            "root.email" => Cell::Text(self.email),
            "work.title" => Cell::Text(self.title),
            "work.startDate" => Cell::Text("2020-01-01"),
            "work.manager" => match self.manager {
                Some(0) => Cell::Text("1"),
                Some(_) => Cell::Text("2"),
                None => Cell::Null,
            },
            "internal.lifecycleStatus" => Cell::Text(match self.is {
                Is::AtWork => "Employed",
                Is::OnLeave => "Leave",
                Is::Left => "Terminated",
            }),
            "internal.status" => {
                Cell::Text(if self.is == Is::AtWork { "Active" } else { "Inactive" })
            }
            _ => Cell::Null,
        }
    }
}

/// The events from outside, at any moment.
#[derive(Clone, Debug)]
pub enum Event {
    /// The file of the employee at this index changes to this; `None`: the file is gone.
    Bob(usize, Option<File>),
    /// A person deletes the `EmployeeSync` of the employee at this index.
    Delete(usize),
}

/// A small world and its events.
pub struct Scenario {
    /// The name.
    pub name: &'static str,
    /// Bob at the beginning.
    pub bob: Vec<Option<File>>,
    /// The provider at the beginning.
    pub provider: Provider,
    /// The statuses at the beginning.
    pub objects: Vec<Option<Object>>,
    /// The events, in this order.
    pub events: Vec<Event>,
    /// The accounts at the end, after this many events.
    pub ends: Vec<Vec<End>>,
    /// How many faults are allowed on one path: as many as a minute of a debug build has time for.
    pub allowed: Allowed,
    /// A second account for one employee is possible, and must be reported: see [`what_remains`].
    pub doubles: bool,
}

/// One account in the end.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct End {
    /// The address.
    pub email: String,
    /// The employee's index; `None`: a stranger's account, without a mark.
    pub whose: Option<usize>,
    /// Whether it can be used.
    pub active: bool,
    /// The title.
    pub title: Option<String>,
    /// The manager, by index.
    pub manager: Option<usize>,
}

fn end(email: &str, whose: usize, active: bool) -> End {
    End {
        email: email.to_owned(),
        whose: Some(whose),
        active,
        title: Some("Engineer".to_owned()),
        manager: None,
    }
}

fn under(end: End, manager: usize) -> End {
    End { manager: Some(manager), ..end }
}

fn account(email: &str, whose: Option<usize>) -> Account {
    let attributes = [("title".to_owned(), "Engineer".to_owned())].into();
    Account { email: email.to_owned(), mark: whose.map(id_of), suspended: false, attributes }
}

fn known(id: &str) -> Object {
    Object::of_account(id, true)
}

const A: &str = "ada@example.com";
const B: &str = "ben@example.com";
const NEW: &str = "ada.byron@example.com";
const OFFICE: &str = "office@example.com";

/// Returns every scenario in which the invariants always hold.
pub fn all() -> Vec<Scenario> {
    let nothing = || (Provider::default(), vec![None, None]);
    let two = || {
        (
            Provider { accounts: vec![account(A, Some(0)), account(B, Some(1))] },
            vec![Some(known("0")), Some(known("1"))],
        )
    };
    let bob = |place, file| Event::Bob(place, Some(file));
    let mut all = Vec::new();
    let mut tell = |name,
                    (faults, takeovers),
                    files: [Option<File>; 2],
                    (provider, objects): (Provider, Vec<Option<Object>>),
                    events,
                    ends| {
        let allowed = Allowed { faults, takeovers };
        all.push(Scenario {
            name,
            bob: files.into(),
            provider,
            objects,
            events,
            ends,
            allowed,
            doubles: false,
        });
    };
    tell(
        "two joiners, one the other's manager",
        (2, 1),
        [Some(File::at_work(A)), None],
        nothing(),
        vec![bob(1, File::at_work(B).under(0))],
        vec![vec![end(A, 0, true)], vec![end(A, 0, true), under(end(B, 1, true), 0)]],
    );
    tell(
        "two joiners with one address, until one of them goes on leave and gets another",
        (1, 1),
        [Some(File::at_work(OFFICE)), Some(File::at_work(OFFICE))],
        nothing(),
        vec![
            bob(1, File::at_work(OFFICE).but(Is::OnLeave)),
            bob(1, File::at_work(B).but(Is::OnLeave)),
        ],
        vec![vec![], vec![end(OFFICE, 0, true)], vec![end(OFFICE, 0, true), end(B, 1, false)]],
    );
    let somebody_elses = Account { mark: Some("77".to_owned()), ..account(OFFICE, None) };
    let stranger = end(OFFICE, 76, true);
    tell(
        "an account without a mark is adopted by its address, and one with another's mark is not",
        (2, 1),
        [Some(File::at_work(A)), Some(File::at_work(OFFICE))],
        (Provider { accounts: vec![account(A, None), somebody_elses] }, vec![None, None]),
        vec![bob(0, File { title: "Director", ..File::at_work(A) })],
        vec![
            vec![end(A, 0, true), stranger.clone()],
            vec![End { title: Some("Director".to_owned()), ..end(A, 0, true) }, stranger],
        ],
    );
    tell(
        "a leaver who comes back",
        (3, 2),
        [Some(File::at_work(A)), Some(File::at_work(B))],
        two(),
        vec![bob(0, File::at_work(A).but(Is::Left)), bob(0, File::at_work(A))],
        vec![
            vec![end(A, 0, true), end(B, 1, true)],
            vec![end(A, 0, false), end(B, 1, true)],
            vec![end(A, 0, true), end(B, 1, true)],
        ],
    );
    tell(
        "somebody is renamed, and a colleague takes the old address",
        (3, 2),
        [Some(File::at_work(A)), Some(File::at_work(B))],
        two(),
        vec![bob(0, File::at_work(NEW)), bob(1, File::at_work(A))],
        vec![
            vec![end(A, 0, true), end(B, 1, true)],
            vec![end(NEW, 0, true), end(B, 1, true)],
            vec![end(NEW, 0, true), end(A, 1, true)],
        ],
    );
    tell(
        "somebody is renamed, and a joiner takes the old address",
        (2, 2),
        [Some(File::at_work(A)), None],
        (Provider { accounts: vec![account(A, Some(0))] }, vec![Some(known("0")), None]),
        vec![bob(0, File::at_work(NEW)), bob(1, File::at_work(A))],
        vec![
            vec![end(A, 0, true)],
            vec![end(NEW, 0, true)],
            vec![end(NEW, 0, true), end(A, 1, true)],
        ],
    );
    tell(
        "two joiners who are each other's manager",
        (2, 1),
        [Some(File::at_work(A).under(1)), Some(File::at_work(B).under(0))],
        nothing(),
        vec![],
        vec![vec![under(end(A, 0, true), 1), under(end(B, 1, true), 0)]],
    );
    tell(
        "an EmployeeSync is deleted before and after its person leaves",
        (3, 2),
        [Some(File::at_work(A)), Some(File::at_work(B))],
        two(),
        vec![Event::Delete(0), bob(0, File::at_work(A).but(Is::Left)), Event::Delete(0)],
        vec![
            vec![end(A, 0, true), end(B, 1, true)],
            vec![end(A, 0, true), end(B, 1, true)],
            vec![end(A, 0, false), end(B, 1, true)],
            vec![end(A, 0, false), end(B, 1, true)],
        ],
    );
    tell(
        "a joiner's EmployeeSync is deleted while the account is made",
        (1, 1),
        [Some(File::at_work(A)), Some(File::at_work(B).but(Is::OnLeave))],
        nothing(),
        vec![Event::Delete(0)],
        vec![vec![end(A, 0, true), end(B, 1, false)]; 2],
    );
    tell(
        "a file is deleted in Bob",
        (3, 2),
        [Some(File::at_work(A)), Some(File::at_work(B).under(0))],
        (
            Provider {
                accounts: vec![
                    account(A, Some(0)),
                    Account { attributes: managed(), ..account(B, Some(1)) },
                ],
            },
            vec![Some(known("0")), Some(known("1"))],
        ),
        vec![Event::Bob(1, None)],
        vec![
            vec![end(A, 0, true), under(end(B, 1, true), 0)],
            vec![end(A, 0, true), under(end(B, 1, false), 0)],
        ],
    );
    all
}

fn managed() -> std::collections::BTreeMap<String, String> {
    [("title".to_owned(), "Engineer".to_owned()), ("manager_user_id".to_owned(), "0".to_owned())]
        .into()
}

/// Returns what no provider can prevent: the first claim on an account (a create, or the mark on an
/// adopted one) arrives after its sender gave it up, died or lost the lease, and after another pass
/// has read another address.
pub fn what_remains() -> Vec<Scenario> {
    let renamed = || Event::Bob(0, Some(File::at_work(NEW)));
    let told = |name, (faults, takeovers), provider, events, ends| Scenario {
        name,
        bob: vec![Some(File::at_work(A)), None],
        provider,
        objects: vec![None, None],
        events,
        ends,
        allowed: Allowed { faults, takeovers },
        doubles: true,
    };
    let unmarked = End { whose: None, ..end(A, 0, true) };
    vec![
        told(
            "a joiner who is renamed while the account is made",
            (2, 1),
            Provider::default(),
            vec![renamed()],
            vec![vec![end(A, 0, true)], vec![end(NEW, 0, true)]],
        ),
        told(
            "a joiner who is renamed while the account is made, and another who takes the address",
            (1, 1),
            Provider::default(),
            vec![renamed(), Event::Bob(1, Some(File { title: "Director", ..File::at_work(A) }))],
            vec![
                vec![end(A, 0, true)],
                vec![end(NEW, 0, true)],
                vec![
                    end(NEW, 0, true),
                    End { title: Some("Director".to_owned()), ..end(A, 1, true) },
                ],
            ],
        ),
        told(
            "somebody who is renamed while the account is adopted",
            (2, 1),
            Provider { accounts: vec![account(A, None)] },
            vec![renamed()],
            // It was not adopted before the address changed: then the old account belongs to no
            // employee.
            vec![vec![end(A, 0, true)], vec![end(NEW, 0, true), unmarked]],
        ),
    ]
}
