//! Proofs of possession (RFC 9449): one proof in the `DPoP` header of a call, and the nonces of the
//! token endpoint.

use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};

use crate::front::Call;
use crate::jws::{Key, Token, hashed};
use crate::rng::Rng;

/// How old a proof may be.
const OLDEST: i64 = 300;

/// How much the clock of a caller may be ahead.
const AHEAD: i64 = 5;

/// developer.okta.com, "Configure OAuth 2.0 DPoP": a nonce is rotated every 24 hours, and the old
/// one is valid for three days.
const ROTATED: SignedDuration = SignedDuration::from_hours(24);
const VALID: SignedDuration = SignedDuration::from_hours(24 + 3 * 24);

/// The identifiers of tokens that were used, with the instants (seconds of wall time) from which
/// they can be forgotten.
#[derive(Debug, Default)]
pub struct Used(HashMap<String, i64>);

impl Used {
    /// Remembers an identifier; returns whether it was new.
    pub fn add(&mut self, id: String, until: i64, wall: i64) -> bool {
        if self.0.len() > 10_000 {
            self.0.retain(|_, until| *until >= wall);
        }
        self.0.insert(id, until).is_none()
    }
}

/// A proof that was checked.
pub struct Proof {
    pub thumbprint: String,
    pub nonce: Option<String>,
}

/// Checks the proof of a call to one of these addresses. With an access token the proof must name
/// it. Times are compared with wall time, because callers do not know the simulators' clock.
///
/// # Errors
/// What is wrong with it, in Okta's words.
pub fn check(
    call: &Call,
    addresses: &[String],
    token: Option<&str>,
    used: &mut Used,
) -> Result<Proof, &'static str> {
    let mut headers = call.headers.get_all("dpop").iter();
    let header = headers.next().ok_or("The DPoP proof JWT header is missing.")?;
    if headers.next().is_some() {
        return Err("Multiple DPoP proof JWT headers are not allowed.");
    }
    let unreadable = "The DPoP proof JWT cannot be parsed.";
    let proof = header.to_str().ok().and_then(Token::parse).ok_or(unreadable)?;
    if proof.head["typ"] != "dpop+jwt" {
        return Err("'typ' must be 'dpop+jwt' in the DPoP proof JWT.");
    }
    if !proof.has_known_algorithm() {
        return Err("The DPoP proof JWT signature algorithm is invalid.");
    }
    let key = Key::read(&proof.head["jwk"]).ok_or("The DPoP proof JWT is invalid.")?;
    if !proof.is_signed_by(&key) {
        return Err("The DPoP proof JWT signature is invalid.");
    }
    let claims = &proof.claims;
    if claims["htm"] != call.method.as_str() {
        return Err("'htm' claim in the DPoP proof JWT is invalid.");
    }
    if !claims["htu"].as_str().is_some_and(|uri| addresses.iter().any(|address| address == uri)) {
        return Err("'htu' claim in the DPoP proof JWT is invalid.");
    }
    let issued = claims["iat"].as_i64().ok_or("'iat' claim in the DPoP proof JWT is invalid.")?;
    let wall = Timestamp::now().as_second();
    if issued > wall + AHEAD {
        return Err("The DPoP proof JWT is issued in the future.");
    }
    if issued < wall - OLDEST {
        return Err("The DPoP proof JWT is issued more than five minutes in the past.");
    }
    if claims["exp"].as_i64().is_some_and(|ends| ends <= wall) {
        return Err("The DPoP proof JWT is expired.");
    }
    let id = claims["jti"].as_str().filter(|id| !id.is_empty());
    let id = id.ok_or("'jti' claim in the DPoP proof JWT is invalid.")?;
    if token.is_some_and(|token| claims["ath"] != hashed(token)) {
        return Err("'ath' claim in the DPoP proof does not match the presented access_token.");
    }
    let thumbprint = key.thumbprint();
    if !used.add(format!("{thumbprint} {id}"), wall + OLDEST + AHEAD, wall) {
        return Err("The DPoP proof JWT has already been used.");
    }
    Ok(Proof { thumbprint, nonce: claims["nonce"].as_str().map(str::to_owned) })
}

/// The nonces of the token endpoint, oldest first.
#[derive(Debug, Default)]
pub struct Nonces(Vec<(String, Timestamp)>);

impl Nonces {
    /// Returns the nonce of now.
    pub fn current(&mut self, now: Timestamp, rng: &mut Rng) -> String {
        self.0.retain(|(_, since)| now.duration_since(*since).abs() < VALID);
        match self.0.last() {
            Some((nonce, since)) if now.duration_since(*since).abs() < ROTATED => nonce.clone(),
            _ => self.rotate(now, rng),
        }
    }

    /// Returns a new nonce; older ones stay valid.
    pub fn rotate(&mut self, now: Timestamp, rng: &mut Rng) -> String {
        let nonce = rng.hex(16);
        self.0.push((nonce.clone(), now));
        nonce
    }

    pub fn forget(&mut self) {
        self.0.clear();
    }

    pub fn is_valid(&self, nonce: &str, now: Timestamp) -> bool {
        let mut all = self.0.iter();
        all.any(|(known, since)| known == nonce && now.duration_since(*since).abs() < VALID)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nonce_rotates_every_day_and_the_old_one_stays_valid_for_three_days() {
        let start: Timestamp = "2026-11-24T09:00:00Z".parse().unwrap();
        let later = |hours| start + SignedDuration::from_hours(hours);
        let (mut nonces, mut rng) = (Nonces::default(), Rng::new(1));
        let first = nonces.current(start, &mut rng);
        assert_eq!(nonces.current(later(23), &mut rng), first);
        let second = nonces.current(later(24), &mut rng);
        assert_ne!(second, first);
        assert!(nonces.is_valid(&first, later(95)) && nonces.is_valid(&second, later(95)));
        assert!(!nonces.is_valid(&first, later(96)) && !nonces.is_valid("other", later(1)));
    }
}
