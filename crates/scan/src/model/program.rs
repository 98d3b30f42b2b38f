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
            Some((rule::OPAQUE, "is an archive or compressed data that is not looked into"))
        }
        "7z" | "rar" | "lz4" | "lzma" | "lz" => {
            Some((rule::OPAQUE, "is compressed data that is not looked into"))
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

fn by_content(head: &[u8]) -> Option<(StaticRuleId, &'static str)> {
    let native = |what| Some((rule::NATIVE, what));
    match head {
        [0x7f, b'E', b'L', b'F', ..] => native("ELF"),
        [0, b'a', b's', b'm', 1 | 2 | 0xd, 0, 0 | 1, 0, ..] => native("WebAssembly"),
        [0xfe, 0xed, 0xfa, 0xce | 0xcf, ..] | [0xce | 0xcf, 0xfa, 0xed, 0xfe, ..] => native("Mach-O"),
        // Of two to a few architectures: a class file of Java, which begins alike, has a version there.
        [0xca, 0xfe, 0xba, 0xbe, 0, 0, 0, 1..=20, ..] => native("Mach-O"),
        [b'M', b'Z', ..] => {
            let at = usize::try_from(le::<4>(head, 0x3c)).unwrap_or(usize::MAX);
            let pe = head.get(at..).is_some_and(|rest| rest.starts_with(b"PE\0\0"));
            if pe { native("Windows program") } else { None }
        }
        // The magic number of CPython: 3000 to 3700, and a line end that text would not keep.
        [low, high, b'\r', b'\n', ..] if (3000..3700).contains(&u16::from_le_bytes([*low, *high])) => {
            Some((rule::PYTHON, "Python bytecode"))
        }
        _ => None,
    }
}
