//! The tar headers of a bundle's entries, as bytes that follow from name, size and mode alone.

use std::ops::Range;

use consign_metadata::EntryPath;

/// Size of a tar block.
pub(crate) const BLOCK: u64 = 512;
/// Longest name that a header holds itself.
const NAME_FIELD: usize = 100;

/// What a header is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HeaderKind {
    /// A regular file: size in bytes, permission bits.
    File { size: u64, mode: u32 },
    /// An empty directory.
    Directory,
}

/// Number of zero bytes that fill the last block of a file.
pub(crate) fn padding(size: u64) -> u64 {
    size.wrapping_neg() % BLOCK
}

/// The name of a payload entry in the archive: `NAME/data/PATH`, with a trailing slash for a directory.
pub(crate) fn payload_name(bundle: &str, path: &EntryPath, kind: HeaderKind) -> String {
    let slash = if kind == HeaderKind::Directory { "/" } else { "" };
    format!("{bundle}/data/{path}{slash}")
}

/// Length of the header of a payload entry, with the `L` record that a long name needs.
pub(crate) fn payload_header_len(bundle: &str, path: &EntryPath, kind: HeaderKind) -> u64 {
    let slash = usize::from(kind == HeaderKind::Directory);
    header_len(bundle.len() + "/data/".len() + path.as_str().len() + slash)
}

/// Length of the header of an entry whose name has `name_len` bytes.
pub(crate) fn header_len(name_len: usize) -> u64 {
    if name_len <= NAME_FIELD {
        return BLOCK;
    }
    let record = name_len as u64 + 1;
    BLOCK + record + padding(record) + BLOCK
}

/// Appends the header of an entry in GNU format: a name over 100 bytes stands in an `L` record before it, a
/// size over 8 GiB in base 256. Owner, group and time are zero.
pub(crate) fn write_header(name: &str, kind: HeaderKind, out: &mut Vec<u8>) {
    if name.len() > NAME_FIELD {
        let size = name.len() as u64 + 1;
        out.extend_from_slice(&block(b"././@LongLink", tar::EntryType::GNULongName, size, 0o644));
        out.extend_from_slice(name.as_bytes());
        out.resize(out.len() + 1 + len(padding(size)), 0);
    }
    let short = &name.as_bytes()[..name.len().min(NAME_FIELD)];
    let header = match kind {
        HeaderKind::File { size, mode } => block(short, tar::EntryType::Regular, size, mode),
        HeaderKind::Directory => block(short, tar::EntryType::Directory, 0, 0o755),
    };
    out.extend_from_slice(&header);
}

/// Byte counts below a block or a name fit any `usize`.
pub(crate) fn len(small: u64) -> usize {
    usize::try_from(small).unwrap_or(usize::MAX)
}

fn block(name: &[u8], entry_type: tar::EntryType, size: u64, mode: u32) -> [u8; 512] {
    const NAME: Range<usize> = 0..NAME_FIELD;
    let mut header = tar::Header::new_gnu();
    header.as_mut_bytes()[NAME][..name.len()].copy_from_slice(name);
    header.set_entry_type(entry_type);
    header.set_mode(mode);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(size);
    seal(&mut header);
    *header.as_bytes()
}

/// Makes the checksum true, as GNU tar writes it: six digits, NUL and space.
pub(crate) fn seal(header: &mut tar::Header) {
    const CHECKSUM: Range<usize> = 148..156;
    header.set_cksum();
    // Seven digits and NUL; the first of them is 0 for every sum of 512 bytes.
    let field = &mut header.as_mut_bytes()[CHECKSUM];
    field.rotate_left(1);
    field[6..].copy_from_slice(b"\0 ");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_those_of_the_bytes() {
        for name_len in [1, 99, 100, 101, 511, 512, 513, 2000] {
            for kind in [HeaderKind::Directory, HeaderKind::File { size: 1 << 40, mode: 0o755 }] {
                let mut out = Vec::new();
                write_header(&"n".repeat(name_len), kind, &mut out);
                assert_eq!(out.len() as u64, header_len(name_len), "{name_len}");
                assert_eq!(out.len() % 512, 0);
            }
        }
        assert_eq!([0, 1, 511, 512, 513].map(padding), [0, 511, 1, 0, 511]);
    }

    #[test]
    fn a_header_is_what_gnu_tar_would_read() {
        let mut out = Vec::new();
        write_header("m/data/a", HeaderKind::File { size: 9 << 30, mode: 0o644 }, &mut out);
        let header = tar::Header::from_byte_slice(&out);
        assert_eq!(header.entry_size().expect("base 256"), 9 << 30);
        assert_eq!(&out[257..265], b"ustar  \0");
        assert_eq!(&out[100..108], b"0000644\0");
        assert_eq!(&out[136..148], b"00000000000\0");
    }

    /// As `tar --format=gnu --numeric-owner --owner=0 --group=0 --mtime=@0 --mode=0644` writes it.
    #[test]
    fn a_header_is_what_gnu_tar_would_write() {
        let mut out = Vec::new();
        write_header("m/data/a", HeaderKind::File { size: 5, mode: 0o644 }, &mut out);
        let mut expected = [0; 512];
        for (at, field) in [
            (0, b"m/data/a".as_slice()),
            (100, b"0000644\x000000000\x000000000\0"),
            (124, b"00000000005\x0000000000000\0"),
            (148, b"007210\0 0"),
            (257, b"ustar  \0"),
        ] {
            expected[at..][..field.len()].copy_from_slice(field);
        }
        assert_eq!(out, expected);
    }
}
