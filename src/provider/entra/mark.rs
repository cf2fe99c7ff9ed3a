//! Bob's `root.id` on a user. `employeeId` holds only 16 characters, so it has the id in base 36. A
//! directory extension has the id as it is.

use std::borrow::Cow;

use super::catalog::is_extension;
use crate::domain::visible::{trimmed, trimmed_of};

/// The attribute that holds the mark.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mark {
    /// The attribute `employeeId`.
    EmployeeId,
    /// This directory extension.
    Extension(Box<str>),
}

const PREFIX: &str = "bob";
const DIGITS: usize = 13;
const BASE: u32 = 36;

impl Mark {
    /// Reads `markAttribute`.
    #[must_use]
    pub fn named(attribute: &str) -> Option<Self> {
        match attribute {
            "employeeId" => Some(Self::EmployeeId),
            name if is_extension(name) => Some(Self::Extension(name.into())),
            _ => None,
        }
    }

    /// Returns the name of the attribute.
    pub(super) fn attribute(&self) -> &str {
        match self {
            Self::EmployeeId => "employeeId",
            Self::Extension(name) => name,
        }
    }

    /// Returns Bob's id as the attribute holds it, or `None` if the attribute cannot hold it.
    pub(super) fn encode<'i>(&self, id: &'i str) -> Option<Cow<'i, str>> {
        match self {
            Self::Extension(_) => Some(Cow::Borrowed(id)),
            Self::EmployeeId => {
                let plain = id.bytes().all(|b| b.is_ascii_digit()) && !id.starts_with('0');
                let mut rest: u128 = id.parse().ok().filter(|_| plain)?;
                let mut digits = [b'0'; DIGITS];
                for digit in digits.iter_mut().rev() {
                    let value = u32::try_from(rest % u128::from(BASE)).ok()?;
                    *digit = u8::try_from(char::from_digit(value, BASE)?).ok()?;
                    rest /= u128::from(BASE);
                }
                let digits = std::str::from_utf8(&digits).ok().filter(|_| rest == 0)?;
                Some(Cow::Owned(format!("{PREFIX}{digits}")))
            }
        }
    }

    /// Returns Bob's id in the attribute's text. A number that another system wrote there becomes a
    /// mark that no employee has. So the account counts as a stranger's account, and the number is
    /// never overwritten.
    pub(super) fn decode<'t>(&self, text: Cow<'t, str>) -> Cow<'t, str> {
        match self {
            Self::Extension(_) => trimmed_of(text.clone()).unwrap_or(text),
            Self::EmployeeId => {
                let own = trimmed(&text).to_ascii_lowercase();
                let digits = own.strip_prefix(PREFIX).filter(|rest| rest.len() == DIGITS);
                match digits
                    .and_then(|digits| u128::from_str_radix(digits, BASE).ok())
                    .filter(|_| !own.contains('+'))
                {
                    Some(id) => Cow::Owned(id.to_string()),
                    None => Cow::Owned(format!("employeeId {text}")),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_fits_into_sixteen_characters_and_comes_back() {
        for id in ["3332883894235038486", "1", "9999999999999999999", "170581728179578208255"] {
            let text = Mark::EmployeeId.encode(id).unwrap();
            assert_eq!(text.len(), 16, "{text}");
            assert_eq!(Mark::EmployeeId.decode(text.clone()), id, "{text}");
            assert_eq!(
                Mark::EmployeeId.decode(format!("\u{feff}{text}\u{200b}").into()),
                id,
                "what is not seen is no part of it"
            );
        }
        assert_eq!(Mark::EmployeeId.encode("3332883894235038486").unwrap(), "bob0pbkwqjurh15i");
        for id in ["", "0", "007", "abc", "-1", "+1", "170581728179578208256", "1 "] {
            assert_eq!(Mark::EmployeeId.encode(id), None, "{id}");
        }
    }

    #[test]
    fn a_number_of_another_system_is_no_employees_mark() {
        for text in [
            "4711",
            "3332883894235038486",
            "bob1",
            "bob0jxjq2zvrcnt",
            "bobby-tables-016",
            "bob+jxjq2zvrcntj",
        ] {
            assert!(Mark::EmployeeId.decode(text.into()).starts_with("employeeId "), "{text}");
        }
        let extension = Mark::named("extension_0123456789abcdef0123456789abcdef_bob").unwrap();
        assert_eq!(
            (extension.encode("x-1").unwrap(), extension.decode("x-1".into())),
            ("x-1".into(), "x-1".into())
        );
        assert_eq!(extension.decode("x-1\u{200b} ".into()), "x-1");
        assert_eq!(Mark::named("employeeType"), None);
    }
}
