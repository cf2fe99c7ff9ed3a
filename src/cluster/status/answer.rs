//! The API server's answer to a write that it refused, in words that may be shown. The answer names
//! the quota, the policy or the webhook, and may contain values of the object.

/// The longest answer that is kept, in characters.
const LONGEST: usize = 300;
/// The texts that come before a value of the object.
const VALUES: [&str; 4] =
    ["Invalid value: ", "Unsupported value: ", "Duplicate value: ", "Required value: "];

/// Returns the answer on one line, without values of the object and without addresses, and of
/// limited length.
pub(super) fn shown(message: &str) -> String {
    let line = message.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut rest = line.as_str();
    let mut text = String::new();
    while let Some(end) =
        VALUES.iter().filter_map(|word| rest.find(word).map(|at| at + word.len())).min()
    {
        text.push_str(&rest[..end]);
        let length = length_of_value(&rest[end..]);
        if length > 0 {
            text.push('…');
        }
        rest = &rest[end + length..];
    }
    text.push_str(rest);
    let words: Vec<&str> =
        text.split(' ').map(|word| if word.contains('@') { "…" } else { word }).collect();
    let text = words.join(" ");
    let text = text.trim_end_matches('.');
    if text.chars().count() <= LONGEST {
        text.to_owned()
    } else {
        text.chars().take(LONGEST - 1).chain(['…']).collect()
    }
}

/// Returns how many bytes at the beginning of the text belong to the value.
fn length_of_value(text: &str) -> usize {
    if !text.starts_with('"') {
        // The value is a number, a list or an object. It ends where the sentence about it ends.
        return text.find(": ").unwrap_or(text.len());
    }
    let mut escaped = false;
    let end = text.char_indices().skip(1).find(|(_, c)| {
        let ends = *c == '"' && !escaped;
        escaped = *c == '\\' && !escaped;
        ends
    });
    end.map_or(text.len(), |(at, _)| at + 1)
}

#[cfg(test)]
mod tests {
    use super::shown;

    #[test]
    fn what_refused_is_named_and_values_are_not() {
        let quota = "employeesyncs.bobsync.dev \"onelogin-7\" is forbidden: exceeded quota: \
            objects, requested: \
                     count/employeesyncs.bobsync.dev=1, used: count/employeesyncs.bobsync.dev=5, \
                     limited: count/employeesyncs.bobsync.dev=5";
        assert_eq!(shown(quota), quota);
        let policy = "employeesyncs.bobsync.dev \"onelogin-7\" is forbidden: \
            ValidatingAdmissionPolicy 'names' with binding 'all' denied \
                      request: not this one.";
        assert_eq!(shown(policy), policy.trim_end_matches('.'));
        assert_eq!(
            shown("admission webhook \"deny.example.com\" denied\nthe request"),
            "admission webhook \"deny.example.com\" denied the request"
        );
        let invalid = "EmployeeSync \"onelogin-7\" is invalid: [status.username: Invalid \
            value: \"no\\\"a\": too short, \
                       spec: Invalid value: {\"a\":1}: no, status.access: Unsupported \
                       value: \"Open\"]";
        let clean = "EmployeeSync \"onelogin-7\" is invalid: [status.username: Invalid value: …: \
            too short, spec: Invalid value: …: no, \
                     status.access: Unsupported value: …]";
        assert_eq!(shown(invalid), clean);
        assert_eq!(shown("denied: noa@example.com has no leave"), "denied: … has no leave");
        assert_eq!(shown(&"x".repeat(1000)).chars().count(), 300);
    }
}
