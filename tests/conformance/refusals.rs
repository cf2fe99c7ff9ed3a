//! Cases of calls that are refused, lost or unanswered: each has one meaning, and no message
//! contains a value.

use std::{sync::Arc, time::Duration};

use bobsync::{
    domain::{
        account::{Access, AccountState, AccountWrite},
        priority::Urgency,
    },
    http::waits::{Wait, WaitReason},
    provider::{Error, Initial, Key},
};
use parking_lot::Mutex;
use serde_json::json;
use simulators::{Fault, FaultKind};
use tokio::time::Instant;

use crate::tenant::{
    Calls, Tenant, Through, account, can, creation, mark, rows, update, worthless, write,
};

pub async fn a_taken_email_or_username_is_a_duplicate_and_makes_no_account<T: Tenant>(tenant: &T) {
    let ids = tenant.make(&[account("noa"), account("kim")]).await;
    let username = tenant.mapping().username;
    for (row, text) in [
        (rows::EMAIL, "noa@example.com"),
        (rows::EMAIL, "NOA@Example.com"),
        (username, "noa@example.com"),
    ] {
        let target = Some(tenant.mapping().rows[row].target.to_string());
        let mut wanted = account("ola");
        wanted.attributes[row] = Some(text.into());
        let before = tenant.calls().await;
        let made = tenant
            .provider()
            .create(tenant.mapping(), &creation(&wanted, Access::Active), &Initial::default())
            .await;
        assert_eq!(made, Err(Error::Duplicate { field: target.clone() }), "{text}");
        assert_eq!(tenant.calls().await, before + 1, "nothing is tried again");
        assert_eq!(tenant.size().await, 2);

        let held = tenant.look(&ids[1]).await;
        let (written, calls) =
            update(tenant, &ids[1], &write(&[(row, Some(text)), (rows::TITLE, Some("Lead"))]))
                .await;
        assert_eq!((written, calls), (Err(Error::Duplicate { field: target }), 1), "{text}");
        assert_eq!(tenant.look(&ids[1]).await, held);
    }
}

pub async fn a_refused_value_names_its_attribute_and_not_the_value<T: Tenant>(tenant: &T) {
    let id = tenant.make(&[account("noa")]).await.remove(0);
    for row in [rows::TITLE, rows::DEPARTMENT, rows::EXTENSION] {
        let target = tenant.mapping().rows[row].target.to_string();
        tenant.refuse(row, "Forbidden Words").await;
        let change =
            write(&[(rows::EMAIL, Some("noa.2@example.com")), (row, Some("Some Forbidden Words"))]);
        let held = tenant.look(&id).await;
        match update(tenant, &id, &change).await {
            (Err(Error::Rejected { field, said }), 1) => {
                assert_eq!(field, Some(target));
                assert!(!said.is_empty() && !said.contains("Words"), "{said}");
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(tenant.look(&id).await, held, "nothing of it was applied");

        let mut wanted = account("kim");
        wanted.attributes[row] = Some("Some Forbidden Words".into());
        let made = tenant
            .provider()
            .create(tenant.mapping(), &creation(&wanted, Access::Active), &Initial::default())
            .await;
        assert!(matches!(&made, Err(Error::Rejected { .. })), "{made:?}");
        assert_eq!(tenant.size().await, 1);
    }
}

pub async fn no_text_gives_a_value_away<T: Tenant>(tenant: &T) {
    let id = tenant.make(&[account("noa")]).await.remove(0);
    let values = ["Head of Nothing", "Ministry of Walks", "B-8 (second)"];
    let change = write(&[
        (rows::TITLE, Some(values[0])),
        (rows::DEPARTMENT, Some(values[1])),
        (rows::EXTENSION, Some(values[2])),
        (rows::EMAIL, Some("noa.2@example.com")),
    ]);
    let echo = format!(
        "Validation failed: {} and {} and {}, said noa.2@example.com",
        values[0],
        values[1].to_uppercase(),
        values[2]
    );
    for status in [400, 401, 403, 404, 409, 422, 500] {
        for body in [
            json!({"message": echo, "statusCode": status}),
            json!({"description": echo}),
            json!({"error": {"message": echo}}),
            json!(echo),
        ] {
            let fault = Fault::new(FaultKind::Status).status(status).body(body);
            tenant.fault(Calls::Updates, fault).await;
            let error = update(tenant, &id, &change).await.0.unwrap_err();
            tenant.heal().await;
            let text = format!("{error} {error:?}").to_lowercase();
            for value in values.iter().copied().chain(["noa.2"]) {
                assert!(!text.contains(&value.to_lowercase()), "{status}: {text}");
            }
        }
    }
}

pub async fn an_account_out_of_reach_is_forbidden<T: Tenant>(tenant: &T) {
    let ids = tenant.make(&[account("owner"), account("kim")]).await;
    tenant.protect(&ids[0]).await;
    let held = tenant.look(&ids[0]).await;
    for change in [
        write(&[(rows::TITLE, Some("Lead"))]),
        AccountWrite { access: Some(Access::Suspended), ..AccountWrite::default() },
    ] {
        let (written, calls) = update(tenant, &ids[0], &change).await;
        assert!(matches!(written, Err(Error::Forbidden { .. })), "{written:?}");
        let read = change.access.is_some() && T::CATALOG.capabilities.access_apart;
        assert_eq!(calls, 1 + u64::from(read));
        assert_eq!(tenant.look(&ids[0]).await, held);
    }
    assert!(
        update(tenant, &ids[1], &write(&[(rows::TITLE, Some("Lead"))])).await.0.is_ok(),
        "the others are in reach"
    );
}

pub async fn an_account_whose_read_is_refused_is_not_taken_for_absent<T: Tenant>(tenant: &T) {
    let id = tenant.make(&[account("noa")]).await.remove(0);
    tenant.fault(Calls::Reads, Fault::new(FaultKind::Status).status(403)).await;
    let read = tenant.provider().find(tenant.mapping(), Key::Id(&id)).await;
    assert!(matches!(read, Err(Error::Forbidden { .. })), "of this account alone: {read:?}");
    tenant.heal().await;
    assert_eq!(
        tenant.provider().find(tenant.mapping(), Key::Id(&id)).await.map(|found| found.len()),
        Ok(1)
    );
}

pub async fn a_deleted_account_is_not_found<T: Tenant>(tenant: &T) {
    let id = tenant.make(&[account("noa")]).await.remove(0);
    tenant.delete(&id).await;
    let read = u64::from(T::CATALOG.capabilities.access_apart);
    assert_eq!(
        update(tenant, &id, &write(&[(rows::TITLE, Some("Lead"))])).await,
        (Err(Error::NotFound), 1 + read)
    );
    assert_eq!(tenant.size().await, 0, "an update makes no account");
}

pub async fn a_deleted_account_is_gone_to_every_call<T: Tenant>(tenant: &T) {
    let id = tenant.make(&[account("noa")]).await.remove(0);
    tenant.delete(&id).await;
    let before = tenant.calls().await;
    assert_eq!(
        tenant.provider().find(tenant.mapping(), Key::Id(&id)).await,
        Ok(vec![]),
        "whatever the provider's word for it is"
    );
    assert_eq!(
        tenant.provider().find(tenant.mapping(), Key::Email("noa@example.com")).await,
        Ok(vec![])
    );
    for access in [Access::Suspended, Access::Active] {
        let change = AccountWrite { access: Some(access), ..AccountWrite::default() };
        let written =
            tenant.provider().update(tenant.mapping(), &id, &change, Urgency::Urgent).await;
        assert_eq!(written, Err(Error::NotFound), "{access:?}");
    }
    assert_eq!(tenant.calls().await - before, 4, "nothing is tried again");
}

pub async fn an_attribute_that_is_no_longer_defined_is_refused_once<T: Tenant>(tenant: &T) {
    if !can::<T>("tenants define attributes of their own", |can| can.defined_attributes) {
        return;
    }
    let people: Vec<_> = (0..30).map(|number| account(&format!("person-{number}"))).collect();
    let ids = tenant.make(&people).await;
    // The definitions are known from the listing.
    assert!(
        tenant.provider().list(tenant.mapping(), &mut |_| ()).await.unwrap().unavailable.is_empty()
    );
    tenant.undefine().await;
    let target = Some(tenant.mapping().rows[rows::EXTENSION].target.to_string());
    let mut refused = 0;
    for id in &ids {
        let (written, calls) = update(tenant, id, &write(&[(rows::EXTENSION, Some("B-8"))])).await;
        assert!(
            matches!(&written, Err(Error::Rejected { field, .. }) if *field == target),
            "{written:?}"
        );
        refused += u64::from(calls > 0);
        let (written, _) = update(tenant, id, &write(&[(rows::TITLE, Some("Lead"))])).await;
        assert!(written.is_ok(), "the rest flows: {written:?}");
    }
    assert_eq!(refused, 1, "after the first refusal no such write goes out");
    let mut new = account("new");
    let before = tenant.calls().await;
    let made = tenant
        .provider()
        .create(tenant.mapping(), &creation(&new, Access::Active), &Initial::default())
        .await;
    assert!(matches!(&made, Err(Error::Rejected { field, .. }) if *field == target), "{made:?}");
    assert_eq!(tenant.calls().await, before, "nor does a create");
    new.attributes[rows::EXTENSION] = None;
    tenant
        .provider()
        .create(tenant.mapping(), &creation(&new, Access::Active), &Initial::default())
        .await
        .unwrap();
    let listing = tenant.provider().list(tenant.mapping(), &mut |_| ()).await.unwrap();
    assert_eq!(listing.unavailable, [rows::EXTENSION], "and the next listing says so");
}

pub async fn a_read_that_fails_is_unavailable_and_a_write_that_may_have_arrived_is_unknown<
    T: Tenant,
>(
    tenant: &T,
) {
    let id = tenant.make(&[account("noa")]).await.remove(0);
    let mapping = tenant.mapping();
    for (number, (fault, applied)) in worthless().into_iter().enumerate() {
        tenant.fault(Calls::Reads, fault.clone()).await;
        for by_key in [false, true] {
            let before = tenant.calls().await;
            let outcome = if by_key {
                tenant.provider().find(mapping, Key::Email("noa@example.com")).await.map(drop)
            } else {
                tenant.provider().list(mapping, &mut |_| ()).await.map(drop)
            };
            assert!(matches!(outcome, Err(Error::Unavailable { .. })), "{fault:?}: {outcome:?}");
            assert_eq!(
                tenant.calls().await,
                before + 1,
                "{fault:?} is not asked again, and no redirect is followed"
            );
        }
        tenant.heal().await;

        let (title, name) = (format!("Title {number}"), format!("new-{number}"));
        let (held, size, before) =
            (tenant.look(&id).await.unwrap(), tenant.size().await, tenant.calls().await);
        tenant.fault(Calls::Updates, fault.clone()).await;
        let (written, calls) = update(tenant, &id, &write(&[(rows::TITLE, Some(&title))])).await;
        // An answer without content cannot be cut.
        if fault.kind != FaultKind::Truncate
            || can::<T>("an answer to a change that can be cut", |can| can.answers_changes)
        {
            assert!(matches!(written, Err(Error::Unknown { .. })), "{fault:?}: {written:?}");
        }
        assert_eq!(calls, 1, "{fault:?}");
        let now = tenant.look(&id).await.unwrap();
        assert_eq!(now.attributes[rows::TITLE].as_deref() == Some(&title), applied, "{fault:?}");
        assert_eq!(now == held, !applied, "{fault:?}");
        tenant.heal().await;

        tenant.fault(Calls::Creates, fault.clone()).await;
        let made = tenant
            .provider()
            .create(mapping, &creation(&account(&name), Access::Active), &Initial::default())
            .await;
        assert!(matches!(made, Err(Error::Unknown { .. })), "{fault:?}: {made:?}");
        tenant.heal().await;
        assert_eq!(tenant.calls().await, before + 2, "{fault:?}");
        assert_eq!(tenant.size().await, size + usize::from(applied), "{fault:?}");
        // The outcome is read by the mark, or by the e-mail if searches lag or do not support
        // marks.
        let (mark, email) = (mark(&name), format!("{name}@example.com"));
        let can = &T::CATALOG.capabilities;
        let key =
            if can.lags || !can.searches_marks { Key::Email(&email) } else { Key::Mark(&mark) };
        let found = tenant.provider().find(mapping, key).await.unwrap();
        assert_eq!(found.len(), usize::from(applied), "{fault:?}");
    }
}

pub async fn nothing_reaches_an_address_where_nobody_listens<T: Tenant>(tenant: &T) {
    let provider = tenant.connect(Through::NobodyThere);
    let mapping = tenant.mapping();
    let outcomes = [
        provider.list(mapping, &mut |_| ()).await.map(drop),
        provider.find(mapping, Key::Email("noa@example.com")).await.map(drop),
        provider
            .create(mapping, &creation(&account("noa"), Access::Active), &Initial::default())
            .await
            .map(drop),
        provider
            .update(mapping, "7", &write(&[(rows::TITLE, Some("Lead"))]), Urgency::Urgent)
            .await
            .map(drop),
    ];
    for outcome in outcomes {
        // Even a write has a known outcome here.
        assert!(matches!(outcome, Err(Error::Unavailable { .. })), "{outcome:?}");
    }
}

pub async fn a_throttled_provider_is_left_alone_until_then<T: Tenant>(tenant: &T) {
    let id = tenant.make(&[account("noa")]).await.remove(0);
    let seconds = tenant.exhaust().await;
    let (written, calls) = update(tenant, &id, &write(&[(rows::TITLE, Some("Lead"))])).await;
    match written {
        Err(Error::Throttled { wait })
            if can::<T>("a refusal says when to come back", |can| can.says_when) =>
        {
            let (wait, seconds) = (wait.expect("a time"), seconds.expect("a time"));
            assert!(wait.as_secs().abs_diff(seconds) <= 1, "{wait:?} and not {seconds} s");
        }
        Err(Error::Throttled { wait: None }) => {}
        other => panic!("{other:?}"),
    }
    assert_eq!(calls, 1);
    assert_eq!(
        tenant.look(&id).await.unwrap().attributes[rows::TITLE].as_deref(),
        Some("Engineer"),
        "nothing was applied"
    );
    // Later callers wait in line, urgent ones too, in every look.
    let before = tenant.calls().await;
    let suspend = AccountWrite { access: Some(Access::Suspended), ..AccountWrite::default() };
    tokio::select! {
        biased;
        outcome = tenant.provider().update(tenant.mapping(), &id, &suspend, Urgency::Urgent) => panic!("{outcome:?}"),
        () = async { for _ in 0..50 { assert_eq!(tenant.calls().await, before) } } => {}
    }
}

pub async fn a_provider_in_trouble_that_names_a_time_is_left_alone_by_what_can_wait<T: Tenant>(
    tenant: &T,
) {
    let id = tenant.make(&[account("noa")]).await.remove(0);
    tenant
        .fault(
            Calls::Updates,
            Fault::new(FaultKind::Status).status(503).header("retry-after", "120").times(1),
        )
        .await;
    let (written, calls) = update(tenant, &id, &write(&[(rows::TITLE, Some("Lead"))])).await;
    assert!(matches!(written, Err(Error::Unknown { .. })), "{written:?}");
    assert_eq!(calls, 1);
    // The outcome is read at once.
    assert_eq!(tenant.provider().find(tenant.mapping(), Key::Id(&id)).await.unwrap().len(), 1);
    let titled = AccountWrite {
        foreign: tenant.foreign(&id).await,
        ..write(&[(rows::TITLE, Some("Lead"))])
    };
    let before = tenant.calls().await;
    tokio::select! {
        biased;
        outcome = tenant.provider().update(tenant.mapping(), &id, &titled, Urgency::Normal) => panic!("{outcome:?}"),
        () = async { for _ in 0..50 { assert_eq!(tenant.calls().await, before) } } => {}
    }
    // Access that ends does not wait.
    let suspend = AccountWrite { access: Some(Access::Suspended), ..AccountWrite::default() };
    tenant.provider().update(tenant.mapping(), &id, &suspend, Urgency::Urgent).await.unwrap();
    assert_eq!(tenant.look(&id).await.unwrap().state, AccountState::Suspended);
}

/// Returns the end of this wait, in seconds from now.
fn seconds_left(wait: Wait) -> u64 {
    (wait.until.saturating_duration_since(Instant::now()) + Duration::from_millis(500)).as_secs()
}

pub async fn what_calls_wait_for_is_told_when_they_begin_to_wait<T: Tenant>(tenant: &T) {
    let id = tenant.make(&[account("noa")]).await.remove(0);
    let met = Arc::new(Mutex::new(Vec::new()));
    let connect = || {
        let met = Arc::clone(&met);
        tenant.telling(Arc::new(move |wait| met.lock().push(wait)))
    };
    let told = || std::mem::take(&mut *met.lock());
    let titled = AccountWrite {
        foreign: tenant.foreign(&id).await,
        ..write(&[(rows::TITLE, Some("Lead"))])
    };
    let calm = connect();
    calm.update(tenant.mapping(), &id, &titled, Urgency::Normal).await.unwrap();
    assert_eq!(told(), [], "nothing is waited for");
    // A read, a write and a listing are refused, each at another connection; the next call is not
    // sent.
    for read in [true, false] {
        let provider = connect();
        for calls in [Calls::Reads, Calls::Updates] {
            tenant
                .fault(
                    calls,
                    Fault::new(FaultKind::Status)
                        .status(429)
                        .header("retry-after", "1800")
                        .times(1),
                )
                .await;
        }
        let outcome = if read {
            provider.list(tenant.mapping(), &mut |_| ()).await.map(drop)
        } else {
            provider.update(tenant.mapping(), &id, &titled, Urgency::Normal).await.map(drop)
        };
        assert!(matches!(outcome, Err(Error::Throttled { .. })), "{outcome:?}");
        let refused = told();
        assert!(
            refused.iter().all(
                |wait| wait.why == WaitReason::Asked && seconds_left(*wait).abs_diff(1800) <= 2
            ),
            "{refused:?}"
        );
        let before = tenant.calls().await;
        tokio::select! {
            biased;
            found = provider.find(tenant.mapping(), Key::Id(&id)) => panic!("{found:?}"),
            () = tokio::time::sleep(Duration::from_millis(100)) => {}
        }
        assert_eq!(
            (told(), tenant.calls().await),
            (vec![refused[0]], before),
            "whoever comes next is told of the same end"
        );
        tenant.heal().await;
    }
    // In trouble only calls that can wait do wait.
    let provider = connect();
    tenant
        .fault(
            Calls::Updates,
            Fault::new(FaultKind::Status).status(503).header("retry-after", "120").times(1),
        )
        .await;
    provider.update(tenant.mapping(), &id, &titled, Urgency::Normal).await.unwrap_err();
    let refused = told();
    assert!(
        refused
            .iter()
            .all(|wait| wait.why == WaitReason::Trouble && seconds_left(*wait).abs_diff(120) <= 1),
        "{refused:?}"
    );
    assert_eq!(provider.find(tenant.mapping(), Key::Id(&id)).await.unwrap().len(), 1);
    assert_eq!(told(), [], "a read does not wait");
    tokio::select! {
        biased;
        outcome = provider.update(tenant.mapping(), &id, &titled, Urgency::Normal) => panic!("{outcome:?}"),
        () = tokio::time::sleep(Duration::from_millis(100)) => {}
    }
    assert!(told().contains(&refused[0]));
}

pub async fn a_closed_gate_lets_no_write_out<T: Tenant>(tenant: &T) {
    let id = tenant.make(&[account("noa")]).await.remove(0);
    let provider = tenant.connect(Through::AClosedGate);
    assert_eq!(provider.list(tenant.mapping(), &mut |_| ()).await.unwrap().accounts, 1, "reads go");
    let before = tenant.calls().await;
    let suspend = AccountWrite { access: Some(Access::Suspended), ..AccountWrite::default() };
    let outcomes = [
        provider.update(tenant.mapping(), &id, &suspend, Urgency::Urgent).await.map(drop),
        provider
            .create(
                tenant.mapping(),
                &creation(&account("kim"), Access::Active),
                &Initial::default(),
            )
            .await
            .map(drop),
    ];
    for outcome in outcomes {
        assert!(matches!(outcome, Err(Error::Throttled { .. })), "{outcome:?}");
    }
    let read = u64::from(T::CATALOG.capabilities.access_apart);
    assert_eq!(tenant.calls().await, before + read);
    assert_eq!(
        (tenant.size().await, tenant.look(&id).await.unwrap().state),
        (1, AccountState::Active)
    );
}

pub async fn a_wrong_secret_is_unauthorized_after_few_calls<T: Tenant>(tenant: &T) {
    let id = tenant.make(&[account("noa")]).await.remove(0);
    let provider = tenant.connect(Through::AWrongSecret);
    let mapping = tenant.mapping();
    let outcomes = [
        provider.list(mapping, &mut |_| ()).await.map(drop),
        provider
            .create(mapping, &creation(&account("kim"), Access::Active), &Initial::default())
            .await
            .map(drop),
        provider
            .update(mapping, &id, &write(&[(rows::TITLE, Some("Lead"))]), Urgency::Normal)
            .await
            .map(drop),
    ];
    for outcome in &outcomes {
        let Err(error @ Error::Unauthorized { .. }) = outcome else { panic!("{outcome:?}") };
        assert!(!format!("{error} {error:?}").contains("wrong"), "{error}");
    }
    let all = tenant.calls().await + tenant.token_calls().await;
    assert!(all <= 2 * outcomes.len() as u64, "{all} calls");
    assert_eq!(tenant.size().await, 1);
}

pub async fn a_credential_that_may_only_read_is_denied_its_writes<T: Tenant>(tenant: &T) {
    let id = tenant.make(&[account("noa")]).await.remove(0);
    tenant.only_reads().await;
    assert_eq!(tenant.provider().list(tenant.mapping(), &mut |_| ()).await.unwrap().accounts, 1);
    let made = tenant
        .provider()
        .create(tenant.mapping(), &creation(&account("kim"), Access::Active), &Initial::default())
        .await;
    // Neither does one refused create.
    assert!(matches!(made, Err(Error::Denied { .. } | Error::Forbidden { .. })), "{made:?}");
    // One refused update does not show whether it concerns this account or all.
    let (written, _) = update(tenant, &id, &write(&[(rows::TITLE, Some("Lead"))])).await;
    assert!(matches!(written, Err(Error::Denied { .. } | Error::Forbidden { .. })), "{written:?}");
    assert_eq!(
        tenant.look(&id).await.unwrap().attributes[rows::TITLE].as_deref(),
        Some("Engineer")
    );
}
