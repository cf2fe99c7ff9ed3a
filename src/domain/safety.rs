//! When a read is not to be believed. Absence is not evidence: a short answer never says that people left.

use super::budget::larger;

/// Whether a count shrank by more than normal turnover.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShortRead {
    /// Share of the last count, in percent.
    pub max_percent: u32,
    /// A floor for small companies.
    pub at_least: u32,
}

impl Default for ShortRead {
    /// More than the larger of 10 % and 5.
    fn default() -> Self {
        Self { max_percent: 10, at_least: 5 }
    }
}

impl ShortRead {
    /// Whether `now` is implausibly short after `before`. Nobody at all is never plausible.
    #[must_use]
    pub fn is_suspect(self, before: u32, now: u32) -> bool {
        let limit = larger(self.max_percent, before, self.at_least);
        now == 0 || before.saturating_sub(now) > limit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normal_turnover_passes_and_a_short_answer_does_not() {
        let rule = ShortRead::default();
        assert!(!rule.is_suspect(0, 1));
        assert!(!rule.is_suspect(250, 225));
        assert!(rule.is_suspect(250, 224));
        assert!(!rule.is_suspect(8, 3));
        assert!(rule.is_suspect(8, 2));
        assert!(rule.is_suspect(3, 0));
        assert!(rule.is_suspect(0, 0));
    }
}
