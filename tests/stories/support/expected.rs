//! What a provider should have of an employee, by a simple rule on Bob's fields.

use jiff::{Timestamp, civil::Date, tz::TimeZone};
use serde_json::Value;

/// Returns 1 for an active account, 2 for a suspended one, and `None` for no account.
pub fn expected(employee: &Value, now: Timestamp) -> Option<i64> {
    let text = |field: &str| employee[field].as_str().unwrap_or_default();
    let lifecycle = text("internal.lifecycleStatus").to_lowercase();
    let zone = TimeZone::get(match text("work.site") {
        "Berlin" => "Europe/Berlin",
        "Auckland" => "Pacific/Auckland",
        _ => "Europe/London",
    })
    .unwrap();
    let midnight = |date: Date| date.to_zoned(zone.clone()).unwrap().timestamp();
    let day = |field: &str| employee[field].as_str().and_then(|text| text.parse::<Date>().ok());
    let start = day("work.startDate");
    let left = ["internal.terminationDate", "employee.lastDayOfWork"]
        .into_iter()
        .filter_map(day)
        .filter(|date| start.is_none_or(|start| *date >= start))
        .min()
        .is_some_and(|last| midnight(last.tomorrow().unwrap()) <= now);
    if lifecycle == "terminated" || left || start.is_some_and(|start| midnight(start) > now) {
        return None;
    }
    let active = text("internal.status").eq_ignore_ascii_case("active")
        || matches!(lifecycle.as_str(), "hired" | "garden leave");
    Some(if active { 1 } else { 2 })
}
