//! What a tenant defines itself, remembered for a while. It is asked for once, and again when the
//! time is over or when an answer contradicts it.

use std::{collections::HashMap, sync::OnceLock, time::Duration};

use parking_lot::{Mutex, MutexGuard};
use tokio::time::Instant;

use super::{Error, reader::Page, table::Table};
use crate::{
    domain::{account::AccountWrite, mapping::Mapping},
    http::client::Answer,
};

/// How long it is remembered.
const REMEMBERED: Duration = Duration::from_secs(600);

/// One thing that was asked for.
#[derive(Debug)]
pub(super) struct Remembered<T>(Mutex<Option<(Instant, T)>>);

impl<T> Default for Remembered<T> {
    fn default() -> Self {
        Self(Mutex::new(None))
    }
}

impl<T: Clone> Remembered<T> {
    /// Returns what was answered, unless that was too long ago.
    pub(super) fn get(&self) -> Option<T> {
        self.lock()
            .as_ref()
            .filter(|(at, _)| at.elapsed() < REMEMBERED)
            .map(|(_, known)| known.clone())
    }

    /// Remembers an answer.
    pub(super) fn set(&self, known: T) {
        *self.lock() = Some((Instant::now(), known));
    }

    /// Forgets the answer, because another one has contradicted it.
    pub(super) fn forget(&self) {
        *self.lock() = None;
    }

    fn lock(&self) -> MutexGuard<'_, Option<(Instant, T)>> {
        self.0.lock()
    }
}

/// Facts by name, each of which is remembered for a while.
pub(super) struct Facts<T> {
    kept: Duration,
    known: Mutex<HashMap<String, (Instant, T)>>,
}

impl<T: Copy> Facts<T> {
    /// Remembers nothing yet. Each fact is kept for this time.
    pub(super) fn new(kept: Duration) -> Self {
        Self { kept, known: Mutex::default() }
    }

    /// Returns a fact, unless it is too old.
    pub(super) fn get(&self, name: &str) -> Option<T> {
        let known = self.known.lock();
        known.get(name).filter(|(at, _)| at.elapsed() < self.kept).map(|(_, fact)| *fact)
    }

    /// Remembers a fact, and forgets those that are too old.
    pub(super) fn set(&self, name: &str, fact: T) {
        let mut known = self.known.lock();
        known.retain(|_, (at, _)| at.elapsed() < self.kept);
        known.insert(name.to_owned(), (Instant::now(), fact));
    }

    /// Returns all facts that are not too old.
    pub(super) fn all(&self) -> Vec<(String, T)> {
        let known = self.known.lock();
        let fresh = known.iter().filter(|(_, (at, _))| at.elapsed() < self.kept);
        fresh.map(|(name, (_, fact))| (name.clone(), *fact)).collect()
    }

    /// Forgets a fact, because an answer has contradicted it.
    pub(super) fn forget(&self, name: &str) {
        self.known.lock().remove(name);
    }
}

/// The tenant's own id, which users tell in this member.
pub(super) struct Whose {
    member: &'static str,
    id: OnceLock<Box<str>>,
}

impl Whose {
    /// Knows nothing yet.
    pub(super) const fn told_in(member: &'static str) -> Self {
        Self { member, id: OnceLock::new() }
    }

    /// Remembers which tenant the users of a page belong to.
    pub(super) fn learn(&self, page: &Page<'_>) {
        if let Some(id) = page.first_text(self.member) {
            self.id.get_or_init(|| id.into());
        }
    }

    /// Returns the id: the one that the settings name, or else the one that users told. If `ask` is
    /// true and none is known, `asked` reads any one user. A tenant without users does not say.
    pub(super) async fn known(
        &self,
        table: &Table,
        named: Option<&str>,
        ask: bool,
        asked: impl Future<Output = Result<Answer, Error>>,
    ) -> Option<String> {
        if named.is_none()
            && ask
            && self.id.get().is_none()
            && let Ok(answer) = asked.await
            && let Some(page) = table.page(&answer)
        {
            self.learn(&page);
        }
        named.or_else(|| self.id.get().map(|id| &**id)).map(str::to_owned)
    }
}

/// Refuses a write of an attribute that the tenant is known not to define, before it is sent.
///
/// # Errors
/// [`Error::Rejected`] that names the first such attribute.
pub(super) fn undefined_in(
    mapping: &Mapping,
    write: &AccountWrite,
    missing: impl Fn(&str) -> bool,
) -> Result<(), Error> {
    let targets = write
        .attributes
        .iter()
        .filter_map(|(row, _)| mapping.rows.get(*row))
        .map(|row| &*row.target);
    match targets.into_iter().find(|target| missing(target)) {
        Some(target) => Err(Error::Rejected {
            field: Some(target.to_owned()),
            said: "the tenant does not define this attribute any more".to_owned(),
        }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_answer_is_remembered_for_ten_minutes_or_until_it_is_contradicted() {
        let remembered = Remembered::default();
        assert_eq!(remembered.get(), None);
        remembered.set(7);
        tokio::time::advance(REMEMBERED - Duration::from_secs(1)).await;
        assert_eq!(remembered.get(), Some(7));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(remembered.get(), None);
        remembered.set(8);
        remembered.forget();
        assert_eq!(remembered.get(), None);
    }
}
