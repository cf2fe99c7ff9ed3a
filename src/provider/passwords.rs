//! Initial passwords that nobody knows, for accounts that have to have one.

use ring::rand::{SecureRandom, SystemRandom};

use super::http::Secret;

const LENGTH: usize = 24;

/// Four classes, as every provider's rules want them. Nobody types these, so characters need not be easy to tell apart.
const CLASSES: [&[u8]; 4] = [b"abcdefghijklmnopqrstuvwxyz", b"ABCDEFGHIJKLMNOPQRSTUVWXYZ", b"0123456789", b"!#$%*+-.:=?@^_~"];

/// A password of 24 characters with at least one of each of four classes: about 140 bits. It is sent once and kept nowhere.
///
/// # Errors
/// There is no randomness to be had on this machine.
pub fn generate() -> Result<Secret, &'static str> {
    let random = SystemRandom::new();
    let all = CLASSES.concat();
    // Drawn anew until every class is in it: so every such password is equally likely.
    for _ in 0..1_000 {
        let mut drawn = String::with_capacity(LENGTH);
        while drawn.len() < LENGTH {
            let mut byte = [0];
            random.fill(&mut byte).map_err(|_| "there is no randomness for a password")?;
            // Bytes beyond the last whole multiple would favour the first characters.
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

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_password_is_another_and_has_all_classes() {
        let all: HashSet<String> = (0..500).map(|_| generate().unwrap().expose().to_owned()).collect();
        assert_eq!(all.len(), 500);
        for password in &all {
            assert_eq!(password.len(), LENGTH);
            assert!(CLASSES.iter().all(|class| password.bytes().any(|byte| class.contains(&byte))), "{password}");
        }
        let used: HashSet<u8> = all.iter().flat_map(|password| password.bytes()).collect();
        assert_eq!(used.len(), CLASSES.concat().len(), "every character is used");
    }
}
