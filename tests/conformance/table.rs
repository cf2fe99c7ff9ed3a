//! The table of cases that every provider must pass. A provider's suite names its tenant once and
//! gets them all. A case that is in no table is dead code, and the lint reports it. If the
//! provider's capability table excludes a case, the case prints that it is skipped.

/// Makes a test of each case, with a tenant of its own.
macro_rules! every_provider {
    ($tenant:ty) => {
        $crate::table::table!($tenant, listing: [
            everybody_is_listed_once_as_the_tenant_has_them,
            an_empty_tenant_is_listed_whole,
            a_listing_during_which_accounts_come_or_go_is_not_whole,
            a_later_page_that_fails_is_asked_for_again_and_no_page_before_it,
            a_later_page_that_is_throttled_is_asked_for_when_it_may_be,
            a_page_that_is_too_large_is_asked_for_in_smaller_ones,
            a_target_that_the_tenant_lacks_is_unavailable,
            accounts_are_found_by_id_mark_and_email_with_one_call_each,
            a_wildcard_finds_nobody_and_an_empty_key_is_not_asked_for,
            a_token_that_ends_while_listing_is_renewed,
            the_service_says_which_tenant_it_is_and_is_asked_once_at_most,
        ]);
        $crate::table::table!($tenant, writing: [
            a_new_account_has_what_was_written_and_nothing_else,
            a_new_account_without_access_cannot_be_used,
            only_what_differs_is_written_and_the_rest_stays,
            an_attribute_is_cleared,
            what_we_do_not_own_survives,
            the_mark_goes_on_an_adopted_account,
            a_manager_is_set_and_cleared,
            access_is_taken_and_given_back,
            access_is_taken_and_given_back_from_every_state,
            writing_again_changes_nothing,
            an_email_changes,
            a_default_password_reaches_a_new_account_once,
        ]);
        $crate::table::table!($tenant, values: [
            names_of_the_whole_world_come_back_as_they_were_written,
            what_the_provider_makes_of_blanks_and_case_is_no_difference,
            a_value_that_is_too_long_is_refused_or_kept_whole,
        ]);
        $crate::table::table!($tenant, passes: [
            a_company_is_made_with_its_managers_and_then_nothing_is_written,
            an_account_from_before_is_adopted_once,
            an_account_of_somebody_else_is_a_conflict_and_two_with_one_mark_are_ambiguous,
            what_a_person_changed_is_put_back_and_an_account_that_was_deleted_is_made_anew,
            a_lost_answer_makes_no_second_account_and_no_second_change,
            a_storm_of_refusals_for_their_number_is_waited_out,
            one_refusal_blames_one_person_and_access_goes_all_the_same,
            one_refused_account_of_a_leaver_keeps_no_other_open,
            an_account_that_cannot_be_read_is_told_of_and_no_other_is_made,
            a_value_that_breaks_the_provider_keeps_no_access_open_and_no_other_value_out,
            an_address_that_is_taken_withholds_nothing_else,
            an_administrator_is_recognised_and_never_written,
            an_account_of_another_directory_is_left_to_it,
            what_is_told_of_an_account_after_a_change_is_as_the_tenant_has_it,
        ]);
        $crate::table::table!($tenant, kept: [
            a_value_that_is_kept_in_another_form_is_written_once_until_either_side_changes,
            a_value_that_is_kept_in_another_form_each_time_is_given_up_after_three_writes,
            what_is_set_back_again_and_again_is_contested_and_comes_right_when_the_other_writer_stops,
        ]);
        $crate::table::table!($tenant, addresses: [
            an_account_from_before_is_adopted_whatever_is_not_seen_at_the_ends_of_an_address,
            an_address_at_the_provider_with_unseen_ends_is_the_same_and_set_right,
            an_address_with_an_unseen_character_inside_is_refused_by_its_field_and_stops_nothing_else,
            a_mark_with_unseen_ends_is_the_same_mark,
        ]);
        $crate::table::table!($tenant, words: [
            a_refusal_says_what_is_wrong_and_nothing_of_an_employee,
        ]);
        $crate::table::table!($tenant, refusals: [
            a_taken_email_or_username_is_a_duplicate_and_makes_no_account,
            a_refused_value_names_its_attribute_and_not_the_value,
            no_text_gives_a_value_away,
            an_account_out_of_reach_is_forbidden,
            an_account_whose_read_is_refused_is_not_taken_for_absent,
            a_deleted_account_is_not_found,
            a_deleted_account_is_gone_to_every_call,
            an_attribute_that_is_no_longer_defined_is_refused_once,
            a_read_that_fails_is_unavailable_and_a_write_that_may_have_arrived_is_unknown,
            nothing_reaches_an_address_where_nobody_listens,
            a_throttled_provider_is_left_alone_until_then,
            a_provider_in_trouble_that_names_a_time_is_left_alone_by_what_can_wait,
            what_calls_wait_for_is_told_when_they_begin_to_wait,
            a_closed_gate_lets_no_write_out,
            a_wrong_secret_is_unauthorized_after_few_calls,
            a_credential_that_may_only_read_is_denied_its_writes,
        ]);
    };
}

macro_rules! table {
    ($tenant:ty, $room:ident: [$($case:ident),* $(,)?]) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                $crate::$room::$case(&<$tenant as $crate::tenant::Tenant>::start().await).await;
            }
        )*
    };
}

pub(crate) use {every_provider, table};
