//! Characters that show nothing and that scripts and emoji need all the same: zero-width joiners, and the selector that
//! makes a picture of a sign. Where they change what is seen they may stand in names and lines; elsewhere they could only
//! deceive.
//!
//! The contexts are those of RFC 5892, appendices A.1 and A.2 (CONTEXTJ; UAX #31, section 2.3, has the same), and the
//! sequences of UTS #51 with zero-width joiners. The tables are those of Unicode 16.0
//! (DerivedJoiningType.txt, emoji-data.txt); `tests/joiners.rs` compares them with another implementation.

use unicode_general_category::{GeneralCategory, get_general_category};
use unicode_normalization::char::canonical_combining_class;

/// Zero-width non-joiner.
const ZWNJ: char = '\u{200c}';
/// Zero-width joiner.
const ZWJ: char = '\u{200d}';
/// Variation selector 16: what stands before it is shown as a picture.
const PICTURE: char = '\u{fe0f}';

/// Whether `c` is one of them.
pub(crate) fn is_joiner(c: char) -> bool {
    matches!(c, ZWNJ | ZWJ | PICTURE)
}

/// Whether the joiner at that byte of a text stands where a script or an emoji needs it. Its work is linear in the
/// text, however many joiners there are: it looks no further than to the next one.
pub(crate) fn is_in_context(text: &str, at: usize) -> bool {
    let mut behind = text[at..].chars();
    let before = text[..at].chars();
    match behind.next() {
        Some(ZWNJ) => {
            let mut before = before.rev();
            let Some(last) = before.next() else { return false };
            if is_virama(last) {
                return true;
            }
            let left = std::iter::once(last).chain(before).find(|&c| !is_transparent(c));
            let right = behind.find(|&c| !is_transparent(c));
            let joins = |c: Option<char>, kind: &[(u32, u32)]| {
                c.is_some_and(|c| is_in(c, kind) || is_in(c, &DUAL_JOINING))
            };
            joins(left, &LEFT_JOINING) && joins(right, &RIGHT_JOINING)
        }
        Some(ZWJ) => {
            let mut before = before.rev();
            let Some(last) = before.next() else { return false };
            if is_virama(last) {
                return true;
            }
            let base = if last == PICTURE || is_skin_tone(last) { before.next() } else { Some(last) };
            base.is_some_and(is_pictographic) && behind.next().is_some_and(is_pictographic)
        }
        Some(PICTURE) => before.last().is_some_and(|last| {
            // A keycap is a digit, the selector and U+20E3.
            let keycap = matches!(last, '0'..='9' | '#' | '*') && behind.next() == Some('\u{20e3}');
            is_pictographic(last) || keycap
        }),
        _ => false,
    }
}

/// A sign that kills the vowel of the letter before it.
fn is_virama(c: char) -> bool {
    canonical_combining_class(c) == 9
}

/// Joining_Type T, as far as it may stand in a name.
fn is_transparent(c: char) -> bool {
    let marks = [GeneralCategory::NonspacingMark, GeneralCategory::EnclosingMark];
    marks.contains(&get_general_category(c)) || c == '\u{1e94b}'
}

fn is_skin_tone(c: char) -> bool {
    matches!(c, '\u{1f3fb}'..='\u{1f3ff}')
}

fn is_pictographic(c: char) -> bool {
    is_in(c, &EXTENDED_PICTOGRAPHIC)
}

fn is_in(c: char, table: &[(u32, u32)]) -> bool {
    let code = u32::from(c);
    let at = table.partition_point(|&(_, last)| last < code);
    table.get(at).is_some_and(|&(first, _)| first <= code)
}

/// Joining_Type D.
#[rustfmt::skip]
const DUAL_JOINING: [(u32, u32); 76] = [
    (0x0620, 0x0620), (0x0626, 0x0626), (0x0628, 0x0628), (0x062a, 0x062e), (0x0633, 0x063f),
    (0x0641, 0x0647), (0x0649, 0x064a), (0x066e, 0x066f), (0x0678, 0x0687), (0x069a, 0x06bf),
    (0x06c1, 0x06c2), (0x06cc, 0x06cc), (0x06ce, 0x06ce), (0x06d0, 0x06d1), (0x06fa, 0x06fc),
    (0x06ff, 0x06ff), (0x0712, 0x0714), (0x071a, 0x071d), (0x071f, 0x0727), (0x0729, 0x0729),
    (0x072b, 0x072b), (0x072d, 0x072e), (0x074e, 0x0758), (0x075c, 0x076a), (0x076d, 0x0770),
    (0x0772, 0x0772), (0x0775, 0x0777), (0x077a, 0x077f), (0x07ca, 0x07ea), (0x0841, 0x0845),
    (0x0848, 0x0848), (0x084a, 0x0853), (0x0855, 0x0855), (0x0860, 0x0860), (0x0862, 0x0865),
    (0x0868, 0x0868), (0x0886, 0x0886), (0x0889, 0x088d), (0x08a0, 0x08a9), (0x08af, 0x08b0),
    (0x08b3, 0x08b8), (0x08ba, 0x08c8), (0x1807, 0x1807), (0x1820, 0x1878), (0x1887, 0x18a8),
    (0x18aa, 0x18aa), (0xa840, 0xa871), (0x10ac0, 0x10ac4), (0x10ad3, 0x10ad6), (0x10ad8, 0x10adc),
    (0x10ade, 0x10ae0), (0x10aeb, 0x10aee), (0x10b80, 0x10b80), (0x10b82, 0x10b82), (0x10b86, 0x10b88),
    (0x10b8a, 0x10b8b), (0x10b8d, 0x10b8d), (0x10b90, 0x10b90), (0x10bad, 0x10bae), (0x10d01, 0x10d21),
    (0x10d23, 0x10d23), (0x10ec3, 0x10ec4), (0x10f30, 0x10f32), (0x10f34, 0x10f44), (0x10f51, 0x10f53),
    (0x10f70, 0x10f73), (0x10f76, 0x10f81), (0x10fb0, 0x10fb0), (0x10fb2, 0x10fb3), (0x10fb8, 0x10fb8),
    (0x10fbb, 0x10fbc), (0x10fbe, 0x10fbf), (0x10fc1, 0x10fc1), (0x10fc4, 0x10fc4), (0x10fca, 0x10fca),
    (0x1e900, 0x1e943),
];

/// Joining_Type R.
#[rustfmt::skip]
const RIGHT_JOINING: [(u32, u32); 66] = [
    (0x0622, 0x0625), (0x0627, 0x0627), (0x0629, 0x0629), (0x062f, 0x0632), (0x0648, 0x0648),
    (0x0671, 0x0673), (0x0675, 0x0677), (0x0688, 0x0699), (0x06c0, 0x06c0), (0x06c3, 0x06cb),
    (0x06cd, 0x06cd), (0x06cf, 0x06cf), (0x06d2, 0x06d3), (0x06d5, 0x06d5), (0x06ee, 0x06ef),
    (0x0710, 0x0710), (0x0715, 0x0719), (0x071e, 0x071e), (0x0728, 0x0728), (0x072a, 0x072a),
    (0x072c, 0x072c), (0x072f, 0x072f), (0x074d, 0x074d), (0x0759, 0x075b), (0x076b, 0x076c),
    (0x0771, 0x0771), (0x0773, 0x0774), (0x0778, 0x0779), (0x0840, 0x0840), (0x0846, 0x0847),
    (0x0849, 0x0849), (0x0854, 0x0854), (0x0856, 0x0858), (0x0867, 0x0867), (0x0869, 0x086a),
    (0x0870, 0x0882), (0x088e, 0x088e), (0x08aa, 0x08ac), (0x08ae, 0x08ae), (0x08b1, 0x08b2),
    (0x08b9, 0x08b9), (0x10ac5, 0x10ac5), (0x10ac7, 0x10ac7), (0x10ac9, 0x10aca), (0x10ace, 0x10ad2),
    (0x10add, 0x10add), (0x10ae1, 0x10ae1), (0x10ae4, 0x10ae4), (0x10aef, 0x10aef), (0x10b81, 0x10b81),
    (0x10b83, 0x10b85), (0x10b89, 0x10b89), (0x10b8c, 0x10b8c), (0x10b8e, 0x10b8f), (0x10b91, 0x10b91),
    (0x10ba9, 0x10bac), (0x10d22, 0x10d22), (0x10ec2, 0x10ec2), (0x10f33, 0x10f33), (0x10f54, 0x10f54),
    (0x10f74, 0x10f75), (0x10fb4, 0x10fb6), (0x10fb9, 0x10fba), (0x10fbd, 0x10fbd), (0x10fc2, 0x10fc3),
    (0x10fc9, 0x10fc9),
];

/// Joining_Type L.
#[rustfmt::skip]
const LEFT_JOINING: [(u32, u32); 5] = [
    (0xa872, 0xa872), (0x10acd, 0x10acd), (0x10ad7, 0x10ad7), (0x10d00, 0x10d00), (0x10fcb, 0x10fcb),
];

/// Extended_Pictographic.
#[rustfmt::skip]
const EXTENDED_PICTOGRAPHIC: [(u32, u32); 78] = [
    (0x00a9, 0x00a9), (0x00ae, 0x00ae), (0x203c, 0x203c), (0x2049, 0x2049), (0x2122, 0x2122),
    (0x2139, 0x2139), (0x2194, 0x2199), (0x21a9, 0x21aa), (0x231a, 0x231b), (0x2328, 0x2328),
    (0x2388, 0x2388), (0x23cf, 0x23cf), (0x23e9, 0x23f3), (0x23f8, 0x23fa), (0x24c2, 0x24c2),
    (0x25aa, 0x25ab), (0x25b6, 0x25b6), (0x25c0, 0x25c0), (0x25fb, 0x25fe), (0x2600, 0x2605),
    (0x2607, 0x2612), (0x2614, 0x2685), (0x2690, 0x2705), (0x2708, 0x2712), (0x2714, 0x2714),
    (0x2716, 0x2716), (0x271d, 0x271d), (0x2721, 0x2721), (0x2728, 0x2728), (0x2733, 0x2734),
    (0x2744, 0x2744), (0x2747, 0x2747), (0x274c, 0x274c), (0x274e, 0x274e), (0x2753, 0x2755),
    (0x2757, 0x2757), (0x2763, 0x2767), (0x2795, 0x2797), (0x27a1, 0x27a1), (0x27b0, 0x27b0),
    (0x27bf, 0x27bf), (0x2934, 0x2935), (0x2b05, 0x2b07), (0x2b1b, 0x2b1c), (0x2b50, 0x2b50),
    (0x2b55, 0x2b55), (0x3030, 0x3030), (0x303d, 0x303d), (0x3297, 0x3297), (0x3299, 0x3299),
    (0x1f000, 0x1f0ff), (0x1f10d, 0x1f10f), (0x1f12f, 0x1f12f), (0x1f16c, 0x1f171), (0x1f17e, 0x1f17f),
    (0x1f18e, 0x1f18e), (0x1f191, 0x1f19a), (0x1f1ad, 0x1f1e5), (0x1f201, 0x1f20f), (0x1f21a, 0x1f21a),
    (0x1f22f, 0x1f22f), (0x1f232, 0x1f23a), (0x1f23c, 0x1f23f), (0x1f249, 0x1f3fa), (0x1f400, 0x1f53d),
    (0x1f546, 0x1f64f), (0x1f680, 0x1f6ff), (0x1f774, 0x1f77f), (0x1f7d5, 0x1f7ff), (0x1f80c, 0x1f80f),
    (0x1f848, 0x1f84f), (0x1f85a, 0x1f85f), (0x1f888, 0x1f88f), (0x1f8ae, 0x1f8ff), (0x1f90c, 0x1f93a),
    (0x1f93c, 0x1f945), (0x1f947, 0x1faff), (0x1fc00, 0x1fffd),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn admitted(text: &str) -> bool {
        let mut joiners = text.char_indices().filter(|(_, c)| is_joiner(*c));
        joiners.all(|(at, _)| is_in_context(text, at))
    }

    #[test]
    fn field_c7_joiners_stand_where_scripts_and_emoji_need_them() {
        for text in [
            "می\u{200c}خواهم",            // Persian
            "علی\u{200c}رضا",             // a Persian name
            "نمونه\u{200c}ها",            // Persian
            "ب\u{064e}\u{200c}\u{064e}ب", // with vowels between
            "क\u{94d}\u{200d}ष",          // Hindi
            "क\u{94d}\u{200c}ष",          // Hindi, not joined
            "ශ\u{dca}\u{200d}රී",          // Sinhala
            "ന\u{d4d}\u{200d}",           // Malayalam, as it was spelled before 5.1
            "👩\u{200d}🔬",               // a scientist
            "👩🏽\u{200d}🔬",               // with a tone of skin
            "🏳\u{fe0f}\u{200d}🌈",        // a flag
            "❤\u{fe0f}\u{200d}🔥",
            "👨\u{200d}👩\u{200d}👧",
            "1\u{fe0f}\u{20e3}", // a keycap
            "☀\u{fe0f}.png",
            "🏴\u{200d}☠\u{fe0f}",
        ] {
            assert!(admitted(text), "{text:?}");
        }
        for text in [
            ".g\u{200c}it",
            ".g\u{200d}it",
            "\u{200c}می",
            "می\u{200c}",
            "می\u{200c}\u{200c}خ",
            "می\u{200d}خ",
            "د\u{200c}خ", // what joins nothing to its left
            "a\u{fe0f}",
            "1\u{fe0f}",
            "☀\u{fe0f}\u{fe0f}",
            "👩\u{200d}",
            "\u{200d}👩",
            "👩\u{200d}a",
            "👩\u{200d}\u{200d}🔬",
            "क\u{200d}",
            "\u{fe0f}",
            "می/\u{200c}خ",
        ] {
            assert!(!admitted(text), "{text:?}");
        }
    }

    #[test]
    fn field_c7_tables_are_in_order() {
        for table in [&DUAL_JOINING[..], &RIGHT_JOINING, &LEFT_JOINING, &EXTENDED_PICTOGRAPHIC] {
            assert!(table.iter().all(|(first, last)| first <= last));
            assert!(table.windows(2).all(|pair| pair[0].1 < pair[1].0));
        }
    }
}
