//! Cases of pages, searches, and what a server says about itself.

use bobsync::{
    domain::account::AccountState,
    provider::{Error, Key, Listing, Provider, scim::ScimServer},
};
use serde_json::{Value, json};

use super::server::{Server, TOKEN, bearer, mapping};
use crate::tenant::{Tenant, account, mark, rows};

fn fresh(server: &Server) -> ScimServer {
    server.connected(server.settings(), bearer(TOKEN), true)
}

/// Makes so many accounts, and lists them by a new connection.
async fn with(server: &Server, people: usize) -> Vec<String> {
    let people: Vec<_> = (0..people).map(|number| account(&format!("person-{number}"))).collect();
    server.make(&people).await
}

async fn list(server: &Server) -> Result<(usize, Listing), Error> {
    let mut seen = 0;
    let provider = fresh(server);
    let listing = provider.list(&server.mapping, &mut |_| seen += 1).await?;
    assert_eq!(seen, listing.accounts as usize, "nobody twice");
    Ok((seen, listing))
}

#[tokio::test]
async fn pages_of_any_dialect_show_everybody_once() {
    let server = Server::start().await;
    with(&server, 230).await;
    for paging in [
        json!({"cap": 50}),
        json!({"cap": 50, "itemsAsAsked": true}),
        json!({"index": "onePage"}),
        json!({"index": "wraps"}),
        json!({"totals": "absent"}),
        json!({"totals": "absent", "cap": 30}),
        json!({"cursors": true}),
        json!({"cursors": true, "cap": 50}),
        json!({"cursors": true, "index": "absent"}),
        json!({"cursors": true, "totals": "absent", "cap": 50}),
        json!({"cursorByDefault": true}),
    ] {
        server.quirks(json!({"paging": paging})).await;
        let (seen, listing) = list(&server).await.unwrap();
        assert_eq!((seen, listing.whole), (230, true), "{paging}");
        let back = json!({"cap": 200, "itemsAsAsked": false, "index": "honoured", "totals": "all",
            "cursors": false, "cursorByDefault": false});
        server.quirks(json!({"paging": back})).await;
    }
}

#[tokio::test]
async fn a_server_that_takes_no_cursors_any_more_is_listed_by_index() {
    let server = Server::start().await;
    server.quirks(json!({"paging": {"cursors": true}})).await;
    with(&server, 230).await;
    server.provider.list(&server.mapping, &mut |_| ()).await.unwrap();
    server.quirks(json!({"paging": {"cursors": false}})).await;
    let mut seen = 0;
    let listing = server.provider.list(&server.mapping, &mut |_| seen += 1).await.unwrap();
    assert_eq!((seen, listing.accounts, listing.whole), (230, 230, true));
}

#[tokio::test]
async fn a_listing_that_does_not_fit_together_is_never_whole() {
    let server = Server::start().await;
    for cursors in [false, true] {
        with(&server, 230).await;
        server.quirks(json!({"paging": {"deletesAfterPage": 7, "cursors": cursors}})).await;
        assert!(!list(&server).await.unwrap().1.whole, "cursors: {cursors}");
        server.quirks(json!({"paging": {"deletesAfterPage": 0, "cursors": false}})).await;
        server.control.scim("DELETE", "/users", Value::Null).await.unwrap();
    }
    with(&server, 230).await;
    server.quirks(json!({"paging": {"index": "firstPage"}})).await;
    let error = list(&server).await.unwrap_err();
    assert!(matches!(error, Error::Unavailable { .. }), "{error:?}");
}

#[tokio::test]
async fn what_is_no_list_of_users_says_what_was_expected() {
    let server = Server::start().await;
    with(&server, 3).await;
    for quirks in [
        json!({"routes": {"users": "page"}}),
        json!({"routes": {"users": "absent"}}),
        json!({"paging": {"withoutResources": true}}),
    ] {
        server.quirks(quirks.clone()).await;
        match list(&server).await {
            Err(Error::Unavailable { said }) => {
                assert!(said.contains("spec.provider.scim.endpoint"), "{quirks}: {said}");
            }
            other => panic!("{quirks}: {other:?}"),
        }
        let back = json!({"routes": {"users": "yes"}, "paging": {"withoutResources": false}});
        server.quirks(back).await;
    }
    server.quirks(json!({"routes": {"users": "forbidden"}})).await;
    assert!(matches!(list(&server).await, Err(Error::Denied { .. })));
    server.quirks(json!({"routes": {"users": "yes"}, "paging": {"omitsEmpty": true}})).await;
    server.control.scim("DELETE", "/users", Value::Null).await.unwrap();
    assert_eq!(list(&server).await.unwrap().0, 0, "an empty list may have no Resources");
}

#[tokio::test]
async fn a_server_that_says_nothing_of_itself_is_used_all_the_same() {
    let server = Server::start().await;
    let ids = with(&server, 3).await;
    for discovery in ["absent", "forbidden", "page"] {
        server.quirks(json!({"routes": {"discovery": discovery}})).await;
        let provider = fresh(&server);
        let listing = provider.list(&server.mapping, &mut |_| ()).await.unwrap();
        assert_eq!((listing.accounts, listing.unavailable), (3, vec![]), "{discovery}");
        let change = crate::tenant::write(&[(rows::TITLE, Some(discovery))]);
        let urgency = bobsync::domain::priority::Urgency::Normal;
        provider.update(&server.mapping, &ids[0], &change, urgency).await.unwrap();
        assert_eq!(server.stored(&ids[0]).await["title"], discovery);
    }
}

#[tokio::test]
async fn a_server_is_asked_about_itself_once() {
    let server = Server::start().await;
    let ids = with(&server, 3).await;
    for _ in 0..3 {
        server.provider.list(&server.mapping, &mut |_| ()).await.unwrap();
        crate::tenant::update(&server, &ids[0], &crate::tenant::write(&[(rows::TITLE, None)]))
            .await
            .0
            .unwrap();
    }
    let log = server.log().await;
    for path in ["/scim/v2/ServiceProviderConfig", "/scim/v2/Schemas"] {
        assert_eq!(log.iter().filter(|(_, asked, ..)| asked == path).count(), 1, "{path}");
    }
}

#[tokio::test]
async fn a_server_that_ignores_filters_is_never_believed() {
    let server = Server::start().await;
    let ids = with(&server, 30).await;
    server.quirks(json!({"filters": {"ignored": true}})).await;
    let (found, absent) = (mark("person-0"), mark("nobody"));
    for (key, there) in [
        (Key::Mark(&found), true),
        (Key::Email("person-0@example.com"), true),
        (Key::Mark(&absent), false),
        (Key::Email("nobody@example.com"), false),
        (Key::Email("person-29@example.com"), false),
    ] {
        match server.provider.find(&server.mapping, key).await {
            Ok(found) => assert!(there && *found[0].id == *ids[0], "{key:?}"),
            Err(Error::Unavailable { .. }) => assert!(!there, "{key:?}"),
            other => panic!("{key:?}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn a_server_without_a_filter_on_the_mark_says_so_and_nobody_is_taken_for_absent() {
    let server = Server::start().await;
    with(&server, 3).await;
    server.quirks(json!({"filters": {"attributes": ["userName"]}})).await;
    let mark = mark("person-1");
    let asked = server.provider.find(&server.mapping, Key::Mark(&mark)).await;
    assert!(matches!(asked, Err(Error::Rejected { .. })), "{asked:?}");
    let asked = server.provider.find(&server.mapping, Key::Email("person-1@example.com")).await;
    assert_eq!(asked.unwrap().len(), 1);
    server.quirks(json!({"filters": {"attributes": []}})).await;
    let asked = server.provider.find(&server.mapping, Key::Email("person-1@example.com")).await;
    assert!(matches!(asked, Err(Error::Unavailable { .. })), "{asked:?}");
    server.quirks(json!({"filters": {"attributes": [], "otherwise": "all"}})).await;
    let asked = server.provider.find(&server.mapping, Key::Email("nobody@example.com")).await;
    assert!(matches!(asked, Err(Error::Unavailable { .. })), "{asked:?}");
}

#[tokio::test]
async fn a_login_is_found_in_another_case_also_where_the_server_tells_cases_apart() {
    let server = Server::start().await;
    let id = with(&server, 1).await.remove(0);
    server.quirks(json!({"filters": {"exact": true}})).await;
    let key = Key::Email("Person-0@Example.com");
    let found = server.provider.find(&server.mapping, key).await.unwrap();
    assert_eq!(*found[0].id, *id);
}

#[tokio::test]
async fn quotes_in_a_login_stay_within_the_filter() {
    let server = Server::start().await;
    with(&server, 2).await;
    for odd in ["a\" or userName pr or userName eq \"b", "back\\slash\"@x", "é\"@x"] {
        let found = server.provider.find(&server.mapping, Key::Email(odd)).await;
        assert_eq!(found, Ok(vec![]), "{odd}");
    }
}

#[tokio::test]
async fn a_state_of_any_form_is_read() {
    let server = Server::start().await;
    let id = with(&server, 1).await.remove(0);
    server.quirks(json!({"values": {"activeIsText": true}})).await;
    for (active, state) in [(true, AccountState::Active), (false, AccountState::Suspended)] {
        server.edit(&id, json!({"active": active})).await;
        assert_eq!(crate::tenant::listed(&server, &id).await.state, state);
    }
}

#[tokio::test]
async fn a_target_of_the_core_schema_that_the_server_does_not_list_is_unavailable_and_no_other() {
    let server = Server::start().await;
    with(&server, 1).await;
    let targets = ["userName", "title", "urn:example:other:User:badge", "enterprise.department"];
    let mapping = mapping(&targets);
    let provider = fresh(&server);
    let listing = provider.list(&mapping, &mut |_| ()).await.unwrap();
    assert_eq!(listing.unavailable, Vec::<usize>::new(), "what is not listed may be there");
}
