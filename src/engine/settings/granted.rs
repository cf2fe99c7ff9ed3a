//! What the operator of the controller grants the integrations.

use std::path::Path;

use super::endpoints::AllowedEndpoints;
use crate::provider::{Identity, TokenFile};

/// What the operator grants.
#[derive(Debug, Default)]
pub struct Granted {
    /// Base addresses in place of the vendors' addresses.
    pub endpoints: AllowedEndpoints,
    token: Option<TokenFile>,
    /// The namespaces whose integrations may authenticate with the token. Every integration names
    /// an app by itself. So without this list each namespace could use the apps of all others.
    trusted: Vec<String>,
}

impl Granted {
    /// Returns these grants. An empty path names no file.
    #[must_use]
    pub fn new(endpoints: AllowedEndpoints, token: Option<&Path>, trusted: Vec<String>) -> Self {
        let token = token.filter(|path| !path.as_os_str().is_empty()).map(TokenFile::new);
        Self { endpoints, token, trusted }
    }

    /// Returns whether the integrations of a namespace may authenticate as the controller.
    #[must_use]
    pub fn identity(&self, namespace: &str) -> Identity {
        match &self.token {
            None => Identity::default(),
            Some(token) if self.trusted.iter().any(|trusted| trusted == namespace) => {
                Identity::Token(token.clone())
            }
            Some(_) => Identity::Absent(format!(
                "the controller was started without --federated-namespace {namespace}"
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_integrations_of_named_namespaces_are_the_controller() {
        let granted = |path: &str, trusted: &[&str]| {
            let trusted = trusted.iter().map(ToString::to_string).collect();
            Granted::new(AllowedEndpoints::default(), Some(Path::new(path)), trusted)
        };
        let token = Identity::Token(TokenFile::new(Path::new("/token")));
        let some = granted("/token", &["people", "school"]);
        assert_eq!([some.identity("people"), some.identity("school")], [token.clone(), token]);
        for refused in [some.identity("peo"), granted("/token", &[]).identity("peo")] {
            let Identity::Absent(why) = &refused else { panic!("{refused:?}") };
            assert!(why.contains("--federated-namespace peo"), "{why}");
        }
        for none in [Granted::default(), granted("", &["people"])] {
            assert_eq!(none.identity("people"), Identity::default());
        }
    }
}
