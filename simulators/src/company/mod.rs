//! A made-up company of any size, the same for the same seed and day.
//!
//! - `people`: names of many scripts with their romanised forms
//! - `places`: sites with their time zones and phone numbers
//! - `generate`: the company itself
//! - `summary`: how many of each kind it has

mod generate;
mod people;
mod places;
mod summary;

pub use generate::{BADGE_FIELD, generate};
pub use places::{SITES, Site};
pub use summary::Summary;
