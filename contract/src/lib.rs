//! What every mendline tool promises every other, on the wire, on disk and to the shell.
//!
//! A thing belongs here only if two tools would disagree when each wrote its own.
//! The protocol in words, with an example of every record type, is `contract/README.md`.

pub mod action;
pub mod audit;
pub mod child;
pub mod diagnosis;
pub mod duration;
mod generate;
pub mod input;
pub mod lock;
pub mod missing;
pub mod mounts;
pub mod output;
pub mod path;
pub mod pathset;
pub mod pep508;
pub mod process;
pub mod progress;
pub mod project;
pub mod record;
pub mod redact;
pub mod replace;
pub mod run;
pub mod secret;
pub mod shell;
pub mod sibling;
pub mod signal;
pub mod state;
pub mod trust;
pub mod venv;
