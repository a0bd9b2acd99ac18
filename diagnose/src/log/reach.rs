//! What no remedy may touch: the files of the system, and secrets. `heal` refuses them, and what is refused is not offered.

use std::path::{Component, Path, PathBuf};

use contract::secret::is_secret;

/// Images keep projects below `/usr/src`.
const PROJECTS: &str = "/usr/src";
const SYSTEM: [&str; 18] = [
    "/bin",
    "/boot",
    "/dev",
    "/etc",
    "/lib",
    "/lib32",
    "/lib64",
    "/proc",
    "/run",
    "/sbin",
    "/sys",
    "/usr",
    "/var/cache",
    "/var/lib",
    "/var/log",
    "/var/mail",
    "/var/run",
    "/var/spool",
];

/// Whether that is one of them.
pub(super) fn is_out_of_reach(path: &str) -> bool {
    let path = straight(Path::new(path));
    let is_system = path == Path::new("/") || SYSTEM.iter().any(|folder| path.starts_with(folder));
    is_system && !path.starts_with(PROJECTS) || is_secret(&path)
}

/// A path without `.` and `..`, which could lead to the system by way of a project.
fn straight(path: &Path) -> PathBuf {
    let mut straight = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => drop(straight.pop()),
            other => straight.push(other),
        }
    }
    straight
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_and_secrets_are_out_of_reach() {
        for path in [
            "/etc/shadow",
            "/proc/1/mem",
            "/srv/../etc/x",
            "/",
            "/home/u/.ssh/config",
            "id_rsa",
            "/srv/app/.env",
            "tls/server.KEY",
            "a.pem",
        ] {
            assert!(is_out_of_reach(path), "{path}");
        }
        for path in [
            "/srv/app/run.sh",
            "/root/app/run.sh",
            "run.sh",
            "/usr/src/app/run.sh",
            "/etcetera/x",
            "/var/www/x",
            "../x",
            "keys.py",
            "environment",
        ] {
            assert!(!is_out_of_reach(path), "{path}");
        }
    }
}
