//! Heads of real files, and lies.

use proptest::prelude::*;

use super::*;

fn of(head: &[u8], name: &str) -> FileFormat {
    sniff(head, u64::try_from(head.len()).expect("small"), name)
}

/// `lead`, then zeros up to `length`.
fn padded(lead: &[u8], length: usize) -> Vec<u8> {
    let mut bytes = lead.to_vec();
    bytes.resize(length, 0);
    bytes
}

fn safetensors(json: &str) -> Vec<u8> {
    let mut bytes = u64::try_from(json.len()).expect("small").to_le_bytes().to_vec();
    bytes.extend(json.as_bytes());
    bytes.extend([0; 16]);
    bytes
}

/// A ZIP with stored members, without its directory.
fn zip(names: &[&str]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for name in names {
        let length = u16::try_from(name.len()).expect("short").to_le_bytes();
        bytes.extend(b"PK\x03\x04\x14\0\0\0\0\0\0\0\0\0\0\0\0\0\x02\0\0\0\x02\0\0\0");
        bytes.extend(length);
        bytes.extend([0, 0]);
        bytes.extend(name.as_bytes());
        bytes.extend(b"hi");
    }
    bytes
}

fn npy(descr: &str) -> Vec<u8> {
    let header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': (3,), }}\n");
    let mut bytes = b"\x93NUMPY\x01\0".to_vec();
    bytes.extend(u16::try_from(header.len()).expect("short").to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes.extend([0; 24]);
    bytes
}

/// A tar header of one file.
fn tar(magic: &[u8]) -> Vec<u8> {
    let mut bytes = padded(b"data/train.csv", 1024);
    bytes[257..257 + magic.len()].copy_from_slice(magic);
    bytes
}

#[test]
fn each_format_is_recognised_under_any_name() {
    // An ONNX model: version 8, producer `pytorch`, then a graph of 40 bytes.
    let onnx = [b"\x08\x08\x12\x07pytorch\x1a\x052.1.0:\x28\x0a\x26".as_slice(), &[7; 38]].concat();
    // Two frames of MPEG-1 layer III, 128 kbit/s, 44.1 kHz: 417 bytes each.
    let frame = padded(b"\xff\xfb\x90\x00", 417);
    let mp3 = [frame.clone(), frame].concat();
    let cases: Vec<(FileFormat, Vec<u8>)> = vec![
        (
            FileFormat::Safetensors,
            safetensors(r#"{"w":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}}   "#),
        ),
        (FileFormat::Safetensors, safetensors("{}")),
        (FileFormat::Gguf, b"GGUF\x03\0\0\0\x01\0\0\0\0\0\0\0".to_vec()),
        (FileFormat::Ggml, b"lmgg\x01\0\0\0".to_vec()),
        (FileFormat::Ggml, b"tjgg\x03\0\0\0".to_vec()),
        (FileFormat::Onnx, onnx),
        (FileFormat::Pickle, b"\x80\x04\x95\x15\0\0\0\0\0\0\0}\x94(\x8c\x01a\x94K\x01u.".to_vec()),
        (FileFormat::Pickle, b"\x80\x05N.".to_vec()),
        (FileFormat::Pickle, b"\x80\x03}q\0X\x01\0\0\0aq\x01K\x01s.".to_vec()),
        (FileFormat::Pickle, b"\x80\x02]q\0.".to_vec()),
        (FileFormat::Pickle, b"\x80\x02cos\nsystem\nU\x02lsR.".to_vec()),
        (FileFormat::Pickle, b"cos\nsystem\n(S'rm -rf /'\ntR.".to_vec()),
        (FileFormat::Pickle, b"(cos\nsystem\nS'ls'\no.".to_vec()),
        (FileFormat::Pickle, b"(dp0\nS'a'\np1\nI1\ns.".to_vec()),
        (FileFormat::Pickle, b"(lp0\nI1\na.".to_vec()),
        (FileFormat::Pickle, b"}q\0X\x01\0\0\0aq\x01K\x01s.".to_vec()),
        (FileFormat::TorchZip, zip(&["archive/data.pkl", "archive/version"])),
        (FileFormat::TorchZip, zip(&["model/byteorder", "model/data.pkl"])),
        (FileFormat::TorchLegacy, b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.".to_vec()),
        (FileFormat::Zip, zip(&["a.txt", "b.txt"])),
        (FileFormat::Zip, padded(b"PK\x05\x06", 22)),
        (FileFormat::Npy, npy("<f4")),
        (FileFormat::NpyObjects, npy("|O")),
        (FileFormat::Npz, zip(&["x.npy", "y.npy"])),
        (FileFormat::Netcdf, b"CDF\x01\0\0\0\0\0\0\0\x0a".to_vec()),
        (FileFormat::Netcdf, b"CDF\x05\0\0\0\0\0\0\0\0".to_vec()),
        (FileFormat::Hdf5, padded(b"\x89HDF\r\n\x1a\n", 64)),
        (FileFormat::Hdf5, [vec![0; 512], b"\x89HDF\r\n\x1a\n".to_vec()].concat()),
        (FileFormat::Parquet, b"PAR1\x15\x04\x15\x10".to_vec()),
        (FileFormat::Arrow, b"ARROW1\0\0\xff\xff\xff\xff".to_vec()),
        (FileFormat::Feather, b"FEA1\0\0\0\0".to_vec()),
        (FileFormat::Avro, b"Obj\x01\x04\x14avro.codec".to_vec()),
        (FileFormat::Sqlite, padded(b"SQLite format 3\0\x10\0", 100)),
        (FileFormat::Gzip, b"\x1f\x8b\x08\0\0\0\0\0\0\x03".to_vec()),
        (FileFormat::Zstd, b"\x28\xb5\x2f\xfd\x04\0".to_vec()),
        (FileFormat::Xz, b"\xfd7zXZ\0\0\x04".to_vec()),
        (FileFormat::Bzip2, b"BZh91AY&SY\0\0".to_vec()),
        (FileFormat::Tar, tar(b"ustar\x0000")),
        (FileFormat::Tar, tar(b"ustar  \0")),
        (FileFormat::Png, b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec()),
        (FileFormat::Jpeg, b"\xff\xd8\xff\xe0\0\x10JFIF\0".to_vec()),
        (FileFormat::Gif, b"GIF89a\x01\0\x01\0".to_vec()),
        (FileFormat::Tiff, b"II\x2a\0\x08\0\0\0".to_vec()),
        (FileFormat::Tiff, b"MM\0\x2a\0\0\0\x08".to_vec()),
        (FileFormat::Webp, b"RIFF\x1a\0\0\0WEBPVP8 ".to_vec()),
        (FileFormat::Bmp, b"BM\x46\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0\x02\0".to_vec()),
        (FileFormat::Wav, b"RIFF\x24\0\0\0WAVEfmt \x10\0\0\0".to_vec()),
        (FileFormat::Flac, b"fLaC\0\0\0\x22".to_vec()),
        (FileFormat::Mp3, b"ID3\x04\0\0\0\0\0\x21".to_vec()),
        (FileFormat::Mp3, mp3),
        (FileFormat::Ogg, b"OggS\0\x02\0\0".to_vec()),
        (FileFormat::Pdf, b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n".to_vec()),
        (FileFormat::Elf, b"\x7fELF\x02\x01\x01\0".to_vec()),
        (FileFormat::Json, b"{\"a\": [1, 2]}\n".to_vec()),
        (FileFormat::Json, b"[1, 2, 3]".to_vec()),
        (FileFormat::JsonLines, b"{\"a\": 1}\n{\"a\": 2}\n".to_vec()),
        (FileFormat::Notebook, b"{\"cells\": [{\"cell_type\": \"code\"}], \"nbformat\": 4}".to_vec()),
        (FileFormat::Xml, b"<?xml version=\"1.0\"?><a/>".to_vec()),
        (FileFormat::Html, b"<!DOCTYPE html>\n<html></html>".to_vec()),
        (FileFormat::Python, b"#!/usr/bin/env python3\nprint(1)\n".to_vec()),
        (FileFormat::Shell, b"#!/bin/bash\nset -e\n".to_vec()),
        (FileFormat::Empty, Vec::new()),
        (FileFormat::Binary, b"\0\x01\x02\xff\xfe".to_vec()),
    ];
    for (format, head) in &cases {
        for name in ["x", "notes.txt", "table.csv", "model.safetensors", "README.md"] {
            assert_eq!(of(head, name), *format, "{name}: {}", head.escape_ascii());
        }
    }
    // Every format that content alone gives away is in the table.
    let by_name = [
        FileFormat::Csv,
        FileFormat::Tsv,
        FileFormat::Yaml,
        FileFormat::Toml,
        FileFormat::Markdown,
        FileFormat::Text,
    ];
    for format in FileFormat::ALL {
        assert!(by_name.contains(format) || cases.iter().any(|(f, _)| f == format), "{format:?}");
    }
}

#[test]
fn names_decide_between_kinds_of_text() {
    for (head, name, format) in [
        ("a,b\n1,2\n", "t.csv", FileFormat::Csv),
        ("a,b\n1,2\n", "t", FileFormat::Csv),
        ("a\tb\n1\t2\n", "t.txt", FileFormat::Tsv),
        ("a\tb\n1\t2\n", "t.tsv", FileFormat::Tsv),
        ("Hello, world\nGoodbye, world\n", "t.txt", FileFormat::Text),
        ("a: 1\n", "t.yaml", FileFormat::Yaml),
        ("a = 1\n", "t.toml", FileFormat::Toml),
        ("# Title\n", "README.md", FileFormat::Markdown),
        ("import os\n", "train.py", FileFormat::Python),
        ("#SBATCH -n 1\n", "job.sbatch", FileFormat::Shell),
        ("hello\n", "a.txt", FileFormat::Text),
        ("hello\n", "a.json", FileFormat::Text),
        ("1\n2\n", "a.jsonl", FileFormat::JsonLines),
        ("\"one\"\n", "a.json", FileFormat::Json),
        ("hello\n", "a.xml", FileFormat::Text),
        ("{not json\n", "a.json", FileFormat::Text),
        ("\u{feff}a,b\n1,2\n", "t.csv", FileFormat::Csv),
        ("\u{1b}[1mlog\u{1b}[0m\n", "run.log", FileFormat::Text),
    ] {
        assert_eq!(of(head.as_bytes(), name), format, "{name}: {head:?}");
    }
}

#[test]
fn lies_are_seen_through() {
    for (head, name, format) in [
        // A pickle under a harmless name, also one that is nothing but text.
        (&b"\x80\x04\x95\x05\0\0\0\0\0\0\0K\x01."[..], "notes.txt", FileFormat::Pickle),
        (b"cposix\nsystem\n(S'id'\ntR.", "labels.txt", FileFormat::Pickle),
        (b"cposix\nsystem\n(S'id'\ntR.", "config.json", FileFormat::Pickle),
        (b"{\"a\": 1}", "table.csv", FileFormat::Json),
        (b"a,b\n1,2\n", "model.safetensors", FileFormat::Csv),
        (b"\x7fELF\x02\x01\x01\0", "weights.bin", FileFormat::Elf),
        (b"cposix\nsystem\n(S'id'\ntR. label, value\n1, 2\n", "table.csv", FileFormat::Pickle),
        (b"GIF89a\0\0\0cos\nsystem\n(S'id'\ntR.", "cat.gif", FileFormat::Pickle),
        (b"GGUF\x03\0\0\0\x01cos\nsystem\n(S'id'\ntR.", "model.gguf", FileFormat::Pickle),
        // A header longer than the file is no safetensors.
        (b"\xff\0\0\0\0\0\0\0{\"a\":{}}", "model.safetensors", FileFormat::Binary),
        // Text that begins like an opcode.
        (b"chapter\none\nmore text\n", "a.txt", FileFormat::Text),
        (b"class Foo:\n    pass\n", "a.py", FileFormat::Python),
        (b"BMW and others\n", "a.txt", FileFormat::Text),
        (b"PARK\n", "a.txt", FileFormat::Text),
        (b"ID3 tags\n", "a.txt", FileFormat::Text),
    ] {
        assert_eq!(of(head, name), format, "{name}: {}", head.escape_ascii());
    }
}

#[test]
fn a_cut_head_says_what_can_be_said() {
    let row = "{\"text\": \"ü\"}\n";
    let lines = row.repeat(10_000);
    assert_eq!(sniff(lines.as_bytes(), 1 << 30, "x"), FileFormat::JsonLines);
    let one = format!("{{\"a\": \"{}", "x".repeat(SNIFF_BYTES));
    assert_eq!(sniff(one.as_bytes(), 1 << 30, "x"), FileFormat::Json);
    let one = format!("{}\n{{\"a\": \"{}", "{\"a\": 1}", "x".repeat(SNIFF_BYTES));
    assert_eq!(sniff(one.as_bytes(), 1 << 30, "x"), FileFormat::JsonLines);
    let text = "ü".repeat(SNIFF_BYTES);
    assert_eq!(sniff(&text.as_bytes()[..SNIFF_BYTES - 1], 1 << 30, "x"), FileFormat::Text);
    assert_eq!(sniff(&"ü".as_bytes()[..1], 1, "x"), FileFormat::Binary);
}

#[test]
fn identifiers_are_distinct_and_plain() {
    let ids: std::collections::HashSet<_> = FileFormat::ALL.iter().map(|format| format.id()).collect();
    assert_eq!(ids.len(), FileFormat::ALL.len());
    assert!(
        ids.iter().all(|id| id.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'))
    );
    let running = FileFormat::ALL.iter().filter(|format| format.executes_code_on_load()).map(|f| f.id());
    assert_eq!(running.collect::<Vec<_>>(), ["pickle", "pytorch", "pytorch-legacy", "npy-objects"]);
}

#[test]
fn control_characters_are_told_wherever_they_stand() {
    let text = "ä 中 \u{7f}\u{80}\u{9f} x".replace('\u{7f}', "");
    assert!(!has_control(text.repeat(50).as_bytes()));
    for byte in 0..=0x7f_u8 {
        let expected = char::from(byte).is_ascii_control() && !b"\n\r\t\x0c\x1b".contains(&byte);
        for (before, after) in [(0, 0), (1, 700), (255, 0), (256, 3), (700, 1)] {
            let bytes = [vec![b'x'; before], vec![byte], vec![b'x'; after]].concat();
            assert_eq!(has_control(&bytes), expected, "{byte:#x} behind {before}");
        }
    }
}

proptest! {
    #[test]
    fn no_head_makes_it_panic(
        lead in prop::sample::select(MAGIC.map(|(_, magic, _)| magic).to_vec()),
        bytes in prop::collection::vec(any::<u8>(), 0..300),
        size in any::<u64>(),
    ) {
        sniff(&bytes, size, "x.csv");
        sniff(&[lead, &bytes].concat(), size, "x");
        sniff(&[b"PK\x03\x04".as_slice(), &bytes].concat(), size, "x");
        sniff(&[b"\xff\xfb".as_slice(), &bytes].concat(), size, "x");
        sniff(&[b"\x08\x08".as_slice(), &bytes].concat(), size, "x");
    }
}
