//! How often a call is tried, and how long the pauses are: one rule for all code that tries again.

use std::time::Duration;

use tokio::time::Instant;

use super::Error;

/// The pauses before the second, third and fourth try.
pub const PAUSES: [Duration; 3] =
    [Duration::from_millis(250), Duration::from_millis(750), Duration::from_millis(2_250)];

/// The tries that one call has left.
#[derive(Clone, Debug)]
pub struct Tries {
    pauses: &'static [Duration],
    made: u32,
}

impl Tries {
    /// Returns one try, and one more after each pause.
    #[must_use]
    pub const fn all() -> Self {
        Self { pauses: &PAUSES, made: 1 }
    }

    /// Returns at most `times` tries, and at least one.
    #[must_use]
    pub fn at_most(times: usize) -> Self {
        Self { pauses: &PAUSES[..times.saturating_sub(1).min(PAUSES.len())], made: 1 }
    }

    /// Takes one more try and returns the pause before it. Returns `None` if no try is left.
    pub fn again(&mut self) -> Option<Duration> {
        let (pause, rest) = self.pauses.split_first()?;
        self.pauses = rest;
        self.made += 1;
        Some(*pause)
    }

    /// Returns how many tries were made.
    #[must_use]
    pub const fn made(&self) -> u32 {
        self.made
    }
}

/// Makes a call that belongs to a write until it settles: it succeeds, fails in a way that `again`
/// does not accept, or there is no further pause before the end of `within`. The call has the same
/// effect if it is made twice.
///
/// # Errors
/// The last failure.
pub(super) async fn settled<T, F>(
    pauses: impl IntoIterator<Item = Duration>,
    within: Duration,
    again: fn(&Error) -> bool,
    call: impl Fn() -> F,
) -> Result<T, Error>
where
    F: Future<Output = Result<T, Error>>,
{
    let (mut pauses, until) = (pauses.into_iter(), Instant::now() + within);
    loop {
        match call().await {
            Err(error) if again(&error) => {
                let pause = pauses.next().filter(|pause| Instant::now() + *pause < until);
                let Some(pause) = pause else { return Err(error) };
                tokio::time::sleep(pause).await;
            }
            outcome => return outcome,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_pause_is_longer_and_the_tries_end() {
        let mut tries = Tries::all();
        let pauses: Vec<u128> =
            std::iter::from_fn(|| tries.again()).map(|pause| pause.as_millis()).collect();
        assert_eq!((pauses, tries.made()), (vec![250, 750, 2_250], 4));
        for (most, made) in [(0, 1), (1, 1), (2, 2), (9, 4)] {
            let mut tries = Tries::at_most(most);
            while tries.again().is_some() {}
            assert_eq!(tries.made(), made, "{most}");
        }
    }
}
