//! How calls to JumpCloud are made: with an administrator's API key in every call, and with the
//! organization if the administrator has several.

use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};

use super::{CATALOG, JumpCloud, errors::judge};
use crate::provider::prelude::*;

/// Where an organization is (jumpcloud.com, "JumpCloud API": each region has its own console).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Region {
    /// The United States, which is the first region.
    Us,
    /// The European Union.
    Eu,
    /// India.
    India,
}

impl Region {
    /// Returns the base address of the region.
    #[must_use]
    pub const fn base(self) -> &'static str {
        match self {
            Self::Us => "https://console.jumpcloud.com",
            Self::Eu => "https://console.eu.jumpcloud.com",
            Self::India => "https://console.in.jumpcloud.com",
        }
    }
}

/// A JumpCloud organization, as the settings name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tenant {
    /// Id of the organization. It is empty if the administrator has only one.
    pub organization: String,
    /// Scheme, host, port and a path prefix if any, without a trailing slash. Calls go to
    /// `<base>/api/...`.
    pub base: String,
    /// Whether the directory of an externally managed user is the user's master.
    pub mastered: bool,
    /// Whether an active account that is created without a password is staged.
    pub stages: bool,
}

impl Destination for Tenant {
    fn tenant(&self) -> String {
        format!("{} {}", self.base, self.organization)
    }

    fn keys(&self) -> Keys {
        Keys { required: &["apiKey"], optional: &[] }
    }

    fn catalog(&self) -> &'static Catalog {
        &CATALOG
    }

    fn connect(&self, mut credential: Credential, hooks: Hooks, pacer: Arc<Pacer>) -> Connected {
        Ok(Box::new(JumpCloud::new(self.clone(), &credential.required("apiKey"), hooks, pacer)?))
    }
}

/// One key at one organization.
#[derive(Debug)]
pub(super) struct JumpCloudDialect {
    pub(super) tenant: Tenant,
    /// The key is marked as sensitive, so that it is not printed.
    headers: HeaderMap,
}

impl JumpCloudDialect {
    /// Returns the dialect for this key.
    ///
    /// # Errors
    /// [`Error::Unauthorized`] if the key cannot be valid. The error has nothing of it.
    pub(super) fn new(tenant: Tenant, key: &Secret) -> Result<Self, Error> {
        let header = |text: &str, said: &str| {
            HeaderValue::from_str(text).map_err(|_| Error::unauthorized(said))
        };
        let no_key =
            "apiKey: this is no JumpCloud API key, which is one line of letters and digits";
        let key = Some(key.expose().trim()).filter(|key| !key.is_empty()).unwrap_or("\n");
        let mut key = header(key, no_key)?;
        key.set_sensitive(true);
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert("x-api-key", key);
        if !tenant.organization.is_empty() {
            let organization = header(&tenant.organization, "organizationId: this is no id")?;
            headers.insert("x-org-id", organization);
        }
        Ok(Self { tenant, headers })
    }
}

impl Dialect for JumpCloudDialect {
    fn base(&self) -> &str {
        &self.tenant.base
    }

    fn has_tokens(&self) -> bool {
        false
    }

    /// Adds the headers. Every call says that it is about JSON, also a read (docs.jumpcloud.com,
    /// the samples of API v1).
    fn authorise(&self, request: RequestBuilder, _: Option<&Token>) -> RequestBuilder {
        request.headers(self.headers.clone())
    }

    fn judge(&self, route: Route, answer: &Answer, sent: Sent<'_>) -> Result<(), Error> {
        judge(route, answer, sent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_one_line_and_never_told() {
        let tenant = Tenant {
            base: Region::Eu.base().to_owned(),
            organization: "5f0c".to_owned(),
            stages: false,
            mastered: true,
        };
        let dialect =
            JumpCloudDialect::new(tenant.clone(), &Secret::new("secret-key-1\n")).unwrap();
        let header = |name: &str| dialect.headers[name].to_str().unwrap();
        assert_eq!((header("x-api-key"), header("x-org-id")), ("secret-key-1", "5f0c"));
        assert!(!format!("{dialect:?} {:?}", dialect.headers).contains("secret-key-1"));
        for bad in ["", " \n", "two\nlines"] {
            let refused = JumpCloudDialect::new(tenant.clone(), &Secret::new(bad)).unwrap_err();
            assert!(
                matches!(&refused, Error::Unauthorized { said } if !said.contains("lines")),
                "{refused:?}"
            );
        }
    }
}
