//! Cases of reading: one listing, complete or not, and look-ups that are checked.

use std::time::Duration;

use bobsync::{
    domain::account::AccountState,
    provider::{Error, Key, Listing},
};
use simulators::{Fault, FaultKind};
use tokio::runtime::Handle;

use crate::tenant::{Account, Calls, Tenant, account, can, listed, mark, plain, rows, untold};

async fn list<T: Tenant>(tenant: &T) -> (Vec<Account>, Listing) {
    try_to_list(tenant).await.expect("a listing")
}

async fn try_to_list<T: Tenant>(tenant: &T) -> Result<(Vec<Account>, Listing), Error> {
    let mut seen = Vec::new();
    let listing = tenant
        .provider()
        .list(tenant.mapping(), &mut |account| seen.push(account.into_owned()))
        .await?;
    Ok((seen, listing))
}

/// Checks that every account is listed once, and that none was added or removed.
fn assert_whole(people: usize, (seen, listing): &(Vec<Account>, Listing)) {
    assert_eq!(
        *listing,
        Listing { accounts: u32::try_from(people).unwrap(), whole: true, unavailable: vec![] }
    );
    assert_eq!(seen.len(), people);
}

/// Makes two and a half pages of accounts, the last of them the manager of all.
fn many<T: Tenant>() -> Vec<Account> {
    (0..T::CATALOG.capabilities.page * 5 / 2)
        .map(|number| account(&format!("person-{number}")))
        .collect()
}

pub async fn everybody_is_listed_once_as_the_tenant_has_them<T: Tenant>(tenant: &T) {
    let boss = tenant.make(&[account("boss")]).await.remove(0);
    let manager = tenant.reference(&boss).await;
    let mut people = many::<T>();
    for (number, one) in people.iter_mut().enumerate() {
        one.attributes[rows::MANAGER] = Some(manager.clone().into());
        if number % 3 == 0 {
            (one.mark, one.state) = (None, AccountState::Suspended);
        }
        if number % 4 == 0 {
            (one.attributes[rows::TITLE], one.attributes[rows::EXTENSION]) = (None, None);
        }
    }
    let mut ids = tenant.make(&people).await;
    ids.push(boss);
    let (seen, listing) = list(tenant).await;
    assert_eq!(
        listing,
        Listing { accounts: u32::try_from(ids.len()).unwrap(), whole: true, unavailable: vec![] }
    );
    assert_eq!(
        tenant.calls().await,
        ids.len().div_ceil(T::CATALOG.capabilities.page) as u64,
        "a call for each page and no other"
    );
    assert_eq!(seen.len(), ids.len());
    for id in &ids {
        let one = seen.iter().find(|seen| *seen.id == **id).expect("everybody is listed");
        assert_eq!(Some(plain(one.clone())), tenant.look(id).await);
    }
}

pub async fn an_empty_tenant_is_listed_whole<T: Tenant>(tenant: &T) {
    assert_eq!(
        list(tenant).await,
        (vec![], Listing { accounts: 0, whole: true, unavailable: vec![] })
    );
}

pub async fn a_listing_during_which_accounts_come_or_go_is_not_whole<T: Tenant>(tenant: &T) {
    if !can::<T>("a listing tells that accounts came or went between its pages", |can| {
        can.listing_counts
    }) {
        return;
    }
    let ids = tenant.make(&many::<T>()).await;
    // After the first account of the first page was read, and before the request for the second
    // page.
    for leaves in [true, false] {
        let mut seen = 0;
        let listing = tenant
            .provider()
            .list(tenant.mapping(), &mut |_| {
                seen += 1;
                if seen == 1 {
                    tokio::task::block_in_place(|| {
                        Handle::current().block_on(async {
                            if leaves {
                                tenant.delete(&ids[0]).await;
                            } else {
                                tenant.make(&[account("latecomer")]).await;
                            }
                        });
                    });
                }
            })
            .await
            .unwrap();
        assert!(!listing.whole, "leaves: {leaves}");
        assert_eq!(listing.accounts, seen);
    }
    assert!(list(tenant).await.1.whole, "and the next one is");
}

pub async fn a_later_page_that_fails_is_asked_for_again_and_no_page_before_it<T: Tenant>(
    tenant: &T,
) {
    let people = tenant.make(&many::<T>()).await.len();
    assert_whole(people, &list(tenant).await);
    for fault in [
        Fault::new(FaultKind::Status).status(503).times(3),
        Fault::new(FaultKind::Truncate).times(1),
        Fault::new(FaultKind::ResetAfterApply).times(1),
        Fault::new(FaultKind::Html).status(502).times(1),
    ] {
        let (before, failures) = (tenant.calls().await, fault.times.unwrap());
        tenant.fault(Calls::Reads, fault.after(2)).await;
        assert_whole(people, &list(tenant).await);
        assert_eq!(tenant.calls().await - before, 3 + failures, "three pages, and the third again");
        tenant.heal().await;
    }
    let before = tenant.calls().await;
    tenant.fault(Calls::Reads, Fault::new(FaultKind::Status).status(503).after(2)).await;
    let outcome = try_to_list(tenant).await;
    assert!(matches!(outcome, Err(Error::Unavailable { .. })), "{outcome:?}");
    assert_eq!(tenant.calls().await - before, 2 + 4, "it is asked for again three times");
}

pub async fn a_later_page_that_is_throttled_is_asked_for_when_it_may_be<T: Tenant>(tenant: &T) {
    let people = tenant.make(&many::<T>()).await.len();
    assert_whole(people, &list(tenant).await);
    // More refusals than tries of a page.
    for (status, times) in [(429, 5), (503, 1)] {
        let (before, begun) = (tenant.calls().await, std::time::Instant::now());
        let fault =
            Fault::new(FaultKind::Status).status(status).header("retry-after", "1").times(times);
        tenant.fault(Calls::Reads, fault.after(1)).await;
        assert_whole(people, &list(tenant).await);
        assert_eq!(tenant.calls().await - before, 3 + times, "three pages, and the second again");
        assert!(
            begun.elapsed() > Duration::from_millis(980 * times),
            "the time that is named is waited: {:?}",
            begun.elapsed()
        );
        tenant.heal().await;
    }
}

pub async fn a_page_that_is_too_large_is_asked_for_in_smaller_ones<T: Tenant>(tenant: &T) {
    let page = T::CATALOG.capabilities.page;
    let people: Vec<Account> =
        (0..page * 3 / 2).map(|number| account(&format!("person-{number}"))).collect();
    tenant.make(&people).await;
    assert_whole(people.len(), &list(tenant).await);
    // The first page is too large, or the second and its half: half a page is left of the last one.
    for (after, times, calls) in [(0, 1, 1 + 3), (1, 2, 1 + 2 + 2)] {
        let before = tenant.calls().await;
        tenant.fault(Calls::Reads, Fault::new(FaultKind::Oversize).after(after).times(times)).await;
        assert_whole(people.len(), &list(tenant).await);
        assert_eq!(tenant.calls().await - before, calls, "nothing is read twice");
        tenant.heal().await;
    }
}

pub async fn a_target_that_the_tenant_lacks_is_unavailable<T: Tenant>(tenant: &T) {
    if !can::<T>("tenants define attributes of their own", |can| can.defined_attributes) {
        return;
    }
    tenant.undefine().await;
    assert_eq!(list(tenant).await.1.unavailable, [rows::EXTENSION], "with nobody there");
    let mut one = account("noa");
    one.attributes[rows::EXTENSION] = None;
    let id = tenant.make(&[one]).await.remove(0);
    let (seen, listing) = list(tenant).await;
    assert_eq!(listing.unavailable, [rows::EXTENSION]);
    assert_eq!(Some(plain(seen[0].clone())), tenant.look(&id).await, "the rest flows");
}

pub async fn accounts_are_found_by_id_mark_and_email_with_one_call_each<T: Tenant>(tenant: &T) {
    let ids = tenant.make(&[account("noa"), account("kim")]).await;
    let kim = mark("kim");
    let marks = can::<T>("accounts are looked up by their marks", |can| can.searches_marks);
    let asked = |key: &Key<'_>| marks || !matches!(key, Key::Mark(_));
    for (key, found) in [
        (Key::Id(&ids[1]), true),
        (Key::Mark(&kim), true),
        (Key::Email("kim@example.com"), true),
        (Key::Email("KIM@Example.com"), true),
        (Key::Mark(&kim[..18]), false),
        (Key::Email("kim@example.co"), false),
    ]
    .into_iter()
    .filter(|(key, _)| asked(key))
    {
        let before = tenant.calls().await;
        let answer: Vec<_> = tenant
            .provider()
            .find(tenant.mapping(), key)
            .await
            .unwrap()
            .into_iter()
            .map(plain)
            .collect();
        let expected: Vec<_> = tenant.look(&ids[1]).await.into_iter().filter(|_| found).collect();
        assert_eq!(answer, expected, "{key:?}");
        assert_eq!(tenant.calls().await, before + 1, "{key:?}");
    }
    tenant.delete(&ids[1]).await;
    assert_eq!(tenant.provider().find(tenant.mapping(), Key::Id(&ids[1])).await, Ok(vec![]));
    assert_eq!(*listed(tenant, &ids[0]).await.id, *ids[0]);
}

pub async fn a_wildcard_finds_nobody_and_an_empty_key_is_not_asked_for<T: Tenant>(tenant: &T) {
    tenant.make(&[account("noa"), account("kim")]).await;
    let marks = can::<T>("accounts are looked up by their marks", |can| can.searches_marks);
    let keys = [
        Key::Email("*@example.com"),
        Key::Email("*"),
        Key::Mark("*"),
        Key::Mark("3*"),
        Key::Id("*"),
    ];
    for key in keys.into_iter().filter(|key| marks || !matches!(key, Key::Mark(_))) {
        assert_eq!(tenant.provider().find(tenant.mapping(), key).await, Ok(vec![]), "{key:?}");
    }
    let before = tenant.calls().await;
    for key in [Key::Email(""), Key::Email("  "), Key::Mark(""), Key::Id("")] {
        let answer = tenant.provider().find(tenant.mapping(), key).await;
        assert!(matches!(answer, Err(Error::Rejected { .. })), "{key:?}: {answer:?}");
    }
    assert_eq!(tenant.calls().await, before);
}

pub async fn a_token_that_ends_while_listing_is_renewed<T: Tenant>(tenant: &T) {
    let ids = tenant.make(&many::<T>()).await;
    let mut seen = 0;
    let listing = tenant
        .provider()
        .list(tenant.mapping(), &mut |_| {
            seen += 1;
            if seen == 1 {
                tokio::task::block_in_place(|| Handle::current().block_on(tenant.revoke_tokens()));
            }
        })
        .await
        .unwrap();
    assert_eq!(
        (listing.accounts as usize, seen),
        (ids.len(), ids.len()),
        "nobody twice, and nobody missing"
    );
    assert!(listing.whole);
}

/// Whatever the settings call it.
pub async fn the_service_says_which_tenant_it_is_and_is_asked_once_at_most<T: Tenant>(tenant: &T) {
    if !can::<T>("the service says which tenant it is", |can| can.names_tenant) {
        return;
    }
    tenant.make(&[account("noa")]).await;
    let asked = tenant.telling(untold());
    assert_eq!(asked.tenant(false).await, None, "nothing was asked yet");
    let said = asked.tenant(true).await.expect("the service says so");
    let calls = tenant.calls().await;
    assert_eq!((asked.tenant(true).await.as_ref(), tenant.calls().await), (Some(&said), calls));
    list(tenant).await;
    let calls = tenant.calls().await;
    assert_eq!(
        (tenant.provider().tenant(true).await, tenant.calls().await),
        (Some(said), calls),
        "a listing has told it"
    );
}
