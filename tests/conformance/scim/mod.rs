//! SCIM. `server` is its tenant for the cases that every provider must pass. The others have the
//! cases that only SCIM has: `reads`, `writes`, `credential`.

mod credential;
mod reads;
mod server;
mod writes;

crate::table::every_provider!(server::Server);
