//! The waits of calls that a service does not take yet.

use std::sync::Arc;

use tokio::time::Instant;

/// What calls wait for, and until when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wait {
    /// The end of the wait.
    pub until: Instant,
    /// Why calls wait.
    pub why: WaitReason,
}

/// Why calls wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitReason {
    /// The service asked for a pause. No call is made before its end.
    Asked,
    /// The service is in trouble and asked for a pause. Urgent calls are still sent.
    Trouble,
    /// The calls that the service allows are used up.
    Spent,
}

/// Receives the wait of each call that has to wait.
pub type Waits = Arc<dyn Fn(Wait) + Send + Sync>;
