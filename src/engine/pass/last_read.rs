//! What earlier reads of Bob left behind for the next one.

use std::time::Duration;

use crate::domain::{missing::StatusMemory, safety::Suspicion};

/// What is known of the reads before this one.
#[derive(Clone, Debug, Default)]
pub struct LastRead {
    /// How many employees Bob's last believed answer had.
    pub believed: u32,
    /// A shorter answer that came since then.
    pub suspicion: Option<Suspicion>,
    /// What earlier answers showed of lifecycle statuses.
    pub memory: Option<StatusMemory>,
    /// How much later another answer has to come to confirm it. The same time applies to the second
    /// 404 to a read of one employee.
    pub apart: Duration,
    /// Whether a person asked for this read.
    pub asked: bool,
}
