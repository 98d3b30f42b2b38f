//! How the bytes come makes no difference; where they lie makes none that matters.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::io::Write as _;

use consign_scan::{AllowList, BundleScan, LISTED_MAX, Marking, ScanOptions, Scanner};
use proptest::prelude::*;
use support::{ALNUM, BASE64, HEX, Random, found, pem, positives::positives, scan, scan_in};

fn token(random: &mut Random) -> String {
    format!("gh{}_{}", "p", random.of(ALNUM, 36))
}

fn scanner(markings: &[&str]) -> Scanner {
    let markings = markings.iter().map(|word| Marking { word: word.parse().unwrap() }).collect();
    Scanner::new(ScanOptions { markings, ..ScanOptions::default() })
}

/// All positives in one text, with much between them.
fn long_text(seed: u64) -> Vec<u8> {
    let mut random = Random::new(seed);
    let mut text = Vec::new();
    for sample in positives().iter().filter(|sample| sample.rule != "secret/key-store") {
        let before = (random.next() % 6000) as usize;
        text.extend(format!("{}\n", "filling words, ".repeat(before / 15)).bytes());
        text.extend_from_slice(&sample.content);
        match random.next() % 3 {
            0 => text.extend_from_slice(b"\nEXPORT CONTROLLED: circuit\n"),
            1 => text.extend(random.bytes(before)),
            _ => {}
        }
    }
    text
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn any_split_gives_the_same_findings(seed in 1u64..1000, cuts in proptest::collection::vec(0usize..400_000, 0..30), small in 1usize..3000) {
        let scanner = scanner(&["export controlled"]);
        let text = long_text(seed);
        let whole = scan_in(&scanner, "all.txt", &text, text.len());
        prop_assert!(whole.findings.len() > 60);
        prop_assert_eq!(&scan_in(&scanner, "all.txt", &text, small), &whole);
        let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut.min(text.len())).chain([0, text.len()]).collect();
        cuts.sort_unstable();
        let mut file = scanner.file(&"all.txt".parse().unwrap(), text.len() as u64);
        cuts.windows(2).for_each(|cut| file.update(&text[cut[0]..cut[1]]));
        prop_assert_eq!(file.finish(), whole);
    }

    #[test]
    fn a_token_is_found_wherever_it_lies(at in 0usize..200_000, piece in 1usize..70_000, fill in prop::sample::select(vec![b' ', b'\n', b'0', 0, 0xe9, 0xff])) {
        let mut content = vec![fill; 200_000];
        let secret = format!(" {}\n", token(&mut Random::new(at as u64)));
        content.splice(at..at, secret.bytes());
        let report = scan_in(&scanner(&[]), "some.dat", &content, piece);
        prop_assert_eq!(report.findings.len(), 1);
        let line = report.findings[0].place.line;
        let expected = content[..=at].iter().filter(|&&byte| byte == b'\n').count() as u64 + 1;
        prop_assert!(line.is_none() || line == Some(expected));
        // What is text has lines.
        prop_assert!(line.is_some() || fill == 0 || fill >= 0x80);
    }

    #[test]
    fn nothing_panics(content in proptest::collection::vec(any::<u8>(), 0..6000), piece in 1usize..500, text in "[=:\"'\\\\ a-z@/\n-]{0,300}(password|token|://|-----BEGIN|eyJ)[=:\"'\\\\ a-z@/\n.-]{0,300}") {
        scan_in(&scanner(&["a"]), "x", &content, piece);
        scan_in(&scanner(&["a"]), ".env", text.as_bytes(), piece);
    }

    #[test]
    fn no_excerpt_shows_the_secret(seed in 1u64..1_000_000) {
        let mut random = Random::new(seed);
        let secret = format!("{}4{}", random.of(ALNUM, 12), random.of(ALNUM, 12));
        for text in [format!("password = '{secret}'"), format!("api_key = '{secret}'"), format!("redis://a:{secret}@h"), format!("Authorization: Bearer {secret}")] {
            for (_, _, excerpt) in found(&scan("a.py", &text)) {
                for start in 0..secret.len() - 5 {
                    prop_assert!(!excerpt.contains(&secret[start..start + 5]), "{}", excerpt);
                }
            }
        }
    }
}

#[test]
fn a_secret_in_the_middle_of_a_large_table_is_found() {
    let mut content = "1.25,2.5,label\n".repeat(1 << 20).into_bytes();
    let at = content.len() / 2 / 15 * 15;
    let row = format!("3,4,{}\n", token(&mut Random::new(5)));
    content.splice(at..at, row.bytes());
    let report = scan_in(&scanner(&[]), "table.csv", &content, 128 << 10);
    assert_eq!(found(&report).len(), 1);
    assert_eq!(report.findings[0].place.line, Some(at as u64 / 15 + 1));
}

/// What a file says to be at its beginning decides nothing about the rest.
#[test]
fn text_behind_the_header_of_weights_is_found() {
    let mut random = Random::new(9);
    let text = format!("nothing\npassword: {}8!x\n", random.of(ALNUM, 7));
    let header = br#"{"w":{"dtype":"F32","shape":[1024],"data_offsets":[0,4096]}}"#;
    let mut content = (header.len() as u64).to_le_bytes().to_vec();
    content.extend_from_slice(header);
    let weights = content.clone();
    content.extend_from_slice(text.repeat(40).as_bytes());
    let report = scan("model.safetensors", &content);
    assert_eq!(report.format.id(), "safetensors");
    // The text is no part of the format, which is told too.
    let rules: Vec<_> = found(&report).into_iter().map(|f| f.0).collect();
    assert_eq!(rules.iter().filter(|rule| *rule == "secret/password").count(), 40);
    assert_eq!(rules.iter().filter(|rule| *rule == "malformed/safetensors").count(), 1);
    assert_eq!(rules.len(), 41);
    // And text among weights.
    let mut content = weights;
    content.extend(random.bytes(100_000));
    content.extend(format!("\0token: {}\0", token(&mut random)).bytes());
    content.extend(random.bytes(100_000));
    let rules: Vec<_> = found(&scan("model.safetensors", &content)).into_iter().map(|f| f.0).collect();
    assert_eq!(rules, ["secret/github-token", "malformed/safetensors"]);
}

/// Lines of any length, and findings without number, take no more memory and no longer than their size allows.
#[test]
fn hostile_text_is_bounded() {
    for hostile in [
        "eyJ",
        "token=",
        "password:'",
        "://a:",
        "-----BEGIN ",
        "Bearer ",
        "sk-",
        "a",
        "\\n",
        "passwordtokensecret_key",
        "AKIA",
        "xox",
        "SG.",
    ] {
        let content = hostile.repeat((2 << 20) / hostile.len());
        let report = scan_in(&scanner(&["a b", "eyJ"]), "one-line.txt", content.as_bytes(), 1 << 20);
        assert!(report.findings.len() <= LISTED_MAX);
    }
    let mut random = Random::new(3);
    let many: String = (0..5000).map(|_| format!("{}\n", token(&mut random))).collect();
    let report = scan("many.txt", &many);
    assert_eq!(report.findings.len(), LISTED_MAX);
    assert_eq!(report.more.values().sum::<u64>(), 4000);
    let bundle = BundleScan::new(scanner(&[]));
    bundle.add(report);
    let scanned = bundle.finish_part();
    assert_eq!(scanned.findings.found[0].count, 5000);
    assert_eq!(scanned.findings.found[0].examples[0].line, Some(1));
}

#[test]
fn a_notebook_says_which_cell() {
    let secret = token(&mut Random::new(4));
    let text = format!(
        r#"{{"cells": [
  {{"cell_type": "markdown", "source": ["hello"]}},
  {{"cell_type": "code", "source": ["t = \"{secret}\"\n"], "outputs": [{{"text": ["{secret}\n"]}}]}}
 ], "nbformat": 4, "nbformat_minor": 5}}"#
    );
    let report = scan("a.ipynb", &text);
    let cells: Vec<_> = report.findings.iter().map(|f| f.place.member.as_ref().unwrap().as_str()).collect();
    assert_eq!(cells, ["cell 2", "cell 2, output"]);
    assert_eq!(report.findings[0].place.line, Some(3));
}

fn gzip(content: &[u8]) -> Vec<u8> {
    gzip_as(flate2::Compression::best(), content)
}

fn gzip_as(level: flate2::Compression, content: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), level);
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn gzip_is_looked_into() {
    let text = format!("a\nb\nexport X={}\n", token(&mut Random::new(6)));
    for piece in [1, 7, 100_000] {
        let report = scan_in(&scanner(&[]), "logs/run.log.gz", &gzip(text.as_bytes()), piece);
        let place = &report.findings[0].place;
        assert_eq!((place.member.as_ref().unwrap().as_str(), place.line), ("run.log", Some(3)));
        assert_eq!(report.findings.len(), 1);
    }
    let rules = |content: &[u8]| found(&scan("x.gz", content)).into_iter().map(|f| f.0).collect::<Vec<_>>();
    // Stored as it is, it is found once, in the member.
    assert_eq!(rules(&gzip_as(flate2::Compression::none(), text.as_bytes())), ["secret/github-token"]);
    let whole = gzip(text.as_bytes());
    assert_eq!(rules(&whole[..whole.len() - 5]), ["malformed/compressed", "secret/github-token"]);
    assert_eq!(rules(&[b"\x1f\x8b\x08\0", &[7; 500][..]].concat()), ["malformed/compressed"]);
    // Zeros behind zeros are read to their end, for that is cheap; what lies too deep is not.
    assert_eq!(rules(&gzip(&vec![0; 60 << 20])), [""; 0]);
    let nested = (0..6).fold(text.repeat(50).into_bytes(), |content, _| gzip(&content));
    assert_eq!(rules(&nested), ["malformed/compressed"]);
}

#[test]
fn utf16_is_read() {
    let text = format!("Schlüssel\r\nset TOKEN={}\r\n", token(&mut Random::new(8)));
    for big in [false, true] {
        let units = "\u{feff}".encode_utf16().chain(text.encode_utf16());
        let content: Vec<u8> =
            units.flat_map(|u| if big { u.to_be_bytes() } else { u.to_le_bytes() }).collect();
        assert_eq!(scan("env.txt", &content).findings.len(), 1);
        assert_eq!(scan_in(&scanner(&["schlüssel"]), "env.txt", &content, 3).findings.len(), 2);
    }
}

#[test]
fn names_and_descriptors_are_looked_at() {
    let secret = token(&mut Random::new(12));
    let report = scan_in(&scanner(&["CUI//", "Blue Heron"]), &format!("blue-heron/{secret}.txt"), b"x", 1);
    let rules: Vec<_> = found(&report).into_iter().map(|f| f.0).collect();
    assert_eq!(rules, ["marking/blue-heron", "secret/github-token"]);
    let scanner = scanner(&["Blue Heron"]);
    let password = format!("{}8!x", "hunter");
    let report = scanner.descriptor([
        ("description", "for project BLUE HERON\nonly"),
        ("training.parameters.db_password", password.as_str()),
        ("contact.name", "Ada"),
    ]);
    let places: Vec<_> = report
        .findings
        .iter()
        .map(|f| (f.rule.as_str(), f.place.member.as_ref().unwrap().as_str()))
        .collect();
    assert_eq!(
        places,
        [("marking/blue-heron", "description"), ("secret/password", "training.parameters.db_password")]
    );
    assert!(report.findings.iter().all(|f| f.place.path.is_none()));
}

#[test]
fn what_is_allowed_is_counted_with_its_reason() {
    let mut random = Random::new(14);
    let allow = AllowList::parse(concat!(
        "format = 1\n",
        "[[allow]]\nrule = 'secret/private-key'\npath = 'tests/a.pem'\nline = 1\nreason = 'made for the tests, opens nothing'\n",
        "[[allow]]\nrule = 'code/*'\npath = 'nowhere'\nreason = 'nothing'\n",
    ));
    let options = ScanOptions { allow: allow.unwrap(), ..ScanOptions::default() };
    let bundle = BundleScan::new(Scanner::new(options));
    for path in ["tests/a.pem", "live/c.pem"] {
        let key = pem(&mut random, "EC ");
        let mut file = bundle.file(&path.parse().unwrap(), key.len() as u64);
        file.update(key.as_bytes());
        bundle.add(file.finish());
    }
    let scanned = bundle.finish_part();
    let [found] = &scanned.findings.found[..] else { panic!("{scanned:?}") };
    assert_eq!((found.count, found.examples[0].path.as_ref().unwrap().as_str()), (1, "live/c.pem"));
    let [allowed] = &scanned.findings.allowed[..] else { panic!("{scanned:?}") };
    assert_eq!((allowed.count, allowed.reason.as_str()), (1, "made for the tests, opens nothing"));
    assert_eq!(
        scanned.unused.iter().map(|p| (p.code, p.line)).collect::<Vec<_>>(),
        [("allow-unused", Some(7))]
    );
}

#[test]
fn near_misses_are_not_taken() {
    let mut r = Random::new(15);
    for text in [
        format!("gh{}_{}", "p", r.of(ALNUM, 30)),
        format!("xgh{}_{}", "p", r.of(ALNUM, 36)),
        format!("AK{}{}", "IA", r.of(HEX, 16)),
        format!("key {}AK{}{}", "X", "IA", r.of("ABCDEFGH", 16)),
        format!("eyJ{}.{}.{}", r.of(BASE64, 20), r.of(BASE64, 20), r.of(BASE64, 20)),
        format!("da{}{}", "pi", r.of(HEX, 31)),
        format!("S{}.{}", "G", r.of(ALNUM, 22)),
        format!("AGE-{}-KEY-1{}", "SECRET", r.of(HEX, 20)),
        "-----BEGIN CERTIFICATE-----".to_owned(),
        format!("token = {}", r.of("abcdefghijklmnopqrstuvwxyz", 20)),
    ] {
        assert_eq!(found(&scan("a.txt", &text)), [], "{text}");
    }
}
