//! Where everything stands in the tar stream, and which stretches of it may share a frame.
//!
//! The stream is a sequence of *units*. A small file or an empty directory is one unit: header, content,
//! padding. A large file has three: header, content, padding. Frames keep to units: a *gather frame* holds
//! whole units other than the content of large files, a *content frame* holds a stretch of the content of one
//! large file, and the tag files at the end have frames of their own. Everything here follows from paths,
//! sizes and modes; no content is looked at.

use std::ops::Range;

use consign_metadata::{BundleId, EntryPath, Manifest, ManifestEntry, Sha256Digest};

use crate::bagit::{BAGIT, MANIFEST_PATH, PayloadManifest, TagFiles};
use crate::header::{self, HeaderKind, padding};
use crate::limits::{LARGE_FILE, TAG_PIECE};

/// Path, size and mode of one entry.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape<'a> {
    pub(crate) path: &'a EntryPath,
    pub(crate) kind: HeaderKind,
}

impl<'a> Shape<'a> {
    pub(crate) fn of(entry: &ManifestEntry<'a>) -> Self {
        let kind = match entry.file() {
            Some(file) => HeaderKind::File { size: file.size, mode: file.mode.bits() },
            None => HeaderKind::Directory,
        };
        Self { path: entry.path(), kind }
    }

    /// Bytes of content.
    pub(crate) fn size(&self) -> u64 {
        match self.kind {
            HeaderKind::File { size, .. } => size,
            HeaderKind::Directory => 0,
        }
    }

    /// Appends the header.
    pub(crate) fn write_header(&self, bundle: &str, out: &mut Vec<u8>) {
        header::write_header(&header::payload_name(bundle, self.path, self.kind), self.kind, out);
    }

    /// The units of the entry, with their lengths.
    pub(crate) fn units(&self, bundle: &str) -> impl Iterator<Item = (Part, u64)> + use<> {
        let header = header::payload_header_len(bundle, self.path, self.kind);
        let size = self.size();
        let units = if size < LARGE_FILE {
            [(Part::Whole, header + size + padding(size)), (Part::Padding, 0), (Part::Padding, 0)]
        } else {
            [(Part::Header, header), (Part::Content, size), (Part::Padding, padding(size))]
        };
        units.into_iter().filter(|&(_, len)| len > 0)
    }
}

/// Which unit of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// A small file or empty directory: header, content and padding.
    Whole,
    /// The header of a large file.
    Header,
    /// The content of a large file.
    Content,
    /// The padding of a large file.
    Padding,
}

/// When a gather frame is full enough to end at the next good place.
const GATHER_FULL: u64 = 3 << 20;
/// Once it is full enough, one place in this many bytes is a good one.
const GATHER_SPREAD: u64 = 512 << 10;
/// No gather frame is longer.
const GATHER_MAX: u64 = 6 << 20;

/// Decides where gather frames end (rule `gather-1`, `docs/format.md`). Only paths and lengths decide, so that
/// frames can be filled in parallel, and an inserted file moves a border or two and no more.
#[derive(Default)]
pub(crate) struct GatherCutter {
    len: u64,
}

impl GatherCutter {
    /// Whether the frame ends before a unit of this length. Then it begins anew.
    pub(crate) fn ends_before(&mut self, unit_len: u64) -> bool {
        let ends = self.len > 0 && self.len + unit_len > GATHER_MAX;
        if ends {
            self.len = 0;
        }
        ends
    }

    /// Adds a unit, and says whether the frame ends after it. Then it begins anew.
    pub(crate) fn ends_after(&mut self, path: &EntryPath, part: Part, unit_len: u64) -> bool {
        self.len += unit_len;
        let ends = match part {
            Part::Header => true,
            Part::Whole => self.len >= GATHER_FULL && is_good_place(path, unit_len),
            Part::Padding | Part::Content => false,
        };
        if ends {
            self.len = 0;
        }
        ends
    }
}

/// True for a share of `unit_len / GATHER_SPREAD` of all paths, so that good places are as dense in bytes
/// whatever the size of the files.
fn is_good_place(path: &EntryPath, unit_len: u64) -> bool {
    let digest = Sha256Digest::of(path.as_str().as_bytes());
    let mut first = [0; 8];
    first.copy_from_slice(&digest.as_bytes()[..8]);
    u64::from_be_bytes(first) % GATHER_SPREAD < unit_len
}

/// The tag files at the end of the stream, in three segments: what stands before the content of the manifest,
/// that content, and what follows, with the end of the tar stream. Frames keep to segments, so that the
/// manifest can be read alone.
pub(crate) struct TagSection<'m> {
    before: Vec<u8>,
    manifest: &'m [u8],
    /// What follows is a header, lines that are written when they are needed, and an end.
    lines_header: Vec<u8>,
    lines: PayloadManifest<'m>,
    end: Vec<u8>,
}

impl<'m> TagSection<'m> {
    /// Which segment is the manifest's content.
    pub(crate) const MANIFEST: usize = 1;

    /// The tag files of a manifest, given with its bytes and their digest.
    pub(crate) fn new(manifest: &'m Manifest, bytes: &'m [u8], id: BundleId) -> Self {
        let TagFiles { bag_info, manifest_sha256: lines, tagmanifest_sha256 } = TagFiles::of(manifest, id);
        let bundle = manifest.core().name.as_str();
        let start = |path: &str, size: usize, out: &mut Vec<u8>| {
            let kind = HeaderKind::File { size: size as u64, mode: 0o644 };
            header::write_header(&format!("{bundle}/{path}"), kind, out);
        };
        let pad = |size: usize, out: &mut Vec<u8>| out.resize(out.len() + pad_len(size), 0);
        let whole = |path: &str, content: &str, out: &mut Vec<u8>| {
            start(path, content.len(), out);
            out.extend_from_slice(content.as_bytes());
            pad(content.len(), out);
        };
        let mut before = Vec::new();
        whole("bag-info.txt", &bag_info, &mut before);
        whole("bagit.txt", BAGIT, &mut before);
        start(MANIFEST_PATH, bytes.len(), &mut before);
        let mut lines_header = Vec::new();
        pad(bytes.len(), &mut lines_header);
        start("manifest-sha256.txt", lines.len(), &mut lines_header);
        let mut end = Vec::new();
        pad(lines.len(), &mut end);
        whole("tagmanifest-sha256.txt", &tagmanifest_sha256, &mut end);
        end.resize(end.len() + STREAM_END, 0);
        Self { before, manifest: bytes, lines_header, lines, end }
    }

    /// The lengths of the segments.
    pub(crate) fn lens(&self) -> [usize; 3] {
        let after = self.lines_header.len() + self.lines.len() + self.end.len();
        [self.before.len(), self.manifest.len(), after]
    }

    /// The same for a manifest of that many bytes, without making the tag files.
    pub(crate) fn lens_of(manifest: &Manifest, bytes: usize) -> [usize; 3] {
        let bundle = manifest.core().name.as_str().len();
        let start = |path: &str| header::len(header::header_len(bundle + 1 + path.len()));
        let whole = |path: &str, size: usize| start(path) + size + pad_len(size);
        let [bag_info, lines, tag_manifest] = TagFiles::lens(manifest);
        let before = whole("bag-info.txt", bag_info) + whole("bagit.txt", BAGIT.len()) + start(MANIFEST_PATH);
        let after = pad_len(bytes)
            + whole("manifest-sha256.txt", lines)
            + whole("tagmanifest-sha256.txt", tag_manifest)
            + STREAM_END;
        [before, bytes, after]
    }

    /// Appends the bytes of a range within a segment.
    pub(crate) fn append(&self, segment: usize, range: Range<usize>, out: &mut Vec<u8>) {
        let after = self.lines_header.len();
        let end = after + self.lines.len();
        match segment {
            0 => append_at(0, &self.before, &range, out),
            Self::MANIFEST => append_at(0, self.manifest, &range, out),
            _ => {
                append_at(0, &self.lines_header, &range, out);
                let within = |at: usize| at.clamp(after, end) - after;
                self.lines.append(within(range.start)..within(range.end), out);
                append_at(end, &self.end, &range, out);
            }
        }
    }

    /// The pieces that get a frame each: segment and range within it.
    pub(crate) fn pieces(&self) -> impl Iterator<Item = (usize, Range<usize>)> {
        self.lens().into_iter().enumerate().flat_map(|(segment, len)| {
            (0..len).step_by(TAG_PIECE).map(move |start| (segment, start..len.min(start + TAG_PIECE)))
        })
    }
}

/// Two blocks of zeros end a tar stream (POSIX.1-1988, section 10.1.1).
const STREAM_END: usize = 1024;

/// Appends of `bytes`, which stand at `at`, those that lie in a range.
fn append_at(at: usize, bytes: &[u8], range: &Range<usize>, out: &mut Vec<u8>) {
    let within = |to: usize| to.saturating_sub(at).min(bytes.len());
    out.extend_from_slice(&bytes[within(range.start)..within(range.end)]);
}

fn pad_len(size: usize) -> usize {
    header::len(padding(size as u64))
}

/// What one frame holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum FrameContent {
    /// Whole units other than the content of large files.
    Gather(Gathered),
    /// A stretch of the content of a large file.
    Large {
        /// Index of the entry.
        entry: usize,
        /// Where in the file the stretch begins.
        offset: u64,
    },
    /// A stretch of the tag files.
    Tag {
        /// Which segment.
        segment: usize,
        /// Where in the segment the stretch begins.
        offset: usize,
    },
}

/// The units of a gather frame. A padding stands before all others, a header behind them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Gathered {
    /// Whether the padding of the large file before `whole` comes first.
    padding: bool,
    /// Small files and empty directories, by index.
    pub(crate) whole: Range<usize>,
    /// Whether the header of the large file after `whole` comes last.
    header: bool,
}

impl Gathered {
    /// The units, with the index of the entry of each.
    pub(crate) fn units(&self) -> impl Iterator<Item = (usize, Part)> + use<> {
        let Range { start, end } = self.whole;
        let padding = self.padding.then(|| (start.saturating_sub(1), Part::Padding));
        let whole = (start..end).map(|index| (index, Part::Whole));
        padding.into_iter().chain(whole).chain(self.header.then_some((end, Part::Header)))
    }
}

/// A frame that does not keep to units.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum LayoutFault {
    #[error("ends inside an entry that must stand in one frame")]
    InsideUnit,
    #[error("runs past the content of a large file")]
    PastContent,
    #[error("runs past the end of a part of the tag files")]
    PastTags,
    #[error("stands after the end of the stream")]
    AfterEnd,
    #[error("the frames end before the stream does")]
    TooShort,
}

/// Assigns to each frame, given in order by its decoded length, what it must hold.
pub(crate) struct FramePlanner<'m> {
    bundle: &'m str,
    entries: &'m [ManifestEntry<'m>],
    /// Units not yet given to a frame: of the current entry, then of those after it.
    entry: usize,
    units: std::collections::VecDeque<(usize, Part, u64)>,
    /// Bytes of the current large content already given to frames.
    content_offset: u64,
    segment_lens: [usize; 3],
    segment: usize,
    segment_offset: usize,
}

impl<'m> FramePlanner<'m> {
    pub(crate) fn new(bundle: &'m str, entries: &'m [ManifestEntry<'m>], segment_lens: [usize; 3]) -> Self {
        Self {
            bundle,
            entries,
            entry: 0,
            units: std::collections::VecDeque::new(),
            content_offset: 0,
            segment_lens,
            segment: 0,
            segment_offset: 0,
        }
    }

    fn next_unit(&mut self) -> Option<(usize, Part, u64)> {
        while self.units.is_empty() {
            let entry = self.entries.get(self.entry)?;
            let index = self.entry;
            self.units.extend(Shape::of(entry).units(self.bundle).map(|(part, len)| (index, part, len)));
            self.entry += 1;
        }
        self.units.front().copied()
    }

    /// What the next frame, which decodes to `len` bytes, must hold.
    pub(crate) fn next(&mut self, len: u32) -> Result<FrameContent, LayoutFault> {
        let mut left = u64::from(len);
        match self.next_unit() {
            None => self.next_tag(left),
            Some((entry, Part::Content, size)) => {
                let offset = self.content_offset;
                match size.checked_sub(offset + left) {
                    None => return Err(LayoutFault::PastContent),
                    Some(0) => {
                        self.units.pop_front();
                        self.content_offset = 0;
                    }
                    Some(_) => self.content_offset += left,
                }
                Ok(FrameContent::Large { entry, offset })
            }
            Some((first, part, _)) => {
                let start = if part == Part::Padding { first + 1 } else { first };
                let mut gathered = Gathered { padding: false, whole: start..start, header: false };
                while left > 0 {
                    match self.next_unit() {
                        Some((entry, part, size)) if part != Part::Content && size <= left => {
                            match part {
                                Part::Padding => gathered.padding = true,
                                Part::Header => gathered.header = true,
                                Part::Whole | Part::Content => gathered.whole.end = entry + 1,
                            }
                            left -= size;
                            self.units.pop_front();
                        }
                        _ => return Err(LayoutFault::InsideUnit),
                    }
                }
                Ok(FrameContent::Gather(gathered))
            }
        }
    }

    fn next_tag(&mut self, len: u64) -> Result<FrameContent, LayoutFault> {
        let Some(&segment_len) = self.segment_lens.get(self.segment) else {
            return Err(LayoutFault::AfterEnd);
        };
        let (segment, offset) = (self.segment, self.segment_offset);
        let end =
            usize::try_from(len).ok().and_then(|len| offset.checked_add(len)).ok_or(LayoutFault::PastTags)?;
        match end.cmp(&segment_len) {
            std::cmp::Ordering::Less => self.segment_offset = end,
            std::cmp::Ordering::Equal => {
                self.segment += 1;
                self.segment_offset = 0;
            }
            std::cmp::Ordering::Greater => return Err(LayoutFault::PastTags),
        }
        Ok(FrameContent::Tag { segment, offset })
    }

    /// Whether the frames so far are the whole stream.
    pub(crate) fn finish(&mut self) -> Result<(), LayoutFault> {
        if self.next_unit().is_none() && self.segment == self.segment_lens.len() {
            Ok(())
        } else {
            Err(LayoutFault::TooShort)
        }
    }
}

#[cfg(test)]
mod tests {
    use consign_metadata::{
        BundleId, Core, Details, FileEntry, FileMode, Manifest, ManifestParts, NameProfile, Sha256Digest,
    };

    use super::TagSection;
    use crate::limits::TAG_PIECE;

    /// Enough files that their lines are written in several stretches, with names that are encoded.
    fn manifest() -> Manifest {
        let core = r#"{"name":"n","version":"1.0.0","classification":"public",
            "contact":{"name":"nobody","email":"nobody@invalid"}}"#;
        let core: Core = serde_json::from_str(core).expect("a core");
        let details: Details = serde_json::from_str(r#"{"schema":1,"kind":"mixed"}"#).expect("a section");
        let file = |n: u32| FileEntry {
            path: format!("{n:05}-100%{}", "x".repeat(n as usize % 7)).parse().expect("a name"),
            size: n.into(),
            mode: FileMode::Regular,
            sha256: Sha256Digest::of(&n.to_le_bytes()),
        };
        let files = (0..3000).map(file).collect();
        let parts = ManifestParts {
            core,
            names: NameProfile::Posix,
            exclude: Vec::new(),
            descriptor: details.into(),
            directories: Vec::new(),
            files,
        };
        Manifest::new(parts).expect("in order")
    }

    #[test]
    fn a_stretch_of_the_tag_files_is_the_same_whatever_is_asked_for_beside_it() {
        let manifest = manifest();
        let bytes = manifest.to_bytes();
        let tags = TagSection::new(&manifest, &bytes, BundleId(Sha256Digest::of(&bytes)));
        assert_eq!(tags.lens(), TagSection::lens_of(&manifest, bytes.len()));
        for (segment, len) in tags.lens().into_iter().enumerate() {
            let mut whole = Vec::new();
            tags.append(segment, 0..len, &mut whole);
            assert_eq!(whole.len(), len);
            for step in [1021, 64 << 10] {
                let mut parts = Vec::new();
                for start in (0..len).step_by(step) {
                    tags.append(segment, start..len.min(start + step), &mut parts);
                }
                assert!(parts == whole, "segment {segment} in steps of {step}");
            }
            assert!(len < TAG_PIECE);
        }
        let mut after = Vec::new();
        tags.append(2, 0..tags.lens()[2], &mut after);
        let text = String::from_utf8_lossy(&after);
        let lines: Vec<_> = text.lines().filter(|line| line.contains("  data/")).collect();
        assert_eq!(lines.len(), 3000);
        assert!(lines[2999].ends_with("  data/02999-100%25xxx"), "{}", lines[2999]);
    }
}
