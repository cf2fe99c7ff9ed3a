//! Cases of values that a careless client breaks, or writes in every pass.

use bobsync::{domain::mapping::equal, provider::Error};

use crate::tenant::{Tenant, account, can, listed, rows, update, write};

pub async fn names_of_the_whole_world_come_back_as_they_were_written<T: Tenant>(tenant: &T) {
    let id = tenant.make(&[account("noa")]).await.remove(0);
    for text in [
        "Zoë Ñandú-Łukasz",
        "王小明",
        "Доктор «Щука»",
        "ابن سينا",
        "O'Brien & \"Sons\" <x>",
        "👩‍🚀 Lead",
        "a\\b{c}",
    ] {
        if text.chars().any(|c| c.len_utf8() > 3) && !can::<T>("emoji in texts", |can| can.emoji) {
            continue;
        }
        for row in [rows::TITLE, rows::DEPARTMENT, rows::EXTENSION, rows::FIRST] {
            let (written, _) = update(tenant, &id, &write(&[(row, Some(text))])).await;
            assert_eq!(
                written.unwrap().account.attributes[row].as_deref(),
                Some(text),
                "row {row}"
            );
        }
        let stored = listed(tenant, &id).await;
        assert_eq!(stored.attributes[rows::TITLE].as_deref(), Some(text));
    }
}

pub async fn what_the_provider_makes_of_blanks_and_case_is_no_difference<T: Tenant>(tenant: &T) {
    let id = tenant.make(&[account("noa")]).await.remove(0);
    for (row, text) in [
        (rows::EMAIL, "Noa.LIND@Example.com"),
        (rows::TITLE, "Lead "),
        (rows::DEPARTMENT, " Plat  form "),
    ] {
        update(tenant, &id, &write(&[(row, Some(text))])).await.0.unwrap();
        let stored = listed(tenant, &id).await.attributes[row].clone().unwrap();
        assert!(
            equal(tenant.mapping().rows[row].compare, &stored, text),
            "{stored:?} is not {text:?}"
        );
    }
}

pub async fn a_value_that_is_too_long_is_refused_or_kept_whole<T: Tenant>(tenant: &T) {
    let id = tenant.make(&[account("noa")]).await.remove(0);
    for length in [100, 1_000, 20_000] {
        let long = "é".repeat(length);
        let held = tenant.look(&id).await;
        match update(tenant, &id, &write(&[(rows::TITLE, Some(&long))])).await.0 {
            Ok(written) => {
                assert_eq!(written.account.attributes[rows::TITLE].as_deref(), Some(&*long))
            }
            Err(Error::Rejected { said, .. }) => {
                assert!(said.chars().count() < 200 && !said.contains("éé"), "{said}");
                assert_eq!(tenant.look(&id).await, held);
            }
            Err(other) => panic!("{other:?}"),
        }
    }
}
