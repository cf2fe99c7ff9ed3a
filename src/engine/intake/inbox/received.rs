//! The results of a delivery, and the class of its event.

use crate::{
    bob::webhook::{Event, Kind},
    domain::priority::{Class, is_position},
};

/// The result of one delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received {
    /// The event is in the line.
    Queued,
    /// The event is in the line as a hint. It would be evidence, but cannot be accepted as
    /// evidence.
    NotEvidence,
    /// The same delivery came before.
    Duplicate,
    /// The event is not about employees.
    Ignored,
    /// The event is about another company.
    OtherCompany,
    /// The signature is valid, but the body is no event.
    Unreadable,
    /// Bob's test of the address.
    Ping,
    /// There is no such integration, no secret, or no valid signature. The result does not tell
    /// these apart.
    Refused,
    /// Another replica leads.
    NotLeading,
    /// It is not known yet what deliveries are signed with: the process has just begun, or it
    /// cannot read the integration.
    Starting,
    /// The event is evidence, and the API server did not accept the write.
    NotRecorded,
}

impl Received {
    /// All results.
    pub const ALL: [Self; 11] = [
        Self::Queued,
        Self::NotEvidence,
        Self::Duplicate,
        Self::Ignored,
        Self::OtherCompany,
        Self::Unreadable,
        Self::Ping,
        Self::Refused,
        Self::NotLeading,
        Self::Starting,
        Self::NotRecorded,
    ];

    /// Returns the word for metrics.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::NotEvidence => "not_evidence",
            Self::Duplicate => "duplicate",
            Self::Ignored => "ignored",
            Self::OtherCompany => "other_company",
            Self::Unreadable => "unreadable",
            Self::Ping => "ping",
            Self::Refused => "refused",
            Self::NotLeading => "not_leading",
            Self::Starting => "starting",
            Self::NotRecorded => "not_recorded",
        }
    }
}

/// Returns the class of an event: what it puts at risk.
pub(super) fn class(event: &Event) -> Class {
    match event.kind {
        Kind::AccessRevoked => Class::Revocation,
        Kind::Deleted | Kind::Left | Kind::Inactivated | Kind::TemporaryLeave => Class::Leaver,
        Kind::Created | Kind::Joined | Kind::Activated => Class::Joiner,
        Kind::Updated
            if !event.fields.is_empty() && !event.fields.iter().any(|field| is_position(field)) =>
        {
            Class::Cosmetic
        }
        Kind::Updated | Kind::TableEntry | Kind::Employee | Kind::Other => Class::Mover,
    }
}
