//! Files that the libraries of each format write are understood, whatever the chunks.

mod looking;

use std::collections::BTreeMap;

use looking::{files, found, python, scan, scan_in};
use proptest::prelude::*;

fn written() -> BTreeMap<String, Vec<u8>> {
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("models");
    python("make_models.py", &[&out]);
    files(&out).into_iter().filter(|(name, _)| name != "types.json").collect()
}

#[test]
fn h6_h7_h8_h9_files_of_the_libraries_are_understood() {
    let files = written();
    let facts = |name: &str| {
        let facts = scan(name, &files[name]).facts.expect("facts");
        let dtypes: Vec<String> = facts.dtypes.iter().map(ToString::to_string).collect();
        (facts.tensors, facts.parameters, dtypes.join(" "))
    };
    assert_eq!(facts("a.safetensors"), (3, 17, "F16 F32 I64".into()));
    assert_eq!(facts("a.gguf"), (2, 143, "F32 Q8_0".into()));
    assert_eq!(facts("a.onnx"), (1, 3, "FLOAT".into()));
    assert_eq!(facts("floats.onnx"), (1, 3, "FLOAT".into()));
    assert_eq!(facts("external.onnx"), (1, 3, "FLOAT".into()));
    let needs = scan("m/external.onnx", &files["external.onnx"]).needs;
    assert_eq!(needs.iter().map(|need| need.path.as_str()).collect::<Vec<_>>(), ["m/weights.bin"]);

    let expected: BTreeMap<&str, Vec<&str>> = [
        ("custom.onnx", vec!["code/onnx-custom-op my.ops.Mine"]),
        ("template.gguf", vec!["code/chat-template tokenizer.chat_template"]),
        ("lambda.h5", vec!["code/keras-lambda Lambda"]),
        ("long.h5", vec!["code/keras-lambda Lambda"]),
        ("custom.h5", vec!["code/keras-custom my.layers", "code/keras-custom my>Mine"]),
        ("lambda.keras", vec!["[config.json] code/keras-lambda Lambda"]),
        (
            "custom.keras",
            vec!["[config.json] code/keras-custom my.layers", "[config.json] code/keras-custom my>Mine"],
        ),
        (
            "o.npy",
            vec![
                "code/pickle numpy._core.multiarray._reconstruct",
                "code/pickle numpy.ndarray",
                "code/pickle numpy.dtype",
            ],
        ),
        (
            "c.npz",
            vec![
                "[o.npy] code/pickle numpy._core.multiarray._reconstruct",
                "[o.npy] code/pickle numpy.ndarray",
                "[o.npy] code/pickle numpy.dtype",
            ],
        ),
    ]
    .into();
    for (name, bytes) in &files {
        let report = scan(name, bytes);
        // A Keras file in a Keras file is found twice.
        let expected = expected.get(name.as_str()).cloned().unwrap_or_default();
        assert_eq!(found(&report), expected, "{name}");
        for lengths in [&[1][..], &[13, 4096, 2], &[65_536]] {
            assert_eq!(&scan_in(name, bytes, lengths), &report, "{name} {lengths:?}");
        }
    }
}

/// What a file may be turned into by accident or intent.
#[derive(Clone, Debug)]
enum Change {
    Set { at: usize, value: u8 },
    Cut { at: usize },
    Drop { at: usize, length: usize },
    Insert { at: usize, bytes: Vec<u8> },
    Repeat { at: usize, length: usize },
}

fn change() -> impl Strategy<Value = Change> {
    let at = any::<usize>();
    prop_oneof![
        4 => (at, any::<u8>()).prop_map(|(at, value)| Change::Set { at, value }),
        1 => at.prop_map(|at| Change::Cut { at }),
        1 => (at, 1..40_usize).prop_map(|(at, length)| Change::Drop { at, length }),
        1 => (at, prop::collection::vec(any::<u8>(), 1..12)).prop_map(|(at, bytes)| Change::Insert { at, bytes }),
        1 => (at, 1..80_usize).prop_map(|(at, length)| Change::Repeat { at, length }),
    ]
}

fn changed(bytes: &[u8], changes: &[Change]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for change in changes {
        if bytes.is_empty() {
            break;
        }
        // Headers matter most: half of the changes fall into the first bytes, some into the last.
        let place = |at: usize| match at % 4 {
            0 | 1 => at / 4 % bytes.len().min(600),
            2 => bytes.len() - 1 - at / 4 % bytes.len().min(600),
            _ => at / 4 % bytes.len(),
        };
        match change {
            Change::Set { at, value } => {
                let at = place(*at);
                bytes[at] = *value;
            }
            Change::Cut { at } => bytes.truncate(place(*at)),
            Change::Drop { at, length } => {
                let at = place(*at);
                bytes.drain(at..(at + length).min(bytes.len()));
            }
            Change::Insert { at, bytes: more } => {
                let at = place(*at);
                bytes.splice(at..at, more.iter().copied());
            }
            Change::Repeat { at, length } => {
                let at = place(*at);
                let more = bytes[at..(at + length).min(bytes.len())].to_vec();
                bytes.splice(at..at, more);
            }
        }
    }
    bytes
}

#[test]
fn whatever_becomes_of_real_files_the_chunks_make_no_difference() {
    let mut all: Vec<(String, Vec<u8>)> =
        written().into_iter().filter(|(_, bytes)| bytes.len() < 80_000).collect();
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("pickles");
    python("make_pickles.py", &[&out]);
    for kind in ["benign", "malicious"] {
        all.extend(files(&out.join(kind)).into_iter().filter(|(_, bytes)| bytes.len() < 8_000));
    }
    let cases = ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() };
    let strategy =
        (0..all.len(), prop::collection::vec(change(), 0..4), prop::collection::vec(1..300_usize, 1..5));
    proptest!(cases, |((file, changes, lengths) in strategy)| {
        let (name, bytes) = &all[file];
        let bytes = changed(bytes, &changes);
        let whole = scan(name, &bytes);
        prop_assert_eq!(scan_in(name, &bytes, &lengths), whole, "{} {:?}", name, changes);
    });
}

/// How files begin that have an inspector of their own.
const LEADS: [&[u8]; 14] = [
    b"",
    b"\x80\x04",
    b"\x80\x02cos\nsystem\n",
    b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.\x80\x02",
    b"PK\x03\x04\x14\0\x08\0\x08\0\0\0\0\0",
    b"PK\x05\x06",
    b"\x93NUMPY\x01\0\x10\0{'descr': '|O',}",
    b"\x89HDF\r\n\x1a\nmodel_config{\"class_name\":",
    b"GGUF\x03\0\0\0\x01\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0",
    b"\x08\x08\x12\x01a\x3a\x20\x0a",
    b"\x10\0\0\0\0\0\0\0{\"a\":{\"dtype\"",
    b"\x1f\x8b\x08\0\0\0\0\0\0\x03",
    b"\x78\x9c",
    b"{\"class_name\":\"",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_make_it_panic(
        lead in prop::sample::select(LEADS.to_vec()),
        bytes in prop::collection::vec(any::<u8>(), 0..600),
        name in prop::sample::select(vec!["a", "a.onnx", "a.safetensors", "a.gguf", "config.json", "a.pkl"]),
        lengths in prop::collection::vec(1..90_usize, 1..4),
    ) {
        let bytes = [lead, &bytes].concat();
        prop_assert_eq!(scan_in(name, &bytes, &lengths), scan(name, &bytes));
    }

    /// Opcodes that make sense more often than chance would have it.
    #[test]
    fn no_opcodes_make_it_panic(
        parts in prop::collection::vec(prop::sample::select(vec![
            &b"("[..], b".", b"0", b"1", b"2", b"N", b"K\x01", b"K\xff", b"R", b"b", b"}", b"]", b")", b"t", b"l", b"d",
            b"a", b"e", b"s", b"u", b"o", b"\x81", b"\x92", b"\x85", b"\x86", b"\x87", b"\x93", b"\x94", b"q\x01", b"h\x01",
            b"p7\n", b"g7\n", b"r\xff\xff\xff\xff", b"j\xff\xff\xff\xff", b"\x82\x01", b"\x95\x05\0\0\0\0\0\0\0",
            b"cos\nsystem\n", b"cjoblib.numpy_pickle\nNumpyArrayWrapper\n", b"cnumpy\ndtype\n", b"ia\nb\n",
            b"\x8c\x02os", b"\x8c\x06system", b"\x8c\x05shape", b"\x8c\x05dtype", b"\x8c\x02f4", b"\x8c\x02O8",
            b"C\x09cos\nx\n)R.", b"S'a'\n", b"Vb\n", b"\x80\x04", b"\xff",
        ]), 0..60),
        lengths in prop::collection::vec(1..9_usize, 1..4),
    ) {
        let bytes = [b"\x80\x04".as_slice(), &parts.concat()].concat();
        prop_assert_eq!(scan_in("a.pkl", &bytes, &lengths), scan("a.pkl", &bytes));
        let bytes = parts.concat();
        prop_assert_eq!(scan_in("a.txt", &bytes, &lengths), scan("a.txt", &bytes));
    }
}
