//! Names of distributions: their normal form, and what the name of a folder says.

/// The normal form of PEP 503: lower case, and one `-` for every run of `-`, `_` and `.`.
pub(crate) fn normal(name: &str) -> String {
    let mut normal = String::with_capacity(name.len());
    for c in name.trim().chars() {
        if matches!(c, '-' | '_' | '.') {
            if !normal.ends_with('-') {
                normal.push('-');
            }
        } else {
            normal.push(c.to_ascii_lowercase());
        }
    }
    normal
}

/// Name and version in the name of a record: `ruamel.yaml-0.18.6.dist-info`, `six-1.16.0-py3.8.egg-info`, `widget.egg-link`.
pub(crate) fn of_folder(folder: &str) -> (String, Option<String>) {
    let stem = folder.rsplit_once('.').map_or(folder, |(stem, _)| stem);
    // An egg-link is named for the project as it spells itself, `-` included, and for no version.
    let parts = stem.split_once('-').filter(|_| !folder.ends_with(".egg-link"));
    let Some((name, version)) = parts else { return (normal(stem), None) };
    let version = version.split_once("-py").map_or(version, |(version, _)| version);
    (normal(name), (!version.is_empty()).then(|| version.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn folders_name_their_distribution() {
        let cases = [
            ("ruamel.yaml-0.18.6.dist-info", "ruamel-yaml", Some("0.18.6")),
            ("Zope_Interface-5.4.0-py3.8.egg-info", "zope-interface", Some("5.4.0")),
            ("lxml-4.9-py3.8-linux-x86_64.egg", "lxml", Some("4.9")),
            ("my-widget.egg-link", "my-widget", None),
        ];
        for (folder, name, version) in cases {
            assert_eq!(of_folder(folder), (name.to_owned(), version.map(str::to_owned)), "{folder}");
        }
    }

    proptest! {
        #[test]
        fn a_normal_name_is_its_own_normal_form(name in "[A-Za-z0-9._-]{1,20}") {
            let once = normal(&name);
            prop_assert_eq!(normal(&once), once);
        }
    }
}
