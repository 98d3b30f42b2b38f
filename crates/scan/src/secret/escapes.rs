//! Text as it stands in JSON and the like, without its escapes: `\u003d` for `=`, `\/` for `/`. What some libraries write so is
//! the same secret.

use memchr::memmem;

/// A part of a text without escapes of ASCII characters.
pub(crate) struct Unescaped {
    pub(crate) text: Vec<u8>,
    /// Where each byte of it comes from.
    from: Vec<usize>,
    end: usize,
}

impl Unescaped {
    /// Of `bytes[from..to]`; `None` if there is nothing to undo.
    pub(crate) fn of(bytes: &[u8], from: usize, to: usize) -> Option<Self> {
        let part = &bytes[from..to];
        let any = memmem::find(part, b"\\u00").is_some() || memmem::find(part, b"\\/").is_some();
        if !any {
            return None;
        }
        let (mut text, mut places) = (Vec::with_capacity(part.len()), Vec::with_capacity(part.len()));
        let (mut at, mut changed) = (from, false);
        while at < to {
            let (byte, length) = match &bytes[at..to] {
                [b'\\', b'/', ..] => (b'/', 2),
                [b'\\', b'u', b'0', b'0', high @ b'2'..=b'7', low, ..] if low.is_ascii_hexdigit() => {
                    let digit = |byte: u8| match byte {
                        b'0'..=b'9' => byte - b'0',
                        _ => (byte | 0x20) - b'a' + 10,
                    };
                    (digit(*high) << 4 | digit(*low), 6)
                }
                // An escaped backslash escapes nothing.
                [b'\\', b'\\', ..] => {
                    text.push(b'\\');
                    places.push(at);
                    (b'\\', 1)
                }
                [byte, ..] => (*byte, 1),
                [] => break,
            };
            let skipped = usize::from(bytes[at..to].starts_with(b"\\\\"));
            changed |= length > 1;
            text.push(byte);
            places.push(at + skipped);
            at += length + skipped;
        }
        changed.then_some(Self { text, from: places, end: to })
    }

    /// The place in the text of what stands at `place`, or behind it.
    pub(crate) fn index(&self, place: usize) -> usize {
        self.from.partition_point(|from| *from < place)
    }

    /// Where something comes from.
    pub(crate) fn origin(&self, at: usize) -> usize {
        self.from.get(at).copied().unwrap_or(self.end)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn escapes_of_ascii_are_undone() {
        let text = br#"xx "a\u003d\/b\\/\u00e9\u00" yy"#;
        let undone = Unescaped::of(text, 3, text.len() - 3).unwrap();
        assert_eq!(undone.text, br#""a=/b\\/\u00e9\u00""#);
        assert_eq!(undone.origin(undone.index(5)), 5);
        assert_eq!(undone.origin(undone.text.len()), text.len() - 3);
        assert!(Unescaped::of(b"a\\u00e9", 0, 7).is_none());
        assert!(Unescaped::of(b"plain", 0, 5).is_none());
    }

    proptest! {
        #[test]
        fn nothing_panics_and_places_grow(text in r"(\\|u|0|3|d|/|x|é){0,60}", from in 0usize..10, cut in 0usize..10) {
            let bytes = text.as_bytes();
            let from = from.min(bytes.len());
            let to = bytes.len().saturating_sub(cut).max(from);
            if let Some(undone) = Unescaped::of(bytes, from, to) {
                prop_assert!(undone.text.len() <= to - from);
                prop_assert!(undone.from.windows(2).all(|pair| pair[0] < pair[1]));
            }
        }
    }
}
