//! Which imports of a pickle are known, and as what.
//!
//! Only what stands in the list of safe ones is taken for safe, by its full name; the list of dangerous ones only
//! makes a finding clearer. A prefix is never enough for safety: `numpy.testing` holds a synonym of `exec`.

use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

/// What is known about an import.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// Builds data, whatever it is called with.
    Safe,
    /// Runs commands or code, reaches files or the network, or leads to something that does.
    Dangerous,
    /// Neither is known.
    Unknown,
}

type Table = HashMap<&'static str, HashSet<&'static str>>;

static SAFE: LazyLock<Table> = LazyLock::new(|| read(include_str!("safe.txt")));
static DANGEROUS: LazyLock<Table> = LazyLock::new(|| read(include_str!("dangerous.txt")));

/// Modules that are dangerous to have in hand, even if they are taken from another that imported them.
const MODULES: [&str; 10] = [
    "os",
    "sys",
    "posix",
    "subprocess",
    "builtins",
    "importlib",
    "runpy",
    "shutil",
    "socket",
    "__builtins__",
];

/// Lines of `module: name name …`; `*` stands for every name, and then for every module below, too.
fn read(text: &'static str) -> Table {
    let mut table = Table::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        if let Some((module, names)) = line.split_once(':') {
            table.entry(module).or_default().extend(names.split_ascii_whitespace());
        }
    }
    table
}

/// What is known about `name` in `module`.
pub(super) fn known(module: &str, name: &str) -> Known {
    if SAFE.get(module).is_some_and(|names| names.contains(name)) {
        return Known::Safe;
    }
    if DANGEROUS.get(module).is_some_and(|names| names.contains(name)) {
        return Known::Dangerous;
    }
    // `name` may itself be dotted (protocol 4): the first part decides; and a submodule is as bad as its parent.
    let first = name.split('.').next().unwrap_or_default();
    let parents = std::iter::successors(Some(module), |module| module.rsplit_once('.').map(|(up, _)| up));
    for parent in parents {
        let Some(names) = DANGEROUS.get(parent) else { continue };
        if names.contains("*") || (parent == module && names.contains(first)) {
            return Known::Dangerous;
        }
    }
    // A way through another module: `torch.serialization` `os.system`.
    let whole = |part: &str| DANGEROUS.get(part).is_some_and(|names| names.contains("*"));
    let (path, last) = name.rsplit_once('.').unwrap_or(("", name));
    if path.split('.').any(whole) || MODULES.contains(&last) {
        return Known::Dangerous;
    }
    Known::Unknown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn h5_only_full_names_are_safe() {
        for (module, name, expected) in [
            ("collections", "OrderedDict", Known::Safe),
            ("torch._utils", "_rebuild_tensor_v2", Known::Safe),
            ("numpy.core.multiarray", "_reconstruct", Known::Safe),
            ("builtins", "set", Known::Safe),
            ("os", "system", Known::Dangerous),
            ("os", "path.join", Known::Dangerous),
            ("os.path", "join", Known::Dangerous),
            ("posix", "system", Known::Dangerous),
            ("builtins", "eval", Known::Dangerous),
            ("builtins", "getattr", Known::Dangerous),
            ("builtins", "set.__class__", Known::Unknown),
            ("pip", "main", Known::Dangerous),
            ("pip._internal.cli.main", "main", Known::Dangerous),
            ("numpy.testing._private.utils", "runstring", Known::Dangerous),
            ("torch.serialization", "os.system", Known::Dangerous),
            ("torch.serialization", "load", Known::Dangerous),
            ("numpy", "load", Known::Dangerous),
            ("collections", "OrderedDict.fromkeys", Known::Unknown),
            ("collections", "namedtuple", Known::Unknown),
            ("my.module", "Class", Known::Unknown),
            ("", "", Known::Unknown),
        ] {
            assert_eq!(known(module, name), expected, "{module}.{name}");
        }
    }

    #[test]
    fn the_lists_do_not_contradict_each_other() {
        assert!(SAFE.values().flatten().all(|name| *name != "*" && !name.contains('.')));
        for (module, names) in SAFE.iter() {
            for name in names {
                let both = DANGEROUS.get(module).is_some_and(|bad| bad.contains(name));
                assert!(!both, "{module}.{name}");
            }
        }
        for text in [include_str!("safe.txt"), include_str!("dangerous.txt")] {
            let lines: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).collect();
            assert!(lines.iter().all(|line| line.contains(": ")), "a line without names");
            assert!(lines.is_sorted(), "sorted, so that each module is found in one place");
        }
    }
}
