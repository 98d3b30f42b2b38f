//! One fault a vector, with the step that refuses it.

use std::num::NonZeroUsize;

use consign_metadata::{Manifest, ManifestError, NameRule, Sha256Digest};

use super::forger::*;
use crate::archive::{Anchor, Archive, ArchiveError, Expected, Fault};
use crate::encoder::EncoderId;
use crate::frame::FrameFault as F;
use crate::header::HeaderKind;
use crate::limits::FRAME_MAX;
use crate::sha256::Sha256State;
use crate::tail::TailFault as T;
use crate::unpack::{Selection, UnpackError, unpack};
use crate::verify::{Scope, verify};

/// The first step that can know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum At {
    Open,
    Manifest,
    /// Verification of bytes alone.
    Bytes,
    /// Verification of content.
    Content,
}

struct Vector {
    what: &'static str,
    forgery: Forgery,
    at: At,
    fault: fn(&Fault) -> bool,
}

/// A vector: what it is, what it spoils, which step refuses it, with which fault.
macro_rules! vector {
    ($what:literal, { $($step:ident: $spoil:expr),* $(,)? }, $at:ident, $fault:pat $(if $guard:expr)?) => {
        Vector {
            what: $what,
            forgery: Forgery { $($step: $spoil,)* ..HONEST },
            at: At::$at,
            fault: |fault| matches!(fault, $fault $(if $guard)?),
        }
    };
}

fn threads(n: usize) -> NonZeroUsize {
    NonZeroUsize::new(n).expect("not zero")
}

fn faults(error: ArchiveError) -> Vec<Fault> {
    match error {
        ArchiveError::Faults { listed, more: 0 } => listed,
        other => panic!("not a fault of the archive: {other:?}"),
    }
}

/// The first step that refuses the archive.
fn examine(archive: &[u8], anchor: Anchor<'_>, n: usize) -> Option<(At, Vec<Fault>)> {
    let archive = match Archive::open(archive, anchor) {
        Ok(archive) => archive,
        Err(error) => return Some((At::Open, faults(error))),
    };
    if let Err(error) = archive.unplaced_manifest() {
        return Some((At::Manifest, faults(error)));
    }
    // Whoever only reads the manifest is told as well that it does not stand where it must.
    let placed = archive.manifest().map(drop);
    let content = verify(&archive, Scope::Content, threads(n), &());
    if let Err(error) = verify(&archive, Scope::Bytes, threads(n), &()) {
        assert!(content.is_err(), "content accepts what bytes refuse: {error:?}");
        let found = faults(error);
        let layout = found.iter().any(|fault| matches!(fault, Fault::Layout { .. }));
        assert!(placed.is_err() || !layout, "the manifest is given out of a wrong layout: {found:?}");
        return Some((At::Bytes, found));
    }
    assert!(placed.is_ok(), "{placed:?}");
    content.err().map(|error| (At::Content, faults(error)))
}

/// Unpacking refuses it too, and leaves nothing behind.
fn assert_not_unpacked(what: &str, archive: &[u8], expected: &Expected) {
    let parent = tempfile::tempdir().expect("a directory");
    if let Ok(archive) = Archive::open(archive, Anchor::Signed(expected)) {
        for selection in [Selection::Payload, Selection::Bag] {
            let result = unpack(&archive, &parent.path().join("out"), selection, threads(2), &());
            assert!(
                matches!(result, Err(UnpackError::Archive(ArchiveError::Faults { .. }))),
                "{what}: {result:?}"
            );
        }
    }
    assert_eq!(std::fs::read_dir(parent.path()).expect("a directory").count(), 0, "{what}");
}

/// Faults that only a statement can show: without one the archive may agree with itself.
fn needs_statement(fault: &Fault) -> bool {
    matches!(
        fault,
        Fault::Size { .. }
            | Fault::TailDigest
            | Fault::Digest { .. }
            | Fault::Encoder { .. }
            | Fault::BundleId { .. }
            | Fault::Disagree { .. }
    )
}

/// What is not as the vector says.
fn examine_vector(vector: &Vector, honest: &(Vec<u8>, Expected)) -> Result<(), String> {
    let forged = vector.forgery.build();
    if forged == *honest {
        return Err("spoils nothing".into());
    }
    let (archive, expected) = &forged;
    for n in [1, 3] {
        let (at, found) = examine(archive, Anchor::Signed(expected), n).ok_or("VERIFIED")?;
        if at != vector.at || !found.iter().all(vector.fault) {
            return Err(format!("{at:?}: {found:?}"));
        }
        // What is wrong by itself is refused without a statement too.
        if !found.iter().any(needs_statement) && *archive != honest.0 {
            let (_, found) = examine(archive, Anchor::Unsigned, n).ok_or("agrees with itself")?;
            if !found.iter().all(vector.fault) {
                return Err(format!("unsigned: {found:?}"));
            }
        }
    }
    assert_not_unpacked(vector.what, archive, expected);
    Ok(())
}

fn assert_refused(vectors: &[Vector]) {
    let honest = HONEST.build();
    let result =
        |vector: &Vector| examine_vector(vector, &honest).err().map(|e| format!("{}: {e}", vector.what));
    let problems: Vec<_> = vectors.iter().filter_map(result).collect();
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

fn assert_accepted(forgeries: &[(&str, Forgery)]) {
    for (what, forgery) in forgeries {
        let (archive, expected) = forgery.build();
        for anchor in [Anchor::Signed(&expected), Anchor::Unsigned] {
            assert_eq!(examine(&archive, anchor, 2), None, "{what}");
        }
    }
}

/// The forger alone breaks nothing: what is refused below is refused for its one fault.
#[test]
fn an_honest_archive_is_verified() {
    assert_accepted(&[("honest", HONEST)]);
    let (archive, _) = HONEST.build();
    let archive = Archive::open(archive.as_slice(), Anchor::Unsigned).expect("opens");
    assert_eq!(archive.frames(), 7);
}

/// Whoever writes another encoder may do all this.
#[test]
fn what_the_rules_leave_open_is_verified() {
    assert_accepted(&[
        (
            "frames of stored blocks, with a size field of 8 bytes",
            Forgery {
                frames: |f| {
                    stored(&mut f[BEFORE], |content| {
                        let size = (content.len() as u64).to_le_bytes();
                        zstd(&[&[0xE0], &size[..]].concat(), &[(true, 0, content.len(), content)])
                    });
                },
                ..HONEST
            },
        ),
        (
            "a window of exactly 8 MiB",
            Forgery {
                frames: |f| {
                    stored(&mut f[BEFORE], |content| {
                        let size = u32::try_from(content.len()).expect("small").to_le_bytes();
                        zstd(&[&[0x80, 13 << 3], &size[..]].concat(), &[(true, 0, content.len(), content)])
                    });
                },
                ..HONEST
            },
        ),
        (
            "a stored block and a repeated byte",
            Forgery {
                frames: |f| {
                    // The tar stream ends with zeros.
                    stored(&mut f[AFTER], |content| {
                        let (head, zeros) = content.split_at(content.len() - 1024);
                        zstd(&single(content), &[(false, 0, head.len(), head), (true, 1, zeros.len(), &[0])])
                    });
                },
                ..HONEST
            },
        ),
        (
            "a gather frame more",
            Forgery {
                pieces: |p| {
                    let rest = p[FIRST].content.split_off(1024);
                    p.insert(1, Piece::other(rest));
                },
                ..HONEST
            },
        ),
        (
            "large content in another number of frames",
            Forgery {
                pieces: |p| {
                    let rest = p[CONTENT_1].content.split_off(77);
                    let holds = p[CONTENT_1].holds;
                    p.insert(CONTENT_2, Piece { content: rest, holds });
                },
                ..HONEST
            },
        ),
        (
            "the manifest in two frames",
            Forgery {
                pieces: |p| {
                    let rest = p[MANIFEST].content.split_off(100);
                    p.insert(AFTER, Piece { content: rest, holds: Holds::Manifest });
                },
                ..HONEST
            },
        ),
    ]);
}

/// The header of a single-segment frame with a size field of 4 bytes.
fn single(content: &[u8]) -> Vec<u8> {
    sized(content.len())
}

fn sized(size: usize) -> Vec<u8> {
    [&[0xA0], &u32::try_from(size).expect("small").to_le_bytes()[..]].concat()
}

/// Makes a frame anew from what it decodes to.
fn stored(frame: &mut Frame, make: impl FnOnce(&[u8]) -> Vec<u8>) {
    let mut content = Vec::new();
    let decoded = u32::try_from(frame.decoded).expect("small");
    crate::frame::Decoder::new()
        .unwrap()
        .decode(&frame.bytes, decoded, &mut content)
        .expect("honest until now");
    frame.bytes = make(&content);
}

/// One stored block around which something is wrong.
fn with_header(frame: &mut Frame, header: impl FnOnce(usize) -> Vec<u8>) {
    stored(frame, |content| zstd(&header(content.len()), &[(true, 0, content.len(), content)]));
}

#[test]
fn no_frame_breaks_the_rules_for_frames() {
    assert_refused(&[
        vector!("a skippable frame behind a frame, in its entry", { frames: |f| f[BEFORE].bytes.extend(skippable()) },
            Bytes, Fault::Frame { frame: BEFORE, fault: F::Trailing(14) }),
        vector!("a skippable frame before a frame, in its entry", { frames: |f| f[BEFORE].bytes.splice(..0, skippable()).for_each(drop) },
            Bytes, Fault::Frame { frame: BEFORE, fault: F::Skippable }),
        vector!("a skippable frame before the first frame, in its entry", { frames: |f| f[FIRST].bytes.splice(..0, skippable()).for_each(drop) },
            Bytes, Fault::Frame { frame: FIRST, fault: F::Skippable }),
        vector!("a skippable frame between frames", { frames: |f| f.insert(REST, Frame::inserted(&skippable(), 0)) },
            Open, Fault::Tail(T::SeekTable("lists an empty frame"))),
        vector!("a skippable frame before the first", { frames: |f| f.insert(FIRST, Frame::inserted(&skippable(), 0)) },
            Open, Fault::Tail(T::SeekTable("lists an empty frame"))),
        vector!("a skippable frame before the index", { frames: |f| f.push(Frame::inserted(&skippable(), 0)) },
            Open, Fault::Tail(T::SeekTable("lists an empty frame"))),
        vector!("a skippable frame that is said to hold a byte", { frames: |f| f.push(Frame::inserted(&skippable(), 1)) },
            Bytes, Fault::Layout { frame: 7, .. }),
        vector!("a skippable frame that is said to hold a byte of a large file", {
            pieces: |p| {
                let holds = p[CONTENT_1].holds;
                let last = p[CONTENT_1].content.pop().expect("some");
                p.insert(CONTENT_2, Piece { content: vec![last], holds });
            },
            frames: |f| f[CONTENT_2].bytes = skippable(),
        }, Bytes, Fault::Frame { frame: CONTENT_2, fault: F::Skippable }),
        vector!("bytes no one accounts for between the frames and the tail", { frames: |f| f.push(Frame::inserted(b"hidden", 0)) },
            Open, Fault::Tail(T::SeekTable("lists an empty frame"))),
        vector!("a zstd frame of nothing", { frames: |f| f.insert(REST, Frame::inserted(&compress(b""), 0)) },
            Open, Fault::Tail(T::SeekTable("lists an empty frame"))),
        vector!("an entry of no bytes", { frames: |f| f.insert(REST, Frame::inserted(b"", 0)) },
            Open, Fault::Tail(T::SeekTable("lists an empty frame"))),
        vector!("an entry of no bytes that is said to hold some", { frames: |f| f[BEFORE].bytes.clear() },
            Open, Fault::Tail(T::SeekTable("lists an empty frame"))),
        vector!("two frames in one entry", {
            frames: |f| stored(&mut f[AFTER], |content| {
                let (one, two) = content.split_at(512);
                [compress(one), compress(two)].concat()
            })
        }, Bytes, Fault::Frame { frame: AFTER, fault: F::ContentSize { told: 512, .. } }),
        vector!("a second frame of nothing in an entry", { frames: |f| f[AFTER].bytes.extend(compress(b"")) },
            Bytes, Fault::Frame { frame: AFTER, fault: F::Trailing(_) }),
        vector!("a byte after the last block", { frames: |f| f[CONTENT_2].bytes.push(0) },
            Bytes, Fault::Frame { frame: CONTENT_2, fault: F::Trailing(1) }),
        vector!("a frame cut short", { frames: |f| _ = f[CONTENT_2].bytes.pop() },
            Bytes, Fault::Frame { frame: CONTENT_2, fault: F::Truncated }),
        vector!("no zstd frame", { frames: |f| f[REST].bytes[0] ^= 1 },
            Bytes, Fault::Frame { frame: REST, fault: F::Magic }),
        vector!("the magic number of zstd 0.7", { frames: |f| f[REST].bytes[0] = 0x27 },
            Bytes, Fault::Frame { frame: REST, fault: F::Magic }),
        vector!("the decoded size absent", { frames: |f| with_header(&mut f[BEFORE], |_| vec![0x00, 0x58]) },
            Bytes, Fault::Frame { frame: BEFORE, fault: F::NoContentSize }),
        vector!("a decoded size one too large", { frames: |f| with_header(&mut f[BEFORE], |len| sized(len + 1)) },
            Bytes, Fault::Frame { frame: BEFORE, fault: F::ContentSize { .. } }),
        vector!("a decoded size of nearly 2^64", { frames: |f| with_header(&mut f[BEFORE], |_| [&[0xE0], &[0xFE; 8][..]].concat()) },
            Bytes, Fault::Frame { frame: BEFORE, fault: F::ContentSize { .. } }),
        vector!("a dictionary", { frames: |f| with_header(&mut f[BEFORE], |len| [&[0xA1, 7], &sized(len)[1..]].concat()) },
            Bytes, Fault::Frame { frame: BEFORE, fault: F::Dictionary }),
        vector!("a dictionary numbered 0", { frames: |f| with_header(&mut f[BEFORE], |len| [&[0xA1, 0], &sized(len)[1..]].concat()) },
            Bytes, Fault::Frame { frame: BEFORE, fault: F::Dictionary }),
        vector!("a dictionary with a number of 4 bytes", { frames: |f| with_header(&mut f[BEFORE], |len| [&[0xA3, 0, 0, 0, 0], &sized(len)[1..]].concat()) },
            Bytes, Fault::Frame { frame: BEFORE, fault: F::Dictionary }),
        vector!("a zstd checksum", {
            frames: |f| stored(&mut f[BEFORE], |content| {
                let mut context = zstd_safe::CCtx::create();
                context.set_parameter(zstd_safe::CParameter::ChecksumFlag(true)).expect("a parameter");
                let mut out = Vec::with_capacity(zstd_safe::compress_bound(content.len()));
                context.compress2(&mut out, content).expect("compresses");
                out
            })
        }, Bytes, Fault::Frame { frame: BEFORE, fault: F::Checksum }),
        vector!("the reserved bit", { frames: |f| f[BEFORE].bytes[4] |= 0x08 },
            Bytes, Fault::Frame { frame: BEFORE, fault: F::ReservedBit }),
        vector!("the unused bit", { frames: |f| f[BEFORE].bytes[4] |= 0x10 },
            Bytes, Fault::Frame { frame: BEFORE, fault: F::ReservedBit }),
        vector!("an empty stored block in front", {
            frames: |f| stored(&mut f[BEFORE], |c| zstd(&single(c), &[(false, 0, 0, b""), (true, 0, c.len(), c)]))
        }, Bytes, Fault::Frame { frame: BEFORE, fault: F::EmptyBlock }),
        vector!("an empty last block", {
            frames: |f| stored(&mut f[BEFORE], |c| zstd(&single(c), &[(false, 0, c.len(), c), (true, 0, 0, b"")]))
        }, Bytes, Fault::Frame { frame: BEFORE, fault: F::EmptyBlock }),
        vector!("a byte repeated no time", {
            frames: |f| stored(&mut f[BEFORE], |c| zstd(&single(c), &[(false, 1, 0, b"x"), (true, 0, c.len(), c)]))
        }, Bytes, Fault::Frame { frame: BEFORE, fault: F::EmptyBlock }),
        vector!("a block of the reserved type", {
            frames: |f| stored(&mut f[BEFORE], |c| zstd(&single(c), &[(true, 3, c.len(), c)]))
        }, Bytes, Fault::Frame { frame: BEFORE, fault: F::BadBlock }),
        vector!("a block of more than 128 KiB", {
            frames: |f| stored(&mut f[CONTENT_1], |c| zstd(&single(c), &[(true, 0, c.len(), c)]))
        }, Bytes, Fault::Frame { frame: CONTENT_1, fault: F::BadBlock }),
        vector!("a block larger than the window", {
            frames: |f| stored(&mut f[BEFORE], |c| zstd(&[&[0x80, 0], &sized(c.len())[1..]].concat(), &[(true, 0, c.len(), c)]))
        }, Bytes, Fault::Frame { frame: BEFORE, fault: F::BadBlock }),
        vector!("a window of 9 MiB", { frames: |f| with_header(&mut f[BEFORE], |len| [&[0x80, 13 << 3 | 1], &sized(len)[1..]].concat()) },
            Bytes, Fault::Frame { frame: BEFORE, fault: F::Window(0x90_0000) }),
        vector!("the largest window there is", { frames: |f| with_header(&mut f[BEFORE], |len| [&[0x80, 0xFF], &sized(len)[1..]].concat()) },
            Bytes, Fault::Frame { frame: BEFORE, fault: F::Window(_) }),
        vector!("a frame of more than 8 MiB", { tail: |t| t.frames[CONTENT_1].decoded = FRAME_MAX + 1 },
            Open, Fault::Tail(T::SeekTable("lists a frame of more than 8 MiB"))),
        vector!("a frame that is mostly blocks", {
            frames: |f| stored(&mut f[BEFORE], |c| {
                let mut blocks: Vec<_> = c.chunks(1).map(|byte| (false, 0, 1, byte)).collect();
                blocks.last_mut().expect("some").0 = true;
                zstd(&single(c), &blocks)
            })
        }, Open, Fault::Tail(T::SeekTable("lists a frame longer than its content allows"))),
        vector!("a compressed block that is none", {
            frames: |f| stored(&mut f[BEFORE], |c| zstd(&single(c), &[(true, 2, 100, &[0xFF; 100])]))
        }, Content, Fault::Frame { frame: BEFORE, fault: F::Undecodable }),
        vector!("fewer bytes than the header tells", {
            frames: |f| stored(&mut f[BEFORE], |c| zstd(&single(c), &[(true, 0, 512, &c[..512])]))
        }, Content, Fault::Frame { frame: BEFORE, fault: F::Undecodable }),
        vector!("more bytes than the header tells", {
            frames: |f| stored(&mut f[BEFORE], |c| zstd(&single(c), &[(false, 0, c.len(), c), (true, 1, 1, b"x")]))
        }, Content, Fault::Frame { frame: BEFORE, fault: F::Undecodable }),
    ]);
}

/// Entry `n` of the seek table.
fn entry(table: &mut [u8], n: usize) -> &mut [u8] {
    &mut table[8 * n..][..8]
}

#[test]
fn the_seek_table_tells_the_truth() {
    fn footer(table: &mut [u8]) -> &mut [u8] {
        let at = table.len() - 9;
        &mut table[at..]
    }
    assert_refused(&[
        vector!("an entry more than there are", { table: |t| footer(t)[0] += 1 }, Open, Fault::Tail(T::SeekTable(_))),
        vector!("an entry fewer than there are", { table: |t| footer(t)[0] -= 1 }, Open, Fault::Tail(T::SeekTable(_))),
        vector!("no entries", { table: |t| footer(t)[..4].fill(0) }, Open, Fault::Tail(T::SeekTable("lists too few frames"))),
        vector!("2^32 - 1 entries", { table: |t| footer(t)[..4].fill(0xFF) },
            Open, Fault::Tail(T::SeekTable("lists too many frames"))),
        vector!("2^27 entries", { table: |t| footer(t)[..4].copy_from_slice(&(1u32 << 27).to_le_bytes()) },
            Open, Fault::Tail(T::SeekTable("is longer than the tail") | T::NoSeekTable)),
        vector!("checksums announced", { table: |t| footer(t)[4] = 0x80 },
            Open, Fault::Tail(T::SeekTable("has a descriptor other than 0"))),
        vector!("a reserved bit of the descriptor", { table: |t| footer(t)[4] = 0x04 },
            Open, Fault::Tail(T::SeekTable("has a descriptor other than 0"))),
        vector!("an unused bit of the descriptor", { table: |t| footer(t)[4] = 0x01 },
            Open, Fault::Tail(T::SeekTable("has a descriptor other than 0"))),
        vector!("another magic number at the end", { table: |t| footer(t)[8] ^= 1 }, Open, Fault::Tail(T::NoSeekTable)),
        vector!("another skippable magic number", {
            tail_bytes: |t| {
                let at = t.windows(4).rposition(|w| w == 0x184D_2A5E_u32.to_le_bytes()).expect("the table");
                t[at] = 0x50;
            }
        }, Open, Fault::Tail(T::SeekTable("is not one skippable frame"))),
        vector!("a frame's size and the next one's shifted", { table: |t| { entry(t, 0)[0] += 1; entry(t, 1)[0] -= 1; } },
            Open, Fault::Tail(T::Index(_))),
        vector!("sizes that add up to more", { table: |t| entry(t, 0)[0] ^= 64 }, Open, Fault::Tail(_)),
        vector!("sizes that add up to one more", { tail: |t| { t.frames[AFTER].compressed += 1; } },
            Open, Fault::Tail(_)),
        vector!("a decoded size one less", { tail: |t| t.frames[FIRST].decoded -= 1 }, Bytes, Fault::Layout { frame: FIRST, .. }),
        vector!("decoded sizes shifted from one frame to the next", {
            tail: |t| { t.frames[CONTENT_1].decoded += 1; t.frames[CONTENT_2].decoded -= 1; }
        }, Bytes, Fault::Frame { frame: CONTENT_1 | CONTENT_2, fault: F::ContentSize { .. } }),
        vector!("an index that decodes to something", { table: |t| { let n = t.len() - 9 - 4; t[n] = 1; } },
            Open, Fault::Tail(T::SeekTable("does not end with the index"))),
        vector!("the index not listed", {
            table: |t| {
                let at = t.len() - 9 - 8;
                t.drain(at..at + 8);
                footer(t)[0] -= 1;
            }
        }, Open, Fault::Tail(T::SeekTable("does not end with the index"))),
        vector!("the index first", {
            table: |t| {
                let at = t.len() - 9;
                t[..at].rotate_right(8);
            }
        }, Open, Fault::Tail(T::SeekTable("does not end with the index"))),
        vector!("a larger index than there is", { table: |t| { let at = t.len() - 9 - 8; t[at] ^= 0x80; } },
            Open, Fault::Tail(T::SeekTable("has another size for the index than the tail leaves") | T::Index(_) | T::NoSeekTable)),
        vector!("an index of 4 GiB", { table: |t| { let at = t.len() - 9 - 8; t[at..at + 4].fill(0xFF); } },
            Open, Fault::Tail(T::SeekTable("has another size for the index than the tail leaves") | T::NoSeekTable | T::TooLarge(_))),
        vector!("something between index and seek table", {
            tail_bytes: |t| {
                let at = t.windows(4).rposition(|w| w == 0x184D_2A5E_u32.to_le_bytes()).expect("the table");
                t.splice(at..at, skippable()).for_each(drop);
            }
        }, Open, Fault::Tail(_)),
        vector!("something before the index", { tail_bytes: |t| t.splice(..0, skippable()).for_each(drop) },
            Open, Fault::Tail(_)),
        vector!("something after the seek table", { tail_bytes: |t| t.extend(skippable()) }, Open, Fault::Tail(T::NoSeekTable)),
        vector!("no tail", { tail_bytes: Vec::clear }, Open, Fault::Tail(T::NoSeekTable)),
        vector!("the seek table alone", {
            tail_bytes: |t| {
                let at = t.windows(4).rposition(|w| w == 0x184D_2A5E_u32.to_le_bytes()).expect("the table");
                t.drain(..at);
            }
        }, Open, Fault::Tail(_)),
    ]);
}

const LENGTHS: &str = "lists another number of frames than an index of its size has";

/// Where the record of the first frame begins in the index.
fn first_record(index: &[u8]) -> usize {
    9 + usize::from(index[8])
}

#[test]
fn the_index_tells_the_truth() {
    assert_refused(&[
        vector!("an index of somebody else", { index: |i| i[0] ^= 1 }, Open, Fault::Tail(T::Index("does not begin as one of consign"))),
        vector!("a newer format", { index: |i| i[7] = 2 }, Open, Fault::Tail(T::NewerFormat(2))),
        vector!("another skippable magic number", { tail_bytes: |t| t[0] = 0x50 },
            Open, Fault::Tail(T::Index("is not one skippable frame"))),
        vector!("a size in its skippable header that is not its own", { tail_bytes: |t| t[4] ^= 1 },
            Open, Fault::Tail(T::Index("is not one skippable frame"))),
        vector!("bytes after the frames", { index: |i| { let at = i.len() - 24; i.insert(at, 0); } },
            Open, Fault::Tail(T::Index("holds more than its frames"))),
        vector!("a record for a frame that is not there", { index: |i| {
            let at = i.len() - 24;
            i.splice(at..at, [0; 65]).for_each(drop);
        } }, Open, Fault::Tail(T::Index("holds more than its frames"))),
        vector!("bytes after the trailer", { index: |i| i.push(0) }, Open, Fault::Tail(T::Index(_))),
        vector!("its last bytes missing", { index: |i| i.truncate(i.len() - 30) }, Open, Fault::Tail(T::Index("is cut short"))),
        vector!("cut short", { index: |i| i.truncate(100) }, Open, Fault::Tail(T::SeekTable(LENGTHS))),
        vector!("shorter than its trailer", { index: |i| i.truncate(10) }, Open, Fault::Tail(T::SeekTable(LENGTHS))),
        vector!("no bytes", { index: Vec::clear }, Open, Fault::Tail(T::SeekTable(LENGTHS))),
        vector!("a frame of unknown kind", { index: |i| { let at = first_record(i); i[at] = 2; } },
            Open, Fault::Tail(T::Index("has a frame of unknown kind"))),
        vector!("an encoder id with a control character", { index: |i| i[9] = 0x1B },
            Open, Fault::Tail(T::Index("has a malformed encoder id"))),
        vector!("no encoder id", { index: |i| { let end = first_record(i); i.drain(9..end); i[8] = 0; } },
            Open, Fault::Tail(T::Index("has a malformed encoder id"))),
        vector!("another encoder than the signed", { expected: |e| e.archive.encoder = EncoderId::parse("zstd-9/other").expect("an id") },
            Open, Fault::Encoder { .. }),
        vector!("an altered state at a frame", { tail: |t| alter(&mut t.frames[CONTENT_2].archive) },
            Bytes, Fault::FrameAltered { frame: CONTENT_2 | REST, .. }),
        vector!("an altered left-over byte of a state", { index: |i| { let at = first_record(i) + 1 + 32; i[at] ^= 1; } },
            Bytes, Fault::FrameAltered { frame: FIRST | CONTENT_1, .. }),
        vector!("an altered final state", { tail: |t| alter(&mut t.frames[AFTER].archive) }, Open, Fault::Digest { .. }),
        vector!("an altered final state and the digest it leads to", {
            tail: |t| alter(&mut t.frames[AFTER].archive),
            tail_bytes: |_| {},
            expected: |e| e.archive.sha256 = led_to(&Forgery { tail: |t| alter(&mut t.frames[AFTER].archive), ..HONEST }),
        }, Bytes, Fault::FrameAltered { frame: AFTER, .. }),
        vector!("states that do not begin at the initial one, and the digest they lead to", {
            tail: elsewhere,
            expected: |e| e.archive.sha256 = led_to(&Forgery { tail: elsewhere, ..HONEST }),
        }, Bytes, Fault::FrameAltered { frame: FIRST, .. }),
        vector!("states that do not begin at the initial one", { tail: elsewhere }, Open, Fault::Digest { .. }),
        vector!("a file's state altered", { tail: |t| alter_some(&mut t.frames[CONTENT_1].file) },
            Content, Fault::FileContent { .. }),
        vector!("a file's last state altered", { tail: |t| alter_some(&mut t.frames[CONTENT_2].file) },
            Content, Fault::FileContent { .. }),
        vector!("a file's state at another place", {
            tail: |t| t.frames[CONTENT_1].file = t.frames[CONTENT_2].file.clone()
        }, Content, Fault::FileContent { .. } | Fault::Record { frame: CONTENT_2, .. }),
        vector!("a file's state missing", { tail: |t| t.frames[CONTENT_1].file = None },
            Bytes, Fault::Record { frame: CONTENT_1, .. }),
        vector!("a file's state on a gather frame", { tail: |t| t.frames[FIRST].file = t.frames[CONTENT_1].file.clone() },
            Bytes, Fault::Record { frame: FIRST, .. }),
        vector!("a file's state on a tag frame", { tail: |t| t.frames[AFTER].file = t.frames[CONTENT_1].file.clone() },
            Bytes, Fault::Record { frame: AFTER, .. }),
        vector!("an impossible state", {
            tail: |t| t.frames[CONTENT_1].file = Some(Sha256State::initial()),
            index: |i| {
                let initial = Sha256State::initial().chaining();
                let at = i.windows(32).position(|w| w == initial).expect("the initial words");
                i[at] ^= 1;
            },
        }, Open, Fault::Tail(T::Index("has an impossible state"))),
        vector!("a content id of other content", { tail: |t| t.frames[REST].content_id = [7; 32] },
            Content, Fault::Record { frame: REST, .. }),
        vector!("content ids of two frames swapped", {
            tail: |t| (t.frames[BEFORE].content_id, t.frames[AFTER].content_id) = (t.frames[AFTER].content_id, t.frames[BEFORE].content_id)
        }, Content, Fault::Record { frame: BEFORE | AFTER, .. }),
    ]);
}

fn alter(state: &mut Sha256State) {
    let mut words = state.chaining();
    words[5] ^= 0x10;
    *state = Sha256State::from_parts(&words, state.rest(), state.length()).expect("past the first block");
}

fn alter_some(state: &mut Option<Sha256State>) {
    alter(state.as_mut().expect("a content frame"));
}

/// The digest that the states of an archive lead to.
fn led_to(forgery: &Forgery) -> Sha256Digest {
    let (archive, _) = forgery.build();
    Archive::open(archive.as_slice(), Anchor::Unsigned).expect("opens").facts().sha256
}

/// States as they would be if SHA-256 began elsewhere: each leads to the next.
fn elsewhere(tail: &mut crate::tail::Tail) {
    let (archive, _) = HONEST.build();
    let mut state = Sha256State::from_parts(&[7; 32], &[], 64).expect("a state");
    for frame in &mut tail.frames {
        let at = usize::try_from(frame.offset).expect("small");
        state.update(&archive[at..][..frame.compressed as usize]);
        frame.archive = Sha256State::from_parts(&state.chaining(), state.rest(), state.length() - 64)
            .expect("past the first block");
    }
}

#[test]
fn the_manifest_stands_in_its_place() {
    assert_refused(&[
        vector!("no frames of the manifest", { tail: |t| t.manifest.count = 0 },
            Open, Fault::Tail(T::Index("names a place of the manifest that is not there"))),
        vector!("no frames of the manifest, and no size", { tail: |t| { t.manifest.count = 0; t.manifest.size = 0; } },
            Open, Fault::Tail(T::Index("names a place of the manifest that is not there"))),
        vector!("a place past the end", { tail: |t| t.manifest.first = 7 },
            Open, Fault::Tail(T::Index("names a place of the manifest that is not there"))),
        vector!("a place at 2^64 - 1", { tail: |t| t.manifest.first = u64::MAX },
            Open, Fault::Tail(T::Index("names a place of the manifest that is not there"))),
        vector!("2^64 - 1 frames", { tail: |t| t.manifest.count = u64::MAX },
            Open, Fault::Tail(T::Index("names a place of the manifest that is not there"))),
        vector!("another size", { tail: |t| t.manifest.size += 1 },
            Open, Fault::Tail(T::Index("names a place of the manifest that is not there"))),
        vector!("a frame too many", { tail: |t| { t.manifest.count = 2; t.manifest.size += u64::from(t.frames[AFTER].decoded); } },
            Manifest, Fault::BundleId { .. }),
        vector!("the frame of something else", { tail: |t| { t.manifest.first = 4; t.manifest.size = u64::from(t.frames[BEFORE].decoded); } },
            Manifest, Fault::BundleId { .. }),
        vector!("the frame of something else, which is signed", {
            pieces: |p| p[MANIFEST].holds = Holds::Other,
            tail: |t| { t.manifest.first = 4; t.manifest.count = 1; t.manifest.size = u64::from(t.frames[BEFORE].decoded); },
            expected: |e| e.id = Manifest::id_of(&before_of_honest()),
        }, Manifest, Fault::Manifest(ManifestError::NoFormat)),
        vector!("a payload file that is a manifest itself", {
            entries: |e| *e = with_manifest_inside().0,
            tail: |t| {
                (t.manifest.first, t.manifest.count) = (1, 2);
                t.manifest.size = with_manifest_inside().1.len() as u64;
            },
            expected: |e| e.id = Manifest::id_of(with_manifest_inside().1.as_bytes()),
        }, Bytes, Fault::Record { frame: 1, .. }),
        vector!("the last part of the manifest only", {
            pieces: |p| {
                let rest = p[MANIFEST].content.split_off(100);
                p.insert(AFTER, Piece { content: rest, holds: Holds::Manifest });
            },
            tail: |t| { t.manifest.first = 6; t.manifest.count = 1; t.manifest.size = u64::from(t.frames[6].decoded); },
        }, Manifest, Fault::BundleId { .. }),
    ]);
}

fn before_of_honest() -> Vec<u8> {
    let (archive, _) = HONEST.build();
    let archive = Archive::open(archive.as_slice(), Anchor::Unsigned).expect("opens");
    let record = &archive.tail.frames[BEFORE];
    let mut frame = vec![0; record.compressed as usize];
    crate::archive::ReadAt::read_exact_at(&archive.source, &mut frame, record.offset).expect("there");
    let mut content = Vec::new();
    crate::frame::Decoder::new().unwrap().decode(&frame, record.decoded, &mut content).expect("decodes");
    content
}

/// A tree whose large file is a valid manifest, which describes a tree of the same shape.
fn with_manifest_inside() -> (Vec<Entry>, String) {
    let mut inner = vec![file("a.txt", b"other"), file("large.bin", b"")];
    // A descriptor of a later schema may say anything, at any length.
    let text = |entries: &[Entry]| {
        manifest_text(entries)
            .replace("\"schema\": 1", "\"schema\": 2")
            .replace("dataset", &"x".repeat(1 << 20))
    };
    // Its own size stands in it, with seven digits.
    inner[1].kind = HeaderKind::File { size: 1_000_000, mode: 0o644 };
    let size = text(&inner).len() as u64;
    inner[1].kind = HeaderKind::File { size, mode: 0o644 };
    let text = text(&inner);
    assert_eq!(text.len() as u64, size);
    Manifest::parse(text.as_bytes()).expect("a good manifest");
    (vec![file("a.txt", b"alpha"), file("large.bin", text.as_bytes())], text)
}

/// Moves the last bytes of a piece to the front of the next.
fn shift(pieces: &mut [Piece], from: usize, count: usize) {
    let at = pieces[from].content.len() - count;
    let moved = pieces[from].content.split_off(at);
    pieces[from + 1].content.splice(..0, moved).for_each(drop);
}

/// Joins a piece with the next.
fn join(pieces: &mut Vec<Piece>, n: usize) {
    let next = pieces.remove(n + 1);
    pieces[n].content.extend(next.content);
}

#[test]
fn frames_keep_to_the_layout() {
    assert_refused(&[
        vector!("a small file over two frames", { pieces: |p| { let rest = p[FIRST].content.split_off(512); p.insert(1, Piece::other(rest)); } },
            Bytes, Fault::Layout { frame: FIRST, reason } if reason.contains("inside an entry")),
        vector!("a border inside a header", { pieces: |p| { let rest = p[FIRST].content.split_off(1); p.insert(1, Piece::other(rest)); } },
            Bytes, Fault::Layout { frame: FIRST, .. }),
        vector!("a border inside the padding of a large file", { pieces: |p| { let rest = p[REST].content.split_off(1); p.insert(4, Piece::other(rest)); } },
            Bytes, Fault::Layout { frame: REST, .. }),
        vector!("a large file's content behind its header", { pieces: |p| join(p, FIRST) },
            Bytes, Fault::Layout { frame: FIRST, .. }),
        vector!("one byte of a large file behind its header", {
            pieces: |p| { let byte = p[CONTENT_1].content.remove(0); p[FIRST].content.push(byte); }
        }, Bytes, Fault::Layout { frame: FIRST, .. }),
        vector!("a header's last byte with the content of the file", { pieces: |p| shift(p, FIRST, 1) },
            Bytes, Fault::Layout { frame: FIRST, .. }),
        vector!("a large file's padding in the frame of its content", { pieces: |p| join(p, CONTENT_2) },
            Bytes, Fault::Layout { frame: CONTENT_2, reason } if reason.contains("past the content")),
        vector!("a large file's last byte with its padding", { pieces: |p| shift(p, CONTENT_2, 1) },
            Bytes, Fault::Layout { frame: REST, .. }),
        vector!("the payload's end and the tag files in one frame", { pieces: |p| join(p, REST) },
            Bytes, Fault::Layout { frame: REST, .. }),
        vector!("the last frames missing", { frames: |f| f.truncate(AFTER) }, Bytes,
            Fault::Layout { frame: AFTER, reason } if reason.contains("missing")),
        vector!("a frame after the end of the stream", { pieces: |p| p.push(Piece::other(vec![0; 512])) },
            Bytes, Fault::Layout { frame: 7, reason } if reason.contains("after the end")),
        vector!("zeros after the end of the stream", { pieces: |p| p[AFTER].content.extend([0; 9216]) },
            Bytes, Fault::Layout { frame: AFTER, reason } if reason.contains("past the end")),
        vector!("a tag file more in the last frame", {
            pieces: |p| {
                let at = p[AFTER].content.len() - 1024;
                let mut header = Vec::new();
                crate::header::write_header("tiny/fetch.txt", HeaderKind::File { size: 0, mode: 0o644 }, &mut header);
                p[AFTER].content.splice(at..at, header).for_each(drop);
            }
        }, Bytes, Fault::Layout { frame: AFTER, .. }),
        vector!("the manifest's header in its frame", { pieces: |p| shift(p, BEFORE, 512) }, Manifest, Fault::BundleId { .. }),
        vector!("the manifest and what follows in one frame", { pieces: |p| join(p, MANIFEST) }, Manifest, Fault::BundleId { .. }),
        vector!("no manifest: its bytes in the frame before", {
            pieces: |p| { p[BEFORE].holds = Holds::Manifest; join(p, BEFORE); },
        }, Manifest, Fault::BundleId { .. }),
        vector!("an entry of the stream left out", { pieces: |p| p[FIRST].content.drain(..1024).for_each(drop) },
            Bytes, Fault::Layout { .. }),
        vector!("a file more in the stream than in the manifest", { pieces: |p| {
            let unit = p[FIRST].content[..1024].to_vec();
            p[FIRST].content.splice(..0, unit).for_each(drop);
        } }, Bytes, Fault::Layout { frame: FIRST, .. }),
        vector!("an entry of the manifest without its frames", { pieces: |p| { p.remove(CONTENT_2); } },
            Bytes, Fault::Record { frame: CONTENT_2, .. }),
    ]);
}

#[test]
fn e30_the_stream_is_what_the_manifest_determines() {
    fn tag(piece: &mut Piece, name: &str) {
        let at = header_at(&piece.content, name) + 512;
        piece.content[at] ^= 1;
    }
    assert_refused(&[
        vector!("another mode in a header", { pieces: |p| alter_header(&mut p[FIRST].content, "data/a.txt", |h| h.set_mode(0o4755)) },
            Content, Fault::Stream { frame: FIRST, what } if what == "the header of `a.txt`"),
        vector!("a time in a header", { pieces: |p| alter_header(&mut p[FIRST].content, "data/a.txt", |h| h.set_mtime(1)) },
            Content, Fault::Stream { frame: FIRST, .. }),
        vector!("an owner in a header", { pieces: |p| alter_header(&mut p[FIRST].content, "data/a.txt", |h| h.set_uid(1000)) },
            Content, Fault::Stream { frame: FIRST, .. }),
        vector!("an owner's name in a header", { pieces: |p| alter_header(&mut p[FIRST].content, "data/a.txt", |h| h.set_username("ada").expect("short")) },
            Content, Fault::Stream { frame: FIRST, .. }),
        vector!("another name in a header", { pieces: |p| alter_header(&mut p[FIRST].content, "data/a.txt", |h| h.as_mut_bytes()[10] = b'c') },
            Content, Fault::Stream { frame: FIRST, .. }),
        vector!("a size in a header, of another file", { pieces: |p| alter_header(&mut p[FIRST].content, "data/a.txt", |h| h.set_size(4)) },
            Content, Fault::Stream { frame: FIRST, .. }),
        vector!("a link instead of a file", {
            pieces: |p| alter_header(&mut p[FIRST].content, "data/a.txt", |h| h.set_entry_type(tar::EntryType::Symlink))
        }, Content, Fault::Stream { frame: FIRST, .. }),
        vector!("the old type of a regular file", {
            pieces: |p| alter_header(&mut p[FIRST].content, "data/a.txt", |h| h.as_mut_bytes()[156] = 0)
        }, Content, Fault::Stream { frame: FIRST, .. }),
        vector!("POSIX magic in a header", {
            pieces: |p| alter_header(&mut p[FIRST].content, "data/a.txt", |h| h.as_mut_bytes()[257..265].copy_from_slice(b"ustar\x0000"))
        }, Content, Fault::Stream { frame: FIRST, .. }),
        vector!("a checksum written otherwise", { pieces: |p| p[FIRST].content[155] = 0 }, Content, Fault::Stream { frame: FIRST, .. }),
        vector!("bytes behind the fields of a header", {
            pieces: |p| alter_header(&mut p[FIRST].content, "data/a.txt", |h| h.as_mut_bytes()[511] = 1)
        }, Content, Fault::Stream { frame: FIRST, .. }),
        vector!("another mode of a directory", {
            pieces: |p| alter_header(&mut p[FIRST].content, "data/empty", |h| h.set_mode(0o777))
        }, Content, Fault::Stream { frame: FIRST, what } if what == "the header of `empty`"),
        vector!("another header of a large file", {
            pieces: |p| alter_header(&mut p[FIRST].content, "data/large.bin", |h| h.set_mtime(1))
        }, Content, Fault::Stream { frame: FIRST, what } if what == "the header of `large.bin`"),
        vector!("padding that holds something", { pieces: |p| p[FIRST].content[512 + 5] = 1 },
            Content, Fault::Stream { frame: FIRST, what } if what == "the padding of `a.txt`"),
        vector!("a large file's padding that holds something", { pieces: |p| p[REST].content[0] = 1 },
            Content, Fault::Stream { frame: REST, what } if what == "the padding of `large.bin`"),
        vector!("another name in an L record", {
            pieces: |p| {
                let at = p[REST].content.windows(4).position(|w| w == b"long").expect("the name");
                p[REST].content[at] = b'm';
            }
        }, Content, Fault::Stream { frame: REST, .. }),
        vector!("something behind the name in an L record", {
            pieces: |p| {
                let at = p[REST].content.windows(2).position(|w| w == b"n\0").expect("the end of the name");
                p[REST].content[at + 2] = b'x';
            }
        }, Content, Fault::Stream { frame: REST, .. }),
        vector!("a K record for an L record", {
            pieces: |p| {
                let at = p[REST].content.windows(13).position(|w| w == b"././@LongLink").expect("the record");
                let mut header = tar::Header::from_byte_slice(&p[REST].content[at..][..512]).clone();
                header.set_entry_type(tar::EntryType::GNULongLink);
                crate::header::seal(&mut header);
                p[REST].content[at..][..512].copy_from_slice(header.as_bytes());
            }
        }, Content, Fault::Stream { frame: REST, .. }),
        vector!("two files in the other order", {
            pieces: |p| p[FIRST].content[..2048].rotate_left(1024)
        }, Content, Fault::Stream { frame: FIRST, .. } | Fault::FileContent { .. }),
        vector!("the end of the tar stream missing", {
            pieces: |p| { let end = p[AFTER].content.len() - 1024; p[AFTER].content.truncate(end); }
        }, Bytes, Fault::Layout { frame: 7, .. }),
        vector!("half of the end of the tar stream missing", {
            pieces: |p| { let end = p[AFTER].content.len() - 512; p[AFTER].content.truncate(end); }
        }, Bytes, Fault::Layout { frame: 7, .. }),
        vector!("something in the end of the tar stream", { pieces: |p| *p[AFTER].content.last_mut().expect("zeros") = 1 },
            Content, Fault::Stream { frame: AFTER, .. }),
        vector!("bag-info.txt altered", { pieces: |p| tag(&mut p[BEFORE], "bag-info.txt") }, Content, Fault::Stream { frame: BEFORE, .. }),
        vector!("bag-info.txt altered, and its digest", {
            tags: |t| t[0].1[0] ^= 1
        }, Content, Fault::Stream { frame: BEFORE | AFTER, .. }),
        vector!("a line more in bag-info.txt", { tags: |t| t[0].1.extend(b"Bagging-Date: 2026-01-01\n") },
            Content, Fault::Stream { frame: BEFORE | AFTER, .. }),
        vector!("bagit.txt altered, and its digest", { tags: |t| t[1].1[15] = b'0' }, Content, Fault::Stream { frame: BEFORE | AFTER, .. }),
        vector!("manifest-sha256.txt altered, and its digest", { tags: |t| t[3].1[0] ^= 1 }, Content, Fault::Stream { frame: AFTER, .. }),
        vector!("a file left out of manifest-sha256.txt", { tags: |t| {
            let line = t[3].1.iter().position(|&b| b == b'\n').expect("a line");
            t[3].1.drain(..=line);
        } }, Content, Fault::Stream { frame: AFTER, .. }),
        vector!("tagmanifest-sha256.txt altered", { tagmanifest: |t| t[0] ^= 1 }, Content, Fault::Stream { frame: AFTER, .. }),
        vector!("a file that tagmanifest-sha256.txt lists besides", {
            tagmanifest: |t| t.extend(format!("{:064}  extra.txt\n", 0).bytes())
        }, Content, Fault::Stream { frame: AFTER, .. }),
    ]);
}

/// Sets the path of the first file, in manifest and stream.
fn named(entries: &mut [Entry], path: &str) {
    entries[0].path = path.into();
}

/// Replaces what must be there.
fn edit(text: &mut String, from: &str, to: &str) {
    assert!(text.contains(from), "{from}");
    *text = text.replacen(from, to, 1);
}

/// What the manifest says of a file's size, the header with it.
fn claim(entry: &mut Entry, claimed: u64) {
    entry.kind = HeaderKind::File { size: claimed, mode: 0o644 };
}

#[test]
fn the_manifest_keeps_its_rules() {
    assert_refused(&[
        vector!("another spacing", { manifest: |m| edit(m, "\"format\": 1,\n  \"name\": ", "\"format\": 1,\n  \"name\":  ") },
            Manifest, Fault::Manifest(ManifestError::Json(_))),
        vector!("a blank after the end", { manifest: |m| m.push(' ') }, Manifest, Fault::Manifest(ManifestError::Json(_))),
        vector!("a second document after the end", { manifest: |m| *m = m.repeat(2) }, Manifest, Fault::Manifest(ManifestError::Json(_))),
        vector!("no line feed at the end", { manifest: |m| { m.pop(); } }, Manifest, Fault::Manifest(ManifestError::Json(_))),
        vector!("carriage returns", { manifest: |m| *m = m.replace('\n', "\r\n") }, Manifest, Fault::Manifest(ManifestError::NoFormat)),
        vector!("a byte order mark", { manifest: |m| m.insert(0, '\u{feff}') }, Manifest, Fault::Manifest(ManifestError::NoFormat)),
        vector!("another order of keys", {
            manifest: |m| edit(m, "\"name\": \"tiny\",\n  \"version\": \"1.0.0\"", "\"version\": \"1.0.0\",\n  \"name\": \"tiny\"")
        }, Manifest, Fault::Manifest(ManifestError::Json(_))),
        vector!("another order of keys in a file", {
            manifest: |m| edit(m, "\"size\":5,\"mode\":\"0644\"", "\"mode\":\"0644\",\"size\":5")
        }, Manifest, Fault::Manifest(ManifestError::Json(_))),
        vector!("a key twice", { manifest: |m| edit(m, "  \"name\": \"tiny\",\n", "  \"name\": \"other\",\n  \"name\": \"tiny\",\n") },
            Manifest, Fault::Manifest(ManifestError::Json(_))),
        vector!("a key twice in a file", { manifest: |m| edit(m, "\"size\":5", "\"size\":5,\"size\":5") },
            Manifest, Fault::Manifest(ManifestError::Json(_))),
        vector!("a key twice in the descriptor", { manifest: |m| edit(m, "    \"schema\": 1,\n", "    \"schema\": 1,\n    \"schema\": 1,\n") },
            Manifest, Fault::Manifest(ManifestError::Json(_))),
        vector!("a character escaped without need", { manifest: |m| edit(m, "a.txt", "\\u0061.txt") },
            Manifest, Fault::Manifest(ManifestError::Json(_))),
        vector!("a slash escaped", { manifest: |m| edit(m, "long/", "long\\/") }, Manifest, Fault::Manifest(ManifestError::Json(_))),
        vector!("half of a surrogate pair", { manifest: |m| edit(m, "Ada", "\\ud800") }, Manifest, Fault::Manifest(ManifestError::Json(_))),
        vector!("a number with a fraction", { manifest: |m| edit(m, "\"size\":5", "\"size\":5.0") },
            Manifest, Fault::Manifest(ManifestError::Json(_))),
        vector!("a number with an exponent", { manifest: |m| edit(m, "\"size\":5", "\"size\":5e0") },
            Manifest, Fault::Manifest(ManifestError::Json(_))),
        vector!("a fraction in the descriptor", { manifest: |m| edit(m, "\"kind\": \"dataset\"", "\"kind\": 1.5") },
            Manifest, Fault::Manifest(ManifestError::Descriptor(_))),
        vector!("minus zero in the descriptor", { manifest: |m| edit(m, "\"kind\": \"dataset\"", "\"kind\": -0") },
            Manifest, Fault::Manifest(_)),
        vector!("a number beyond 64 bits in the descriptor", { manifest: |m| edit(m, "\"kind\": \"dataset\"", "\"kind\": 18446744073709551616") },
            Manifest, Fault::Manifest(ManifestError::Descriptor(_))),
        vector!("a descriptor a thousand levels deep", {
            manifest: |m| edit(m, "\"dataset\"", &format!("{}{}", "[".repeat(1000), "]".repeat(1000)))
        }, Manifest, Fault::Manifest(_)),
        vector!("an unknown member", { manifest: |m| edit(m, "  \"names\"", "  \"fetch\": [],\n  \"names\"") },
            Manifest, Fault::Manifest(ManifestError::Json(_))),
        vector!("a member in another case", { manifest: |m| edit(m, "\"sha256\":", "\"SHA256\":") },
            Manifest, Fault::Manifest(ManifestError::Json(_))),
        vector!("a member missing", { manifest: |m| edit(m, "\"mode\":\"0644\",", "") }, Manifest, Fault::Manifest(ManifestError::Json(_))),
        vector!("an empty list spelled out", {
            entries: |e| { e.remove(2); },
            manifest: |m| edit(m, "  \"files\"", "  \"directories\": [],\n  \"files\"")
        }, Manifest, Fault::Manifest(ManifestError::Json(_))),
        vector!("a newer format", { manifest: |m| edit(m, "\"format\": 1", "\"format\": 2") },
            Manifest, Fault::Manifest(ManifestError::NewerFormat(2))),
        vector!("format 0", { manifest: |m| edit(m, "\"format\": 1", "\"format\": 0") }, Manifest, Fault::Manifest(_)),
        vector!("format 01", { manifest: |m| edit(m, "\"format\": 1", "\"format\": 01") }, Manifest, Fault::Manifest(_)),
        vector!("the format given twice", { manifest: |m| edit(m, "\"format\": 1,\n", "\"format\": 1,\n  \"format\": 2,\n") },
            Manifest, Fault::Manifest(_)),
        vector!("an upper-case digest", { manifest: |m| edit(m, &Sha256Digest::of(b"alpha").hex(), &Sha256Digest::of(b"alpha").hex().to_uppercase()) },
            Manifest, Fault::Manifest(ManifestError::Json(_))),
        vector!("a digest of another kind", { manifest: |m| edit(m, "sha256:", "sha512:") }, Manifest, Fault::Manifest(ManifestError::Json(_))),
        vector!("a set-user-id mode", { manifest: |m| edit(m, "\"0644\"", "\"4755\"") }, Manifest, Fault::Manifest(ManifestError::Json(_))),
        vector!("files out of order", { entries: |e| e.swap(0, 1) },
            Manifest, Fault::Manifest(ManifestError::Name(fault)) if fault.rule == NameRule::Order),
        vector!("a file twice", { entries: |e| e.insert(0, e[0].clone()) },
            Manifest, Fault::Manifest(ManifestError::Name(fault)) if fault.rule == NameRule::Order),
        vector!("a file and an empty directory of one name", { entries: |e| e.insert(1, directory("a.txt")) },
            Manifest, Fault::Manifest(ManifestError::Name(fault)) if fault.rule == NameRule::Order),
        vector!("a file below a file", { entries: |e| e.insert(1, file("a.txt/x", b"")) },
            Manifest, Fault::Manifest(ManifestError::Name(fault)) if fault.rule == NameRule::FileAndDirectory),
        vector!("a file below an empty directory", { entries: |e| e.insert(3, file("empty/x", b"")) },
            Manifest, Fault::Manifest(ManifestError::Name(fault)) if fault.rule == NameRule::FileAndDirectory),
        vector!("twins by case", { entries: |e| e.insert(0, file("A.txt", b"")) },
            Manifest, Fault::Manifest(ManifestError::Name(fault)) if fault.rule == NameRule::Twin),
        vector!("directories that are twins", { entries: |e| e.insert(0, file("Long/x", b"")) },
            Manifest, Fault::Manifest(ManifestError::Name(fault)) if fault.rule == NameRule::Twin),
        vector!("a name that leads out", { entries: |e| named(e, "../x") }, Manifest, Fault::Manifest(ManifestError::Json(_))),
        vector!("a name that leads out after going in", { entries: |e| named(e, "a/../../x") }, Manifest, Fault::Manifest(ManifestError::Json(_))),
        vector!("an absolute name", { entries: |e| named(e, "/etc/x") }, Manifest, Fault::Manifest(ManifestError::Json(_))),
        vector!("a Windows path", { entries: |e| named(e, "C:/x") },
            Manifest, Fault::Manifest(ManifestError::Name(fault)) if fault.rule == NameRule::ReservedCharacter),
        vector!("a Windows device", { entries: |e| named(e, "NUL.txt") },
            Manifest, Fault::Manifest(ManifestError::Name(fault)) if fault.rule == NameRule::DeviceName),
        vector!("a name with a control character", {
            entries: |e| named(e, "a\u{1b}[2J"), manifest: |m| *m = m.replace('\u{1b}', "\\u001b")
        }, Manifest, Fault::Manifest(ManifestError::Json(_))),
        vector!("a name with a bidirectional control", { entries: |e| named(e, "a\u{202e}txt") },
            Manifest, Fault::Manifest(ManifestError::Json(_))),
        vector!("no file", { entries: |e| e.retain(|entry| entry.kind == HeaderKind::Directory) },
            Manifest, Fault::Manifest(ManifestError::Empty)),
        vector!("sizes that add up to more than 2^64", {
            // The stream stays as it is: nothing is reserved for what the manifest claims.
            manifest: |m| *m = m.replace("\"size\":5", "\"size\":18446744073709551615")
        }, Manifest, Fault::Manifest(ManifestError::Limit { .. })),
        vector!("a large file of exabytes", { manifest: |m| edit(m, "\"size\":1049576", "\"size\":4611686018427387000") },
            Bytes, Fault::Layout { .. } | Fault::Record { .. }),
        vector!("a small file's size one larger", { entries: |e| claim(&mut e[0], 6) },
            Content, Fault::FileContent { path } if path == "a.txt"),
        vector!("a small file's size one smaller", { entries: |e| claim(&mut e[0], 4) },
            Content, Fault::FileContent { .. } | Fault::Stream { .. }),
        vector!("a small file's size too large for its place", { entries: |e| claim(&mut e[0], 5000) },
            Bytes, Fault::Layout { frame: FIRST, .. }),
        vector!("a small file said to be large", { entries: |e| e[0].kind = HeaderKind::File { size: 1 << 20, mode: 0o644 } },
            Bytes, Fault::Layout { .. } | Fault::Record { .. }),
        vector!("a large file's size one larger", { entries: |e| claim(&mut e[3], (1 << 20) + 1001) },
            Bytes, Fault::Layout { .. }),
        vector!("the digest of other content than is shipped", { entries: |e| e[0].sha256 = Sha256Digest::of(b"delta") },
            Content, Fault::FileContent { path } if path == "a.txt"),
        vector!("the digest of nothing for a file that holds something", { entries: |e| e[0].sha256 = Sha256Digest::of(b"") },
            Content, Fault::FileContent { .. }),
        vector!("the digest of other content than is shipped in a large file", { entries: |e| e[3].sha256 = Sha256Digest::of(b"weights") },
            Content, Fault::FileContent { path } if path == "large.bin"),
        vector!("a large file that is not the one the digest and the states are of", {
            pieces: |p| p[CONTENT_2].content[9] ^= 1,
            tail: |t| {
                let mut state = t.frames[CONTENT_1].file.clone().expect("a content frame");
                state.update(&LARGE[LARGE.len() / 2..]);
                t.frames[CONTENT_2].file = Some(state);
            },
        }, Content, Fault::FileContent { path } if path == "large.bin"),
        vector!("a large file's halves swapped, with the states of what is shipped", { pieces: |p| p.swap(CONTENT_1, CONTENT_2) },
            Content, Fault::FileContent { path } if path == "large.bin"),
        vector!("two files' digests swapped", { entries: |e| { let one = e[0].sha256; e[0].sha256 = e[1].sha256; e[1].sha256 = one; } },
            Content, Fault::FileContent { .. }),
        vector!("another mode than in the stream", { manifest: |m| edit(m, "0644", "0755") },
            Content, Fault::Stream { .. }),
        vector!("another name than in the stream", { manifest: |m| edit(m, "a.txt", "a.exe") },
            Content, Fault::Stream { .. }),
    ]);
}

#[test]
fn the_statement_and_the_archive_agree() {
    assert_refused(&[
        vector!("another name", { expected: |e| e.name = "other".parse().expect("a name") },
            Manifest, Fault::Disagree { what: "name", .. }),
        vector!("another version", { expected: |e| e.version = "1.0.1".parse().expect("a version") },
            Manifest, Fault::Disagree { what: "version", .. }),
        vector!("another classification", { expected: |e| e.classification = "secret".parse().expect("a level") },
            Manifest, Fault::Disagree { what: "classification", .. }),
        vector!("another bundle id", { expected: |e| e.id = Manifest::id_of(b"other") }, Manifest, Fault::BundleId { .. }),
        vector!("another size", { expected: |e| e.archive.size += 1 }, Open, Fault::Size { .. }),
        vector!("a size of 0", { expected: |e| e.archive.size = 0 }, Open, Fault::Size { .. }),
        vector!("a longer tail", { expected: |e| e.archive.tail_length += 1 }, Open, Fault::TailDigest),
        vector!("a shorter tail", { expected: |e| e.archive.tail_length -= 1 }, Open, Fault::TailDigest),
        vector!("a longer tail, with the digest of what is there", {
            expected: |e| { e.archive.tail_length += 1; e.archive.tail_sha256 = last_digest(e.archive.tail_length); }
        }, Open, Fault::Tail(_)),
        vector!("the whole file as the tail", {
            expected: |e| { e.archive.tail_length = e.archive.size; e.archive.tail_sha256 = e.archive.sha256; }
        }, Open, Fault::Tail(_)),
        vector!("no tail", { expected: |e| { e.archive.tail_length = 0; e.archive.tail_sha256 = Sha256Digest::of(b""); } },
            Open, Fault::Tail(T::NoSeekTable)),
        vector!("a tail longer than the file", { expected: |e| e.archive.tail_length = e.archive.size + 1 },
            Open, Fault::Tail(T::NoSeekTable)),
        vector!("a tail of 2^64 - 1 bytes", { expected: |e| e.archive.tail_length = u64::MAX }, Open, Fault::Tail(T::TooLarge(_))),
        vector!("another digest of the tail", { expected: |e| e.archive.tail_sha256 = Sha256Digest::of(b"") }, Open, Fault::TailDigest),
        vector!("another digest of the archive", { expected: |e| e.archive.sha256 = Sha256Digest::of(b"") }, Open, Fault::Digest { .. }),
        vector!("a byte altered on the way", { sent: |bytes| bytes[9] ^= 1 }, Bytes, Fault::FrameAltered { frame: FIRST, .. }),
        vector!("a byte of the manifest altered on the way", {
            sent: |bytes| {
                let archive = Archive::open(bytes.as_slice(), Anchor::Unsigned).expect("opens");
                let at = usize::try_from(archive.tail.frames[MANIFEST].offset).expect("small");
                bytes[at + 9] ^= 1;
            }
        }, Manifest, Fault::FrameAltered { frame: MANIFEST, .. }),
        vector!("a byte of the tail altered on the way", { sent: |bytes| *bytes.last_mut().expect("some") ^= 1 }, Open, Fault::TailDigest),
        vector!("a byte missing at the end", { sent: |bytes| _ = bytes.pop() }, Open, Fault::Size { .. }),
        vector!("a byte more at the end", { sent: |bytes| bytes.push(0) }, Open, Fault::Size { .. }),
        vector!("a byte more at the beginning", { sent: |bytes| bytes.insert(0, 0) }, Open, Fault::Size { .. }),
        vector!("two archives", { sent: |bytes| *bytes = bytes.repeat(2) }, Open, Fault::Size { .. }),
        vector!("zeros", { sent: |bytes| bytes.fill(0) }, Open, Fault::TailDigest),
        vector!("nothing", { sent: Vec::clear }, Open, Fault::Size { .. }),
    ]);
}

/// The digest of that many last bytes of the honest archive.
fn last_digest(count: u64) -> Sha256Digest {
    let (archive, _) = HONEST.build();
    Sha256Digest::of(&archive[archive.len() - usize::try_from(count).expect("small")..])
}

/// All that differs is told at once.
#[test]
fn every_disagreement_and_every_fault_is_listed() {
    let forgery = Forgery {
        entries: |e| {
            e[0].sha256 = Sha256Digest::of(b"");
            e[3].sha256 = Sha256Digest::of(b"");
        },
        pieces: |p| p[BEFORE].content[0] ^= 1,
        ..HONEST
    };
    let (archive, mut expected) = forgery.build();
    let (_, found) = examine(&archive, Anchor::Signed(&expected), 2).expect("refused");
    let codes: Vec<_> = found.iter().map(Fault::code).collect();
    assert_eq!(codes, ["file-altered", "file-altered", "stream-differs"]);

    expected.name = "other".parse().expect("a name");
    expected.version = "2.0.0".parse().expect("a version");
    let (_, found) = examine(&archive, Anchor::Signed(&expected), 2).expect("refused");
    assert_eq!(found.len(), 2);
}

#[test]
fn the_first_faults_are_listed_and_the_others_counted() {
    let forgery = Forgery {
        entries: |e| {
            let wrong = |n| Entry { sha256: Sha256Digest::of(b""), ..file(&format!("{n:03}"), b"x") };
            e.splice(..0, (0..250).map(wrong)).for_each(drop);
        },
        // A frame for each.
        pieces: |p| {
            let first = p.remove(FIRST).content;
            let (files, rest) = first.split_at(250 * 1024);
            let frames = files.chunks(1024).chain([rest]).map(|unit| Piece::other(unit.to_vec()));
            p.splice(..0, frames).for_each(drop);
        },
        ..HONEST
    };
    let (archive, expected) = forgery.build();
    let archive = Archive::open(archive.as_slice(), Anchor::Signed(&expected)).expect("opens");
    for n in [1, 4] {
        let result = verify(&archive, Scope::Content, threads(n), &());
        let Err(ArchiveError::Faults { listed, more: 50 }) = result else { panic!("{result:?}") };
        let paths: Vec<_> = (0..200).map(|n| Fault::FileContent { path: format!("{n:03}") }).collect();
        assert_eq!(listed, paths);
    }
}
