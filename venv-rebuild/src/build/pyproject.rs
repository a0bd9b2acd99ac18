//! `pyproject.toml`: what a project demands in the standard table (PEP 621).

use std::fs;
use std::path::Path;

use serde::Deserialize;

/// What the file says of the project's dependencies.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Demands {
    /// These (PEP 508).
    Lines(Vec<String>),
    /// They stand in a tool's own table, which that tool alone can read.
    Elsewhere,
    /// Nothing.
    None,
}

#[derive(Default, Deserialize)]
struct Pyproject {
    #[serde(default)]
    project: Project,
    #[serde(default)]
    tool: toml::Table,
}

#[derive(Default, Deserialize)]
struct Project {
    name: Option<String>,
    #[serde(default)]
    dependencies: Vec<String>,
}

/// Reads what the project demands; one that cannot be read demands nothing.
pub(super) fn demands(path: &Path) -> Demands {
    let read = || toml::from_str::<Pyproject>(&fs::read_to_string(path).ok()?).ok();
    let Some(Pyproject { project, tool }) = read() else { return Demands::None };
    let own = project.name.and_then(|name| super::pin::normalised(&name).ok());
    let is_own = |line: &str| super::markers::requirement(line).is_some_and(|asked| Some(asked.name.to_string()) == own);
    if !project.dependencies.is_empty() {
        // A project may ask for extras of its own.
        return Demands::Lines(project.dependencies.into_iter().filter(|line| !is_own(line)).collect());
    }
    let elsewhere = tool.get("poetry").is_some_and(|poetry| poetry.get("dependencies").is_some());
    if elsewhere { Demands::Elsewhere } else { Demands::None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_standard_table_comes_before_a_tools_own() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pyproject.toml");
        let demanded = |text: &str| {
            #[expect(clippy::disallowed_methods, reason = "a test's own file")]
            fs::write(&path, text).unwrap();
            demands(&path)
        };
        let table = "[project]\nname = \"Shop\"\ndependencies = [\"a>=2\", \"shop[dev]\"]\n";
        assert_eq!(demanded(table), Demands::Lines(vec!["a>=2".to_owned()]));
        assert_eq!(demanded("[tool.poetry.dependencies]\na = \"^2\"\n"), Demands::Elsewhere);
        for text in ["", "[project]\nname = \"shop\"\ndynamic = [\"dependencies\"]\n", "= no toml"] {
            assert_eq!(demanded(text), Demands::None, "{text}");
        }
    }
}
