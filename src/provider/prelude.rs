//! The vocabulary in which the provider folders are written.

pub(super) use std::{borrow::Cow, sync::Arc, time::Duration};

pub(super) use reqwest::{Method, RequestBuilder};
pub(super) use serde::Deserialize;
pub(super) use serde_json::{Map, Value, json};

pub(super) use super::{
    Capabilities, Catalog, ChangeAtFirstLogin, Connected, Credential, Destination, Error, Initial,
    InitialPassword, Key, Keys, Left, Listing, Phrases, TokenFile, Written,
    answers::{
        ERROR_BODY, Password, Purpose, Route, Sent, believed, error_body, field, keep_those_with,
        oauth_error, repeatable, request_id, retry_after, searched, text_of, unless_gone,
        unreadable, without_words,
    },
    assertion::{Algorithm, SigningKey, asserted, now, unique, without_byte_order_mark},
    call::{Call, CallHooks, Dialect, Judged, Service},
    directory::{Change, Directory, Found, New, Of, One, Sink},
    json::{Object, scalar, text as json_text},
    lane::{Batch, Lane, Request},
    limits::{Pacer, Ticket},
    links::Address,
    listing::{Counted, Counts, Lister, nameless, path_of_link, short, sized},
    passwords::{First, is_crypt},
    reader::{Reader, as_sent},
    remembered::{Facts, Remembered, Whose, undefined_in},
    rules::{Means, Refusal, Rule, STATUS},
    table::{Array, At, Field, Form, Hooks, Place, Table, number},
    token::{Granted, Token},
    tries::settled,
    writer,
    writer::{
        Members, Own, attributes, needs_foreign, nothing, object, places, state_of, with_foreign,
    },
};
pub(super) use crate::{
    domain::{
        account::{Access, Account, AccountState, AccountWrite, NewValue, Occasion, Phase},
        mapping::{Compare, Mapping},
        priority::Urgency,
    },
    http::{
        client::{Answer, Client, encoded, form},
        secret::Secret,
    },
};
