//! The source: one streamed search for all employees, one read by id, and what Bob says about its
//! own fields (`catalogue`). Nothing is ever written to Bob.
//!
//! In the order in which data comes in: [`client`](Client) makes the calls and sorts their
//! failures, `pace` keeps it below Bob's limits, `splitter` finds the employees in the arriving
//! bytes, `row` picks the wanted fields out of one employee by the paths in `wanted`, `value`
//! chooses among the forms in which Bob gives a value, [`Reader`] collects the rows.
//!
//! [`webhook`] reads the events that Bob pushes, and checks their signatures.

mod catalogue;
mod client;
mod error;
mod pace;
mod people;
mod row;
mod splitter;
mod value;
mod wanted;
pub mod webhook;

pub use catalogue::Catalogue;
pub use client::{CallObserver, Client, Config};
pub use error::Error;
pub use pace::BobPace;
pub use people::{People, Reader};
pub use wanted::REFERENCES;
