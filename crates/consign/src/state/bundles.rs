//! Which bundle a name and version stood for when it was verified: the same later must be the same.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, Write as _};

use consign_metadata::{BundleId, BundleName, BundleVersion, Line};
use consign_signing::{BundleClaim, TrustedClaim};
use serde::{Deserialize, Serialize};

use super::{State, lock};
use crate::context::{is_absent, own_file};
use crate::failure::Failure;

const FILE: &str = "verified.jsonl";
/// Largest file, in bytes: some fifty thousand bundles. Then nothing more is remembered, and that is said.
const BYTES_MAX: u64 = 16 << 20;

/// A bundle that was verified.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Verified {
    /// By whose trust: absent for the machine's own, else the import whose keys counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub import: Option<Line>,
    pub name: BundleName,
    pub version: BundleVersion,
    pub id: BundleId,
    pub time: consign_signing::Timestamp,
}

/// By whose trust the keys counted: two laboratories may well use the same name.
fn trust_of(trusted: &TrustedClaim) -> BTreeSet<Option<Line>> {
    trusted.signers().iter().map(|signer| signer.import.clone()).collect()
}

fn is_other(known: &Verified, trusts: &BTreeSet<Option<Line>>, bundle: &BundleClaim) -> bool {
    known.name == bundle.name
        && known.version == bundle.version
        && known.id != bundle.id
        && trusts.contains(&known.import)
}

impl State {
    /// Makes sure that nobody else could have written what is known of bundles.
    pub fn check_bundles(&self) -> Result<(), Failure> {
        self.path(FILE).map_or(Ok(()), |path| own_file(&path).map(drop))
    }

    /// Another bundle that went by the same name and version before, under the same trust.
    pub fn other_bundle(&self, trusted: &TrustedClaim) -> io::Result<Option<Verified>> {
        let Some(path) = self.path(FILE) else { return Ok(None) };
        let known = match crate::reading::open(&path) {
            Ok(file) => read(file)?,
            Err(error) if is_absent(&error) => return Ok(None),
            Err(error) => return Err(error),
        };
        let (trusts, bundle) = (trust_of(trusted), &trusted.claim().bundle);
        Ok(known.into_iter().find(|known| is_other(known, &trusts, bundle)))
    }

    /// Remembers a bundle that was verified. If another one got there first, gives that one.
    pub fn remember_bundle(
        &self,
        trusted: &TrustedClaim,
        now: consign_signing::Timestamp,
    ) -> io::Result<Option<Verified>> {
        let directory = self.make("")?;
        let _lock = lock(&directory)?;
        let path = directory.join(FILE);
        let mut file = OpenOptions::new().create(true).truncate(false).read(true).write(true).open(&path)?;
        let known = read(file.try_clone()?)?;
        let (trusts, bundle) = (trust_of(trusted), &trusted.claim().bundle);
        if let Some(other) = known.iter().find(|known| is_other(known, &trusts, bundle)) {
            return Ok(Some(other.clone()));
        }
        let mut lines = Vec::new();
        for import in trusts {
            let BundleClaim { name, version, id, .. } = bundle.clone();
            let one = Verified { import, name, version, id, time: now };
            let same = |known: &Verified| Verified { time: now, ..known.clone() } == one;
            if !known.iter().any(same) {
                serde_json::to_writer(&mut lines, &one)?;
                lines.push(b'\n');
            }
        }
        if lines.is_empty() {
            return Ok(None);
        }
        // A line that was cut short by a crash is taken off: it was never said to be remembered.
        let end = whole_lines(&fs::read(&path)?);
        if end + lines.len() as u64 > BYTES_MAX {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("{} is full", path.display())));
        }
        file.set_len(end)?;
        file.seek(io::SeekFrom::End(0))?;
        file.write_all(&lines)?;
        file.sync_all()?;
        Ok(None)
    }
}

/// How many bytes belong to lines that are ended.
fn whole_lines(bytes: &[u8]) -> u64 {
    bytes.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at as u64 + 1)
}

fn read(file: File) -> io::Result<Vec<Verified>> {
    let mut text = Vec::new();
    file.take(BYTES_MAX + 1).read_to_end(&mut text)?;
    let end = usize::try_from(whole_lines(&text)).unwrap_or(text.len());
    let lines = text[..end].split(|&byte| byte == b'\n').filter(|line| !line.is_empty());
    let parse = |(number, line)| {
        serde_json::from_slice(line).map_err(|error| {
            io::Error::new(io::ErrorKind::InvalidData, format!("{FILE}, line {number}: {error}"))
        })
    };
    (1..).zip(lines).map(parse).collect()
}
