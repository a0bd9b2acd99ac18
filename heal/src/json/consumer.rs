//! Who reads a file, known by its name, and what he takes beyond JSON: what he takes is not broken.

use std::path::Path;

use crate::json::class::Class;

/// What the reader of a file takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Consumer {
    /// JSON alone.
    Strict,
    /// Comments as well.
    Comments,
    /// Comments, trailing commas, a byte order mark, and a file with nothing in it.
    Jsonc,
}

impl Consumer {
    /// The consumer of a file; none where its format is another one, in which what looks like damage may be meant.
    pub(crate) fn of(path: &Path) -> Option<Self> {
        let name = path.file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
        if ANOTHER_FORMAT.iter().any(|end| name.ends_with(end)) || ANOTHER_FORMAT_NAMES.contains(&&*name) {
            return None;
        }
        if JSONC_ENDS.iter().any(|end| name.ends_with(end)) || JSONC_NAMES.contains(&&*name) || is_tsconfig(&name) {
            return Some(Self::Jsonc);
        }
        let folders: Vec<_> = path.iter().rev().skip(1).map(|folder| folder.to_string_lossy().to_lowercase()).collect();
        let below = |folder: &str| folders.iter().any(|other| other == folder);
        if [".vscode", ".zed", ".devcontainer"].iter().any(|folder| below(folder)) || is_of_an_editor(&name, &folders) {
            return Some(Self::Jsonc);
        }
        let is_gemini = name == "settings.json" && below(".gemini");
        Some(if COMMENTS_NAMES.contains(&&*name) || is_gemini { Self::Comments } else { Self::Strict })
    }

    /// Whether what would be damage elsewhere is none here.
    pub(crate) fn takes(self, class: Class) -> bool {
        match self {
            Self::Strict => false,
            Self::Comments => class == Class::Comment,
            Self::Jsonc => matches!(class, Class::Comment | Class::TrailingComma | Class::ByteOrderMark),
        }
    }
}

/// JSON5 and others that take more, and formats with many values.
const ANOTHER_FORMAT: [&str; 5] = [".json5", ".hjson", ".jsonl", ".ndjson", ".geojsonl"];
const ANOTHER_FORMAT_NAMES: [&str; 6] =
    ["renovate.json", ".renovaterc.json", ".babelrc", "babel.config.json", ".babelrc.json", ".prettierrc"];

const JSONC_ENDS: [&str; 9] = [
    ".jsonc",
    "-color-theme.json",
    ".tsconfig.json",
    ".code-workspace",
    ".code-snippets",
    ".code-profile",
    ".sublime-project",
    ".sublime-settings",
    ".sublime-keymap",
];
const JSONC_NAMES: [&str; 23] = [
    "appsettings.json",
    "launchsettings.json",
    "firebase.json",
    ".markdownlint.json",
    ".mocharc.json",
    "devcontainer.json",
    ".devcontainer.json",
    "devcontainer-feature.json",
    "devcontainer-template.json",
    "language-configuration.json",
    "api-extractor.json",
    "biome.json",
    "deno.json",
    "dprint.json",
    "nx.json",
    "opencode.json",
    "pyrightconfig.json",
    "rush.json",
    "tslint.json",
    "turbo.json",
    "typedoc.json",
    "wrangler.json",
    ".luarc.json",
];
/// They strip the comments, and give what remains to a strict parser.
const COMMENTS_NAMES: [&str; 7] = [".eslintrc.json", ".eslintrc", ".jshintrc", ".jscsrc", ".stylelintrc", ".swcrc", ".oxlintrc.json"];

/// `tsconfig.json`, `tsconfig.build.json`, `jsconfig-base.json`, `appsettings.Development.json`.
fn is_tsconfig(name: &str) -> bool {
    let stem = name.strip_suffix(".json").and_then(|stem| stem.strip_prefix("tsconfig").or(stem.strip_prefix("jsconfig")));
    let of_settings = name.strip_suffix(".json").is_some_and(|stem| stem.starts_with("appsettings."));
    of_settings || stem.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '-', '_']))
}

/// The settings of VS Code and those that grew from it, of Zed, and of Windows Terminal.
fn is_of_an_editor(name: &str, folders: &[String]) -> bool {
    let of_zed = ["settings.json", "keymap.json", "tasks.json", "debug.json"].contains(&name);
    let in_zed = of_zed && folders.first().is_some_and(|folder| folder == "zed");
    let in_user = folders.iter().any(|folder| folder == "user") && folders.iter().any(|folder| is_editor(folder));
    let in_terminal = name == "settings.json" && folders.first().is_some_and(|folder| folder == "localstate");
    in_zed || in_user || in_terminal
}

fn is_editor(folder: &str) -> bool {
    let product = folder.split(" - ").next().unwrap_or(folder);
    ["code", "code-oss", "vscodium", "cursor", "windsurf", "antigravity", "kiro", "trae"].contains(&product)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_consumer_is_known_by_the_name_of_its_file() {
        let of = |path: &str| Consumer::of(Path::new(path));
        let jsonc = [
            "a/tsconfig.json",
            "tsconfig.build.json",
            "jsconfig.json",
            "a/.vscode/mcp.json",
            ".devcontainer/devcontainer.json",
            ".devcontainer/go/devcontainer.json",
            "x.JSONC",
            "a.code-workspace",
            "/home/a/.config/Code - Insiders/User/settings.json",
            "/home/a/.config/Cursor/User/profiles/7/keybindings.json",
            "/home/a/.config/zed/settings.json",
        ];
        for path in jsonc {
            assert_eq!(of(path), Some(Consumer::Jsonc), "{path}");
        }
        for path in [".mcp.json", "package.json", "tsconfigs.json", ".claude/settings.json", "user/settings.json", ""] {
            assert_eq!(of(path), Some(Consumer::Strict), "{path}");
        }
        assert_eq!(of("a/.eslintrc.json"), Some(Consumer::Comments));
        assert_eq!(of("/home/a/.gemini/settings.json"), Some(Consumer::Comments));
        for path in ["a.json5", "audit.jsonl", ".babelrc"] {
            assert_eq!(of(path), None, "{path}");
        }
    }
}
