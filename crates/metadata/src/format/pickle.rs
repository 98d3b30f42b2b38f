//! Whether a file begins as a Python pickle: a walk over its opcodes (Python's `pickletools.py`), running none.
//!
//! Newer protocols announce themselves; older ones, and newer ones whose announcement was left out, do not. A
//! loader runs what it reads until it meets something odd, so a file counts as soon as a call has been reached,
//! whatever stands behind it.

/// Whether the head is that of a pickle, by its announcement or its first opcodes. [`calls`] tells of others.
pub(super) fn is_pickle(head: &[u8]) -> bool {
    match *head {
        // The announcement, and then an opcode: every protocol may be announced, and an argument may be longer than
        // the head.
        [0x80, 0..=5, opcode, ..] => is_opcode(opcode),
        _ => holds_container(head),
    }
}

/// Whether the walk from the first byte reaches a call of something imported.
pub(super) fn calls(head: &[u8]) -> bool {
    let mut rest = head;
    let (mut imported, mut marked) = (false, false);
    let mut texts = 0;
    let mut last = 0;
    while let Some((&opcode, after)) = rest.split_first() {
        let Some(length) = step(opcode, after) else { return false };
        let argument = &after[..length.min(after.len())];
        match opcode {
            // GLOBAL and INST name a module and something in it; INST calls it at once.
            b'c' | b'i' if !is_import(argument) => return false,
            b'i' if marked => return true,
            b'c' => imported = true,
            // STACK_GLOBAL takes two texts.
            0x93 if texts < 2 => return false,
            0x93 => imported = true,
            b'S' | b'V' | b'T' | b'U' | b'X' | 0x8c | 0x8d => texts += 1,
            b'(' => marked = true,
            // REDUCE takes a tuple or something remembered.
            b'R' if imported && matches!(last, b't' | b')' | 0x85..=0x87 | b'g' | b'h' | b'j') => {
                return true;
            }
            // OBJ, NEWOBJ, NEWOBJ_EX.
            b'o' if imported && marked => return true,
            0x81 | 0x92 if imported => return true,
            b'.' => return false,
            _ => {}
        }
        last = opcode;
        rest = &after[argument.len()..];
    }
    false
}

/// Whether a list or a dict is opened and remembered at once, as protocols 0 and 1 begin: harmless by itself, but
/// a head does not show what comes later.
fn holds_container(head: &[u8]) -> bool {
    let old = head.strip_prefix(b"(dp").or_else(|| head.strip_prefix(b"(lp"));
    let remembered = old.is_some_and(|rest| {
        let digits = rest.iter().take_while(|b| b.is_ascii_digit()).count();
        digits > 0 && rest.get(digits) == Some(&b'\n')
    });
    remembered || matches!(*head, [b'}' | b']', b'q', 0, ..])
}

/// Two lines that name a module and something in it.
fn is_import(argument: &[u8]) -> bool {
    let identifier = |line: &[u8]| {
        (1..=256).contains(&line.len())
            && !line[0].is_ascii_digit()
            && line.iter().all(|&b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.') || b >= 0x80)
            && std::str::from_utf8(line).is_ok()
    };
    let mut lines = argument.split(|&b| b == b'\n');
    lines.next().is_some_and(identifier) && lines.next().is_some_and(identifier)
}

/// Whether there is such an opcode.
fn is_opcode(opcode: u8) -> bool {
    // Enough for the argument of every one: two lines, or a count of eight bytes.
    step(opcode, b"\n\n\0\0\0\0\0\0\0\0").is_some()
        || matches!(opcode, b'T' | b'X' | b'B' | 0x8b | 0x8d | 0x8e | 0x96)
}

/// Length of the argument of an opcode; `None` if there is no such opcode, or its argument is cut or too long.
fn step(opcode: u8, after: &[u8]) -> Option<usize> {
    let line = |from: usize| Some(from + 1 + after.get(from..)?.iter().position(|&b| b == b'\n')?);
    // A count of so many bytes, little-endian, and then as many bytes.
    let counted = |width: usize| {
        let count = after.get(..width)?.iter().rev().fold(0_u64, |n, &b| n << 8 | u64::from(b));
        width.checked_add(usize::try_from(count).ok()?)
    };
    let length = match opcode {
        b'('
        | b'.'
        | b'0'
        | b'1'
        | b'2'
        | b'N'
        | b'Q'
        | b'R'
        | b']'
        | b'}'
        | b')'
        | b'l'
        | b't'
        | b'd'
        | b'a'
        | b'e'
        | b's'
        | b'u'
        | b'b'
        | b'o'
        | 0x81
        | 0x85..=0x89
        | 0x8f..=0x94
        | 0x97
        | 0x98 => 0,
        b'I' | b'L' | b'F' | b'S' | b'V' | b'P' | b'p' | b'g' => line(0)?,
        b'c' | b'i' => line(line(0)?)?,
        b'K' | b'h' | b'q' | 0x80 | 0x82 => 1,
        b'M' | 0x83 => 2,
        b'J' | b'j' | b'r' | 0x84 => 4,
        b'G' | 0x95 => 8,
        b'U' | b'C' | 0x8a | 0x8c => counted(1)?,
        b'T' | b'X' | b'B' | 0x8b => counted(4)?,
        0x8d | 0x8e | 0x96 => counted(8)?,
        _ => return None,
    };
    Some(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_found_however_they_hide() {
        for head in [
            &b"cos\nsystem\n(S'id'\ntR."[..],
            b"cos\nsystem\n(S'id'\ntR. and any text behind it",
            b"cos\nsystem\n(S'id'\ntR\xff\xff",
            b"(S'id'\nios\nsystem\n.",
            b"(cos\nsystem\nS'id'\no.",
            b"N0I1\n0cos\nsystem\n(S'id'\ntR.",
            b"\x8c\x02os\x8c\x06system\x93\x8c\x02id\x85R.",
            b"\x80\x00cos\nsystem\n(S'id'\ntR.",
            b"\x80\x02cos\nsystem\nU\x02id\x85R.",
            b"cmy.module\nClass\n)\x81.",
            b"\x80\x04N.",
        ] {
            assert!(is_pickle(head) || calls(head), "{}", head.escape_ascii());
        }
    }

    #[test]
    fn text_is_not_a_pickle() {
        for head in [
            &b""[..],
            b".",
            b"N.",
            b"cat\ndog\nRat\n",
            b"chapter\none\nmore\n",
            b"(a) first\n",
            b"import os\n",
            b"}\n",
            b"]q",
            b"label\nimage\n",
            b"id\nname\n(x)R.",
            b"\x80\x09N.",
            b"\x80",
        ] {
            assert!(!is_pickle(head) && !calls(head), "{}", head.escape_ascii());
        }
    }
}
