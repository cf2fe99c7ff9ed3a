//! Plans as text: which employees and accounts there are, and what is to be done.

use std::fmt::Write as _;

use bobsync::domain::{
    account::{Access, Account, AccountState, NewValue},
    matching::Matcher,
    plan::{Block, ChangeKind, Manager, Plan},
    safety::Protected,
};
use insta::assert_snapshot;

use crate::{
    crowd::{
        Crowd, NAMES, STRANGER, Someone, Stance, Stored, Style, TITLE, Told, crowd, root_id,
        someone, stored,
    },
    plans::planned,
};

const ADA: usize = 0;
const BEN: usize = 1;
const CLEO: usize = 2;

/// Returns an account that bears this employee's mark and is as it should be.
fn own(id: &'static str, who: usize) -> Stored {
    let email = someone(who).email.text().expect("everybody here has one");
    Stored { mark: Some(root_id(who)), ..stored(id, email) }
}

fn manager(who: usize) -> Told {
    Told::Text(["100", "101", "102"][who])
}

fn plan(crowd: &Crowd) -> Plan {
    planned(crowd, &crowd.people(), &crowd.accounts())
}

/// Prints one line for each change in the order of execution. Then one for each employee who is
/// blocked, has an unsettled manager, or needs nothing.
fn told(crowd: &Crowd, plan: &Plan) -> String {
    let (mapping, name) = (crowd.mapping(), |person: u32| NAMES[crowd.people[person as usize].who]);
    let mut text = String::new();
    for change in &plan.changes {
        let verb = match change.kind {
            ChangeKind::Create => "create an account",
            ChangeKind::Adopt => "adopt",
            ChangeKind::Update => "update",
        };
        let ids: Vec<String> =
            change.account.iter().chain(&change.also).map(|id| format!(" #{id}")).collect();
        let id = ids.concat();
        let mut parts: Vec<String> = Vec::new();
        parts.extend(change.look_up_first.then(|| "look up first".to_owned()));
        parts.extend(change.write.access.map(|access| {
            if access == Access::Active { "active" } else { "suspended" }.to_owned()
        }));
        parts.extend(change.write.mark.as_deref().map(|mark| format!("mark {mark}")));
        parts.extend(change.write.attributes.iter().map(|(row, value)| match value {
            NewValue::Set(value) => format!("{} {value}", mapping.rows[*row].target),
            NewValue::Clear => format!("{} cleared", mapping.rows[*row].target),
        }));
        parts.extend(change.after.map(|giver| format!("after {}", name(giver))));
        parts.extend(
            change
                .manager
                .map(|manager| format!("then {}'s new account as manager", name(manager))),
        );
        writeln!(text, "{}: {verb}{id}: {}", name(change.person), parts.join(", ")).unwrap();
    }
    for (person, manager) in &plan.late_managers {
        writeln!(text, "{}: at last, {}'s new account as manager", name(*person), name(*manager))
            .unwrap();
    }
    for (person, standing) in (0..).zip(&plan.standings) {
        let mut parts: Vec<String> = Vec::new();
        parts.extend(standing.block.as_ref().map(|block| match block {
            Block::MissingAttribute(from) => {
                format!("MissingAttribute, {}", mapping.rows[from.row].target)
            }
            other => format!("{other:?}"),
        }));
        parts.extend(
            (standing.manager == Manager::NotManaged)
                .then(|| "the manager has no account".to_owned()),
        );
        if parts.is_empty() && standing.change.is_none() {
            parts.push("nothing to do".to_owned());
        }
        if !parts.is_empty() {
            writeln!(text, "{}: {}", name(person), parts.join(", ")).unwrap();
        }
    }
    text
}

fn plan_of(people: Vec<Someone>, accounts: Vec<Stored>) -> String {
    let crowd = crowd(people, accounts);
    told(&crowd, &plan(&crowd))
}

#[test]
fn everything_is_as_it_should_be() {
    assert_snapshot!(plan_of(vec![someone(ADA)], vec![own("1", ADA), stored("2", "stranger@example.com")]), @"Ada: nothing to do");
}

#[test]
fn an_account_without_a_mark_is_adopted_by_its_email() {
    let account =
        Stored { title: None, state: AccountState::Suspended, ..stored("1", "ADA@Example.com") };
    assert_snapshot!(plan_of(vec![someone(ADA)], vec![account]), @"Ada: adopt #1: active, mark 100, title Engineer");
}

#[test]
fn with_adoption_off_that_account_is_in_the_way() {
    let mut crowd = crowd(vec![someone(ADA)], vec![stored("1", "ada@example.com")]);
    crowd.adopt = false;
    assert_snapshot!(told(&crowd, &plan(&crowd)), @r#"Ada: Conflict(Stranger("1"))"#);
}

#[test]
fn of_two_accounts_with_the_email_none_is_chosen() {
    let other = Stored { username: Some("ada.2"), ..stored("2", "ada@example.com") };
    assert_snapshot!(plan_of(vec![someone(ADA)], vec![stored("1", "ada@example.com"), other]), @"Ada: Ambiguous");
}

#[test]
fn of_two_accounts_with_the_mark_none_is_touched_unless_its_person_leaves() {
    let two = || vec![own("1", ADA), Stored { email: None, username: None, ..own("2", ADA) }];
    assert_snapshot!(plan_of(vec![someone(ADA)], two()), @"Ada: Ambiguous");
    let left = || vec![Someone { stance: Stance::Left, ..someone(ADA) }];
    assert_eq!(plan_of(left(), two()), "Ada: update #1 #2: suspended\nAda: Ambiguous\n");
    let mut one_left = two();
    one_left[0].state = AccountState::Suspended;
    assert_eq!(plan_of(left(), one_left.clone()), "Ada: update #2: suspended\nAda: Ambiguous\n");
    one_left[1].state = AccountState::Suspended;
    assert_eq!(plan_of(left(), one_left), "Ada: Ambiguous\n");
}

#[test]
fn of_several_accounts_one_that_is_seen_alone_is_no_evidence_that_there_is_only_one() {
    let plan_of = |stance, accounts: Vec<Stored>, active, whole| {
        let crowd = crowd(vec![Someone { stance, ..someone(ADA) }], accounts);
        let (mapping, mut people) = (crowd.mapping(), crowd.people());
        people[0].several = true;
        people[0].known_account = Some("1".into());
        people[0].known_active = active;
        let mut matcher = Matcher::new(&mapping, &people, true);
        crowd.accounts().into_iter().for_each(|account| matcher.see(account));
        let plan = bobsync::domain::plan::plan(matcher, whole).plan;
        (told(&crowd, &plan), plan.standings[0].several, plan.standings[0].stays_open)
    };
    let differs = || vec![Stored { title: Some("Other"), ..own("1", ADA) }];
    let closed = || vec![Stored { state: AccountState::Suspended, ..own("1", ADA) }];
    let text = |text: &str| text.to_owned();
    // Its access is taken, and it is not known that it was the only one.
    assert_eq!(
        plan_of(Stance::Left, differs(), true, false),
        (text("Ada: update #1: suspended\nAda: Ambiguous\n"), true, true)
    );
    assert_eq!(
        plan_of(Stance::Left, closed(), false, false),
        (text("Ada: Ambiguous\n"), true, true)
    );
    let unseen = text("Ada: update #1: look up first, suspended\nAda: Ambiguous\n");
    assert_eq!(plan_of(Stance::Left, vec![], true, false), (unseen, true, true));
    // The account of an employee who stays is not written, and the employee gets no other account.
    for accounts in [differs(), vec![]] {
        assert_eq!(plan_of(Stance::Works, accounts, true, false).0, "Ada: Ambiguous\n");
    }
    // A complete listing shows that one is left.
    assert_eq!(
        plan_of(Stance::Left, closed(), false, true),
        (text("Ada: nothing to do\n"), false, false)
    );
}

#[test]
fn an_account_that_is_protected_is_never_written() {
    let protected = Protected::new(["ADA@example.com", "7"].into_iter());
    let told_of = |who: Someone, account: Stored| {
        let crowd = crowd(vec![who], vec![account]);
        let (mapping, people) = (crowd.mapping(), crowd.people());
        let mut matcher = Matcher::new(&mapping, &people, true).protecting(&protected);
        crowd.accounts().into_iter().for_each(|account| matcher.see(account));
        told(&crowd, &bobsync::domain::plan::plan(matcher, true).plan)
    };
    assert_snapshot!(told_of(Someone { stance: Stance::Left, ..someone(ADA) }, own("1", ADA)), @"Ada: Protected(Settings)");
    assert_snapshot!(told_of(someone(ADA), stored("1", "ada@example.com")), @"Ada: Protected(Settings)");
    assert_snapshot!(told_of(Someone { stance: Stance::Left, ..someone(BEN) }, own("7", BEN)), @"Ben: Protected(Settings)");
    assert_snapshot!(told_of(Someone { stance: Stance::Left, ..someone(BEN) }, own("8", BEN)), @"Ben: update #8: suspended");
}

#[test]
fn what_is_protected_or_mastered_elsewhere_is_never_written_not_even_a_manager() {
    let (protected, nobody) = (Protected::new(["1"].into_iter()), Protected::default());
    let told_of = |elsewhere: bool, stance: Stance, account: Stored| {
        let ada = Someone { manager: manager(BEN), stance, ..someone(ADA) };
        let crowd = crowd(vec![ada, someone(BEN)], vec![account, own("2", BEN)]);
        let (mapping, people) = (crowd.mapping(), crowd.people());
        let mut matcher = Matcher::new(&mapping, &people, true).protecting(if elsewhere {
            &nobody
        } else {
            &protected
        });
        for account in crowd.accounts() {
            matcher.see(Account { elsewhere: elsewhere && account.id == "1", ..account });
        }
        told(&crowd, &bobsync::domain::plan::plan(matcher, true).plan)
    };
    for (elsewhere, block) in [(false, "Protected(Settings)"), (true, "ManagedElsewhere")] {
        for account in
            [own("1", ADA), stored("1", "ada@example.com"), Stored { title: None, ..own("1", ADA) }]
        {
            for stance in [someone(ADA).stance, Stance::Left] {
                assert_eq!(
                    told_of(elsewhere, stance, account.clone()),
                    format!("Ada: {block}\nBen: nothing to do\n")
                );
            }
        }
    }
}

#[test]
fn an_account_with_somebody_else_s_mark_is_never_touched() {
    let stranger = Stored { mark: Some(STRANGER.to_owned()), ..stored("1", "ada@example.com") };
    assert_snapshot!(plan_of(vec![someone(ADA), someone(BEN)], vec![stranger, Stored { mark: Some(root_id(ADA)), ..stored("2", "ben@example.com") }]), @r#"
    Ada: Conflict(Marked("1"))
    Ben: Conflict(Employee { account: "2", employee: "100" })
    "#);
}

#[test]
fn the_email_on_one_account_and_the_username_on_another() {
    let ada = Someone { username: Told::Text("ada"), ..someone(ADA) };
    let mut crowd = crowd(
        vec![ada],
        vec![
            Stored { username: Some("a.lovelace"), ..stored("1", "ada@example.com") },
            Stored { username: Some("Ada"), ..stored("2", "ada.2@example.com") },
        ],
    );
    crowd.style = Style { own_usernames: true, ..Style::default() };
    assert_snapshot!(told(&crowd, &plan(&crowd)), @"Ada: Conflict(Several)");
}

#[test]
fn two_profiles_with_one_email_where_one_has_the_account() {
    let again = Someone { email: Told::Text("ada@example.com"), ..someone(BEN) };
    let gone = Someone { stance: Stance::Left, active_in_bob: false, ..someone(ADA) };
    assert_snapshot!(plan_of(vec![gone, again], vec![own("1", ADA)]), @r#"
    Ada: update #1: suspended
    Ben: Conflict(SameEmail("100"))
    "#);
}

#[test]
fn two_profiles_with_one_email_where_one_is_active() {
    let again = Someone { email: Told::Text("ada@example.com"), ..someone(BEN) };
    let gone = Someone { stance: Stance::Left, active_in_bob: false, ..someone(ADA) };
    assert_snapshot!(plan_of(vec![gone, again], vec![stored("1", "ada@example.com")]), @r"
    Ben: adopt #1: mark 101
    Ada: nothing to do
    ");
}

#[test]
fn two_profiles_with_one_email_and_nothing_to_tell_them_apart() {
    let again = Someone { email: Told::Text("ada@example.com"), ..someone(BEN) };
    assert_snapshot!(plan_of(vec![someone(ADA), again], vec![stored("1", "ada@example.com")]), @r#"
    Ada: Conflict(SameEmail("101"))
    Ben: Conflict(SameEmail("100"))
    "#);
}

#[test]
fn a_leaver_whose_email_is_taken_still_loses_access_and_comes_first() {
    let ben = Someone {
        stance: Stance::Left,
        active_in_bob: false,
        title: Told::Text("Engineer"),
        ..someone(BEN)
    };
    let moved = Stored { mark: Some(root_id(BEN)), ..stored("2", "old@example.com") };
    assert_snapshot!(plan_of(vec![someone(ADA), someone(CLEO), ben], vec![stored("1", "ben@example.com"), moved, Stored { title: None, ..own("3", CLEO) }]), @r#"
    Ben: update #2: suspended
    Ada: create an account: active, mark 100, email ada@example.com, username ada@example.com, title Engineer
    Cleo: update #3: title Engineer
    Ben: Conflict(Stranger("1"))
    "#);
}

#[test]
fn a_leaver_whom_bob_does_not_show_loses_access_and_nothing_else() {
    let crowd = crowd(
        vec![Someone { stance: Stance::Left, ..someone(ADA) }],
        vec![Stored { title: Some("Elsewhere"), ..own("1", ADA) }],
    );
    let mut people = crowd.people();
    assert_snapshot!(told(&crowd, &planned(&crowd, &people, &crowd.accounts())), @"Ada: update #1: suspended, title Engineer");
    // A value that a mapping makes of missing fields does not count as a value of this employee.
    people[0].employee.unread = true;
    assert_snapshot!(told(&crowd, &planned(&crowd, &people, &crowd.accounts())), @"Ada: update #1: suspended");
}

#[test]
fn managers_are_made_before_their_people() {
    let ada = Someone { manager: manager(BEN), ..someone(ADA) };
    let ben = Someone { manager: manager(CLEO), ..someone(BEN) };
    assert_snapshot!(plan_of(vec![ada, ben, someone(CLEO)], vec![]), @r"
    Cleo: create an account: active, mark 102, email cleo@example.com, username cleo@example.com, title Engineer
    Ben: create an account: active, mark 101, email ben@example.com, username ben@example.com, title Engineer, then Cleo's new account as manager
    Ada: create an account: active, mark 100, email ada@example.com, username ada@example.com, title Engineer, then Ben's new account as manager
    ");
}

#[test]
fn a_circle_of_managers_ends() {
    let ada = Someone { manager: manager(BEN), ..someone(ADA) };
    let ben = Someone { manager: manager(CLEO), ..someone(BEN) };
    let cleo = Someone { manager: manager(ADA), ..someone(CLEO) };
    assert_snapshot!(plan_of(vec![ada, ben, cleo], vec![]), @r"
    Ada: create an account: active, mark 100, email ada@example.com, username ada@example.com, title Engineer
    Cleo: create an account: active, mark 102, email cleo@example.com, username cleo@example.com, title Engineer, then Ada's new account as manager
    Ben: create an account: active, mark 101, email ben@example.com, username ben@example.com, title Engineer, then Cleo's new account as manager
    Ada: at last, Ben's new account as manager
    ");
}

#[test]
fn a_manager_who_has_an_account_who_gets_one_and_who_gets_none() {
    let left = Someone { stance: Stance::Left, active_in_bob: false, ..someone(CLEO) };
    let ada = Someone { manager: manager(BEN), ..someone(ADA) };
    let dan = Someone { manager: manager(ADA), ..someone(3) };
    let eve = Someone { manager: manager(CLEO), ..someone(4) };
    let fay = Someone { manager: Told::Empty, ..someone(5) };
    let accounts = vec![
        own("2", BEN),
        own("4", 3),
        Stored { manager: Some("9"), ..own("5", 4) },
        Stored { manager: Some("2"), ..own("6", 5) },
    ];
    assert_snapshot!(plan_of(vec![ada, someone(BEN), left, dan, eve, fay], accounts), @r"
    Ada: create an account: active, mark 100, email ada@example.com, username ada@example.com, title Engineer, manager_user_id 2
    Fay: update #6: manager_user_id cleared
    Dan: update #4: then Ada's new account as manager
    Ben: nothing to do
    Cleo: nothing to do
    Eve: the manager has no account
    ");
}

#[test]
fn without_a_required_value_there_is_no_account_and_an_old_one_keeps_its() {
    let nobody = Someone { email: Told::Empty, ..someone(ADA) };
    let blank =
        Someone { email: Told::Empty, title: Told::Text("Head of Nothing"), ..someone(BEN) };
    assert_snapshot!(plan_of(vec![nobody, blank], vec![own("2", BEN)]), @r"
    Ben: update #2: title Head of Nothing
    Ada: MissingAttribute, email
    Ben: MissingAttribute, email
    ");
}

#[test]
fn what_bob_hides_stays_and_what_is_empty_is_cleared() {
    let ada = Someone { title: Told::Hidden, manager: Told::Hidden, ..someone(ADA) };
    let ben = Someone { title: Told::Empty, ..someone(BEN) };
    assert_snapshot!(plan_of(vec![ada, ben], vec![Stored { manager: Some("2"), ..own("1", ADA) }, Stored { manager: Some("1"), ..own("2", BEN) }]), @r"
    Ben: update #2: title cleared, manager_user_id cleared
    Ada: nothing to do
    ");
}

#[test]
fn a_target_that_the_tenant_does_not_define_is_left_out_and_the_rest_flows() {
    let crowd =
        crowd(vec![someone(ADA), someone(BEN)], vec![Stored { title: None, ..own("1", ADA) }]);
    let mut plan = plan(&crowd);
    plan.without_rows(&[TITLE]);
    assert_snapshot!(told(&crowd, &plan), @r"
    Ben: create an account: active, mark 101, email ben@example.com, username ben@example.com
    Ada: nothing to do
    ");
}

#[test]
fn an_account_that_is_known_but_not_in_the_listing_is_looked_up_before_another_is_made() {
    let known = Someone { recorded: Some("7"), ..someone(ADA) };
    assert_snapshot!(plan_of(vec![known.clone(), someone(BEN)], vec![]), @r"
    Ada: create an account: look up first, active, mark 100, email ada@example.com, username ada@example.com, title Engineer
    Ben: create an account: active, mark 101, email ben@example.com, username ben@example.com, title Engineer
    ");

    let mut torn = crowd(vec![known, someone(BEN)], vec![]);
    torn.whole = false;
    assert_snapshot!(told(&torn, &plan(&torn)), @r"
    Ada: create an account: look up first, active, mark 100, email ada@example.com, username ada@example.com, title Engineer
    Ben: create an account: look up first, active, mark 101, email ben@example.com, username ben@example.com, title Engineer
    ");
}

#[test]
fn a_mark_that_was_taken_off_comes_back_by_the_record() {
    let ada = Someone { recorded: Some("1"), ..someone(ADA) };
    let account = Stored { username: Some("old@example.com"), ..stored("1", "old@example.com") };
    assert_snapshot!(plan_of(vec![ada], vec![account]), @"Ada: adopt #1: mark 100, email ada@example.com, username ada@example.com");
}

#[test]
fn of_a_deleted_file_only_the_id_is_left_and_it_suffices() {
    let gone =
        Someone { deleted: true, stance: Stance::Left, active_in_bob: false, ..someone(ADA) };
    assert_snapshot!(plan_of(vec![gone], vec![own("1", ADA)]), @"Ada: update #1: suspended");
}

#[test]
fn who_is_not_managed_and_who_does_not_start_yet() {
    let ada = Someone {
        stance: Stance::NotManaged,
        title: Told::Text("Head of Nothing"),
        ..someone(ADA)
    };
    let ben = Someone { stance: Stance::Starts, active_in_bob: false, ..someone(BEN) };
    let cleo = Someone { stance: Stance::Starts, active_in_bob: false, ..someone(CLEO) };
    assert_snapshot!(plan_of(vec![ada, ben, cleo], vec![own("1", ADA), own("3", CLEO)]), @r"
    Cleo: update #3: suspended
    Ada: nothing to do
    Ben: nothing to do
    ");
}
