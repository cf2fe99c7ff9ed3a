//! The address of the calls, and links to the next page, which are whole addresses.

use reqwest::Url;

use super::{Error, answers::unreadable};

/// The address of the calls: scheme, host and port, and a path prefix that is part of each path.
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

    /// Returns the path and query of a link to the next page. The link leads to this address, or to
    /// the `vendor`'s own origin, if there is one.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the link leads to another address.
    pub(super) fn next(&self, link: &str, vendor: Option<&str>) -> Result<String, Error> {
        let relative = || {
            let url = Url::parse(link).ok()?;
            let query = url.query().map_or_else(String::new, |query| format!("?{query}"));
            let origin = url.origin().ascii_serialization();
            if origin == self.origin {
                Some(format!("{}{query}", url.path()))
            } else if Some(&*origin) == vendor {
                Some(format!("{}{query}", self.path(url.path())))
            } else {
                None
            }
        };
        relative().ok_or_else(|| {
            unreadable(
                "the next page of the listing is said to be at another address, which is not \
                 called",
            )
        })
    }
}
