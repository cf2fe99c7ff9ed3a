//! The address of the calls, if a path prefix may be part of it.

use reqwest::Url;

/// Scheme, host and port, and a path prefix that is part of each path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Address {
    pub(super) origin: String,
    pub(super) prefix: String,
}

impl Address {
    /// Reads a base address without a trailing slash.
    pub(super) fn of(base: &str) -> Self {
        match Url::parse(base) {
            Ok(url) => Self {
                origin: url.origin().ascii_serialization(),
                prefix: url.path().trim_end_matches('/').to_owned(),
            },
            // The first call reports that this is not an address.
            Err(_) => Self { origin: base.to_owned(), prefix: String::new() },
        }
    }

    /// Returns the path of a call.
    pub(super) fn path(&self, below: &str) -> String {
        format!("{}{below}", self.prefix)
    }
}
