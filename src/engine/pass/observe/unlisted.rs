//! Accounts on record that the provider's listing lacks. If there are many, each is looked up by
//! its id before anything rests on its absence.

use futures::{StreamExt as _, stream};

use crate::{
    domain::{
        matching::{Matcher, Person},
        safety::ShortRead,
    },
    engine::{
        pass::Pass,
        stop::{Stop, provider_stop},
    },
    provider::{Error, Key},
};

/// How many accounts are looked up at most. If more are missing, the listing is suspect, and each
/// account is looked up before it is made again.
const LOOKED_UP: usize = 500;
/// How many look-ups are under way at the same time. The provider's pacer limits their rate.
const AT_ONCE: usize = 8;

impl Pass<'_> {
    /// Shows the matcher the accounts that exist although the listing lacks them.
    pub(super) async fn look_up_unlisted(
        &self,
        people: &[Person],
        matcher: &mut Matcher<'_>,
    ) -> Result<(), Stop> {
        let known = people.iter().filter(|person| person.known_account.is_some()).count();
        let unseen: Vec<Box<str>> = matcher.unseen().map(Into::into).collect();
        let allowed = ShortRead::default().allows(u32::try_from(known).unwrap_or(u32::MAX));
        let few =
            unseen.len() <= usize::try_from(allowed).unwrap_or(usize::MAX) && unseen.len() < known;
        if few || unseen.len() > LOOKED_UP {
            return Ok(());
        }
        let mapping = &self.integration.settings().mapping;
        let mut looked_up = stream::iter(unseen)
            .map(|id| async move { (self.services.provider.find(mapping, Key::Id(&id)).await, id) })
            .buffer_unordered(AT_ONCE);
        while let Some((found, id)) = looked_up.next().await {
            if (self.concurrent.halted)() || !self.cluster.leadership.is_leader() {
                return Ok(());
            }
            match found {
                Ok(found) => found
                    .into_iter()
                    .filter(|account| *account.id == *id)
                    .for_each(|account| matcher.see(account)),
                Err(error @ Error::Unauthorized { .. }) => return Err(provider_stop(&error)),
                // An account without an answer stays missing. No account is made because of that
                // alone.
                Err(error) => {
                    tracing::debug!(integration = %self.integration.roster.key,
                        account = id, %error,
                        "an account that is not listed could not be looked up")
                }
            }
        }
        Ok(())
    }
}
