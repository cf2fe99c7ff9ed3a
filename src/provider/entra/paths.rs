//! Ids, and the addresses of users.

use crate::http::client::encoded;

/// Returns whether the text can be an object id.
pub(super) fn is_id(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
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
}
