//! The rules of the house that a compiler does not check. Each file holds the rules on one topic;
//! [`source`] reads what they judge.

mod adding;
mod forbidden;
mod imports;
mod lists;
mod names;
mod parameters;
mod providers;
mod rings;
mod sizes;
mod source;
mod steps;
mod toolchain;
mod unused;
mod words;
