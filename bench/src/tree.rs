//! Many small files: a source tree, and records of a dataset that has a file for each.

use std::fs;
use std::path::Path;

use rand::{RngExt, SeedableRng};
use rand_distr::LogNormal;
use rand_xorshift::XorShiftRng;

use crate::language::Language;

/// Files of 6 kB in the mean, few of them large, as source trees have them: 25 in a folder, folders within
/// folders.
pub(crate) fn write_tree(folder: &Path, files: u32) -> anyhow::Result<()> {
    let language = Language::new()?;
    let mut rng = XorShiftRng::seed_from_u64(4);
    let sizes = LogNormal::new(6000f64.ln() - 0.5, 1.0)?;
    for number in 0..files {
        let (leaf, branch) = (number / 25, number / 25 / 8);
        let folder = folder.join(format!("package_{:02}/part_{branch:03}/unit_{leaf:04}", branch / 8));
        if number % 25 == 0 {
            fs::create_dir_all(&folder)?;
        }
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped")]
        let size = rng.sample(sizes).clamp(60.0, 300_000.0) as usize;
        let mut content = String::with_capacity(size + 1000);
        let extension = match rng.random_range(0..10) {
            0..=5 => {
                content.push_str(IMPORTS);
                fill(&mut content, size, |out| function(&language, &mut rng, out));
                "py"
            }
            6..=8 => {
                content.push_str("{\n  \"schema\": 1");
                fill(&mut content, size, |out| setting(&language, &mut rng, out));
                content.push_str("\n}\n");
                "json"
            }
            _ => {
                fill(&mut content, size, |out| language.sentence(&mut rng, out));
                "md"
            }
        };
        fs::write(folder.join(format!("{}_{number:05}.{extension}", language.word(&mut rng))), content)?;
    }
    Ok(())
}

const IMPORTS: &str = "from __future__ import annotations\n\nimport json\nimport logging\nfrom pathlib import Path\n\nimport numpy as np\nimport torch\n\nlogger = logging.getLogger(__name__)\n\n";

fn fill(content: &mut String, size: usize, mut more: impl FnMut(&mut String)) {
    while content.len() < size {
        more(content);
    }
}

fn function(language: &Language, rng: &mut XorShiftRng, out: &mut String) {
    let name = format!("{}_{}", language.word(rng), language.word(rng));
    let (a, b) = (language.word(rng).to_owned(), language.word(rng).to_owned());
    let kind = ["int", "str", "float", "Path", "torch.Tensor"][rng.random_range(0..5)];
    out.push_str(&format!(
        "\ndef {name}({a}: {kind}, *, {b}: int = {}) -> {kind}:\n    \"\"\"",
        rng.random_range(0..99)
    ));
    language.sentence(rng, out);
    out.push_str("\"\"\"\n");
    for _ in 0..rng.random_range(2..12) {
        let x = language.word(rng);
        let line = match rng.random_range(0..8) {
            0 => format!("    if {a} is None:\n        raise ValueError(\"{x} is missing\")\n"),
            1 => format!("    for {x} in range({b}):\n        {a} = self.{x}({a}, {x})\n"),
            2 => format!("    {x} = np.asarray({a}, dtype=np.float32)\n"),
            3 => format!("    logger.info(\"{x}: %s\", {b})\n"),
            4 => format!(
                "    with open({a} / \"{x}.json\", encoding=\"utf-8\") as file:\n        {x} = json.load(file)\n"
            ),
            5 => format!("    {x} = {x}.reshape({}, -1)\n", rng.random_range(1..4096)),
            6 => format!("    assert {b} > {}, \"{x}\"\n", rng.random_range(0..100)),
            _ => format!("    {x} = torch.nn.functional.{}({a}, dim=-1)\n", language.word(rng)),
        };
        out.push_str(&line);
    }
    out.push_str(&format!("    return {a}\n\n"));
}

fn setting(language: &Language, rng: &mut XorShiftRng, out: &mut String) {
    let (key, value) = (language.word(rng), language.word(rng));
    out.push_str(&match rng.random_range(0..4) {
        0 => format!(",\n  \"{key}\": {}", rng.random_range(0..100_000)),
        1 => format!(",\n  \"{key}\": \"{value}\""),
        2 => format!(",\n  \"{key}\": {:.4}", rng.random::<f64>()),
        _ => format!(
            ",\n  \"{key}\": {{\n    \"enabled\": true,\n    \"path\": \"data/{value}/{:04}.bin\"\n  }}",
            rng.random_range(0..9999)
        ),
    });
}

/// Files of exactly 1000 bytes, a thousand in a folder.
pub(crate) fn write_records(folder: &Path, files: u32) -> anyhow::Result<()> {
    let language = Language::new()?;
    let mut rng = XorShiftRng::seed_from_u64(5);
    for number in 0..files {
        let folder = folder.join(format!("{:04}", number / 1000));
        if number % 1000 == 0 {
            fs::create_dir_all(&folder)?;
        }
        let mut content = format!("{{\"id\": {number}, \"label\": {}, \"text\": \"", rng.random_range(0..10));
        fill(&mut content, 997, |out| language.sentence(&mut rng, out));
        content.truncate(997);
        content.push_str("\"}\n");
        fs::write(folder.join(format!("record-{number:07}.json")), content)?;
    }
    Ok(())
}
