//! What kind of file something is, by its first bytes.
//!
//! The name decides nothing but between kinds of plain text, so that a pickle called `notes.txt` is a pickle. The
//! answer describes; it is no promise that the rest of the file fits.

mod pickle;

use std::fmt;

/// How many bytes from the beginning [`sniff`] looks at, at most.
pub const SNIFF_BYTES: usize = 64 * 1024;

/// Declares the formats, each with its stable identifier and the name that people use.
macro_rules! formats {
    ($($(#[$doc:meta])* $name:ident = $id:literal, $label:literal;)+) => {
        /// A file format.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum FileFormat {
            $($(#[$doc])* $name,)+
        }

        impl FileFormat {
            /// Every format.
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            /// Stable identifier for programs.
            pub fn id(self) -> &'static str {
                match self {
                    $(Self::$name => $id,)+
                }
            }

            /// Name for people.
            pub fn label(self) -> &'static str {
                match self {
                    $(Self::$name => $label,)+
                }
            }
        }
    };
}

formats! {
    /// Tensors behind a JSON header; holds data only.
    Safetensors = "safetensors", "safetensors weights";
    /// Weights for llama.cpp and its kin.
    Gguf = "gguf", "GGUF weights";
    /// The older relatives of GGUF.
    Ggml = "ggml", "GGML weights";
    /// A model graph as protocol buffers.
    Onnx = "onnx", "ONNX model";
    /// Python objects; loading runs what they say.
    Pickle = "pickle", "Python pickle";
    /// A ZIP with a pickle in it, as `torch.save` writes it.
    TorchZip = "pytorch", "PyTorch checkpoint (pickle in ZIP)";
    /// The format of `torch.save` before 1.6: pickles one after the other.
    TorchLegacy = "pytorch-legacy", "PyTorch checkpoint (legacy pickle)";
    /// ZIP archive.
    Zip = "zip", "ZIP archive";
    /// One NumPy array.
    Npy = "npy", "NumPy array";
    /// One NumPy array of Python objects: a pickle inside.
    NpyObjects = "npy-objects", "NumPy array of Python objects (pickle)";
    /// NumPy arrays in a ZIP.
    Npz = "npz", "NumPy arrays (ZIP)";
    /// HDF5, also of Keras and NetCDF 4.
    Hdf5 = "hdf5", "HDF5";
    /// Arrays behind a header, before NetCDF 4: CDF-1, CDF-2 and CDF-5.
    Netcdf = "netcdf", "NetCDF (classic)";
    /// Columns on disk.
    Parquet = "parquet", "Parquet table";
    /// Arrow IPC file, also called Feather 2.
    Arrow = "arrow", "Arrow IPC file";
    /// Feather 1.
    Feather = "feather", "Feather table";
    /// Rows with a schema.
    Avro = "avro", "Avro container";
    /// A database in one file.
    Sqlite = "sqlite", "SQLite database";
    /// Compressed with gzip.
    Gzip = "gzip", "gzip data";
    /// Compressed with zstd.
    Zstd = "zstd", "zstd data";
    /// Compressed with xz.
    Xz = "xz", "xz data";
    /// Compressed with bzip2.
    Bzip2 = "bzip2", "bzip2 data";
    /// tar archive.
    Tar = "tar", "tar archive";
    /// PNG image.
    Png = "png", "PNG image";
    /// JPEG image.
    Jpeg = "jpeg", "JPEG image";
    /// GIF image.
    Gif = "gif", "GIF image";
    /// TIFF image, also GeoTIFF.
    Tiff = "tiff", "TIFF image";
    /// WebP image.
    Webp = "webp", "WebP image";
    /// BMP image.
    Bmp = "bmp", "BMP image";
    /// WAV audio.
    Wav = "wav", "WAV audio";
    /// FLAC audio.
    Flac = "flac", "FLAC audio";
    /// MP3 audio.
    Mp3 = "mp3", "MP3 audio";
    /// Ogg audio or video.
    Ogg = "ogg", "Ogg media";
    /// PDF document.
    Pdf = "pdf", "PDF document";
    /// Program or library of Linux and other Unix systems.
    Elf = "elf", "ELF executable or library";
    /// One JSON value.
    Json = "json", "JSON";
    /// One JSON value a line.
    JsonLines = "jsonl", "JSON Lines";
    /// Jupyter notebook.
    Notebook = "notebook", "Jupyter notebook";
    /// Comma-separated values.
    Csv = "csv", "CSV table";
    /// Tab-separated values.
    Tsv = "tsv", "TSV table";
    /// YAML text.
    Yaml = "yaml", "YAML";
    /// TOML text.
    Toml = "toml", "TOML";
    /// XML text.
    Xml = "xml", "XML";
    /// HTML page.
    Html = "html", "HTML page";
    /// Markdown text.
    Markdown = "markdown", "Markdown text";
    /// Python source code.
    Python = "python", "Python source";
    /// Shell script.
    Shell = "shell", "shell script";
    /// Any other UTF-8 text.
    Text = "text", "plain text";
    /// No bytes at all.
    Empty = "empty", "empty file";
    /// Anything else.
    Binary = "binary", "unknown binary data";
}

impl FileFormat {
    /// Whether the usual way to load the file can run code that the file brings along. Scripts are not meant:
    /// everyone knows that they run.
    pub fn executes_code_on_load(self) -> bool {
        matches!(self, Self::Pickle | Self::TorchZip | Self::TorchLegacy | Self::NpyObjects)
    }

    /// Whether it is text that people read and write.
    pub fn is_text(self) -> bool {
        matches!(
            self,
            Self::Json
                | Self::JsonLines
                | Self::Notebook
                | Self::Csv
                | Self::Tsv
                | Self::Yaml
                | Self::Toml
                | Self::Xml
                | Self::Html
                | Self::Markdown
                | Self::Python
                | Self::Shell
                | Self::Text
        )
    }
}

impl fmt::Display for FileFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.label())
    }
}

/// The format of a file of `size` bytes that begins with `head`; 64 KiB of it suffice, less tells less.
///
/// ```
/// use consign_metadata::{FileFormat, sniff};
/// assert_eq!(sniff(b"\x80\x04\x95\x0b\0\0\0\0\0\0\0\x8c\x07numbers\x94.", 22, "notes.txt"), FileFormat::Pickle);
/// assert_eq!(sniff(b"a,b\n1,2\n", 8, "table.csv"), FileFormat::Csv);
/// ```
pub fn sniff(head: &[u8], size: u64, name: &str) -> FileFormat {
    let head = &head[..head.len().min(SNIFF_BYTES)];
    if size == 0 || head.is_empty() {
        return FileFormat::Empty;
    }
    // What runs code goes before what it may be dressed up as: `GIF89a` begins a valid pickle, too. Not before an archive,
    // of which no member would be looked into then: an array of objects in an `.npz` makes a pickle of its beginning.
    if pickle::calls(head) && !head.starts_with(b"PK\x03\x04") {
        return FileFormat::Pickle;
    }
    if let Some(format) = by_magic(head) {
        return format;
    }
    if let Some((_, format)) = BINARY.iter().find(|(fits, _)| fits(head, size)) {
        return *format;
    }
    match text_of(head, size) {
        Some(text) => text_format(text, size, name),
        None => FileFormat::Binary,
    }
}

/// Formats that a few bytes at a fixed place give away.
const MAGIC: [(usize, &[u8], FileFormat); 42] = [
    (0, b"GGUF", FileFormat::Gguf),
    (0, b"lmgg", FileFormat::Ggml),
    (0, b"fmgg", FileFormat::Ggml),
    (0, b"tjgg", FileFormat::Ggml),
    (0, b"\x89HDF\r\n\x1a\n", FileFormat::Hdf5),
    (0, b"CDF\x01", FileFormat::Netcdf),
    (0, b"CDF\x02", FileFormat::Netcdf),
    (0, b"CDF\x05", FileFormat::Netcdf),
    // HDF5 behind a user block, which has 512 bytes or twice as many, and so on; as far as the head goes.
    (4096, b"\x89HDF\r\n\x1a\n", FileFormat::Hdf5),
    (8192, b"\x89HDF\r\n\x1a\n", FileFormat::Hdf5),
    (16_384, b"\x89HDF\r\n\x1a\n", FileFormat::Hdf5),
    (32_768, b"\x89HDF\r\n\x1a\n", FileFormat::Hdf5),
    (512, b"\x89HDF\r\n\x1a\n", FileFormat::Hdf5),
    (1024, b"\x89HDF\r\n\x1a\n", FileFormat::Hdf5),
    (2048, b"\x89HDF\r\n\x1a\n", FileFormat::Hdf5),
    (0, b"PAR1", FileFormat::Parquet),
    (0, b"PARE", FileFormat::Parquet),
    (0, b"ARROW1\0\0", FileFormat::Arrow),
    (0, b"FEA1", FileFormat::Feather),
    (0, b"Obj\x01", FileFormat::Avro),
    (0, b"SQLite format 3\0", FileFormat::Sqlite),
    (0, b"\x1f\x8b\x08", FileFormat::Gzip),
    (0, b"\x28\xb5\x2f\xfd", FileFormat::Zstd),
    (0, b"\xfd7zXZ\0", FileFormat::Xz),
    (257, b"ustar\0", FileFormat::Tar),
    (257, b"ustar  \0", FileFormat::Tar),
    (0, b"\x89PNG\r\n\x1a\n", FileFormat::Png),
    (0, b"\xff\xd8\xff", FileFormat::Jpeg),
    (0, b"GIF87a", FileFormat::Gif),
    (0, b"GIF89a", FileFormat::Gif),
    (0, b"II\x2a\0", FileFormat::Tiff),
    (0, b"MM\0\x2a", FileFormat::Tiff),
    (0, b"II\x2b\0\x08\0\0\0", FileFormat::Tiff),
    (0, b"MM\0\x2b\0\x08\0\0", FileFormat::Tiff),
    (0, b"fLaC\0", FileFormat::Flac),
    (0, b"ID3\x02", FileFormat::Mp3),
    (0, b"ID3\x03", FileFormat::Mp3),
    (0, b"ID3\x04", FileFormat::Mp3),
    (0, b"OggS\0", FileFormat::Ogg),
    (0, b"%PDF-", FileFormat::Pdf),
    (0, b"\x7fELF\x01", FileFormat::Elf),
    (0, b"\x7fELF\x02", FileFormat::Elf),
];

fn by_magic(head: &[u8]) -> Option<FileFormat> {
    // Nearly all are told apart by one byte, which costs no call.
    let fits = |&&(at, magic, _): &&(usize, &[u8], FileFormat)| {
        head.get(at) == magic.first() && head.get(at..).is_some_and(|rest| rest.starts_with(magic))
    };
    MAGIC.iter().find(fits).map(|&(_, _, format)| format)
}

/// Whether a head, and the size of the file, fit a format.
type Test = fn(&[u8], u64) -> bool;

/// Formats that need more than a glance, the surer ones first.
const BINARY: [(Test, FileFormat); 14] = [
    (is_safetensors, FileFormat::Safetensors),
    (is_torch_zip, FileFormat::TorchZip),
    (is_npz, FileFormat::Npz),
    (is_zip, FileFormat::Zip),
    (is_npy_objects, FileFormat::NpyObjects),
    (is_npy, FileFormat::Npy),
    (is_wav, FileFormat::Wav),
    (is_webp, FileFormat::Webp),
    (is_bmp, FileFormat::Bmp),
    (is_bzip2, FileFormat::Bzip2),
    (is_torch_legacy, FileFormat::TorchLegacy),
    (is_pickle, FileFormat::Pickle),
    (is_mp3, FileFormat::Mp3),
    (is_onnx, FileFormat::Onnx),
];

/// Eight bytes of length, then that much JSON. The header ends within the file (format of the safetensors crate:
/// at most 100 MB of header).
fn is_safetensors(head: &[u8], size: u64) -> bool {
    let Some((length, rest)) = head.split_first_chunk::<8>() else { return false };
    let length = u64::from_le_bytes(*length);
    let begins = rest
        .iter()
        .find(|b| !b.is_ascii_whitespace() && **b != b'{')
        .is_some_and(|b| matches!(b, b'"' | b'}'));
    (2..=100_000_000).contains(&length)
        && length <= size.saturating_sub(8)
        && rest.first() == Some(&b'{')
        && begins
}

/// Names of the members that begin within the head, as their local headers say (APPNOTE.TXT, 4.3.7).
fn zip_names(head: &[u8]) -> Vec<&[u8]> {
    let mut names = Vec::new();
    let mut rest = head;
    while names.len() < 64 && rest.starts_with(b"PK\x03\x04") {
        let short = |at: usize| rest.get(at..at + 2).map(|b| usize::from(u16::from_le_bytes([b[0], b[1]])));
        let long = |at: usize| rest.get(at..at + 4).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]));
        let (Some(name), Some(extra), Some(packed)) = (short(26), short(28), long(18)) else { break };
        let Some(text) = rest.get(30..30 + name) else { break };
        names.push(text);
        let Some(next) = usize::try_from(packed).ok().and_then(|n| rest.get(30 + name + extra..)?.get(n..))
        else {
            break;
        };
        rest = next;
    }
    names
}

fn is_zip(head: &[u8], _: u64) -> bool {
    head.starts_with(b"PK\x03\x04") || head.starts_with(b"PK\x05\x06\0\0")
}

fn is_torch_zip(head: &[u8], _: u64) -> bool {
    let names = zip_names(head);
    let pickle = |name: &&[u8]| *name == b"data.pkl" || name.ends_with(b"/data.pkl");
    // TorchScript writes its tensors first, under the same top folder as everywhere.
    let folder = |name: &&[u8]| name.starts_with(b"archive/");
    names.iter().any(pickle) || names.first().is_some_and(folder)
}

fn is_npz(head: &[u8], _: u64) -> bool {
    let names = zip_names(head);
    !names.is_empty() && names.iter().all(|name| name.ends_with(b".npy"))
}

fn is_npy(head: &[u8], _: u64) -> bool {
    head.starts_with(b"\x93NUMPY") && matches!(head.get(6), Some(1..=3))
}

/// `descr` of the header says `|O`: the data is a pickle.
fn is_npy_objects(head: &[u8], size: u64) -> bool {
    let header = &head[..head.len().min(1024)];
    let end = header.iter().position(|&b| b == b'\n').unwrap_or(header.len());
    is_npy(head, size) && (contains(&header[..end], b"'|O'") || contains(&header[..end], b"'O'"))
}

fn is_riff(head: &[u8], kind: &[u8]) -> bool {
    head.starts_with(b"RIFF") && head.get(8..12) == Some(kind)
}

fn is_wav(head: &[u8], _: u64) -> bool {
    is_riff(head, b"WAVE")
}

fn is_webp(head: &[u8], _: u64) -> bool {
    is_riff(head, b"WEBP")
}

/// Two letters are little; the header that follows has one of few lengths, and its four reserved bytes are 0.
fn is_bmp(head: &[u8], _: u64) -> bool {
    head.starts_with(b"BM")
        && head.get(6..10) == Some(&[0; 4])
        && head.get(14..18).is_some_and(|b| matches!(b, [12 | 40 | 52 | 56 | 64 | 108 | 124, 0, 0, 0]))
}

fn is_bzip2(head: &[u8], _: u64) -> bool {
    head.starts_with(b"BZh")
        && matches!(head.get(3), Some(b'1'..=b'9'))
        && matches!(head.get(4..10), Some(b"\x31\x41\x59\x26\x53\x59" | b"\x17\x72\x45\x38\x50\x90"))
}

/// An MPEG audio frame without a tag before it: layer III, a bit rate and a sampling rate that exist. Few bits,
/// so the next frame must stand where this one says.
fn is_mp3(head: &[u8], _: u64) -> bool {
    const KBITS: [usize; 15] = [0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320];
    const HERTZ: [usize; 3] = [44_100, 48_000, 32_000];
    let [0xff, 0xfa | 0xfb, rates, ..] = *head else { return false };
    let (Some(&kbits), Some(&hertz)) =
        (KBITS.get(usize::from(rates >> 4)), HERTZ.get(usize::from(rates >> 2 & 3)))
    else {
        return false;
    };
    let length = 144_000 * kbits / hertz + usize::from(rates >> 1 & 1);
    kbits > 0 && head.get(length..length + 2).is_some_and(|next| next == &head[..2])
}

/// The magic number of `torch.save` before 1.6, as a pickle of protocol 2 (`torch/serialization.py`).
fn is_torch_legacy(head: &[u8], _: u64) -> bool {
    head.starts_with(b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.")
}

fn is_pickle(head: &[u8], _: u64) -> bool {
    pickle::is_pickle(head)
}

/// ONNX has no magic number: a protocol buffer whose first fields are those of a ModelProto (`onnx.proto`), in
/// order: 1 `ir_version`, 2 `producer_name`, 3 `producer_version`, 4 `domain`, 5 `model_version`, 6 `doc_string`,
/// 7 `graph`, 8 `opset_import`. Accepted if the version makes sense and the graph or the operator set is reached.
fn is_onnx(head: &[u8], size: u64) -> bool {
    let mut rest = head;
    let mut last = 0;
    let mut texts = 0;
    loop {
        let Some(tag) = varint(&mut rest) else { return false };
        let (field, wire) = (tag >> 3, tag & 7);
        if field < last || !(1..=8).contains(&field) || (last == 0 && tag != 0x08) {
            return false;
        }
        last = field;
        let Some(value) = varint(&mut rest) else { return false };
        match (field, wire) {
            (1, 0) if (1..=64).contains(&value) => {}
            (5, 0) => {}
            (2..=4 | 6, 2) => {
                let Some(text) = usize::try_from(value).ok().and_then(|n| rest.split_at_checked(n)) else {
                    return false;
                };
                if std::str::from_utf8(text.0).is_err() {
                    return false;
                }
                rest = text.1;
                texts += 1;
            }
            // The graph fills the file, and begins with a node, its name, a tensor or an input.
            (7, 2) => {
                let begins = matches!(rest.first(), Some(0x0a | 0x12 | 0x2a | 0x5a));
                return begins && value < size && (texts > 0 || value > size / 2);
            }
            // An operator set: its domain or its version.
            (8, 2) => return texts > 0 && value < size && matches!(rest.first(), Some(0x0a | 0x10)),
            _ => return false,
        }
    }
}

/// One varint of protocol buffers.
fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for shift in (0..63).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}

/// The head as text, without a byte order mark, if it is UTF-8 without control characters. A character that the
/// end of the head cuts in two does not count where the file goes on.
fn text_of(head: &[u8], size: u64) -> Option<&str> {
    let head = head.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(head);
    let text = match std::str::from_utf8(head) {
        Ok(text) => text,
        Err(error) if error.error_len().is_none() && u64::try_from(head.len()).is_ok_and(|n| n < size) => {
            std::str::from_utf8(&head[..error.valid_up_to()]).ok()?
        }
        Err(_) => return None,
    };
    (!has_control(text.as_bytes())).then_some(text)
}

/// Whether any byte is a control character of ASCII that text does not have. No other character of UTF-8 has such bytes.
fn has_control(bytes: &[u8]) -> bool {
    let control = |byte: u8| {
        (byte < 0x20 || byte == 0x7f) && !matches!(byte, b'\n' | b'\r' | b'\t' | b'\x0c' | b'\x1b')
    };
    // All of a stretch without a way out, so that the compiler looks at many bytes at once.
    bytes.chunks(256).any(|stretch| stretch.iter().fold(false, |any, &byte| any | control(byte)))
}

/// Which kind of text it is. Content that speaks for itself wins over the name; then the name decides, if the
/// content does not contradict.
fn text_format(text: &str, size: u64, name: &str) -> FileFormat {
    let whole = u64::try_from(text.len()).is_ok_and(|n| n + 3 >= size);
    let start = text.trim_start();
    if let Some(format) = structured(start, whole) {
        return format;
    }
    let lower = start.get(..start.floor_char_boundary(256)).unwrap_or(start).to_ascii_lowercase();
    if lower.starts_with("<?xml") {
        return if lower.contains("<html") { FileFormat::Html } else { FileFormat::Xml };
    }
    if lower.starts_with("<!doctype html") || lower.starts_with("<html") {
        return FileFormat::Html;
    }
    if let Some(interpreter) = start.strip_prefix("#!").and_then(|rest| rest.lines().next()) {
        let mut words = interpreter.split(['/', ' ']);
        if interpreter.contains("python") {
            return FileFormat::Python;
        }
        if words.any(|word| matches!(word, "sh" | "bash" | "dash" | "zsh" | "ksh")) {
            return FileFormat::Shell;
        }
    }
    by_name(text, whole, name)
}

/// JSON in its variants, if the text begins with a value in brackets.
fn structured(start: &str, whole: bool) -> Option<FileFormat> {
    if !start.starts_with(['{', '[']) {
        return None;
    }
    let mut values = serde_json::Deserializer::from_str(start).into_iter::<serde::de::IgnoredAny>();
    let mut count = 0;
    let mut cut = false;
    for value in values.by_ref().take(2) {
        match value {
            Ok(_) => count += 1,
            Err(error) if error.is_eof() && !whole => cut = true,
            Err(_) => return None,
        }
    }
    let first_line = start.lines().next().unwrap_or_default();
    match count {
        2.. => Some(FileFormat::JsonLines),
        // One value and the beginning of the next.
        1 if cut => Some(FileFormat::JsonLines),
        1 if !whole && start.len() > first_line.len() + 1 && values.byte_offset() <= first_line.len() => {
            Some(FileFormat::JsonLines)
        }
        _ if start.starts_with('{') && start.contains("\"cells\"") && start.contains("\"cell_type\"") => {
            Some(FileFormat::Notebook)
        }
        // A long value is cut: it looks like JSON as far as one can see.
        _ => Some(FileFormat::Json),
    }
}

/// Suffixes of names and the text formats that they stand for.
const SUFFIXES: [(&[&str], FileFormat); 11] = [
    (&["csv"], FileFormat::Csv),
    (&["tsv", "tab"], FileFormat::Tsv),
    (&["yaml", "yml"], FileFormat::Yaml),
    (&["toml"], FileFormat::Toml),
    (&["md", "markdown"], FileFormat::Markdown),
    (&["py", "pyi"], FileFormat::Python),
    (&["sh", "bash", "sbatch"], FileFormat::Shell),
    (&["html", "htm"], FileFormat::Html),
    (&["xml", "svg"], FileFormat::Xml),
    (&["json"], FileFormat::Json),
    (&["jsonl", "ndjson"], FileFormat::JsonLines),
];

fn by_name(text: &str, whole: bool, name: &str) -> FileFormat {
    let suffix = name.rsplit_once('.').map_or("", |(_, suffix)| suffix).to_ascii_lowercase();
    let claimed =
        SUFFIXES.iter().find(|(names, _)| names.contains(&suffix.as_str())).map(|&(_, format)| format);
    match claimed {
        // What begins as JSON was found before; scalars are left, one or one a line.
        Some(FileFormat::Json | FileFormat::JsonLines) => {
            let scalar = |line: &str| serde_json::from_str::<serde::de::IgnoredAny>(line).is_ok();
            let mut lines = text.lines().filter(|line| !line.trim().is_empty()).take(10).peekable();
            let fits = lines.peek().is_some() && lines.all(scalar);
            if fits { claimed.unwrap_or(FileFormat::Text) } else { FileFormat::Text }
        }
        Some(FileFormat::Xml | FileFormat::Html) if !text.trim_start().starts_with('<') => FileFormat::Text,
        Some(format) => format,
        None => table(text, whole).unwrap_or(FileFormat::Text),
    }
}

/// A table without a telling name: at least two lines, all with the same number of separators.
fn table(text: &str, whole: bool) -> Option<FileFormat> {
    let mut lines: Vec<&str> = text.lines().take(51).collect();
    if !whole {
        // The last line may be cut.
        lines.pop();
    }
    let same = |separator: char| {
        let counts: Vec<_> = lines.iter().map(|line| line.matches(separator).count()).collect();
        counts.len() >= 2 && counts[0] > 0 && counts.iter().all(|&count| count == counts[0])
    };
    // A comma followed by a space is prose.
    let prose = text.contains(", ");
    if same('\t') {
        Some(FileFormat::Tsv)
    } else if same(',') && !prose {
        Some(FileFormat::Csv)
    } else {
        None
    }
}

#[cfg(test)]
mod tests;
