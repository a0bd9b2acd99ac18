//! What is to be mended: the remedy that a diagnosis names, with what it needs to know, or a file that was named.

use std::path::{Path, PathBuf};

use clap::ValueEnum as _;
use contract::diagnosis;
use contract::output::Output;
use contract::path::Subject;
use contract::record::{About, Record, Status};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::arguments::Name;

/// One thing to mend. It is kept in the journal, so that another run can check whether it helped.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Asked {
    /// As in the record.
    pub(crate) remedy: String,
    #[serde(default)]
    pub(crate) args: Map<String, Value>,
    #[serde(default)]
    pub(crate) subject: Option<Subject>,
    /// What the diagnosis calls it.
    #[serde(default)]
    pub(crate) code: Option<String>,
    /// The id of the diagnosis.
    #[serde(default)]
    pub(crate) cause: Vec<String>,
    /// What a sibling would mend.
    #[serde(skip)]
    pub(crate) paths: Vec<PathBuf>,
    /// The record, for a sibling that reads it itself.
    #[serde(skip)]
    pub(crate) raw: String,
}

#[derive(Deserialize)]
struct Diagnosis {
    #[serde(default)]
    code: Option<String>,
    #[serde(default)]
    severity: Option<Status>,
    #[serde(default)]
    remedy: Option<Remedy>,
}

#[derive(Deserialize)]
struct Remedy {
    name: String,
    #[serde(default)]
    args: Map<String, Value>,
}

impl Asked {
    /// What a record asks for; nothing where it is no diagnosis, says that nothing is known, or names a
    /// remedy that others have, as deploy-watch does.
    ///
    /// # Errors
    /// Nothing can be written.
    pub(crate) fn by(out: &mut Output, record: &Record, raw: &str) -> anyhow::Result<Option<Self>> {
        if !record.is("diagnosis") {
            return Ok(None);
        }
        let cause = vec![record.id.clone()];
        let diagnosis: Diagnosis = match record.read() {
            Ok(diagnosis) => diagnosis,
            Err(e) => {
                let about = About { subject: record.subject.as_ref(), cause: &cause };
                return out.error("input.bad-data", about, None, &format!("{e:#}")).map(|()| None);
            }
        };
        let Some(Remedy { name, args }) = diagnosis.remedy.filter(|_| diagnosis.severity != Some(Status::Unknown)) else { return Ok(None) };
        let paths = diagnosis::paths(record, &name);
        let (subject, raw) = (record.subject.clone(), raw.to_owned());
        let asked = Self { remedy: name, args, subject, code: diagnosis.code, cause, paths, raw };
        Ok(Some(asked).filter(|asked| asked.name().is_some()))
    }

    /// What a file is mended by that is named itself.
    pub(crate) fn for_file(path: &Path) -> Option<Self> {
        let remedy = match path.extension()?.to_str()? {
            "py" | "pyw" => "fix-syntax",
            "json" | "jsonc" | "code-workspace" => "repair-json",
            _ => return None,
        };
        let file = Value::from(path.to_str()?);
        Some(Self {
            remedy: remedy.to_owned(),
            args: Map::from_iter([("file".to_owned(), file)]),
            subject: Some(Subject::from(path)),
            ..Self::default()
        })
    }

    /// The remedy, if it is one of ours.
    pub(crate) fn name(&self) -> Option<Name> {
        Name::from_str(&self.remedy, false).ok()
    }

    /// An argument that is text.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.args.get(name).and_then(Value::as_str).filter(|text| !text.is_empty())
    }

    /// The same with another argument.
    pub(crate) fn with(&self, name: &str, path: &Path) -> Self {
        let mut asked = self.clone();
        asked.args.insert(name.to_owned(), path.to_string_lossy().into());
        asked
    }

    /// An argument that is a path.
    pub(crate) fn path(&self, name: &str) -> Option<PathBuf> {
        self.text(name).map(PathBuf::from)
    }

    /// The path that it is about, as far as the diagnosis tells.
    pub(crate) fn target(&self) -> Option<PathBuf> {
        match self.name()? {
            Name::FixPermissions | Name::CreatePath => self.path("path"),
            Name::RepairJson | Name::FixSyntax | Name::FixImport => self.path("file"),
            Name::InstallModule | Name::RestartService | Name::VenvRebuild | Name::RegistryRepair => None,
        }
    }

    /// An argument that is a number of a line.
    pub(crate) fn line(&self) -> Option<usize> {
        self.text("line").and_then(|line| line.parse().ok())
    }
}
