//! Things that look like secrets, made anew for every run out of pieces, so that none stands in the repository; and
//! the short way to scan.
#![allow(dead_code, reason = "each test file uses its part")]
#![allow(clippy::cast_possible_truncation, reason = "random bytes are cut out of larger numbers")]
#![allow(clippy::unwrap_used, reason = "a helper of a test may fail like one")]

pub mod negatives;
pub mod positives;

use base64::Engine as _;
use consign_scan::{FileReport, ScanOptions, Scanner};

/// A file of the corpus.
pub struct Sample {
    /// The rule that must find something in it; none may where it is empty.
    pub rule: &'static str,
    pub name: String,
    pub content: Vec<u8>,
    /// What must not be shown.
    pub secret: String,
}

/// Characters that look random and are the same every time.
pub struct Random(u64);

pub const ALNUM: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
pub const LETTERS: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
pub const HEX: &str = "0123456789abcdef";
pub const UPPER: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
pub const BASE64: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
pub const URL64: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// So many characters of an alphabet.
    pub fn of(&mut self, alphabet: &str, count: usize) -> String {
        let alphabet = alphabet.as_bytes();
        (0..count).map(|_| char::from(alphabet[(self.next() >> 11) as usize % alphabet.len()])).collect()
    }

    pub fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| (self.next() >> 24) as u8).collect()
    }
}

pub fn base64(bytes: impl AsRef<[u8]>) -> String {
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

pub fn url64(bytes: impl AsRef<[u8]>) -> String {
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)
}

/// A private key block of that kind, with noise for a key.
pub fn pem(random: &mut Random, kind: &str) -> String {
    let lines: Vec<_> = (0..12).map(|_| random.of(BASE64, 64)).collect();
    let border = |word: &str| format!("-----{word} {kind}PRIVATE KEY-----");
    format!("{}\n{}\n{}\n", border("BEGIN"), lines.join("\n"), border("END"))
}

/// Scans a file that comes in pieces of that size.
pub fn scan_in(scanner: &Scanner, name: &str, content: &[u8], piece: usize) -> FileReport {
    let mut file = scanner.file(&name.parse().unwrap(), content.len() as u64);
    content.chunks(piece.max(1)).for_each(|piece| file.update(piece));
    file.finish()
}

pub fn scan(name: &str, content: impl AsRef<[u8]>) -> FileReport {
    let content = content.as_ref();
    scan_in(&Scanner::new(ScanOptions::default()), name, content, content.len())
}

/// What was found, in short: rule, line and excerpt. That a file is code is right, and not what these tests are about.
pub fn found(report: &FileReport) -> Vec<(String, Option<u64>, String)> {
    let excerpt = |f: &consign_metadata::Finding| f.place.excerpt.as_ref().map(ToString::to_string);
    report
        .findings
        .iter()
        .filter(|f| f.rule.kind() != "code")
        .map(|f| (f.rule.to_string(), f.place.line, excerpt(f).unwrap_or_default()))
        .collect()
}
