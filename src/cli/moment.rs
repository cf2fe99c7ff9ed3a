//! The times that a person types: `7d`, `12h`, `yesterday`, `2026-11-30`, or RFC 3339.

use jiff::{Span, Timestamp, ToSpan as _, Zoned, civil::Date};

/// Reads when something begins: so long ago, or the midnight that begins a day.
///
/// # Errors
/// Says which forms there are.
pub fn since(text: &str) -> Result<Timestamp, String> {
    beginning(text, &Zoned::now())
}

/// Reads when something ends: so long from now, or the midnight that ends a day.
///
/// # Errors
/// Says which forms there are.
pub fn until(text: &str) -> Result<Timestamp, String> {
    end(text, &Zoned::now())
}

fn beginning(text: &str, now: &Zoned) -> Result<Timestamp, String> {
    let past = distance(text).and_then(|span| now.checked_sub(span).ok());
    if let Some(time) = past {
        return Ok(time.timestamp());
    }
    moment(text, now, 0)
}

fn end(text: &str, now: &Zoned) -> Result<Timestamp, String> {
    let future = distance(text).and_then(|span| now.checked_add(span).ok());
    if let Some(time) = future {
        return Ok(time.timestamp());
    }
    moment(text, now, 1)
}

/// Reads a point in time, or the midnight of a day, `later` days after it.
fn moment(text: &str, now: &Zoned, later: i64) -> Result<Timestamp, String> {
    if let Ok(time) = text.parse::<Timestamp>() {
        return Ok(time);
    }
    let date = match text {
        "today" => Ok(now.date()),
        "yesterday" => now.date().checked_sub(1.day()),
        "tomorrow" => now.date().checked_add(1.day()),
        _ => text.parse::<Date>(),
    };
    let midnight = date
        .and_then(|date| date.checked_add(later.days()))
        .and_then(|date| date.to_zoned(now.time_zone().clone()));
    midnight.map(|time| time.timestamp()).map_err(|_| {
        "give a distance such as 7d or 12h, a day such as yesterday or 2026-11-30, or a time such \
         as 2026-11-30T09:00:00Z"
            .to_owned()
    })
}

/// Reads `30m`, `12h`, `7d` or `2w`.
fn distance(text: &str) -> Option<Span> {
    let unit = text.chars().last()?;
    let count: i64 = text.strip_suffix(unit)?.parse().ok().filter(|count| *count >= 0)?;
    match unit {
        'm' => Span::new().try_minutes(count),
        'h' => Span::new().try_hours(count),
        'd' => Span::new().try_days(count),
        'w' => Span::new().try_weeks(count),
        _ => return None,
    }
    .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    // The clock goes back in the night before this noon in Berlin.
    #[test]
    fn every_form_means_the_same_as_it_says_in_the_zone_of_the_person() {
        let now: Zoned = "2026-10-25T12:00+01:00[Europe/Berlin]".parse().expect("a time");
        for (text, begins, ends) in [
            ("12h", "2026-10-24T23:00:00Z", "2026-10-25T23:00:00Z"),
            ("1d", "2026-10-24T10:00:00Z", "2026-10-26T11:00:00Z"),
            ("1w", "2026-10-18T10:00:00Z", "2026-11-01T11:00:00Z"),
            ("today", "2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z"),
            ("yesterday", "2026-10-23T22:00:00Z", "2026-10-24T22:00:00Z"),
            ("tomorrow", "2026-10-25T23:00:00Z", "2026-10-26T23:00:00Z"),
            ("2026-11-30", "2026-11-29T23:00:00Z", "2026-11-30T23:00:00Z"),
            ("2026-11-30T09:00:00+09:00", "2026-11-30T00:00:00Z", "2026-11-30T00:00:00Z"),
        ] {
            let both =
                [beginning(text, &now), end(text, &now)].map(|time| time.unwrap().to_string());
            assert_eq!(both, [begins, ends], "{text}");
        }
        for wrong in ["", "d", "-1d", "7y", "soon", "2026-13-01", "7 d", "é", "99999999999d"] {
            let said = beginning(wrong, &now).expect_err(wrong);
            assert!(said.contains("7d") && end(wrong, &now).is_err(), "{wrong}: {said}");
        }
    }
}
