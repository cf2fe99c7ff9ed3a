//! Entra's app registration.
