//! What moved within the standard library, from the "What's New in Python" pages, and only to what means the same.

/// A name of a module, and which one of which module it is now.
type Moved = (&'static str, &'static str, &'static str, &'static str);

/// The abstract base classes of `collections` ("What's New in Python 3.10", Removed).
const CLASSES: [&str; 25] = [
    "Awaitable",
    "Coroutine",
    "AsyncIterable",
    "AsyncIterator",
    "AsyncGenerator",
    "Hashable",
    "Iterable",
    "Iterator",
    "Generator",
    "Reversible",
    "Sized",
    "Container",
    "Callable",
    "Collection",
    "Set",
    "MutableSet",
    "Mapping",
    "MutableMapping",
    "MappingView",
    "KeysView",
    "ItemsView",
    "ValuesView",
    "Sequence",
    "MutableSequence",
    "ByteString",
];

const MOVED: [Moved; 15] = [
    // 3.9, Removed.
    ("fractions", "gcd", "math", "gcd"),
    // 3.8, API and Feature Removals.
    ("cgi", "parse_qs", "urllib.parse", "parse_qs"),
    ("cgi", "parse_qsl", "urllib.parse", "parse_qsl"),
    // 3.14, Removed.
    ("importlib.abc", "ResourceReader", "importlib.resources.abc", "ResourceReader"),
    ("importlib.abc", "Traversable", "importlib.resources.abc", "Traversable"),
    ("importlib.abc", "TraversableResources", "importlib.resources.abc", "TraversableResources"),
    // 3.0, Library Changes (PEP 3108) and Builtins.
    ("itertools", "izip_longest", "itertools", "zip_longest"),
    ("itertools", "ifilterfalse", "itertools", "filterfalse"),
    ("urllib", "urlencode", "urllib.parse", "urlencode"),
    ("urllib", "quote", "urllib.parse", "quote"),
    ("urllib", "quote_plus", "urllib.parse", "quote_plus"),
    ("urllib", "unquote", "urllib.parse", "unquote"),
    ("urllib", "unquote_plus", "urllib.parse", "unquote_plus"),
    ("urllib", "pathname2url", "urllib.request", "pathname2url"),
    ("urllib", "url2pathname", "urllib.request", "url2pathname"),
];

/// What went away, or has no successor that means the same; `*` is for every name of a module.
const ADVICE: [(&str, &str, &str); 22] = [
    ("inspect", "getargspec", "use `inspect.getfullargspec`, which returns other fields, or `inspect.signature`"),
    ("inspect", "formatargspec", "use `inspect.signature` and write that"),
    ("asyncio", "coroutine", "write `async def`"),
    ("asyncio", "async", "use `asyncio.ensure_future`"),
    ("cgi", "escape", "use `html.escape(text, quote=False)`: without it, it replaces quotes, too"),
    ("time", "clock", "use `time.perf_counter` or `time.process_time`: they measure different things"),
    ("platform", "linux_distribution", "use the package `distro`"),
    ("platform", "dist", "use the package `distro`"),
    ("unittest", "makeSuite", "use `unittest.TestLoader.loadTestsFromTestCase`"),
    ("unittest", "findTestCases", "use `unittest.TestLoader.loadTestsFromModule`"),
    ("importlib", "find_loader", "use `importlib.util.find_spec`, which returns something else"),
    ("pkgutil", "ImpImporter", "use `importlib`: it was part of `imp`"),
    ("ast", "Num", "use `ast.Constant`"),
    ("ast", "Str", "use `ast.Constant`"),
    ("ast", "NameConstant", "use `ast.Constant`"),
    ("itertools", "izip", "use the builtin `zip`"),
    ("itertools", "imap", "use the builtin `map`"),
    ("itertools", "ifilter", "use the builtin `filter`"),
    ("urllib", "urlopen", "use `urllib.request.urlopen`, which fails where the old one returned a page"),
    ("urllib", "urlretrieve", "use `urllib.request.urlretrieve`, which fails where the old one returned a page"),
    ("datetime", "UTC", "use `datetime.timezone.utc`: the short name came with Python 3.11"),
    ("typing", "*", "this Python is older than the name, which the package `typing_extensions` may have"),
];

/// Where a name is now, and what it is called there.
pub(super) fn moved(module: &str, name: &str) -> Option<(&'static str, &'static str)> {
    let class = CLASSES.iter().find(|class| module == "collections" && **class == name).map(|class| ("collections.abc", *class));
    class.or_else(|| MOVED.iter().find(|moved| (moved.0, moved.1) == (module, name)).map(|moved| (moved.2, moved.3)))
}

/// What a person may do about a name.
pub(super) fn advice(module: &str, name: &str) -> Option<&'static str> {
    ADVICE.iter().find(|advice| advice.0 == module && (advice.1 == name || advice.1 == "*")).map(|advice| advice.2)
}

/// Whether the table tells of a module: only those are ever looked into.
pub(super) fn knows(module: &str) -> bool {
    let in_table = |moved: &Moved| moved.0 == module || moved.2 == module;
    ["collections", "collections.abc"].contains(&module) || MOVED.iter().any(in_table) || ADVICE.iter().any(|advice| advice.0 == module)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_both_moved_and_gone() {
        for (module, name, ..) in MOVED.iter().chain(&CLASSES.map(|class| ("collections", class, "", ""))) {
            assert!(moved(module, name).is_some() && advice(module, name).is_none(), "{module}.{name}");
        }
        assert_eq!(moved("collections", "OrderedDict"), None);
        assert!(knows("urllib.parse") && knows("typing") && !knows("this"));
    }
}
