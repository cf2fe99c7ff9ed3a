//! What is Entra's alone.
