//! Private keys in DER: what PEM holds, without its lines.

/// What kind of private key content is that begins so and has that length, if it is one and nothing else.
///
/// PKCS #1 (RFC 8017, A.1.2), PKCS #8 and its encrypted form (RFC 5958), and SEC 1 (RFC 5915). The structure must end where
/// the content does, but for a line feed, so that no other binary content is taken for a key.
pub(crate) fn private_key(head: &[u8], size: u64) -> Option<&'static str> {
    let (content, length) = sequence(head)?;
    let header = (head.len() - content.len()) as u64;
    let ends = header.checked_add(length as u64)?;
    if size != u64::MAX && !(ends..=ends + 2).contains(&size) {
        return None;
    }
    match content {
        // An algorithm, and what it encrypts.
        [0x30, ..] => {
            let (algorithm, length) = sequence(content)?;
            const PKCS5: [u8; 10] = [0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x05];
            (algorithm.starts_with(&PKCS5) && algorithm.get(length)? == &0x04)
                .then_some("ENCRYPTED private key")
        }
        // Version 1, and the key itself.
        [0x02, 0x01, 0x01, 0x04, bytes @ 16..=66, ..] if length > usize::from(*bytes) => {
            Some("EC private key")
        }
        // A version and an algorithm, and the key as a string of octets.
        [0x02, 0x01, 0x00 | 0x01, rest @ ..] if rest.first() == Some(&0x30) => {
            let (algorithm, length) = sequence(rest)?;
            (algorithm.first() == Some(&0x06) && algorithm.get(length)? == &0x04).then_some("private key")
        }
        // Version 0, and a modulus of 512 bits or more.
        [0x02, 0x01, 0x00, 0x02, 0x81, 0x40..=0xff, ..]
        | [0x02, 0x01, 0x00, 0x02, 0x82, ..]
        | [0x02, 0x01, 0x00, 0x02, 0x40..=0x7f, ..] => Some("RSA private key"),
        _ => None,
    }
}

/// What stands in a sequence, and how long it is.
fn sequence(bytes: &[u8]) -> Option<(&[u8], usize)> {
    let [0x30, first, rest @ ..] = bytes else { return None };
    match (*first, rest) {
        (length @ 0..=0x7f, rest) => Some((rest, usize::from(length))),
        (0x81, [a, rest @ ..]) => Some((rest, usize::from(*a))),
        (0x82, [a, b, rest @ ..]) => Some((rest, usize::from(*a) << 8 | usize::from(*b))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn der(content: &[u8]) -> Vec<u8> {
        let length = u16::try_from(content.len()).unwrap();
        [&[0x30, 0x82][..], &length.to_be_bytes(), content].concat()
    }

    #[test]
    fn what_is_no_key_is_not_taken_for_one() {
        // A certificate, a request for one, a signature, an empty sequence, a key that is cut short.
        let certificate =
            der(&[&[0x30, 0x82, 0x01, 0x00, 0xa0, 0x03, 0x02, 0x01, 0x02][..], &[0; 300]].concat());
        let request = der(&[&[0x30, 0x82, 0x01, 0x00, 0x02, 0x01, 0x00, 0x30][..], &[0; 300]].concat());
        let signature = der(&[&[0x02, 0x21][..], &[1; 33], &[0x02, 0x20], &[1; 32]].concat());
        for other in [certificate, request, signature, vec![0x30, 0], vec![0x30], Vec::new()] {
            assert_eq!(private_key(&other, other.len() as u64), None, "{other:02x?}");
        }
        let rsa = der(&[&[0x02, 0x01, 0x00, 0x02, 0x82, 0x01, 0x01][..], &[7; 600]].concat());
        assert_eq!(private_key(&rsa, rsa.len() as u64), Some("RSA private key"));
        assert_eq!(private_key(&rsa, rsa.len() as u64 + 1), Some("RSA private key"));
        assert_eq!(private_key(&rsa, rsa.len() as u64 + 3), None);
        assert_eq!(private_key(&rsa, rsa.len() as u64 - 1), None);
    }

    proptest! {
        #[test]
        fn nothing_panics(bytes in prop::collection::vec(any::<u8>(), 0..40), begin in any::<bool>(), size in any::<u64>()) {
            let bytes = if begin { [&[0x30, 0x82, 1, 0, 2, 1, 0][..], &bytes].concat() } else { bytes };
            let _ = private_key(&bytes, size);
        }
    }
}
