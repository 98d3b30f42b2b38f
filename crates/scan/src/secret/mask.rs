//! What may be shown of a secret: enough to find it, never enough to use it.

use consign_metadata::Line;

/// A key or token: its first characters, at most four and no more than a quarter of it, and how long it is.
pub(crate) fn masked(secret: &[u8]) -> Option<Line> {
    let shown = &secret[..(secret.len() / 4).min(4)];
    // What does not show as it stands is not shown.
    let shown = shown.iter().take_while(|byte| byte.is_ascii_graphic()).map(|&byte| char::from(byte));
    format!("{}… ({} characters)", shown.collect::<String>(), secret.len()).parse().ok()
}

/// A password: no more than how long it is, roughly.
pub(crate) fn hidden(secret: &[u8]) -> Option<Line> {
    let class = match secret.len() {
        ..8 => "fewer than 8 characters",
        8..16 => "8 to 15 characters",
        16..32 => "16 to 31 characters",
        _ => "32 characters or more",
    };
    class.parse().ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn an_excerpt_depends_on_no_more_than_length_and_beginning(
            secret in proptest::collection::vec(any::<u8>(), 1..80),
            other in proptest::collection::vec(any::<u8>(), 80),
        ) {
            let shown = (secret.len() / 4).min(4);
            let mut twin = other[..secret.len()].to_vec();
            twin[..shown].copy_from_slice(&secret[..shown]);
            prop_assert_eq!(masked(&secret), masked(&twin));
            prop_assert_eq!(hidden(&secret), hidden(&other[..secret.len()]));
        }
    }

    #[test]
    fn it_reads_well() {
        assert_eq!(masked(b"abcdefghijklmnop").unwrap().as_str(), "abcd… (16 characters)");
        assert_eq!(masked(b"abcdefg").unwrap().as_str(), "a… (7 characters)");
        assert_eq!(masked(b"abc").unwrap().as_str(), "… (3 characters)");
        assert_eq!(masked(b"\x1b[31mabcdefghijk").unwrap().as_str(), "… (16 characters)");
        assert_eq!(hidden(b"abcdefgh").unwrap().as_str(), "8 to 15 characters");
    }
}
