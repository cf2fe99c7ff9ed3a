//! Mappings, writes and answers for the tests of the provider folders.

use bytes::Bytes;
use reqwest::{StatusCode, header::HeaderMap};

use crate::{
    domain::{
        account::{AccountWrite, NewValue},
        employee::Fields,
        mapping::{Compare, Mapping, Row, Source},
    },
    http::client::Answer,
};

/// Returns a mapping of these targets. The first one is the e-mail; `username` is the row of the
/// username.
pub(super) fn mapping(targets: &[&str], username: usize) -> Mapping {
    let row = |target: &&str| Row {
        target: (*target).into(),
        source: Source::Field(0),
        on_create_only: false,
        compare: Compare::Exact,
        required: false,
    };
    Mapping {
        address: None,
        rows: targets.iter().map(row).collect(),
        fields: Fields::default(),
        email: 0,
        username,
        manager: None,
    }
}

/// Returns a write of these values, in row order. `None` clears.
pub(super) fn write(values: &[Option<&str>]) -> AccountWrite {
    let value =
        |text: Option<&str>| text.map_or(NewValue::Clear, |text| NewValue::Set(text.into()));
    AccountWrite {
        attributes: values.iter().copied().map(value).enumerate().collect(),
        ..AccountWrite::default()
    }
}

/// Returns an answer with this body.
pub(super) fn answer(status: u16, media_type: &str, body: impl Into<Bytes>) -> Answer {
    let mut headers = HeaderMap::new();
    headers.insert("content-type", media_type.parse().unwrap());
    Answer { status: StatusCode::from_u16(status).unwrap(), headers, body: body.into() }
}
