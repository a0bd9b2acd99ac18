//! Payload of `venv.probe`: the verdict on one Python environment. `venv-probe` writes it; repairs, `diagnose` and `report` read it.

use serde::{Deserialize, Serialize};

use crate::path::Subject;
use crate::record::Status;

/// The type of the record.
pub const KIND: &str = "venv.probe";

/// The type of the record that names another way to an environment: the subject is a link, or a `.venv` file that redirects.
pub const ALIAS: &str = "venv.alias";

/// Payload of `venv.alias`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Alias {
    /// The environment that it leads to.
    pub of: Subject,
}

/// The verdict on one environment. The subject of the record is its root folder.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Probe {
    /// The worst of the faults.
    pub status: Status,
    /// What stands there.
    pub layout: Layout,
    /// What made it: `venv`, `virtualenv`, `uv`; absent where nothing tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub creator: Option<String>,
    /// Full version: of the interpreter that answered, else as recorded in `pyvenv.cfg`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub python: Option<String>,
    /// `X.Y` of the `lib/pythonX.Y` that holds the packages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minor: Option<String>,
    /// The interpreter at the end of the links.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<Subject>,
    /// Whether pip is there, and whether it should be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pip: Option<Pip>,
    /// Distributions with metadata.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub packages: Option<u64>,
    /// How far the probe looked.
    pub level: Level,
    /// What the verdict that it starts rests on.
    pub proof: Proof,
    /// What is wrong, worst first.
    #[serde(default)]
    pub faults: Vec<Finding>,
    /// What is worth knowing and no fault.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<Finding>,
    /// Milliseconds that judging took, waiting for a shared start included.
    pub took_ms: u64,
}

/// What stands at the subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Layout {
    /// A virtual environment of PEP 405, whole or damaged.
    Venv,
    /// A conda environment: named, not judged.
    Conda,
    /// A virtual environment of Windows: named, not judged.
    Windows,
    /// A `.venv` file or link that leads to nothing.
    Redirect,
    /// A layout that a newer writer knows.
    #[serde(other)]
    Other,
}

/// Whether pip is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pip {
    /// It is.
    Present,
    /// It is not, as whoever made the environment wanted.
    AbsentByDesign,
    /// It is not, or not whole, and should be.
    Missing,
    /// A state that a newer writer knows.
    #[serde(other)]
    Other,
}

/// How far a probe looked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Files, and an interpreter start where one was needed.
    Default,
    /// Every recorded file hashed, dependencies and drift computed.
    Deep,
    /// A level that a newer writer knows.
    #[serde(other)]
    Other,
}

/// What a verdict rests on.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Proof {
    /// The kind of evidence.
    pub by: ProofKind,
    /// With [`ProofKind::Class`]: the environment whose interpreter was started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<Subject>,
    /// Why no interpreter was started where one would have been.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// The kind of evidence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ProofKind {
    /// Its own interpreter was started.
    Start,
    /// The interpreter of an environment with the same base and the same start-up code was started.
    Class,
    /// Files alone.
    Files,
    /// A kind that a newer writer knows.
    #[serde(other)]
    Other,
}

/// One thing found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Stable name; `venv-probe --explain CODE` tells more.
    pub code: String,
    /// How bad it is; absent in a note.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub severity: Option<Status>,
    /// One sentence for a person.
    pub text: String,
    /// What was seen: a path, a line, an error message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<Subject>,
    /// The distribution concerned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub package: Option<Package>,
    /// The least that mends it; absent where nothing automatic does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repair: Option<Repair>,
}

/// An installed distribution.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Package {
    /// Normalised as the names specification (PEP 503) has it.
    pub name: String,
    /// As its metadata or the name of its `dist-info` folder says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}

/// The rungs of the repair ladder, least first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Repair {
    /// Write `pyvenv.cfg` again.
    Config,
    /// Point `bin/python*` (or `lib64`) at a fitting interpreter again.
    Relink,
    /// Rewrite the paths that scripts and activate files carry.
    Relocate,
    /// Remove what no distribution owns and nothing can use.
    Litter,
    /// Put pip back.
    Pip,
    /// Reinstall the named distributions at their recorded versions.
    Packages,
    /// Build the environment anew.
    Rebuild,
    /// A rung that a newer writer knows.
    #[serde(other)]
    Other,
}
