//! What lies within a file: members of archives, compressed data; and how far to go into it.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use consign_metadata::SNIFF_BYTES;

use crate::inspect::{Inspect, Report, Subject};
use crate::model::line_of;

/// How deep archives are looked into: archives in archives.
const DEPTH_MAX: u8 = 4;
/// How much may be expanded of one file: so much, and so much for each of its bytes.
const EXPANSION_BASE: u64 = 1 << 30;
const EXPANSION_FACTOR: u64 = 64;

/// How deep something lies in a file, and how much may still be expanded of that file.
#[derive(Clone, Debug)]
pub struct Nesting {
    depth: u8,
    left: Arc<AtomicU64>,
}

impl Nesting {
    /// Of a file of so many bytes, itself.
    pub fn of_file(size: u64) -> Self {
        let left = EXPANSION_BASE.saturating_add(size.saturating_mul(EXPANSION_FACTOR));
        Self { depth: 0, left: Arc::new(AtomicU64::new(left)) }
    }

    /// How many archives are around it.
    pub fn depth(&self) -> u8 {
        self.depth
    }

    /// Of what lies in it; `None` if that is too deep.
    pub(crate) fn deeper(&self) -> Option<Self> {
        (self.depth < DEPTH_MAX).then(|| Self { depth: self.depth + 1, left: Arc::clone(&self.left) })
    }

    /// Accounts for expanded bytes; whether they were still allowed.
    pub(crate) fn spend(&self, bytes: u64) -> bool {
        let spent =
            self.left.try_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(bytes));
        spent.is_ok()
    }
}

/// A member of an archive, as far as it is known when its first bytes have come.
#[derive(Clone, Debug)]
pub struct Member<'a> {
    /// Where findings lie.
    pub subject: &'a Subject,
    /// Its name, as the archive has it; invalid UTF-8 replaced.
    pub name: &'a str,
    /// Its first bytes: [`SNIFF_BYTES`], or all.
    pub head: &'a [u8],
    /// Its size; absent if the archive does not say before its end, and it is longer than `head`.
    pub size: Option<u64>,
    /// How deep it lies.
    pub nesting: &'a Nesting,
}

/// Says what looks into the members of archives.
pub trait MemberFactory: Send + Sync {
    /// What looks into this member; `None` if nothing needs to.
    fn inspector(&self, member: &Member<'_>) -> Option<Box<dyn Inspect + Send>>;
}

/// The bytes of one member on their way to what looks into them.
pub(crate) struct Contents {
    members: Arc<dyn MemberFactory>,
    subject: Subject,
    name: String,
    size: Option<u64>,
    nesting: Nesting,
    stage: Stage,
}

enum Stage {
    Head(Vec<u8>),
    Inspected(Box<dyn Inspect + Send>),
    Skipped,
}

impl fmt::Debug for Contents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Contents").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Contents {
    /// Of the member `name` of `around`.
    pub(crate) fn new(
        members: &Arc<dyn MemberFactory>,
        around: &Subject,
        name: &str,
        size: Option<u64>,
        nesting: &Nesting,
    ) -> Self {
        let member = match &around.member {
            Some(outer) => line_of(&format!("{outer}!{name}")),
            None => line_of(name),
        };
        // A member without a name that can be shown is still a member.
        let member = member.or_else(|| line_of("?"));
        Self {
            members: Arc::clone(members),
            subject: Subject { path: around.path.clone(), member },
            name: name.to_owned(),
            size,
            nesting: nesting.clone(),
            stage: Stage::Head(Vec::new()),
        }
    }

    /// Whether nobody looks at its bytes.
    pub(crate) fn is_skipped(&self) -> bool {
        matches!(self.stage, Stage::Skipped)
    }

    pub(crate) fn update(&mut self, mut bytes: &[u8], report: &mut Report) {
        if let Stage::Head(head) = &mut self.stage {
            let step = (SNIFF_BYTES - head.len()).min(bytes.len());
            head.extend_from_slice(&bytes[..step]);
            bytes = &bytes[step..];
            // One byte more shows that the head is not all.
            if !bytes.is_empty() {
                self.decide(self.size, report);
            }
        }
        if let Stage::Inspected(inspect) = &mut self.stage {
            inspect.update(bytes, report);
        }
    }

    fn decide(&mut self, size: Option<u64>, report: &mut Report) {
        let Stage::Head(head) = std::mem::replace(&mut self.stage, Stage::Skipped) else { return };
        let member =
            Member { subject: &self.subject, name: &self.name, head: &head, size, nesting: &self.nesting };
        if let Some(mut inspect) = self.members.inspector(&member) {
            inspect.update(&head, report);
            self.stage = Stage::Inspected(inspect);
        }
    }

    pub(crate) fn finish(mut self, report: &mut Report) {
        if let Stage::Head(head) = &self.stage {
            let size = head.len() as u64;
            self.decide(Some(size), report);
        }
        if let Stage::Inspected(inspect) = &mut self.stage {
            inspect.finish(report);
        }
    }
}
