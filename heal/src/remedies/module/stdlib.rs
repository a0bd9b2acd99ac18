//! Modules of Python itself that came or went with a version: nothing that could be installed is meant.

/// What went, with the version that is the first without it, and what took its place.
const REMOVED: &[(&str, (u32, u32), &str)] = &[
    ("BaseHTTPServer", (3, 0), "http.server"),
    ("ConfigParser", (3, 0), "configparser"),
    ("Cookie", (3, 0), "http.cookies"),
    ("HTMLParser", (3, 0), "html.parser"),
    ("Queue", (3, 0), "queue"),
    ("SimpleHTTPServer", (3, 0), "http.server"),
    ("SocketServer", (3, 0), "socketserver"),
    ("StringIO", (3, 0), "io"),
    ("Tkinter", (3, 0), "tkinter"),
    ("UserDict", (3, 0), "collections"),
    ("__builtin__", (3, 0), "builtins"),
    ("anydbm", (3, 0), "dbm"),
    ("cPickle", (3, 0), "pickle"),
    ("cStringIO", (3, 0), "io"),
    ("commands", (3, 0), "subprocess"),
    ("cookielib", (3, 0), "http.cookiejar"),
    ("copy_reg", (3, 0), "copyreg"),
    ("httplib", (3, 0), "http.client"),
    ("md5", (3, 0), "hashlib"),
    ("sets", (3, 0), "set"),
    ("sha", (3, 0), "hashlib"),
    ("thread", (3, 0), "_thread"),
    ("urllib2", (3, 0), "urllib.request"),
    ("urlparse", (3, 0), "urllib.parse"),
    ("xmlrpclib", (3, 0), "xmlrpc.client"),
    ("dummy_threading", (3, 9), "threading"),
    ("formatter", (3, 10), ""),
    ("parser", (3, 10), "ast"),
    ("symbol", (3, 10), ""),
    ("binhex", (3, 11), "binascii"),
    ("asynchat", (3, 12), "asyncio"),
    ("asyncore", (3, 12), "asyncio"),
    ("distutils", (3, 12), "setuptools"),
    ("imp", (3, 12), "importlib"),
    ("smtpd", (3, 12), ""),
    ("aifc", (3, 13), ""),
    ("audioop", (3, 13), ""),
    ("cgi", (3, 13), "email.message and urllib.parse"),
    ("cgitb", (3, 13), "traceback"),
    ("chunk", (3, 13), ""),
    ("crypt", (3, 13), "hashlib"),
    ("imghdr", (3, 13), ""),
    ("lib2to3", (3, 13), ""),
    ("mailcap", (3, 13), "mimetypes"),
    ("msilib", (3, 13), ""),
    ("nis", (3, 13), ""),
    ("nntplib", (3, 13), ""),
    ("ossaudiodev", (3, 13), ""),
    ("pipes", (3, 13), "subprocess"),
    ("sndhdr", (3, 13), ""),
    ("spwd", (3, 13), ""),
    ("sunau", (3, 13), ""),
    ("telnetlib", (3, 13), ""),
    ("uu", (3, 13), "base64"),
    ("xdrlib", (3, 13), ""),
];

/// What came, with the version that is the first with it.
const ADDED: &[(&str, (u32, u32))] = &[
    ("contextvars", (3, 7)),
    ("dataclasses", (3, 7)),
    ("importlib.resources", (3, 7)),
    ("importlib.metadata", (3, 8)),
    ("graphlib", (3, 9)),
    ("zoneinfo", (3, 9)),
    ("tomllib", (3, 11)),
    ("pathlib.types", (3, 14)),
    ("annotationlib", (3, 14)),
    ("compression", (3, 14)),
    ("concurrent.interpreters", (3, 14)),
    ("string.templatelib", (3, 14)),
];

/// Why a module of Python itself is not there in this version.
pub(super) fn absent(module: &str, minor: (u32, u32)) -> Option<String> {
    let is_in = |name: &str| module == name || module.strip_prefix(name).is_some_and(|rest| rest.starts_with('.'));
    let (major, low) = minor;
    if let Some((name, (since, than), instead)) = REMOVED.iter().find(|(name, gone, _)| is_in(name) && minor >= *gone) {
        let instead = if instead.is_empty() { String::new() } else { format!("; {instead} took its place") };
        return Some(format!("{name} went from Python itself with {since}.{than}, and this is {major}.{low}{instead}"));
    }
    let (name, (since, than)) = ADDED.iter().find(|(name, since)| is_in(name) && minor < *since)?;
    Some(format!("{name} came to Python itself with {since}.{than}, and this is {major}.{low}; run it with a newer Python"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_and_went_is_told_by_the_version() {
        for (module, minor) in [("imp", (3, 12)), ("distutils.core", (3, 13)), ("cgi", (3, 13)), ("urllib2", (3, 8))] {
            assert!(absent(module, minor).is_some_and(|why| why.contains("went")), "{module}");
        }
        for (module, minor) in [("tomllib", (3, 10)), ("zoneinfo", (3, 8)), ("graphlib", (3, 8))] {
            assert!(absent(module, minor).is_some_and(|why| why.contains("came")), "{module}");
        }
        for (module, minor) in [("imp", (3, 11)), ("tomllib", (3, 11)), ("implicit", (3, 13)), ("yaml", (3, 12))] {
            assert_eq!(absent(module, minor), None, "{module}");
        }
    }
}
