//! Which tracked files differ from the commit, told without Git reading them: Git runs the filters that any
//! configuration names when it compares a file with the index, so the files are read and hashed here.
//!
//! Where a filter stands between a file and what is stored, what it would make of the file is not known. Git LFS is the
//! exception, for its pointers hold the SHA-256 of the file.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Instant;

use consign_bundle::Sha256State;
use consign_metadata::Sha256Digest;
use sha1::{Digest as _, Sha1};

use super::ask::{Git, PATIENCE};

/// A file that Git stores through a filter is read only if it is no larger: what is stored for a larger one is
/// something else.
const FILTERED_MAX: u64 = 64 * 1024;
/// Longest pointer of Git LFS (its specification: less than 1024 bytes).
const POINTER_MAX: u64 = 1024;
/// Attributes that let what is stored differ from the file (gitattributes(5)), besides `filter`.
const CONVERTING: [&str; 5] = ["text", "eol", "crlf", "ident", "working-tree-encoding"];

/// How many tracked files differ from the commit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Those that certainly do.
    pub changed: u64,
    /// Those of which only a filter could tell.
    pub open: u64,
}

impl Changes {
    /// Whether any does, as far as that can be told.
    pub fn any(self) -> Option<bool> {
        match (self.changed, self.open) {
            (0, 0) => Some(false),
            (0, _) => None,
            _ => Some(true),
        }
    }
}

/// Compares the work tree whose top this is with the commit that is checked out; `None` if that takes too long, or
/// something stands in the index that is not understood here.
pub fn changes(top: &Path) -> Option<Changes> {
    let until = Instant::now() + PATIENCE;
    let git = Git::at(top)?;
    let staged = git.list(&[
        "diff-index",
        "--cached",
        "--raw",
        "-z",
        "--no-renames",
        "--no-ext-diff",
        "--no-textconv",
        "--ignore-submodules=all",
        "HEAD",
        "--",
    ])?;
    let staged = staged_paths(&staged)?;
    let entries = git.list(&["ls-files", "-z", "-t", "--stage"])?;
    let entries: Vec<Entry<'_>> = entries
        .split(|byte| *byte == 0)
        .filter(|one| !one.is_empty())
        .map(Entry::parse)
        .collect::<Option<_>>()?;
    let mut changed: HashSet<&[u8]> = staged.iter().map(|path| &**path).collect();
    let entries: Vec<_> = entries.into_iter().filter(|entry| !changed.contains(entry.path)).collect();
    let filtered = attributes(&git, &["filter"], entries.iter().filter(|entry| entry.is_file()))?;
    let executable =
        git.line(&["config", "--type=bool", "--get", "core.fileMode"]).as_deref() != Some("false");
    let tree = Tree { git: &git, top, executable, until };
    let mut open = 0;
    let mut differ = Vec::new();
    for entry in &entries {
        let filter = filtered.get(entry.path).and_then(|set| set.first());
        match tree.compare(entry, filter.map(|(_, value)| &**value))? {
            Same::Yes => {}
            Same::No => {
                changed.insert(entry.path);
            }
            Same::Open => open += 1,
            Same::Unlike => differ.push(entry),
        }
    }
    if !differ.is_empty() {
        let converted = attributes(&git, &CONVERTING, differ.iter().copied())?;
        let by_default = git.line(&["config", "--get", "core.autocrlf"]);
        let by_default =
            by_default.is_some_and(|value| !matches!(&*value, "false" | "no" | "off" | "0" | ""));
        for entry in differ {
            let set = converted.get(entry.path).map_or(&[][..], Vec::as_slice);
            let more = set.iter().any(|(name, _)| matches!(&**name, b"ident" | b"working-tree-encoding"));
            if (by_default || !set.is_empty()) && tree.equals_with_line_feeds(entry)? {
                continue;
            }
            if more {
                open += 1;
            } else {
                changed.insert(entry.path);
            }
        }
    }
    Some(Changes { changed: changed.len() as u64, open })
}

/// Whether a file is as the index has it.
enum Same {
    Yes,
    No,
    /// Only a filter could tell.
    Open,
    /// Its bytes are others; line ends or an encoding may explain it.
    Unlike,
}

/// What the index says about a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry<'a> {
    mode: &'a [u8],
    id: &'a [u8],
    path: &'a [u8],
    /// Not checked out, by the user's choice.
    skipped: bool,
    /// A merge was not finished.
    unmerged: bool,
}

impl<'a> Entry<'a> {
    /// `TAG MODE ID STAGE<TAB>PATH` (git-ls-files(1)).
    fn parse(record: &'a [u8]) -> Option<Self> {
        let tab = memchr::memchr(b'\t', record)?;
        let (facts, path) = (&record[..tab], &record[tab + 1..]);
        let mut facts = facts.split(|byte| *byte == b' ');
        let (tag, mode, id, stage) = (facts.next()?, facts.next()?, facts.next()?, facts.next()?);
        let ordinary = facts.next().is_none()
            && !path.is_empty()
            && matches!(id.len(), 40 | 64)
            && id.iter().all(u8::is_ascii_hexdigit);
        let skipped = tag.eq_ignore_ascii_case(b"S");
        ordinary.then_some(Self { mode, id, path, skipped, unmerged: stage != b"0" })
    }

    fn is_file(&self) -> bool {
        self.mode.starts_with(b"100") && !self.skipped
    }
}

/// The paths of `git diff-index --raw -z`: `:MODE MODE ID ID STATUS<NUL>PATH<NUL>`.
fn staged_paths(raw: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut fields = raw.split(|byte| *byte == 0);
    let mut paths = Vec::new();
    while let Some(facts) = fields.next().filter(|facts| !facts.is_empty()) {
        if !facts.starts_with(b":") {
            return None;
        }
        paths.push(fields.next()?.to_vec());
    }
    Some(paths)
}

/// The attributes that are set for a path, each with its value.
type Attributes<'a> = HashMap<&'a [u8], Vec<(Vec<u8>, Vec<u8>)>>;

/// Which of the attributes `names` are set, for every entry that has any.
fn attributes<'a>(
    git: &Git<'_>,
    names: &[&str],
    entries: impl Iterator<Item = &'a Entry<'a>>,
) -> Option<Attributes<'a>> {
    let entries: Vec<_> = entries.collect();
    let input = entries.iter().flat_map(|entry| [entry.path, b"\0"]).collect::<Vec<_>>().concat();
    let question = [&["check-attr", "-z", "--stdin"], names].concat();
    let answer = git.list_for(&question, input)?;
    let mut fields = answer.split(|byte| *byte == 0);
    let mut found = Attributes::new();
    for entry in entries {
        for _ in names {
            let (path, name, value) = (fields.next()?, fields.next()?, fields.next()?);
            if path != entry.path {
                return None;
            }
            if !matches!(value, b"unspecified" | b"unset") {
                found.entry(entry.path).or_default().push((name.to_vec(), value.to_vec()));
            }
        }
    }
    Some(found)
}

/// A work tree that is compared.
struct Tree<'a> {
    git: &'a Git<'a>,
    top: &'a Path,
    /// Whether the file system keeps the executable bit.
    executable: bool,
    until: Instant,
}

impl Tree<'_> {
    /// `None` when the time is over.
    fn compare(&self, entry: &Entry<'_>, filter: Option<&[u8]>) -> Option<Same> {
        // A submodule has a repository of its own, and what is not checked out cannot be changed.
        if entry.skipped || entry.mode == b"160000" {
            return Some(Same::Yes);
        }
        if entry.unmerged {
            return Some(Same::No);
        }
        let Some(path) = self.path(entry) else { return Some(Same::Open) };
        let Ok(metadata) = fs::symlink_metadata(&path) else { return Some(Same::No) };
        if entry.mode == b"120000" {
            let target = if metadata.is_symlink() { link_target(&path) } else { None };
            return Some(match target {
                Some(target) if hash_of(entry.id, target.len() as u64, &mut &*target, self.until)? => {
                    Same::Yes
                }
                _ => Same::No,
            });
        }
        if !metadata.is_file() || (self.executable && is_executable(&metadata) != (entry.mode == b"100755")) {
            return Some(Same::No);
        }
        if let Some(filter) = filter {
            if metadata.len() <= FILTERED_MAX && self.has_id(entry, &path)? {
                return Some(Same::Yes);
            }
            return self.compare_filtered(entry, &path, filter == b"lfs");
        }
        Some(if self.has_id(entry, &path)? { Same::Yes } else { Same::Unlike })
    }

    /// Compares a file with what is stored in its place: known only for a pointer of Git LFS.
    fn compare_filtered(&self, entry: &Entry<'_>, path: &Path, lfs: bool) -> Option<Same> {
        let id = std::str::from_utf8(entry.id).ok()?;
        let stored = if lfs { self.git.bytes(&["cat-file", "blob", id], POINTER_MAX) } else { None };
        let Some((digest, size)) = stored.as_deref().and_then(pointer) else { return Some(Same::Open) };
        let Ok((mut file, length)) = open(path) else { return Some(Same::No) };
        if length != size {
            return Some(Same::No);
        }
        let mut state = Sha256State::initial();
        let read = pieces(&mut file, self.until, &mut |piece| state.update(piece))?;
        Some(if read == Some(size) && state.finish() == digest { Same::Yes } else { Same::No })
    }

    /// Whether the bytes of a file are the stored ones.
    fn has_id(&self, entry: &Entry<'_>, path: &Path) -> Option<bool> {
        let Ok((mut file, size)) = open(path) else { return Some(false) };
        hash_of(entry.id, size, &mut file, self.until)
    }

    /// Whether a file would be the stored one if its lines ended in LF.
    fn equals_with_line_feeds(&self, entry: &Entry<'_>) -> Option<bool> {
        /// No text that people edit is longer.
        const TEXT_MAX: u64 = 64 << 20;
        let Some(path) = self.path(entry) else { return Some(false) };
        let Ok((mut file, size)) = open(&path) else { return Some(false) };
        if size > TEXT_MAX {
            return Some(false);
        }
        let mut text = Vec::new();
        pieces(&mut file, self.until, &mut |piece| text.extend_from_slice(piece))?;
        let mut converted = Vec::with_capacity(text.len());
        let mut bytes = text.iter().peekable();
        while let Some(&byte) = bytes.next() {
            if !(byte == b'\r' && bytes.peek() == Some(&&b'\n')) {
                converted.push(byte);
            }
        }
        hash_of(entry.id, converted.len() as u64, &mut &*converted, self.until)
    }

    #[cfg(unix)]
    fn path(&self, entry: &Entry<'_>) -> Option<PathBuf> {
        let path = Path::new(<std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(entry.path));
        self.below(path)
    }

    #[cfg(not(unix))]
    fn path(&self, entry: &Entry<'_>) -> Option<PathBuf> {
        self.below(Path::new(std::str::from_utf8(entry.path).ok()?))
    }

    /// The index is the repository's own: a path in it may be anything.
    fn below(&self, path: &Path) -> Option<PathBuf> {
        let plain = path.components().all(|part| matches!(part, std::path::Component::Normal(_)));
        plain.then(|| self.top.join(path))
    }
}

/// Digest and size in a pointer of Git LFS (docs/spec.md of git-lfs). One with extensions is not understood: programs
/// stand between it and the file.
fn pointer(text: &[u8]) -> Option<(Sha256Digest, u64)> {
    let text = std::str::from_utf8(text).ok()?;
    let mut lines = text.lines();
    let (version, oid, size) = (lines.next()?, lines.next()?, lines.next()?);
    let known = version == "version https://git-lfs.github.com/spec/v1" && lines.next().is_none();
    let digest = Sha256Digest::from_hex(oid.strip_prefix("oid sha256:")?).ok()?;
    known.then_some((digest, size.strip_prefix("size ")?.parse().ok()?))
}

/// A regular file, opened without waiting for a pipe and without following a link, and its size.
fn open(path: &Path) -> io::Result<(File, u64)> {
    let mut options = File::options();
    options.read(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
        options.custom_flags(i32::try_from(flags.bits()).unwrap_or(0));
    }
    let file = options.open(path)?;
    let metadata = file.metadata()?;
    if metadata.is_file() { Ok((file, metadata.len())) } else { Err(io::ErrorKind::InvalidInput.into()) }
}

/// Whether what is read is the object of that id: `blob SIZE`, NUL and the content, hashed.
fn hash_of(id: &[u8], size: u64, source: &mut dyn io::Read, until: Instant) -> Option<bool> {
    let head = format!("blob {size}\0");
    let (found, read) = if id.len() == 40 {
        let mut state = Sha1::new_with_prefix(&head);
        let read = pieces(source, until, &mut |piece| state.update(piece))?;
        (hex(&state.finalize()), read)
    } else {
        let mut state = Sha256State::initial();
        state.update(head.as_bytes());
        let read = pieces(source, until, &mut |piece| state.update(piece))?;
        (state.finish().to_string(), read)
    };
    Some(read == Some(size) && found.as_bytes() == id)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Reads to the end; says how much came, and `None` if it cannot be read, in place of nothing when the time is over.
fn pieces(source: &mut dyn io::Read, until: Instant, take: &mut dyn FnMut(&[u8])) -> Option<Option<u64>> {
    let mut buffer = vec![0; 64 * 1024];
    let mut total = 0;
    loop {
        match source.read(&mut buffer) {
            Ok(0) => return Some(Some(total)),
            Ok(read) => {
                take(&buffer[..read]);
                total += read as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return Some(None),
        }
        if Instant::now() >= until {
            return None;
        }
    }
}

#[cfg(unix)]
fn link_target(path: &Path) -> Option<Vec<u8>> {
    Some(std::os::unix::ffi::OsStringExt::into_vec(fs::read_link(path).ok()?.into_os_string()))
}

#[cfg(not(unix))]
fn link_target(path: &Path) -> Option<Vec<u8>> {
    Some(fs::read_link(path).ok()?.to_str()?.replace('\\', "/").into_bytes())
}

#[cfg(unix)]
fn is_executable(metadata: &Metadata) -> bool {
    std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o100 != 0
}

#[cfg(not(unix))]
fn is_executable(_: &Metadata) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn records_of_the_index_are_read() {
        let id = "a".repeat(40);
        let record = format!("H 100755 {id} 0\tsrc/a\tb");
        let entry = Entry::parse(record.as_bytes()).unwrap();
        assert_eq!((entry.mode, entry.path, entry.is_file()), (&b"100755"[..], &b"src/a\tb"[..], true));
        let skipped = format!("S 100644 {id} 0\ta");
        assert!(Entry::parse(skipped.as_bytes()).unwrap().skipped);
        for odd in ["", "H", "H 100644 xyz 0\ta", "H 100644 0\ta", &format!("H 100644 {id} 0\t")] {
            assert_eq!(Entry::parse(odd.as_bytes()), None, "{odd}");
        }
    }

    #[test]
    fn only_plain_pointers_are_understood() {
        let digest = "5".repeat(64);
        let plain = format!("version https://git-lfs.github.com/spec/v1\noid sha256:{digest}\nsize 12\n");
        assert_eq!(pointer(plain.as_bytes()).unwrap().1, 12);
        for odd in [
            plain.replace("oid", &format!("ext-0-x sha256:{digest}\noid")),
            plain.replace("v1", "v2"),
            plain.replace("12", "-12"),
            plain.replace("sha256", "sha512"),
        ] {
            assert_eq!(pointer(odd.as_bytes()), None, "{odd}");
        }
    }

    proptest! {
        #[test]
        fn no_answer_of_git_panics(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Entry::parse(&bytes);
            let _ = staged_paths(&bytes);
            let _ = pointer(&bytes);
        }
    }
}
