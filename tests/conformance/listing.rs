//! Cases of reading: one listing, whole or not, and look-ups that are never believed blindly.

use bobsync::{
    domain::account::AccountState,
    provider::{Error, Key, Listing},
};
use tokio::runtime::Handle;

use crate::tenant::{Account, Tenant, account, can, listed, mark, plain, rows};

async fn list<T: Tenant>(tenant: &T) -> (Vec<Account>, Listing) {
    let mut seen = Vec::new();
    let listing = tenant.provider().list(tenant.mapping(), &mut |account| seen.push(account.into_owned())).await.expect("a listing");
    (seen, listing)
}

/// Two and a half pages of people, the last of them the manager of all.
fn many<T: Tenant>() -> Vec<Account> {
    (0..T::CATALOG.capabilities.page * 5 / 2).map(|number| account(&format!("person-{number}"))).collect()
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
    assert_eq!(listing, Listing { accounts: u32::try_from(ids.len()).unwrap(), whole: true, unavailable: vec![] });
    assert_eq!(tenant.calls().await, ids.len().div_ceil(T::CATALOG.capabilities.page) as u64, "a call for each page and no other");
    assert_eq!(seen.len(), ids.len());
    for id in &ids {
        let one = seen.iter().find(|seen| *seen.id == **id).expect("everybody is listed");
        assert_eq!(Some(plain(one.clone())), tenant.look(id).await);
    }
}

pub async fn an_empty_tenant_is_listed_whole<T: Tenant>(tenant: &T) {
    assert_eq!(list(tenant).await, (vec![], Listing { accounts: 0, whole: true, unavailable: vec![] }));
}

pub async fn a_listing_during_which_accounts_come_or_go_is_not_whole<T: Tenant>(tenant: &T) {
    if !can::<T>("a listing tells that accounts came or went between its pages", |can| can.listing_counts) {
        return;
    }
    let ids = tenant.make(&many::<T>()).await;
    // After the first account of the first page was read, and before the second page is asked for.
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
        let answer: Vec<_> = tenant.provider().find(tenant.mapping(), key).await.unwrap().into_iter().map(plain).collect();
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
    let keys = [Key::Email("*@example.com"), Key::Email("*"), Key::Mark("*"), Key::Mark("3*"), Key::Id("*")];
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
    assert_eq!((listing.accounts as usize, seen), (ids.len(), ids.len()), "nobody twice, and nobody missing");
    assert!(listing.whole);
}
