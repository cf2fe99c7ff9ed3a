//! What a pass does otherwise because its integration begins.

/// What follows from an integration that begins.
#[derive(Clone, Copy, Debug)]
pub struct Begins {
    /// Whether no pass that writes was seen through: an existing population is brought in line without a limit.
    pub limitless: bool,
    /// Whether the integration began without a status, and no person has approved since what that holds.
    pub restored: bool,
}
