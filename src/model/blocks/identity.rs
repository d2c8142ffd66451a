//! `identity`: nothing. A search of fixed depth may leave a place empty with it.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::model::genome::GenomeError;
use crate::model::layers::identity::IdentityShape;
use crate::model::port::Port;
use crate::model::wiring::{Layer, Link, Wiring};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IdentitySpec {}

impl IdentitySpec {
    /// There is nothing to check.
    pub(crate) fn validate(&self, _place: &str) -> Result<(), GenomeError> {
        Ok(())
    }

    pub(crate) fn wiring(&self, input: Port) -> Wiring {
        Wiring::chain([Link {
            name: "identity",
            layer: Layer::Identity(IdentityShape { port: input }),
        }])
    }
}

impl fmt::Display for IdentitySpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "identity")
    }
}
