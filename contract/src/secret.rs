//! Files that nobody but their owner is to see, known by their names: no remedy is offered for one, and none touches it.

use std::path::Path;

const FOLDERS: [&str; 7] = [".ssh", ".gnupg", ".aws", ".kube", ".docker", ".password-store", "secrets"];
const FILES: [&str; 11] =
    [".env", ".netrc", ".pypirc", ".npmrc", ".pgpass", ".git-credentials", "kubeconfig", "shadow", "auth.json", "wallet.dat", ".boto"];
const ENDS: [&str; 12] = [".pem", ".key", ".p12", ".pfx", ".kdbx", ".age", ".gpg", ".asc", ".jks", ".keystore", ".ppk", ".env"];
const PARTS: [&str; 14] = [
    "secret",
    "credential",
    "token",
    "password",
    "passwd",
    "private_key",
    "apikey",
    "api_key",
    "id_rsa",
    "id_dsa",
    "id_ecdsa",
    "id_ed25519",
    "service-account",
    "service_account",
];

/// Whether the names on the way to a file say that it is one.
#[must_use]
pub fn is_secret(path: &Path) -> bool {
    path.iter().any(|name| {
        let name = name.to_string_lossy().to_lowercase();
        FOLDERS.contains(&&*name)
            || FILES.contains(&&*name)
            || name.starts_with(".env.")
            || ENDS.iter().any(|end| name.ends_with(end))
            || PARTS.iter().any(|part| name.contains(part))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_known_by_their_names() {
        for path in ["/a/.env", "/a/.env.local", "/home/a/.ssh/config", "/a/server.KEY", "/a/client_secret.json", "/a/gmail_token.json"] {
            assert!(is_secret(Path::new(path)), "{path}");
        }
        for path in ["/a/run.sh", "/a/.envrc.d/x", "/a/keys.py", "/a/environment.json"] {
            assert!(!is_secret(Path::new(path)), "{path}");
        }
    }
}
