//! Rate limits by endpoint, and calls at once.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::errors;
use super::routes::Route;
use crate::front::window::{Taken, Window};
use crate::front::{Answer, Call};

/// Calls at once, of an org for a workforce.
const AT_ONCE: usize = 75;

/// The endpoints that share a limit. Okta published the limits until 2025-12-16; a token may use
/// half of each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Bucket {
    /// `/api/v1/users`
    Users,
    /// `GET /api/v1/users/{idOrLogin}`
    UserReads,
    /// `POST`, `PUT` and `DELETE` of `/api/v1/users/{id}`
    UserWrites,
    /// Everything else under `/api/v1`.
    Other,
    /// `/oauth2/v1/token`
    Token,
}

impl Bucket {
    pub fn of(route: &Route, call: &Call) -> Self {
        match route {
            Route::Token => Self::Token,
            Route::Users => Self::Users,
            Route::User(_) if call.method == "GET" => Self::UserReads,
            Route::User(_) => Self::UserWrites,
            _ => Self::Other,
        }
    }
}

/// All limits.
pub struct Limits {
    windows: [Window; 5],
    pub at_once: usize,
}

impl Default for Limits {
    fn default() -> Self {
        let window = |limit| Window::new(limit, 60);
        Self {
            windows: [window(300), window(1000), window(300), window(600), window(1000)],
            at_once: AT_ONCE,
        }
    }
}

impl Limits {
    pub fn window(&mut self, bucket: Bucket) -> &mut Window {
        &mut self.windows[bucket as usize]
    }

    /// Counts a call.
    ///
    /// # Errors
    /// The refusal of a call beyond a limit.
    pub fn take(&mut self, bucket: Bucket, call: &Call, now: Timestamp) -> Result<Taken, Answer> {
        if call.at_once > self.at_once {
            // The headers of a call beyond this limit are those of this limit.
            let taken = Taken { granted: false, limit: 0, remaining: 0, ends: now };
            return Err(with_headers(errors::known("E0000047"), taken, now));
        }
        let taken = self.window(bucket).take(now);
        if taken.granted {
            Ok(taken)
        } else {
            Err(with_headers(errors::known("E0000047"), taken, now))
        }
    }
}

/// Adds the three headers; the time of the refill is in seconds since 1970.
pub fn with_headers(answer: Answer, taken: Taken, now: Timestamp) -> Answer {
    answer
        .with("x-rate-limit-limit", taken.limit)
        .with("x-rate-limit-remaining", taken.remaining)
        .with("x-rate-limit-reset", now.as_second() + taken.seconds_left(now))
}
