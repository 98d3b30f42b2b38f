//! What names alone say: downloads that were not finished, and numbered shards with gaps.

use std::collections::{BTreeMap, BTreeSet};

use consign_metadata::{EntryPath, Finding};

use super::{place, rule};

/// The names of all files of a bundle.
#[derive(Debug)]
pub(crate) struct FileNames<'a>(Vec<&'a EntryPath>);

impl<'a> FileNames<'a> {
    pub(crate) fn new(files: impl IntoIterator<Item = &'a EntryPath>) -> Self {
        let mut files: Vec<_> = files.into_iter().collect();
        files.sort_unstable();
        Self(files)
    }

    /// How many files there are of that name, which is none or one, or in a folder of that name.
    pub(crate) fn at(&self, path: &EntryPath) -> u64 {
        if self.holds(path.as_str()) {
            return 1;
        }
        let (folder, behind) = (format!("{path}/"), format!("{path}0"));
        let from = self.0.partition_point(|file| file.as_str() < folder.as_str());
        let to = self.0.partition_point(|file| file.as_str() < behind.as_str());
        (to - from) as u64
    }

    fn holds(&self, path: &str) -> bool {
        self.0.binary_search_by(|file| file.as_str().cmp(path)).is_ok()
    }
}

/// Names that programs give to what they are still fetching.
const UNFINISHED: [&str; 13] = [
    ".incomplete",
    ".crdownload",
    ".part",
    ".partial",
    ".aria2",
    ".download",
    ".opdownload",
    ".filepart",
    ".!qb",
    ".!ut",
    "_.gstmp",
    ".fdmdownload",
    ".idm",
];

/// Suffixes of files that are never empty.
const NEVER_EMPTY: [&str; 13] = [
    "safetensors",
    "gguf",
    "onnx",
    "h5",
    "keras",
    "pt",
    "pth",
    "ckpt",
    "npy",
    "npz",
    "parquet",
    "msgpack",
    "tflite",
];

/// Why a file looks as if its download had been cut short.
pub(super) fn unfinished(path: &str, size: u64) -> Option<&'static str> {
    let path = path.to_ascii_lowercase();
    let mut parts: Vec<&str> = path.split('/').collect();
    let name = parts.pop().unwrap_or_default();
    let ends =
        |name: &str| UNFINISHED.iter().any(|suffix| name.len() > suffix.len() && name.ends_with(suffix));
    if ends(name) {
        return Some("is called as what is still being fetched");
    }
    // Safari, and ModelScope.
    if parts.iter().any(|part| (part.len() > 9 && part.ends_with(".download")) || *part == "._____temp") {
        return Some("lies in a folder for what is still being fetched");
    }
    let in_cache = || {
        let of_hub = |part: &&str| {
            matches!(*part, "huggingface" | "hub")
                || part.starts_with("models--")
                || part.starts_with("datasets--")
        };
        parts.iter().any(of_hub)
    };
    let is_temporary = name.ends_with(".tmp") || (name.len() == 11 && name.starts_with("tmp"));
    if is_temporary && in_cache() {
        return Some("is a temporary file of the Hub's cache");
    }
    // Ollama's blobs.
    let is_partial = name.starts_with("sha256-") && name.contains("-partial");
    if is_partial {
        return Some("is called as what is still being fetched");
    }
    let suffix = name.rsplit_once('.').map_or("", |(_, suffix)| suffix);
    let weights = name.starts_with("pytorch_model") && suffix == "bin";
    if size == 0 && (weights || NEVER_EMPTY.contains(&suffix)) {
        return Some("is empty");
    }
    None
}

/// One of several numbered files: `model-00002-of-00004.safetensors`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Shards<'a> {
    /// What stands before the number, the folder too.
    before: &'a str,
    /// How many there are.
    total: u32,
    /// The last suffix: what stands between it and the number may be a digest of each.
    suffix: &'a str,
    /// With how many digits they are numbered.
    digits: usize,
}

fn shard(path: &str) -> Option<(Shards<'_>, u32)> {
    let start = path.rfind('/').map_or(0, |slash| slash + 1);
    // As wide as a number that a program fills up; `1-of-4` is more often something else.
    let width = 2..=6;
    let of = |text: &str| ["-of-", "_of_", ".of."].iter().filter_map(|of| text.rfind(of)).max();
    let at = start + of(&path[start..])?;
    let number_at = path[start..at].trim_end_matches(|c: char| c.is_ascii_digit()).len() + start;
    let rest = &path[at + 4..];
    let digits = at - number_at;
    let total_len = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    if !width.contains(&digits) || total_len != digits {
        return None;
    }
    let before = &path[..number_at];
    if !(before.len() == start || before.ends_with(['-', '_', '.'])) {
        return None;
    }
    let total: u32 = rest[..digits].parse().ok()?;
    let number: u32 = path[number_at..at].parse().ok()?;
    let suffix = rest[digits..].rsplit_once('.').map_or("", |(_, suffix)| suffix);
    (total > 0 && number <= total).then_some((Shards { before, total, suffix, digits }, number))
}

/// What is missing of numbered files, and of the two halves of a checkpoint of TensorFlow, one finding for each group.
/// `told` are names that an index has named and that are missing: that much is known already.
pub(crate) fn missing(files: &FileNames<'_>, told: &BTreeSet<EntryPath>) -> Vec<Finding> {
    let mut groups: BTreeMap<Shards<'_>, (&EntryPath, BTreeSet<u32>)> = BTreeMap::new();
    let mut found = Vec::new();
    for file in &files.0 {
        if let Some((group, number)) = shard(file.as_str()) {
            groups.entry(group).or_insert_with(|| (*file, BTreeSet::new())).1.insert(number);
        } else if is_checkpoint_index(file.as_str()) {
            let stem = file.as_str().strip_suffix(".index").unwrap_or_default();
            let data = format!("{stem}.data-");
            let next = files.0.partition_point(|file| file.as_str() < data.as_str());
            if !files.0.get(next).is_some_and(|file| file.as_str().starts_with(&data)) {
                let words = format!("{}.data-… is not in the bundle", name_of(stem));
                found.push(Finding { rule: rule::SHARD.into(), place: place((*file).clone(), &words) });
            }
        }
    }
    let told: BTreeSet<Shards<'_>> =
        told.iter().filter_map(|path| shard(path.as_str()).map(|s| s.0)).collect();
    for (group, (first, numbers)) in groups {
        if let Some(stem) = group.before.strip_suffix(".data-")
            && !files.holds(&format!("{stem}.index"))
        {
            let words = format!("{}.index is not in the bundle", name_of(stem));
            found.push(Finding { rule: rule::SHARD.into(), place: place(first.clone(), &words) });
        }
        // Numbered from 0 or from 1; of those that are numbered from 0 the last is one less than there are.
        let from = u32::from(!numbers.contains(&0));
        let expected = from..from + group.total;
        let present = numbers.range(expected.clone()).count() as u64;
        if present >= u64::from(group.total) || told.contains(&group) {
            continue;
        }
        let lacking: Vec<u32> = expected.filter(|number| !numbers.contains(number)).take(4).collect();
        let list: Vec<String> = lacking.iter().take(3).map(u32::to_string).collect();
        let more = if lacking.len() > 3 { ", …" } else { "" };
        let (count, total) = (u64::from(group.total) - present, group.total);
        let words = format!("{count} of {total} are not in the bundle: number {}{more}", list.join(", "));
        found.push(Finding { rule: rule::SHARD.into(), place: place(first.clone(), &words) });
    }
    found
}

fn name_of(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// The index of a checkpoint of TensorFlow. Other programs have files of that suffix too.
fn is_checkpoint_index(path: &str) -> bool {
    let name = name_of(path);
    name == "variables.index" || (name.ends_with(".index") && name.contains("ckpt"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(names: &[&str]) -> Vec<String> {
        let names: Vec<EntryPath> = names.iter().map(|name| name.parse().unwrap()).collect();
        let found = missing(&FileNames::new(&names), &BTreeSet::new());
        let words = |one: Finding| format!("{}: {}", one.place.path.unwrap(), one.place.excerpt.unwrap());
        found.into_iter().map(words).collect()
    }

    #[test]
    fn field_c3_shards_with_gaps_are_told_once_for_each_group() {
        for (names, expected) in [
            (&["m-00001-of-00002.safetensors", "m-00002-of-00002.safetensors"][..], &[][..]),
            (&["a/train-00000-of-00002-ab.parquet", "a/train-00001-of-00002-cd.parquet"], &[]),
            (&["x-00001-of-00001.gguf", "y-00000-of-00001.bin"], &[]),
            (
                &["m-00001-of-00004.safetensors", "m-00003-of-00004.safetensors"],
                &["m-00001-of-00004.safetensors: 2 of 4 are not in the bundle: number 2, 4"],
            ),
            (&["q-00002-of-00002.gguf"], &["q-00002-of-00002.gguf: 1 of 2 are not in the bundle: number 1"]),
            (
                &["a/q-00001-of-00002.gguf", "b/q-00002-of-00002.gguf"],
                &[
                    "a/q-00001-of-00002.gguf: 1 of 2 are not in the bundle: number 2",
                    "b/q-00002-of-00002.gguf: 1 of 2 are not in the bundle: number 1",
                ],
            ),
            (
                &["t-00000-of-00003.bin", "t-00001-of-00003.bin"],
                &["t-00000-of-00003.bin: 1 of 3 are not in the bundle: number 2"],
            ),
            (
                &["t-00001-of-99999.bin"],
                &["t-00001-of-99999.bin: 99998 of 99999 are not in the bundle: number 2, 3, 4, …"],
            ),
            // A checkpoint of TensorFlow.
            (&["v/variables.data-00000-of-00001", "v/variables.index"], &[]),
            (
                &["v/variables.data-00000-of-00001"],
                &["v/variables.data-00000-of-00001: variables.index is not in the bundle"],
            ),
            (&["v/variables.index"], &["v/variables.index: variables.data-… is not in the bundle"]),
            (&["model.ckpt-7.index"], &["model.ckpt-7.index: model.ckpt-7.data-… is not in the bundle"]),
            // None of these is a shard.
            (
                &[
                    "faiss.index",
                    "lecture-1-of-4.pdf",
                    "best-of-2020.csv",
                    "m-0001-of-00004.bin",
                    "part-of-01.bin",
                ],
                &[],
            ),
            (
                &[
                    "x-00005-of-00004.bin",
                    "x-00000-of-00000.bin",
                    "x-9999999-of-9999999.bin",
                    "a00001-of-00002",
                ],
                &[],
            ),
        ] {
            assert_eq!(told(names), expected, "{names:?}");
        }
    }

    #[test]
    fn field_c3_downloads_that_were_cut_short_are_known() {
        for (path, size, expected) in [
            (".cache/huggingface/download/ab.cd.incomplete", 5, true),
            ("m.safetensors.crdownload", 5, true),
            ("M.GGUF.PART", 5, true),
            ("m.gguf.aria2", 5, true),
            ("x.download/m.bin", 5, true),
            ("._____temp/m.bin", 5, true),
            ("models--a--b/blobs/x.tmp", 5, true),
            (".cache/huggingface/hub/tmp0a1b2c3d", 5, true),
            ("blobs/sha256-aa-partial-0", 5, true),
            ("m.safetensors", 0, true),
            ("pytorch_model.bin", 0, true),
            // What a download leaves that was finished.
            (".cache/huggingface/download/m.safetensors.metadata", 5, false),
            (".cache/huggingface/download/m.safetensors.lock", 0, false),
            ("work/x.tmp", 5, false),
            ("tmp0a1b2c3d", 5, false),
            ("x.part1.rar", 5, false),
            (".part", 5, false),
            ("partial", 5, false),
            ("m.safetensors", 5, false),
            ("__init__.py", 0, false),
        ] {
            assert_eq!(unfinished(path, size).is_some(), expected, "{path}");
        }
    }
}
