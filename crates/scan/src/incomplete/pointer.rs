//! Small texts that stand for something larger: pointers of Git LFS, git-annex and Xet, and links that were written as
//! files.

use consign_metadata::StaticRuleId;

use super::{rule, shown};

/// Longest of them: the text of a link on SMB. A pointer of Git LFS has at most 1024 bytes.
pub(super) const LONGEST: usize = 1100;

/// Whether one of them may begin so.
pub(super) fn may_begin(first: u8) -> bool {
    matches!(first, b'v' | b'/' | b'#' | b'X' | b'.')
}

/// What a pointer stands for; `None` for anything else.
pub(super) fn read(bytes: &[u8]) -> Option<(StaticRuleId, String)> {
    if bytes.is_empty() || bytes.len() > LONGEST {
        return None;
    }
    if bytes.starts_with(b"XSym\n") && bytes.len() == 1067 {
        let target = bytes.split(|byte| *byte == b'\n').nth(3).unwrap_or_default();
        return Some((rule::LINK, format!("is a link to {}, written as a file", shown(target))));
    }
    let text = std::str::from_utf8(bytes).ok()?;
    let first = text.lines().next().unwrap_or_default().trim_end();
    if is_lfs_version(first) {
        let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
        return Some((
            rule::LFS,
            match (field("size "), field("oid ")) {
                (Some(size), Some(oid)) => format!("is a pointer of Git LFS to {size} bytes, {oid}"),
                _ => "is a broken pointer of Git LFS".to_owned(),
            },
        ));
    }
    if first.starts_with("# xet version ") {
        return Some((rule::LFS, "is a pointer of Xet".to_owned()));
    }
    let one_line = text.trim_end_matches(['\n', '\r']);
    if one_line.contains(['\n', '\r']) {
        return None;
    }
    if one_line.starts_with("/annex/objects/") || is_up(one_line, ".git/annex/objects/") {
        return Some((rule::LFS, "is a pointer of git-annex".to_owned()));
    }
    let digest = one_line.rsplit('/').next().unwrap_or_default();
    let is_digest = matches!(digest.len(), 40 | 64) && digest.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_up(one_line, "blobs/") && is_digest {
        return Some((rule::LINK, "is a link into the Hub's cache, written as a file".to_owned()));
    }
    None
}

fn is_lfs_version(line: &str) -> bool {
    let Some(address) = line.strip_prefix("version ") else { return false };
    ["https://git-lfs.github.com/spec/", "https://hawser.github.com/spec/", "http://git-media.io/v/"]
        .iter()
        .any(|known| address.starts_with(known))
}

/// Whether the text is a path that leads up and then to that folder.
fn is_up(text: &str, folder: &str) -> bool {
    let path = text.trim_start_matches("./");
    let rest = path.trim_start_matches("../");
    (text.starts_with("../") || folder.starts_with('.')) && rest.starts_with(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn field_c3_pointers_are_known() {
        let digest = "4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393";
        let symlink = format!("XSym\n0004\n{}\ndata\n{}", "0".repeat(32), " ".repeat(1067 - 48));
        assert_eq!(symlink.len(), 1067);
        let lfs = format!("version https://git-lfs.github.com/spec/v1\noid sha256:{digest}\nsize 12345\n");
        for (text, expected) in [
            (lfs.clone(), Some(rule::LFS)),
            (lfs.replace('\n', "\r\n"), Some(rule::LFS)),
            (lfs.replace("oid", "ext-0-foo sha256:1\noid"), Some(rule::LFS)),
            ("version https://git-lfs.github.com/spec/v1\n".into(), Some(rule::LFS)),
            (
                format!("version https://hawser.github.com/spec/v1\noid sha256:{digest}\nsize 1\n"),
                Some(rule::LFS),
            ),
            ("# xet version 0\nfilesize = 1\nhash = 'x'\n".into(), Some(rule::LFS)),
            ("/annex/objects/SHA256E-s10--0.bin\n".into(), Some(rule::LFS)),
            ("../.git/annex/objects/a/b/SHA256E-s10--0.bin".into(), Some(rule::LFS)),
            (".git/annex/objects/a/b/SHA256E-s10--0.bin".into(), Some(rule::LFS)),
            (format!("../../blobs/{digest}"), Some(rule::LINK)),
            (symlink, Some(rule::LINK)),
            // Speaks of pointers.
            (format!("The pointer:\n{lfs}"), None),
            (format!("{lfs}{}", "x\n".repeat(600)), None),
            ("version 1\n".into(), None),
            ("../../blobs/readme".into(), None),
            ("../x\n../../blobs/y\n".into(), None),
            ("# xet\n".into(), None),
            (String::new(), None),
        ] {
            assert_eq!(read(text.as_bytes()).map(|found| found.0), expected, "{text}");
            if expected.is_some() {
                assert!(may_begin(text.as_bytes()[0]), "{text}");
            }
        }
        let words = read(lfs.as_bytes()).unwrap().1;
        assert_eq!(words, format!("is a pointer of Git LFS to 12345 bytes, sha256:{digest}"));
    }
}
