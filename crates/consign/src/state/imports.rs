//! The trust of others that was imported: which version, and when.

use std::fs;
use std::io;

use consign_bundle::publish;
use consign_metadata::{Line, Problem, Sha256Digest};
use consign_signing::{AcceptedTrust, Timestamp, TrustBundle, TrustPolicy};
use serde::{Deserialize, Serialize};

use super::{State, lock, make_private};
use crate::context::{is_absent, unreadable};
use crate::exit::Exit;
use crate::failure::Failure;

const FOLDER: &str = "imports";

/// A version of somebody's trust as it was imported.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stored {
    pub name: Line,
    pub imported: Timestamp,
    pub version: u64,
    /// The trust bundle, as it was received.
    pub bundle: String,
}

/// Names come from outside: a digest cannot lead anywhere.
fn file_name(name: &Line) -> String {
    format!("{}.json", Sha256Digest::of(name.as_str().as_bytes()).hex())
}

impl State {
    /// What was imported under that name last.
    pub fn imported(&self, name: &Line) -> Result<Option<TrustBundle>, Failure> {
        let Some(path) = self.path(FOLDER).map(|folder| folder.join(file_name(name))) else {
            return Ok(None);
        };
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if is_absent(&error) => return Ok(None),
            Err(error) => return Err(unreadable(&path, &error)),
        };
        let broken = |why: String| {
            let problem = Problem::new("state-malformed", why).at(path.display().to_string());
            Failure::usage(problem.hint("remove the file, and import the trust bundle again"))
        };
        let stored: Stored = serde_json::from_slice(&text).map_err(|error| broken(error.to_string()))?;
        let bundle = TrustBundle::parse(stored.bundle.as_bytes())
            .map_err(|problems| broken(problems.first().map(ToString::to_string).unwrap_or_default()))?;
        if (&stored.name, stored.version) != (name, bundle.version()) {
            return Err(broken("belongs to another import".into()));
        }
        Ok(Some(bundle))
    }

    /// Keeps what was accepted. If a newer version got there first, gives that and keeps nothing: another trust
    /// file, with a lock of its own, may name the same import.
    pub fn keep_import(&self, name: &Line, trust: &AcceptedTrust, now: Timestamp) -> io::Result<Option<u64>> {
        let folder = self.make(FOLDER)?;
        let _lock = lock(&folder)?;
        let there = self.imported(name).ok().flatten().map(|there| there.version());
        if let Some(newer) = there.filter(|there| *there > trust.version()) {
            return Ok(Some(newer));
        }
        let stored = Stored {
            name: name.clone(),
            imported: now,
            version: trust.version(),
            bundle: String::from_utf8_lossy(&trust.bundle().to_bytes()).into_owned(),
        };
        let mut text = serde_json::to_vec_pretty(&stored)?;
        text.push(b'\n');
        publish::replace(&folder.join(file_name(name)), &text).map(|()| None)
    }

    /// Whether there is a place to keep imports in; makes it.
    pub fn prepare_imports(&self) -> io::Result<()> {
        self.make(FOLDER).and_then(|folder| make_private(&folder))
    }

    /// Puts what was imported into the entries of a policy.
    pub fn attach_imports(&self, policy: &mut TrustPolicy) -> Result<(), Failure> {
        let entries: Vec<_> = policy.imports().to_vec();
        for entry in entries {
            let Some(bundle) = self.imported(&entry.name)? else { continue };
            let accepted = AcceptedTrust::stored(bundle, &entry).ok_or_else(|| {
                let message = format!(
                    "what was imported as `{}` is not signed by the root that trust.toml names for it",
                    entry.name
                );
                let hint = "import the trust bundle again, or see who changed `root` in trust.toml";
                Failure::new(Exit::NotTrusted, Problem::new("trust-import-root", message).hint(hint))
            })?;
            policy.attach(entry.name.as_str(), accepted);
        }
        Ok(())
    }
}
