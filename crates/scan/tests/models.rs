//! Files of models, honest and not, each with one fault and the exact findings.

#![allow(clippy::unwrap_used, reason = "helpers of tests are not seen as tests")]

mod looking;

use std::io::Write as _;

use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
use looking::{findings, found, has, scan, scan_in};

const SYSTEM: &[u8] = b"\x80\x02cos\nsystem\nX\x04\0\0\0true\x85R.";
const STATE: &[u8] = b"\x80\x02ccollections\nOrderedDict\n)R.";

/// A ZIP archive, put together by hand so that each part can be made wrong.
#[derive(Clone, Default)]
struct Zip {
    bytes: Vec<u8>,
    directory: Vec<u8>,
    count: u16,
}

#[derive(Clone, Copy, PartialEq)]
enum How {
    Stored,
    /// As PyTorch writes: stored, with the sizes behind the data.
    StoredOpen,
    Deflated,
    DeflatedOpen,
}

fn deflate(data: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

impl Zip {
    fn with(members: &[(&str, &[u8], How)]) -> Self {
        let mut zip = Self::default();
        for (name, data, how) in members {
            zip.add(name, data, *how);
        }
        zip
    }

    fn add(&mut self, name: &str, data: &[u8], how: How) {
        let packed =
            if matches!(how, How::Deflated | How::DeflatedOpen) { deflate(data) } else { data.to_vec() };
        let open = matches!(how, How::StoredOpen | How::DeflatedOpen);
        let method: u16 = if matches!(how, How::Deflated | How::DeflatedOpen) { 8 } else { 0 };
        let flags: u16 = if open { 8 } else { 0 };
        let offset = u32::try_from(self.bytes.len()).unwrap();
        let crc = crc32fast::hash(data);
        let sizes = [crc, u32::try_from(packed.len()).unwrap(), u32::try_from(data.len()).unwrap()];
        let name_length = u16::try_from(name.len()).unwrap();
        let mut common = flags.to_le_bytes().to_vec();
        common.extend(method.to_le_bytes());
        common.extend([0; 4]);

        self.bytes.extend(b"PK\x03\x04\x14\0");
        self.bytes.extend(&common);
        for value in sizes {
            self.bytes.extend(if open { 0 } else { value }.to_le_bytes());
        }
        self.bytes.extend(name_length.to_le_bytes());
        self.bytes.extend([0, 0]);
        self.bytes.extend(name.as_bytes());
        self.bytes.extend(&packed);
        if open {
            self.bytes.extend(b"PK\x07\x08");
            sizes.iter().for_each(|value| self.bytes.extend(value.to_le_bytes()));
        }

        self.directory.extend(b"PK\x01\x02\x14\0\x14\0");
        self.directory.extend(&common);
        sizes.iter().for_each(|value| self.directory.extend(value.to_le_bytes()));
        self.directory.extend(name_length.to_le_bytes());
        self.directory.extend([0; 12]);
        self.directory.extend(offset.to_le_bytes());
        self.directory.extend(name.as_bytes());
        self.count += 1;
    }

    fn finish(&self) -> Vec<u8> {
        let mut bytes = self.bytes.clone();
        let offset = u32::try_from(bytes.len()).unwrap();
        bytes.extend(&self.directory);
        bytes.extend(b"PK\x05\x06\0\0\0\0");
        bytes.extend(self.count.to_le_bytes());
        bytes.extend(self.count.to_le_bytes());
        bytes.extend(u32::try_from(self.directory.len()).unwrap().to_le_bytes());
        bytes.extend(offset.to_le_bytes());
        bytes.extend([0, 0]);
        bytes
    }
}

fn at(bytes: &[u8], mark: &[u8]) -> usize {
    memchr::memmem::find(bytes, mark).expect("it is there")
}

fn torch(pickle: &[u8], how: How) -> Zip {
    // Among the numbers of a tensor stands what looks like the end of a member, and like a pickle.
    let numbers = [b"\x80\x02PK\x07\x08PK\x03\x04PK\x01\x02".as_slice(), &[7; 3000]].concat();
    Zip::with(&[
        ("archive/data.pkl", pickle, how),
        ("archive/data/0", &numbers, how),
        ("archive/data/1", &[], how),
        ("archive/version", b"3\n", how),
    ])
}

const ALL: [How; 4] = [How::Stored, How::StoredOpen, How::Deflated, How::DeflatedOpen];

#[test]
fn h1_a_harmless_checkpoint_is_still_a_pickle() {
    for how in ALL {
        let bytes = torch(STATE, how).finish();
        let expected = ["[archive/data.pkl] code/pickle collections.OrderedDict"];
        assert_eq!(findings("model.pt", &bytes), expected);
        for lengths in [&[1][..], &[3, 40], &[29]] {
            assert_eq!(found(&scan_in("model.pt", &bytes, lengths)), expected);
        }
    }
    assert_eq!(findings("data.pkl", b"\x80\x04N."), ["code/pickle"]);
}

#[test]
fn h2_content_tells_not_the_suffix() {
    for name in ["notes.txt", "weights.bin", "model.safetensors", "photo.png", "data"] {
        let report = scan(name, SYSTEM);
        assert!(has(&report, "code/pickle-dangerous"), "{name}: {:?}", found(&report));
    }
    // More text than a sniffer looks at, without an announcement.
    let mut late = b"X".to_vec();
    late.extend(100_000_u32.to_le_bytes());
    late.extend(b"All is well. ".repeat(10_000).iter().take(100_000));
    late.extend(b"0cos\nsystem\n(S'true'\ntR.");
    let expected = ["code/pickle-dangerous os.system", "code/pickle"];
    assert_eq!(findings("notes.txt", &late), expected);
    // In an archive under any name, in archives in archives, and compressed.
    let zip = Zip::with(&[("a.txt", SYSTEM, How::Deflated)]).finish();
    let expected = ["[a.txt] code/pickle-dangerous os.system", "[a.txt] code/pickle"];
    assert_eq!(findings("x.keras", &zip), expected);
    let outer = Zip::with(&[("in.zip", &zip, How::StoredOpen)]).finish();
    let expected = ["[in.zip!a.txt] code/pickle-dangerous os.system", "[in.zip!a.txt] code/pickle"];
    assert_eq!(findings("x.zip", &outer), expected);
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    gzip.write_all(SYSTEM).unwrap();
    let gzip = gzip.finish().unwrap();
    assert!(has(&scan("a.gz", &gzip), "code/pickle-dangerous"));
    let mut zlib = ZlibEncoder::new(Vec::new(), Compression::default());
    zlib.write_all(SYSTEM).unwrap();
    let zlib = zlib.finish().unwrap();
    assert!(has(&scan("a.joblib", &zlib), "code/pickle-dangerous"));
}

#[test]
fn h2_text_is_no_pickle() {
    for (name, text) in [
        ("a.txt", &b"cat\ndog\nRat\n"[..]),
        (".gitignore", b"coverage\nhtmlcov\n.tox\n.env\n"),
        ("a.csv", b"a,b\n1,2\n"),
        ("b.txt", b"I have\n(many)\nkinds of text.\n"),
        ("c.txt", b"N.\n"),
        ("d.md", b"# Title\n\n(text)R.\n"),
    ] {
        assert_eq!(findings(name, text), [""; 0], "{name}");
    }
}

#[test]
fn h3_an_archive_that_contradicts_itself_is_malformed() {
    let honest = torch(SYSTEM, How::Deflated).finish();
    let central = at(&honest, b"PK\x01\x02");
    let end = at(&honest, b"PK\x05\x06");
    let changed = |at: usize, value: u8| {
        let mut bytes = honest.clone();
        bytes[at] ^= value;
        bytes
    };
    for (what, bytes) in [
        ("flags in the local header (CVE-2025-1944)", changed(6, 1)),
        ("another bit of the flags", changed(7, 8)),
        ("flags in the directory (CVE-2025-1945)", changed(central + 8, 1)),
        ("method in the directory", changed(central + 10, 8)),
        ("checksum in the directory (CVE-2025-10156)", changed(central + 16, 1)),
        ("checksum in the local header", changed(14, 1)),
        ("packed size in the directory", changed(central + 20, 1)),
        ("size in the local header", changed(22, 1)),
        ("size in the directory", changed(central + 24, 1)),
        ("offset in the directory", changed(central + 42, 1)),
        ("name in the directory", changed(central + 46, 1)),
        ("name in the local header", changed(30, 1)),
        ("number of entries", changed(end + 10, 1)),
        ("length of the directory", changed(end + 12, 1)),
        ("offset of the directory", changed(end + 16, 1)),
        ("a comment that is not there", changed(end + 20, 1)),
        ("something behind", [honest.as_slice(), b"x"].concat()),
        ("another archive behind", [honest.as_slice(), &honest].concat()),
        ("cut", honest[..honest.len() - 1].to_vec()),
        ("without a directory", honest[..central].to_vec()),
        ("without an entry", {
            let mut zip = torch(SYSTEM, How::Deflated);
            zip.directory.truncate(46 + "archive/data.pkl".len());
            zip.count = 1;
            zip.finish()
        }),
        ("a gap", {
            let mut zip = Zip::default();
            zip.add("archive/data.pkl", SYSTEM, How::Deflated);
            zip.bytes.extend(b"gap");
            zip.add("archive/version", b"3\n", How::Stored);
            zip.finish()
        }),
        (
            "a member twice",
            Zip::with(&[("data.pkl", STATE, How::Stored), ("data.pkl", SYSTEM, How::Stored)]).finish(),
        ),
        (
            "a name with a zero",
            Zip::with(&[("data.pkl", SYSTEM, How::Stored), ("a\0b", b"", How::Stored)]).finish(),
        ),
        (
            "a name that leads out",
            Zip::with(&[("data.pkl", SYSTEM, How::Stored), ("../b", b"", How::Stored)]).finish(),
        ),
    ] {
        let report = scan("model.pt", &bytes);
        assert!(has(&report, "malformed/zip"), "{what}: {:?}", found(&report));
        for lengths in [&[1][..], &[17, 5]] {
            assert_eq!(scan_in("model.pt", &bytes, lengths), report, "{what}");
        }
        // What can be read is looked into all the same.
        let encrypted = has(&report, "malformed/zip-encrypted");
        assert!(encrypted || has(&report, "code/pickle-dangerous"), "{what}: {:?}", found(&report));
    }
    assert!(has(&scan("model.pt", &changed(6, 1)), "malformed/zip-encrypted"));
    assert_eq!(found(&scan("model.pt", &honest)).len(), 2);
}

#[test]
fn h3_a_forged_descriptor_is_a_contradiction() {
    // The directory says one member; read from the front there are two, the second hidden in the first.
    let mut inner = Zip::default();
    inner.add("a", b"data", How::StoredOpen);
    inner.add("b", SYSTEM, How::Stored);
    let mut zip = Zip::default();
    let data = inner.bytes[31..].to_vec();
    zip.add("a", &data, How::StoredOpen);
    assert!(has(&scan("x.zip", &zip.finish()), "malformed/zip"));
}

#[test]
fn h3_something_with_an_archive_behind_is_two_things() {
    let zip = torch(SYSTEM, How::Stored).finish();
    let png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR";
    assert_eq!(findings("a.png", &[png.as_slice(), &zip].concat()), ["malformed/zip-appended"]);
    assert_eq!(findings("a.png", png), [""; 0]);
}

#[test]
fn h3_a_bomb_is_not_expanded_without_end() {
    let zeros = vec![0; 64 << 20];
    let once = deflate(&zeros);
    let member = |name: &str| {
        let mut zip = Zip::default();
        zip.add(name, &zeros, How::Deflated);
        zip
    };
    // 64 MiB are allowed; thirty times so much, of so little, is not.
    assert_eq!(findings("x.zip", &member("0").finish()), [""; 0]);
    let mut zip = Zip::default();
    let one = member("n");
    for n in 0..30_u8 {
        let offset = u32::try_from(zip.bytes.len()).unwrap();
        let (mut local, mut central) = (one.bytes.clone(), one.directory.clone());
        (local[30], central[46]) = (b'a' + n, b'a' + n);
        central[42..46].copy_from_slice(&offset.to_le_bytes());
        zip.bytes.extend(local);
        zip.directory.extend(central);
        zip.count += 1;
    }
    assert!(once.len() < 100_000);
    assert!(has(&scan("x.zip", &zip.finish()), "malformed/zip-bomb"));
    // Within another archive nothing expands twice.
    let inner = member("0").finish();
    let twice: Vec<(String, &[u8])> = (0..20).map(|n| (format!("{n}.zip"), &inner[..])).collect();
    let twice: Vec<_> = twice.iter().map(|(name, bytes)| (name.as_str(), *bytes, How::Deflated)).collect();
    let twice = Zip::with(&twice).finish();
    assert!(
        twice.len() < 20_000 && has(&scan("x.zip", &twice), "malformed/zip-bomb"),
        "{} bytes",
        twice.len()
    );
    // Archives in archives end somewhere.
    let mut zip = Zip::with(&[("x", SYSTEM, How::Stored)]).finish();
    for _ in 0..6 {
        zip = Zip::with(&[("x.zip", &zip, How::Stored)]).finish();
    }
    assert!(has(&scan("x.zip", &zip), "malformed/zip"));
}

#[test]
fn h4_what_came_before_the_break_is_reported() {
    let call = &SYSTEM[..SYSTEM.len() - 1];
    for (what, behind, fault) in [
        ("broken", &b"\xff\xff"[..], "malformed/pickle has something that is no opcode"),
        ("cut", b"", "malformed/pickle ends before its end"),
        ("cut in an argument", b"X\x10\0\0\0abc", "malformed/pickle ends before its end"),
        ("junk behind", b".\xff\xfe", "malformed/pickle has stray bytes behind its end"),
        ("underflow", b"000.", "malformed/pickle takes more from its stack than there is"),
        ("unset", b"h\x07.", "malformed/pickle asks its memo for what is not in it"),
    ] {
        let bytes = [call, behind].concat();
        let expected = ["code/pickle-dangerous os.system", fault, "code/pickle"];
        assert_eq!(findings("a.pkl", &bytes), expected, "{what}");
        let zip = Zip::with(&[("data.pkl", &bytes, How::Deflated)]).finish();
        assert!(has(&scan("a.pt", &zip), "code/pickle-dangerous"), "{what}");
    }
    let computed = b"\x80\x04\x8c\x02osK\x01\x93.";
    assert_eq!(
        findings("a.pkl", computed),
        ["malformed/pickle imports something whose name cannot be told", "code/pickle"]
    );
    // Compressed data that breaks off.
    let zip = torch(SYSTEM, How::DeflatedOpen).finish();
    assert!(has(&scan("a.pt", &zip[..70]), "malformed/zip"));
}

#[test]
fn h6_keras_configurations() {
    let json = |layer: &str| {
        format!(
            r#"{{"module": "keras", "class_name": "Sequential", "config": {{"layers": [{{"module": "keras.layers", "class_name": "Dense", "config": {{}}, "registered_name": null}}, {layer}]}}, "registered_name": null}}"#
        )
    };
    for (layer, expected) in [
        (r#"{"class_name": "Dense"}"#, vec![]),
        (r#"{"class_name": "Lambda", "config": {}}"#, vec!["code/keras-lambda Lambda"]),
        (r#"{"class_name"  :  "L\u0061mbd\u0061"}"#, vec!["code/keras-lambda Lambda"]),
        (r#"{"cl\u0061ss_name": "__lambda__"}"#, vec!["code/keras-lambda __lambda__"]),
        (r#"{"module": "os", "class_name": "x"}"#, vec!["code/keras-custom os"]),
        (r#"{"module": "builtins", "class_name": "function"}"#, vec!["code/keras-custom function"]),
        (r#"{"class_name": "TFSMLayer"}"#, vec!["code/keras-custom TFSMLayer"]),
        (r#"{"registered_name": "my>Layer"}"#, vec!["code/keras-custom my>Layer"]),
    ] {
        let json = json(layer);
        assert_eq!(findings("config.json", json.as_bytes()), expected, "{layer}");
        let zip = Zip::with(&[
            ("metadata.json", b"{}", How::Stored),
            ("config.json", json.as_bytes(), How::Stored),
        ]);
        let in_zip: Vec<String> = expected.iter().map(|text| format!("[config.json] {text}")).collect();
        assert_eq!(findings("model.keras", &zip.finish()), in_zip, "{layer}");
        // In the middle of an HDF5 file, behind a stray quote and backslash.
        let mut h5 = b"\x89HDF\r\n\x1a\n\0\0model_config\0\"\\u\0".to_vec();
        h5.extend(json.as_bytes());
        h5.extend([0; 100]);
        assert_eq!(findings("model.h5", &h5), expected, "{layer}");
        for lengths in [&[1][..], &[5, 3]] {
            assert_eq!(found(&scan_in("model.h5", &h5, lengths)), expected, "{layer}");
        }
    }
    let hidden = b"\x89HDF\r\n\x1a\n\0\0model_config\0\0\0";
    assert_eq!(findings("model.h5", hidden), ["malformed/keras has a `model_config` that was not found"]);
}

fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(u8::try_from(value & 0x7f).unwrap() | 0x80);
        value >>= 7;
    }
    bytes.push(u8::try_from(value).unwrap());
    bytes
}

fn number(field: u64, value: u64) -> Vec<u8> {
    [varint(field << 3), varint(value)].concat()
}

fn message(field: u64, parts: &[Vec<u8>]) -> Vec<u8> {
    let inner = parts.concat();
    [varint(field << 3 | 2), varint(inner.len() as u64), inner].concat()
}

fn text(field: u64, text: &str) -> Vec<u8> {
    message(field, &[text.as_bytes().to_vec()])
}

fn onnx(graph: &[Vec<u8>]) -> Vec<u8> {
    [number(1, 8), text(2, "test"), message(7, graph), message(8, &[text(1, ""), number(2, 17)])].concat()
}

fn external(location: &str) -> Vec<u8> {
    let entry = message(13, &[text(1, "location"), text(2, location)]);
    onnx(&[message(5, &[number(1, 2), number(2, 1), text(8, "w"), entry, number(14, 1)])])
}

#[test]
fn h7_external_data_stays_in_the_bundle() {
    for location in ["../x", "a/../../x", "a/../x", "/etc/passwd", "C:x", "a\\b", "", "..", "a//b"] {
        let report = scan("models/a.onnx", &external(location));
        assert!(has(&report, "malformed/onnx-external-data"), "{location}: {:?}", found(&report));
        assert!(report.needs.is_empty());
    }
    for (location, path) in
        [("w.bin", "models/w.bin"), ("d/w.bin", "models/d/w.bin"), ("./w.bin", "models/w.bin")]
    {
        let report = scan("models/a.onnx", &external(location));
        assert_eq!(found(&report), [""; 0]);
        assert_eq!(report.needs.iter().map(|need| need.path.as_str()).collect::<Vec<_>>(), [path]);
    }
    // The model lies in an attribute of a node, and under a name that promises nothing.
    let entry = message(13, &[text(2, "../x"), text(1, "location")]);
    let attribute = message(5, &[text(1, "value"), message(5, &[entry])]);
    let hidden = onnx(&[message(1, &[text(4, "Constant"), attribute])]);
    assert!(has(&scan("a.bin", &hidden), "malformed/onnx-external-data"));
}

#[test]
fn onnx_facts_custom_operators_and_faults() {
    let raw = |length: usize| {
        onnx(&[message(
            5,
            &[message(1, &[varint(2), varint(3)]), number(2, 1), message(9, &[vec![1; length]])],
        )])
    };
    let report = scan("a.onnx", &raw(24));
    assert_eq!(found(&report), [""; 0]);
    let facts = report.facts.expect("facts");
    assert_eq!((facts.tensors, facts.parameters, facts.format.as_str()), (1, 6, "onnx"));
    assert_eq!(facts.dtypes.iter().map(consign_metadata::Line::as_str).collect::<Vec<_>>(), ["FLOAT"]);
    assert!(has(&scan("a.onnx", &raw(23)), "malformed/onnx"));

    let node = |domain: &str| message(1, &[text(4, "Op"), text(7, domain)]);
    assert_eq!(findings("a.onnx", &onnx(&[node("ai.onnx.ml"), node("com.microsoft")])), [""; 0]);
    assert_eq!(findings("a.onnx", &onnx(&[node("my.ops")])), ["code/onnx-custom-op my.ops.Op"]);
    let function = message(25, &[text(1, "Op"), text(10, "my.ops")]);
    assert_eq!(findings("a.onnx", &[onnx(&[node("my.ops")]), function].concat()), [""; 0]);

    let good = raw(24);
    for cut in [good.len() - 1, 20, 15] {
        assert!(has(&scan("a.onnx", &good[..cut]), "malformed/onnx"), "{cut}");
    }
    let beyond = [number(1, 8), text(2, "t"), vec![0x3a, 0x04, 0x0a, 0x7f, 0, 0]].concat();
    assert!(has(&scan("a.onnx", &beyond), "malformed/onnx"));
    let huge = onnx(&[message(5, &[number(1, 1 << 40), number(1, 1 << 40), number(2, 1)])]);
    assert!(has(&scan("a.onnx", &huge), "malformed/onnx"));
}

fn safetensors(header: &str, data: usize) -> Vec<u8> {
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    bytes.extend(vec![1; data]);
    bytes
}

#[test]
fn h8_safetensors() {
    let tensor = |dtype: &str, shape: &str, begin: u64, end: u64| {
        format!(r#"{{"dtype":"{dtype}","shape":{shape},"data_offsets":[{begin},{end}]}}"#)
    };
    let a = tensor("F32", "[2,3]", 0, 24);
    let b = tensor("BF16", "[4]", 24, 32);
    let good = format!(r#"{{"__metadata__":{{"format":"pt"}},"b":{b},"a":{a}}}  "#);
    let report = scan("m.safetensors", &safetensors(&good, 32));
    assert_eq!(found(&report), [""; 0]);
    let facts = report.facts.expect("facts");
    assert_eq!((facts.tensors, facts.parameters), (2, 10));
    assert_eq!(facts.dtypes.iter().map(consign_metadata::Line::as_str).collect::<Vec<_>>(), ["BF16", "F32"]);
    assert_eq!(findings("m.safetensors", &safetensors("{}", 0)), [""; 0]);

    let two = |a: &str, b: &str| safetensors(&format!(r#"{{"a":{a},"b":{b}}}"#), 32);
    for (bytes, fault) in [
        (safetensors(&format!(r#"{{"a":{a},"a":{b}}}"#), 32), "a name stands twice in the header"),
        (safetensors(r#"{"__metadata__":{"a":"1","a":"2"}}"#, 0), "a name stands twice in `__metadata__`"),
        (two(&a, &tensor("BF16", "[4]", 32, 40)), "there is a hole between tensors"),
        (two(&a, &tensor("BF16", "[4]", 23, 31)), "tensors overlap"),
        (two(&a, &tensor("BF16", "[4]", 32, 24)), "a tensor ends before it begins"),
        (two(&a, &tensor("BF16", "[5]", 24, 32)), "a tensor's length differs from its shape"),
        (two(&a, &tensor("X9", "[4]", 24, 32)), "dtype `X9` is not known"),
        (two(&a, &tensor("U8", "[9223372036854775807,4]", 24, 32)), "a shape is too large"),
        (safetensors(&good, 31), "ends within the tensors"),
        (safetensors(&good, 33), "has bytes behind the tensors"),
        (safetensors(r#"{"a":{"dtype":"U8"}}"#, 0), "a tensor lacks its dtype, shape or offsets"),
        (safetensors(r#"{"a":{"x":1}}"#, 0), "a tensor has a field that is not known"),
        (safetensors("[]", 0), "the header is no JSON object"),
        ((100_000_001_u64).to_le_bytes().to_vec(), "the header is too long"),
        (u64::MAX.to_le_bytes().to_vec(), "the header is too long"),
        (safetensors(&good, 0)[..20].to_vec(), "ends within the header"),
    ] {
        let report = scan("m.safetensors", &bytes);
        assert_eq!(found(&report), [format!("malformed/safetensors {fault}")]);
        assert_eq!(scan_in("m.safetensors", &bytes, &[1, 9]), report);
    }
}

/// A GGUF file: metadata as it stands there, tensors as name, sides, type and offset, and so many bytes of data.
fn gguf(version: u32, keys: &[Vec<u8>], tensors: &[(&str, &[u64], u32, u64)], data: usize) -> Vec<u8> {
    let mut bytes = b"GGUF".to_vec();
    bytes.extend(version.to_le_bytes());
    bytes.extend((tensors.len() as u64).to_le_bytes());
    bytes.extend((keys.len() as u64).to_le_bytes());
    keys.iter().for_each(|key| bytes.extend(key));
    for (name, sides, kind, offset) in tensors {
        bytes.extend((name.len() as u64).to_le_bytes());
        bytes.extend(name.as_bytes());
        bytes.extend(u32::try_from(sides.len()).unwrap().to_le_bytes());
        sides.iter().for_each(|side| bytes.extend(side.to_le_bytes()));
        bytes.extend(kind.to_le_bytes());
        bytes.extend(offset.to_le_bytes());
    }
    bytes.resize(bytes.len().next_multiple_of(32), 0);
    bytes.resize(bytes.len() + data, 1);
    bytes
}

fn key(name: &str, kind: u32, value: &[u8]) -> Vec<u8> {
    let mut bytes = (name.len() as u64).to_le_bytes().to_vec();
    bytes.extend(name.as_bytes());
    bytes.extend(kind.to_le_bytes());
    bytes.extend(value);
    bytes
}

fn gguf_text(text: &str) -> Vec<u8> {
    [&(text.len() as u64).to_le_bytes(), text.as_bytes()].concat()
}

#[test]
fn h9_gguf() {
    let words = [&8_u32.to_le_bytes()[..], &2_u64.to_le_bytes(), &gguf_text("a"), &gguf_text("bc")].concat();
    let numbers = [&4_u32.to_le_bytes()[..], &3_u64.to_le_bytes(), &[0; 12]].concat();
    let keys = [
        key("general.architecture", 8, &gguf_text("llama")),
        key("general.alignment", 4, &32_u32.to_le_bytes()),
        key("tokenizer.ggml.tokens", 9, &words),
        key("n", 9, &numbers),
        key("b", 7, &[1]),
    ];
    let tensors: [(&str, &[u64], u32, u64); 2] = [("a", &[32, 2], 8, 0), ("b", &[5], 0, 96)];
    let good = gguf(3, &keys, &tensors, 96 + 20);
    let report = scan("m.gguf", &good);
    assert_eq!(found(&report), [""; 0]);
    let facts = report.facts.expect("facts");
    assert_eq!((facts.tensors, facts.parameters), (2, 69));
    assert_eq!(facts.dtypes.iter().map(consign_metadata::Line::as_str).collect::<Vec<_>>(), ["F32", "Q8_0"]);
    assert_eq!(findings("m.gguf", &gguf(2, &keys, &tensors, 96 + 32)), [""; 0]);
    let template = key("tokenizer.chat_template", 8, &gguf_text("{{ x }}"));
    let expected = ["code/chat-template tokenizer.chat_template"];
    assert_eq!(findings("m.gguf", &gguf(3, &[template], &tensors, 96 + 32)), expected);

    let huge = |kind: u32| [&kind.to_le_bytes()[..], &u64::MAX.to_le_bytes()].concat();
    let counts = |tensors: u64, keys: u64| {
        [&b"GGUF\x03\0\0\0"[..], &tensors.to_le_bytes(), &keys.to_le_bytes(), &[0; 64]].concat()
    };
    for (bytes, fault) in [
        (gguf(4, &[], &[], 0), "has a version that is not known"),
        (counts(u64::MAX, 0), "lists more than can be looked into"),
        (counts(0, u64::MAX), "lists more than can be looked into"),
        (gguf(3, &[key("x", 8, &u64::MAX.to_le_bytes())], &[], 0), "has a length that cannot be"),
        (gguf(3, &[key("x", 9, &huge(4))], &[], 0), "has a length that cannot be"),
        (gguf(3, &[key("x", 13, &[])], &[], 0), "has a value of a type that is not known"),
        (gguf(3, &[key("general.alignment", 4, &[0; 4])], &[], 0), "has an alignment that cannot be"),
        (gguf(3, &[key("x", 0, &[1]), key("x", 0, &[2])], &[], 0), "has a key twice"),
        (gguf(3, &[], &[("a", &[u64::MAX, 2], 0, 0)], 0), "has a shape that is too large"),
        (gguf(3, &[], &[("a", &[1 << 62], 0, 0)], 0), "has a shape that is too large"),
        (gguf(3, &[], &[("a", &[1, 1, 1, 1, 1], 0, 0)], 0), "has a tensor of too many dimensions"),
        (gguf(3, &[], &[("a", &[4], 1 << 10, 0)], 16), "has a tensor of a type that cannot be"),
        (gguf(3, &[], &[("a", &[33], 8, 0)], 64), "has a tensor whose rows are no whole blocks"),
        (gguf(3, &[], &[("a", &[4], 0, 0), ("a", &[4], 0, 32)], 64), "has a tensor twice"),
        (
            gguf(3, &[], &[("a", &[4], 0, 0), ("b", &[4], 0, 0)], 32),
            "has tensors that do not lie one behind the other",
        ),
        (gguf(3, &[], &[("a", &[4], 0, u64::MAX)], 32), "has tensors that do not lie one behind the other"),
        (gguf(3, &keys, &tensors, 96 + 19), "ends within the tensors"),
        (gguf(3, &keys, &tensors, 96 + 33), "has bytes behind the tensors"),
        (good[..60].to_vec(), "ends within the header"),
    ] {
        let report = scan("m.gguf", &bytes);
        assert_eq!(found(&report), [format!("malformed/gguf {fault}")]);
        assert_eq!(scan_in("m.gguf", &bytes, &[1, 9]), report);
    }
}

#[test]
fn h10_code_beside_the_model_is_listed() {
    for (name, bytes, expected) in [
        ("modeling_x.py", &b"import os\n"[..], "code/python Python source"),
        ("run", b"#!/usr/bin/env python3\nprint(1)\n", "code/python Python source"),
        ("x.pyc", b"\xa7\x0d\r\n\0\0\0\0", "code/python Python bytecode"),
        ("data.bin", b"\xa7\x0d\r\n\0\0\0\0", "code/python Python bytecode"),
        ("data.bin", b"\x7fELF\x02\x01\x01\0", "code/native ELF"),
        ("data.bin", b"\0asm\x01\0\0\0", "code/native WebAssembly"),
        ("data.bin", b"\xcf\xfa\xed\xfe\x07\0\0\x01", "code/native Mach-O"),
        ("lib.so", b"anything\0", "code/native by its name"),
        ("chat_template.jinja", b"{{ messages }}", "code/chat-template Jinja template"),
        ("tokenizer_config.json", br#"{"chat_template": "{{ x }}"}"#, "code/chat-template"),
        (
            "config.json",
            br#"{"auto_map": {"AutoModel": "modeling_x.Model"}}"#,
            "code/remote-code modeling_x.Model",
        ),
        ("config.json", br#"{"a": {"\u0061uto_map": {"A": ["x.Y"]}}}"#, "code/remote-code x.Y"),
        ("config.json", br#"{"auto_map": {"A": "x.Y"}"#, "code/remote-code x.Y"),
    ] {
        let found = findings(name, bytes);
        assert_eq!(found.first().map(String::as_str), Some(expected), "{name}: {found:?}");
    }
    let mut windows = b"MZ".to_vec();
    windows.resize(0x40, 0);
    windows[0x3c] = 0x40;
    windows.extend(b"PE\0\0");
    assert_eq!(findings("x.dat", &windows), ["code/native Windows program"]);
    assert_eq!(findings("config.json", b"{\"a\": 1"), ["malformed/model-config is not JSON"]);
    assert_eq!(findings("config.json", b"{\"a\": 1}"), [""; 0]);
}

fn npy(descr: &str, shape: &str, data: &[u8]) -> Vec<u8> {
    let header = format!("{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}\n");
    let mut bytes = b"\x93NUMPY\x01\0".to_vec();
    bytes.extend(u16::try_from(header.len()).unwrap().to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes.extend(data);
    bytes
}

#[test]
fn arrays_of_objects_are_pickles() {
    let dangerous = ["code/pickle-dangerous os.system", "code/pickle"];
    assert_eq!(findings("a.npy", &npy("'|O'", "(1,)", SYSTEM)), dangerous);
    assert_eq!(findings("a.npy", &npy("[('a', '<f4'), ('b', '|O8')]", "(1,)", SYSTEM)), dangerous);
    let zip = Zip::with(&[("a.npy", &npy("'|O'", "(1,)", SYSTEM), How::Deflated)]).finish();
    assert!(has(&scan("a.npz", &zip), "code/pickle-dangerous"));
    assert_eq!(findings("a.npy", &npy("'<f4'", "(2, 3)", &[1; 24])), [""; 0]);
    assert_eq!(findings("a.npy", &npy("'<U2'", "()", &[1; 8])), [""; 0]);
    for data in [23, 25] {
        let bytes = npy("'<f4'", "(2, 3)", &vec![1; data]);
        assert_eq!(findings("a.npy", &bytes), ["malformed/npy is not as long as its shape says"]);
    }
    let hidden = npy("'\\x7cO'", "(1,)", SYSTEM);
    assert_eq!(findings("a.npy", &hidden), ["malformed/npy has a header that is none"]);
}

#[test]
fn tensors_in_a_checkpoint_may_look_like_anything() {
    for numbers in
        [&b"\x80\x02(K\x01tuvw"[..], b"GIF89a", b"\x7fELE", b"\x93NUMPX", b"PK\x07\x08", b"\x78\x9c123"]
    {
        let mut data = numbers.to_vec();
        data.resize(70_000, 0xee);
        for how in ALL {
            let zip = Zip::with(&[("a/data.pkl", STATE, how), ("a/data/0", &data, how)]).finish();
            let expected = ["[a/data.pkl] code/pickle collections.OrderedDict"];
            assert_eq!(findings("a.pt", &zip), expected, "{}", numbers.escape_ascii());
        }
    }
}

#[test]
fn attack_a5_a_header_that_numpy_would_not_write_is_malformed() {
    for descr in [
        "'objec' 't'",
        "'O' ''",
        "'|' 'O'",
        "b'f8'",
        "'f8,O'",
        "'f8, O8'",
        "'(2)O'",
        "'2O'",
        "'obj\\x65ct'",
        "[('a', 'O')]",
        "[('a', [('b', '|O')])]",
        "'''O'''",
    ] {
        let found = findings("a.npy", &npy(descr, "(1,)", SYSTEM));
        let alarm = found
            .iter()
            .any(|one| one.starts_with("malformed/npy") || one.starts_with("code/pickle-dangerous"));
        assert!(alarm, "{descr}: {found:?}");
    }
    for (descr, size) in [("'<f8'", 8), ("'|S3'", 3), ("[('a', '<f8'), ('b', '<i4', (2,))]", 16)] {
        let found = findings("a.npy", &npy(descr, "(1,)", &vec![0; size]));
        assert_eq!(found, [""; 0], "{descr}");
    }
}

#[test]
fn attack_a5_other_code_is_named() {
    for (name, bytes, rule) in [
        ("run.sh", &b"echo 1\n"[..], "code/script"),
        ("run", b"#!/usr/bin/env node\n", "code/script"),
        ("x.ps1", b"Get-Item .\n", "code/script"),
        ("x.R", b"x <- 1\n", "code/script"),
        ("x.js", b"let x = 1\n", "code/script"),
        ("conf.yaml", b"a: !!python/object/apply:os.system ['id']\n", "code/yaml-python"),
        ("conf.yml", b"a: !<tag:yaml.org,2002:python/name:os.system> ''\n", "code/yaml-python"),
        ("conf.yaml", b"model:\n  _target_: os.system\n", "code/remote-code"),
        ("x.tar.zst", b"\x28\xb5\x2f\xfd\x00\x00", "code/opaque"),
        ("x.xz", b"\xfd7zXZ\0\0\0", "code/opaque"),
        ("a/.git/config", b"[core]\n", "code/git-config"),
        (".envrc", b"export A=1\n", "code/auto-run"),
    ] {
        for lengths in [&[usize::MAX][..], &[1], &[7]] {
            let report = looking::scan_in(name, bytes, lengths);
            assert!(has(&report, rule), "{name}: {:?}", looking::found(&report));
        }
    }
    for (name, bytes) in
        [("a.yaml", &b"a: python/b\n"[..]), ("notes.md", b"#! heading? no\n"), ("README", b"# x\n")]
    {
        let found = findings(name, bytes);
        assert!(!found.iter().any(|one| one.starts_with("code/yaml")), "{name}: {found:?}");
    }
}

#[test]
fn attack_a5_a_configuration_is_read_in_every_encoding_in_which_python_reads_it() {
    let text =
        r#"{"class_name": "Sequential", "config": {"layers": [{"class_name": "Lambda", "config": {}}]}}"#;
    let wide = |unit: fn(u16) -> [u8; 2]| text.encode_utf16().flat_map(unit).collect::<Vec<u8>>();
    let widest = |unit: fn(u32) -> [u8; 4]| text.chars().flat_map(|c| unit(c.into())).collect::<Vec<u8>>();
    for bytes in [
        text.as_bytes().to_vec(),
        [b"\xef\xbb\xbf", text.as_bytes()].concat(),
        wide(u16::to_le_bytes),
        wide(u16::to_be_bytes),
        [&b"\xff\xfe"[..], &wide(u16::to_le_bytes)].concat(),
        widest(u32::to_le_bytes),
        widest(u32::to_be_bytes),
        [&b"\xff\xfe\0\0"[..], &widest(u32::to_le_bytes)].concat(),
    ] {
        for lengths in [&[usize::MAX][..], &[1], &[100, 3]] {
            let report = looking::scan_in("config.json", &bytes, lengths);
            assert_eq!(found(&report), ["code/keras-lambda Lambda"], "{:?}", &bytes[..8]);
        }
    }
}

#[test]
fn attack_a5_tags_of_yaml_are_known_in_every_spelling() {
    let utf16 = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
    let filler = "key: value\n".repeat(40_000);
    for (bytes, rule) in [
        (
            b"%TAG ! tag:yaml.org,2002:py\n---\n!thon/object/apply:os.system [id]\n".to_vec(),
            "code/yaml-python",
        ),
        (b"%TAG !x! tag:yaml.org,2002:\n---\na: !x!python/name:os.system ''\n".to_vec(), "code/yaml-python"),
        (b"a: !!%70ython/object/apply:os.system ['id']\n".to_vec(), "code/yaml-python"),
        (b"a: !!p%79thon/object/apply:os.system ['id']\n".to_vec(), "code/yaml-python"),
        (b"a: !<tag:yaml%2Eorg,2002:python/name:os.system> ''\n".to_vec(), "code/yaml-python"),
        (b"[!!%70ython/name:os.system '']\n".to_vec(), "code/yaml-python"),
        (b"m:\n  \"_targ\\x65t_\": os.system\n".to_vec(), "code/remote-code"),
        (b"m:\n  \"\\u005ftarget\\U0000005f\": os.system\n".to_vec(), "code/remote-code"),
        (utf16("a: !!python/object/apply:os.system ['id']\n"), "code/yaml-python"),
        ([filler.as_bytes(), b"m: {_target_: os.system}\n"].concat(), "code/remote-code"),
    ] {
        for lengths in [&[usize::MAX][..], &[1], &[4099]] {
            let report = looking::scan_in("conf.yaml", &bytes, lengths);
            assert!(
                has(&report, rule),
                "{:?}: {:?}",
                bytes.escape_ascii().to_string().get(..60),
                found(&report)
            );
        }
    }
    for text in ["a: 100%TAG\n", "b: wow! 50%ab\n", "c: '!!%70'\n", "d: \"\\x41\"\n", "e: !Ref name\n"] {
        assert_eq!(findings("conf.yaml", text.as_bytes()), [""; 0], "{text}");
    }
}

#[test]
fn attack_a5_a_name_is_a_promise() {
    for (name, bytes, rule) in [
        ("a.npy", &b"\x80\x04K\x01."[..], "malformed/npy"),
        ("a.npy", b"text\n", "malformed/npy"),
        ("a.npz", b"\x80\x04K\x01.", "malformed/zip"),
        ("m.keras", b"{}", "malformed/zip"),
        ("m.h5", b"{}", "malformed/keras"),
        ("m.hdf5", b"\x80\x04K\x01.", "malformed/keras"),
        ("m.pb", b"\x80\x04K\x01.", "malformed/tensorflow"),
        ("m.tflite", b"\x80\x04K\x01.", "malformed/tflite"),
        ("m.safetensors", b"\x80\x04K\x01.", "malformed/safetensors"),
        ("m.gguf", b"\x80\x04K\x01.", "malformed/gguf"),
        ("m.joblib", b"x^\x01\x02\x03", "malformed/pickle"),
        ("m.pkl.gz", b"\x1f\x8b\x08\0\0\0\0\0\0\0\x07", "malformed/pickle"),
    ] {
        assert!(has(&scan(name, bytes), rule), "{name}: {:?}", findings(name, bytes));
    }
    // Several arrays in one file, as `numpy.save` writes them to one that is open.
    let array = b"\x93NUMPY\x01\0\x38\0{'descr': '<i2', 'fortran_order': False, 'shape': (2,)}\n\x01\0\x02\0";
    assert_eq!(findings("a.npy", array), [""; 0]);
    assert_eq!(findings("a.npy", &array.repeat(3)), [""; 0]);
    assert_eq!(
        findings("a.npy", &[&array[..], b"x"].concat()),
        ["malformed/npy is not as long as its shape says"]
    );
    let objects = b"\x93NUMPY\x01\0\x37\0{'descr': '|O', 'fortran_order': False, 'shape': (2,)}\n";
    let report = scan("a.npy", &[&array[..], objects, b"cposix\nsystem\n(S'id'\ntR."].concat());
    assert!(has(&report, "code/pickle-dangerous"), "{:?}", found(&report));
}

#[test]
fn field_c10_unusual_gguf_is_not_malformed() {
    let big = |name: &str| {
        let mut bytes = b"GGUF".to_vec();
        bytes.extend(3_u32.to_be_bytes());
        bytes.extend(1_u64.to_be_bytes());
        bytes.extend(1_u64.to_be_bytes());
        bytes.extend(12_u64.to_be_bytes());
        bytes.extend(b"general.name");
        bytes.extend(8_u32.to_be_bytes());
        bytes.extend(1_u64.to_be_bytes());
        bytes.extend(b"m");
        bytes.extend((name.len() as u64).to_be_bytes());
        bytes.extend(name.as_bytes());
        bytes.extend(1_u32.to_be_bytes());
        bytes.extend(4_u64.to_be_bytes());
        bytes.extend(0_u32.to_be_bytes());
        bytes.extend(0_u64.to_be_bytes());
        bytes.resize(bytes.len().next_multiple_of(32) + 16, 0);
        bytes
    };
    for bytes in [
        big("a"),
        big(&"n".repeat(200)),
        gguf(3, &[], &[(&"n".repeat(64), &[4], 0, 0)], 32),
        gguf(3, &[], &[(&"n".repeat(1000), &[4], 0, 0)], 32),
        gguf(3, &[], &[("a", &[32], 31, 0)], 32),
        gguf(3, &[], &[("a", &[64], 38, 0)], 64),
    ] {
        let report = scan("m.gguf", &bytes);
        assert_eq!(found(&report), [""; 0]);
        assert_eq!(report.facts.map(|facts| facts.tensors), Some(1));
    }
    let mut cut = big("a");
    cut.truncate(cut.len() - 1);
    assert_eq!(findings("m.gguf", &cut), ["malformed/gguf ends within the tensors"]);
    assert_eq!(
        findings("m.gguf", &gguf(3, &[], &[(&"n".repeat(1025), &[4], 0, 0)], 32)),
        ["malformed/gguf has a name that is too long"]
    );
}

#[test]
fn attack_a16_in_a_bundle() {
    let scanner = consign_scan::Scanner::new(consign_scan::ScanOptions::default());
    let bytes = b"[core]\n\tfsmonitor = touch x\n";
    let mut file = scanner.file(&".git/config".parse().unwrap(), bytes.len() as u64);
    file.update(bytes);
    let found = file.finish().findings;
    assert!(found.iter().any(|one| one.rule.as_str() == "code/git-config"), "{found:?}");
}

#[test]
fn attack_a5_a_pickle_that_is_compressed_in_another_way_is_not_passed_over() {
    for (name, bytes) in [
        ("m.joblib", &b"\xfd7zXZ\0\0\x04\xe6"[..]),
        ("m.pkl.xz", b"\xfd7zXZ\0\0\x04\xe6"),
        ("m.pkl", b"BZh91AY&SY\0\0\0\0"),
        ("m.joblib", b"\x5d\x00\x00\x80\x00\xff\xff"),
        ("m.joblib", b"\x04\x22\x4d\x18\x44\x40\xff"),
        ("m.pt", b"\x28\xb5\x2f\xfd\x00\x00\x00"),
    ] {
        for lengths in [&[usize::MAX][..], &[1]] {
            let report = looking::scan_in(name, bytes, lengths);
            assert!(has(&report, "malformed/pickle"), "{name}: {:?}", looking::found(&report));
        }
    }
    assert!(!has(&scan("images.tar.zst", b"\x28\xb5\x2f\xfd\x00\x00\x00"), "malformed/pickle"));
    for block in [4096, 32_768, 65_536, 1 << 20] {
        let mut hdf5 = vec![0; block];
        hdf5.extend(b"\x89HDF\r\n\x1a\n model_config {\"class_name\": \"Lambda\", \"config\": {}}");
        assert!(has(&scan("m.h5", &hdf5), "code/keras-lambda"), "{block}");
    }
}

#[test]
fn attack_a5_hdf5_behind_any_block_is_found() {
    for block in [512, 65_536, 1 << 17, 1 << 20] {
        let mut hdf5 = vec![b' '; block];
        hdf5.extend(b"\x89HDF\r\n\x1a\n model_config {\"class_name\": \"Lambda\", \"config\": {}}");
        for name in ["m.h5", "notes.txt", "m.bin"] {
            for lengths in [&[usize::MAX][..], &[997]] {
                let report = scan_in(name, &hdf5, lengths);
                assert!(has(&report, "code/keras-lambda"), "{name} {block}: {:?}", found(&report));
                assert!(!has(&report, "malformed/keras"), "{name} {block}: {:?}", found(&report));
            }
        }
    }
    let mut elsewhere = vec![b' '; 700];
    elsewhere.extend(b"\x89HDF\r\n\x1a\n");
    assert_eq!(findings("m.h5", &elsewhere), ["malformed/keras is not HDF5, as its name says"]);
}

#[test]
fn attack_a5_tensorflow_graphs_are_looked_into() {
    let graph = |operator: &str| message(2, &[message(2, &[message(1, &[text(1, "n"), text(2, operator)])])]);
    for (operator, told) in [
        ("PyFunc", "PyFunc"),
        ("PyFuncStateless", "PyFunc"),
        ("EagerPyFunc", "EagerPyFunc"),
        ("WriteFile", "WriteFile"),
        ("ReadFile", "ReadFile"),
    ] {
        let bytes = [number(1, 1), graph(operator)].concat();
        for lengths in [&[usize::MAX][..], &[1], &[5]] {
            let found = found(&scan_in("saved_model.pb", &bytes, lengths));
            assert_eq!(found, [format!("code/tensorflow-op {told}")]);
        }
    }
    let plain = [number(1, 1), graph("MatMul"), graph("SaveV2")].concat();
    assert_eq!(findings("saved_model.pb", &plain), [""; 0]);
    assert_eq!(
        findings("saved_model.pb", &plain[..plain.len() - 1]),
        ["malformed/tensorflow is no message of protocol buffers"]
    );
    let lambda = text(1, r#"{"class_name": "Lambda", "config": {}}"#);
    assert_eq!(findings("keras_metadata.pb", &lambda), ["code/keras-lambda Lambda"]);
    let flex = b"\x1c\0\0\0TFL3\0\0\0\0\x0a\0\0\0FlexPyFunc\0";
    assert!(has(&scan("m.tflite", flex), "code/tensorflow-op"), "{:?}", findings("m.tflite", flex));
}

#[test]
fn attack_a5_what_nobody_looks_into_is_said() {
    for (name, bytes) in [
        ("data", &b"7z\xbc\xaf\x27\x1c\0\x04"[..]),
        ("data", b"Rar!\x1a\x07\x01\0"),
        ("data", b"\x04\x22\x4d\x18\x64\x40\xa7"),
        ("data", b"LZIP\x01\x0c"),
        ("data", b"MSCF\0\0\0\0"),
        ("data", b"hsqs\x01\0\0\0"),
        ("data", b"RDX3\nX\n"),
        ("data", b"\x50\x2a\x4d\x18\x01\0\0\0x"),
        ("data", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"),
        ("m.mat", b"\0\0\0\0"),
        ("m.mlmodel", b"\x08\x04"),
        ("m.tflite", b"\x1c\0\0\0TFL3\0\0\0\0"),
        ("m.cbm", b"CBM1\0\0\0\0"),
        (
            "m.xml",
            b"<?xml version='1.0'?>\n<net name='m' version='11'><layers><layer id='0'/></layers></net>",
        ),
        ("m.pmml", b"<PMML version='4.4'></PMML>"),
        ("m.engine", b"ftrt\0\0\0\0"),
        ("saved_model.pbtxt", b"saved_model_schema_version: 1\n"),
    ] {
        let report = scan(name, bytes);
        assert!(has(&report, "code/opaque"), "{name} {}: {:?}", bytes.escape_ascii(), found(&report));
    }
    let mut mat = b"MATLAB 7.3 MAT-file".to_vec();
    mat.resize(512, b' ');
    mat.extend(b"\x89HDF\r\n\x1a\n");
    assert!(has(&scan("m.bin", &mat), "code/opaque"));
    let skops = Zip::with(&[("schema.json", b"{}", How::Deflated)]).finish();
    assert!(has(&scan("m.skops", &skops), "code/opaque"));
    assert_eq!(findings("m.llamafile", b"MZqFpD='\n"), ["code/native Actually Portable Executable"]);
}

#[test]
fn field_c10_gguf_that_cannot_be_judged_is_said_to_be_so() {
    for (bytes, what) in [
        (
            gguf(3, &[], &[("a", &[64], 60, 0)], 7),
            "has tensors of a type that is not known, so that nobody can say where they end",
        ),
        (gguf(1, &[], &[], 0), "is of version 1, which is not looked into"),
    ] {
        assert_eq!(findings("m.gguf", &bytes), [format!("code/opaque {what}")]);
    }
    // As llama.cpp reads it.
    assert_eq!(findings("m.gguf", &gguf(3, &[key("x", 7, &[2])], &[], 0)), [""; 0]);
}
