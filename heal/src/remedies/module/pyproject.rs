//! `pyproject.toml`: what a project demands in the standard tables (PEP 621, PEP 735), and in those of poetry and uv.

use std::path::Path;

use pep508_rs::MarkerEnvironment;
use toml::{Table, Value};

use super::declared::{Source, is_index, line_of, read_text};
use super::names::normalised;
use super::poetry;
use super::requirement::{Declared, Refusal};

/// Reads what a project demands; nothing where the file cannot be read.
pub(super) fn read(path: &Path, here: &MarkerEnvironment) -> Option<Source> {
    let text = read_text(path)?;
    let table: Table = toml::from_str(&text).ok()?;
    let mut source = Source::of(path);
    let is_there = |line: &str, wanted: &str| ['"', '\''].iter().any(|quote| line.contains(&format!("{quote}{wanted}{quote}")));
    let read = |wanted: &str| Declared::read(wanted, path, line_of(&text, |line| is_there(line, wanted)), here);
    source.all = standard(&table).into_iter().filter_map(read).collect();
    source.all.extend(poetry::read(&table, &text, path, here));
    let own = own_name(&table);
    // A project may ask for extras of its own.
    source.all.retain(|one| Some(&one.name) != own.as_ref());
    uv(&table, &mut source);
    poetry::sources(&table, &mut source);
    Some(source)
}

/// The name of the project itself, normalised.
pub(super) fn own_name(table: &Table) -> Option<String> {
    let name = |path: &[&str]| at(table, path).and_then(Value::as_str).map(normalised);
    name(&["project", "name"]).or_else(|| name(&["tool", "poetry", "name"]))
}

/// What stands at the end of a path of keys.
pub(super) fn at<'a>(table: &'a Table, path: &[&str]) -> Option<&'a Value> {
    let (first, rest) = path.split_first()?;
    rest.iter().try_fold(table.get(*first)?, |value, key| value.get(key))
}

/// The lines of the standard tables, those that the project always needs first. What a group includes stands in its own group.
fn standard(table: &Table) -> Vec<&str> {
    let direct = at(table, &["project", "dependencies"]).into_iter();
    let optional = at(table, &["project", "optional-dependencies"]).and_then(Value::as_table);
    let groups = table.get("dependency-groups").and_then(Value::as_table);
    let rest = optional.into_iter().chain(groups).flat_map(|table| table.values());
    let uv = at(table, &["tool", "uv", "dev-dependencies"]);
    direct.chain(rest).chain(uv).filter_map(Value::as_array).flatten().filter_map(Value::as_str).collect()
}

/// Where uv is told to take things from. It asks indexes one after the other, which pip does not: such an order is not imitated.
fn uv(table: &Table, source: &mut Source) {
    let indexes = at(table, &["tool", "uv", "index"]).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let flag = |index: &Value, name: &str| index.get(name).and_then(Value::as_bool) == Some(true);
    let url = |index: &Value| index.get("url").and_then(Value::as_str).filter(|url| is_index(url)).map(str::to_owned);
    for index in indexes.iter().filter(|index| !flag(index, "explicit")) {
        match url(index) {
            Some(url) if flag(index, "default") => source.options.push(format!("--index-url {url}")),
            _ => source.refusal = Some("its indexes have an order that only uv keeps; run `uv sync`".to_owned()),
        }
    }
    let Some(sources) = at(table, &["tool", "uv", "sources"]).and_then(Value::as_table) else { return };
    for (name, from) in sources {
        let named = from.get("index").and_then(Value::as_str);
        let index = indexes.iter().find(|index| named.is_some() && index.get("name").and_then(Value::as_str) == named).and_then(url);
        for one in source.all.iter_mut().filter(|one| one.name == normalised(name)) {
            match &index {
                Some(url) => one.index = Some(format!("--index-url {url}")),
                None => one.refusal = Some(Refusal::source()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::requirement::tests::here;
    use super::*;

    fn of(text: &str) -> Option<Source> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pyproject.toml");
        #[expect(clippy::disallowed_methods, reason = "a test's own file")]
        std::fs::write(&path, text).unwrap();
        read(&path, &here())
    }

    fn lines(text: &str) -> Vec<String> {
        of(text).unwrap().all.into_iter().map(|one| one.line).collect()
    }

    #[test]
    fn the_standard_tables_are_read() {
        let text = "[project]\nname = 'Shop'\ndependencies = ['a>=2', 'shop[dev]']\n[project.optional-dependencies]\ndev = ['b']\n\
            [dependency-groups]\ntest = ['c==1', {include-group = 'lint'}]\n";
        assert_eq!(lines(text), ["a>=2", "b", "c==1"]);
        assert_eq!(of(text).unwrap().all[0].number, Some(3));
        assert!(of("= no toml").is_none() && lines("").is_empty());
    }

    #[test]
    fn uvs_sources_and_indexes_count() {
        let text = "[project]\ndependencies = ['a', 'b', 'c']\n[tool.uv.sources]\na = {index = 'own'}\nb = {path = '../b'}\n\
            [[tool.uv.index]]\nname = 'own'\nurl = 'https://own/simple'\nexplicit = true\n";
        let source = of(text).unwrap();
        assert_eq!(source.all[0].index.as_deref(), Some("--index-url https://own/simple"));
        assert_eq!(source.all[1].refusal.as_ref().map(|refusal| refusal.0), Some("source-tree"));
        assert_eq!((source.all[2].index.as_ref(), source.all[2].refusal.as_ref(), source.refusal), (None, None, None));
        assert!(of(&text.replace("explicit = true", "")).unwrap().refusal.is_some());
        assert_eq!(of(&text.replace("explicit", "default")).unwrap().options, ["--index-url https://own/simple"]);
    }

    #[test]
    fn poetrys_table_is_read() {
        let text = "[tool.poetry]\nname = 'shop'\n[tool.poetry.dependencies]\npython = '^3.9'\na = '^1.2.3'\n\
            b = {version = '~2.1', extras = ['x', 'y'], markers = \"os_name == 'posix'\"}\nc = {path = '../c'}\nd = '*'\n\
            [tool.poetry.group.dev.dependencies]\ne = '0.3'\nf = '^0.2'\ng = '>=1,<3'\n";
        let expected = ["a>=1.2.3,<2", "b[x,y]>=2.1,<2.2 ; os_name == 'posix'", "c", "d", "e==0.3", "f>=0.2,<0.3", "g>=1,<3"];
        assert_eq!(lines(text), expected);
        assert_eq!(of(text).unwrap().all[2].refusal.as_ref().map(|refusal| refusal.0), Some("source-tree"));
    }
}
