//! Whether webhooks are accepted, as the last read of the Secret answered.

use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

/// Whether the webhooks of one integration are accepted.
#[derive(Default)]
pub struct Signing {
    /// The answer, with the reason if they are not accepted; `None` if the settings ask for no
    /// webhooks.
    said: Mutex<Option<Result<(), String>>>,
    /// Whether the answer has changed and the change has not been reported yet.
    pub(super) news: AtomicBool,
    /// Held while the Secret is read, so that the later read counts.
    pub(super) reading: tokio::sync::Mutex<()>,
}

impl Signing {
    /// Returns whether webhooks are accepted, and if not, why; `None` if the settings ask for no
    /// webhooks.
    #[must_use]
    pub fn said(&self) -> Option<Result<(), String>> {
        self.said.lock().clone()
    }

    /// Returns whether the answer has changed next to the passes. Each change is reported once.
    #[must_use]
    pub fn has_news(&self) -> bool {
        self.news.swap(false, Ordering::AcqRel)
    }

    /// Stores the answer of now. Returns whether it is another answer than before.
    pub(super) fn say(&self, now: Option<Result<(), String>>) -> bool {
        let mut said = self.said.lock();
        let other = *said != now;
        *said = now;
        other
    }
}
