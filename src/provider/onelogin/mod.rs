//! OneLogin.
