//! A small deterministic generator (splitmix64), so that a seed means the same
//! company and the same faults on every machine and with every crate version.

/// A stream of pseudo-random numbers that depends only on the seed.
#[derive(Debug, Clone)]
pub struct Rng(u64);

impl Rng {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Returns a number in `0..bound`; 0 for an empty range.
    pub fn below(&mut self, bound: usize) -> usize {
        if bound == 0 {
            return 0;
        }
        usize::try_from(self.draw() % bound as u64).unwrap_or(0)
    }

    /// Returns true with probability `p`.
    pub fn chance(&mut self, p: f64) -> bool {
        // 53 bits fill a double's mantissa exactly.
        #[allow(clippy::cast_precision_loss)]
        let unit = (self.draw() >> 11) as f64 / (1_u64 << 53) as f64;
        unit < p
    }

    pub fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }

    /// Returns `bytes` as lower-case hex, for tokens and request ids.
    pub fn hex(&mut self, bytes: usize) -> String {
        use std::fmt::Write as _;
        let mut text = String::with_capacity(bytes * 2);
        while text.len() < bytes * 2 {
            let _ = write!(text, "{:016x}", self.draw());
        }
        text.truncate(bytes * 2);
        text
    }
}
