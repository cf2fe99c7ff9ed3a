//! Paths of attributes (RFC 7644, 3.5.2 and 3.10): `userName`, `name.givenName`,
//! `emails[type eq "work"].value`, `urn:…:User:department`.

use super::errors::{Checked, Refused};
use super::filter::Filter;
use super::schema::{self, Attribute, Extension, Schemas};

/// What a path names.
#[derive(Debug)]
pub struct Target<'s> {
    pub extension: Option<&'s Extension>,
    /// `None`: the extension as a whole.
    pub attribute: Option<&'s Attribute>,
    pub filter: Option<Filter<'s>>,
    pub part: Option<&'s Attribute>,
}

impl Target<'_> {
    /// Returns the path without its filter, such as `emails.value`.
    pub fn name(&self) -> String {
        let urn = self.extension.map(|extension| extension.urn.as_str());
        let attribute = self.attribute.map(|attribute| match self.part {
            Some(part) => format!("{}.{}", attribute.name, part.name),
            None => attribute.name.clone(),
        });
        [urn.map(str::to_owned), attribute].into_iter().flatten().collect::<Vec<_>>().join(":")
    }
}

/// Divides a text into an extension and the rest: nothing is left of the URN alone.
fn divide<'s, 't>(
    schemas: &'s Schemas,
    text: &'t str,
) -> Option<(Option<&'s Extension>, Option<&'t str>)> {
    if !text.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("urn:")) {
        return Some((None, Some(text)));
    }
    let after = |urn: &str| {
        let (start, rest) = text.split_at_checked(urn.len())?;
        start.eq_ignore_ascii_case(urn).then_some(rest)
    };
    if let Some(rest) = after(schema::USER) {
        return Some((None, Some(rest.strip_prefix(':')?)));
    }
    schemas.extensions.iter().find_map(|extension| match after(&extension.urn)? {
        "" => Some((Some(extension), None)),
        rest => Some((Some(extension), Some(rest.strip_prefix(':')?))),
    })
}

/// Finds attribute and part of a path without a filter.
fn find<'s>(
    schemas: &'s Schemas,
    extension: Option<&'s Extension>,
    text: &str,
) -> Option<(&'s Attribute, Option<&'s Attribute>)> {
    let (name, part) = text.split_once('.').map_or((text, None), |(name, part)| (name, Some(part)));
    let attribute = match extension {
        Some(extension) => schema::find(&extension.attributes, name)?,
        None => schemas.plain(name)?,
    };
    Some((attribute, part.map_or(Some(None), |part| attribute.part(part).map(Some))?))
}

/// Reads a path that has no filter; nothing when there is no such attribute.
pub fn plain<'s>(schemas: &'s Schemas, text: &str) -> Option<Target<'s>> {
    let (extension, rest) = divide(schemas, text)?;
    let Some(rest) = rest else {
        return Some(Target { extension, attribute: None, filter: None, part: None });
    };
    let (attribute, part) = find(schemas, extension, rest)?;
    Some(Target { extension, attribute: Some(attribute), filter: None, part })
}

/// Returns where the bracket that opens at `open` closes.
fn closing(text: &str, open: usize) -> Option<usize> {
    let (mut quoted, mut escaped) = (false, false);
    for (at, letter) in text.char_indices().skip_while(|(at, _)| *at <= open) {
        match letter {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            ']' if !quoted => return Some(at),
            _ => {}
        }
    }
    None
}

/// Reads the path of an operation of a PATCH.
pub fn read<'s>(schemas: &'s Schemas, text: &str) -> Checked<Target<'s>> {
    let wrong = || Refused::path(format!("The path {text} is not valid"));
    let Some(open) = text.find('[') else {
        return plain(schemas, text).ok_or_else(wrong);
    };
    let close = closing(text, open).ok_or_else(wrong)?;
    let (extension, name) = divide(schemas, &text[..open]).ok_or_else(wrong)?;
    let (attribute, None) = find(schemas, extension, name.ok_or_else(wrong)?).ok_or_else(wrong)?
    else {
        return Err(wrong());
    };
    if !attribute.many || attribute.parts.is_empty() {
        return Err(wrong());
    }
    let filter = Filter::of_parts(attribute, &text[open + 1..close])?;
    let part = match &text[close + 1..] {
        "" => None,
        rest => {
            Some(rest.strip_prefix('.').and_then(|part| attribute.part(part)).ok_or_else(wrong)?)
        }
    };
    Ok(Target { extension, attribute: Some(attribute), filter: Some(filter), part })
}

#[cfg(test)]
mod tests {
    use super::super::schema::{COMPANY, ENTERPRISE};
    use super::*;

    #[test]
    fn a_path_names_an_attribute_in_any_case() {
        let schemas = Schemas::default();
        let department = format!("{ENTERPRISE}:Department");
        for (text, name) in [
            ("USERNAME", "userName"),
            ("name.givenname", "name.givenName"),
            ("emails[type eq \"wo]rk\" and primary eq true].value", "emails.value"),
            (department.as_str(), &*format!("{ENTERPRISE}:department")),
            (COMPANY, COMPANY),
            ("urn:ietf:params:scim:schemas:core:2.0:User:title", "title"),
        ] {
            assert_eq!(read(&schemas, text).unwrap().name(), name);
        }
        for text in [
            "nothing",
            "name.nothing",
            "title[type eq \"work\"]",
            "emails[type eq \"work\"",
            "emails[type eq \"work\"]value",
            "urn:example:other:User:title",
            "",
        ] {
            assert_eq!(read(&schemas, text).unwrap_err().kind, Some("invalidPath"), "{text}");
        }
        assert_eq!(
            read(&schemas, "emails[type is \"work\"]").unwrap_err().kind,
            Some("invalidFilter")
        );
    }
}
