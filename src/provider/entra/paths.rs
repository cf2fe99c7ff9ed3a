//! Ids, and the addresses of users and of pages.

use std::borrow::Cow;

use crate::http::client::encoded;

/// Returns whether the text can be an object id.
pub(super) fn is_id(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

/// Returns the address of a page with `size` users. A next page's link has the same parameters.
pub(super) fn with_top(path: &str, size: usize) -> Cow<'_, str> {
    let Some((before, query)) = path.split_once('?') else { return path.into() };
    let with = |pair: &str| match pair.split_once('=') {
        Some((name @ ("$top" | "%24top"), _)) => format!("{name}={size}"),
        _ => pair.to_owned(),
    };
    let pairs: Vec<String> = query.split('&').map(with).collect();
    format!("{before}?{}", pairs.join("&")).into()
}

/// Returns the path of one user. A key is one segment of it. A key that begins with a dollar sign
/// needs the form with parentheses (Microsoft Graph, "Get a user").
pub(super) fn user_path(key: &str) -> String {
    if key.starts_with('$') {
        return format!("/users('{}')", encoded(&key.replace('\'', "''")));
    }
    format!("/users/{}", encoded(key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_one_segment() {
        for (key, path) in [
            ("noa+1/x#y@example.com", "/users/noa%2B1%2Fx%23y@example.com"),
            ("../../é", "/users/..%2F..%2F%C3%A9"),
            ("$noa@example.com", "/users('%24noa@example.com')"),
            ("$o'x@example.com", "/users('%24o%27%27x@example.com')"),
        ] {
            assert_eq!(user_path(key), path);
        }
    }

    #[test]
    fn a_link_to_a_smaller_page_differs_in_its_size_only() {
        assert_eq!(
            with_top("/v1.0/users?$select=id&$top=100", 50),
            "/v1.0/users?$select=id&$top=50"
        );
        assert_eq!(
            with_top("/v1.0/users?%24top=100&%24skiptoken=a%3D", 7),
            "/v1.0/users?%24top=7&%24skiptoken=a%3D"
        );
        assert_eq!(with_top("/v1.0/users?$skiptoken=x", 7), "/v1.0/users?$skiptoken=x");
        assert_eq!(with_top("/v1.0/users", 7), "/v1.0/users");
    }
}
