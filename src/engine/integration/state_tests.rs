use proptest::prelude::*;

use super::*;

const NOW: Timestamp = Timestamp::constant(1_800_000_000, 0);

fn in_seconds(seconds: i64) -> Timestamp {
    NOW + SignedDuration::from_secs(seconds)
}

/// Returns the times after a pass a minute ago: the next one is due in nine minutes, and the
/// Secrets in ten seconds.
fn times() -> Times {
    Times {
        interval: Some(in_seconds(540)),
        retry: None,
        secrets: Some(in_seconds(10)),
        tried: Some(in_seconds(-60)),
    }
}

fn stopped(reason: IntegrationReason) -> Stop {
    Stop::new(reason, "")
}

fn waiting(reason: IntegrationReason) -> State<u8> {
    State::Waiting(Obstacle { reason, met: true }, WorksWith::Listed(1))
}

/// Reasons with which a pass can stop.
const TROUBLES: [IntegrationReason; 12] = [
    IntegrationReason::ClusterUnavailable,
    IntegrationReason::BobUnavailable,
    IntegrationReason::ProviderUnavailable,
    IntegrationReason::SourceSuspect,
    IntegrationReason::TargetSuspect,
    IntegrationReason::SecretNotFound,
    IntegrationReason::BobUnauthorized,
    IntegrationReason::BobForbidden,
    IntegrationReason::ProviderUnauthorized,
    IntegrationReason::ProviderForbidden,
    IntegrationReason::InvalidSettings,
    IntegrationReason::EndpointNotAllowed,
];

#[test]
fn after_every_trouble_there_is_a_next_try_and_only_a_refused_service_user_waits_longer() {
    for reason in TROUBLES {
        for failures in 1..60 {
            let wait = wait(Some(&stopped(reason)), failures, SignedDuration::from_hours(24));
            let most = if reason == IntegrationReason::BobUnauthorized {
                SignedDuration::from_hours(1)
            } else {
                LONGEST
            };
            assert!(wait > SignedDuration::ZERO && wait <= most, "{reason} {failures}: {wait:?}");
            let times = Times { retry: Some(NOW + wait), ..times() };
            let state = waiting(reason);
            assert_eq!(
                next(&state, &times, &Unseen::default(), NOW + wait),
                if wait >= SignedDuration::from_secs(10) {
                    Wake::Secrets
                } else {
                    Wake::Pass(Trigger::Retry)
                }
            );
            let times = Times { secrets: None, ..times };
            assert_eq!(
                next(&state, &times, &Unseen::default(), NOW),
                Wake::At(NOW + wait),
                "{reason}"
            );
            assert_eq!(
                next(&state, &times, &Unseen::default(), NOW + wait),
                Wake::Pass(Trigger::Retry),
                "{reason}"
            );
        }
    }
}

#[test]
fn waits_double_up_to_the_interval_and_start_short_where_a_new_secret_may_not_be_known_yet() {
    let seconds = |reason, interval: i64| -> Vec<i64> {
        (1..8)
            .map(|failures| {
                wait(Some(&stopped(reason)), failures, SignedDuration::from_secs(interval))
                    .as_secs()
            })
            .collect()
    };
    assert_eq!(seconds(IntegrationReason::BobUnavailable, 600), [10, 20, 40, 80, 160, 320, 600]);
    assert_eq!(seconds(IntegrationReason::ProviderForbidden, 60), [10, 20, 40, 60, 60, 60, 60]);
    assert_eq!(
        seconds(IntegrationReason::ProviderUnauthorized, 60),
        [5, 10, 20, 40, 60, 60, 60],
        "three refusals of a new secret are over after 35 s"
    );
    assert_eq!(
        seconds(IntegrationReason::InvalidSettings, 60),
        [900; 7],
        "nothing changes by itself but the flags of another process"
    );
    assert_eq!(
        seconds(IntegrationReason::BobUnauthorized, 60),
        [3600; 7],
        "Bob blocks addresses that keep trying"
    );
    assert_eq!(
        wait(None, 1, SignedDuration::from_mins(10)).as_secs(),
        10,
        "a pass that left something undone"
    );
}

#[test]
fn a_time_that_a_service_names_is_the_wait_and_no_failure() {
    for named in [1, 7, 60, 3600] {
        for reason in [IntegrationReason::BobUnavailable, IntegrationReason::ProviderUnavailable] {
            let stop = stopped(reason).after(Some(Duration::from_secs(named)));
            for failures in [1, 5, 40] {
                assert_eq!(
                    wait(Some(&stop), failures, SignedDuration::from_mins(1)),
                    SignedDuration::from_secs(i64::try_from(named).unwrap())
                );
            }
            assert!(
                !is_failure(Some(&stop)) && is_failure(Some(&stopped(reason))) && is_failure(None)
            );
        }
    }
}

#[test]
fn a_changed_spec_and_a_request_come_at_once_in_every_state() {
    let states = TROUBLES.map(waiting).into_iter().chain([
        State::Starting(WorksWith::Nothing),
        State::Running(1),
        State::Suspended,
    ]);
    for state in states {
        let spec = Unseen { spec: Some(Trigger::Spec), ..Unseen::default() };
        assert_eq!(next(&state, &times(), &spec, NOW), Wake::Pass(Trigger::Spec), "{state:?}");
        let asked = Unseen { asked: true, ..Unseen::default() };
        assert_eq!(next(&state, &times(), &asked, NOW), Wake::Pass(Trigger::Manual), "{state:?}");
    }
}

#[test]
fn secrets_are_looked_at_in_every_trouble_and_a_suspended_integration_does_nothing_by_itself() {
    for state in TROUBLES.map(waiting) {
        assert_eq!(
            next(&state, &times(), &Unseen::default(), in_seconds(10)),
            Wake::Secrets,
            "{state:?}"
        );
    }
    let all = Times { interval: Some(NOW), retry: Some(NOW), secrets: Some(NOW), tried: Some(NOW) };
    let news = Unseen {
        everybody: Some(Trigger::Webhook),
        asked_for_one: true,
        webhooks: true,
        ..Unseen::default()
    };
    assert_eq!(next(&State::<u8>::Suspended, &all, &news, in_seconds(1000)), Wake::Never);
}

#[test]
fn events_wait_for_the_next_try_and_a_request_brings_it_nearer_if_a_credential_is_refused() {
    let everybody = Unseen { everybody: Some(Trigger::Webhook), ..Unseen::default() };
    assert_eq!(next(&State::Running(1), &times(), &everybody, NOW), Wake::Pass(Trigger::Webhook));
    let times = Times { retry: Some(in_seconds(500)), secrets: None, ..times() };
    for state in TROUBLES.map(waiting) {
        assert_eq!(next(&state, &times, &everybody, NOW), Wake::At(in_seconds(500)), "{state:?}");
        let State::Waiting(trouble, _) = state else { unreachable!() };
        let one = Unseen { asked_for_one: true, ..Unseen::default() };
        let soon = if refuses(trouble.reason) {
            Wake::Pass(Trigger::Retry)
        } else {
            Wake::At(in_seconds(500))
        };
        assert_eq!(next(&state, &times, &one, NOW), soon, "{state:?}");
        let just_tried = Times { tried: Some(NOW), ..times };
        let later = if refuses(trouble.reason) { in_seconds(5) } else { in_seconds(500) };
        assert_eq!(
            next(&state, &just_tried, &one, NOW),
            Wake::At(later),
            "requests in a row are no knocking"
        );
    }
}

#[test]
fn a_refusal_that_only_single_people_met_is_looked_at_soon_and_while_bob_refuses_it_is_no_news() {
    let mut state = State::Running(1);
    state.refuse(IntegrationReason::ProviderUnauthorized);
    assert_eq!(next(&state, &times(), &Unseen::default(), NOW), Wake::Pass(Trigger::Retry));
    state.stop(IntegrationReason::ProviderUnauthorized, false);
    assert_ne!(
        next(&state, &times(), &Unseen::default(), NOW),
        Wake::Pass(Trigger::Retry),
        "it has been met, and waits for its time"
    );
    let mut state = waiting(IntegrationReason::BobUnauthorized);
    state.refuse(IntegrationReason::ProviderUnauthorized);
    assert_eq!(
        state,
        waiting(IntegrationReason::BobUnauthorized),
        "Bob is not asked because the provider refuses"
    );
}

#[test]
fn who_is_served_in_which_state() {
    use IntegrationReason as Why;
    let serves = |state: State<u8>| (state.serves(Urgency::Urgent), state.serves(Urgency::Normal));
    assert_eq!(serves(State::Starting(WorksWith::Nothing)), (Serves::NoOne, Serves::NoOne));
    assert_eq!(
        serves(State::Starting(WorksWith::Open(1))),
        (Serves::Known(1), Serves::NoOne),
        "a leaver does not wait for a listing"
    );
    assert_eq!(serves(State::Running(1)), (Serves::Everyone(1), Serves::Everyone(1)));
    assert_eq!(serves(State::Suspended), (Serves::Suspended, Serves::Suspended));
    for reason in
        [Why::BobUnauthorized, Why::SecretNotFound, Why::InvalidSettings, Why::EndpointNotAllowed]
    {
        assert_eq!(serves(waiting(reason)), (Serves::Evidence(1), Serves::NoOne), "{reason}");
    }
    assert_eq!(serves(waiting(Why::ProviderUnauthorized)), (Serves::NoOne, Serves::NoOne));
    for reason in [
        Why::BobUnavailable,
        Why::ProviderUnavailable,
        Why::SourceSuspect,
        Why::TargetSuspect,
        Why::BobForbidden,
        Why::ProviderForbidden,
    ] {
        assert_eq!(serves(waiting(reason)), (Serves::Everyone(1), Serves::Everyone(1)), "{reason}");
        let unlisted = State::Waiting(Obstacle { reason, met: true }, WorksWith::Open(1));
        assert_eq!(serves(unlisted), (Serves::Known(1), Serves::NoOne), "{reason}");
    }
}

#[test]
fn connections_that_a_new_secret_opened_take_the_place_of_older_ones_in_every_state() {
    let opened = |mut state: State<u8>| {
        state.open(2);
        state
    };
    assert_eq!(opened(State::Starting(WorksWith::Nothing)), State::Starting(WorksWith::Open(2)));
    assert_eq!(opened(State::Starting(WorksWith::Open(1))), State::Starting(WorksWith::Open(2)));
    assert_eq!(opened(State::Running(1)), State::Running(2));
    for reason in TROUBLES {
        let State::Waiting(trouble, _) = waiting(reason) else { unreachable!() };
        assert_eq!(
            opened(waiting(reason)),
            State::Waiting(trouble, WorksWith::Listed(2)),
            "{reason}: what was listed stays so"
        );
        assert_eq!(
            opened(State::Waiting(trouble, WorksWith::Open(1))),
            State::Waiting(trouble, WorksWith::Open(2)),
            "{reason}"
        );
    }
    assert_eq!(opened(State::Suspended), State::Suspended);
}

#[test]
fn a_stop_after_everybody_was_looked_at_keeps_no_one_waiting_unless_the_credential_is_refused() {
    for reason in TROUBLES {
        let mut state = State::Running(1);
        state.stop(reason, true);
        assert_eq!(state == State::Running(1), !refuses(reason), "{reason}");
        let mut state = State::Running(1);
        state.stop(reason, false);
        assert_eq!(state, waiting(reason));
        state.come_through();
        assert_eq!(state, State::Running(1));
    }
}

#[test]
fn a_pass_whose_time_was_over_goes_on_at_once_and_is_no_failure() {
    let interval = SignedDuration::from_mins(10);
    assert_eq!(again(None, Some(Cut::Deadline), 3, interval), (0, SignedDuration::ZERO));
    assert_eq!(again(None, Some(Cut::Halted), 3, interval), (0, RETRY));
    assert_eq!(again(None, Some(Cut::Unrecorded), 1, interval), (2, RETRY * 2));
    assert_eq!(again(None, None, 1, interval), (2, RETRY * 2), "something else was left undone");
    let stop = stopped(IntegrationReason::ProviderUnavailable);
    assert_eq!(again(Some(&stop), Some(Cut::Deadline), 0, interval), (1, RETRY));
}

/// The events that can change a state.
#[derive(Clone, Copy, Debug)]
enum Event {
    Begin(bool),
    Open,
    List,
    Stop(usize, bool),
    Refuse(usize),
    Through,
    Suspend,
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let event = prop_oneof![
        any::<bool>().prop_map(Event::Begin),
        Just(Event::Open),
        Just(Event::List),
        (0..TROUBLES.len(), any::<bool>()).prop_map(|(reason, looked)| Event::Stop(reason, looked)),
        (0..TROUBLES.len()).prop_map(Event::Refuse),
        Just(Event::Through),
        Just(Event::Suspend),
    ];
    proptest::collection::vec(event, 0..12)
}

proptest! {
    /// Whatever happened, an integration that is not suspended always has a next pass within an
    /// hour, and notices a changed Secret.
    #[test]
    fn nothing_stops_for_good(
        events in events(),
        failures in 0..100_u32,
        interval in 60..86_400_i64,
    ) {
        let mut state = State::Starting(WorksWith::Nothing);
        for event in events {
            match event {
                Event::Begin(keep) => state.begin(keep.then_some(1_u8)),
                Event::Open => state.open(2),
                Event::List => state = State::Running(3),
                Event::Stop(reason, looked) => state.stop(TROUBLES[reason], looked),
                Event::Refuse(reason) => state.refuse(TROUBLES[reason]),
                Event::Through => state.come_through(),
                Event::Suspend => state = State::Suspended,
            }
        }
        let interval = SignedDuration::from_secs(interval);
        let reason = match state { State::Waiting(trouble, _) => Some(trouble.reason), _ => None };
        let retry = reason.map(|reason| NOW + wait(Some(&stopped(reason)), failures, interval));
        let times = Times {
            interval: Some(NOW + interval),
            retry,
            secrets: Some(in_seconds(20)),
            tried: Some(NOW),
        };
        let latest = retry.unwrap_or(NOW + interval);
        let woken = next(&state, &times, &Unseen::default(), latest);
        let no_secrets = Times { secrets: None, ..times };
        let without_secrets = next(&state, &no_secrets, &Unseen::default(), latest);
        if state == State::Suspended {
            prop_assert_eq!(woken, Wake::Never);
        } else {
            prop_assert!(matches!(without_secrets, Wake::Pass(_)), "{:?}: {:?}", state,
                without_secrets);
            let soon = next(&state, &times, &Unseen::default(), in_seconds(20));
            prop_assert_eq!(soon, match next(&state, &times, &Unseen::default(), in_seconds(20)) {
                Wake::Pass(trigger) => Wake::Pass(trigger),
                _ => Wake::Secrets,
            });
            prop_assert!(latest <= NOW + interval.max(SignedDuration::from_hours(1)));
        }
    }
}
