//! What an installer sees of our environment.

use std::env;
use std::ffi::OsString;
use std::process::Command;

/// Settings of the user's shell that would make an installer act on something else, or build.
const ELSEWHERE: [&str; 20] = [
    "VIRTUAL_ENV",
    "CONDA_PREFIX",
    "__PYVENV_LAUNCHER__",
    "PIP_TARGET",
    "PIP_PREFIX",
    "PIP_ROOT",
    "PIP_PYTHON",
    "PIP_DRY_RUN",
    "PIP_REQUIREMENT",
    "PIP_EDITABLE",
    "PIP_NO_DEPS",
    "PIP_NO_BINARY",
    "PIP_BREAK_SYSTEM_PACKAGES",
    "UV_PYTHON",
    "UV_SYSTEM_PYTHON",
    "UV_BREAK_SYSTEM_PACKAGES",
    "UV_NO_BINARY",
    "UV_NO_BINARY_PACKAGE",
    "UV_PROJECT_ENVIRONMENT",
    "UV_WORKING_DIR",
];

/// Takes out what leads an installer elsewhere; PATH, HOME, proxies and the user's own index settings stay.
pub(super) fn scrub(command: &mut Command) {
    let python = env::vars_os().map(|(name, _)| name).filter(|name| name.to_str().is_some_and(|name| name.starts_with("PYTHON")));
    for name in python.chain(ELSEWHERE.map(OsString::from)) {
        command.env_remove(name);
    }
    command.env("PIP_USER", "0").env("NO_COLOR", "1");
}
