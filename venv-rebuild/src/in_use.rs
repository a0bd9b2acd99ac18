//! Who uses an environment: a swap under a running program would mix old and new modules in it.

use std::io;
use std::path::{Path, PathBuf};

/// A process that uses a folder.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub(crate) struct User {
    /// Its number.
    pub(crate) pid: i32,
    /// By what it shows.
    pub(crate) by: &'static str,
}

/// Says who uses one of the folders `trees`: by the program that runs, a mapped library, an open file, the current folder, `VIRTUAL_ENV`, or, in a
/// process of the interpreter that the environment is made with, any other variable.
///
/// Only the first two are a hindrance in our own ancestors and neighbours in the pipeline: who activated the environment, or stands in it,
/// may repair it from that very shell. Processes that may not be looked at belong to others, who cannot be asked.
///
/// # Errors
/// The system does not tell: then nobody can say that it is free.
pub(crate) fn users(trees: &[&Path]) -> io::Result<Vec<User>> {
    let mut roots: Vec<PathBuf> = trees.iter().map(|tree| (*tree).to_owned()).collect();
    roots.extend(trees.iter().filter_map(|tree| tree.canonicalize().ok().filter(|real| real != tree)));
    system::users(&roots, false)
}

/// Says who works on the folder `aside` in any way, by whatever word of its command line as well: an installer gets it as an argument.
///
/// # Errors
/// As [`users`].
pub(crate) fn writers(aside: &Path) -> io::Result<Vec<User>> {
    system::users(&[aside.to_owned()], true)
}

fn below(path: &Path, roots: &[PathBuf]) -> bool {
    roots.iter().any(|root| path.starts_with(root))
}

#[cfg(target_os = "linux")]
mod system {
    use std::fs::{self, File};
    use std::io;
    use std::os::unix::ffi::OsStrExt as _;
    use std::os::unix::fs::FileExt as _;
    use std::path::{Path, PathBuf};

    use super::{User, below};
    use crate::layout;

    /// Where the kernel puts the name that a program was started by (getauxval(3)); what a process writes over its arguments to give
    /// itself a title does not reach so far.
    const AT_EXECFN: usize = 31;

    pub(super) fn users(roots: &[PathBuf], any_word: bool) -> io::Result<Vec<User>> {
        let kin = Kin::of_us();
        let base = roots.iter().find_map(|root| root.join("bin/python").canonicalize().ok());
        let entries = fs::read_dir("/proc")?;
        // An empty folder, as a container may have it, says nothing about anybody.
        fs::symlink_metadata(format!("/proc/{}/maps", kin.me))?;
        let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok());
        let mut users: Vec<User> =
            pids.filter(|pid| *pid != kin.me).filter_map(|pid| user(pid, roots, base.as_deref(), &kin, any_word)).collect();
        users.sort_by_key(|user| user.pid);
        Ok(users)
    }

    fn user(pid: i32, roots: &[PathBuf], base: Option<&Path>, kin: &Kin, any_word: bool) -> Option<User> {
        let proc = PathBuf::from(format!("/proc/{pid}"));
        let by = if runs(&proc, roots) || any_word && mentions(&proc.join("cmdline"), roots) {
            "program"
        } else if maps(&proc, roots) {
            "maps"
        } else if kin.is_ours(pid) {
            return None;
        } else if links_into(&proc.join("cwd"), roots) {
            "cwd"
        } else if activated(&proc, roots) {
            "VIRTUAL_ENV"
        } else if fs::read_dir(proc.join("fd")).is_ok_and(|fds| fds.flatten().any(|fd| links_into(&fd.path(), roots))) {
            "open file"
        } else if base.is_some() && fs::read_link(proc.join("exe")).ok().as_deref() == base && mentions(&proc.join("environ"), roots) {
            "environment"
        } else {
            return None;
        };
        Some(User { pid, by })
    }

    /// The program is a link's end for most environments, so the names that it was called and started by count as well.
    fn runs(proc: &Path, roots: &[PathBuf]) -> bool {
        let arguments = fs::read(proc.join("cmdline")).unwrap_or_default();
        let called = arguments.split(|&b| b == 0).next().unwrap_or_default();
        let names = [called.to_vec(), started_as(proc).unwrap_or_default()];
        names.iter().any(|name| leads_into(proc, name, roots)) || links_into(&proc.join("exe"), roots)
    }

    /// A relative name is seen from the folder of the process.
    fn leads_into(proc: &Path, name: &[u8], roots: &[PathBuf]) -> bool {
        let path = layout::path(name);
        path.as_os_str().as_bytes().contains(&b'/') && {
            let cwd = fs::read_link(proc.join("cwd")).unwrap_or_default();
            below(&layout::normal(&cwd.join(path)), roots)
        }
    }

    /// `None` also where the system lets only a debugger look.
    fn started_as(proc: &Path) -> Option<Vec<u8>> {
        let vector = fs::read(proc.join("auxv")).ok()?;
        let words = vector.chunks_exact(size_of::<usize>()).map(|word| usize::from_ne_bytes(word.try_into().unwrap_or_default()));
        let words: Vec<usize> = words.collect();
        let at = words.chunks_exact(2).find(|pair| pair[0] == AT_EXECFN)?[1];
        let mut name = vec![0; 4096];
        // It lies at the very end of the stack, so less than all of this can be there.
        let length = File::open(proc.join("mem")).ok()?.read_at(&mut name, u64::try_from(at).ok()?).ok()?;
        name.truncate(name[..length].iter().position(|&b| b == 0)?);
        Some(name)
    }

    fn mentions(file: &Path, roots: &[PathBuf]) -> bool {
        let words = fs::read(file).unwrap_or_default();
        roots.iter().any(|root| names(&words, root.as_os_str().as_bytes()))
    }

    /// Whether the path stands there as a whole, and not as the beginning of another name.
    fn names(words: &[u8], path: &[u8]) -> bool {
        let ends = |end: usize| words.get(end).is_none_or(|next| !next.is_ascii_alphanumeric() && !b"._-".contains(next));
        words.windows(path.len()).enumerate().any(|(at, window)| window == path && ends(at + path.len()))
    }

    fn maps(proc: &Path, roots: &[PathBuf]) -> bool {
        let Ok(maps) = fs::read(proc.join("maps")) else { return false };
        maps.split(|&b| b == b'\n')
            .filter_map(|line| line.iter().position(|&b| b == b'/').map(|at| &line[at..]))
            .any(|path| below(layout::path(path), roots))
    }

    fn activated(proc: &Path, roots: &[PathBuf]) -> bool {
        let Ok(environment) = fs::read(proc.join("environ")) else { return false };
        environment.split(|&b| b == 0).filter_map(|pair| pair.strip_prefix(b"VIRTUAL_ENV=")).any(|value| below(layout::path(value), roots))
    }

    fn links_into(link: &Path, roots: &[PathBuf]) -> bool {
        fs::read_link(link).is_ok_and(|target| below(&target, roots))
    }

    /// Ourselves, those who started us, and those who were started with us as one job.
    struct Kin {
        me: i32,
        ancestors: Vec<i32>,
        group: i32,
    }

    impl Kin {
        fn of_us() -> Self {
            let me = rustix::process::getpid().as_raw_pid();
            let ancestors = std::iter::successors(stat(me), |(parent, _)| stat(*parent)).map(|(parent, _)| parent).take(64).collect();
            Self { me, ancestors, group: stat(me).map_or(0, |(_, group)| group) }
        }

        fn is_ours(&self, pid: i32) -> bool {
            self.ancestors.contains(&pid) || stat(pid).is_some_and(|(_, group)| group == self.group)
        }
    }

    /// Parent and process group (proc_pid_stat(5)); the name before them may hold spaces and brackets.
    fn stat(pid: i32) -> Option<(i32, i32)> {
        let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let mut fields = text.rsplit_once(')')?.1.split_whitespace().skip(1);
        Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
    }
}

#[cfg(not(target_os = "linux"))]
mod system {
    use std::io;
    use std::path::PathBuf;
    use std::process::Command;
    use std::time::Duration;

    use contract::child::{self, Ended};

    use super::User;

    /// Asks `lsof`, which sees programs, libraries, open files and current folders; `VIRTUAL_ENV` of others cannot be seen.
    pub(super) fn users(roots: &[PathBuf], _any_word: bool) -> io::Result<Vec<User>> {
        let me = rustix::process::getpid().as_raw_pid();
        let mut command = Command::new("lsof");
        command.arg("-t");
        for root in roots {
            command.arg("+D").arg(root);
        }
        // lsof ends with 1 where nobody was found, and is part of the system on macOS.
        let finished = child::run(&mut command, Duration::from_secs(60), 1 << 20)?;
        if !matches!(finished.ended, Ended::Exited(_)) {
            return Err(io::Error::other("lsof did not end within a minute"));
        }
        let pids = String::from_utf8_lossy(&finished.stdout).lines().filter_map(|line| line.parse().ok()).collect::<Vec<i32>>();
        Ok(pids.into_iter().filter(|pid| *pid != me).map(|pid| User { pid, by: "open file" }).collect())
    }
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    /// What a process shows of its use of a folder, in which `bin/python` is a link to the program of that process.
    fn used(called: Option<&str>, setup: impl for<'a> Fn(&'a mut Command, &Path) -> &'a mut Command) -> Vec<&'static str> {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        std::fs::create_dir(root.join("bin")).unwrap();
        let sleep = ["/bin/sleep", "/usr/bin/sleep"].into_iter().find(|path| Path::new(path).exists()).unwrap();
        std::os::unix::fs::symlink(sleep, root.join("bin/python")).unwrap();
        let mut command = Command::new(called.map_or_else(|| sleep.into(), |name| root.join(name)));
        setup(command.arg("60").stdout(Stdio::null()), &root);
        // A group of its own: as a member of ours it would be a neighbour in the pipeline.
        let mut child = std::os::unix::process::CommandExt::process_group(&mut command, 0).spawn().unwrap();
        // The program is there a moment before its arguments and its libraries are; once it sleeps, all are.
        while !std::fs::read_to_string(format!("/proc/{}/stat", child.id())).unwrap().contains(") S ") {
            std::thread::yield_now();
        }
        let users = users(&[&root]).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        users.into_iter().filter(|user| user.pid == i32::try_from(child.id()).unwrap()).map(|user| user.by).collect()
    }

    #[test]
    fn each_sign_is_seen() {
        use std::os::unix::process::CommandExt as _;
        let python = Some("bin/python");
        assert_eq!(used(None, |command, _| command), [] as [&str; 0]);
        assert_eq!(used(None, |command, root| command.env("VIRTUAL_ENV", root)), ["VIRTUAL_ENV"]);
        assert_eq!(used(None, |command, root| command.current_dir(root)), ["cwd"]);
        assert_eq!(used(None, |command, root| command.arg0(root.join("bin/python"))), ["program"]);
        assert_eq!(used(None, |command, root| command.stdout(std::fs::File::create(root.join("log")).unwrap())), ["open file"]);
        assert_eq!(used(None, |command, root| command.env("PATH", root.join("bin"))), ["environment"]);
        assert_eq!(used(None, |command, root| command.env("PATH", format!("{}.old/bin", root.display()))), [] as [&str; 0]);
        // What is left of a process that gives itself a title.
        assert_eq!(used(python, |command, _| command.env_clear().current_dir("/").arg0("gunicorn: master [app]")), ["program"]);
        let library = || {
            let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
            maps.lines().filter_map(|line| line.find('/').map(|at| line[at..].to_owned())).find(|path| path.contains("libgcc_s")).unwrap()
        };
        let mapped = |root: &Path| {
            let copy = root.join("library.so");
            std::fs::copy(library(), &copy).unwrap();
            copy
        };
        assert_eq!(used(None, |command, root| command.env("LD_PRELOAD", mapped(root))), ["maps"]);
    }
}
