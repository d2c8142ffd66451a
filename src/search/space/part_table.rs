//! The options of one kind of place (block, head, reduction): tables of values, and what each option is.

use std::collections::HashSet;
use std::fmt::Debug;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{Choices, KindChoices, SpaceError};
use crate::search::domain::Alphabet;

/// Options that are built once and kept; of larger alphabets each is built when it is asked for.
const MAX_BUILT: u32 = 4_096;

/// Options of a part of type `T`, numbered as its alphabet numbers them.
#[derive(Clone, Debug)]
pub(super) struct PartTable<T> {
    tables: Vec<Table>,
    alphabet: Alphabet,
    built: Vec<T>,
}

/// One kind and its fields, each with its values as the part itself writes them.
#[derive(Clone, Debug)]
struct Table {
    kind: Option<String>,
    fields: Vec<(String, Vec<Value>)>,
}

impl<T: Clone + PartialEq + Serialize + DeserializeOwned> PartTable<T> {
    /// Tables with a kind each; `check` refuses a part with the reason.
    pub fn of_kinds(
        place: &str,
        choices: &[KindChoices],
        check: impl Fn(&T, &str) -> Result<(), String>,
    ) -> Result<Self, SpaceError> {
        let mut kinds = HashSet::new();
        let mut tables = Vec::with_capacity(choices.len());
        for KindChoices { kind, fields } in choices {
            let place = format!("{place} ({kind})");
            if !kinds.insert(kind) {
                return Err(SpaceError::Twice {
                    place,
                    field: "kind".into(),
                    found: kind.clone(),
                });
            }
            tables.push(Table::new(&place, Some(kind), fields, &check)?);
        }
        Self::new(tables)
    }

    /// One table of fields alone.
    pub fn of_fields(
        place: &str,
        fields: &Choices,
        check: impl Fn(&T, &str) -> Result<(), String>,
    ) -> Result<Self, SpaceError> {
        Self::new(vec![Table::new(place, None, fields, &check)?])
    }

    fn new(tables: Vec<Table>) -> Result<Self, SpaceError> {
        let n_values = |table: &Table| {
            let fields = table.fields.iter();
            fields.map(|(_, values)| values.len() as u32).collect()
        };
        let alphabet = Alphabet::new(tables.iter().map(n_values).collect())?;
        let mut table = Self {
            tables,
            alphabet,
            built: Vec::new(),
        };
        if table.alphabet.n_options() <= MAX_BUILT {
            table.built = (0..table.alphabet.n_options())
                .map(|option| table.build(option))
                .collect();
        }
        Ok(table)
    }

    pub fn alphabet(&self) -> &Alphabet {
        &self.alphabet
    }

    /// What the option is.
    pub fn part(&self, option: u32) -> T {
        match self.built.get(option as usize) {
            Some(part) => part.clone(),
            None => self.build(option),
        }
    }

    fn build(&self, option: u32) -> T {
        let table = &self.tables[self.alphabet.kind(option)];
        let mut whole = tagged(table.kind.as_deref());
        for ((field, values), digit) in table.fields.iter().zip(self.alphabet.digits(option)) {
            whole.insert(field.clone(), values[digit as usize].clone());
        }
        serde_json::from_value(Value::Object(whole))
            .expect("every value was built with when checked")
    }

    /// The option that is such a part; `None` where the tables do not have it.
    pub fn option(&self, part: &T) -> Option<u32> {
        let value = serde_json::to_value(part).ok()?;
        let kind = value.get("kind").and_then(Value::as_str);
        let at = self
            .tables
            .iter()
            .position(|table| table.kind.is_none() || table.kind.as_deref() == kind)?;
        let fields = self.tables[at].fields.iter();
        let digits: Option<Vec<u32>> = fields
            .map(|(field, values)| {
                let found = value.get(field)?;
                let digit = values.iter().position(|value| value == found)?;
                Some(digit as u32)
            })
            .collect();
        let option = self.alphabet.option(at, &digits?);
        (self.part(option) == *part).then_some(option)
    }
}

impl Table {
    /// Builds and checks the part with every value of every field, the other fields at their first.
    fn new<T: Serialize + DeserializeOwned>(
        place: &str,
        kind: Option<&str>,
        fields: &Choices,
        check: &impl Fn(&T, &str) -> Result<(), String>,
    ) -> Result<Self, SpaceError> {
        let build = |values: &Choices| {
            let no_such = |reason: String| SpaceError::NoSuch {
                place: place.into(),
                reason,
            };
            let part: T = serde_json::from_value(Value::Object(values.clone()))
                .map_err(|error| no_such(error.to_string()))?;
            check(&part, place).map_err(no_such)?;
            serde_json::to_value(part).map_err(|error| no_such(error.to_string()))
        };
        let mut first = tagged(kind);
        for (field, values) in fields {
            let list = values.as_array().filter(|list| !list.is_empty());
            let list = list.ok_or_else(|| SpaceError::NotAList {
                place: place.into(),
                field: field.clone(),
                found: values.to_string(),
            })?;
            first.insert(field.clone(), list[0].clone());
        }
        build(&first)?;
        let mut checked = Vec::with_capacity(fields.len());
        for (field, values) in fields {
            let mut written: Vec<Value> = Vec::new();
            for value in values.as_array().into_iter().flatten() {
                let mut one = first.clone();
                one.insert(field.clone(), value.clone());
                // As the part writes it, so that what it writes is found again.
                let part = build(&one)?;
                let value = part.get(field).unwrap_or(value).clone();
                if written.contains(&value) {
                    return Err(SpaceError::Twice {
                        place: place.into(),
                        field: field.clone(),
                        found: value.to_string(),
                    });
                }
                written.push(value);
            }
            checked.push((field.clone(), written));
        }
        Ok(Self {
            kind: kind.map(str::to_owned),
            fields: checked,
        })
    }
}

fn tagged(kind: Option<&str>) -> Choices {
    let kind = kind.map(|kind| ("kind".to_owned(), Value::from(kind)));
    kind.into_iter().collect()
}
