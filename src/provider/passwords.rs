//! Generated initial passwords, for accounts that need one. No person knows them.

use ring::rand::{SecureRandom, SystemRandom};

use super::{Error, Initial, answers::Password};
use crate::http::secret::Secret;

const LENGTH: usize = 24;

/// Four classes of characters, as every provider's rules want them. No person types these
/// passwords, so the characters need not be easy to tell apart.
const CLASSES: [&[u8]; 4] = [
    b"abcdefghijklmnopqrstuvwxyz",
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZ",
    b"0123456789",
    b"!#$%*+-.:=?@^_~",
];

/// Returns a password of 24 characters with at least one character of each of four classes, which
/// is about 140 bits. It is sent once and stored nowhere.
///
/// # Errors
/// This machine gives no randomness.
pub fn generate() -> Result<Secret, &'static str> {
    let random = SystemRandom::new();
    let all = CLASSES.concat();
    // Drawing starts again until every class is in the password. So every such password is equally
    // likely.
    for _ in 0..1_000 {
        let mut drawn = String::with_capacity(LENGTH);
        while drawn.len() < LENGTH {
            let mut byte = [0];
            random.fill(&mut byte).map_err(|_| "there is no randomness for a password")?;
            // Bytes after the last whole multiple would favour the first characters.
            if usize::from(byte[0]) < 256 / all.len() * all.len() {
                drawn.push(char::from(all[usize::from(byte[0]) % all.len()]));
            }
        }
        if CLASSES.iter().all(|class| drawn.bytes().any(|byte| class.contains(&byte))) {
            return Ok(Secret::new(drawn));
        }
    }
    Err("there is no randomness for a password")
}

/// The initial password of a new account: the default password, or else a generated one.
pub enum First<'a> {
    /// The default password of the settings.
    Default(&'a Secret),
    /// A generated password that no person knows.
    Generated(Secret),
}

impl<'a> First<'a> {
    /// Returns the password of an account that needs one.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if this machine gives no randomness.
    pub fn of(initial: &Initial<'a>) -> Result<Self, Error> {
        match initial.password {
            Some(password) => Ok(Self::Default(password)),
            None => generate().map(Self::Generated).map_err(Error::unavailable),
        }
    }

    /// Returns the password itself.
    #[must_use]
    pub const fn secret(&self) -> &Secret {
        match self {
            Self::Default(password) => password,
            Self::Generated(password) => password,
        }
    }

    /// Returns the password as what is sent.
    #[must_use]
    pub fn sent(&self) -> Password<'_> {
        match self {
            Self::Default(password) => Password::Default(password.expose()),
            Self::Generated(password) => Password::Generated(password.expose()),
        }
    }
}

/// Returns whether a password is a hash that some services take in place of one: crypt's MD5,
/// SHA-256 or SHA-512 form.
#[must_use]
pub fn is_crypt(password: &Secret) -> bool {
    let parts: Vec<&str> = password.expose().split('$').collect();
    let plain = |text: &str| {
        !text.is_empty()
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'.' || b == b'/')
    };
    let length = |kind: &str| match kind {
        "1" => 22,
        "5" => 43,
        _ => 86,
    };
    match parts[..] {
        ["", kind @ ("1" | "5" | "6"), salt, hash] => {
            plain(salt) && plain(hash) && hash.len() == length(kind)
        }
        ["", kind @ ("5" | "6"), rounds, salt, hash] => {
            rounds.strip_prefix("rounds=").is_some_and(|n| n.parse::<u32>().is_ok())
                && plain(salt)
                && plain(hash)
                && hash.len() == length(kind)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_password_is_another_and_has_all_classes() {
        let all: HashSet<String> =
            (0..500).map(|_| generate().unwrap().expose().to_owned()).collect();
        assert_eq!(all.len(), 500);
        for password in &all {
            assert_eq!(password.len(), LENGTH);
            assert!(
                CLASSES.iter().all(|class| password.bytes().any(|byte| class.contains(&byte))),
                "{password}"
            );
        }
        let used: HashSet<u8> = all.iter().flat_map(|password| password.bytes()).collect();
        assert_eq!(used.len(), CLASSES.concat().len(), "every character is used");
    }

    #[test]
    fn only_what_is_surely_a_hash_is_sent_as_one() {
        let (md5, sha) = ("a".repeat(22), "b".repeat(86));
        for (text, hash) in [
            (format!("$1$salt${md5}"), true),
            (format!("$6$salt${sha}"), true),
            (format!("$6$rounds=5000$salt${sha}"), true),
            (format!("$6$salt${md5}"), false),
            ("$6$Correct-Horse".to_owned(), false),
            ("$1$a$b".to_owned(), false),
            ("Correct-Horse-7".to_owned(), false),
        ] {
            assert_eq!(is_crypt(&Secret::new(&*text)), hash, "{text}");
        }
    }
}
