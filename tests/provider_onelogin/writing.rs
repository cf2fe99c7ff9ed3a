//! Cases of writing that the tenant grants.

use bobsync::provider::Initial;
use bobsync::{
    domain::account::{Access, AccountState, AccountWrite},
    provider::Urgency,
};

use crate::tenant::{Tenant, account, creation, listed, plain, rows, update, write};

pub async fn a_new_account_has_what_was_written_and_nothing_else<T: Tenant>(tenant: &T) {
    let boss = tenant.make(&[account("boss")]).await.remove(0);
    let mut wanted = account("noa");
    wanted.attributes[rows::MANAGER] = Some(boss.into());
    wanted.attributes[rows::DEPARTMENT] = None;
    let before = tenant.calls().await;
    let written = tenant.provider().create(tenant.mapping(), &creation(&wanted, Access::Active), &Initial::default()).await.unwrap();
    assert_eq!(tenant.calls().await, before + 1);
    wanted.id = written.account.id.clone();
    assert_eq!(plain(written.account), wanted, "what the provider confirms");
    assert_eq!(tenant.look(&wanted.id).await, Some(wanted), "what the tenant has");
    assert!(written.request_id.is_some_and(|id| !id.is_empty()));
}

pub async fn a_new_account_without_access_cannot_be_used<T: Tenant>(tenant: &T) {
    let written =
        tenant.provider().create(tenant.mapping(), &creation(&account("noa"), Access::Suspended), &Initial::default()).await.unwrap();
    assert_eq!(written.account.state, AccountState::Suspended);
    assert_eq!(tenant.look(&written.account.id).await.unwrap().state, AccountState::Suspended);
}

pub async fn only_what_differs_is_written_and_the_rest_stays<T: Tenant>(tenant: &T) {
    let id = tenant.make(&[account("noa")]).await.remove(0);
    let (before, rest) = (tenant.look(&id).await.unwrap(), tenant.rest(&id).await);
    let (written, calls) = update(tenant, &id, &write(&[(rows::TITLE, Some("Head of Nothing"))])).await;
    let mut after = before;
    after.attributes[rows::TITLE] = Some("Head of Nothing".into());
    assert_eq!((plain(written.unwrap().account), calls), (after.clone(), 1));
    assert_eq!(tenant.look(&id).await, Some(after));
    assert_eq!(tenant.rest(&id).await, rest);
}

pub async fn an_attribute_is_cleared<T: Tenant>(tenant: &T) {
    let id = tenant.make(&[account("noa")]).await.remove(0);
    for row in [rows::TITLE, rows::EXTENSION] {
        let mut change = write(&[(row, None)]);
        change.foreign = listed(tenant, &id).await.foreign.map(|foreign| foreign.as_ref().into());
        let (written, calls) = update(tenant, &id, &change).await;
        assert_eq!((&written.unwrap().account.attributes[row], calls), (&None, 1), "row {row}");
        assert_eq!(tenant.look(&id).await.unwrap().attributes[row], None, "row {row}");
    }
    assert_eq!(tenant.look(&id).await.unwrap().attributes[rows::DEPARTMENT].as_deref(), Some("Platform"));
}

pub async fn what_we_do_not_own_survives<T: Tenant>(tenant: &T) {
    let id = tenant.make(&[account("noa")]).await.remove(0);
    tenant.give_foreign(&id).await;
    let rest = tenant.rest(&id).await;
    for value in [Some("B-8"), None, Some("C \"9\"")] {
        // As the plan does it: what the provider needs again comes from the listing.
        let mut change = write(&[(rows::EXTENSION, value), (rows::TITLE, value)]);
        change.foreign = listed(tenant, &id).await.foreign.map(|foreign| foreign.as_ref().into());
        let (written, calls) = update(tenant, &id, &change).await;
        assert_eq!((written.unwrap().account.attributes[rows::EXTENSION].as_deref(), calls), (value, 1));
        assert_eq!(tenant.look(&id).await.unwrap().attributes[rows::EXTENSION].as_deref(), value);
        assert_eq!(tenant.rest(&id).await, rest, "after {value:?}");
    }
}

pub async fn the_mark_goes_on_an_adopted_account<T: Tenant>(tenant: &T) {
    let mut stranger = account("noa");
    stranger.mark = None;
    let id = tenant.make(&[stranger]).await.remove(0);
    let mut after = tenant.look(&id).await.unwrap();
    let (written, calls) = update(tenant, &id, &AccountWrite { mark: Some("mark-noa".into()), ..AccountWrite::default() }).await;
    after.mark = Some("mark-noa".into());
    assert_eq!((plain(written.unwrap().account), calls), (after.clone(), 1));
    assert_eq!(tenant.look(&id).await, Some(after));
}

pub async fn a_manager_is_set_and_cleared<T: Tenant>(tenant: &T) {
    let ids = tenant.make(&[account("noa"), account("boss"), account("other")]).await;
    for manager in [Some(&ids[1]), Some(&ids[2]), None] {
        let manager = manager.map(String::as_str);
        let (written, calls) = update(tenant, &ids[0], &write(&[(rows::MANAGER, manager)])).await;
        assert_eq!((written.unwrap().account.attributes[rows::MANAGER].as_deref(), calls), (manager, 1));
        assert_eq!(tenant.look(&ids[0]).await.unwrap().attributes[rows::MANAGER].as_deref(), manager);
    }
}

pub async fn access_is_taken_and_given_back<T: Tenant>(tenant: &T) {
    let id = tenant.make(&[account("noa")]).await.remove(0);
    let mut after = tenant.look(&id).await.unwrap();
    for (access, state) in [(Access::Suspended, AccountState::Suspended), (Access::Active, AccountState::Active)] {
        let change = AccountWrite { access: Some(access), ..AccountWrite::default() };
        let before = tenant.calls().await;
        let written = tenant.provider().update(tenant.mapping(), &id, &change, Urgency::Urgent).await.unwrap();
        after.state = state;
        assert_eq!(plain(written.account), after);
        assert_eq!(tenant.calls().await, before + 1);
        assert_eq!(tenant.look(&id).await, Some(after.clone()), "access, and nothing else");
    }
}

pub async fn writing_again_changes_nothing<T: Tenant>(tenant: &T) {
    let ids = tenant.make(&[account("noa"), account("boss")]).await;
    let mut change =
        write(&[(rows::TITLE, Some("Lead")), (rows::DEPARTMENT, None), (rows::EXTENSION, Some("B-8")), (rows::MANAGER, Some(&ids[1]))]);
    (change.mark, change.access) = (Some("mark-noa-2".into()), Some(Access::Suspended));
    change.foreign = listed(tenant, &ids[0]).await.foreign.map(|foreign| foreign.as_ref().into());
    let once = update(tenant, &ids[0], &change).await.0.unwrap().account;
    let held = tenant.look(&ids[0]).await;
    assert_eq!(update(tenant, &ids[0], &change).await.0.unwrap().account, once);
    assert_eq!(tenant.look(&ids[0]).await, held);
}
