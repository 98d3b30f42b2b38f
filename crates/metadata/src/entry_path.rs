//! Names of files inside a bundle: a type that cannot hold a bad one, and the rules between names.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize};

use crate::digest::Sha256Digest;
use crate::joiners::{is_in_context, is_joiner};
use crate::limits::{COMPONENT_BYTES_MAX, PATH_BYTES_MAX, PATH_DEPTH_MAX};
use crate::unicode::{fold, is_deceptive, is_private, is_unassigned, printable, without_joiners};

/// The path of a file or empty directory inside a bundle, relative to its payload.
///
/// UTF-8, `/`-separated, relative, no empty, `.` or `..` component, no control, invisible, bidirectional or
/// unassigned character (joiners stand where a script or an emoji needs them), no backslash, within the limits of [`limits`](crate::limits). Rules that a
/// [`NameProfile`] can lift are checked by [`EntryPath::check`] and [`NameSet`].
///
/// ```
/// use consign_metadata::EntryPath;
/// assert!("data/train.csv".parse::<EntryPath>().is_ok());
/// assert!("../etc/passwd".parse::<EntryPath>().is_err());
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, schemars::JsonSchema)]
#[serde(transparent)]
pub struct EntryPath(Box<str>);

/// Which names a bundle admits beyond the rules that always hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum NameProfile {
    /// Names that every common platform and every BagIt tool takes: the default.
    #[default]
    Portable,
    /// Also names with `:`, `%` and the like, Windows device names, and names that differ only in case or
    /// Unicode normalisation, for scientific data that cannot be renamed.
    Posix,
}

/// A rule that a name can break.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NameRule {
    /// The name is not UTF-8.
    NotUtf8,
    /// The path or a component is empty, `.` or `..`, or the path is absolute.
    NotRelative,
    /// A backslash: a separator on one system, a letter on another.
    Backslash,
    /// A control character, line separator, bidirectional control or invisible character.
    Invisible,
    /// A code point that Unicode 16.0 does not assign.
    Unassigned,
    /// A code point for private use.
    PrivateUse,
    /// Path or component longer than the limits.
    TooLong,
    /// More components than the limit.
    TooDeep,
    /// A file where another name needs a directory.
    FileAndDirectory,
    /// The same name twice, or names out of order.
    Order,
    /// Two names that differ in nothing but joiners.
    InvisibleTwin,
    /// Portable only: a character that Windows or bagit-python refuses.
    ReservedCharacter,
    /// Portable only: a trailing dot or space, which Windows strips.
    TrailingDotOrSpace,
    /// Portable only: a Windows device name.
    DeviceName,
    /// Portable only: two names that a case-insensitive or normalising file system takes for one.
    Twin,
}

impl NameRule {
    /// Stable identifier for programs.
    pub fn code(self) -> &'static str {
        match self {
            Self::NotUtf8 => "name-not-utf8",
            Self::NotRelative => "name-not-relative",
            Self::Backslash => "name-backslash",
            Self::Invisible => "name-invisible-character",
            Self::Unassigned => "name-unassigned-character",
            Self::PrivateUse => "name-private-use-character",
            Self::TooLong => "name-too-long",
            Self::TooDeep => "name-too-deep",
            Self::FileAndDirectory => "name-file-and-directory",
            Self::Order => "name-order",
            Self::InvisibleTwin => "name-invisible-twin",
            Self::ReservedCharacter => "name-reserved-character",
            Self::TrailingDotOrSpace => "name-trailing-dot-or-space",
            Self::DeviceName => "name-windows-device",
            Self::Twin => "name-twin",
        }
    }

    /// Whether [`NameProfile::Posix`] lifts the rule.
    pub fn lifted_by_posix(self) -> bool {
        matches!(self, Self::ReservedCharacter | Self::TrailingDotOrSpace | Self::DeviceName | Self::Twin)
    }
}

/// A name that breaks a rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}` {reason}", printable(.path))]
pub struct NameFault {
    /// The offending path as it was given; show it through [`printable`].
    pub path: String,
    /// The rule.
    pub rule: NameRule,
    /// What about it, as the end of a sentence that begins with the path.
    pub reason: String,
}

impl NameFault {
    fn new(path: &str, rule: NameRule, reason: impl Into<String>) -> Self {
        Self { path: path.to_owned(), rule, reason: reason.into() }
    }

    /// A name that is not UTF-8, shown lossily.
    pub fn not_utf8(lossy: &str) -> Self {
        Self::new(lossy, NameRule::NotUtf8, "is not valid UTF-8")
    }
}

impl EntryPath {
    /// Parses a path and checks it against a profile.
    ///
    /// # Errors
    /// The first rule that the path breaks.
    pub fn parse(text: &str, profile: NameProfile) -> Result<Self, NameFault> {
        let path: Self = text.parse()?;
        path.check(profile)?;
        Ok(path)
    }

    /// Checks the rules of a profile that concern one name alone.
    ///
    /// # Errors
    /// The first rule that the path breaks.
    pub fn check(&self, profile: NameProfile) -> Result<(), NameFault> {
        match profile {
            NameProfile::Posix => Ok(()),
            NameProfile::Portable => self.components().try_for_each(|part| self.check_portable(part)),
        }
    }

    fn check_portable(&self, part: &str) -> Result<(), NameFault> {
        let fault = |rule, reason: String| Err(NameFault::new(&self.0, rule, reason));
        if let Some(c) = part.chars().find(|c| matches!(c, ':' | '%' | '<' | '>' | '"' | '|' | '?' | '*')) {
            return fault(
                NameRule::ReservedCharacter,
                format!("holds `{c}`, which Windows or some BagIt tools do not take"),
            );
        }
        if part.ends_with(['.', ' ']) {
            return fault(
                NameRule::TrailingDotOrSpace,
                "has a part that ends in a dot or space, which Windows strips".into(),
            );
        }
        if is_windows_device(part) {
            return fault(
                NameRule::DeviceName,
                format!("has the part `{part}`, which is a device on Windows"),
            );
        }
        Ok(())
    }

    /// The path as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The components, outermost first; never empty.
    pub fn components(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.0.split('/')
    }

    /// The last component.
    pub fn file_name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or(&self.0)
    }
}

/// Names that Windows resolves to devices whatever their extension (CVE-2024-35197, CVE-2024-51756 for the
/// superscript digits).
fn is_windows_device(part: &str) -> bool {
    let stem = part.split('.').next().unwrap_or(part).trim_end_matches(' ').to_ascii_lowercase();
    if matches!(stem.as_str(), "con" | "prn" | "aux" | "nul" | "conin$" | "conout$") {
        return true;
    }
    let numbered = stem.strip_prefix("com").or_else(|| stem.strip_prefix("lpt"));
    numbered.is_some_and(|n| {
        matches!(n, "0" | "1" | "2" | "3" | "4" | "5" | "6" | "7" | "8" | "9" | "¹" | "²" | "³")
    })
}

/// What is said of a character for private use: some stand for characters that Windows does not take in names. Services
/// for Macintosh numbers them from U+F001 (macOS, Samba's `vfs_fruit`, Linux's `mapposix`); Interix, Cygwin and WSL add
/// U+F000 (Linux's `mapchars`).
fn private_use(c: char) -> String {
    const FROM_MAC: [char; 10] = ['"', '*', ':', '<', '>', '?', '\\', '|', ' ', '.'];
    let code = u32::from(c);
    let mac = code.checked_sub(0xf020).and_then(|n| FROM_MAC.get(n as usize)).copied();
    let added = code.checked_sub(0xf000).and_then(char::from_u32);
    let added = added.filter(|c| matches!(c, '"' | '*' | ':' | '<' | '>' | '?' | '\\' | '|' | ' ' | '.'));
    let control = matches!(code, 0xf001..=0xf01f).then(|| format!("U+{:04X}", code - 0xf000));
    let shown = |c: char| if c == ' ' { "a space".to_owned() } else { format!("`{c}`") };
    let stands_for = match (mac.map(shown), added.map(shown), control) {
        (Some(one), Some(other), _) => format!("{one} or {other}"),
        (Some(one), None, _) | (None, Some(one), _) | (None, None, Some(one)) => one,
        (None, None, None) => return format!("holds U+{code:04X}, which is for private use"),
    };
    format!(
        "holds U+{code:04X}, which is for private use: a client for SMB or macOS wrote it for {stands_for}"
    )
}

impl FromStr for EntryPath {
    type Err = NameFault;

    /// Checks the rules that hold under every profile.
    fn from_str(text: &str) -> Result<Self, NameFault> {
        let fault = |rule, reason: String| Err(NameFault::new(text, rule, reason));
        if text.len() > PATH_BYTES_MAX {
            return fault(
                NameRule::TooLong,
                format!("is {} bytes long (at most {PATH_BYTES_MAX})", text.len()),
            );
        }
        if text.starts_with('/') {
            return fault(NameRule::NotRelative, "is absolute".into());
        }
        let mut depth = 0;
        for part in text.split('/') {
            depth += 1;
            match part {
                "" => return fault(NameRule::NotRelative, "has an empty part".into()),
                "." | ".." => return fault(NameRule::NotRelative, format!("has the part `{part}`")),
                _ if part.len() > COMPONENT_BYTES_MAX => {
                    return fault(
                        NameRule::TooLong,
                        format!("has a part of {} bytes (at most {COMPONENT_BYTES_MAX})", part.len()),
                    );
                }
                _ => {}
            }
        }
        if depth > PATH_DEPTH_MAX {
            return fault(NameRule::TooDeep, format!("is {depth} levels deep (at most {PATH_DEPTH_MAX})"));
        }
        for (at, c) in text.char_indices() {
            // ASCII letters make up nearly every name; the tables need not be asked about them.
            if c.is_ascii_graphic() && c != '\\' || c == ' ' {
                continue;
            }
            let code = u32::from(c);
            if c == '\\' {
                return fault(NameRule::Backslash, "holds a backslash".into());
            }
            if is_joiner(c) {
                if is_in_context(text, at) {
                    continue;
                }
                return fault(
                    NameRule::Invisible,
                    format!("holds U+{code:04X}, an invisible joiner, where it joins nothing"),
                );
            }
            if is_deceptive(c) {
                return fault(
                    NameRule::Invisible,
                    format!("holds U+{code:04X}, a control or invisible character"),
                );
            }
            if is_private(c) {
                return fault(NameRule::PrivateUse, private_use(c));
            }
            if is_unassigned(c) {
                return fault(
                    NameRule::Unassigned,
                    format!("holds U+{code:04X}, which Unicode 16.0 does not assign"),
                );
            }
        }
        Ok(Self(text.into()))
    }
}

impl<'de> Deserialize<'de> for EntryPath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        crate::text::deserialize_parsed(deserializer)
    }
}

impl fmt::Display for EntryPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for EntryPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

/// The rules between names: each once, in bytewise order, no file where a directory must be, no two that differ in
/// nothing but joiners, and under [`NameProfile::Portable`] no twins at any level of the tree.
///
/// ```
/// use consign_metadata::{NameProfile, NameSet};
/// let mut names = NameSet::new(NameProfile::Portable);
/// names.insert(&"README".parse()?)?;
/// assert!(names.insert(&"readme".parse()?).is_err());
/// # Ok::<(), consign_metadata::NameFault>(())
/// ```
///
/// Since names come in order, what stands in one directory comes together: only the directories that the last
/// name lies in are remembered.
#[derive(Debug)]
pub struct NameSet {
    profile: NameProfile,
    /// The name before; empty before the first.
    last: String,
    /// Lengths of the beginnings of `last`, it included, that are names themselves: `a` stays open while names
    /// such as `a.txt`, which sort before `a/b`, pass by.
    open: Vec<usize>,
    /// What was met in each directory that `last` lies in, outermost first.
    directories: Vec<Siblings>,
}

/// First 128 bits of the SHA-256 of a folded name. A collision could only refuse a bundle, and needs 2^64 work.
type FoldedKey = [u8; 16];

/// The names in one directory, folded. A twin of a twin's directory is never asked for: the directory is
/// refused already.
#[derive(Debug, Default)]
struct Siblings {
    /// Those that are spelled as they fold, which is most.
    plain: HashSet<FoldedKey>,
    /// The others, and how they are spelled.
    spelled: HashMap<FoldedKey, Box<str>>,
}

impl Siblings {
    /// The name in this directory that folds to the same, if there is one.
    fn twin<'a>(&'a self, name: &'a FoldedName<'_>) -> Option<&'a str> {
        let plain = || self.plain.contains(&name.key).then_some(&*name.folded);
        self.spelled.get(&name.key).map(|twin| &**twin).or_else(plain)
    }

    fn insert(&mut self, name: &FoldedName<'_>) {
        if name.folded == name.text {
            self.plain.insert(name.key);
        } else {
            self.spelled.insert(name.key, name.text.into());
        }
    }
}

/// One part of a path, and what it shares with its twins.
struct FoldedName<'a> {
    text: &'a str,
    folded: Cow<'a, str>,
    key: FoldedKey,
}

impl<'a> FoldedName<'a> {
    /// `None` for a name that has no twin: without [`NameProfile::Portable`] those differ in joiners alone, and there
    /// are none next to ASCII.
    fn new(text: &'a str, profile: NameProfile) -> Option<Self> {
        let folded = match profile {
            NameProfile::Portable => fold(text),
            NameProfile::Posix if text.is_ascii() => return None,
            NameProfile::Posix => without_joiners(text),
        };
        let digest = Sha256Digest::of(folded.as_bytes());
        let mut key = FoldedKey::default();
        key.copy_from_slice(&digest.as_bytes()[..16]);
        Some(Self { text, folded, key })
    }
}

impl NameSet {
    /// An empty set.
    pub fn new(profile: NameProfile) -> Self {
        Self { profile, last: String::new(), open: Vec::new(), directories: vec![Siblings::default()] }
    }

    /// Adds the next name; names come in ascending bytewise order.
    ///
    /// # Errors
    /// The rule that the name breaks, by itself or against those before it. The set is then as before.
    pub fn insert(&mut self, path: &EntryPath) -> Result<(), NameFault> {
        path.check(self.profile)?;
        let (text, last) = (path.as_str(), self.last.as_str());
        if text <= last {
            let reason = match text == last {
                true => "stands twice".into(),
                false => format!("stands after `{last}`, against the bytewise order of names"),
            };
            return Err(NameFault::new(text, NameRule::Order, reason));
        }
        let same = last.bytes().zip(text.bytes()).take_while(|(a, b)| a == b).count();
        // A file or an empty directory cannot have anything below it.
        let open = self.open.partition_point(|&len| len <= same);
        for (slash, _) in text.match_indices('/') {
            if self.open[..open].binary_search(&slash).is_ok() {
                let reason = format!("needs a directory where the entry `{}` stands", &text[..slash]);
                return Err(NameFault::new(text, NameRule::FileAndDirectory, reason));
            }
        }
        self.insert_parts(text, same)?;
        self.open.truncate(open);
        self.open.push(text.len());
        self.last.clear();
        self.last.push_str(text);
        Ok(())
    }

    /// Checks the first part of `text` that differs from the name before, with which it shares `same` bytes.
    /// What comes after it stands in directories that are new.
    fn insert_parts(&mut self, text: &str, same: usize) -> Result<(), NameFault> {
        let shared = &text.as_bytes()[..same];
        let start = shared.iter().rposition(|&byte| byte == b'/').map_or(0, |slash| slash + 1);
        let depth = shared[..start].iter().filter(|&&byte| byte == b'/').count();
        let profile = self.profile;
        let mut parts = text[start..].split('/');
        let (Some(first), Some(siblings)) = (parts.next(), self.directories.get_mut(depth)) else {
            return Ok(());
        };
        if let Some(first) = FoldedName::new(first, profile) {
            if let Some(twin) = siblings.twin(&first) {
                let (rule, words) = if without_joiners(twin) == without_joiners(first.text) {
                    (NameRule::InvisibleTwin, "differ in nothing but invisible joiners")
                } else {
                    (NameRule::Twin, "are one name where case or Unicode normalisation does not count")
                };
                let before = printable(&text[..start]);
                let reason = format!("and `{before}{}` {words}", printable(twin));
                return Err(NameFault::new(&text[..start + first.text.len()], rule, reason));
            }
            siblings.insert(&first);
        }
        self.directories.truncate(depth + 1);
        self.directories.extend(parts.map(|part| {
            let mut siblings = Siblings::default();
            FoldedName::new(part, profile).iter().for_each(|name| siblings.insert(name));
            siblings
        }));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(text: &str) -> Option<NameRule> {
        EntryPath::parse(text, NameProfile::Portable).err().map(|fault| fault.rule)
    }

    #[test]
    fn a15_a16_a17_each_rule_has_a_name_that_breaks_it() {
        let long = "x".repeat(256);
        let far = format!("{}x", "x/".repeat(1024));
        let deep = format!("{}x", "x/".repeat(100));
        for (name, expected) in [
            ("", NameRule::NotRelative),
            (".", NameRule::NotRelative),
            ("../x", NameRule::NotRelative),
            ("a/../../x", NameRule::NotRelative),
            ("a//b", NameRule::NotRelative),
            ("./a", NameRule::NotRelative),
            ("a/", NameRule::NotRelative),
            ("/etc/x", NameRule::NotRelative),
            ("//x", NameRule::NotRelative),
            ("a\\b", NameRule::Backslash),
            ("\\\\srv\\share", NameRule::Backslash),
            ("a\0b", NameRule::Invisible),
            ("a\u{1b}[31m", NameRule::Invisible),
            ("a\rb", NameRule::Invisible),
            ("a\u{85}b", NameRule::Invisible),
            (".g\u{200c}it/config", NameRule::Invisible),
            ("a\u{202e}b", NameRule::Invisible),
            ("a\u{2028}b", NameRule::Invisible),
            ("a\u{e0041}", NameRule::Invisible),
            ("a\u{378}", NameRule::Unassigned),
            ("a\u{e000}", NameRule::PrivateUse),
            ("18\u{f03a}51", NameRule::PrivateUse),
            (long.as_str(), NameRule::TooLong),
            (far.as_str(), NameRule::TooLong),
            (deep.as_str(), NameRule::TooDeep),
            ("C:x", NameRule::ReservedCharacter),
            ("file:stream", NameRule::ReservedCharacter),
            ("100%", NameRule::ReservedCharacter),
            ("what?", NameRule::ReservedCharacter),
            ("model.bin.", NameRule::TrailingDotOrSpace),
            ("x /y", NameRule::TrailingDotOrSpace),
            ("CON", NameRule::DeviceName),
            ("a/nul.txt", NameRule::DeviceName),
            ("com1.log", NameRule::DeviceName),
            ("COM¹", NameRule::DeviceName),
            ("CONOUT$", NameRule::DeviceName),
        ] {
            assert_eq!(rule(name), Some(expected), "{name:?}");
            let posix = EntryPath::parse(name, NameProfile::Posix);
            assert_eq!(posix.is_ok(), expected.lifted_by_posix(), "{name:?}");
        }
    }

    #[test]
    fn ordinary_names_of_many_scripts_pass() {
        for name in [
            "a",
            "-rf",
            "a b.txt",
            "données/été.csv",
            "数据/训练.parquet",
            "данные.csv",
            "بيانات.txt",
            "🦀.rs",
            "console.log",
            "com10",
            "~1",
        ] {
            assert_eq!(rule(name), None, "{name:?}");
        }
    }

    #[test]
    fn field_c7_names_with_joiners_that_scripts_and_emoji_need_pass() {
        for name in [
            "نمونه\u{200c}ها/می\u{200c}خواهم.csv",
            "क\u{94d}\u{200d}ष.txt",
            "👩\u{200d}🔬/❤\u{fe0f}.png",
            "1\u{fe0f}\u{20e3}.md",
        ] {
            assert_eq!(rule(name), None, "{name:?}");
            assert_eq!(
                EntryPath::parse(name, NameProfile::Posix).map(|path| path.to_string()).as_deref(),
                Ok(name)
            );
        }
        for name in
            ["a\u{200d}b", "می\u{200c}/خ", "می\u{200c}.csv", "a\u{fe0f}", "con\u{200d}", ".git\u{200c}"]
        {
            assert_eq!(rule(name), Some(NameRule::Invisible), "{name:?}");
        }
    }

    #[test]
    fn field_c7_what_is_for_private_use_is_told_as_that() {
        let reason = |name: &str| EntryPath::parse(name, NameProfile::Posix).unwrap_err().reason;
        for (name, expected) in [
            (
                "18\u{f03a}51",
                "holds U+F03A, which is for private use: a client for SMB or macOS wrote it for `:`",
            ),
            (
                "a\u{f021}",
                "holds U+F021, which is for private use: a client for SMB or macOS wrote it for `*`",
            ),
            (
                "a\u{f022}",
                "holds U+F022, which is for private use: a client for SMB or macOS wrote it for `:` or `\"`",
            ),
            (
                "a\u{f028}",
                "holds U+F028, which is for private use: a client for SMB or macOS wrote it for a space",
            ),
            (
                "a\u{f00d}",
                "holds U+F00D, which is for private use: a client for SMB or macOS wrote it for U+000D",
            ),
            ("a\u{e000}", "holds U+E000, which is for private use"),
            ("a\u{10fffd}", "holds U+10FFFD, which is for private use"),
            ("a\u{378}", "holds U+0378, which Unicode 16.0 does not assign"),
        ] {
            assert_eq!(reason(name), expected, "{name:?}");
        }
    }

    #[test]
    fn field_c7_names_that_differ_in_joiners_alone_are_twins_everywhere() {
        let both = |names: &[&str]| {
            [NameProfile::Portable, NameProfile::Posix].map(|profile| set_rule(profile, names))
        };
        let twins = [Some(NameRule::InvisibleTwin); 2];
        assert_eq!(both(&["میخواهم", "می\u{200c}خواهم"]), twins);
        assert_eq!(both(&["x/❤", "x/❤\u{fe0f}"]), twins);
        assert_eq!(both(&["x/❤/a", "x/❤\u{fe0f}/b"]), twins);
        assert_eq!(both(&["x/👩\u{200d}🔬", "x/👩🔬"]), twins);
        assert_eq!(both(&["x/❤", "y/❤\u{fe0f}"]), [None; 2]);
        // With another spelling beside it they are twins as others are.
        let names = ["É❤", "é❤\u{fe0f}"];
        assert_eq!(both(&names), [Some(NameRule::Twin), None]);
        assert_eq!(both(&["É", "é"]), [Some(NameRule::Twin), None]);
    }

    fn set_rule(profile: NameProfile, names: &[&str]) -> Option<NameRule> {
        let mut set = NameSet::new(profile);
        names.iter().try_for_each(|name| set.insert(&name.parse()?)).err().map(|fault: NameFault| fault.rule)
    }

    /// Every name that breaks a rule is told, whatever came before it, and leaves no trace.
    #[test]
    fn a_refused_name_changes_nothing() {
        let mut set = NameSet::new(NameProfile::Portable);
        let mut refused = Vec::new();
        for name in
            ["A/x", "A/y/z", "B", "a/x", "a/y", "b", "b/c", "c/D/e", "c/d/e", "c/d/f", "c/e", "c/e/f", "d"]
        {
            let fault = set.insert(&name.parse().expect("a name")).err();
            refused.extend(fault.map(|fault| (name, fault.path, fault.rule, fault.reason)));
        }
        let twin = |name, path: &str, twin: &str| {
            let reason =
                format!("and `{twin}` are one name where case or Unicode normalisation does not count");
            (name, path.to_owned(), NameRule::Twin, reason)
        };
        let below = "needs a directory where the entry `c/e` stands".to_owned();
        let expected = [
            twin("a/x", "a", "A"),
            twin("a/y", "a", "A"),
            twin("b", "b", "B"),
            twin("b/c", "b", "B"),
            twin("c/d/e", "c/d", "c/D"),
            twin("c/d/f", "c/d", "c/D"),
            ("c/e/f", "c/e/f".to_owned(), NameRule::FileAndDirectory, below),
        ];
        assert_eq!(refused, expected);
    }

    #[test]
    fn names_are_held_against_each_other() {
        let portable = |names: &[&str]| set_rule(NameProfile::Portable, names);
        assert_eq!(portable(&["a", "b/c", "b/d", "b0"]), None);
        assert_eq!(portable(&["a", "a"]), Some(NameRule::Order));
        assert_eq!(portable(&["b", "a"]), Some(NameRule::Order));
        assert_eq!(portable(&["a", "a/b"]), Some(NameRule::FileAndDirectory));
        assert_eq!(portable(&["a", "a.txt", "a/b"]), Some(NameRule::FileAndDirectory));
        assert_eq!(portable(&["README", "readme"]), Some(NameRule::Twin));
        assert_eq!(portable(&["Data/a", "data/b"]), Some(NameRule::Twin));
        assert_eq!(portable(&["straße", "strasse"]), Some(NameRule::Order));
        assert_eq!(portable(&["strasse", "straße"]), Some(NameRule::Twin));
        assert_eq!(portable(&["e\u{301}", "é"]), Some(NameRule::Twin));
        assert_eq!(portable(&["d/K", "d/k/x", "d/\u{212a}"]), Some(NameRule::Twin));
        assert_eq!(portable(&["d/k/x", "d/\u{212a}/x"]), Some(NameRule::Twin));
        assert_eq!(portable(&["A", "b/a", "b/c/A", "b/d/a", "c/A/b"]), None);
        assert_eq!(set_rule(NameProfile::Posix, &["README", "readme"]), None);
        assert_eq!(set_rule(NameProfile::Posix, &["a", "a/b"]), Some(NameRule::FileAndDirectory));
    }
}
