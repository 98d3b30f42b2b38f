//! ZIP archives, read once from front to back (PKWARE's APPNOTE.TXT 6.3.10).
//!
//! Some readers believe the headers before the members, others the directory at the end. Scanners were deceived
//! by archives in which the two differ (CVE-2025-1944, CVE-2025-1945, CVE-2025-10156), so here they must agree in
//! everything, and everything must be accounted for: nothing before, between or behind.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::inflate::{Inflate, Progress};
use crate::inspect::{Inspect, Report, Subject};
use crate::members::{Contents, MemberFactory, Nesting};
use crate::model::{Notes, le, rule, shown};

const LOCAL: &[u8; 4] = b"PK\x03\x04";
const CENTRAL: &[u8; 4] = b"PK\x01\x02";
const END: &[u8; 4] = b"PK\x05\x06";
const END64: &[u8; 4] = b"PK\x06\x06";
const LOCATOR64: &[u8; 4] = b"PK\x06\x07";
const DESCRIPTOR: &[u8; 4] = b"PK\x07\x08";

const STORED: u64 = 0;
const DEFLATED: u64 = 8;
/// Bits of the flags: encrypted in one way or another.
const ENCRYPTED: u64 = 0x2041;
/// Bit of the flags: the sizes stand behind the data.
const OPEN: u64 = 0x8;
/// A size or offset that stands in an extra field.
const ELSEWHERE: u64 = 0xffff_ffff;

/// Most members that are told apart, and most bytes of their names.
const MEMBERS_MAX: usize = 1 << 18;
const NAMES_MAX: usize = 32 << 20;
/// Longest record of ZIP64 at the end.
const END64_MAX: u64 = 4096;

/// Looks into an archive.
pub(crate) struct Archive {
    notes: Notes,
    members: Arc<dyn MemberFactory>,
    nesting: Nesting,
    state: State,
    /// How many bytes have been dealt with.
    position: u64,
    locals: Vec<Local>,
    by_offset: HashMap<u64, usize>,
    names: HashSet<Arc<[u8]>>,
    names_bytes: usize,
    member: Option<Open>,
    /// Where the directory begins, and how many entries it has.
    directory: Option<u64>,
    entries: u64,
    /// The end of the directory as ZIP64 has it: where its record begins, entries, size, offset.
    end64: Option<[u64; 4]>,
}

/// What was seen of a member.
#[derive(Debug)]
struct Local {
    name: Arc<[u8]>,
    offset: u64,
    flags: u64,
    method: u64,
    crc: u64,
    packed: u64,
    size: u64,
    listed: bool,
}

/// The member that is being read.
#[derive(Debug)]
struct Open {
    local: Local,
    /// Sizes and checksum as the local header states them.
    stated: bool,
    /// Whether it has an extra field of ZIP64.
    zip64: bool,
    /// Whether the checksum can be computed.
    checked: bool,
    hasher: crc32fast::Hasher,
    packed: u64,
    size: u64,
    contents: Option<Contents>,
}

#[derive(Debug)]
enum State {
    Record(Vec<u8>),
    /// So many bytes of a member, as they are.
    Stored {
        left: u64,
    },
    /// A member, as it is, up to its descriptor; what may be the beginning of that.
    StoredOpen(Vec<u8>),
    Deflated {
        inflate: Box<Inflate>,
        left: Option<u64>,
    },
    /// Of a member that cannot be read further.
    Skip {
        left: u64,
    },
    Descriptor(Vec<u8>),
    Comment {
        left: u64,
        bytes: Vec<u8>,
    },
    /// The archive has ended.
    End,
    /// Something was wrong. The next local header may lead on; the bytes that may be its beginning.
    Lost(Vec<u8>),
    /// Nothing more is looked at.
    Given,
}

impl std::fmt::Debug for Archive {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Archive").field("position", &self.position).finish_non_exhaustive()
    }
}

impl Archive {
    /// `nesting` is that of what lies in it.
    pub(crate) fn new(subject: &Subject, nesting: Nesting, members: &Arc<dyn MemberFactory>) -> Self {
        Self {
            notes: Notes::new(subject),
            members: Arc::clone(members),
            nesting,
            state: State::Record(Vec::new()),
            position: 0,
            locals: Vec::new(),
            by_offset: HashMap::new(),
            names: HashSet::new(),
            names_bytes: 0,
            member: None,
            directory: None,
            entries: 0,
            end64: None,
        }
    }

    fn fault(&mut self, report: &mut Report, what: &str) {
        self.notes.add(report, rule::BAD_ZIP, what);
    }

    /// Reads on; says how many bytes it took.
    fn step(&mut self, bytes: &[u8], report: &mut Report) -> usize {
        match std::mem::replace(&mut self.state, State::Given) {
            State::Record(kept) => self.record_bytes(kept, bytes, report),
            State::Stored { left } => {
                let step = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
                self.data(&bytes[..step], report);
                let left = left - step as u64;
                if left > 0 {
                    self.state = State::Stored { left };
                } else {
                    self.state = State::Record(Vec::new());
                    self.end_member(report);
                }
                step
            }
            State::StoredOpen(kept) => self.stored_open(kept, bytes, report),
            State::Deflated { inflate, left } => self.deflated(inflate, left, bytes, report),
            State::Skip { left } => {
                let step = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
                if let Some(member) = &mut self.member {
                    member.packed += step as u64;
                }
                let left = left - step as u64;
                if left > 0 {
                    self.state = State::Skip { left };
                } else {
                    self.state = State::Record(Vec::new());
                    self.end_member(report);
                }
                step
            }
            State::Descriptor(mut kept) => {
                kept.push(bytes[0]);
                self.descriptor(kept, report);
                1
            }
            State::Comment { left, bytes: mut kept } => {
                let step = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
                kept.extend_from_slice(&bytes[..step]);
                self.comment(left - step as u64, kept, report);
                step
            }
            State::End => {
                self.fault(report, "has bytes behind its end");
                self.state = State::Lost(Vec::new());
                0
            }
            State::Lost(kept) => self.search(kept, bytes),
            State::Given => bytes.len(),
        }
    }

    /// Looks for the next local header after something went wrong.
    fn search(&mut self, mut kept: Vec<u8>, bytes: &[u8]) -> usize {
        if !kept.is_empty() {
            // The header may stand across two chunks.
            kept.push(bytes[0]);
            while !LOCAL.starts_with(&kept) {
                kept.remove(0);
            }
            self.state = if kept.len() == 4 { State::Record(kept) } else { State::Lost(kept) };
            return 1;
        }
        if let Some(at) = memchr::memmem::find(bytes, LOCAL) {
            self.state = State::Record(Vec::new());
            return at;
        }
        let tail = (0..bytes.len().min(3))
            .rev()
            .map(|n| n + 1)
            .find(|n| LOCAL.starts_with(&bytes[bytes.len() - n..]));
        self.state = State::Lost(tail.map_or_else(Vec::new, |n| bytes[bytes.len() - n..].to_vec()));
        bytes.len()
    }

    fn record_bytes(&mut self, mut kept: Vec<u8>, bytes: &[u8], report: &mut Report) -> usize {
        let mut taken = 0;
        loop {
            match record_length(&kept) {
                None => {
                    self.fault(report, "has bytes that belong to nothing");
                    // What was taken for a header may hold one.
                    let inner = kept.get(1..).and_then(|rest| memchr::memmem::find(rest, LOCAL));
                    self.state = match inner {
                        Some(at) => State::Record(kept.split_off(at + 1)),
                        None => {
                            let tail = (1..=kept.len().min(3))
                                .rev()
                                .find(|n| LOCAL.starts_with(&kept[kept.len() - n..]));
                            State::Lost(tail.map_or_else(Vec::new, |n| kept.split_off(kept.len() - n)))
                        }
                    };
                    return taken;
                }
                Some(length) if kept.len() < length => {
                    let step = (length - kept.len()).min(bytes.len() - taken);
                    if step == 0 {
                        self.state = State::Record(kept);
                        return taken;
                    }
                    kept.extend_from_slice(&bytes[taken..taken + step]);
                    taken += step;
                }
                Some(_) => {
                    let begin = (self.position + taken as u64).saturating_sub(kept.len() as u64);
                    self.state = State::Record(Vec::new());
                    self.record(&kept, begin, report);
                    return taken;
                }
            }
        }
    }

    fn record(&mut self, record: &[u8], begin: u64, report: &mut Report) {
        if record.starts_with(LOCAL) {
            self.local(record, begin, report);
        } else if record.starts_with(CENTRAL) {
            self.central(record, begin, report);
        } else if record.starts_with(END64) {
            if self.end64.is_some() {
                self.fault(report, "ends twice");
            }
            let on_one_disk = le::<4>(record, 16) == 0 && le::<4>(record, 20) == 0;
            if !on_one_disk || le::<8>(record, 24) != le::<8>(record, 32) {
                self.fault(report, "is one part of several");
            }
            self.end64 = Some([begin, le::<8>(record, 32), le::<8>(record, 40), le::<8>(record, 48)]);
        } else if record.starts_with(LOCATOR64) {
            let right = self.end64.is_some_and(|end| end[0] == le::<8>(record, 8));
            if !right || le::<4>(record, 4) != 0 || le::<4>(record, 16) > 1 {
                self.fault(report, "says wrongly where its directory ends");
            }
        } else {
            self.end(record, begin, report);
        }
    }

    fn local(&mut self, record: &[u8], offset: u64, report: &mut Report) {
        if self.directory.is_some() {
            self.fault(report, "has members behind its directory");
        }
        let (flags, method) = (le::<2>(record, 6), le::<2>(record, 8));
        let (crc, mut packed, mut size) = (le::<4>(record, 14), le::<4>(record, 18), le::<4>(record, 22));
        let length = usize::try_from(le::<2>(record, 26)).unwrap_or_default();
        let name: Arc<[u8]> = record.get(30..30 + length).unwrap_or_default().into();
        let extra = record.get(30 + length..).unwrap_or_default();
        let Some(extra) = self.extra(extra, &name, report) else {
            self.state = State::Lost(Vec::new());
            return;
        };
        let zip64 = extra.is_some();
        let mut wide = extra.unwrap_or_default();
        for value in [&mut size, &mut packed] {
            if *value == ELSEWHERE {
                match wide.split_first_chunk::<8>() {
                    Some((now, rest)) => {
                        *value = u64::from_le_bytes(*now);
                        wide = rest;
                    }
                    None => self.fault(report, "does not say how long a member is"),
                }
            }
        }
        self.check_name(&name, report);
        if self.locals.len() == MEMBERS_MAX || self.names_bytes > NAMES_MAX {
            self.fault(report, "has more members than can be looked into");
            self.state = State::Given;
            return;
        }
        self.names_bytes += name.len();
        if !self.nesting.spend_member() {
            self.notes.add(report, rule::ZIP_BOMB, &shown(&name));
            self.state = State::Given;
            return;
        }
        let encrypted = flags & ENCRYPTED != 0 || method == 99;
        let readable = !encrypted && matches!(method, STORED | DEFLATED);
        let text = shown(&name);
        if encrypted {
            self.notes.add(report, rule::ZIP_ENCRYPTED, &text);
        } else if !readable {
            self.notes.add(report, rule::BAD_ZIP, &format!("is compressed in an unknown way: {text}"));
        }
        let open = flags & OPEN != 0;
        let stated = !open || packed != 0 || size != 0 || crc != 0;
        let known_size = (!open).then_some(size);
        let contents = readable
            .then(|| Contents::new(&self.members, self.notes.subject(), &text, known_size, &self.nesting));
        let local = Local { name, offset, flags, method, crc, packed, size, listed: false };
        self.member = Some(Open {
            local,
            stated,
            zip64,
            checked: readable,
            hasher: crc32fast::Hasher::new(),
            packed: 0,
            size: 0,
            contents,
        });
        self.state = match (readable, method, open) {
            (true, STORED, true) | (false, _, true) => State::StoredOpen(Vec::new()),
            (true, STORED, false) => State::Stored { left: packed },
            (true, _, true) => State::Deflated { inflate: Box::new(Inflate::new(false)), left: None },
            (true, _, false) => {
                State::Deflated { inflate: Box::new(Inflate::new(false)), left: Some(packed) }
            }
            (false, _, false) => State::Skip { left: packed },
        };
        if !open && packed == 0 {
            if readable && method == DEFLATED {
                self.fault(report, "has compressed data that is cut");
            }
            self.state = State::Record(Vec::new());
            self.end_member(report);
        }
    }

    /// The field of ZIP64 in the extra fields, which must be whole; `None` if they are not.
    #[expect(clippy::option_option, reason = "broken, absent, present")]
    fn extra<'a>(
        &mut self,
        mut extra: &'a [u8],
        name: &[u8],
        report: &mut Report,
    ) -> Option<Option<&'a [u8]>> {
        let mut wide = None;
        while !extra.is_empty() {
            let (id, length) = (le::<2>(extra, 0), usize::try_from(le::<2>(extra, 2)).unwrap_or_default());
            let Some(field) = extra.get(4..4 + length) else {
                // Padding to align what follows may be shorter than a field; readers skip it.
                if extra.len() < 4 && extra.iter().all(|b| *b == 0) {
                    break;
                }
                self.fault(report, "has extra fields that are cut");
                return None;
            };
            match id {
                1 if wide.replace(field).is_some() => self.fault(report, "has a field of ZIP64 twice"),
                // Another name, for some readers (Info-ZIP Unicode Path).
                0x7075 if field.get(5..) != Some(name) => self.fault(report, "has a member of two names"),
                _ => {}
            }
            extra = &extra[4 + length..];
        }
        Some(wide)
    }

    fn check_name(&mut self, name: &Arc<[u8]>, report: &mut Report) {
        if name.is_empty() || name.contains(&0) {
            self.fault(report, "has a member whose name is none");
        }
        let drive = name.get(1) == Some(&b':');
        if name.starts_with(b"/")
            || drive
            || name.split(|b| matches!(b, b'/' | b'\\')).any(|part| part == b"..")
        {
            self.notes.add(
                report,
                rule::BAD_ZIP,
                &format!("has a member that lies outside: {}", shown(name)),
            );
        }
        if !self.names.insert(Arc::clone(name)) {
            self.notes.add(report, rule::BAD_ZIP, &format!("has a member twice: {}", shown(name)));
        }
    }

    /// Bytes of a member that is stored as it is.
    fn data(&mut self, bytes: &[u8], report: &mut Report) {
        let Some(member) = &mut self.member else { return };
        member.packed += bytes.len() as u64;
        member.size += bytes.len() as u64;
        if member.checked {
            member.hasher.update(bytes);
        }
        if let Some(contents) = &mut member.contents
            && !contents.is_skipped()
        {
            contents.update(bytes, report);
        }
    }

    /// A member whose length only its descriptor tells: that is where the length and checksum in it are those of
    /// the bytes so far.
    fn stored_open(&mut self, mut kept: Vec<u8>, bytes: &[u8], report: &mut Report) -> usize {
        if kept.is_empty() {
            let at = memchr::memmem::find(bytes, DESCRIPTOR).unwrap_or_else(|| {
                let cut = (1..=bytes.len().min(3))
                    .rev()
                    .find(|n| DESCRIPTOR.starts_with(&bytes[bytes.len() - n..]));
                bytes.len() - cut.unwrap_or(0)
            });
            self.data(&bytes[..at], report);
            if at < bytes.len() {
                kept.push(bytes[at]);
                self.state = State::StoredOpen(kept);
                return at + 1;
            }
            self.state = State::StoredOpen(kept);
            return at;
        }
        kept.push(bytes[0]);
        loop {
            match self.candidate(&kept) {
                Candidate::Short => break,
                Candidate::Fits => {
                    self.state = State::Record(Vec::new());
                    let crc = le::<4>(&kept, 4);
                    self.end_described(crc, report);
                    return 1;
                }
                Candidate::Not => {
                    // The first byte is data; the next may be the beginning.
                    let next =
                        (1..kept.len()).find(|&n| DESCRIPTOR.starts_with(&kept[n..kept.len().min(n + 4)]));
                    let rest = kept.split_off(next.unwrap_or(kept.len()));
                    self.data(&kept, report);
                    kept = rest;
                    if kept.is_empty() {
                        break;
                    }
                }
            }
        }
        self.state = State::StoredOpen(kept);
        1
    }

    fn candidate(&self, kept: &[u8]) -> Candidate {
        let Some(member) = &self.member else { return Candidate::Not };
        if !DESCRIPTOR.starts_with(&kept[..kept.len().min(4)]) {
            return Candidate::Not;
        }
        // The sizes decide. A wrong checksum is a fault, but not one that should hide what follows.
        if kept.len() < 12 {
            return Candidate::Short;
        }
        let short = le::<4>(kept, 8) == member.packed;
        let long_low = le::<4>(kept, 8) == member.packed & 0xffff_ffff;
        if !short && !long_low {
            return Candidate::Not;
        }
        if kept.len() < 16 {
            return Candidate::Short;
        }
        // What follows 16 bytes tells the two apart where the length is 0.
        if short && le::<4>(kept, 12) == member.packed && (member.packed > 0 || !member.zip64) {
            return Candidate::Fits;
        }
        if kept.len() < 24 {
            return Candidate::Short;
        }
        let long = le::<8>(kept, 8) == member.packed && le::<8>(kept, 16) == member.packed;
        if long { Candidate::Fits } else { Candidate::Not }
    }

    fn deflated(
        &mut self,
        mut inflate: Box<Inflate>,
        left: Option<u64>,
        bytes: &[u8],
        report: &mut Report,
    ) -> usize {
        let most = left.map_or(usize::MAX, |left| usize::try_from(left).unwrap_or(usize::MAX));
        let input = &bytes[..bytes.len().min(most)];
        let (member, nesting) = (&mut self.member, &self.nesting);
        let progress = inflate.update(input, |block| {
            if !nesting.spend(block.len() as u64) {
                return false;
            }
            if let Some(member) = member {
                member.hasher.update(block);
                if let Some(contents) = &mut member.contents {
                    contents.update(block, report);
                }
            }
            true
        });
        if let Some(member) = member {
            (member.packed, member.size) = (inflate.consumed(), inflate.produced());
        }
        let taken = match progress {
            Progress::Ended(taken) => taken,
            _ => input.len(),
        };
        let left = left.map(|left| left - taken as u64);
        match progress {
            Progress::Refused => {
                let name = self.member.as_ref().map(|member| shown(&member.local.name)).unwrap_or_default();
                self.notes.add(report, rule::ZIP_BOMB, &name);
                self.member = None;
                self.state = State::Given;
            }
            Progress::Broken => {
                self.fault(report, "has compressed data that is broken");
                self.abandon(report);
                self.state = match left {
                    Some(left @ 1..) => State::Skip { left },
                    Some(0) => State::Record(Vec::new()),
                    None => State::Lost(Vec::new()),
                };
            }
            Progress::More if left == Some(0) => {
                self.fault(report, "has compressed data that is cut");
                self.abandon(report);
                self.state = State::Record(Vec::new());
            }
            Progress::More => self.state = State::Deflated { inflate, left },
            Progress::Ended(_) => match left {
                None => self.state = State::Descriptor(Vec::new()),
                Some(0) => {
                    self.state = State::Record(Vec::new());
                    self.end_member(report);
                }
                Some(left) => {
                    self.fault(report, "has bytes behind compressed data");
                    self.end_member(report);
                    self.state = State::Skip { left };
                }
            },
        }
        taken
    }

    /// A descriptor behind compressed data, with or without its signature, of 32 or 64 bits.
    fn descriptor(&mut self, kept: Vec<u8>, report: &mut Report) {
        let Some(member) = &self.member else {
            self.state = State::Lost(Vec::new());
            return;
        };
        let signed = DESCRIPTOR.starts_with(&kept[..kept.len().min(4)]);
        let base = if signed { 4 } else { 0 };
        let (packed, size) = (member.packed, member.size);
        let short =
            kept.len() >= base + 12 && le::<4>(&kept, base + 4) == packed && le::<4>(&kept, base + 8) == size;
        let long = kept.len() >= base + 20
            && le::<8>(&kept, base + 4) == packed
            && le::<8>(&kept, base + 12) == size;
        // An empty member fits both; its extra field says which.
        if long || (short && !(member.zip64 && size == 0)) {
            let crc = le::<4>(&kept, base);
            self.state = State::Record(Vec::new());
            self.end_described(crc, report);
        } else if kept.len() >= base + 20 {
            self.fault(report, "has a member that is not as long as stated");
            self.abandon(report);
            self.state = State::Lost(Vec::new());
        } else {
            self.state = State::Descriptor(kept);
        }
    }

    /// The member ends with a descriptor, which fits its length.
    fn end_described(&mut self, crc: u64, report: &mut Report) {
        if let Some(member) = &mut self.member {
            let (packed, size) = (member.packed, member.size);
            let local = &mut member.local;
            let same = local.packed == packed && local.size == size && local.crc == crc;
            let wrong = member.stated && !same;
            (local.packed, local.size, local.crc) = (packed, size, crc);
            if wrong {
                self.fault(report, "has a member that is not as long as stated");
            }
        }
        self.end_member(report);
    }

    /// The member has ended where it should.
    fn end_member(&mut self, report: &mut Report) {
        let Some(mut member) = self.member.take() else { return };
        if let Some(contents) = member.contents.take() {
            contents.finish(report);
        }
        let local = member.local;
        if member.checked {
            if u64::from(member.hasher.finalize()) != local.crc {
                let name = shown(&local.name);
                self.notes.add(report, rule::BAD_ZIP, &format!("has a wrong checksum for {name}"));
            }
            if local.size != member.size || local.packed != member.packed {
                self.fault(report, "has a member that is not as long as stated");
            }
        }
        self.by_offset.insert(local.offset, self.locals.len());
        self.locals.push(local);
    }

    /// The member cannot be read to its end; what was read of it counts.
    fn abandon(&mut self, report: &mut Report) {
        if let Some(mut member) = self.member.take() {
            if let Some(contents) = member.contents.take() {
                contents.finish(report);
            }
            self.by_offset.insert(member.local.offset, self.locals.len());
            self.locals.push(member.local);
        }
    }

    fn central(&mut self, record: &[u8], begin: u64, report: &mut Report) {
        if self.end64.is_some() {
            self.fault(report, "has a directory in two parts");
        }
        self.directory.get_or_insert(begin);
        self.entries += 1;
        let length = usize::try_from(le::<2>(record, 28)).unwrap_or_default();
        let extra_length = usize::try_from(le::<2>(record, 30)).unwrap_or_default();
        let name = record.get(46..46 + length).unwrap_or_default();
        let extra = record.get(46 + length..46 + length + extra_length).unwrap_or_default();
        let (mut packed, mut size, mut offset) =
            (le::<4>(record, 20), le::<4>(record, 24), le::<4>(record, 42));
        let extra = self.extra(extra, name, report).flatten();
        let mut wide = extra.unwrap_or_default();
        for value in [&mut size, &mut packed, &mut offset] {
            if *value == ELSEWHERE
                && let Some((now, rest)) = wide.split_first_chunk::<8>()
            {
                *value = u64::from_le_bytes(*now);
                wide = rest;
            }
        }
        let text = shown(name);
        let Some(local) = self.by_offset.get(&offset).and_then(|&at| self.locals.get_mut(at)) else {
            self.notes.add(report, rule::BAD_ZIP, &format!("lists a member that is not there: {text}"));
            return;
        };
        let again = std::mem::replace(&mut local.listed, true);
        let what = if again {
            "lists a member twice"
        } else if *local.name != *name {
            "has a member of two names"
        } else if local.flags != le::<2>(record, 8) {
            "has different flags for a member in its two places"
        } else if local.method != le::<2>(record, 10) {
            "has different methods for a member in its two places"
        } else if local.crc != le::<4>(record, 16) {
            "has different checksums for a member in its two places"
        } else if local.packed != packed || local.size != size {
            "has different sizes for a member in its two places"
        } else if !matches!(le::<2>(record, 34), 0 | 0xffff) {
            "is one part of several"
        } else {
            return;
        };
        self.notes.add(report, rule::BAD_ZIP, &format!("{what}: {text}"));
    }

    fn end(&mut self, record: &[u8], begin: u64, report: &mut Report) {
        let directory = self.directory.unwrap_or(self.end64.map_or(begin, |end| end[0]));
        let end = self.end64.map_or(begin, |end| end[0]);
        let found = [self.entries, end - directory.min(end), directory];
        if let Some([_, stated @ ..]) = self.end64
            && stated != found
        {
            self.fault(report, "says wrongly what is in its directory");
        }
        let stated = [le::<2>(record, 10), le::<4>(record, 12), le::<4>(record, 16)];
        let none = [0xffff, ELSEWHERE, ELSEWHERE];
        for ((stated, found), none) in stated.iter().zip(found).zip(none) {
            // Where it says nothing, the record of ZIP64 did.
            if *stated != found && !(*stated == none && self.end64.is_some()) {
                self.fault(report, "says wrongly what is in its directory");
            }
        }
        if le::<2>(record, 8) != le::<2>(record, 10) || !matches!(le::<4>(record, 4), 0 | ELSEWHERE) {
            self.fault(report, "is one part of several");
        }
        if self.locals.iter().any(|local| !local.listed) {
            self.fault(report, "has a member that its directory does not list");
        }
        let left = le::<2>(record, 20);
        self.comment(left, Vec::new(), report);
    }

    fn comment(&mut self, left: u64, bytes: Vec<u8>, report: &mut Report) {
        if left > 0 {
            self.state = State::Comment { left, bytes };
            return;
        }
        // Readers look for the end from behind, and would find another one.
        if [END, END64, CENTRAL, LOCAL].iter().any(|mark| memchr::memmem::find(&bytes, *mark).is_some()) {
            self.fault(report, "has a comment that looks like an archive");
        }
        self.state = State::End;
    }
}

enum Candidate {
    /// More bytes are needed.
    Short,
    Fits,
    Not,
}

/// How long the record is that begins so, as far as is known; `None` if there is none that does.
fn record_length(kept: &[u8]) -> Option<usize> {
    let Some(mark) = kept.first_chunk::<4>() else {
        return (kept.is_empty() || kept.starts_with(b"P") && b"PK".starts_with(&kept[..kept.len().min(2)]))
            .then_some(4);
    };
    let short = |at: usize| usize::try_from(le::<2>(kept, at)).unwrap_or_default();
    Some(match mark {
        LOCAL if kept.len() < 30 => 30,
        LOCAL => 30 + short(26) + short(28),
        CENTRAL if kept.len() < 46 => 46,
        CENTRAL => 46 + short(28) + short(30) + short(32),
        END64 if kept.len() < 12 => 12,
        END64 => {
            let length = le::<8>(kept, 4);
            (44..=END64_MAX).contains(&length).then(|| usize::try_from(length).ok())??.checked_add(12)?
        }
        LOCATOR64 => 20,
        END => 22,
        _ => return None,
    })
}

impl Inspect for Archive {
    fn update(&mut self, mut bytes: &[u8], report: &mut Report) {
        while !bytes.is_empty() {
            let taken = self.step(bytes, report).min(bytes.len());
            self.position += taken as u64;
            bytes = &bytes[taken..];
        }
    }

    fn finish(&mut self, report: &mut Report) {
        match std::mem::replace(&mut self.state, State::Given) {
            State::End | State::Given => {}
            // It was said what went wrong; but a member may be open.
            State::Lost(_) => self.abandon(report),
            State::StoredOpen(kept) => {
                self.data(&kept, report);
                self.fault(report, "ends before its end");
                self.abandon(report);
            }
            _ => {
                self.fault(report, "ends before its end");
                self.abandon(report);
            }
        }
    }
}
