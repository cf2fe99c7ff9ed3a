//! All ways in which a call to a provider can fail.

use std::time::Duration;

/// All ways in which a call can fail, sorted by what to do about it. No variant has an attribute
/// value: `said` is the provider's answer without any value that was sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A value is refused, permanently. A person has to be told.
    #[error("the provider refused {}: {said}", field.as_deref().unwrap_or("the change"))]
    Rejected {
        /// The provider's name of the attribute, if the answer names it.
        field: Option<String>,
        /// What the provider said, without values.
        said: String,
    },
    /// Another account has the e-mail or the username.
    #[error("another account has this {}", field.as_deref().unwrap_or("e-mail or username"))]
    Duplicate {
        /// The key that it has, if the provider says so.
        field: Option<String>,
    },
    /// As far as can be told there is an account of this employee, and the settings lead to another
    /// one. A person has to be told.
    #[error("{said}")]
    Conflict {
        /// What a person can do.
        said: String,
    },
    /// This credential may not change this account, permanently.
    #[error("the credential may not change this account: {said}")]
    Forbidden {
        /// What the provider said, without values.
        said: String,
    },
    /// Another system is the master of what the write changes.
    #[error("another system is the master of this account: {said}")]
    Mastered {
        /// What the provider said, without values.
        said: String,
    },
    /// The provider cannot take access from an account in this state. A person has to do it.
    #[error("{said}")]
    ByHand {
        /// What a person can do.
        said: String,
    },
    /// The settings or the keys of the Secret cannot be carried out.
    #[error("{said}")]
    Misconfigured {
        /// What is wrong, and what to do.
        said: String,
    },
    /// The credential may not make this kind of call at all, until its rights change.
    #[error("the credential lacks a permission: {said}")]
    Denied {
        /// What the provider said.
        said: String,
    },
    /// The credential itself is refused, also with a fresh token.
    #[error("the provider refused the credential: {said}")]
    Unauthorized {
        /// What the provider said.
        said: String,
    },
    /// The account does not exist, or does not exist any more.
    #[error("the account does not exist")]
    NotFound,
    /// There were too many calls. Nothing was applied.
    #[error("the provider throttles")]
    Throttled {
        /// When to come back, if the provider says so.
        wait: Option<Duration>,
    },
    /// The call did not reach the provider, or the answer says that nothing was applied. It is safe
    /// to try again.
    #[error("the provider is unavailable: {said}")]
    Unavailable {
        /// What happened, without values.
        said: String,
    },
    /// A write went out and no answer came back that can be trusted. It may be applied or not, so
    /// the account has to be read first.
    #[error("the outcome of the write is unknown: {said}")]
    Unknown {
        /// What happened, without values.
        said: String,
    },
}

impl Error {
    /// Returns the refusal of a value of this attribute.
    pub(super) fn rejected(field: &str, said: impl Into<String>) -> Self {
        Self::Rejected { field: Some(field.to_owned()), said: said.into() }
    }

    /// Returns the refusal of a change of this account.
    pub(super) fn forbidden(said: impl Into<String>) -> Self {
        Self::Forbidden { said: said.into() }
    }

    /// Returns the refusal of the credential.
    pub(super) fn unauthorized(said: impl Into<String>) -> Self {
        Self::Unauthorized { said: said.into() }
    }

    /// Returns the error of a call of which nothing was applied.
    pub(super) fn unavailable(said: impl Into<String>) -> Self {
        Self::Unavailable { said: said.into() }
    }

    /// Returns the error of a write without an answer that can be trusted.
    pub(super) fn unknown(said: impl Into<String>) -> Self {
        Self::Unknown { said: said.into() }
    }

    /// Returns what the provider said, or otherwise what the error means.
    #[must_use]
    pub fn said(&self) -> String {
        match self {
            Self::Rejected { said, .. }
            | Self::Conflict { said }
            | Self::Forbidden { said }
            | Self::Mastered { said }
            | Self::ByHand { said }
            | Self::Misconfigured { said }
            | Self::Denied { said }
            | Self::Unauthorized { said }
            | Self::Unavailable { said }
            | Self::Unknown { said } => said.clone(),
            Self::Duplicate { .. } | Self::NotFound | Self::Throttled { .. } => self.to_string(),
        }
    }

    /// Returns whether the same call may succeed soon.
    #[must_use]
    pub const fn may_pass(&self) -> bool {
        matches!(self, Self::Throttled { .. } | Self::Unavailable { .. } | Self::Unknown { .. })
    }

    /// Returns the word for metrics, from a fixed list.
    #[must_use]
    pub const fn category(&self) -> &'static str {
        match self {
            Self::Rejected { .. } | Self::Misconfigured { .. } => "rejected",
            Self::Duplicate { .. } => "duplicate",
            Self::Conflict { .. } => "conflict",
            Self::Forbidden { .. } | Self::Mastered { .. } | Self::ByHand { .. } => "forbidden",
            Self::Denied { .. } => "denied",
            Self::Unauthorized { .. } => "unauthorized",
            Self::NotFound => "not_found",
            Self::Throttled { .. } => "throttled",
            Self::Unavailable { .. } => "unavailable",
            Self::Unknown { .. } => "unknown",
        }
    }
}
