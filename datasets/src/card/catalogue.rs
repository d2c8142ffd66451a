//! The cards that come with the program, and those that people write.

use std::path::Path;
use std::sync::LazyLock;

use super::{CardError, CardSpec};

/// File and text of each, in the order of a list.
macro_rules! cards {
    ($($name:literal)*) => {
        [$(($name, include_str!(concat!("../../cards/", $name, ".toml")))),*]
    };
}

const TEXTS: [(&str, &str); 14] = cards![
    "speech-commands-v1"
    "speech-commands-v2"
    "free-spoken-digit"
    "arabic-speech-commands"
    "mswc"
    "mswc-microset"
    "common-voice"
    "voxlingua107"
    "common-language"
    "fleurs"
    "librispeech"
    "esc-50"
    "musan"
    "rirs-noises"
];

static CARDS: LazyLock<Vec<CardSpec>> = LazyLock::new(|| {
    TEXTS
        .iter()
        .map(|(name, text)| {
            CardSpec::parse(&format!("cards/{name}.toml"), text)
                .expect("a test parses every card that is compiled in")
        })
        .collect()
});

/// All of them.
pub fn cards() -> &'static [CardSpec] {
    &CARDS
}

/// The card of that name, or the one in that file: a name that ends in `.toml`.
///
/// # Errors
///
/// [`CardError::NoCard`], with those there are; a file that cannot be read or is no card.
pub fn card(name: &str) -> Result<&'static CardSpec, CardError> {
    if Path::new(name).extension().is_some_and(|end| end == "toml") {
        let text = std::fs::read_to_string(name).map_err(|error| CardError::Parse {
            file: name.to_owned(),
            message: error.to_string(),
        })?;
        // It lives as long as those that come with the program.
        return Ok(Box::leak(Box::new(CardSpec::parse(name, &text)?)));
    }
    cards()
        .iter()
        .find(|card| card.name == name)
        .ok_or_else(|| CardError::NoCard {
            found: name.to_owned(),
            known: super::names(cards().iter().map(|card| &card.name)),
        })
}
