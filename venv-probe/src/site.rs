//! Where an environment keeps its packages, and what is known of its Python without starting it.

use std::path::{Path, PathBuf};

/// An environment as the judges of its packages see it.
#[derive(Debug)]
pub(crate) struct Site<'a> {
    /// Root of the environment.
    pub(crate) root: &'a Path,
    /// Its own site-packages folders that exist (lib and, where it is another folder, lib64).
    pub(crate) folders: Vec<PathBuf>,
    /// Site folders of the base that `include-system-site-packages` lets in, in the order of `sys.path`; else empty.
    pub(crate) inherited: Vec<PathBuf>,
    /// `X.Y` of lib/pythonX.Y.
    pub(crate) minor: (u8, u8),
    /// Full version, as far as known: of the interpreter that answered, of pyvenv.cfg, or `X.Y`.
    pub(crate) version: String,
    /// `cpython`, `pypy`, …
    pub(crate) implementation: String,
}
