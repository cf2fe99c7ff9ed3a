//! Whole answers: invented employees in the three forms that Bob's documentation shows.

use proptest::prelude::*;

use super::*;
use crate::domain::employee::{self, BobStatus, Lifecycle};

const ANSWER: &str = r#"{
  "employees": [
    {
      "/root/id": {"value": "4110000000000000017"},
      "/root/email": {"value": "teo.marsh@example.com"},
      "/work/title": {"value": "301"},
      "/work/siteId": {"value": 88123},
      "/work/reportsTo": {"value": {"id": "4110000000000000099", "displayName": "Ola Brandt",
                                    "email": "ola.brandt@example.com"}},
      "/work/reportsTo/email": {"value": "ola.brandt@example.com"},
      "/work/startDate": {"value": "2026-12-01"},
      "id": "4110000000000000017",
      "email": "teo.marsh@example.com",
      "firstName": "T\u00e9o",
      "displayName": "T\u00e9o \ud83d\udc1d Marsh",
      "work": {
        "title": "301",
        "site": "Lyon",
        "siteId": 88123,
        "manager": "4110000000000000099",
        "reportsTo": {"id": "4110000000000000099", "displayName": "Ola Brandt",
                      "email": "ola.brandt@example.com"},
        "startDate": "2026-12-01",
        "workPhone": null,
        "isManager": false,
        "employeeIdInCompany": 9007199254740993,
        "custom": {"field_100": "item-2", "Payroll ID_1x": 7}
      },
      "internal": {"status": "Inactive", "lifecycleStatus": "hired", "terminationDate": null},
      "employee": {"lastDayOfWork": null},
      "humanReadable": {
        "id": "4110000000000000017",
        "email": "teo.marsh@example.com",
        "displayName": "T\u00e9o \ud83d\udc1d Marsh",
        "work": {"title": "Beekeeper", "site": "Lyon", "siteId": "Lyon",
                 "manager": "Ola Brandt", "reportsTo": "Ola Brandt",
                 "startDate": "01/12/2026", "isManager": "No",
                 "employeeIdInCompany": "9,007,199,254,740,993",
                 "custom": {"field_100": "Cargo bike"}},
        "internal": {"status": "Inactive", "lifecycleStatus": "Hired"}
      }
    },
    {
      "/root/id": {"value": "4110000000000000099"},
      "/work/site": {"value": "Oslo"},
      "/work/custom/field_100": {"value": "item-1"},
      "humanReadable": {
        "work": {"title": "Head of Bees", "custom": {"field_100": "Tandem"}},
        "employee": {"lastDayOfWork": "15/10/2026"}
      },
      "id": "4110000000000000099",
      "email": "ola.brandt@example.com",
      "work": {"title": "302", "manager": null, "reportsTo": null, "startDate": "2019-03-01"},
      "internal": {"status": "Active", "lifecycleStatus": "Employed",
                   "terminationDate": "2026-10-31"},
      "employee": {"lastDayOfWork": "2026-10-15"}
    }
  ]
}"#;

const MAPPED: [&str; 14] = [
    "root.firstName",
    "root.displayName",
    "work.title",
    "work.siteId",
    "work.manager",
    "work.reportsTo",
    "work.reportsTo.email",
    "work.workPhone",
    "work.isManager",
    "work.employeeIdInCompany",
    "work.custom.field_100",
    "work.custom.Payroll ID_1x",
    "work.department",
    "work.secret.field",
];

fn fields() -> Fields {
    let mut fields = Fields::default();
    for id in MAPPED {
        fields.want(id);
    }
    fields
}

fn read(fields: &Fields, body: &str) -> Result<People, Error> {
    read_chunks(fields, [body.as_bytes()])
}

fn read_chunks<'a>(
    fields: &Fields,
    chunks: impl IntoIterator<Item = &'a [u8]>,
) -> Result<People, Error> {
    let mut reader = Reader::new(fields);
    for chunk in chunks {
        reader.feed(chunk)?;
    }
    reader.finish()
}

fn said(result: Result<People, Error>) -> String {
    match result {
        Err(Error::Unavailable { said }) => said,
        other => panic!("{other:?}"),
    }
}

#[test]
fn each_field_is_found_in_its_form() {
    let fields = fields();
    let people = read(&fields, ANSWER).unwrap();
    let cell =
        |person: usize, id: &str| people.employees[person].values.get(fields.position(id).unwrap());
    let text = Cell::Text;
    for (id, first, second) in [
        ("root.id", text("4110000000000000017"), text("4110000000000000099")),
        ("root.email", text("teo.marsh@example.com"), text("ola.brandt@example.com")),
        ("root.firstName", text("Téo"), Cell::Absent),
        ("root.displayName", text("Téo 🐝 Marsh"), Cell::Absent),
        ("work.title", text("Beekeeper"), text("Head of Bees")),
        ("work.site", text("Lyon"), text("Oslo")),
        ("work.siteId", text("Lyon"), Cell::Absent),
        ("work.manager", text("4110000000000000099"), Cell::Null),
        ("work.reportsTo", text("4110000000000000099"), Cell::Null),
        // There is no manager, so there is no manager's e-mail. It is known to be empty, and not
        // hidden.
        ("work.reportsTo.email", text("ola.brandt@example.com"), Cell::Null),
        ("work.startDate", text("2026-12-01"), text("2019-03-01")),
        ("work.workPhone", Cell::Null, Cell::Absent),
        ("work.isManager", text("false"), Cell::Absent),
        ("work.employeeIdInCompany", text("9007199254740993"), Cell::Absent),
        ("work.custom.field_100", text("Cargo bike"), text("Tandem")),
        ("work.custom.Payroll ID_1x", text("7"), Cell::Absent),
        ("internal.terminationDate", Cell::Null, text("2026-10-31")),
        ("employee.lastDayOfWork", Cell::Null, text("2026-10-15")),
        ("work.department", Cell::Absent, Cell::Absent),
        ("work.secret.field", Cell::Absent, Cell::Absent),
    ] {
        assert_eq!(cell(0, id), first, "{id} of the first");
        assert_eq!(cell(1, id), second, "{id} of the second");
    }
    assert_eq!(people.employees[0].lifecycle, Lifecycle::Hired);
    assert_eq!(people.employees[0].status, BobStatus::Inactive);
    assert_eq!(people.employees[1].last_day.date(), Some(jiff::civil::date(2026, 10, 15)));
    let unseen: Vec<&str> = fields
        .ids()
        .iter()
        .zip(&people.seen)
        .filter(|(_, seen)| !**seen)
        .map(|(id, _)| &**id)
        .collect();
    assert_eq!(
        unseen,
        [
            "employee.recentLeaveStartDate",
            "employee.recentLeaveEndDate",
            "work.department",
            "work.secret.field"
        ]
    );
}

#[test]
fn the_managers_email_is_found_without_asking_for_the_manager() {
    let mut fields = Fields::default();
    let email = fields.want("work.reportsTo.email");
    let people = read(&fields, ANSWER).unwrap();
    assert_eq!(people.employees[0].values.get(email), Cell::Text("ola.brandt@example.com"));
    assert_eq!(people.employees[1].values.get(email), Cell::Null);
}

#[test]
fn a_null_category_is_no_evidence() {
    let people = read(
        &Fields::default(),
        r#"{"employees":[{"id":"1","work":null,"internal":null,"employee":[]}]}"#,
    )
    .unwrap();
    let cells: Vec<_> = (1..8).map(|index| people.employees[0].values.get(index)).collect();
    assert_eq!(cells, [Cell::Absent; 7]);

    // A null category is no evidence either if the category itself is asked for.
    let mut fields = Fields::default();
    let category = fields.want("work");
    let people = read(&fields, r#"{"employees":[{"id":"1","work":null}]}"#).unwrap();
    let cell = |index| people.employees[0].values.get(index);
    assert_eq!([cell(category), cell(employee::START)], [Cell::Null, Cell::Absent]);
}

#[test]
fn labels_win_for_numbered_statuses() {
    let body = r#"{"employees":[{"id":"1","internal":{"status":12,"lifecycleStatus":"8841"},
        "humanReadable":{"internal":{"status":"Active","lifecycleStatus":"Garden leave"}}}]}"#;
    let people = read(&Fields::default(), body).unwrap();
    assert_eq!(people.employees[0].status, BobStatus::Active);
    assert_eq!(people.employees[0].lifecycle, Lifecycle::GardenLeave);
}

#[test]
fn the_same_id_twice_is_one_person_and_no_id_is_none() {
    let body = r#"{"employees":[{"id":"7","email":"first@example.com"},
        {"email":"none@example.com"},{"id":7},{"id":"007"},{"id":" "},
        {"id":"seven"},{"id":"seven"},{"id":"+7"},{"id":null}]}"#;
    let people = read(&Fields::default(), body).unwrap();
    let ids: Vec<&str> = people.employees.iter().map(Employee::id).collect();
    assert_eq!(ids, ["7", "007", "seven", "+7"]);
    assert_eq!(people.employees[0].email(), Some("first@example.com"));
    assert_eq!((people.duplicates, people.without_id), (2, 3));
}

#[test]
fn an_empty_company_is_an_answer() {
    let people = read(&Fields::default(), " {\"employees\": [ ] }\n").unwrap();
    assert_eq!(
        people,
        People { seen: vec![false; Fields::default().ids().len()], ..People::default() }
    );
}

#[test]
fn hostile_answers_are_no_answers() {
    let fields = Fields::default();
    for (body, expected) in [
        (
            r#"{"key":"no.access","error":"Ask noa@example.com, 12345"}"#,
            "200 with an error object: Ask … …",
        ),
        (r#"{"employees":[{"id":"1"}],"error":"half way"}"#, "200 with an error object: half way"),
        (r#"{"error":{"code":5},"employees":[]}"#, "200 with an error object: no words"),
        (
            r#"{"employees":[{"id":"1"},null]}"#,
            "an element of the employees array is not a JSON object",
        ),
        (
            r#"{"employees":[{"id":"1",}]}"#,
            "an element of the employees array is not a JSON object",
        ),
        (
            r#"{"employees":[{"id":"1","work":{"title":]}}]}"#,
            "an element of the employees array is not a JSON object",
        ),
        (
            "{\"employees\":[{\"id\":\"a\nb\"}]}",
            "an element of the employees array is not a JSON object",
        ),
        (
            r#"{"employees":[{"id":"1","x":nul}]}"#,
            "an element of the employees array is not a JSON object",
        ),
        (r#"{"employees":[],"count":1x}"#, "the answer is not the JSON object of a search"),
        (r#"{"employees":[{"id":"1"}]"#, "the answer was cut off"),
        ("{}", "the answer has no employees array"),
        ("<html>", "the answer is not the JSON object of a search"),
    ] {
        assert_eq!(said(read(&fields, body)), expected, "{body}");
    }
    // A name that is not UTF-8, in a field that is asked for and in one that is not.
    for key in ["email", "ignored"] {
        let body =
            [b"{\"employees\":[{\"id\":\"1\",\"", key.as_bytes(), b"\":\"\xff\"}]}"].concat();
        assert_eq!(
            said(read_chunks(&fields, [&*body])),
            "an element of the employees array is not a JSON object"
        );
    }
    let error_is_null = r#"{"employees":[{"id":"1"}],"error":null}"#;
    assert_eq!(read(&fields, error_is_null).unwrap().employees.len(), 1);
}

#[test]
fn half_a_surrogate_spoils_its_own_cell_only() {
    let mut fields = Fields::default();
    let name = fields.want("root.firstName");
    let people = read(
        &fields,
        r#"{"employees":[{"id":"1","firstName":"cut \ud83d","email":"a@example.com"}]}"#,
    )
    .unwrap();
    assert_eq!(people.employees[0].values.get(name), Cell::Absent);
    assert_eq!(people.employees[0].email(), Some("a@example.com"));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn chunks_do_not_matter(size in 1_usize..600, first in 0_usize..600) {
        let fields = fields();
        let (head, tail) = ANSWER.as_bytes().split_at(first);
        let people = read_chunks(&fields, std::iter::once(head).chain(tail.chunks(size))).unwrap();
        prop_assert_eq!(people, read(&fields, ANSWER).unwrap());
    }

    #[test]
    fn a_cut_answer_is_no_answer(end in 0..ANSWER.len()) {
        prop_assert_eq!(said(read_chunks(&fields(), [&ANSWER.as_bytes()[..end]])),
            "the answer was cut off");
    }

    #[test]
    fn no_bytes_make_it_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..200),
        at in 0..ANSWER.len(),
    ) {
        let spoilt = [&ANSWER.as_bytes()[..at], &bytes, &ANSWER.as_bytes()[at..]].concat();
        let _ = read_chunks(&fields(), [&*spoilt]);
        let _ = read_chunks(&fields(), [&*bytes]);
    }
}
