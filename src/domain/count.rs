//! Numbers in sentences.

/// Returns the number with the word for one or for several.
#[must_use]
pub fn counted(number: u32, one: &str, several: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { several })
}

/// Returns the number of employees.
#[must_use]
pub fn employees(number: u32) -> String {
    counted(number, "employee", "employees")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_one_and_all_others_are_several() {
        assert_eq!([0, 1, 2].map(employees), ["0 employees", "1 employee", "2 employees"]);
        assert_eq!(counted(1, "change", "changes"), "1 change");
    }
}
