//! Conversations as they are collected for fine-tuning: one JSON object a line.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use rand::{RngExt, SeedableRng};
use rand_xorshift::XorShiftRng;
use serde_json::json;

use crate::language::Language;

pub(crate) fn write(folder: &Path, bytes: u64) -> anyhow::Result<()> {
    let language = Language::new()?;
    let mut rng = XorShiftRng::seed_from_u64(2);
    let mut out = BufWriter::new(File::create(folder.join("train.jsonl"))?);
    let (mut written, mut number) = (0, 0u64);
    let mut seconds = 1_700_000_000u64;
    while written < bytes {
        seconds += rng.random_range(1..90);
        let mut line = conversation(&language, &mut rng, number, seconds);
        line.push('\n');
        out.write_all(line.as_bytes())?;
        written += line.len() as u64;
        number += 1;
    }
    out.flush()?;
    Ok(())
}

fn conversation(language: &Language, rng: &mut XorShiftRng, number: u64, seconds: u64) -> String {
    let turns = 2 * rng.random_range(1..=3);
    let messages: Vec<_> = (0..turns)
        .map(|turn| {
            let (role, most) = if turn % 2 == 0 { ("user", 2) } else { ("assistant", 6) };
            let mut content = String::new();
            for _ in 0..rng.random_range(1..=most) {
                language.sentence(rng, &mut content);
            }
            json!({ "role": role, "content": content.trim_end() })
        })
        .collect();
    let source = ["forum", "support", "manual", "synthetic"][rng.random_range(0..4)];
    json!({
        "id": format!("conversation-{number:08}"),
        "created_at": seconds,
        "source": source,
        "language": "en",
        "license": "CC-BY-4.0",
        "quality": f64::from(rng.random_range(0..1000)) / 1000.0,
        "token_count": rng.random_range(50..3000),
        "fingerprint": format!("{:016x}", rng.random::<u64>()),
        "messages": messages,
    })
    .to_string()
}
