//! How a delivery can end, and what is at stake in it.

use crate::{
    bob::webhook::{Event, Kind},
    domain::priority::{Class, is_position},
};

/// How one delivery ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received {
    /// It stands in line.
    Queued,
    /// It stands in line as a hint: it would be evidence, and cannot be taken for it.
    NotEvidence,
    /// The same delivery came before.
    Duplicate,
    /// It says nothing about people.
    Ignored,
    /// It speaks of another company.
    OtherCompany,
    /// The signature is right and the body is no event.
    Unreadable,
    /// Bob's test of the address.
    Ping,
    /// No such integration, no secret, or no signature of it: not told apart.
    Refused,
    /// Another replica leads.
    NotLeading,
    /// What deliveries are signed with is not known yet: the process has just begun, or it cannot read the integration.
    Starting,
    /// It is evidence, and the API server did not take it.
    NotRecorded,
}

impl Received {
    /// All of them.
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

    /// The word for metrics.
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

/// What is at stake.
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
