//! Midnights of sites. Bob gives bare dates. A date begins and ends at midnight of the employee's
//! site.

use std::collections::BTreeMap;

use jiff::{Timestamp, ToSpan as _, civil::Date, tz::TimeZone};

/// The time zone of every site.
#[derive(Clone, Debug)]
pub struct Zones {
    default: TimeZone,
    sites: BTreeMap<Box<str>, TimeZone>,
}

/// A zone name that the bundled IANA database does not know.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no time zone `{0}`: use an IANA name such as Europe/Berlin")]
pub struct UnknownZone(pub String);

impl Zones {
    /// Looks up every name once. The names of sites match as Bob writes them, except for blanks
    /// around them.
    ///
    /// # Errors
    /// [`UnknownZone`] names the first name that does not exist.
    pub fn new<'a>(
        default: &str,
        sites: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, UnknownZone> {
        let find = |name: &str| TimeZone::get(name).map_err(|_| UnknownZone(name.to_owned()));
        Ok(Self {
            default: find(default)?,
            sites: sites
                .into_iter()
                .map(|(site, zone)| Ok((site.trim().into(), find(zone)?)))
                .collect::<Result<_, _>>()?,
        })
    }

    /// Compares the sites of employees with the sites that are listed. Employees without a site
    /// need no zone of their own.
    #[must_use]
    pub fn gaps<'a>(&self, sites: impl Iterator<Item = &'a str>) -> Gaps {
        let mut counts: BTreeMap<&str, u32> = BTreeMap::new();
        sites
            .map(str::trim)
            .filter(|site| !site.is_empty())
            .for_each(|site| *counts.entry(site).or_default() += 1);
        self.gaps_in(&counts)
    }

    /// The same, where it is known how many employees each site has.
    #[must_use]
    pub fn gaps_in(&self, counts: &BTreeMap<&str, u32>) -> Gaps {
        let unlisted = counts
            .iter()
            .filter(|(site, _)| !self.sites.contains_key(**site))
            .map(|(site, count)| (Box::from(*site), *count));
        let unlisted: Vec<(Box<str>, u32)> = unlisted.collect();
        let unused = self
            .sites
            .keys()
            .filter(|site| !counts.contains_key(&***site))
            .map(|site| (site.clone(), nearest(site, &unlisted)));
        Gaps {
            unused: unused.collect(),
            zone: self.default.iana_name().unwrap_or("UTC").into(),
            unlisted,
        }
    }

    /// Returns the zone of `site`. Returns the integration's zone for a site that is not listed,
    /// and for employees without a site.
    #[must_use]
    pub fn of(&self, site: Option<&str>) -> &TimeZone {
        site.and_then(|site| self.sites.get(site.trim())).unwrap_or(&self.default)
    }
}

/// The differences between the sites of employees and `siteTimeZones`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Gaps {
    /// Sites of employees that are not listed, and how many employees each has.
    pub unlisted: Vec<(Box<str>, u32)>,
    /// Sites that are listed and that no employee has, each with the unlisted site that may be
    /// meant.
    pub unused: Vec<(Box<str>, Option<Box<str>>)>,
    /// The zone that is used for sites that are not listed.
    pub zone: Box<str>,
}

impl Gaps {
    /// Returns whether every site has a zone, and every listed site has employees.
    #[must_use]
    pub fn is_none(&self) -> bool {
        self.unlisted.is_empty() && self.unused.is_empty()
    }
}

/// How similar a misspelt site and the unlisted site have to be, from 0 to 1.
const ALIKE: f64 = 0.6;

fn nearest(site: &str, unlisted: &[(Box<str>, u32)]) -> Option<Box<str>> {
    let likeness = |other: &str| {
        strsim::normalized_damerau_levenshtein(&site.to_lowercase(), &other.to_lowercase())
    };
    let alike = unlisted
        .iter()
        .map(|(other, _)| (likeness(other), other))
        .filter(|(likeness, _)| *likeness >= ALIKE);
    alike.max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, other)| other.clone())
}

/// Returns the instant at which `date` begins in `zone`. Where the clocks skip midnight, that is
/// the first instant of the day.
#[must_use]
pub fn start_of(date: Date, zone: &TimeZone) -> Timestamp {
    let midnight = date.at(0, 0, 0, 0);
    zone.to_ambiguous_zoned(midnight).compatible().map_or_else(
        // The date is outside of jiff's calendar (years -9999 to 9999): take its first or last
        // instant.
        |_| if date.year() < 0 { Timestamp::MIN } else { Timestamp::MAX },
        |zoned| zoned.start_of_day().map_or_else(|_| zoned.timestamp(), |start| start.timestamp()),
    )
}

/// Returns the instant at which `date` ends in `zone`.
#[must_use]
pub fn end_of(date: Date, zone: &TimeZone) -> Timestamp {
    date.checked_add(1.day()).map_or(Timestamp::MAX, |next| start_of(next, zone))
}

/// Returns `at` as RFC 3339 with the zone's offset, to the second.
#[must_use]
pub fn with_offset(at: Timestamp, zone: &TimeZone) -> String {
    at.to_zoned(zone.clone()).strftime("%Y-%m-%dT%H:%M:%S%:z").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    fn zone(name: &str) -> TimeZone {
        TimeZone::get(name).expect("bundled zone")
    }

    #[test]
    fn midnight_is_the_midnight_of_the_site() {
        assert_eq!(
            start_of(date(2026, 12, 1), &zone("Europe/Berlin")).to_string(),
            "2026-11-30T23:00:00Z"
        );
        assert_eq!(
            start_of(date(2026, 12, 1), &zone("Pacific/Auckland")).to_string(),
            "2026-11-30T11:00:00Z"
        );
        assert_eq!(
            end_of(date(2026, 12, 1), &zone("America/New_York")).to_string(),
            "2026-12-02T05:00:00Z"
        );
    }

    #[test]
    fn a_day_without_midnight_begins_at_its_first_instant() {
        // Lebanon's clocks go from 00:00 to 01:00 on the last Sunday of March.
        assert_eq!(
            start_of(date(2026, 3, 29), &zone("Asia/Beirut")).to_string(),
            "2026-03-28T22:00:00Z"
        );
        assert_eq!(
            with_offset(start_of(date(2026, 3, 29), &zone("Asia/Beirut")), &zone("Asia/Beirut")),
            "2026-03-29T01:00:00+03:00"
        );
    }

    #[test]
    fn sites_that_are_not_listed_use_the_default() {
        let zones = Zones::new("Europe/London", [("Berlin", "Europe/Berlin")]).unwrap();
        assert_eq!(zones.of(Some(" Berlin ")).iana_name(), Some("Europe/Berlin"));
        assert_eq!(zones.of(Some("Paris")).iana_name(), Some("Europe/London"));
        assert_eq!(zones.of(None).iana_name(), Some("Europe/London"));
        assert_eq!(Zones::new("Mars/Olympus", []).unwrap_err(), UnknownZone("Mars/Olympus".into()));
    }

    #[test]
    fn sites_without_a_zone_and_zones_without_a_site_are_found() {
        let zones = Zones::new(
            "Europe/London",
            [("Paris", "Europe/Paris"), ("Berln", "Europe/Berlin"), ("Lagos", "Africa/Lagos")],
        )
        .unwrap();
        let gaps = zones.gaps(["Paris", " Berlin", "Berlin ", "", "Tokyo", "paris"].into_iter());
        assert_eq!(gaps.unlisted, [("Berlin".into(), 2), ("Tokyo".into(), 1), ("paris".into(), 1)]);
        assert_eq!(gaps.unused, [("Berln".into(), Some("Berlin".into())), ("Lagos".into(), None)]);
        assert_eq!(&*gaps.zone, "Europe/London");
        assert!(!gaps.is_none() && zones.gaps(["Paris", "Berln", "Lagos"].into_iter()).is_none());
    }
}
