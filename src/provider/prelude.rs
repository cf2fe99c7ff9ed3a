//! The vocabulary in which the provider folders are written.

pub(super) use std::{borrow::Cow, sync::Arc, time::Duration};

pub(super) use reqwest::{Method, RequestBuilder};
pub(super) use serde::Deserialize;
pub(super) use serde_json::{Map, Value, json};

pub(super) use super::{
    Capabilities, Catalog, ChangeAtFirstLogin, Connected, Credential, Destination, Error, Initial,
    Key, Keys, LeftUndone, Listing, NewPassword, Phrases, TokenFile, Written,
    answers::{
        ERROR_BODY, Password, Purpose, Route, Sent, by_status, clamp_wait, error_body, field,
        keep_those_with, oauth_error, repeatable, request_id, retry_after, searched, text_of,
        unless_gone, unreadable,
    },
    assertion::{Algorithm, SigningKey, asserted, now, unique, without_byte_order_mark},
    call::{Call, Dialect, Hooks, Judged, Service},
    directory::{AccountChange, Directory, FoundAccounts, New, Of, One, Sink},
    json::{Object, scalar, text as json_text},
    lane::{Batch, BatchRequest, Lane},
    limits::{Pacer, Ticket},
    links::Address,
    listing::{CountedPages, Lister, PageCounts, nameless, path_of_link, short, sized},
    passwords::{First, is_crypt},
    reader::{UserReader, as_sent},
    remembered::{Facts, Remembered, Whose, undefined_in},
    rules::{Means, Refusal, Rule, STATUS},
    table::{Array, At, Field, Form, Place, Table, TableHooks, number},
    token::{GrantedToken, Token},
    tries::settled,
    writer,
    writer::{
        Members, Own, attributes, needs_foreign, nothing, object, places, state_of, with_foreign,
    },
};
pub(super) use crate::{
    domain::{
        account::{Access, Account, AccountPhase, AccountState, AccountWrite, NewValue, Occasion},
        mapping::{Compare, Mapping},
        priority::Urgency,
    },
    http::{
        client::{Answer, Client, encoded, form},
        secret::Secret,
    },
};
