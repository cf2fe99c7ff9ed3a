//! JumpCloud: `organization` is its tenant for the cases that every provider must pass; `wire` is what is JumpCloud's alone.

mod organization;
mod wire;

crate::table::every_provider!(organization::Organization);
