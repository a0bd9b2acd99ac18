//! The part of a `diagnosis` that a repair reads: which remedy it names, and for what.

use std::path::PathBuf;

use serde::Deserialize;

use crate::path::Subject;
use crate::record::Record;

#[derive(Deserialize)]
struct Diagnosis {
    #[serde(default)]
    remedy: Option<Remedy>,
}

#[derive(Deserialize)]
struct Remedy {
    name: String,
    #[serde(default)]
    args: Args,
}

#[derive(Default, Deserialize)]
struct Args {
    #[serde(default)]
    paths: Vec<Subject>,
}

/// The absolute paths that a diagnosis would have mended by this remedy: those that it names, where it is about what several rest on, else its
/// subject; none of any other record.
#[must_use]
pub fn paths(record: &Record, remedy: &str) -> Vec<PathBuf> {
    let named = if record.is("diagnosis") { record.read::<Diagnosis>().ok().and_then(|diagnosis| diagnosis.remedy) } else { None };
    let Some(Remedy { args, .. }) = named.filter(|named| named.name == remedy) else { return Vec::new() };
    let all = if args.paths.is_empty() { Vec::from_iter(record.subject.clone()) } else { args.paths };
    all.iter().map(|path| path.as_path().to_owned()).filter(|path| path.is_absolute()).collect()
}
