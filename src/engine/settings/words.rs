//! The provider's name in messages.

/// Returns the text with this name in place of "the provider". Code that does not know which
/// provider it works with writes "the provider".
#[must_use]
pub fn named(text: &str, provider: &str) -> String {
    text.replace("the provider", provider).replace("The provider", provider)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_provider_is_named() {
        assert_eq!(
            named("The provider says: the provider's own word.", "Entra ID"),
            "Entra ID says: Entra ID's own word."
        );
    }
}
