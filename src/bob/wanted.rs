//! The paths of the wanted fields in Bob's JSON, worked out once for each pass.
//!
//! Bob gives one value up to three times (apidocs.hibob.com, "People read API contract"): nested by
//! its path (`"work": {"title": ..}`, `root.*` without `root`), flat under a slash key
//! (`"/work/title": {"value": ..}`), and as a label for people under `humanReadable`, nested by the
//! same path.

use std::collections::HashMap;

use super::catalogue::plain_path;
use crate::domain::employee::Fields;

/// What kind of value a field has, as far as its id says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ValueKind {
    /// An employee: the id is the value, and never the name.
    Reference,
    /// A day that decides about access: the machine's value is always the value.
    Date,
    /// The name of an employee: the label for people, and never the id.
    Name,
    /// Everything else: the label for people is the value if there is one.
    Label,
}

/// Fields with the id of an employee as their value.
pub const REFERENCES: [&str; 4] =
    ["root.id", "work.manager", "work.secondLevelManager", "work.reportsTo"];
const DATES: [&str; 5] = [
    "work.startDate",
    "internal.terminationDate",
    "employee.lastDayOfWork",
    "employee.recentLeaveStartDate",
    "employee.recentLeaveEndDate",
];

/// The only object that is an employee. If it is null there is no manager, so the fields inside it
/// (such as the manager's e-mail) are empty too. A category that is null does not show that.
const PERSON: [&str; 2] = ["work", "reportsTo"];

/// A name on the path to a field.
#[derive(Debug, Default)]
pub(super) struct Node {
    name: Box<str>,
    /// The field with a path that ends here.
    pub field: Option<usize>,
    pub children: Vec<Node>,
    pub person: bool,
}

/// The paths of all wanted fields.
#[derive(Debug, Default)]
pub(super) struct FieldPaths {
    /// The nested form. The nodes are below a root without a name.
    pub nested: Node,
    /// The flat form.
    pub slash: Node,
    pub kinds: Box<[ValueKind]>,
    /// The fields that are the name behind a reference, with the field of the reference.
    pub labels: Vec<(usize, usize)>,
}

impl FieldPaths {
    /// Returns the paths of these fields. `moved` has the paths of fields that are not where their
    /// ids say.
    pub fn new(fields: &Fields, moved: &HashMap<Box<str>, Box<str>>) -> Self {
        let mut wanted = Self { labels: fields.labels().collect(), ..Self::default() };
        for (field, id) in fields.ids().iter().enumerate() {
            if wanted.labels.iter().any(|(label, _)| *label == field) {
                continue;
            }
            let path = moved.get(id).map_or_else(|| plain_path(id), |path| &**path);
            let path: Vec<&str> = path.split('.').collect();
            wanted.nested.add(&path, field);
            let key = format!("/{}", id.replace('.', "/"));
            wanted.slash.add(&[&key], field);
        }
        if let Some(person) =
            wanted.nested.child_mut(PERSON[0]).and_then(|work| work.child_mut(PERSON[1]))
        {
            person.person = true;
        }
        wanted.kinds = fields.ids().iter().map(|id| kind(id)).collect();
        for (label, _) in &wanted.labels {
            wanted.kinds[*label] = ValueKind::Name;
        }
        wanted
    }
}

impl Node {
    fn add(&mut self, path: &[&str], field: usize) {
        let Some((name, rest)) = path.split_first() else {
            // If two ids have one path ("root.id" and a misspelt "id"), the first keeps it, because
            // decision fields come first.
            self.field.get_or_insert(field);
            return;
        };
        if self.child_mut(name).is_none() {
            self.children.push(Self { name: (*name).into(), ..Self::default() });
        }
        if let Some(child) = self.child_mut(name) {
            child.add(rest, field);
        }
    }

    fn child_mut(&mut self, name: &str) -> Option<&mut Self> {
        self.children.iter_mut().find(|child| *child.name == *name)
    }

    /// Returns the child with this name. Tries the place `hint` first, because Bob sends keys in
    /// the same order again and again.
    pub fn child(&self, name: &str, hint: usize) -> Option<usize> {
        match self.children.get(hint) {
            Some(child) if *child.name == *name => Some(hint),
            _ => self.children.iter().position(|child| *child.name == *name),
        }
    }

    /// Calls `act` for every field at or below this node.
    pub fn each_field(&self, act: &mut impl FnMut(usize)) {
        if let Some(field) = self.field {
            act(field);
        }
        for child in &self.children {
            child.each_field(act);
        }
    }
}

fn kind(id: &str) -> ValueKind {
    if REFERENCES.contains(&id) {
        ValueKind::Reference
    } else if DATES.contains(&id) {
        ValueKind::Date
    } else {
        ValueKind::Label
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_fields_stand_at_the_top_and_dots_are_levels() {
        let mut fields = Fields::default();
        let custom = fields.want("work.custom.field_100");
        let moved = [("work.custom.field_7".into(), "elsewhere.seven".into())].into();
        let seven = fields.want("work.custom.field_7");
        let wanted = FieldPaths::new(&fields, &moved);
        let elsewhere = &wanted.nested.children[wanted.nested.child("elsewhere", 0).unwrap()];
        assert_eq!(elsewhere.children[elsewhere.child("seven", 0).unwrap()].field, Some(seven));
        assert_eq!(wanted.nested.children[wanted.nested.child("id", 9).unwrap()].field, Some(0));
        let work = &wanted.nested.children[wanted.nested.child("work", 0).unwrap()];
        let inner = &work.children[work.child("custom", 0).unwrap()];
        assert_eq!(inner.children[inner.child("field_100", 0).unwrap()].field, Some(custom));
        let flat = &wanted.slash;
        assert_eq!(
            flat.children[flat.child("/work/custom/field_100", 0).unwrap()].field,
            Some(custom)
        );
        assert_eq!(flat.children[flat.child("/root/id", 5).unwrap()].field, Some(0));
    }
    #[test]
    fn a_misspelt_field_does_not_take_a_decision_fields_place() {
        let mut fields = Fields::default();
        fields.want("id");
        let wanted = FieldPaths::new(&fields, &HashMap::new());
        assert_eq!(wanted.nested.children[wanted.nested.child("id", 0).unwrap()].field, Some(0));
    }
}
