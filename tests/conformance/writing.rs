//! Cases of writes that the tenant accepts.

use bobsync::{
    domain::{
        account::{Access, AccountState, AccountWrite},
        priority::Urgency,
    },
    http::secret::Secret,
    provider::{ChangeAtFirstLogin, Initial, NewPassword},
};

use crate::tenant::{
    Tenant, account, answered, can, creation, listed, mark, plain, rows, update, write,
};

pub async fn a_new_account_has_what_was_written_and_nothing_else<T: Tenant>(tenant: &T) {
    let boss = tenant.make(&[account("boss")]).await.remove(0);
    let mut wanted = account("noa");
    wanted.attributes[rows::MANAGER] = Some(tenant.reference(&boss).await.into());
    wanted.attributes[rows::DEPARTMENT] = None;
    let before = tenant.calls().await;
    let written = tenant
        .provider()
        .create(tenant.mapping(), &creation(&wanted, Access::Active), &Initial::default())
        .await
        .unwrap();
    let calls = 1 + u64::from(T::CATALOG.capabilities.manager_apart);
    assert_eq!(tenant.calls().await, before + calls);
    wanted.id = written.account.id.clone();
    assert_eq!(plain(written.account), wanted, "what the provider confirms");
    assert_eq!(tenant.look(&wanted.id).await, Some(wanted), "what the tenant has");
    if can::<T>("answers to writes bear a request id", |can| can.request_ids) {
        assert!(written.request_id.is_some_and(|id| !id.is_empty()));
    }
}

pub async fn a_new_account_without_access_cannot_be_used<T: Tenant>(tenant: &T) {
    let written = tenant
        .provider()
        .create(
            tenant.mapping(),
            &creation(&account("noa"), Access::Suspended),
            &Initial::default(),
        )
        .await
        .unwrap();
    assert_eq!(written.account.state, AccountState::Suspended);
    assert_eq!(tenant.look(&written.account.id).await.unwrap().state, AccountState::Suspended);
}

pub async fn only_what_differs_is_written_and_the_rest_stays<T: Tenant>(tenant: &T) {
    let id = tenant.make(&[account("noa")]).await.remove(0);
    let (before, rest) = (tenant.look(&id).await.unwrap(), tenant.rest(&id).await);
    let (written, calls) =
        update(tenant, &id, &write(&[(rows::TITLE, Some("Head of Nothing"))])).await;
    let mut after = before;
    after.attributes[rows::TITLE] = Some("Head of Nothing".into());
    assert_eq!((answered::<T>(written.unwrap().account, &after), calls), (after.clone(), 1));
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
    assert_eq!(
        tenant.look(&id).await.unwrap().attributes[rows::DEPARTMENT].as_deref(),
        Some("Platform")
    );
}

pub async fn what_we_do_not_own_survives<T: Tenant>(tenant: &T) {
    let id = tenant.make(&[account("noa")]).await.remove(0);
    tenant.give_foreign(&id).await;
    let rest = tenant.rest(&id).await;
    for value in [Some("B-8"), None, Some("C \"9\"")] {
        // As the plan does: what the provider needs again comes from the listing.
        let mut change = write(&[(rows::EXTENSION, value), (rows::TITLE, value)]);
        change.foreign = listed(tenant, &id).await.foreign.map(|foreign| foreign.as_ref().into());
        let (written, calls) = update(tenant, &id, &change).await;
        assert_eq!(
            (written.unwrap().account.attributes[rows::EXTENSION].as_deref(), calls),
            (value, 1)
        );
        assert_eq!(tenant.look(&id).await.unwrap().attributes[rows::EXTENSION].as_deref(), value);
        assert_eq!(tenant.rest(&id).await, rest, "after {value:?}");
    }
}

pub async fn the_mark_goes_on_an_adopted_account<T: Tenant>(tenant: &T) {
    let mut stranger = account("noa");
    stranger.mark = None;
    let id = tenant.make(&[stranger]).await.remove(0);
    let mut after = tenant.look(&id).await.unwrap();
    let (written, calls) = update(
        tenant,
        &id,
        &AccountWrite { mark: Some(mark("noa").into()), ..AccountWrite::default() },
    )
    .await;
    after.mark = Some(mark("noa").into());
    assert_eq!((answered::<T>(written.unwrap().account, &after), calls), (after.clone(), 1));
    assert_eq!(tenant.look(&id).await, Some(after));
}

pub async fn a_manager_is_set_and_cleared<T: Tenant>(tenant: &T) {
    let ids = tenant.make(&[account("noa"), account("boss"), account("other")]).await;
    let (boss, other) = (tenant.reference(&ids[1]).await, tenant.reference(&ids[2]).await);
    for manager in [Some(&boss), Some(&other), None] {
        let manager = manager.map(String::as_str);
        let (written, calls) = update(tenant, &ids[0], &write(&[(rows::MANAGER, manager)])).await;
        assert_eq!(
            (written.unwrap().account.attributes[rows::MANAGER].as_deref(), calls),
            (manager, 1)
        );
        assert_eq!(
            tenant.look(&ids[0]).await.unwrap().attributes[rows::MANAGER].as_deref(),
            manager
        );
    }
}

pub async fn access_is_taken_and_given_back<T: Tenant>(tenant: &T) {
    let id = tenant.make(&[account("noa")]).await.remove(0);
    let mut after = tenant.look(&id).await.unwrap();
    for (access, state) in
        [(Access::Suspended, AccountState::Suspended), (Access::Active, AccountState::Active)]
    {
        let change = AccountWrite { access: Some(access), ..AccountWrite::default() };
        let before = tenant.calls().await;
        let written = tenant
            .provider()
            .update(tenant.mapping(), &id, &change, Urgency::Urgent)
            .await
            .unwrap();
        after.state = state;
        assert_eq!(answered::<T>(written.account, &after), after);
        let sessions = T::CATALOG.capabilities.ends_sessions && access == Access::Suspended;
        let reads = 2 * u64::from(T::CATALOG.capabilities.access_apart);
        assert_eq!(tenant.calls().await, before + 1 + reads + u64::from(sessions));
        assert_eq!(tenant.look(&id).await, Some(after.clone()), "access, and nothing else");
    }
}

pub async fn writing_again_changes_nothing<T: Tenant>(tenant: &T) {
    let ids = tenant.make(&[account("noa"), account("boss")]).await;
    let boss = tenant.reference(&ids[1]).await;
    let mut change = write(&[
        (rows::TITLE, Some("Lead")),
        (rows::DEPARTMENT, None),
        (rows::EXTENSION, Some("B-8")),
        (rows::MANAGER, Some(&boss)),
    ]);
    (change.mark, change.access) = (Some(mark("noa-2").into()), Some(Access::Suspended));
    change.foreign = listed(tenant, &ids[0]).await.foreign.map(|foreign| foreign.as_ref().into());
    // The opaque part may hold ids of entries, which a provider makes anew.
    let once = plain(update(tenant, &ids[0], &change).await.0.unwrap().account);
    let held = tenant.look(&ids[0]).await;
    assert_eq!(plain(update(tenant, &ids[0], &change).await.0.unwrap().account), once);
    assert_eq!(tenant.look(&ids[0]).await, held);
}

pub async fn access_is_taken_and_given_back_from_every_state<T: Tenant>(tenant: &T) {
    for state in T::CATALOG.capabilities.states {
        let name = format!("{state:?}").to_lowercase();
        let id = tenant
            .make(&[crate::tenant::Account { state: *state, ..account(&name) }])
            .await
            .remove(0);
        assert_eq!(listed(tenant, &id).await.state, *state);
        for (access, then) in
            [(Access::Suspended, AccountState::Suspended), (Access::Active, AccountState::Active)]
        {
            let change = AccountWrite { access: Some(access), ..AccountWrite::default() };
            let written = tenant
                .provider()
                .update(tenant.mapping(), &id, &change, Urgency::Urgent)
                .await
                .unwrap();
            assert_eq!(written.account.state, then, "from {state:?}");
            assert_eq!(tenant.look(&id).await.unwrap().state, then, "from {state:?}");
        }
    }
}

pub async fn an_email_changes<T: Tenant>(tenant: &T) {
    let id = tenant.make(&[account("noa")]).await.remove(0);
    let mut after = tenant.look(&id).await.unwrap();
    let new = "noa.lind@example.com";
    let mapping = tenant.mapping();
    let (written, calls) =
        update(tenant, &id, &write(&[(mapping.email, Some(new)), (rows::TITLE, Some("Lead"))]))
            .await;
    after.email = Some(new.into());
    if mapping.username == mapping.email {
        after.username = Some(new.into());
    }
    (after.attributes[mapping.email], after.attributes[rows::TITLE]) =
        (Some(new.into()), Some("Lead".into()));
    assert_eq!((answered::<T>(written.unwrap().account, &after), calls), (after.clone(), 1));
    assert_eq!(tenant.look(&id).await, Some(after), "under the same id");
}

pub async fn a_default_password_reaches_a_new_account_once<T: Tenant>(tenant: &T) {
    let can_change = T::CATALOG.capabilities.change_at_first_login;
    if !can::<T>("new accounts take a password", |can| {
        can.initial_password != NewPassword::Unsupported
    }) {
        tenant
            .provider()
            .create(
                tenant.mapping(),
                &creation(&account("noa"), Access::Active),
                &Initial::default(),
            )
            .await
            .unwrap();
        assert_eq!(tenant.passwords().await, [], "and none is sent");
        return;
    }
    let password = Secret::new("Correct-Horse-7-Battery");
    for (name, change) in [("noa", false), ("kim", true)] {
        let change = change && can_change != ChangeAtFirstLogin::Unsupported;
        let initial = Initial { password: Some(&password), change_at_first_login: change };
        let wanted = creation(&account(name), Access::Active);
        let made = tenant.provider().create(tenant.mapping(), &wanted, &initial).await.unwrap();
        assert!(!format!("{made:?} {initial:?}").contains(password.expose()));
        assert_eq!(tenant.passwords().await.last(), Some(&(password.expose().to_owned(), change)));
        update(tenant, &made.account.id, &write(&[(rows::TITLE, Some("Lead"))])).await.0.unwrap();
    }
    let told = tenant.passwords().await;
    assert_eq!(told.len(), 2, "an update sends none");
    if T::CATALOG.capabilities.initial_password != NewPassword::Generated {
        return;
    }
    for name in ["ola", "pia"] {
        tenant
            .provider()
            .create(
                tenant.mapping(),
                &creation(&account(name), Access::Active),
                &Initial::default(),
            )
            .await
            .unwrap();
    }
    let told = tenant.passwords().await;
    let generated: Vec<&str> = told[2..].iter().map(|(text, _)| text.as_str()).collect();
    assert_ne!(generated[0], generated[1], "different for everybody");
    for text in generated {
        assert_eq!(text.len(), 24);
        let classes: [fn(char) -> bool; 4] = [
            |c| c.is_ascii_lowercase(),
            |c| c.is_ascii_uppercase(),
            |c| c.is_ascii_digit(),
            |c| c.is_ascii_punctuation(),
        ];
        assert!(classes.iter().all(|class| text.chars().any(class)), "four classes");
    }
    assert!(told[2..].iter().all(|(_, change)| !change));
}
