//! How calls to a SCIM server are made: with a bearer token, with a user name and a password, or
//! with tokens for a client's id and secret.

use std::sync::atomic::{AtomicBool, Ordering};

use super::{CATALOG, MarkPlace, ScimServer, errors::judge};
use crate::provider::prelude::*;

/// The media type of SCIM (RFC 7644, 3.1). Servers may also answer `application/json`.
const ACCEPT: &str = "application/scim+json, application/json;q=0.9";
const CONTENT: &str = "application/scim+json";

/// How long a token is good if the answer does not say: RFC 6749 names no time.
const USUAL: Duration = Duration::from_secs(3600);

/// Which calls change accounts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpdateMethod {
    /// PATCH, unless the server says that it has none.
    Auto,
    /// PATCH.
    Patch,
    /// PUT.
    Put,
}

/// A SCIM server, as the settings name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tenant {
    /// Which calls change accounts.
    pub updates: UpdateMethod,
    /// Where the mark is written.
    pub mark: MarkPlace,
    /// The SCIM base URL without a trailing slash. Calls go to `<base>/Users`.
    pub base: String,
    /// The whole URL of the token service, or nothing.
    pub tokens: String,
    /// The scope that a token is asked for with, or nothing.
    pub scope: String,
}

impl Destination for Tenant {
    fn keys(&self) -> Keys {
        Keys {
            required: &[],
            optional: &["token", "username", "password", "clientId", "clientSecret"],
        }
    }

    /// Returns the address, which is all that tells one server from another.
    fn tenant(&self) -> String {
        self.base.clone()
    }

    fn connect(&self, credential: Credential, hooks: Hooks, pacer: Arc<Pacer>) -> Connected {
        let way = Way::read(credential, !self.tokens.is_empty())?;
        Ok(Box::new(ScimServer::new(self.clone(), way, hooks, pacer)?))
    }

    fn catalog(&self) -> &'static Catalog {
        &CATALOG
    }

    fn reserved(&self) -> Option<&str> {
        Some(self.mark.attribute())
    }
}

/// How calls are authorised.
#[derive(Debug)]
pub enum Way {
    /// A token that does not change.
    Bearer(Secret),
    /// A user name and a password (RFC 7617).
    Basic(String, Secret),
    /// Tokens for the id and the secret of a client (RFC 6749, 4.4).
    Client(String, Secret),
}

const WAYS: &str = "token; or username and password; or clientId and clientSecret";

impl Way {
    /// Reads the keys of the Secret. `tokens` says whether the settings name a token service.
    ///
    /// # Errors
    /// [`Error::Misconfigured`] if the keys are not those of one way, [`Error::Unauthorized`] if a
    /// value cannot be a credential. The error has nothing of their content.
    pub fn read(mut credential: Credential, tokens: bool) -> Result<Self, Error> {
        let wrong = |said: String| Error::Misconfigured { said };
        let mut given = |key: &'static str| {
            let value = credential.take(key)?;
            let text = without_byte_order_mark(value.expose()).trim();
            (!text.is_empty()).then(|| Secret::new(text))
        };
        let token = given("token");
        let basic = (given("username"), given("password"));
        let client = (given("clientId"), given("clientSecret"));
        let half = |there: &str, missing: &str| wrong(format!("{there} also needs {missing}"));
        let is_client = client.0.is_some() || client.1.is_some();
        let way = match (token, basic, client) {
            (Some(token), (None, None), (None, None)) => Ok(Self::Bearer(token)),
            (None, (Some(name), Some(password)), (None, None)) => {
                Ok(Self::Basic(name.expose().to_owned(), password))
            }
            (None, (None, None), (Some(id), Some(secret))) => {
                Ok(Self::Client(id.expose().to_owned(), secret))
            }
            (None, (Some(_), None), (None, None)) => Err(half("username", "password")),
            (None, (None, Some(_)), (None, None)) => Err(half("password", "username")),
            (None, (None, None), (Some(_), None)) => Err(half("clientId", "clientSecret")),
            (None, (None, None), (None, Some(_))) => Err(half("clientSecret", "clientId")),
            (None, (None, None), (None, None)) => {
                Err(wrong(format!("the Secret has no credential: set {WAYS}")))
            }
            _ => Err(wrong(format!("the Secret has more than one credential: keep one of {WAYS}"))),
        }?;
        if is_client != tokens {
            return Err(wrong(
                "clientId and clientSecret belong to tokenEndpoint: set all three, or none of them"
                    .to_owned(),
            ));
        }
        way.check()?;
        Ok(way)
    }

    /// Refuses what no header can hold.
    fn check(&self) -> Result<(), Error> {
        let refuse = |said: &str| Err(Error::Unauthorized { said: said.to_owned() });
        let printable = |text: &str| !text.chars().any(char::is_control);
        match self {
            Self::Bearer(token) if !token.expose().bytes().all(|b| b.is_ascii_graphic()) => {
                refuse("token: this is no bearer token, which is one word of ASCII characters")
            }
            Self::Basic(name, password)
                if name.contains(':') || !printable(name) || !printable(password.expose()) =>
            {
                refuse("username and password: each is one line, and a user name has no colon")
            }
            Self::Client(id, secret) if !printable(id) || !printable(secret.expose()) => {
                refuse("clientId and clientSecret: each is one line")
            }
            _ => Ok(()),
        }
    }
}

/// One credential at one server.
#[derive(Debug)]
pub(super) struct ScimDialect {
    pub(super) tenant: Tenant,
    way: Way,
    /// Whether the server has said that it has no PATCH.
    patchless: AtomicBool,
}

impl ScimDialect {
    pub(super) const fn new(tenant: Tenant, way: Way) -> Self {
        Self { tenant, way, patchless: AtomicBool::new(false) }
    }

    /// Returns whether the server has answered a PATCH as a call that it does not have.
    pub(super) fn is_patchless(&self) -> bool {
        self.patchless.load(Ordering::Relaxed)
    }
}

impl Dialect for ScimDialect {
    fn base(&self) -> &str {
        &self.tenant.base
    }

    fn media_types(&self) -> (&'static str, &'static str) {
        (ACCEPT, CONTENT)
    }

    fn has_tokens(&self) -> bool {
        matches!(self.way, Way::Client(..))
    }

    /// The client authenticates by Basic, which every token service has to support (RFC 6749,
    /// 2.3.1).
    fn ask_for_a_token(&self, http: &Client) -> Result<(RequestBuilder, Sent<'_>), Error> {
        let Way::Client(id, secret) = &self.way else {
            return Err(Error::Unavailable { said: "this credential needs no token".to_owned() });
        };
        let mut pairs = vec![("grant_type", "client_credentials")];
        if !self.tenant.scope.is_empty() {
            pairs.push(("scope", &self.tenant.scope));
        }
        let request = http.request(Method::POST, &self.tenant.tokens);
        let request = request.basic_auth(in_form(id), Some(in_form(secret.expose())));
        Ok((form(request, &pairs), Sent::Credential(id, secret.expose())))
    }

    fn granted(&self, body: &[u8]) -> Option<GrantedToken> {
        GrantedToken::read(body, USUAL)
    }

    fn authorise(&self, request: RequestBuilder, token: Option<&Token>) -> RequestBuilder {
        match (&self.way, token) {
            (Way::Bearer(token), _) => request.bearer_auth(token.expose()),
            (Way::Basic(name, password), _) => request.basic_auth(name, Some(password.expose())),
            (Way::Client(..), Some(token)) => request.bearer_auth(token.text.expose()),
            (Way::Client(..), None) => request,
        }
    }

    fn judge(&self, route: Route, answer: &Answer, sent: Sent<'_>) -> Result<(), Error> {
        if route == Route::UPDATE && matches!(answer.status.as_u16(), 405 | 501) {
            self.patchless.store(true, Ordering::Relaxed);
        }
        judge(route, answer, sent, self.tenant.mark)
    }

    /// Slows down after a refusal for the number of calls that names no time.
    fn learn(&self, answer: &Answer, ticket: &Ticket<'_>) {
        if matches!(answer.status.as_u16(), 429 | 503) && retry_after(answer).is_none() {
            ticket.slow_down();
        }
    }
}

/// Returns a text as an HTML form has it.
fn in_form(text: &str) -> String {
    encoded(text).replace("%20", "+").replace('@', "%40").replace('~', "%7E")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn read(keys: &[(&str, &str)], tokens: bool) -> Result<Way, Error> {
        let values = keys.iter().map(|(key, value)| ((*key).to_owned(), Secret::new(*value)));
        Way::read(Credential::new(values.collect::<BTreeMap<_, _>>()), tokens)
    }

    #[test]
    fn a_secret_has_the_keys_of_one_way() {
        assert!(
            matches!(read(&[("token", " t-1\n")], false), Ok(Way::Bearer(t)) if t.expose() == "t-1")
        );
        assert!(matches!(read(&[("username", "u"), ("password", "p")], false), Ok(Way::Basic(..))));
        let client = [("clientId", "c"), ("clientSecret", "s")];
        assert!(matches!(read(&client, true), Ok(Way::Client(..))));
        for (keys, tokens, says) in [
            (&[][..], false, "no credential"),
            (&[("token", "  ")], false, "no credential"),
            (&[("token", "t"), ("username", "u"), ("password", "p")], false, "more than one"),
            (&[("token", "t"), ("clientId", "c")], false, "more than one"),
            (&[("token", "t")], true, "tokenEndpoint"),
            (&client, false, "tokenEndpoint"),
            (&[("username", "u")], false, "username also needs password"),
            (&[("password", "p")], false, "password also needs username"),
            (&[("clientId", "c")], true, "clientId also needs clientSecret"),
            (&[("clientSecret", "c")], true, "clientSecret also needs clientId"),
        ] {
            let error = read(keys, tokens).unwrap_err();
            let Error::Misconfigured { said } = &error else { panic!("{keys:?}: {error:?}") };
            assert!(said.contains(says), "{keys:?}: {said}");
        }
    }

    #[test]
    fn a_value_that_no_header_can_hold_is_no_credential_and_never_told() {
        for keys in [
            &[("token", "swordfish\nfish")][..],
            &[("token", "sword fish")],
            &[("username", "sword:fish"), ("password", "p")],
            &[("username", "u"), ("password", "sword\nfish")],
        ] {
            let error = read(keys, false).unwrap_err();
            assert!(matches!(error, Error::Unauthorized { .. }), "{error:?}");
            assert!(!format!("{error:?}").contains("fish"), "{error:?}");
        }
        assert!(!format!("{:?}", read(&[("token", "swordfish")], false)).contains("fish"));
    }
}
