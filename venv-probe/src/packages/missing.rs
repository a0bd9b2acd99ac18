//! What a rebuild could not bring back and nobody has brought since.

use std::path::Path;

use contract::missing::{self, FILE, Missing};
use contract::path::{Subject, plain, shown};
use contract::venv::{Package, Repair};

use super::Installed;
use super::name::normal;
use crate::catalogue::packages::PACKAGES_MISSING;
use crate::findings::Findings;

/// Judges what the environment's own file says that it lacks.
pub(crate) fn judge(root: &Path, installed: &Installed, found: &mut Findings) {
    let file = Subject::from(&root.join(FILE));
    let packages = match missing::read(root) {
        Ok(packages) => packages,
        Err(error) => {
            found.add(&PACKAGES_MISSING, format!("{} cannot be read: {error}", shown(file.as_path())), Some(file));
            return;
        }
    };
    for Missing { name, version, why } in packages.into_iter().filter(|package| installed.find(&normal(&package.name)).is_none()) {
        let title = version.iter().fold(name.clone(), |title, version| format!("{title} {version}"));
        let text = plain(&format!("{title} was lost in a rebuild: {why}")).into_owned();
        let finding = found.add(&PACKAGES_MISSING, text, Some(file.clone()));
        // Without its version nothing can be asked for again.
        if version.is_some() {
            finding.package = Some(Package { name, version });
            finding.repair = Some(Repair::Packages);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packages::sample::Sample;

    #[test]
    fn it_is_missed_until_it_is_there() {
        let sample = Sample::new();
        let root = tempfile::tempdir().unwrap();
        let judged = |sample: &Sample| {
            let mut found = Findings::default();
            judge(root.path(), &sample.scan(), &mut found);
            found.faults.into_iter().map(|fault| (fault.text, fault.repair)).collect::<Vec<_>>()
        };
        assert_eq!(judged(&sample), []);
        let missing = |name: &str, version: Option<&str>| Missing {
            name: name.to_owned(),
            version: version.map(str::to_owned),
            why: "no index has it".to_owned(),
        };
        contract::missing::write(root.path(), vec![missing("a", Some("1")), missing("every package", None)]).unwrap();
        let nameless = ("every package was lost in a rebuild: no index has it".to_owned(), None);
        let named = ("a 1 was lost in a rebuild: no index has it".to_owned(), Some(Repair::Packages));
        assert_eq!(judged(&sample), [named, nameless.clone()]);
        sample.install("a", "2", "", &[]);
        assert_eq!(judged(&sample), [nameless]);
    }
}
