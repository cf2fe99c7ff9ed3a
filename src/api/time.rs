//! Times as the API server keeps them.

use jiff::Timestamp;

/// Returns the time to the second, because Kubernetes times have no fractions.
#[must_use]
pub fn to_the_second(now: Timestamp) -> Timestamp {
    Timestamp::from_second(now.as_second()).unwrap_or(now)
}
