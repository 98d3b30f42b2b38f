//! What happened to a text on its way: marks that editors, shells and mail gateways leave.
//!
//! Nothing is repaired here. A signature covers exact bytes, so a text that was rewritten is refused; but the
//! refusal can say what rewrote it, which is what the person in front of it needs.

/// How a text was rewritten on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Mangled {
    /// The text was saved as UTF-16, as Windows PowerShell's `>` does.
    #[error("the text is UTF-16, not UTF-8")]
    Utf16,
    /// A byte order mark stands before the text.
    #[error("the text begins with a byte order mark")]
    ByteOrderMark,
    /// Line ends are CR LF instead of LF.
    #[error("the lines end with CR LF instead of LF")]
    CrLf,
}

impl Mangled {
    /// What to do about it, in one sentence.
    pub fn hint(self) -> &'static str {
        match self {
            Self::Utf16 => {
                "copy the file itself instead of redirecting text; Windows PowerShell writes UTF-16 with `>`"
            }
            Self::ByteOrderMark => "an editor saved the file anew; fetch the original file again",
            Self::CrLf => {
                "transfer the file in binary mode (git: `* -text`, FTP: `binary`) and fetch it again"
            }
        }
    }
}

/// The marks of a rewritten text: for texts in which no CR may stand.
pub(crate) fn mangled(bytes: &[u8]) -> Option<Mangled> {
    encoding_mangled(bytes).or_else(|| bytes.contains(&b'\r').then_some(Mangled::CrLf))
}

/// The same, for texts in which CR LF is harmless, such as PEM (RFC 7468 section 3).
pub(crate) fn encoding_mangled(bytes: &[u8]) -> Option<Mangled> {
    match bytes {
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => Some(Mangled::Utf16),
        [0xef, 0xbb, 0xbf, ..] => Some(Mangled::ByteOrderMark),
        // ASCII text as UTF-16 without a mark: every other byte is zero.
        [0, 1..=255, ..] | [1..=255, 0, ..] => Some(Mangled::Utf16),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_recognised() {
        assert_eq!(mangled(b"\xff\xfe{\0"), Some(Mangled::Utf16));
        assert_eq!(mangled(b"{\0\"\0"), Some(Mangled::Utf16));
        assert_eq!(mangled(b"\0{\0\""), Some(Mangled::Utf16));
        assert_eq!(mangled(b"\xef\xbb\xbf{}"), Some(Mangled::ByteOrderMark));
        assert_eq!(mangled(b"{}\r\n"), Some(Mangled::CrLf));
        assert_eq!(encoding_mangled(b"{}\r\n"), None);
        assert_eq!(mangled(b"{}\n"), None);
        assert_eq!(mangled(b""), None);
    }
}
