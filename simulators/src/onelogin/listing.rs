//! `GET /api/2/users`: filters, sorting and paging (developers.onelogin.com,
//! "List Users", "Using Query Parameters").

use base64::Engine as _;
use jiff::Timestamp;

use super::attributes::{ATTRIBUTES, Cell, Kind, number};
use super::errors;
use super::quirks::FilterCase;
use super::state::State;
use super::users::{Shown, User};
use crate::front::{Answer, Call};

const DEFAULT_LIMIT: usize = 50;
const MAX_LIMIT: usize = 100;

/// Attributes that can be filtered by their value.
const EQUAL: &[&str] = &[
    "firstname",
    "lastname",
    "email",
    "username",
    "samaccountname",
    "directory_id",
    "external_id",
];
/// Times that can be bounded, by the name before `_since` and `_until`.
const BOUNDED: &[(&str, &str)] =
    &[("created", "created_at"), ("updated", "updated_at"), ("last_login", "last_login")];

/// One condition on a user.
enum Filter {
    Equals(usize, Pattern),
    Custom(String, Pattern),
    Ids(Vec<i64>),
    Since(usize, Timestamp),
    Until(usize, Timestamp),
    Nobody,
}

/// An exact value, or one with `*` for any text.
struct Pattern {
    text: String,
    exact: bool,
    fold: bool,
}

impl Pattern {
    fn new(text: &str, case: FilterCase) -> Self {
        let fold = case == FilterCase::Insensitive;
        let text = if fold { text.to_lowercase() } else { text.to_owned() };
        Self { exact: !text.contains('*'), text, fold }
    }

    fn matches(&self, value: &str) -> bool {
        let folded = if self.fold { value.to_lowercase() } else { value.to_owned() };
        if self.exact {
            return folded == self.text;
        }
        let mut rest = folded.as_str();
        let parts: Vec<&str> = self.text.split('*').collect();
        let (Some(first), Some(last)) = (parts.first(), parts.last()) else { return false };
        if parts.len() == 1 {
            return rest == *first;
        }
        let Some(tail) = rest.strip_prefix(first) else { return false };
        rest = tail;
        for part in &parts[1..parts.len() - 1] {
            let Some(at) = rest.find(part) else { return false };
            rest = &rest[at + part.len()..];
        }
        rest.ends_with(last)
    }
}

impl Filter {
    fn keeps(&self, user: &User) -> bool {
        match self {
            Self::Equals(attribute, pattern) => match user.cell(*attribute) {
                Some(Cell::Text(text)) => pattern.matches(text),
                Some(Cell::Int(number)) => pattern.matches(&number.to_string()),
                _ => false,
            },
            Self::Custom(shortname, pattern) => {
                user.custom.get(shortname.as_str()).is_some_and(|value| pattern.matches(value))
            }
            Self::Ids(ids) => ids.contains(&user.id),
            Self::Since(attribute, at) => user.time(*attribute).is_some_and(|time| time >= *at),
            Self::Until(attribute, at) => user.time(*attribute).is_some_and(|time| time <= *at),
            Self::Nobody => false,
        }
    }
}

/// A page, and the links to its neighbours.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Page {
    limit: usize,
    number: usize,
    sort: String,
    descending: bool,
}

impl Page {
    /// The vendor's cursors encode an offset: this text in base64. They contain no filters and no
    /// fields.
    fn cursor(&self) -> String {
        let direction = if self.descending { "desc" } else { "asc" };
        let text = format!(
            "limit={}&sort={}&page={}&sort_direction={direction}",
            self.limit, self.sort, self.number
        );
        base64::engine::general_purpose::STANDARD.encode(text)
    }

    fn at(&self, number: usize) -> Self {
        Self { number, ..self.clone() }
    }

    fn from_cursor(cursor: &str) -> Option<Self> {
        let text = base64::engine::general_purpose::STANDARD.decode(cursor).ok()?;
        let (mut limit, mut number, mut sort, mut descending) = (None, None, None, false);
        for (key, value) in form_urlencoded::parse(&text) {
            match &*key {
                "limit" => {
                    limit = value.parse().ok().filter(|limit| (1..=MAX_LIMIT).contains(limit))
                }
                "page" => number = value.parse().ok().filter(|number| *number > 0),
                "sort" => sort = Some(value.into_owned()),
                "sort_direction" => descending = value == "desc",
                _ => return None,
            }
        }
        Some(Self { limit: limit?, number: number?, sort: sort?, descending })
    }
}

/// Handles `GET /api/2/users`.
pub fn list(state: &State, call: &Call) -> Answer {
    match read(state, call) {
        Ok((page, filters, shown)) => answer(state, &page, &filters, &shown),
        Err(refused) => refused,
    }
}

fn read(state: &State, call: &Call) -> Result<(Page, Vec<Filter>, Shown), Answer> {
    let mut page = Page { limit: DEFAULT_LIMIT, number: 1, sort: "id".into(), descending: false };
    let mut filters = Vec::new();
    let mut shown = Shown::thin();
    let (mut cursor, mut pages, mut not_allowed) = (None, false, Vec::new());
    for (key, value) in call.pairs() {
        let wrong = || errors::v2(400, &format!("invalid value for query parameter: {key}"));
        match key.as_str() {
            "limit" | "page" => {
                let number: usize =
                    value.parse().ok().filter(|number| *number > 0).ok_or_else(wrong)?;
                pages = true;
                if key == "limit" {
                    page.limit = number.min(MAX_LIMIT)
                } else {
                    page.number = number
                }
            }
            "cursor" => cursor = Some(value),
            "sort" => sort(&mut page, &value)?,
            "fields" if value.is_empty() => {}
            "fields" => shown = Shown::named(&value),
            // An empty filter does not filter: the whole tenant is returned.
            _ => match filter(state, &key, &value) {
                Some(_) if value.is_empty() => {}
                Some(Ok(filter)) => filters.push(filter),
                Some(Err(())) => return Err(wrong()),
                None => not_allowed.push(key),
            },
        }
    }
    if !not_allowed.is_empty() {
        return Err(errors::v2(
            400,
            &format!("query parameter(s) not allowed: {}", not_allowed.join(", ")),
        ));
    }
    if let Some(cursor) = cursor {
        if pages {
            return Err(errors::described(
                400,
                "Requests can only have cursor xor pagination arguments",
            ));
        }
        page = Page::from_cursor(&cursor)
            .filter(|page| number(&page.sort).is_some())
            .ok_or_else(|| errors::described(400, "Invalid pagination cursor"))?;
    }
    if let Some(cap) = state.quirks.page_size_cap {
        page.limit = page.limit.min(cap.max(1));
    }
    Ok((page, filters, shown))
}

fn sort(page: &mut Page, value: &str) -> Result<(), Answer> {
    let (descending, field) = match value.strip_prefix('-') {
        Some(field) => (true, field),
        None => (false, value.strip_prefix('+').unwrap_or(value)),
    };
    let sortable = number(field).is_some_and(|number| ATTRIBUTES[number].kind != Kind::Ints);
    if !sortable {
        return Err(errors::field(422, "sort", "Validation failed: sort field is invalid"));
    }
    field.clone_into(&mut page.sort);
    page.descending = descending;
    Ok(())
}

/// Returns the filter of a query parameter; `None` when the parameter is not allowed.
fn filter(state: &State, key: &str, value: &str) -> Option<Result<Filter, ()>> {
    let case = state.quirks.filter_case;
    if EQUAL.contains(&key) {
        return Some(Ok(Filter::Equals(number(key)?, Pattern::new(value, case))));
    }
    if let Some(shortname) = key.strip_prefix("custom_attributes.") {
        let defined = state.definitions.iter().any(|definition| definition.shortname == shortname);
        return defined
            .then(|| Ok(Filter::Custom(shortname.to_owned(), Pattern::new(value, case))));
    }
    match key {
        "user_ids" => {
            let ids: Option<Vec<i64>> = value.split(',').map(|id| id.trim().parse().ok()).collect();
            return Some(ids.map(Filter::Ids).ok_or(()));
        }
        // No simulated user has an app.
        "app_id" => return Some(value.parse::<i64>().map(|_| Filter::Nobody).map_err(|_| ())),
        _ => {}
    }
    for (name, attribute) in BOUNDED {
        let attribute = number(attribute)?;
        let parsed = || value.parse::<Timestamp>().map_err(|_| ());
        match key.strip_prefix(name) {
            Some("_since") => return Some(parsed().map(|at| Filter::Since(attribute, at))),
            Some("_until") => return Some(parsed().map(|at| Filter::Until(attribute, at))),
            _ => {}
        }
    }
    None
}

/// Returns the users that can match: all, or the few that an index names.
fn candidates<'a>(state: &'a State, filters: &[Filter]) -> Vec<&'a User> {
    let indexed = filters.iter().find_map(|filter| match filter {
        Filter::Equals(attribute, pattern) if pattern.exact => {
            state.users.find(*attribute, &pattern.text).map(<[i64]>::to_vec)
        }
        Filter::Ids(ids) => Some(ids.clone()),
        _ => None,
    });
    match indexed {
        Some(mut ids) => {
            ids.sort_unstable();
            ids.dedup();
            ids.into_iter().filter_map(|id| state.users.get(id)).collect()
        }
        None => state.users.rows().iter().collect(),
    }
}

fn answer(state: &State, page: &Page, filters: &[Filter], shown: &Shown) -> Answer {
    let start = (page.number - 1).saturating_mul(page.limit);
    let (total, users): (usize, Vec<&User>) =
        if filters.is_empty() && page.sort == "id" && !page.descending {
            // The common scan reads only a page, not the tenant.
            let rows = state.users.rows();
            (rows.len(), rows.iter().skip(start).take(page.limit).collect())
        } else {
            let mut users = candidates(state, filters);
            users.retain(|user| filters.iter().all(|filter| filter.keeps(user)));
            let attribute = number(&page.sort).unwrap_or(0);
            users.sort_by(|a, b| a.cell(attribute).cmp(&b.cell(attribute)).then(a.id.cmp(&b.id)));
            if page.descending {
                users.reverse();
            }
            (users.len(), users.into_iter().skip(start).take(page.limit).collect())
        };
    let pages = total.div_ceil(page.limit);
    let defined: Vec<&str> =
        state.definitions.iter().map(|definition| definition.shortname.as_str()).collect();
    let mut body = Vec::with_capacity(users.len() * 768 + 2);
    body.push(b'[');
    for (position, user) in users.iter().enumerate() {
        if position > 0 {
            body.push(b',');
        }
        user.write(shown, &defined, &mut body);
    }
    body.push(b']');
    let mut answer = Answer::new(200, "application/json; charset=utf-8", body)
        .with("total-count", total)
        .with("total-pages", pages)
        .with("current-page", page.number)
        .with("page-items", users.len())
        .with("cursor", page.cursor());
    if page.number < pages {
        // The vendor's Link names a path that does not exist.
        answer = answer
            .with("after-cursor", page.at(page.number + 1).cursor())
            .with("link", format!("</api/v5/users?page={}>; rel=\"next\"", page.number + 1));
    }
    if page.number > 1 {
        answer = answer.with("before-cursor", page.at(page.number - 1).cursor());
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_text() {
        let matches = |pattern: &str, value: &str| {
            Pattern::new(pattern, FilterCase::Insensitive).matches(value)
        };
        assert!(matches("mia*", "Mia.Lang@example.com"));
        assert!(matches("*@example.com", "mia@example.com"));
        assert!(matches("m*a*com", "mia@example.com"));
        assert!(!matches("a*a", "a"));
        assert!(!matches("mia*org", "mia@example.com"));
        assert!(!Pattern::new("Mia", FilterCase::Sensitive).matches("mia"));
    }

    #[test]
    fn a_cursor_leads_to_its_page_and_a_made_up_one_nowhere() {
        let page = Page { limit: 100, number: 2, sort: "id".into(), descending: false };
        assert_eq!(Page::from_cursor(&page.cursor()), Some(page));
        assert_eq!(Page::from_cursor("190000001"), None);
        assert_eq!(Page::from_cursor(""), None);
    }
}
