//! JumpCloud. `organization` is its tenant for the cases that every provider must pass. `wire` has
//! the cases that only JumpCloud has.

mod organization;
mod wire;

crate::table::every_provider!(organization::Organization);
