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

/// The same for what lies in an archive within an archive. Deflate expands a byte to 1032 at most (RFC 1951), so that one
/// level costs a bounded amount for each byte of the file; without a bound on the others it would be the product.
const INNER_BASE: u64 = 1 << 20;
const INNER_FACTOR: u64 = 1040;
/// A member costs as much as so many bytes, however few it has: in the time that one takes, so many are expanded and searched.
const MEMBER_COST: u64 = 16 << 10;

/// How deep something lies in a file, and how much may still be expanded of that file.
#[derive(Clone, Debug)]
pub struct Nesting {
    depth: u8,
    left: Arc<AtomicU64>,
    inner_left: Arc<AtomicU64>,
}

impl Nesting {
    /// Of a file of so many bytes, itself.
    pub fn of_file(size: u64) -> Self {
        let of = |base: u64, factor: u64| {
            // A size that is not known allows no more than the base.
            let size = if size == u64::MAX { 0 } else { size };
            Arc::new(AtomicU64::new(base.saturating_add(size.saturating_mul(factor))))
        };
        Self {
            depth: 0,
            left: of(EXPANSION_BASE, EXPANSION_FACTOR),
            inner_left: of(INNER_BASE, INNER_FACTOR),
        }
    }

    /// How many archives are around it.
    pub fn depth(&self) -> u8 {
        self.depth
    }

    /// Of what lies in it; `None` if that is too deep.
    pub(crate) fn deeper(&self) -> Option<Self> {
        (self.depth < DEPTH_MAX).then(|| Self {
            depth: self.depth + 1,
            left: Arc::clone(&self.left),
            inner_left: Arc::clone(&self.inner_left),
        })
    }

    /// Accounts for expanded bytes; whether they were still allowed.
    pub(crate) fn spend(&self, bytes: u64) -> bool {
        let take = |from: &AtomicU64| {
            from.try_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(bytes)).is_ok()
        };
        take(&self.left) && (self.depth < 2 || take(&self.inner_left))
    }

    /// Accounts for a member of an archive; whether it was still allowed.
    pub(crate) fn spend_member(&self) -> bool {
        self.depth < 2 || self.spend(MEMBER_COST)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attack_a4_what_lies_deeper_is_bounded_by_the_size_of_the_file() {
        for size in [0, 1000, 1_000_000] {
            let nesting = Nesting::of_file(size);
            let inner = nesting.deeper().unwrap().deeper().unwrap();
            let deepest = inner.deeper().unwrap().deeper().unwrap();
            assert!(deepest.deeper().is_none());
            let (mut spent, mut members) = (0_u64, 0_u64);
            while inner.spend(1000) && deepest.spend(1000) {
                spent += 2000;
            }
            assert!(spent <= (1 << 20) + 1040 * size, "{spent} of {size}");
            let nesting = Nesting::of_file(size).deeper().unwrap().deeper().unwrap();
            while nesting.spend_member() {
                members += 1;
            }
            assert!(members <= ((1 << 20) + 1040 * size) / (16 << 10));
        }
    }
}
