//! What a directory holds, by looking at names, sizes and the first bytes of files.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use consign_bundle::{LinkPolicy, Source, SourceError, SourceFault, SourceOptions};
use consign_metadata::{CARD_BYTES_MAX, EntryPath, FileFormat, Kind, Line, NameProfile, SNIFF_BYTES, sniff};

/// Most files whose first bytes are looked at. Of more, those at the top and the largest are.
pub const SNIFFED_MAX: usize = 2000;

/// What seldom belongs in a bundle, each with the reason that goes into the descriptor.
pub const USUAL_EXCLUDES: [(&str, &str); 20] = [
    (".git", "version control; its commit is named under training.code"),
    (".hg", "version control"),
    (".svn", "version control"),
    (".jj", "version control"),
    ("__pycache__/", "compiled Python"),
    ("*.pyc", "compiled Python"),
    (".ipynb_checkpoints/", "autosaves of notebooks"),
    (".cache/", "caches, such as those of downloads"),
    (".pytest_cache/", "cache of a test tool"),
    (".mypy_cache/", "cache of a type checker"),
    (".ruff_cache/", "cache of a linter"),
    (".venv/", "virtual environment; name its packages in a requirements file"),
    ("venv/", "virtual environment; name its packages in a requirements file"),
    ("node_modules/", "installed packages"),
    (".DS_Store", "folder settings of macOS"),
    ("._*", "file attributes of macOS"),
    ("Thumbs.db", "thumbnails of Windows"),
    ("desktop.ini", "folder settings of Windows"),
    ("*.swp", "swap files of an editor"),
    (".env", "may hold passwords or tokens"),
];

/// Where a card may stand; the first counts.
const CARDS: [&str; 6] =
    ["README.md", "readme.md", "Readme.md", "MODEL_CARD.md", "model_card.md", "DATASET_CARD.md"];

/// What a directory holds.
pub struct Survey {
    source: Source,
    /// What pack will refuse.
    pub faults: Vec<SourceFault>,
    /// Number of files and their bytes, by format.
    pub formats: BTreeMap<FileFormat, Tally>,
    /// Files that run code when they are loaded the usual way.
    pub code_on_load: Vec<(EntryPath, FileFormat)>,
    /// Number of files that were looked at.
    pub sniffed: usize,
    /// Those that were looked at, with size and format.
    found: Vec<(EntryPath, u64, FileFormat)>,
}

impl consign_metadata::Files for Survey {
    fn names(&self) -> Vec<&str> {
        self.source.files().map(|(path, ..)| path.as_str()).collect()
    }

    fn read(&self, name: &str, max: usize) -> Option<Vec<u8>> {
        self.bytes_of(name, max)
    }
}

/// How many files, and how large.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub files: u64,
    pub bytes: u64,
}

impl Survey {
    /// Looks at a directory. `descriptor` is the file in it that is no payload. `stop` ends it early.
    pub fn of(
        directory: &Path,
        links: LinkPolicy,
        descriptor: Option<PathBuf>,
        stop: &dyn Fn() -> bool,
    ) -> Result<Self, SourceError> {
        let exclude = USUAL_EXCLUDES.iter().filter_map(|(pattern, _)| pattern.parse::<Line>().ok()).collect();
        let options = SourceOptions { exclude, links, descriptor, ..SourceOptions::default() };
        let (source, faults) = Source::scan_all(directory, options)?;
        let mut survey = Self {
            source,
            faults,
            formats: BTreeMap::new(),
            code_on_load: Vec::new(),
            sniffed: 0,
            found: Vec::new(),
        };
        survey.sniff(stop);
        Ok(survey)
    }

    fn sniff(&mut self, stop: &dyn Fn() -> bool) {
        let mut files: Vec<_> = self.source.files().map(|(path, size, _)| (path, size)).collect();
        if files.len() > SNIFFED_MAX {
            files.sort_by_key(|(path, size)| (path.as_str().contains('/'), std::cmp::Reverse(*size)));
            files.truncate(SNIFFED_MAX);
            files.sort_unstable();
        }
        let mut head = vec![0; SNIFF_BYTES];
        for (path, size) in files {
            if stop() {
                return;
            }
            // A file that cannot be opened now is not classified; pack will say why.
            let Ok(read) = self.source.open(path).map_err(drop).and_then(|file| fill(file, &mut head)) else {
                continue;
            };
            let format = sniff(&head[..read], size, path.as_str());
            let tally = self.formats.entry(format).or_default();
            tally.files += 1;
            tally.bytes = tally.bytes.saturating_add(size);
            self.sniffed += 1;
            self.found.push((path.clone(), size, format));
            if format.executes_code_on_load() {
                self.code_on_load.push((path.clone(), format));
            }
        }
    }

    /// Number of files.
    pub fn files(&self) -> u64 {
        self.source.summary().files
    }

    /// Sum of their sizes.
    pub fn bytes(&self) -> u64 {
        self.source.summary().bytes
    }

    /// The usual excludes that match something here: pattern, number of files, reason.
    pub fn excludes(&self) -> impl Iterator<Item = (&Line, u64, &'static str)> {
        let reason = |pattern: &Line| {
            USUAL_EXCLUDES
                .iter()
                .find(|(known, _)| *known == pattern.as_str())
                .map_or("", |(_, reason)| reason)
        };
        self.source
            .excluded()
            .iter()
            .filter(|excluded| excluded.files > 0)
            .map(move |excluded| (&excluded.pattern, excluded.files, reason(&excluded.pattern)))
    }

    /// The card at the top of the directory: its name and the bytes of it that are read.
    pub fn card(&self) -> Option<(&'static str, Vec<u8>)> {
        CARDS.into_iter().find_map(|name| Some((name, self.bytes_of(name, CARD_BYTES_MAX + 1)?)))
    }

    /// The beginning of a text file, at most `max` bytes of it.
    pub fn text(&self, name: &str, max: usize) -> Option<String> {
        match String::from_utf8(self.bytes_of(name, max)?) {
            Ok(text) => Some(text),
            // Cut within a character.
            Err(error) if error.utf8_error().error_len().is_none() => {
                let valid = error.utf8_error().valid_up_to();
                let mut bytes = error.into_bytes();
                bytes.truncate(valid);
                String::from_utf8(bytes).ok()
            }
            Err(_) => None,
        }
    }

    /// The beginning of a file, at most `max` bytes of it.
    pub fn bytes_of(&self, name: &str, max: usize) -> Option<Vec<u8>> {
        let path = EntryPath::parse(name, NameProfile::Posix).ok()?;
        let mut bytes = Vec::new();
        let limit = u64::try_from(max).unwrap_or(u64::MAX);
        self.source.open(&path).ok()?.take(limit).read_to_end(&mut bytes).ok()?;
        Some(bytes)
    }

    /// The files that were looked at and have such a format, each with its size.
    pub fn sniffed_as(
        &self,
        fits: fn(FileFormat) -> bool,
    ) -> impl Iterator<Item = (&EntryPath, u64, FileFormat)> {
        self.found
            .iter()
            .filter(move |(.., format)| fits(*format))
            .map(|(path, size, format)| (path, *size, *format))
    }

    /// Opens a file as it was found.
    pub fn open(&self, path: &EntryPath) -> Result<std::fs::File, consign_bundle::ReadError> {
        self.source.open(path)
    }

    /// What the bundle holds, as far as the formats of its files tell, and why.
    pub fn kind(&self) -> Option<(Kind, String)> {
        let mut sums = [Tally::default(); 3];
        for (format, tally) in &self.formats {
            if let Some(class) = class_of(*format) {
                sums[class as usize].files += tally.files;
                sums[class as usize].bytes += tally.bytes;
            }
        }
        let [weights, data, code] = sums;
        let files = |tally: Tally, what: &str| match tally.files {
            1 => format!("1 file of {what}"),
            n => format!("{n} files of {what}"),
        };
        let kind = match (weights.files > 0, data.files > 0, code.files > 0) {
            // Some data beside a model, such as samples, does not make it another thing.
            (true, true, _) if data.bytes > weights.bytes => Kind::Mixed,
            (true, ..) => Kind::Model,
            (false, true, true) if code.bytes > data.bytes => Kind::Workflow,
            (false, true, _) => Kind::Dataset,
            (false, false, true) => Kind::Workflow,
            (false, false, false) => return None,
        };
        let seen: Vec<_> = [(weights, "weights"), (data, "data"), (code, "code")]
            .into_iter()
            .filter(|(tally, _)| tally.files > 0)
            .map(|(tally, what)| files(tally, what))
            .collect();
        Some((kind, seen.join(", ")))
    }
}

#[derive(Clone, Copy)]
enum Class {
    Weights,
    Data,
    Code,
}

/// What files of a format usually are. Texts, archives and JSON can be anything.
fn class_of(format: FileFormat) -> Option<Class> {
    use FileFormat as F;
    match format {
        F::Safetensors | F::Gguf | F::Ggml | F::Onnx | F::Pickle | F::TorchZip | F::TorchLegacy => {
            Some(Class::Weights)
        }
        F::Npy
        | F::NpyObjects
        | F::Npz
        | F::Hdf5
        | F::Netcdf
        | F::Parquet
        | F::Arrow
        | F::Feather
        | F::Avro
        | F::Sqlite => Some(Class::Data),
        F::JsonLines | F::Csv | F::Tsv => Some(Class::Data),
        F::Png | F::Jpeg | F::Gif | F::Tiff | F::Webp | F::Bmp => Some(Class::Data),
        F::Wav | F::Flac | F::Mp3 | F::Ogg => Some(Class::Data),
        F::Python | F::Shell | F::Notebook | F::Elf => Some(Class::Code),
        _ => None,
    }
}

/// Fills a buffer from the beginning of a file, as far as it goes.
fn fill(mut file: std::fs::File, buffer: &mut [u8]) -> Result<usize, ()> {
    let mut read = 0;
    while read < buffer.len() {
        match file.read(&mut buffer[read..]) {
            Ok(0) => break,
            Ok(n) => read += n,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(_) => return Err(()),
        }
    }
    Ok(read)
}

/// The folder of blobs that the links of a Hugging Face cache snapshot lead to, and the repository it is of:
/// `models--ORG--NAME/snapshots/COMMIT` has its files in `models--ORG--NAME/blobs`.
pub struct CachedSnapshot {
    pub blobs: PathBuf,
    /// `ORG/NAME`, or `NAME`.
    pub repository: String,
    pub commit: String,
    pub kind: Option<Kind>,
    /// The folder that the cache keeps its repositories in.
    cache: PathBuf,
}

impl CachedSnapshot {
    /// Recognises a snapshot, or a folder in one, by where it lies.
    pub fn at(directory: &Path) -> Option<Self> {
        let directory = std::fs::canonicalize(directory).ok()?;
        directory.ancestors().find_map(Self::of)
    }

    fn of(snapshot: &Path) -> Option<Self> {
        let name = |path: &Path| Some(path.file_name()?.to_str()?.to_owned());
        let snapshots = snapshot.parent().filter(|path| name(path).as_deref() == Some("snapshots"))?;
        let top = snapshots.parent()?;
        let (kind, repository) = name(top)?.split_once("--").map(|(kind, rest)| {
            let kind = match kind {
                "models" => Some(Kind::Model),
                "datasets" => Some(Kind::Dataset),
                _ => None,
            };
            (kind, rest.replacen("--", "/", 1))
        })?;
        let (blobs, cache) = (top.join("blobs"), top.parent()?.to_path_buf());
        blobs.is_dir().then_some(Self { blobs, repository, commit: name(snapshot)?, kind, cache })
    }

    /// The file in the current directory that a descriptor of it goes into.
    pub fn descriptor_name(&self) -> PathBuf {
        let name = self.repository.rsplit('/').next().and_then(consign_metadata::suggest_name);
        PathBuf::from(format!("{}.yaml", name.unwrap_or_else(|| "consign".into())))
    }

    /// Whether a file would lie in the cache, where it is nobody's: the next look at the cache finds a file that was
    /// never downloaded, and cleaning the cache takes it away.
    pub fn would_hold(&self, file: &Path) -> bool {
        let parent = consign_bundle::publish::parent(file).canonicalize();
        parent.is_ok_and(|parent| parent.starts_with(&self.cache))
    }

    /// Where the snapshot is on the Hub.
    pub fn address(&self) -> String {
        let section = if self.kind == Some(Kind::Dataset) { "datasets/" } else { "" };
        format!("https://huggingface.co/{section}{}/tree/{}", self.repository, self.commit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn survey(files: &[(&str, &[u8])]) -> (Survey, tempfile::TempDir) {
        let dir = tempfile::tempdir().unwrap();
        for (name, content) in files {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        }
        (Survey::of(dir.path(), LinkPolicy::Refuse, None, &|| false).unwrap(), dir)
    }

    const GGUF: &[u8] = b"GGUF\x03\0\0\0and some weights behind it";
    const CSV: &[u8] = b"a,b\n1,2\n3,4\n";
    const PYTHON: &[u8] = b"#!/usr/bin/env python3\nimport sys\n";

    #[test]
    fn the_kind_follows_from_the_content() {
        let kind = |files: &[(&str, &[u8])]| survey(files).0.kind().map(|(kind, _)| kind);
        assert_eq!(kind(&[("a.gguf", GGUF), ("sample.csv", CSV)]), Some(Kind::Model));
        assert_eq!(kind(&[("a.gguf", GGUF), ("big.csv", &CSV.repeat(9))]), Some(Kind::Mixed));
        assert_eq!(kind(&[("a.csv", CSV)]), Some(Kind::Dataset));
        assert_eq!(kind(&[("a.csv", CSV), ("run.py", PYTHON)]), Some(Kind::Workflow));
        assert_eq!(kind(&[("a.csv", &CSV.repeat(9)), ("run.py", PYTHON)]), Some(Kind::Dataset));
        assert_eq!(kind(&[("run.py", PYTHON)]), Some(Kind::Workflow));
        assert_eq!(kind(&[("notes.txt", b"Hello there.\n")]), None);
    }

    #[test]
    fn litter_is_proposed_for_exclusion_and_not_counted() {
        let (survey, _dir) = survey(&[
            ("a.csv", CSV),
            (".git/HEAD", b"ref: refs/heads/main\n"),
            ("sub/__pycache__/x.pyc", b"x"),
            ("sub/.DS_Store", b"x"),
        ]);
        let excludes: Vec<_> =
            survey.excludes().map(|(pattern, files, _)| (pattern.as_str(), files)).collect();
        assert_eq!(excludes, [(".git", 1), ("__pycache__/", 1), (".DS_Store", 1)]);
        assert!(survey.excludes().all(|(_, _, reason)| !reason.is_empty()));
        assert_eq!(survey.files(), 1);
        assert!(survey.faults.is_empty());
    }

    #[test]
    fn every_usual_exclude_is_a_pattern_and_its_reason_a_line() {
        for (pattern, reason) in USUAL_EXCLUDES {
            assert!(pattern.parse::<consign_metadata::ExcludePattern>().is_ok(), "{pattern}");
            assert!(reason.parse::<Line>().is_ok(), "{reason}");
        }
    }

    #[test]
    fn what_runs_code_is_found_whatever_its_name() {
        let (survey, _dir) = survey(&[("notes.txt", b"cos\nsystem\n(S'true'\ntR.")]);
        assert_eq!(survey.code_on_load.len(), 1);
    }

    #[test]
    fn of_many_files_those_at_the_top_and_the_largest_are_looked_at() {
        let mut files: Vec<(String, Vec<u8>)> =
            (0..SNIFFED_MAX + 10).map(|n| (format!("a/{n}.txt"), b"x\n".to_vec())).collect();
        files.push(("z.txt".into(), b"x\n".to_vec()));
        files.push(("z/weights".into(), GGUF.to_vec()));
        let files: Vec<_> = files.iter().map(|(name, content)| (name.as_str(), content.as_slice())).collect();
        let (survey, _dir) = survey(&files);
        assert_eq!((survey.files(), survey.sniffed), (2012, SNIFFED_MAX));
        assert_eq!(survey.formats[&FileFormat::Gguf].files, 1);
    }

    #[test]
    fn a_card_is_cut_between_characters() {
        let (survey, _dir) = survey(&[("README.md", "größe".as_bytes())]);
        assert_eq!(survey.text("README.md", 3).as_deref(), Some("gr"));
        assert_eq!(survey.card(), Some(("README.md", "größe".as_bytes().to_vec())));
    }
}
