//! Stub until merged.
use super::employee::{Employee, FieldIndex, Fields};
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expression {
    fields: Vec<FieldIndex>,
}
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome<T> {
    Value(T),
    Empty,
    Hidden,
}
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Failure(String);
impl Expression {
    pub fn compile(_text: &str, _fields: &mut Fields) -> Result<Self, String> {
        Err("stub".into())
    }
    pub fn fields(&self) -> &[FieldIndex] {
        &self.fields
    }
    pub fn text(&self, _e: &Employee) -> Result<Outcome<String>, Failure> {
        Ok(Outcome::Hidden)
    }
    pub fn holds(&self, _e: &Employee) -> Result<Outcome<bool>, Failure> {
        Ok(Outcome::Hidden)
    }
}
