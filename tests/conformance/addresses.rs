//! Cases of addresses that look the same and differ: invisible characters, as web pages and
//! spreadsheets insert them.

use bobsync::domain::{
    account::Access,
    matching::{Matcher, Person},
    plan::{Block, ChangeKind},
};

use crate::{
    passes::{active, done, execute_plan, mapping, pass, person, settled},
    tenant::{Tenant, account, rows},
};

/// Returns an employee with this address in every e-mail field of Bob.
fn at<T: Tenant>(tenant: &T, name: &str, email: &str) -> Person {
    let mut wanted = account(name);
    for (row, value) in wanted
        .attributes
        .iter_mut()
        .enumerate()
        .filter(|(row, _)| tenant.mapping().is_address(*row))
    {
        assert!(value.is_some(), "row {row} holds an address");
        *value = Some(email.to_owned().into());
    }
    person(&wanted, None, Access::Active)
}

pub async fn an_account_from_before_is_adopted_whatever_is_not_seen_at_the_ends_of_an_address<
    T: Tenant,
>(
    tenant: &T,
) {
    let mut before = account("noa");
    before.mark = None;
    let noa = tenant.make(&[before]).await.remove(0);
    let spellings = [
        "noa@example.com\u{200b}",
        "\u{feff}noa@example.com",
        "\u{200e} noa@example.com\u{ad}\u{2069}",
    ];
    let (plan, outcomes) = pass(tenant, &[at(tenant, "noa", spellings[0])]).await;
    assert_eq!((plan.changes[0].kind, done(&outcomes, 0)), (ChangeKind::Adopt, noa.clone()));
    for spelling in spellings {
        settled(tenant, &[at(tenant, "noa", spelling)]).await;
    }
    // No second account is made either if the listing did not have the first.
    let mut late = account("kim");
    late.mark = None;
    let kim = tenant.make(&[late]).await.remove(0);
    let (people, mapping) = ([at(tenant, "kim", "kim@example.com\u{200b}")], mapping(tenant));
    let plan = bobsync::domain::plan::plan(Matcher::new(&mapping, &people, true), true);
    let (_, outcomes) = execute_plan(tenant, plan, &[]).await;
    assert_eq!(done(&outcomes, 0), kim);
    // A new account gets the address that a keyboard types.
    let (_, outcomes) = pass(tenant, &[at(tenant, "ola", "\u{feff}ola@example.com\u{200b}")]).await;
    let ola = tenant.look(&done(&outcomes, 0)).await.unwrap();
    assert_eq!(ola.email.as_deref(), Some("ola@example.com"));
    assert_eq!(tenant.size().await, 3);
}

pub async fn an_address_at_the_provider_with_unseen_ends_is_the_same_and_set_right<T: Tenant>(
    tenant: &T,
) {
    if !T::KEEPS_UNSEEN || T::CATALOG.email == T::CATALOG.username {
        println!("SKIPPED for {}: its service refuses such an address", T::CATALOG.name);
        return;
    }
    let mut before = account("noa");
    before.mark = None;
    before.attributes[rows::EMAIL] = Some("\u{feff}noa@example.com\u{200b}".into());
    before.email.clone_from(&before.attributes[rows::EMAIL]);
    let id = tenant.make(&[before]).await.remove(0);
    let (plan, outcomes) = pass(tenant, &[active("noa")]).await;
    assert_eq!((plan.changes[0].kind, done(&outcomes, 0)), (ChangeKind::Adopt, id.clone()));
    assert_eq!(tenant.look(&id).await.unwrap().email.as_deref(), Some("noa@example.com"));
    settled(tenant, &[active("noa")]).await;
}

pub async fn an_address_with_an_unseen_character_inside_is_refused_by_its_field_and_stops_nothing_else<
    T: Tenant,
>(
    tenant: &T,
) {
    let id = {
        let (_, outcomes) = pass(tenant, &[active("noa")]).await;
        done(&outcomes, 0)
    };
    for bad in [
        "noa\u{200b}.new@example.com",
        "n\u{ad}oa@example.com",
        "noa@example\u{202e}.com",
        "\u{ff4e}oa@example.com",
    ] {
        let mut noa = at(tenant, "noa", bad);
        noa.decision.existing = Some(Access::Suspended);
        let (plan, outcomes) =
            pass(tenant, &[noa, at(tenant, "kim", &bad.replace("oa", "im"))]).await;
        for person in [0, 1] {
            let Some(Block::MappingFailed(from, why)) = &plan.standings[person].block else {
                panic!("{:?}", plan.standings[person])
            };
            assert!(
                tenant.mapping().is_address(from.row)
                    && why.contains("U+")
                    && !why.contains("example"),
                "{why}"
            );
        }
        assert!(!outcomes.contains_key(&1), "no account without a usable address");
        assert_eq!(done(&outcomes, 0), id, "who leaves loses access all the same");
        let stored = tenant.look(&id).await.unwrap();
        assert_eq!(stored.email.as_deref(), Some("noa@example.com"));
        pass(tenant, &[active("noa")]).await;
    }
    assert_eq!(tenant.size().await, 1);
}

pub async fn a_mark_with_unseen_ends_is_the_same_mark<T: Tenant>(tenant: &T) {
    if !T::KEEPS_UNSEEN {
        println!("SKIPPED for {}: its service refuses such a mark", T::CATALOG.name);
        return;
    }
    let (_, outcomes) = pass(tenant, &[active("noa")]).await;
    let id = done(&outcomes, 0);
    tenant.disguise_mark(&id).await;
    let (plan, outcomes) = pass(tenant, &[active("noa")]).await;
    let standing = &plan.standings[0];
    assert_eq!(
        (standing.account.as_ref().map(|held| &*held.id), &standing.block),
        (Some(&*id), &None)
    );
    assert!(outcomes.is_empty(), "{outcomes:?}");
}
