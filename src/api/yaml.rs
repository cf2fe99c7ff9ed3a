//! Block-style YAML for the CRD files. Every scalar that could be misread is quoted, and keys keep
//! the order of the JSON.

use serde_json::Value;

/// Appends `value`, which must be an object, as a YAML document.
pub fn write(value: &Value, out: &mut String) {
    node(value, 0, out);
}

fn node(value: &Value, depth: usize, out: &mut String) {
    match value {
        Value::Object(map) => {
            for (key, child) in map {
                indent(depth, out);
                entry(&quoted_key(key), child, depth, out);
            }
        }
        Value::Array(items) => {
            for item in items {
                indent(depth, out);
                match item {
                    Value::Object(map) if !map.is_empty() => {
                        for (position, (key, child)) in map.iter().enumerate() {
                            if position == 0 {
                                out.push_str("- ");
                            } else {
                                indent(depth + 1, out);
                            }
                            entry(&quoted_key(key), child, depth + 1, out);
                        }
                    }
                    other => {
                        out.push_str("- ");
                        out.push_str(&other.to_string());
                        out.push('\n');
                    }
                }
            }
        }
        scalar => {
            out.push_str(&scalar.to_string());
            out.push('\n');
        }
    }
}

fn entry(key: &str, child: &Value, depth: usize, out: &mut String) {
    out.push_str(key);
    out.push(':');
    let nested = match child {
        Value::Object(map) => !map.is_empty(),
        Value::Array(items) => !items.is_empty(),
        _ => false,
    };
    if nested {
        out.push('\n');
        node(child, depth + 1, out);
    } else {
        out.push(' ');
        // JSON scalars and empty collections are valid YAML without changes.
        out.push_str(&child.to_string());
        out.push('\n');
    }
}

fn indent(depth: usize, out: &mut String) {
    out.extend(std::iter::repeat_n("  ", depth));
}

fn quoted_key(key: &str) -> String {
    let plain =
        key.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/'))
            && !matches!(
                key,
                "" | "true" | "false" | "null" | "yes" | "no" | "on" | "off" | "y" | "n" | "-"
            );
    if plain && !key.starts_with(|c: char| c.is_ascii_digit() || c == '-') {
        key.to_owned()
    } else {
        Value::String(key.to_owned()).to_string()
    }
}
