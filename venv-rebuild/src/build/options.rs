//! What the caller wants of a build.

use std::time::Duration;

/// Which program installs the packages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Installer {
    /// uv where it is on PATH, else pip.
    #[default]
    Auto,
    /// uv.
    Uv,
    /// pip.
    Pip,
}

/// What the caller wants of a build.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    /// Another Python than the old one, as (major, minor).
    pub(crate) python: Option<(u8, u8)>,
    /// Which program installs the packages.
    pub(crate) installer: Installer,
    /// The time that one installer call may take.
    pub(crate) timeout: Duration,
    /// Whether packages that the project's file does not bring are left out.
    pub(crate) only_source: bool,
}
