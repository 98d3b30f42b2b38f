//! The five steps of verification over an opened archive (`docs/format.md`), for verify, unpack, sign and
//! receive alike.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use consign_metadata::{BundleId, EntryPath, Manifest, ManifestEntry};

use crate::archive::{Anchor, Archive, ArchiveError, ArchiveFacts, Fault, ReadAt, UnplacedManifest};
use crate::check::{Check, ContentSink, FrameFaults, Shares, Worker};
use crate::crew::side_by_side;
use crate::layout::{FrameContent, FramePlanner, TagSection};
use crate::limits::FAULTS_LISTED;
use crate::progress::{Cancelled, Progress};

/// How much of an archive is looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Everything: all five steps.
    Content,
    /// Every byte of the archive and the manifest, but not what the frames decode to.
    Bytes,
    /// Only what is needed for the content of these files.
    Only(Vec<EntryPath>),
}

/// An archive that was found in order, to the extent of its scope.
///
/// There is no other way to a value of this type than [`verify`]. Whether anybody trusted vouches for it is
/// another question.
#[derive(Clone, Debug)]
pub struct VerifiedArchive {
    manifest: Manifest,
    id: BundleId,
    facts: ArchiveFacts,
    scope: Scope,
    anchored: bool,
}

impl VerifiedArchive {
    /// The manifest.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The manifest alone.
    pub fn into_manifest(self) -> Manifest {
        self.manifest
    }

    /// The bundle id.
    pub fn id(&self) -> BundleId {
        self.id
    }

    /// Digest, size and tail of the archive.
    pub fn facts(&self) -> &ArchiveFacts {
        &self.facts
    }

    /// How much was looked at.
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// Whether it was held against a signed statement. If not, it only agrees with itself.
    pub fn is_anchored(&self) -> bool {
        self.anchored
    }
}

/// Verifies an opened archive.
///
/// `progress` is told of bytes of the tar stream, or of the archive for [`Scope::Bytes`].
///
/// ```no_run
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use consign_bundle::{Anchor, Archive, Scope, verify};
/// let file = std::fs::File::open("minilm-1.0.0.tar.zst")?;
/// // Without a signed statement this shows only that the archive agrees with itself.
/// let archive = Archive::open(file, Anchor::Unsigned)?;
/// let verified = verify(&archive, Scope::Content, std::thread::available_parallelism()?, &())?;
/// println!("{} files", verified.manifest().files().len());
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// Everything that is not in order, up to the limit.
pub fn verify<R: ReadAt>(
    archive: &Archive<'_, R>,
    scope: Scope,
    threads: NonZeroUsize,
    progress: &dyn Progress,
) -> Result<VerifiedArchive, ArchiveError> {
    verify_into(archive, archive.unplaced_manifest()?, scope, threads, progress, None)
}

/// Verifies an opened archive whose manifest is at hand, and hands its content on.
pub(crate) fn verify_into<R: ReadAt>(
    archive: &Archive<'_, R>,
    manifest: UnplacedManifest,
    scope: Scope,
    threads: NonZeroUsize,
    progress: &dyn Progress,
    sink: Option<&dyn ContentSink>,
) -> Result<VerifiedArchive, ArchiveError> {
    let UnplacedManifest { manifest, bytes, id } = manifest;
    // They are compared where they are decoded.
    let tags = (scope == Scope::Content).then(|| TagSection::new(&manifest, &bytes, id));
    let entries: Vec<_> = manifest.entries().collect();
    let bundle = manifest.core().name.as_str();
    let plan = plan(archive, bundle, &entries, TagSection::lens_of(&manifest, bytes.len()))?;
    let chosen = match &scope {
        Scope::Content | Scope::Bytes => None,
        Scope::Only(paths) => Some(chosen(paths, &entries)?),
    };
    let check =
        Check { archive, bundle, entries: &entries, tags: tags.as_ref(), plan: &plan, sink, progress };
    let frames: Vec<usize> = match &chosen {
        None => (0..plan.len()).collect(),
        Some(chosen) => (0..plan.len()).filter(|&n| plan[n].concerns(chosen)).collect(),
    };
    let decode = scope != Scope::Bytes;
    let shares = Shares::new(&frames, &archive.tail.frames, decode, threads.get());
    let faults = FaultList::default();
    let next = AtomicUsize::new(0);
    // One has its memory before there are others; they leave the work to those that have theirs.
    let first = Mutex::new(Some(Worker::new(&shares)?));
    let work = || -> Result<(), ArchiveError> {
        let own = first.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(mut worker) = own.or_else(|| Worker::new(&shares).ok()) else { return Ok(()) };
        while let Some(batch) = shares.batches.get(next.fetch_add(1, Ordering::Relaxed)) {
            if progress.cancelled() {
                return Err(Cancelled.into());
            }
            match check.batch(&frames[batch.clone()], decode, &mut worker) {
                Ok(found) => faults.add(found),
                Err(error) => {
                    // Nobody needs to begin another batch.
                    next.store(usize::MAX / 2, Ordering::Relaxed);
                    return Err(error);
                }
            }
        }
        Ok(())
    };
    side_by_side(shares.workers, work, || std::io::Error::other("a thread panicked").into())?;
    faults.into_result()?;
    drop((entries, tags));
    Ok(VerifiedArchive {
        id,
        manifest,
        facts: archive.facts().clone(),
        scope,
        anchored: matches!(archive.anchor(), Anchor::Signed(_)),
    })
}

/// Checks that the frames are laid out as the manifest determines, without looking into them.
pub(crate) fn check_layout<R: ReadAt>(
    archive: &Archive<'_, R>,
    manifest: &Manifest,
    manifest_bytes: &[u8],
) -> Result<(), ArchiveError> {
    payload_frames(archive, manifest, manifest_bytes).map(drop)
}

/// How many frames stand before those of the tag files, laid out as the manifest determines. They hold the payload,
/// and depend on nothing but files and the bundle's name.
pub(crate) fn payload_frames<R: ReadAt>(
    archive: &Archive<'_, R>,
    manifest: &Manifest,
    manifest_bytes: &[u8],
) -> Result<usize, ArchiveError> {
    let lens = TagSection::lens_of(manifest, manifest_bytes.len());
    let entries: Vec<_> = manifest.entries().collect();
    let plan = plan(archive, manifest.core().name.as_str(), &entries, lens)?;
    Ok(plan.iter().take_while(|content| !matches!(content, FrameContent::Tag { .. })).count())
}

/// What each frame must hold, by the manifest.
fn plan<R: ReadAt>(
    archive: &Archive<'_, R>,
    bundle: &str,
    entries: &[ManifestEntry<'_>],
    tag_lens: [usize; 3],
) -> Result<Vec<FrameContent>, ArchiveError> {
    let mut planner = FramePlanner::new(bundle, entries, tag_lens);
    let mut plan = Vec::with_capacity(archive.frames());
    for (n, record) in archive.tail.frames.iter().enumerate() {
        let content = planner
            .next(record.decoded)
            .map_err(|fault| Fault::Layout { frame: n, reason: fault.to_string() })?;
        // The manifest was read from where the tail says it stands: that must be where it does stand.
        let place = archive.tail.manifest;
        let in_place = (place.first..place.first.saturating_add(place.count)).contains(&(n as u64));
        let is_manifest = matches!(content, FrameContent::Tag { segment: TagSection::MANIFEST, .. });
        if in_place != is_manifest {
            return Err(
                Fault::Record { frame: n, what: "the manifest does not stand where it is said to" }.into()
            );
        }
        let is_large = matches!(content, FrameContent::Large { .. });
        if record.file.is_some() != is_large {
            return Err(Fault::Record {
                frame: n,
                what: "it has a file's state exactly if it holds a large file's content",
            }
            .into());
        }
        plan.push(content);
    }
    planner
        .finish()
        .map_err(|fault| Fault::Layout { frame: plan.len(), reason: format!("is missing: {fault}") })?;
    Ok(plan)
}

/// Indices of the entries of these paths.
fn chosen(paths: &[EntryPath], entries: &[ManifestEntry<'_>]) -> Result<Vec<usize>, ArchiveError> {
    let find = |path: &EntryPath| {
        entries
            .binary_search_by(|entry| entry.path().cmp(path))
            .map_err(|_| Fault::NoSuchFile { path: path.as_str().to_owned() })
    };
    let mut found = paths.iter().map(find).collect::<Result<Vec<_>, _>>()?;
    found.sort_unstable();
    Ok(found)
}

impl FrameContent {
    /// Whether it holds any of these entries, given in order.
    fn concerns(&self, chosen: &[usize]) -> bool {
        match self {
            Self::Gather(gathered) => {
                let first = chosen.partition_point(|entry| *entry < gathered.whole.start);
                chosen.get(first).is_some_and(|entry| gathered.whole.contains(entry))
            }
            Self::Large { entry, .. } => chosen.binary_search(entry).is_ok(),
            Self::Tag { .. } => false,
        }
    }
}

/// Faults of all threads.
#[derive(Default)]
struct FaultList {
    found: Mutex<(Vec<(usize, Fault)>, u64)>,
}

impl FaultList {
    fn add(&self, faults: FrameFaults) {
        if faults.is_empty() {
            return;
        }
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        found.0.extend(faults);
        if let Some(surplus) = found.0.len().checked_sub(FAULTS_LISTED) {
            // The first ones are kept, whichever thread comes first.
            found.0.sort_by_key(|(frame, _)| *frame);
            found.0.truncate(FAULTS_LISTED);
            found.1 += surplus as u64;
        }
    }

    fn into_result(self) -> Result<(), ArchiveError> {
        let (mut listed, more) = self.found.into_inner().unwrap_or_else(PoisonError::into_inner);
        if listed.is_empty() {
            return Ok(());
        }
        listed.sort_by_key(|(frame, _)| *frame);
        Err(ArchiveError::Faults { listed: listed.into_iter().map(|(_, fault)| fault).collect(), more })
    }
}
