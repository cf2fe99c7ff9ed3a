use std::cell::{Cell, RefCell};

use reqwest::{StatusCode, header::HeaderMap};

use super::*;
use crate::provider::tries::PAUSES;

#[expect(clippy::unnecessary_wraps, reason = "one of several answers to a call")]
fn page() -> Result<Answer, Error> {
    Ok(Answer { status: StatusCode::OK, headers: HeaderMap::new(), body: bytes::Bytes::new() })
}

fn outage() -> Result<Answer, Error> {
    Err(unreadable("HTTP 503"))
}

/// Asks for one page, answered in this order. Returns the outcome, the number of calls, and the
/// time that they took.
async fn asked(
    lister: &mut Lister<u64>,
    mut answers: Vec<Result<Answer, Error>>,
) -> (Result<(), Error>, usize, Duration) {
    answers.reverse();
    let (answers, calls, begun) = (RefCell::new(answers), Cell::new(0), Instant::now());
    let outcome = lister
        .page(|_| {
            calls.set(calls.get() + 1);
            let answer = answers.borrow_mut().pop().unwrap_or_else(outage);
            async move { answer }
        })
        .await;
    (outcome.map(drop), calls.get(), begun.elapsed())
}

#[tokio::test(start_paused = true)]
async fn a_first_page_that_fails_is_told_at_once() {
    for failure in [outage(), Err(Error::Throttled { wait: None })] {
        let error = failure.clone().unwrap_err();
        let (outcome, calls, took) = asked(&mut Lister::new(100), vec![failure, page()]).await;
        assert_eq!((outcome, calls, took), (Err(error), 1, Duration::ZERO));
    }
    let (outcome, calls, _) = asked(&mut Lister::going_on(100), vec![outage(), page()]).await;
    assert_eq!((outcome, calls), (Ok(()), 2), "unless much was read before");
}

#[tokio::test(start_paused = true)]
async fn a_later_page_that_fails_is_asked_for_again_three_times() {
    for (failures, well, calls) in [(1, true, 2), (3, true, 4), (4, false, 4), (9, false, 4)] {
        let mut lister = Lister::new(100);
        asked(&mut lister, vec![page()]).await.0.unwrap();
        let answers = (0..failures).map(|_| outage()).chain([page()]).collect();
        let (outcome, made, took) = asked(&mut lister, answers).await;
        assert_eq!((outcome.is_ok(), made), (well, calls), "{failures} failures");
        assert!(took <= PAUSES.iter().sum::<Duration>() + Duration::from_millis(10), "{took:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_later_page_waits_while_the_provider_throttles() {
    let mut lister = Lister::new(100);
    asked(&mut lister, vec![page()]).await.0.unwrap();
    let throttled = || Err(Error::Throttled { wait: None });
    let answers =
        (0..200).map(|_| throttled()).chain([outage(), outage(), outage(), page()]).collect();
    let (outcome, calls, _) = asked(&mut lister, answers).await;
    assert_eq!((outcome, calls), (Ok(()), 204), "being throttled costs none of the three tries");

    // Each answer comes after the wait of the pacer.
    let begun = Instant::now();
    let outcome = lister
        .page(|_| async {
            tokio::time::sleep(LONGEST_WAIT).await;
            throttled()
        })
        .await;
    assert!(matches!(outcome, Err(Error::Throttled { .. })), "it ends");
    assert!(begun.elapsed() <= MOST_WAITING + 2 * LONGEST_WAIT);
}

#[tokio::test(start_paused = true)]
async fn a_page_that_is_too_large_is_asked_for_in_smaller_ones() {
    let mut lister = Lister::<u64>::new(500);
    let sizes = RefCell::new(Vec::new());
    let outcome = lister
        .page(|size| {
            sizes.borrow_mut().push(size);
            let answer = if size > 100 { Err(unreadable(TOO_LARGE)) } else { page() };
            async move { answer }
        })
        .await;
    assert!(outcome.is_ok());
    assert_eq!((sizes.into_inner(), lister.size()), (vec![500, 250, 125, 62], 62));
    let outcome = lister.page(|_| async { Err(unreadable(TOO_LARGE)) }).await;
    assert_eq!(
        (outcome.map(drop), lister.size()),
        (Err(unreadable(TOO_LARGE)), 1),
        "one account cannot be halved"
    );
}

#[tokio::test(start_paused = true)]
async fn a_listing_without_an_end_ends() {
    let mut lister = Lister::<u64>::new(1);
    for _ in 0..MOST_PAGES {
        lister.page(|_| async { page() }).await.unwrap();
    }
    assert_eq!(
        lister.page(|_| async { page() }).await.map(drop),
        Err(unreadable("the listing does not end"))
    );
    assert_eq!(
        (lister.goes_to("a"), lister.goes_to("b"), lister.goes_to("a")),
        (Ok(()), Ok(()), Err(repeated()))
    );
}

#[test]
fn an_id_counts_once() {
    let mut lister = Lister::new(1);
    assert!(lister.is_new(7) && lister.is_new(8) && !lister.repeats());
    assert!(!lister.is_new(7) && lister.repeats());
    assert_eq!(lister.accounts(), 2);
}

fn counts(total: Option<u64>, pages: Option<u64>, follows: bool) -> PageCounts {
    PageCounts { total, pages, follows }
}

/// Returns whether each of these pages, as (total, rows, new rows), is followed by another one, and
/// whether the listing is whole if it showed `ids` different accounts.
fn read(pages: &[(Option<u64>, u64, u64)], ids: u64) -> (Vec<bool>, bool) {
    let mut all = CountedPages::new(100);
    let more = |(total, rows, fresh): &(Option<u64>, u64, u64)| {
        all.more(counts(*total, None, false), *rows, *fresh).unwrap()
    };
    (pages.iter().map(more).collect(), all.whole(ids))
}

#[test]
fn what_the_pages_say_is_trusted_before_their_length() {
    let mut pages = CountedPages::new(100);
    let capped = counts(Some(120), Some(3), true);
    let more: Vec<_> = [50, 50, 20].map(|rows| pages.more(capped, rows, rows).unwrap()).into();
    assert_eq!((more, pages.whole(120)), (vec![true, true, false], true));
    for (counts, rows, more) in [
        (counts(Some(100), None, false), 100, false),
        (counts(None, None, true), 50, true),
        (counts(None, None, false), 100, true),
        (counts(None, None, false), 99, false),
        (counts(None, Some(0), false), 0, false),
        (counts(Some(7), None, false), 0, false),
    ] {
        assert_eq!(CountedPages::new(100).more(counts, rows, rows), Ok(more), "{counts:?}");
    }
    // A server may return less than it was asked for.
    let capped = [(Some(25), 10, 10), (Some(25), 10, 10), (Some(25), 5, 5)];
    assert_eq!(read(&capped, 25), (vec![true, true, false], true));
}

#[test]
fn a_listing_that_changed_under_way_is_not_whole() {
    for (pages, ids, whole) in [
        (vec![(Some(150), 100, 100), (Some(150), 50, 50)], 150, true),
        (vec![(Some(150), 100, 100), (Some(149), 49, 49)], 149, false),
        (vec![(Some(150), 100, 100), (Some(150), 50, 49)], 149, false),
        (vec![(Some(150), 100, 100), (Some(151), 50, 50)], 150, false),
        (vec![(Some(150), 100, 100), (Some(150), 0, 0)], 100, false),
        (vec![(None, 100, 100), (None, 50, 50)], 150, true),
        (vec![(None, 100, 100), (None, 50, 49)], 149, false),
    ] {
        assert_eq!(read(&pages, ids).1, whole, "{pages:?}");
    }
}

#[test]
fn pages_that_repeat_themselves_end_a_counted_listing_as_an_error() {
    let (mut pages, nothing) = (CountedPages::new(100), PageCounts::default());
    assert_eq!(pages.more(nothing, 100, 100), Ok(true));
    assert!(pages.more(nothing, 100, 0).is_err() && pages.repeats());
}

#[test]
fn a_guid_is_itself_and_every_other_id_is_told_apart() {
    assert_eq!(short("00000000-0000-0000-0000-0000000000ff"), 255);
    assert_ne!(short("ff"), short("0ff"));
}

#[test]
fn a_link_to_a_smaller_page_differs_in_its_size_only() {
    assert_eq!(
        sized("/v1.0/users?$select=id&$top=100", "$top", 50),
        "/v1.0/users?$select=id&$top=50"
    );
    assert_eq!(
        sized("/v1.0/users?%24top=100&%24skiptoken=a%3D", "$top", 7),
        "/v1.0/users?%24top=7&%24skiptoken=a%3D"
    );
    assert_eq!(sized("/v1.0/users?$skiptoken=x", "$top", 7), "/v1.0/users?$skiptoken=x");
    assert_eq!(sized("/v1.0/users", "$top", 7), "/v1.0/users");
}
