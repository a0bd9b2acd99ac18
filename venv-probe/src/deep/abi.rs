//! Whether what was compiled was compiled for this Python and this machine.

use std::collections::HashSet;
use std::fmt;
use std::path::{Path, PathBuf};

use contract::path::Subject;

use super::clipped;
use crate::catalogue::packages::FOREIGN_ABI;
use crate::findings::Findings;
use crate::packages::record::{self, Line};
use crate::packages::{Dist, metadata};
use crate::site::Site;

/// No distribution has as many extension modules.
const MODULES: usize = 10_000;

/// The interpreter that would load the modules.
struct Target<'a> {
    minor: (u8, u8),
    implementation: &'a str,
    system: &'a str,
    machine: &'a str,
}

/// Judges the distributions that have compiled files.
pub(super) fn judge(site: &Site, dists: &[&Dist], found: &mut Findings) {
    let target =
        Target { minor: site.minor, implementation: &site.implementation, system: std::env::consts::OS, machine: std::env::consts::ARCH };
    for dist in dists {
        let wheel = dist.info.join("WHEEL");
        // Where there is none the modules' own names decide.
        let tags = metadata::values(&wheel, "Tag").unwrap_or_else(|_none| Vec::new());
        let foreign = match foreign_tag(&tags, &target) {
            Some(tag) => Some((tag.to_owned(), wheel)),
            None if is_pure(&tags) => None,
            None => foreign_module(&modules(dist), &target),
        };
        if let Some((built_for, evidence)) = foreign {
            let text = format!("{} was built for {}, and this is {target}", dist.title(), clipped(&built_for));
            found.add_package(&FOREIGN_ABI, dist.package(), text, Some(Subject::from(&evidence)));
        }
    }
}

/// The first of a wheel's tags (`cp312-cp312-manylinux_2_17_x86_64`) where none of them fits.
fn foreign_tag<'a>(tags: &'a [String], target: &Target) -> Option<&'a str> {
    let first = tags.first()?;
    tags.iter().all(|tag| target.refuses_tag(tag)).then_some(first)
}

fn is_pure(tags: &[String]) -> bool {
    tags.iter().any(|tag| tag.ends_with("-none-any"))
}

/// The extension modules of a distribution, as far as anybody has so many.
fn modules(dist: &Dist) -> Vec<PathBuf> {
    let mut paths = Vec::new();
    let mut keep = |line: Line| {
        if line.is_verifiable(&dist.info) && module(&line.path).is_some() && paths.len() < MODULES {
            paths.push(line.path);
        }
    };
    // That a list cannot be read is said already.
    let _told = record::each(dist, &mut keep);
    paths
}

/// The first extension module of another Python that has no sibling for this one.
fn foreign_module(paths: &[PathBuf], target: &Target) -> Option<(String, PathBuf)> {
    let modules: Vec<_> = paths.iter().filter_map(|path| module(path)).collect();
    let fitting: HashSet<_> = modules.iter().filter(|module| !target.refuses_module(module.tag)).map(Module::stem).collect();
    let foreign = modules.iter().find(|module| !fitting.contains(&module.stem()))?;
    Some((foreign.tag.to_owned(), foreign.path.to_owned()))
}

/// `markup/_speedups.cpython-312-x86_64-linux-gnu.so` in parts.
struct Module<'a> {
    path: &'a Path,
    name: &'a str,
    /// `cpython-312-x86_64-linux-gnu`, `abi3`, or empty.
    tag: &'a str,
}

impl<'a> Module<'a> {
    fn stem(&self) -> (Option<&'a Path>, &'a str) {
        (self.path.parent(), self.name)
    }
}

fn module(path: &Path) -> Option<Module<'_>> {
    let file = path.file_name()?.to_str()?.strip_suffix(".so")?;
    let (name, tag) = file.split_once('.').unwrap_or((file, ""));
    Some(Module { path, name, tag })
}

impl fmt::Display for Target<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}.{} on {} {}", self.implementation, self.minor.0, self.minor.1, self.system, self.machine)
    }
}

impl Target<'_> {
    fn is_cpython(&self) -> bool {
        self.implementation == "cpython"
    }

    /// Only what is certain counts: an unknown tag fits.
    fn refuses_tag(&self, tag: &str) -> bool {
        let mut parts = tag.splitn(3, '-');
        let (Some(python), Some(abi), Some(platform)) = (parts.next(), parts.next(), parts.next()) else { return false };
        self.refuses_abi(python, abi) || platform.split('.').all(|platform| self.refuses_platform(platform))
    }

    fn refuses_abi(&self, python: &str, abi: &str) -> bool {
        if abi == "abi3" {
            return self.is_cpython() && minor_in(python, "cp").is_some_and(|minor| minor > self.minor);
        }
        self.is_cpython() && minor_in(abi, "cp").is_some_and(|minor| minor != self.minor)
    }

    fn refuses_platform(&self, platform: &str) -> bool {
        let Some((system, machines)) = platform_of(platform) else { return false };
        system != self.system || system == "linux" && !machines.is_empty() && !self.runs(platform)
    }

    /// A 32-bit Python on a 64-bit machine is as good as any.
    fn runs(&self, platform: &str) -> bool {
        let own: &[&str] = match self.machine {
            "x86_64" => &["x86_64", "i686", "i386"],
            "aarch64" => &["aarch64", "armv7l", "armv6l"],
            other => &[other],
        };
        own.iter().any(|machine| platform.ends_with(machine)) || !MACHINES.iter().any(|machine| platform.ends_with(machine))
    }

    fn refuses_module(&self, tag: &str) -> bool {
        let Some(rest) = tag.strip_prefix("cpython-") else { return false };
        let (digits, platform) = rest.split_once('-').unwrap_or((rest, ""));
        let other_minor = minor_in(digits, "").is_some_and(|minor| minor != self.minor);
        let other_system = (platform == "darwin") == (self.system == "linux") && !platform.is_empty();
        let machine = platform.split_once("-linux").map(|(machine, _)| machine);
        self.is_cpython() && (other_minor || other_system || machine.is_some_and(|machine| !self.runs(machine)))
    }
}

const MACHINES: [&str; 10] = ["x86_64", "i686", "i386", "aarch64", "armv7l", "armv6l", "ppc64le", "s390x", "riscv64", "loongarch64"];

/// The system of a platform tag, and the rest of the tag.
fn platform_of(platform: &str) -> Option<(&'static str, &str)> {
    let systems = [("manylinux", "linux"), ("musllinux", "linux"), ("linux", "linux"), ("macosx", "macos"), ("win", "windows")];
    systems.into_iter().find_map(|(prefix, system)| Some((system, platform.strip_prefix(prefix)?)))
}

/// `(3, 12)` of `cp312`, `(3, 7)` of `cp37m`; `None` of `cp3`, `py3`, `none`.
fn minor_in(tag: &str, prefix: &str) -> Option<(u8, u8)> {
    let digits = tag.strip_prefix(prefix)?.trim_end_matches(|c: char| c.is_ascii_lowercase());
    let (major, minor) = digits.split_at_checked(1)?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: Target = Target { minor: (3, 12), implementation: "cpython", system: "linux", machine: "x86_64" };

    #[test]
    fn wheels_for_this_python_fit() {
        for tag in [
            "cp312-cp312-manylinux_2_17_x86_64",
            "cp37-abi3-manylinux2014_x86_64",
            "py3-none-any",
            "py2.py3-none-any",
            "cp312-cp312-linux_x86_64",
            "py3-none-manylinux_2_17_x86_64.musllinux_1_1_x86_64",
            "cp312-cp312-linux_i686",
            "py311-none-any",
            "cp313-none-any",
            "nonsense",
            "cp312-cp312-freebsd_14",
        ] {
            assert!(!HERE.refuses_tag(tag), "{tag}");
        }
    }

    #[test]
    fn wheels_for_another_do_not() {
        for tag in [
            "cp313-cp313-manylinux_2_17_x86_64",
            "cp37-cp37m-manylinux1_x86_64",
            "cp313-abi3-manylinux2014_x86_64",
            "cp312-cp312-macosx_11_0_arm64",
            "py3-none-win_amd64",
            "cp312-cp312-musllinux_1_2_aarch64",
            "cp312-cp312-manylinux_2_17_aarch64.manylinux2014_aarch64",
        ] {
            assert!(HERE.refuses_tag(tag), "{tag}");
        }
        let mac = Target { system: "macos", machine: "aarch64", ..HERE };
        assert!(!mac.refuses_tag("cp312-cp312-macosx_10_9_x86_64"));
        assert!(mac.refuses_tag("cp312-cp312-manylinux_2_17_aarch64"));
    }

    #[test]
    fn modules_tell_by_their_names() {
        for tag in ["", "abi3", "cpython-312-x86_64-linux-gnu", "cpython-312", "pypy39-pp73-x86_64-linux-gnu"] {
            assert!(!HERE.refuses_module(tag), "{tag}");
        }
        for tag in ["cpython-313-x86_64-linux-gnu", "cpython-312-darwin", "cpython-37m-x86_64-linux-gnu", "cpython-312-aarch64-linux-gnu"] {
            assert!(HERE.refuses_module(tag), "{tag}");
        }
    }

    #[test]
    fn a_module_for_this_python_excuses_its_siblings() {
        let paths = |files: &[&str]| -> Vec<PathBuf> { files.iter().map(|file| Path::new("/s").join(file)).collect() };
        assert!(foreign_module(&paths(&["a/x.cpython-313-darwin.so", "a/x.cpython-312-x86_64-linux-gnu.so"]), &HERE).is_none());
        assert!(foreign_module(&paths(&["a/x.cpython-313-darwin.so", "b/x.abi3.so"]), &HERE).is_some());
        assert!(foreign_module(&paths(&["a/libz.so", "a/libz.1.2.so"]), &HERE).is_none());
    }
}
