//! Sites, from the first midnight of the day to the last.

/// A site of the company.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Site {
    pub name: &'static str,
    /// IANA name.
    pub zone: &'static str,
    /// The beginning of a phone number there.
    pub phone: &'static str,
}

pub const SITES: &[Site] = &[
    Site { name: "London", zone: "Europe/London", phone: "+44 20 7946" },
    Site { name: "Berlin", zone: "Europe/Berlin", phone: "+49 30 2312" },
    Site { name: "Paris", zone: "Europe/Paris", phone: "+33 1 9900" },
    Site { name: "Auckland", zone: "Pacific/Auckland", phone: "+64 9 888" },
    Site { name: "New York", zone: "America/New_York", phone: "+1 212 555" },
    Site { name: "Sao Paulo", zone: "America/Sao_Paulo", phone: "+55 11 5550" },
    Site { name: "Tokyo", zone: "Asia/Tokyo", phone: "+81 3 5550" },
    Site { name: "Bengaluru", zone: "Asia/Kolkata", phone: "+91 80 5550" },
    Site { name: "Los Angeles", zone: "America/Los_Angeles", phone: "+1 213 555" },
];
