//! `trust.toml` on disk: read, changed one at a time, replaced whole.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use consign_bundle::publish;
use consign_signing::TrustPolicy;

use crate::context::{Context, directory_for, unreadable, unwritable};
use crate::outcome::Failure;

/// What a new file begins with.
const HEADER: &str =
    "# Whose signatures count, and as what. `consign trust` writes this file; you may edit it.\n";

/// A trust file that may not exist yet.
pub(super) struct TrustFile<'a> {
    context: &'a Context,
    path: PathBuf,
    /// Whether the caller named it, rather than the configuration.
    named: bool,
}

impl<'a> TrustFile<'a> {
    pub(super) fn new(context: &'a Context, named: Option<&Path>) -> Result<Self, Failure> {
        let path = named.map_or_else(|| context.trust_file(), |path| Ok(path.to_owned()))?;
        Ok(Self { context, path, named: named.is_some() })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The policy; one that trusts nobody if there is no file.
    pub(super) fn read(&self) -> Result<TrustPolicy, Failure> {
        if matches!(fs::metadata(&self.path), Err(error) if error.kind() == std::io::ErrorKind::NotFound) {
            return Ok(TrustPolicy::default());
        }
        self.read_listed()
    }

    /// The same, but a file that the caller named must exist.
    pub(super) fn read_listed(&self) -> Result<TrustPolicy, Failure> {
        Ok(self.context.trust_policy(self.named.then_some(&self.path))?.unwrap_or_default())
    }

    /// Reads the file, and replaces it by what `change` makes of it; nobody else changes it meanwhile.
    pub(super) fn change(
        &self,
        change: impl FnOnce(TrustPolicy) -> Result<TrustPolicy, Failure>,
    ) -> Result<(), Failure> {
        let home = publish::parent(&self.path);
        if !self.named && !home.exists() {
            make_private(home).map_err(|error| unwritable(home, &error))?;
        }
        let directory = directory_for(&self.path)?;
        // Where locks do not exist, the last writer wins. Closing the handle releases it.
        let _lock = File::open(directory).and_then(|handle| handle.lock().map(|()| handle));
        let old = self.read()?;
        let text = match fs::read_to_string(&self.path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => format!("{HEADER}format = 1\n"),
            Err(error) => return Err(unreadable(&self.path, &error)),
        };
        let new = change(old.clone())?;
        // A link stays a link: what it leads to is replaced.
        let path = fs::canonicalize(&self.path).unwrap_or_else(|_| self.path.clone());
        publish::replace(&path, edited(&text, &old, &new).as_bytes())
            .map_err(|error| unwritable(&self.path, &error))
    }
}

/// Makes the directory of the configuration, for its owner alone.
fn make_private(directory: &Path) -> std::io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(directory)
}

/// The text of the new policy, with the comments of the old text where that is easy: one entry is put at the
/// end, or taken out. Whatever the text looks like, the result says what `new` says, and nothing else.
fn edited(text: &str, old: &TrustPolicy, new: &TrustPolicy) -> String {
    let candidate = match new.keys().len().checked_sub(old.keys().len()) {
        Some(_) => appended(text, old, new),
        None => taken_out(text, old, new),
    };
    candidate
        .filter(|text| TrustPolicy::parse(text).as_ref() == Ok(new))
        .unwrap_or_else(|| format!("{HEADER}{}", new.to_toml()))
}

fn appended(text: &str, old: &TrustPolicy, new: &TrustPolicy) -> Option<String> {
    let mut added = new.keys().iter().filter(|key| old.find(&key.public_key).is_none());
    let entry = TrustPolicy::default().with_key(added.next()?.clone()).ok()?.to_toml();
    let entry = entry.split_once("[[key]]")?.1;
    Some(format!("{}\n\n[[key]]{entry}", text.trim_end()))
}

fn taken_out(text: &str, old: &TrustPolicy, new: &TrustPolicy) -> Option<String> {
    let gone = old.keys().iter().position(|key| new.find(&key.public_key).is_none())?;
    let lines: Vec<_> = text.split_inclusive('\n').collect();
    let heads: Vec<_> = (0..lines.len()).filter(|&at| lines[at].trim() == "[[key]]").collect();
    // Comments right above an entry go with it.
    let begin = |head: usize| {
        let above = lines[..head].iter().rev().take_while(|line| line.starts_with('#')).count();
        head - above
    };
    let start = begin(*heads.get(gone)?);
    let end = heads.get(gone + 1).map_or(lines.len(), |&head| begin(head));
    let kept = lines[..start].concat() + &lines[end..].concat();
    Some(format!("{}\n", kept.trim_end()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use consign_signing::{PrivateKey, Signer as _, TrustedKey};

    fn key(name: &str) -> TrustedKey {
        TrustedKey {
            name: name.parse().unwrap(),
            public_key: *PrivateKey::generate().unwrap().public_key(),
            owner: None,
            organization: None,
            roles: vec!["owner".parse().unwrap()],
        }
    }

    #[test]
    fn comments_stay_where_they_can() {
        let empty = TrustPolicy::default();
        let one = empty.clone().with_key(key("one")).unwrap();
        let two = one.clone().with_key(key("two")).unwrap();
        let three = two.clone().with_key(key("three")).unwrap();
        let mut text = format!("{HEADER}format = 1\n");
        for (old, new) in [(&empty, &one), (&one, &two), (&two, &three)] {
            text = edited(&text, old, new);
            assert_eq!(TrustPolicy::parse(&text).as_ref(), Ok(new));
        }
        let text = text.replace("\n[[key]]\nname = \"t", "\n# By telephone.\n[[key]]\nname = \"t");
        assert_eq!(text.matches("# By telephone.").count(), 2);
        let without = three.without_key("two").unwrap();
        let text = edited(&text, &three, &without);
        assert_eq!(text.matches("# By telephone.").count(), 1, "{text}");
        assert!(text.starts_with(HEADER));
        assert_eq!(TrustPolicy::parse(&text), Ok(without));
    }

    #[test]
    fn an_unusual_text_is_written_anew() {
        let old = TrustPolicy::default().with_key(key("one")).unwrap();
        let entry = &old.keys()[0];
        let inline = format!(
            "format = 1\nkey = [{{name = \"one\", public_key = \"{}\", roles = [\"owner\"]}}]\n",
            entry.public_key.to_openssh(None).trim_end()
        );
        assert_eq!(TrustPolicy::parse(&inline).as_ref(), Ok(&old));
        let new = old.clone().with_key(key("two")).unwrap();
        assert_eq!(TrustPolicy::parse(&edited(&inline, &old, &new)), Ok(new));
        let none = old.without_key("one").unwrap();
        assert_eq!(TrustPolicy::parse(&edited(&inline, &old, &none)), Ok(none));
    }
}
