//! What installers and interpreters see of our environment.

use std::env;
use std::process::Command;

/// Settings of the user's shell that would make a child act on another environment than the one it is given.
const ELSEWHERE: [&str; 19] = [
    "VIRTUAL_ENV",
    "VIRTUAL_ENV_PROMPT",
    "CONDA_PREFIX",
    "CONDA_DEFAULT_ENV",
    "__PYVENV_LAUNCHER__",
    "PIP_TARGET",
    "PIP_PREFIX",
    "PIP_ROOT",
    "PIP_PYTHON",
    "PIP_DRY_RUN",
    "PIP_REQUIREMENT",
    "PIP_EDITABLE",
    "PIP_NO_DEPS",
    "UV_PYTHON",
    "UV_SYSTEM_PYTHON",
    "UV_VENV_CLEAR",
    "UV_VENV_SEED",
    "UV_PROJECT_ENVIRONMENT",
    "UV_WORKING_DIR",
];

/// Takes out what leads a child elsewhere; PATH, HOME, proxies and the user's own index settings (`PIP_*`, `UV_*`) stay.
pub(super) fn scrub(command: &mut Command) -> &mut Command {
    let python = env::vars_os().map(|(name, _)| name).filter(|name| name.to_str().is_some_and(|name| name.starts_with("PYTHON")));
    for name in python {
        command.env_remove(name);
    }
    for name in ELSEWHERE {
        command.env_remove(name);
    }
    command.env("PIP_USER", "0").env("NO_COLOR", "1")
}
