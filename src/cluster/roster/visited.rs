//! Counts the rows that walks over the employees visit. The cost of an event must not grow with the
//! company. Tests look at this count, because times differ between machines.

#[cfg(test)]
use std::cell::Cell;

#[cfg(test)]
thread_local! {
    static ROWS: Cell<usize> = const { Cell::new(0) };
}

/// Counts one row.
#[cfg(test)]
pub(super) fn one() {
    ROWS.set(ROWS.get() + 1);
}

/// Counts nothing outside tests.
#[cfg(not(test))]
pub(super) const fn one() {}

/// Returns what `act` returns, and how many rows were visited meanwhile.
#[cfg(test)]
pub fn during<T>(act: impl FnOnce() -> T) -> (T, usize) {
    let before = ROWS.get();
    (act(), ROWS.get() - before)
}
