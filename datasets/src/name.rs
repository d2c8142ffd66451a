//! Labels, speakers and sources: few in a corpus, and said by row after row.

use std::borrow::Borrow;
use std::collections::HashSet;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// A label, a speaker or a source. Copies share one text, and each takes no more than a pointer.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Name(Arc<Box<str>>);

impl Name {
    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Deref for Name {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for Name {
    fn borrow(&self) -> &str {
        self
    }
}

impl From<&str> for Name {
    fn from(text: &str) -> Self {
        Name(Arc::new(text.into()))
    }
}

impl From<String> for Name {
    fn from(text: String) -> Self {
        Name(Arc::new(text.into()))
    }
}

impl PartialEq<str> for Name {
    fn eq(&self, other: &str) -> bool {
        **self == *other
    }
}

impl PartialEq<&str> for Name {
    fn eq(&self, other: &&str) -> bool {
        **self == **other
    }
}

impl PartialEq<String> for Name {
    fn eq(&self, other: &String) -> bool {
        **self == **other
    }
}

impl PartialEq<Name> for String {
    fn eq(&self, other: &Name) -> bool {
        **self == **other
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

/// The names that a reader has met.
#[derive(Default)]
pub(crate) struct Names(HashSet<Name>);

impl Names {
    /// Puts the texts that were met first in place of equal ones.
    pub(crate) fn share<'a>(&mut self, names: impl IntoIterator<Item = &'a mut Name>) {
        for name in names {
            match self.0.get(&**name) {
                Some(known) => name.clone_from(known),
                None => {
                    self.0.insert(name.clone());
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_names_share_their_text_once_a_reader_has_met_both() {
        let mut names = Names::default();
        let [mut first, mut second, mut other] = ["ann", "ann", "bob"].map(Name::from);
        assert!(!Arc::ptr_eq(&first.0, &second.0));
        names.share([&mut first, &mut second, &mut other]);
        assert!(Arc::ptr_eq(&first.0, &second.0));
        assert_eq!((first.clone(), other), ("ann".into(), "bob".into()));
        assert_eq!(first, "ann");
    }
}
