//! What a pass does differently because its integration begins.

/// What follows from the beginning of an integration.
#[derive(Clone, Copy, Debug)]
pub struct Begins {
    /// Whether no pass that writes has been completed: the existing accounts are then brought in
    /// line without a limit.
    pub limitless: bool,
    /// Whether the integration began without a status and no person has approved since then what
    /// that holds back.
    pub restored: bool,
}
