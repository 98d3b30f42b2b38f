//! An invented language with the statistics of a real one: few words make most of a text (Zipf's law), and a
//! word says a good deal about the next.

use rand::{RngExt, SeedableRng};
use rand_distr::Zipf;
use rand_xorshift::XorShiftRng;

const WORDS: usize = 30_000;
const SYLLABLES: [&str; 40] = [
    "an", "ar", "be", "ca", "con", "de", "den", "di", "el", "en", "er", "es", "fa", "for", "ge", "in", "ing",
    "is", "ka", "la", "le", "lo", "ma", "men", "mi", "ne", "no", "or", "pe", "po", "ra", "re", "sta", "su",
    "ta", "ter", "ti", "tion", "un", "ve",
];
/// How many words are likely after a given one, and how often one of them follows.
const FOLLOWERS: usize = 6;
const FOLLOWS: f64 = 0.75;

pub(crate) struct Language {
    words: Vec<String>,
    /// For each word those likely to come next.
    followers: Vec<[usize; FOLLOWERS]>,
    frequency: Zipf<f64>,
}

impl Language {
    pub(crate) fn new() -> anyhow::Result<Self> {
        let mut rng = XorShiftRng::seed_from_u64(1);
        let frequency = Zipf::new(WORDS as f64, 1.05)?;
        let mut words = Vec::with_capacity(WORDS);
        let mut followers = Vec::with_capacity(WORDS);
        for rank in 0..WORDS {
            // Frequent words are short.
            let syllables = 1 + usize::from(rank > 30) + rng.random_range(0..=usize::from(rank > 500) * 2);
            words.push((0..syllables).map(|_| SYLLABLES[rng.random_range(0..SYLLABLES.len())]).collect());
            followers.push(std::array::from_fn(|_| index(rng.sample(frequency))));
        }
        Ok(Self { words, followers, frequency })
    }

    /// Any word, the frequent ones more often.
    pub(crate) fn word(&self, rng: &mut XorShiftRng) -> &str {
        &self.words[index(rng.sample(self.frequency))]
    }

    /// Writes one sentence of 4 to 24 words.
    pub(crate) fn sentence(&self, rng: &mut XorShiftRng, out: &mut String) {
        let mut word = index(rng.sample(self.frequency));
        let length = rng.random_range(4..=24);
        for n in 0..length {
            let text = &self.words[word];
            if n == 0 {
                let (first, rest) = text.split_at(1);
                out.push_str(&first.to_uppercase());
                out.push_str(rest);
            } else {
                out.push(' ');
                out.push_str(text);
            }
            match rng.random_range(0..60) {
                0 => out.push_str(&format!(" {}", rng.random_range(1..2000))),
                1..=3 if n + 1 < length => out.push(','),
                _ => {}
            }
            word = if rng.random_bool(FOLLOWS) {
                let likely = rng.random_range(0..FOLLOWERS).min(rng.random_range(0..FOLLOWERS));
                self.followers[word][likely]
            } else {
                index(rng.sample(self.frequency))
            };
        }
        out.push_str(if rng.random_bool(0.1) { "? " } else { ". " });
    }
}

/// The place of a rank, which counts from 1.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "1 to WORDS, whole")]
fn index(rank: f64) -> usize {
    (rank as usize).clamp(1, WORDS) - 1
}
