//! Usernames that are chosen when an account is made, and get a number if they are taken: no
//! employee blocks another.

use bobsync::{
    domain::{
        account::NewValue,
        employee::{Cell, Fields},
        expression::{Evaluated, Expression},
        mapping::Compare,
        matching::Matcher,
        plan::{Block, ChangeKind, Conflict, Plan, plan},
    },
    engine::settings::targets::CATALOGS,
};
use serde_json::Value;

use crate::{
    crowd::{
        Crowd, EMAIL, Someone, Stored, Style, Told, USERNAME, crowd, root_id, someone, stored,
    },
    expressions::employee,
};

const NAME: &str = "ada.lind";

/// All employees have one name, and `chosen` says whether the username is chosen once or kept
/// equal.
fn planned(people: Vec<Someone>, accounts: Vec<Stored>, chosen: bool) -> Plan {
    let people =
        people.into_iter().map(|one| Someone { username: Told::Text(NAME), ..one }).collect();
    let once = [false, chosen, false, false];
    let crowd = Crowd { style: Style { own_usernames: true, once }, ..crowd(people, accounts) };
    let mut mapping = crowd.mapping();
    mapping.rows[USERNAME].compare = Compare::Numbered;
    let people = crowd.people();
    let mut matcher = Matcher::new(&mapping, &people, true);
    crowd.accounts().into_iter().for_each(|account| matcher.see(account));
    plan(matcher, true).plan
}

fn own(id: &'static str, who: usize, username: &'static str) -> Stored {
    let email = someone(who).email.text().unwrap();
    Stored { mark: Some(root_id(who)), username: Some(username), ..stored(id, email) }
}

#[test]
fn somebody_of_the_same_name_gets_an_account_where_the_username_is_chosen_and_is_a_conflict_where_it_is_mapped()
 {
    let there = || vec![own("1", 0, NAME)];
    let plan = planned(vec![someone(0), someone(1)], there(), true);
    assert_eq!(plan.standings.iter().filter_map(|standing| standing.block.clone()).count(), 0);
    let [change] = &plan.changes[..] else { panic!("{:?}", plan.changes) };
    assert_eq!((change.person, change.kind, change.after), (1, ChangeKind::Create, None));
    assert!(change.write.attributes.contains(&(USERNAME, NewValue::Set(NAME.into()))));
    // A stranger's account is not in the way either.
    let stranger = || Stored { username: Some(NAME), ..stored("9", "stranger@example.com") };
    assert_eq!(planned(vec![someone(1)], vec![stranger()], true).changes.len(), 1);
    assert_eq!(planned(vec![someone(1)], vec![stranger()], false).changes.len(), 0);
    let plan = planned(vec![someone(0), someone(1)], there(), false);
    let other = Conflict::Employee { account: "1".into(), employee: root_id(0).into() };
    assert_eq!(
        (plan.changes.len(), plan.standings[1].block.clone()),
        (0, Some(Block::Conflict(other)))
    );
}

#[test]
fn an_account_keeps_the_number_it_got_and_whatever_username_it_was_adopted_with() {
    let stranger =
        Stored { username: Some("the.boss"), ..stored("2", someone(1).email.text().unwrap()) };
    let plan =
        planned(vec![someone(0), someone(1)], vec![own("1", 0, "ada.lind.2"), stranger], true);
    let [change] = &plan.changes[..] else { panic!("{:?}", plan.changes) };
    assert_eq!(
        (change.person, change.kind, change.write.attributes.len()),
        (1, ChangeKind::Adopt, 0)
    );
}

#[test]
fn an_email_is_handed_over_in_one_plan_although_usernames_stay() {
    // Ada gives her address to Ben and takes another one.
    let ada = Someone { email: Told::Text("ada.two@example.com"), ..someone(0) };
    let ben = Someone { email: someone(0).email, ..someone(1) };
    let plan = planned(vec![ada, ben], vec![own("1", 0, NAME), own("2", 1, "ada.lind.2")], true);
    let order: Vec<_> = plan.changes.iter().map(|change| (change.person, change.after)).collect();
    assert_eq!(order, [(0, None), (1, Some(0))]);
    assert!(
        plan.changes.iter().all(|change| change
            .write
            .attributes
            .iter()
            .all(|(row, _)| *row == EMAIL))
    );
}

#[test]
fn the_default_map_makes_a_username_of_the_display_name_or_else_of_the_email() {
    let numbered = |name| Some(Compare::Numbered) == name;
    let (_, catalog) = CATALOGS
        .iter()
        .find(|(_, catalog)| numbered(catalog.compare(catalog.username)))
        .expect("a provider whose usernames get numbers");
    let rows: Value = serde_json::from_str(catalog.default_map).unwrap();
    let row = rows.as_array().unwrap().iter().find(|row| row["target"] == "username").unwrap();
    assert_eq!(row["apply"], "OnCreate");
    let mut fields = Fields::default();
    let expression = Expression::compile(row["cel"].as_str().unwrap(), &mut fields).unwrap();
    for (name, username) in [
        (Cell::Text("Zoë O'Brien-Łukasz"), "zoe.o.brien.lukasz"),
        (Cell::Text("..."), "noa.lind.1"),
        (Cell::Null, "noa.lind.1"),
    ] {
        let shown =
            [("root.displayName", name), ("root.email", Cell::Text("Noa_Lind+1@example.com"))];
        assert_eq!(
            expression.text(&employee(&fields, &shown)),
            Ok(Evaluated::Known(Some(username.to_owned())))
        );
    }
}
