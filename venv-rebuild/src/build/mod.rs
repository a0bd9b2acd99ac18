//! Building an environment: which interpreter, what it is to be like, which packages, and the installers that put them there.
//!
//! Nothing here touches the environment that is broken: all of it happens in a folder aside, which the driver verifies and swaps in.

mod belongings;
mod carry;
mod closure;
mod create;
mod dist;
mod environment;
mod handover;
mod install;
pub(crate) mod interpreter;
mod locks;
mod makers;
mod markers;
mod options;
mod ours;
mod pin;
mod places;
mod project;
mod pyproject;
mod reason;
mod recovered;
pub(crate) mod redact;
mod reinstall;
mod remains;
mod requirements;
mod seed;
mod set;
mod skeleton;
mod spec;
mod tool;
mod trust;

use std::process::Command;

use contract::child::Finished;

pub(crate) use belongings::{Belongings, SPECIAL, belongings};
pub(crate) use create::{Built, create};
pub(crate) use handover::hand_over;
pub(crate) use interpreter::Interpreter;
pub(crate) use makers::hides_all;
pub(crate) use options::{Installer, Options};
pub(crate) use ours::{Untrusted, breach_of_environment};
pub(crate) use pin::Pin;
pub(crate) use reinstall::{reinstall, replaced};
pub(crate) use seed::seed_pip;
pub(crate) use set::{PackageSet, Source, package_set};
pub(crate) use spec::{Spec, spec};

/// What could not be installed, each with the reason.
pub(crate) type Failed = Vec<(pin::Pin, String)>;

/// Runs one installer: writes what it says to the log, ends it when its time is over, and returns how it ended with the last of
/// both streams (a few kB), from which the reason of a failure is taken. An error means that it could not be started or that a
/// signal asked us to stop, and ends the build.
pub(crate) type Run<'a> = dyn FnMut(&mut Command) -> anyhow::Result<Finished> + 'a;
