//! How much work a walk takes, counted in steps and in values that were looked at.

use super::*;

/// Most steps for a byte: each byte is read by a few walks at most, the main one, those of pickles within pickles and
/// those beside them.
const STEPS_PER_BYTE: u64 = 64;

fn work(bytes: &[u8], firm: bool) -> u64 {
    let mut walk = if firm { Walk::firm(Layout::Pickles) } else { Walk::perhaps() };
    for chunk in bytes.chunks(65_536) {
        walk.update(chunk);
        walk.take_events();
    }
    walk.finish();
    walk.work
}

fn repeated(before: &[u8], unit: &[u8], after: &[u8], size: usize) -> Vec<u8> {
    [before, &unit.repeat(size / unit.len()), after].concat()
}

#[test]
fn attack_a4_work_is_linear_in_the_bytes() {
    let nested = |unit: &[u8]| {
        let mut bytes = b"N".repeat(16);
        for _ in 0..6 {
            let inner = [&bytes[..], unit].concat();
            bytes = [b"B", &u32::try_from(inner.len()).unwrap().to_le_bytes()[..], &inner, b"0"].concat();
        }
        bytes
    };
    let array = b"cjoblib.numpy_pickle\nNumpyArrayWrapper\n)\x81}(X\x05\0\0\0shapeK\x01\x85X\x05\0\0\0dtypecnumpy\ndtype\nX\x02\0\0\0u1K\0K\x01\x87RubN0";
    let units: Vec<Vec<u8>> = vec![
        b"N".to_vec(),
        b"(".to_vec(),
        b"1".to_vec(),
        b"N1".to_vec(),
        b"(1".to_vec(),
        b"(N1".to_vec(),
        b"(t".to_vec(),
        b"N2".to_vec(),
        b"Nq\x01".to_vec(),
        b"N\x94".to_vec(),
        b"r\xff\xff\x1f\0".to_vec(),
        b"B\x10\0\0\0Nr\xff\xff\x0f\0N00000000.0".to_vec(),
        b"B\x08\0\0\0NNNNNNNN0".to_vec(),
        b"}(NNu".to_vec(),
        b"cos\nsystem\n0".to_vec(),
        b"cos\nsystem\n)R0".to_vec(),
        b"\x95\0\0\0\0\0\0\0\0".to_vec(),
        b"N.".to_vec(),
        nested(b"N"),
        nested(b"B\x08\0\0\0NNNNNNNN0"),
        array.to_vec(),
    ];
    for unit in units {
        for before in [&b"\x80\x02"[..], b"", b"N", b"("] {
            for (size, firm) in [(2_000, true), (100_000, true), (100_000, false)] {
                let bytes = repeated(before, &unit, b".", size);
                let work = work(&bytes, firm);
                let most = STEPS_PER_BYTE * bytes.len() as u64;
                assert!(work <= most, "{work} steps for {} bytes of {}", bytes.len(), unit.escape_ascii());
            }
        }
    }
}

#[test]
fn attack_a4_texts_that_all_stay_alive_are_looked_through_once_in_a_while() {
    let mut bytes = b"\x80\x02".to_vec();
    (0..300_000).for_each(|n| bytes.extend(format!("V{n:x}\n").into_bytes()));
    assert!(work(&bytes, true) <= STEPS_PER_BYTE * bytes.len() as u64);
}
