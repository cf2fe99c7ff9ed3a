//! The controller's own identity: a token of its service account, in a file. A provider that trusts
//! the cluster takes this token in place of a secret.

use std::{fs::File, io::Read as _, path::Path, sync::Arc};

use super::Error;
use crate::http::secret::Secret;

/// The most bytes of a file that are read. A token of a service account has about a thousand.
const LONGEST: u64 = 16 * 1024;

/// Whether an integration may authenticate as the controller itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Identity {
    /// It may, with the token in this file.
    Token(TokenFile),
    /// It may not, and the text says why.
    Absent(String),
}

impl Default for Identity {
    fn default() -> Self {
        Self::Absent("the controller was started without --federated-token-file".to_owned())
    }
}

impl Identity {
    /// Returns the file with the token. `instead` says what a Secret may have instead.
    ///
    /// # Errors
    /// [`Error::Unauthorized`] if the integration may not authenticate as the controller.
    pub fn token(self, instead: &str) -> Result<TokenFile, Error> {
        match self {
            Self::Token(file) => Ok(file),
            Self::Absent(why) => Err(Error::unauthorized(format!(
                "{instead}; without them the credential is the token of the controller's service \
                 account, and {why}"
            ))),
        }
    }
}

/// A file with a token of the controller's service account. Its content changes while the
/// controller runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenFile(Arc<Path>);

impl TokenFile {
    /// Returns the file with this path. It is not read yet.
    #[must_use]
    pub fn new(path: &Path) -> Self {
        Self(path.into())
    }

    /// Reads the token that is in the file now.
    ///
    /// # Errors
    /// [`Error::Unauthorized`] if the file has no token. The error has nothing of its content.
    pub fn read(&self) -> Result<Secret, Error> {
        let refuse = |why: &str| {
            Error::unauthorized(format!(
                "the file {} with the token of the controller's service account {why}",
                self.0.display()
            ))
        };
        let mut text = String::new();
        File::open(&self.0)
            .and_then(|file| file.take(LONGEST + 1).read_to_string(&mut text))
            .map_err(|error| refuse(&format!("cannot be read: {error}")))?;
        // What is read is wiped, whether or not it is a token.
        let text = Secret::new(text);
        let token = text.expose().trim();
        if token.is_empty() {
            return Err(refuse("is empty"));
        }
        let is_part = |part: &str| {
            !part.is_empty()
                && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
        };
        if token.split('.').count() != 3 || !token.split('.').all(is_part) {
            return Err(refuse("has no token in it, which is three parts with dots between them"));
        }
        Ok(Secret::new(token))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_a_token_is_refused_by_name_and_gives_nothing_away() {
        let path = std::env::temp_dir().join(format!("bobsync-token-{}", std::process::id()));
        let file = TokenFile::new(&path);
        let refused = |why: &str| match file.read() {
            Err(Error::Unauthorized { said }) => {
                assert!(said.contains(why) && said.contains(path.to_str().unwrap()), "{said}");
                assert!(!said.contains("swordfish"), "{said}");
            }
            other => panic!("{why}: {other:?}"),
        };
        refused("cannot be read: No such file");
        let long = "swordfish".repeat(10_000);
        for (content, why) in [
            ("", "is empty"),
            (" \n", "is empty"),
            ("swordfish", "has no token in it"),
            ("swordfish..swordfish", "has no token in it"),
            ("sword.fish.sword fish", "has no token in it"),
            (&long, "has no token in it"),
        ] {
            std::fs::write(&path, content).unwrap();
            refused(why);
        }
        std::fs::write(&path, b"sword\xff.fish.swordfish").unwrap();
        refused("cannot be read");
        for token in ["a.b-c.d_e", "another.to.ken"] {
            std::fs::write(&path, format!("{token}\n")).unwrap();
            assert_eq!(file.read().unwrap().expose(), token, "the file is read each time");
        }
        std::fs::remove_file(&path).unwrap();
    }
}
