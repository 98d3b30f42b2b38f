//! A handling policy whose parts fit together.

use consign_metadata::{Classification, Line, Role, RuleId, Scheme, Sha256Digest};
use consign_signing::PublicKey;
use globset::GlobMatcher;

use crate::document::{Action, FindingRule};
use crate::level::{Fields, Level};
use crate::request::Surveyed;

/// Largest policy file, in bytes.
pub const POLICY_BYTES_MAX: usize = 1 << 20;

/// How many days what events say is kept, where a policy says nothing else: a year, as auditors come back after it.
pub const LOG_DAYS: u32 = 365;

/// What each classification demands, whom bundles may go to, and what a recipient accepts: the content of
/// `policy.toml`, checked as a whole. [`Policy::parse`] and [`Policy::builtin`] make one.
#[derive(Clone, Debug)]
pub struct Policy {
    pub(crate) name: Line,
    pub(crate) digest: Sha256Digest,
    pub(crate) own: Vec<Line>,
    pub(crate) log_days: u32,
    pub(crate) scheme: Scheme,
    /// As many as the scheme has, in its order.
    pub(crate) levels: Vec<Level>,
    pub(crate) findings: Vec<FindingRule>,
    pub(crate) recipients: Vec<Recipient>,
    pub(crate) destinations: Vec<Destination>,
    pub(crate) markings: Vec<Marking>,
    pub(crate) categories: Vec<Category>,
    pub(crate) sources: Vec<SourceRule>,
    pub(crate) signers: Vec<Signer>,
    pub(crate) accept: Option<Accept>,
    pub(crate) warnings: Vec<String>,
}

/// Somebody whom bundles may be addressed and encrypted to.
#[derive(Clone, Debug)]
pub struct Recipient {
    /// The name by which they are addressed.
    pub name: Line,
    /// Other names that they go by.
    pub aliases: Vec<Line>,
    /// Their organization.
    pub organization: Option<Line>,
    /// The file with the policy that they publish, as the policy has it.
    pub laboratory: Option<Line>,
    /// Their keys for encryption, as age writes them.
    pub encrypt_to: Vec<Line>,
    /// The highest level that they may receive.
    pub highest: Option<Classification>,
}

impl Recipient {
    /// The name and all others that they go by.
    pub fn names(&self) -> impl Iterator<Item = &Line> {
        std::iter::once(&self.name).chain(&self.aliases)
    }
}

/// Who is meant by a name.
#[derive(Clone, Copy, Debug)]
pub enum Called<'a> {
    /// A recipient whom the policy lists, by name or by another name of theirs.
    Listed(&'a Recipient),
    /// Nobody; but a recipient is called so but for capitals, spaces and the like.
    Misspelt(&'a Recipient),
    /// Nobody whom the policy lists.
    Unlisted,
}

/// A name as it sounds: without capitals, spaces, hyphens, underscores and full stops.
pub(crate) fn sound(name: &str) -> String {
    let kept = name.chars().filter(|c| !c.is_whitespace() && !matches!(c, '-' | '_' | '.'));
    kept.flat_map(char::to_lowercase).collect()
}

/// Where bundles may be submitted to.
#[derive(Clone, Debug)]
pub struct Destination {
    /// The name.
    pub name: Line,
    /// The folder.
    pub path: Line,
    /// How it gets there.
    pub channel: Option<Line>,
    /// The recipient who reads there.
    pub recipient: Option<Line>,
    /// The highest level that may go there.
    pub highest: Option<Classification>,
}

/// Words that demand a level.
#[derive(Clone, Debug)]
pub struct Marking {
    /// The words.
    pub word: Line,
    /// The rule by which a scan finds them.
    pub rule: RuleId,
    /// The lowest level that a bundle with them may have.
    pub level: Classification,
}

/// A kind of data that demands a level.
#[derive(Clone, Debug)]
pub struct Category {
    /// The name that descriptors use.
    pub name: Line,
    /// What belongs to it.
    pub description: Option<Line>,
    /// The lowest level.
    pub level: Classification,
    /// Patterns of file names.
    pub files: Vec<GlobMatcher>,
}

/// Original sources that demand a level.
#[derive(Clone, Debug)]
pub struct SourceRule {
    /// The pattern of URIs.
    pub uri: GlobMatcher,
    /// The lowest level.
    pub level: Classification,
}

/// A key whose signatures a recipient accepts.
#[derive(Clone, Debug)]
pub struct Signer {
    /// A name for the key.
    pub name: Line,
    /// The key.
    pub public_key: PublicKey,
    /// Who holds it.
    pub owner: Option<Line>,
    /// Their organization.
    pub organization: Option<Line>,
    /// The roles in which its signatures are accepted.
    pub roles: Vec<Role>,
}

/// What a recipient accepts.
#[derive(Clone, Debug, Default)]
pub struct Accept {
    /// Classifications that are taken.
    pub classifications: Option<Vec<Classification>>,
    /// Patterns of licences that are taken.
    pub licenses: Option<Vec<GlobMatcher>>,
    /// Largest file in bytes.
    pub largest_file: Option<u64>,
    /// Most bytes together.
    pub largest_bundle: Option<u64>,
    /// Most files.
    pub most_files: Option<u64>,
    /// Longest path in bytes.
    pub longest_path: Option<u64>,
    /// Formats that are not taken.
    pub forbidden_formats: Vec<Line>,
    /// Fields that must be filled.
    pub fields: Fields,
}

impl Policy {
    /// How many days the ledger keeps what every event says, at the least.
    pub fn log_days(&self) -> u32 {
        self.log_days
    }

    /// What the policy is called.
    pub fn name(&self) -> &Line {
        &self.name
    }

    /// SHA-256 of the file that it was read from.
    pub fn digest(&self) -> Sha256Digest {
        self.digest
    }

    /// The names under which bundles are addressed to whoever applies the policy.
    pub fn own_names(&self) -> &[Line] {
        &self.own
    }

    /// The classification levels in order.
    pub fn scheme(&self) -> &Scheme {
        &self.scheme
    }

    /// All levels, lowest first.
    pub fn levels(&self) -> &[Level] {
        &self.levels
    }

    /// What a classification demands; `None` if the policy does not know it.
    pub fn level(&self, name: &Classification) -> Option<&Level> {
        self.scheme.rank(name).map(|rank| &self.levels[rank])
    }

    /// What findings do at all levels.
    pub fn findings(&self) -> &[FindingRule] {
        &self.findings
    }

    /// Whom bundles may go to.
    pub fn recipients(&self) -> &[Recipient] {
        &self.recipients
    }

    /// The recipient of that name.
    pub fn recipient(&self, name: &str) -> Option<&Recipient> {
        self.recipients.iter().find(|known| known.name.as_str() == name)
    }

    /// Who is meant by a name that somebody wrote down.
    pub fn called(&self, name: &str) -> Called<'_> {
        let listed = |known: &&Recipient| known.names().any(|one| one.as_str() == name);
        let alike = |known: &&Recipient| known.names().any(|one| sound(one.as_str()) == sound(name));
        match self.recipients.iter().find(listed) {
            Some(known) => Called::Listed(known),
            None => self.recipients.iter().find(alike).map_or(Called::Unlisted, Called::Misspelt),
        }
    }

    /// The destinations that somebody reads, whom a name means.
    pub fn destinations_of(&self, name: &str) -> impl Iterator<Item = &Destination> {
        let reader = match self.called(name) {
            Called::Listed(known) => Some(&known.name),
            Called::Misspelt(_) | Called::Unlisted => None,
        };
        self.destinations.iter().filter(move |known| reader.is_some() && known.recipient.as_ref() == reader)
    }

    /// Whoever a name means: a recipient by any of their names, by one of their destinations or its folder, or by their
    /// organization.
    pub fn party(&self, name: &str) -> Option<&Recipient> {
        if let Called::Listed(known) = self.called(name) {
            return Some(known);
        }
        let is = |known: &&Destination| known.name.as_str() == name || known.path.as_str() == name;
        let reader = self.destinations.iter().find(is).and_then(|known| known.recipient.as_ref());
        if let Some(reader) = reader {
            return self.recipient(reader.as_str());
        }
        // An organization means somebody only if one of its people is listed.
        let of = |known: &&Recipient| known.organization.as_ref().is_some_and(|of| of.as_str() == name);
        let mut members = self.recipients.iter().filter(of);
        members.next().filter(|_| members.next().is_none())
    }

    /// Every spelling by which a record may name a party: their names, their organization, and the names and folders of
    /// their destinations.
    pub fn spellings(&self, party: &Recipient) -> Vec<Line> {
        let reads = |known: &&Destination| known.recipient.as_ref() == Some(&party.name);
        let places = self.destinations.iter().filter(reads).flat_map(|known| [&known.name, &known.path]);
        party.names().chain(&party.organization).chain(places).cloned().collect()
    }

    /// Where bundles may go.
    pub fn destinations(&self) -> &[Destination] {
        &self.destinations
    }

    /// The destination of that name.
    pub fn destination(&self, name: &str) -> Option<&Destination> {
        self.destinations.iter().find(|known| known.name.as_str() == name)
    }

    /// Words that demand a level.
    pub fn markings(&self) -> &[Marking] {
        &self.markings
    }

    /// Kinds of data that demand a level.
    pub fn categories(&self) -> &[Category] {
        &self.categories
    }

    /// Sources that demand a level.
    pub fn sources(&self) -> &[SourceRule] {
        &self.sources
    }

    /// Keys whose signatures a recipient accepts.
    pub fn signers(&self) -> &[Signer] {
        &self.signers
    }

    /// What a recipient accepts.
    pub fn accept(&self) -> Option<&Accept> {
        self.accept.as_ref()
    }

    /// What looks wrong in the policy without being an error.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Goes through names and sizes of files once and keeps what the policy asks about.
    pub fn survey<'f>(&self, files: impl IntoIterator<Item = (&'f str, u64)>) -> Surveyed {
        let mut content = Surveyed { categories: vec![None; self.categories.len()], ..Surveyed::default() };
        for (path, size) in files {
            content.files += 1;
            content.bytes = content.bytes.saturating_add(size);
            if content.largest.as_ref().is_none_or(|(_, largest)| size > *largest) {
                content.largest = Some((path.to_owned(), size));
            }
            if content.longest.as_ref().is_none_or(|longest| path.len() > longest.len()) {
                content.longest = Some(path.to_owned());
            }
            for (category, found) in self.categories.iter().zip(&mut content.categories) {
                if found.is_none() && category.files.iter().any(|pattern| pattern.is_match(path)) {
                    *found = Some(path.to_owned());
                }
            }
        }
        content
    }

    /// What a finding of this rule does at a level.
    pub fn action(&self, level: &Level, rule: &RuleId) -> (Action, bool) {
        let matches = |candidate: &&FindingRule| match candidate.rule.as_str().split_once('*') {
            None => candidate.rule.as_str() == rule.as_str(),
            // One star, at the end: nothing else passes `Policy::parse`.
            Some((start, _)) => rule.as_str().starts_with(start),
        };
        let found = level.findings.iter().find(matches).or_else(|| self.findings.iter().find(matches));
        found.map_or((Action::Note, true), |found| (found.action, found.allowable))
    }
}
