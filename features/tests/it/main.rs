//! What the next room sees of the front-end.

mod allocation;
mod golden;
mod sound;
mod stream;
