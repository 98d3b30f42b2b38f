//! The grammar of a header (C2SP, age, version 1), in full: age itself passes stanzas of an older spelling.

use crate::decrypt::DecryptError;

/// Length of a line of a stanza's body that another one follows.
const LINE: usize = 64;
/// Length of 32 bytes in base64.
const KEY: usize = 43;

/// Checks all lines of a header, from the version to the code that authenticates it.
///
/// # Errors
/// It is not one spelling of one header.
pub(crate) fn check(head: &[u8]) -> Result<(), DecryptError> {
    well_formed(head).ok_or(DecryptError::Header)
}

fn well_formed(head: &[u8]) -> Option<()> {
    let mut lines = head.strip_suffix(b"\n")?.split(|byte| *byte == b'\n');
    (lines.next()? == b"age-encryption.org/v1").then_some(())?;
    let (mut stanzas, mut scrypt) = (0, false);
    loop {
        let line = lines.next()?;
        if let Some(code) = line.strip_prefix(b"--- ") {
            // A passphrase stands alone: nobody else can have made a file that it opens.
            let alone = stanzas == 1 || (stanzas > 1 && !scrypt);
            return (alone && code.len() == KEY && is_base64(code) && lines.next().is_none()).then_some(());
        }
        let arguments: Vec<&[u8]> = line.strip_prefix(b"-> ")?.split(|byte| *byte == b' ').collect();
        let is_word = |word: &&[u8]| !word.is_empty() && word.iter().all(u8::is_ascii_graphic);
        arguments.iter().all(is_word).then_some(())?;
        stanzas += 1;
        scrypt |= arguments[0] == b"scrypt";
        let mut body = 0;
        // The last line of a body is shorter than the others, and may be empty.
        loop {
            let line = lines.next()?;
            (line.len() <= LINE && is_base64(line)).then_some(())?;
            body += line.len();
            if line.len() < LINE {
                break;
            }
        }
        let is_key = |text: &&[u8]| text.len() == KEY && is_base64(text);
        if arguments[0] == b"X25519" {
            (arguments.len() == 2 && is_key(&arguments[1]) && body == KEY).then_some(())?;
        }
    }
}

/// Whether it is base64 without padding, of a whole number of bytes, with nothing in the bits that are left over.
fn is_base64(text: &[u8]) -> bool {
    let value = |byte: u8| match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    };
    let Some(last) = text.last() else { return true };
    let left_over = match text.len() % 4 {
        0 => 0,
        2 => 0b1111,
        3 => 0b11,
        _ => return false,
    };
    text.iter().all(|byte| value(*byte).is_some()) && value(*last).is_some_and(|value| value & left_over == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARGUMENT: &str = "TEiF0ypqr+bpvcqXNyCVJpL7OuwPdVwPL7KQEbFDOCc";
    const BODY: &str = "EmECAEcKN+n/Vs9SbWiV+Hu0r+E8R77DdWYyd83nw7U";
    const CODE: &str = "--- Vn+54jqiiUCE+WZcEVY3f1sqHjlu/z1LCQ/T7Xm7qI0\n";

    fn accepted(stanzas: &str) -> bool {
        check(format!("age-encryption.org/v1\n{stanzas}{CODE}").as_bytes()).is_ok()
    }

    #[test]
    fn attack_a17_a_header_has_one_spelling() {
        let x25519 = format!("-> X25519 {ARGUMENT}\n{BODY}\n");
        let full = "A".repeat(64);
        assert!(accepted(&x25519));
        assert!(accepted(&format!("{x25519}-> some-grease !\"#$ %&'\n\n")), "an empty body is an empty line");
        assert!(accepted(&format!("{x25519}-> grease\n{full}\n\n")));
        assert!(accepted(
            "-> scrypt bBjlhJVYZeE4aqUdmtRHfw 15\nZV/AhotwSGqaPCU43cepl4WYUouAa17a3xpu4G2yi5k\n"
        ));
        // Each is a vector of the Community Cryptography Test Vectors for age that is to fail, or a neighbour of one.
        for (name, stanzas) in [
            ("no stanza", String::new()),
            ("stanza_missing_body", "-> grease\n".into()),
            ("stanza_missing_final_line", format!("-> grease\n{full}\n")),
            ("stanza_missing_final_line, before another", format!("-> grease\n{full}\n{x25519}")),
            ("stanza_long_line", format!("-> grease\n{full}AAAA\n\n")),
            ("stanza_multiple_short_lines", "-> grease\nAAAA\nAAAA\n".into()),
            ("stanza_no_arguments", "->\nAAAA\n".into()),
            ("stanza_empty_argument", "-> grease  x\nAAAA\n".into()),
            ("stanza_empty_argument, last", "-> grease \nAAAA\n".into()),
            ("stanza_invalid_character", "-> gre\u{e9}se\nAAAA\n".into()),
            ("stanza_bad_start", "--> grease\nAAAA\n".into()),
            ("stanza_base64_padding", "-> grease\nAAA=\n".into()),
            ("stanza_not_canonical", "-> grease\nAAB\n".into()),
            ("stanza_spurious_cr", "-> grease\nAAAA\r\n".into()),
            ("one character left over", "-> grease\nAAAAA\n".into()),
            ("x25519_extra_argument", format!("-> X25519 {ARGUMENT} 1\n{BODY}\n")),
            ("x25519_no_argument", format!("-> X25519\n{BODY}\n")),
            ("x25519_not_canonical_share", format!("-> X25519 {}d\n{BODY}\n", &ARGUMENT[..42])),
            ("x25519_short_share", format!("-> X25519 {}\n{BODY}\n", &ARGUMENT[..42])),
            ("x25519_long_file_key", format!("-> X25519 {ARGUMENT}\n{full}\n\n")),
            ("scrypt_and_x25519", format!("-> scrypt bBjlhJVYZeE4aqUdmtRHfw 15\n{BODY}\n{x25519}")),
        ] {
            assert!(!accepted(&stanzas), "{name}");
        }
        for code in [
            "---\n",
            "---  \n",
            "--- AAAA\n",
            &CODE.replace("I0\n", "I1\n"),
            &CODE.replace('\n', " \n"),
            &CODE.replace('\n', "\r\n"),
        ] {
            assert!(check(format!("age-encryption.org/v1\n{x25519}{code}").as_bytes()).is_err(), "{code}");
        }
        assert!(check(b"age-encryption.org/v2\n").is_err());
    }
}
