//! Programs and libraries, recognised by their first bytes or by name, and Python code.

use consign_metadata::{FileFormat, StaticRuleId};

use super::feed::le;
use super::notes::{Notes, rule};
use crate::inspect::{Inspect, Report, Subject};

/// How much of a file is looked at: the header of a Windows program lies somewhere in the first pages.
const HEAD: usize = 4096;

/// Looks whether a file is a program.
#[derive(Debug)]
pub(super) struct Program {
    notes: Notes,
    head: Vec<u8>,
    /// What the name says it is.
    by_name: Option<(StaticRuleId, &'static str)>,
}

impl Program {
    pub(super) fn new(subject: &Subject, format: FileFormat, name: &str) -> Self {
        Self { notes: Notes::new(subject), head: Vec::new(), by_name: by_name(format, name) }
    }
}

impl Inspect for Program {
    fn update(&mut self, bytes: &[u8], _: &mut Report) {
        let room = HEAD - self.head.len();
        self.head.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    fn finish(&mut self, report: &mut Report) {
        let script = || self.head.starts_with(b"#!").then_some((rule::SCRIPT, "script"));
        if let Some((rule, what)) = by_content(&self.head).or(self.by_name).or_else(script) {
            self.notes.add(report, rule, what);
        }
        self.head = Vec::new();
    }
}

fn by_name(format: FileFormat, name: &str) -> Option<(StaticRuleId, &'static str)> {
    if format == FileFormat::Empty {
        return None;
    }
    let name = name.rsplit('/').next().unwrap_or_default().to_ascii_lowercase();
    let suffix = name.rsplit_once('.').map_or("", |(_, suffix)| suffix);
    match suffix {
        // What lies in these is not looked into.
        _ if matches!(format, FileFormat::Tar | FileFormat::Zstd | FileFormat::Xz | FileFormat::Bzip2) => {
            Some((rule::OPAQUE, UNREAD))
        }
        "7z" | "rar" | "lz4" | "lzma" | "lz" => Some((rule::OPAQUE, UNREAD)),
        "mat" => Some((rule::OPAQUE, MATLAB)),
        "mlmodel" => Some((rule::OPAQUE, "is a Core ML model, whose custom layers are not looked into")),
        "tflite" | "lite" => Some((rule::OPAQUE, TFLITE)),
        "pmml" => Some((rule::OPAQUE, PMML)),
        "cbm" => Some((rule::OPAQUE, CATBOOST)),
        "skops" => Some((rule::OPAQUE, "names types that skops imports, which are not looked into")),
        "pbtxt" => Some((rule::OPAQUE, "is a graph as text, whose operators are not looked into")),
        "engine" | "trt" | "pte" | "dlc" | "rknn" | "mnn" | "om" => {
            Some((rule::OPAQUE, "is a compiled model, which is not looked into"))
        }
        "rds" | "rda" | "rdata" => Some((rule::OPAQUE, "holds R objects, which are not looked into")),
        _ if format == FileFormat::Python => Some((rule::PYTHON, "Python source")),
        "py" | "pyw" | "pyx" => Some((rule::PYTHON, "Python source")),
        "pyc" | "pyo" => Some((rule::PYTHON, "Python bytecode")),
        "jinja" | "jinja2" | "j2" => Some((rule::CHAT_TEMPLATE, "Jinja template")),
        "so" | "dll" | "dylib" | "pyd" | "exe" | "wasm" => Some((rule::NATIVE, "by its name")),
        "sh" | "bash" | "zsh" | "ksh" | "csh" | "fish" | "command" => Some((rule::SCRIPT, "shell script")),
        "ps1" | "psm1" | "psd1" => Some((rule::SCRIPT, "PowerShell script")),
        "bat" | "cmd" | "vbs" | "wsf" | "hta" => Some((rule::SCRIPT, "Windows script")),
        "js" | "mjs" | "cjs" | "ts" => Some((rule::SCRIPT, "JavaScript")),
        "r" | "rscript" => Some((rule::SCRIPT, "R script")),
        "jl" | "lua" | "pl" | "rb" | "php" | "tcl" | "scpt" | "applescript" => Some((rule::SCRIPT, "script")),
        "jar" | "class" => Some((rule::NATIVE, "Java program")),
        _ if format == FileFormat::Shell => Some((rule::SCRIPT, "shell script")),
        _ if matches!(
            name.as_str(),
            "makefile" | "gnumakefile" | "bsdmakefile" | "dockerfile" | "justfile"
        ) =>
        {
            Some((rule::SCRIPT, "script"))
        }
        _ if name.contains(".so.") => Some((rule::NATIVE, "by its name")),
        _ => None,
    }
}

const UNREAD: &str = "is an archive or compressed data that is not looked into";
const MATLAB: &str = "holds MATLAB data, whose objects and function handles are not looked into";
const TFLITE: &str = "is a TensorFlow Lite model, whose custom operators are not looked into";
const PMML: &str = "is PMML, which is not looked into";
const CATBOOST: &str = "is a CatBoost model, which is not looked into";
const OPENVINO: &str = "is an OpenVINO model, whose custom operators are not looked into";

/// How compressed data and archives begin that are not looked into, and other containers: in none of them is anything
/// found.
const OPAQUE_MAGIC: [&[u8]; 20] = [
    b"7z\xbc\xaf\x27\x1c",
    b"Rar!\x1a\x07",
    b"\x04\x22\x4d\x18",
    b"\x02\x21\x4c\x18",
    b"LZIP\x01",
    b"\x89LZO\0\r\n\x1a\n",
    b"\x1f\x9d\x90",
    b"\xff\x06\0\0sNaPpY",
    b"MSCF\0\0\0\0",
    b"xar!\0\x1c",
    b"!<arch>\n",
    b"070701",
    b"070707",
    b"hsqs",
    b"\xed\xab\xee\xdb",
    b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
    b"RDX2\n",
    b"RDX3\n",
    b"RDA3\n",
    b"ZPAQ",
];

fn by_content(head: &[u8]) -> Option<(StaticRuleId, &'static str)> {
    let native = |what| Some((rule::NATIVE, what));
    match head {
        [0x7f, b'E', b'L', b'F', ..] => native("ELF"),
        [0, b'a', b's', b'm', 1 | 2 | 0xd, 0, 0 | 1, 0, ..] => native("WebAssembly"),
        [0xfe, 0xed, 0xfa, 0xce | 0xcf, ..] | [0xce | 0xcf, 0xfa, 0xed, 0xfe, ..] => native("Mach-O"),
        // Of two to a few architectures: a class file of Java, which begins alike, has a version there.
        [0xca, 0xfe, 0xba, 0xbe, 0, 0, 0, 1..=20, ..] => native("Mach-O"),
        // One file for many systems, as llamafile writes them: a script to a shell, a program to Windows.
        [b'M', b'Z', b'q', b'F', b'p', b'D', b'=', ..] | [b'j', b'a', b'r', b't', b's', b'r', b'=', ..] => {
            native("Actually Portable Executable")
        }
        [b'M', b'Z', ..] => {
            let at = usize::try_from(le::<4>(head, 0x3c)).unwrap_or(usize::MAX);
            let pe = head.get(at..).is_some_and(|rest| rest.starts_with(b"PE\0\0"));
            if pe { native("Windows program") } else { None }
        }
        // The magic number of CPython: 3000 to 3700, and a line end that text would not keep.
        [low, high, b'\r', b'\n', ..] if (3000..3700).contains(&u16::from_le_bytes([*low, *high])) => {
            Some((rule::PYTHON, "Python bytecode"))
        }
        [b'C', b'B', b'M', b'1', ..] => Some((rule::OPAQUE, CATBOOST)),
        [_, _, _, _, b'T', b'F', b'L', b'3', ..] => Some((rule::OPAQUE, TFLITE)),
        // A frame of zstd that is skipped, with others behind it.
        [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Some((rule::OPAQUE, UNREAD)),
        _ if head.starts_with(b"MATLAB ") && head.get(124..).is_some_and(|rest| rest.len() >= 4) => {
            Some((rule::OPAQUE, MATLAB))
        }
        _ if OPAQUE_MAGIC.iter().any(|magic| head.starts_with(magic)) => Some((rule::OPAQUE, UNREAD)),
        _ => by_root(head),
    }
}

/// Models in XML, by the first element.
fn by_root(head: &[u8]) -> Option<(StaticRuleId, &'static str)> {
    let text = head.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(head).trim_ascii_start();
    if !text.starts_with(b"<") {
        return None;
    }
    let holds = |text: &[u8]| memchr::memmem::find(head, text).is_some();
    if holds(b"<PMML") {
        Some((rule::OPAQUE, PMML))
    } else if holds(b"<net ") && holds(b"<layer") {
        Some((rule::OPAQUE, OPENVINO))
    } else {
        None
    }
}
