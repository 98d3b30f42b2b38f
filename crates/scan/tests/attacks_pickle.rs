//! Pickles that once passed in silence, or kept the scanner busy.

mod looking;

use std::io::Write as _;

use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};
use looking::{findings, scan};

const CALL: &[u8] = b"cos\nsystem\n(S'id'\ntR.";

fn joined(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

/// Each way in which a loader was led to a call that the walk did not see.
fn evasions() -> Vec<(&'static str, Vec<u8>)> {
    let long = vec![b'A'; 5000];
    let many = vec![b'N'; (1 << 21) + 10];
    vec![
        ("a string over 1 KiB", joined(&[b"S'", &long, b"'\n0", CALL])),
        ("a text over 1 KiB", joined(&[b"V", &long, b"\n0", CALL])),
        ("a string over 1 KiB behind the announcement", joined(&[b"\x80\x02S'", &long, b"'\n0", CALL])),
        ("a first line over 64 KiB", joined(&[b"\x80\x02V", &vec![b'A'; 70_000], b"\n0", CALL])),
        ("a first line over 64 KiB, not announced", joined(&[b"V", &vec![b'A'; 70_000], b"\n0", CALL])),
        ("frames that overlap", joined(&[b"\x95\x14\0\0\0\0\0\0\0\x95\x16\0\0\0\0\0\0\0", CALL])),
        ("a frame that ends within a line", joined(&[b"\x95\x04\0\0\0\0\0\0\0cxxxos\nsystem\n(S'id'\ntR."])),
        // CPython's loader in C drops what is left of the frame, so that these bytes hide what is no name, or no number.
        ("a frame that hides bytes before a name", joined(&[b"\x95\x04\0\0\0\0\0\0\0cxx\xff", &CALL[1..]])),
        ("a frame that hides bytes before INST", b"\x95\x06\0\0\0\0\0\0\0(ixx\x01\xffos\nsystem\n.".to_vec()),
        ("a frame that hides a line end", joined(&[b"\x95\x06\0\0\0\0\0\0\0Ix yz", b"5\n0", CALL])),
        ("a change of something by itself", b"cmy.module\nClass\n\x94g0\nb.".to_vec()),
        ("a high key of the memo", joined(&[b"cos\nsystem\nr\x00\x00\x20\x000j\x00\x00\x20\x00(S'id'\ntR."])),
        (
            "keys beyond any",
            joined(&[b"cos\nsystem\np99999999999999999999\n0g99999999999999999999\n(S'id'\ntR."]),
        ),
        ("a key with a sign", joined(&[b"cos\nsystem\np+1\n0g1\n(S'id'\ntR."])),
        ("a key with blanks", joined(&[b"cos\nsystem\np 1\t\n0g0_1\n(S'id'\ntR."])),
        ("a key that ends at a NUL", joined(&[b"cos\nsystem\np1\0x\n0g1\n(S'id'\ntR."])),
        ("a high stack", joined(&[b"(", &many, b"1", CALL])),
        ("a high stack that buries the import", joined(&[b"cos\nsystem\n(", &many, b"1(S'id'\ntR."])),
        ("a high memo", {
            let mut bytes = b"N".to_vec();
            (0..70_000_u32).for_each(|n| bytes.extend(joined(&[b"r", &(n * 60_000).to_le_bytes()])));
            joined(&[&bytes, b"0", CALL])
        }),
        ("a change of what is imported", b"cos\nenviron\n}S'a'\nS'b'\nsb.".to_vec()),
        ("BUILD as a call", b"crandom\n_inst\nNb.".to_vec()),
        ("an item set", b"cos\nenviron\nS'PATH'\nS'.'\ns.".to_vec()),
        ("items set", b"cos\nenviron\n(S'PATH'\nS'.'\nu.".to_vec()),
        ("something appended", b"csys\npath\nS'/tmp'\na.".to_vec()),
        ("several appended", b"csys\npath\n(S'/tmp'\ne.".to_vec()),
        ("an extension", b"\x80\x02\x82\x01)R.".to_vec()),
        ("a number with a tab", joined(&[b"I\t5\n0", CALL])),
        ("a number with a NUL", joined(&[b"I5\0junk \x01\n0", CALL])),
        ("arguments that are no tuple", b"cos\nsystem\nS'id'\nR.".to_vec()),
        ("another pickle behind one that only imports", joined(&[b"cx\ny\n.", CALL])),
        ("a last line without its end", b"(S'id'\nios\nsystemX".to_vec()),
        ("a name that is too long to keep", {
            let name = [&b"path.os."[..]; 40].concat();
            joined(&[
                b"N0\x80\x04\x8c\x02osX",
                &u32::try_from(name.len() + 6).expect("a short name").to_le_bytes(),
                &name,
                b"system\x93\x8c\x02id\x85R.",
            ])
        }),
        ("more texts than are kept", {
            let mut bytes = b"(".to_vec();
            (0..140_000).for_each(|n| bytes.extend(format!("V{n}\n").into_bytes()));
            joined(&[&bytes, b"Vos\nVsystem\n\x93(S'id'\ntR."])
        }),
    ]
}

/// Whether something was found that a policy refuses.
fn alarms(found: &[String]) -> bool {
    found.iter().any(|one| one.contains("malformed/") || one.contains("code/pickle-"))
}

#[test]
fn attack_a2_no_call_is_passed_over() {
    for (what, bytes) in evasions() {
        for name in ["model.pkl", "weights.bin", "notes.txt", "archive/data.pkl"] {
            let found = findings(name, &bytes);
            assert!(alarms(&found), "{what}, as {name}: {found:?}");
        }
        let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
        gzip.write_all(&bytes).unwrap();
        let found = findings("model.pkl.gz", &gzip.finish().unwrap());
        assert!(alarms(&found), "{what}, in gzip: {found:?}");
        let mut zlib = ZlibEncoder::new(Vec::new(), Compression::fast());
        zlib.write_all(&bytes).unwrap();
        let found = findings("model.joblib", &zlib.finish().unwrap());
        assert!(alarms(&found), "{what}, in zlib: {found:?}");
    }
}

#[test]
fn attack_a2_a_name_is_a_promise() {
    for name in ["a.pkl", "a.pickle", "a.joblib", "a.pt", "a.pth", "a.ckpt", "archive/data.pkl"] {
        let found = findings(name, b"\x00\x01\x02 this is nothing\xff that is known");
        assert!(alarms(&found), "{name}: {found:?}");
    }
    assert!(alarms(&findings("a.dat", b"\x80\x04V and then nothing that ends")));
    // Text in Portuguese, and a list of folders for Python.
    for name in ["train.en-pt.pt", "notes.txt", "words.csv"] {
        let found = findings(name, "Olá, mundo\nchá\ncom leite\n".as_bytes());
        assert!(!alarms(&found), "{name}: {found:?}");
    }
}

#[test]
fn attack_a2_an_import_that_ends_oddly_is_malformed() {
    for bytes in [
        &b"cos\nsystem\n\xff\xfe"[..],
        b"cos\nsystem\n(S'id'\nt",
        b"\x8c\x02os\x8c\x06system\x93\xff",
        b"cbuiltins\neval\n00",
    ] {
        let found = findings("notes.bin", bytes);
        assert!(
            found.iter().any(|one| one.starts_with("malformed/pickle")),
            "{}: {found:?}",
            bytes.escape_ascii()
        );
    }
    // Lists of words are not.
    for text in ["cat\ndog\nbird\n", "cnn.com\ncbs.com\nbbc.com\n", "cow\nsheep\ncat\nmouse\nRat\n", "car\n"]
    {
        assert_eq!(findings("words.txt", text.as_bytes()), [""; 0], "{text}");
    }
}

/// What joblib writes about an array, with items of its dict in that order.
fn wrapper(items: &[u8], behind: &[u8]) -> Vec<u8> {
    joined(&[b"\x80\x03cjoblib.numpy_pickle\nNumpyArrayWrapper\n)\x81", items, b"b", behind, b"."])
}

#[test]
fn attack_a3_the_array_is_what_joblib_takes_it_for() {
    let dtype = b"cnumpy\ndtype\nX\x02\0\0\0u1K\0K\x01\x87R";
    let small = joined(&[b"}(X\x05\0\0\0shapeK\x01\x85X\x05\0\0\0dtype", dtype, b"u"]);
    let large = joined(&[b"}(X\x05\0\0\0shapeK\x64\x85X\x05\0\0\0dtype", dtype, b"u"]);
    // As written by joblib: 100 bytes of numbers.
    let fair = wrapper(&large, &[b'N'; 100]);
    assert!(!alarms(&findings("a.joblib", &fair)), "{:?}", findings("a.joblib", &fair));
    let hidden = |count: usize| joined(&[&[b'N'; 1][..count], CALL, &[b'N'; 100]]);
    // The dict that was filled last is not the one that BUILD takes.
    let decoy = wrapper(&joined(&[&small, &large, b"0"]), &hidden(1));
    assert!(alarms(&findings("a.joblib", &decoy)), "{:?}", findings("a.joblib", &decoy));
    // A dict that is made of items at once, and one that is changed by way of the memo.
    let at_once = joined(&[b"(X\x05\0\0\0shapeK\x01\x85X\x05\0\0\0dtype", dtype, b"d"]);
    let found = findings("a.joblib", &wrapper(&at_once, &hidden(1)));
    assert!(alarms(&found), "{found:?}");
    let by_memo = joined(&[&large[..1], b"q\x07", &large[1..], b"h\x07X\x05\0\0\0shapeK\x01\x85s0"]);
    let found = findings("a.joblib", &wrapper(&by_memo, &hidden(1)));
    assert!(alarms(&found), "{found:?}");
    // Behind 32 other items.
    let mut crowd = b"}(".to_vec();
    (0..40_u8).for_each(|n| crowd.extend([b'K', n, b'N']));
    let crowd = joined(&[&crowd, &large[2..large.len() - 1], b"X\x05\0\0\0shapeK\x01\x85u"]);
    let found = findings("a.joblib", &wrapper(&crowd, &hidden(1)));
    assert!(alarms(&found), "{found:?}");
    // Described twice, through the memo and through a copy.
    for again in [&b"q\x09h\x09"[..], b"2"] {
        let twice = joined(&[b"\x80\x03cjoblib.numpy_pickle\nNumpyArrayWrapper\n)\x81", again, &large, b"b"]);
        let found = findings("a.joblib", &joined(&[&twice, &[b'N'; 100], b"0."]));
        assert!(found.iter().any(|one| one.contains("malformed/pickle")), "{found:?}");
    }
    // For a loader other than joblib's the numbers are opcodes, which may take names from what stands before.
    let names =
        joined(&[b"\x80\x03X\x02\0\0\0osX\x06\0\0\0system", &fair[2..fair.len() - 101], b"0\x93(S'id'\ntR"]);
    let other = joined(&[&names, &[b'N'; 89], b"."]);
    let found = findings("a.joblib", &other);
    assert!(found.iter().any(|one| one.contains("os.system")), "{found:?}");
}

#[test]
fn attack_a4_hostile_pickles_end() {
    // Each took minutes; that they end is what is tested, and that they do not end in silence. How many steps they take
    // is counted in the walk's own tests.
    let mut texts = b"\x80\x02".to_vec();
    (0..(1 << 17) + 40_000).for_each(|n| texts.extend(format!("V{n:x}\n").into_bytes()));
    for bytes in [
        joined(&[&texts, b"."]),
        joined(&[b"\x80\x02", &vec![b'N'; 200_000], &vec![b'1'; 400_000], b"."]),
        joined(&[b"\x80\x02", &b"N(t".repeat(150_000), b"."]),
    ] {
        let report = scan("model.pkl", &bytes);
        assert!(!report.findings.is_empty());
    }
}

#[test]
fn noise_is_no_pickle() {
    let mut state = 12_345_u64;
    let mut wrong = Vec::new();
    for n in 0..60_000_usize {
        let mut byte = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            state.to_be_bytes()[2]
        };
        let mut bytes: Vec<u8> = (0..64 + n % 400).map(|_| byte()).collect();
        // What announces a protocol is taken at its word.
        bytes[0] = if bytes[0] == 0x80 { 0 } else { bytes[0] };
        let found = findings("shard.bin", &bytes);
        if !found.is_empty() {
            wrong.push(format!("{} {found:?}", bytes[..32].escape_ascii()));
        }
    }
    assert_eq!(wrong, [""; 0]);
}

#[test]
fn attack_a2_members_of_gzip_are_one_stream() {
    let gzip = |part: &[u8]| {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
        gzip.write_all(part).unwrap();
        gzip.finish().unwrap()
    };
    for bytes in [CALL, b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x02id\x85R."] {
        for step in 1..bytes.len() {
            let divided: Vec<u8> = bytes.chunks(step).flat_map(gzip).collect();
            for name in ["model.pkl.gz", "model.joblib", "model.dat"] {
                let found = findings(name, &divided);
                assert!(found.iter().any(|one| one.contains("os.system")), "{step}, as {name}: {found:?}");
            }
        }
    }
    // Also where nothing stands in the first.
    let empty_first = joined(&[&gzip(b""), &gzip(CALL)]);
    assert!(alarms(&findings("model.pkl.gz", &empty_first)));
}

#[test]
fn attack_a2_a_name_is_a_promise_about_what_is_compressed() {
    // What no walk that is unsure would mention.
    let odd = b"N\xff\xff";
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(odd).unwrap();
    let gzip = gzip.finish().unwrap();
    let mut zlib = ZlibEncoder::new(Vec::new(), Compression::fast());
    zlib.write_all(odd).unwrap();
    let zlib = zlib.finish().unwrap();
    for (name, bytes) in [
        ("a.pkl.gz", &gzip),
        ("a.joblib", &gzip),
        ("a.PKL.GZ", &gzip),
        ("a.joblib", &zlib),
        ("a.pkl.z", &zlib),
    ] {
        let found = findings(name, bytes);
        assert!(found.iter().any(|one| one.contains("malformed/pickle")), "{name}: {found:?}");
    }
    assert_eq!(findings("notes.gz", &gzip), [""; 0]);
    // Nor is it silence where nobody looks: LZMA and LZ4, as joblib writes them.
    for (name, head) in [
        ("a.pkl.lzma", &b"\x5d\0\0\x80"[..]),
        ("a.pkl.lz4", b"\x04\x22\x4d\x18"),
        ("a.joblib", b"\x5d\0\0\x80"),
    ] {
        let found = findings(name, &joined(&[head, &[0xa5; 40]]));
        assert!(found.iter().any(|one| one.contains("malformed/pickle")), "{name}: {found:?}");
    }
}

#[test]
fn attack_a2_the_magic_numbers_of_others_are_opcodes() {
    // What is read as an argument of the first opcode is the beginning of another kind of file.
    let call = joined(&[b"0", CALL]);
    for (kind, head) in [
        ("gif", &b"GIF89a\0\0\0"[..]),
        ("gguf", b"GGUF\x03\0\0\0\0"),
        ("grib", b"GRIB\0\0\0\x01\x02"),
        ("nc", &joined(&[b"CDF\x01", &[b'A'; 66]])),
        ("exe", b"MZ\x90"),
        ("bmp", &joined(&[b"BM\0\0\0", &[0; 77]])),
        ("zip", b"PK\x03\x04\n"),
        ("parquet", b"PAR1\n"),
    ] {
        let bytes = joined(&[head, &call]);
        for name in [format!("a.{kind}"), "a.pkl".into(), "a.pt".into(), "a.dat".into()] {
            let found = findings(&name, &bytes);
            assert!(found.iter().any(|one| one.contains("os.system")), "{kind}, as {name}: {found:?}");
        }
    }
}

/// What the advisories about picklescan and fickling of 2025 and 2026 are about: their number, and what is imported.
const ADVISORIES: &str = include_str!("peers/advisories.txt");

#[test]
fn attack_a2_what_advisories_are_about_is_dangerous() {
    let rows: Vec<_> = ADVISORIES.lines().filter(|line| !line.starts_with('#')).collect();
    assert!(rows.len() > 60, "{}", rows.len());
    for row in rows {
        let [advisory, module, name] = row.split(' ').collect::<Vec<_>>()[..] else { panic!("{row}") };
        let text = |text: &str| joined(&[b"\x8c", &[u8::try_from(text.len()).unwrap()], text.as_bytes()]);
        let from_stack = joined(&[b"\x80\x04", &text(module), &text(name), b"\x93)R."]);
        let by_line = joined(&[b"c", module.as_bytes(), b"\n", name.as_bytes(), b"\n(tR."]);
        // GHSA-mhc9-48gj-9gp3: something harmless is done to what was called; GHSA-mxhj-88fx-4pcv: it is dropped.
        let built = joined(&[&from_stack[..from_stack.len() - 1], b"}b."]);
        let dropped = joined(&[b"(", &by_line[..by_line.len() - 4], b"o0N."]);
        for bytes in [from_stack, by_line, built, dropped] {
            for file in ["model.pkl", "model.bin"] {
                let found = findings(file, &bytes);
                let wanted = format!("code/pickle-dangerous {module}.{name}");
                assert!(found.contains(&wanted), "{advisory}, as {file}: {found:?}");
            }
        }
    }
}

#[test]
fn arrays_of_objects_in_an_archive_without_compression_are_no_alarm() {
    // `numpy.savez`: behind the line end of the header of the array stands a pickle, also for who reads the archive as one.
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("a.npz");
    looking::python("make_npz.py", &[&out]);
    let found = findings("a.npz", &std::fs::read(&out).unwrap());
    assert!(found.iter().any(|one| one.contains("code/pickle numpy.ndarray")), "{found:?}");
    assert!(!alarms(&found), "{found:?}");
}

#[test]
fn attack_a2_a_harmless_pickle_at_the_beginning_hides_nothing_behind_it() {
    let harmless = b"ccollections\nOrderedDict\n)R.";
    // The name of the first member is a line for who reads the archive as a pickle.
    for compress in ["no", "yes"] {
        let folder = tempfile::tempdir().unwrap();
        let (inputs, out) = (folder.path().join("inputs"), folder.path().join("out"));
        std::fs::create_dir(&inputs).unwrap();
        std::fs::write(inputs.join("version"), joined(&[b"\n", harmless])).unwrap();
        std::fs::write(inputs.join("data.pkl"), CALL).unwrap();
        looking::python("make_zip.py", &[&out, &inputs, compress.as_ref()]);
        let bytes = std::fs::read(&out).unwrap();
        for name in ["a.pt", "pytorch_model.bin", "a.zip", "a.npz", "a.dat"] {
            let found = findings(name, &bytes);
            let wanted = "[archive/data.pkl] code/pickle-dangerous os.system".to_owned();
            assert!(found.contains(&wanted), "{name}, {compress}: {found:?}");
        }
    }
    // A second document of YAML.
    let found = findings("a.yaml", &joined(&[harmless, b"\n---\n!!python/object/apply:os.system [id]\n"]));
    assert!(found.iter().any(|one| one.starts_with("code/yaml-python")), "{found:?}");
    // HDF5 may begin behind 512 bytes, or twice as many, and so on.
    for block in [512, 2048, 1 << 20] {
        let mut bytes = harmless.to_vec();
        bytes.resize(block, b' ');
        bytes.extend(b"\x89HDF\r\n\x1a\n model_config {\"class_name\": \"Lambda\", \"config\": {}}");
        let found = findings("model.h5", &bytes);
        assert!(found.iter().any(|one| one.starts_with("code/keras-lambda")), "{block}: {found:?}");
    }
}
