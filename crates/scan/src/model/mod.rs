//! Code in models: what runs when a model is loaded, and whether its file is what it seems.
//!
//! What cannot be understood is never clean: it is reported as `malformed/…`. `docs/findings.md` lists the rules.

mod any_width;
mod appended;
mod compressed;
mod config;
mod feed;
mod gguf;
mod keras;
mod notes;
mod npy;
mod onnx;
mod pickle;
mod program;
mod promise;
mod safetensors;
mod surroundings;
mod tensorflow;
mod yaml;

use std::collections::BTreeSet;
use std::sync::Arc;

use consign_metadata::{FileFormat, ModelFacts, sniff};

use self::any_width::AnyWidth;
use self::appended::Appended;
use self::compressed::Compressed;
use self::config::Config;
use self::gguf::Gguf;
use self::keras::Keras;
use self::npy::Npy;
use self::onnx::Onnx;
use self::pickle::{Layout, Pickle};
use self::program::Program;
use self::promise::Promise;
use self::safetensors::Safetensors;
use self::surroundings::Surroundings;
use self::tensorflow::TensorFlow;
use self::yaml::Yaml;
use crate::inspect::{Inspect, Report, Several, Subject};
use crate::members::{Member, MemberFactory, Nesting};
use crate::zip::Archive;

pub(crate) use self::feed::le;
pub(crate) use self::notes::{Notes, line_of, rule, shown};

/// What looks for code in a file or member of this format, which was judged by its first bytes.
///
/// `name` is the name of the file or member; `size` is its size, or `u64::MAX` if that is not known. `members`
/// says what looks into members of archives, which are as deep as `nesting` says and one more. `None` if there is
/// nothing to look for: in an empty file.
///
/// ```
/// use std::sync::Arc;
/// use consign_metadata::sniff;
/// use consign_scan::{ModelMembers, Nesting, Report, Subject, model_inspector};
///
/// let bytes = b"cposix\nsystem\n(S'id'\ntR.";
/// let (name, size) = ("notes.txt", bytes.len() as u64);
/// let subject = Subject { path: Some(name.parse()?), member: None };
/// let format = sniff(bytes, size, name);
/// let mut report = Report::default();
/// let inspector = model_inspector(format, &subject, name, size, &Nesting::of_file(size), &ModelMembers::shared());
/// if let Some(mut inspector) = inspector {
///     inspector.update(bytes, &mut report);
///     inspector.finish(&mut report);
/// }
/// assert_eq!(report.findings[0].rule.as_str(), "code/pickle-dangerous");
/// assert_eq!(report.findings[0].place.excerpt.as_ref().map(|line| line.as_str()), Some("posix.system"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn model_inspector(
    format: FileFormat,
    subject: &Subject,
    name: &str,
    size: u64,
    nesting: &Nesting,
    members: &Arc<dyn MemberFactory>,
) -> Option<Box<dyn Inspect + Send>> {
    if format == FileFormat::Empty {
        return None;
    }
    let file_name = name.rsplit('/').next().unwrap_or_default().to_ascii_lowercase();
    let suffix = file_name.rsplit_once('.').map_or("", |(_, suffix)| suffix);
    let mut all: Vec<Box<dyn Inspect + Send>> = Vec::new();
    let archive = matches!(format, FileFormat::TorchZip | FileFormat::Zip | FileFormat::Npz);
    let mut walks = false;
    match format {
        // Tensors in an archive may begin like a pickle; which members are loaded as one, their names say.
        FileFormat::Pickle if subject.member.is_some() && !is_pickle_suffix(suffix) => {}
        FileFormat::Pickle if !promises_pickle(suffix, format) => {
            all.push(Box::new(Pickle::likely(subject)));
            walks = true;
        }
        FileFormat::TorchLegacy => {
            all.push(Box::new(Pickle::firm(subject, Layout::LegacyTorch)));
            walks = true;
        }
        FileFormat::Npy | FileFormat::NpyObjects => all.push(Box::new(Npy::new(subject))),
        FileFormat::Hdf5 => all.push(Box::new(Keras::new(subject, true))),
        // What a loader decompresses by itself, and nobody looks into here, may hold anything that a pickle may.
        FileFormat::Xz | FileFormat::Bzip2 | FileFormat::Zstd | FileFormat::Tar
            if loads_pickles(&file_name) =>
        {
            all.push(Box::new(Unread(Notes::new(subject))));
        }
        // These are not told by their first bytes.
        FileFormat::Binary if matches!(suffix, "lz4" | "lzma") && loads_pickles(&file_name) => {
            all.push(Box::new(Unread(Notes::new(subject))));
        }
        FileFormat::Json | FileFormat::Text
            if is_config(&file_name, suffix) || format == FileFormat::Json =>
        {
            let telling = is_config(&file_name, suffix);
            if telling || size <= config::CONFIG_MAX as u64 {
                all.push(Box::new(Config::new(subject, telling)));
                all.push(Box::new(Keras::new(subject, false)));
            }
        }
        // Neither JSON nor text: Python reads JSON in UTF-16 and UTF-32 all the same.
        _ if is_config(&file_name, suffix) => {
            let both: Vec<Box<dyn Inspect + Send>> =
                vec![Box::new(Config::new(subject, true)), Box::new(Keras::new(subject, false))];
            all.push(Box::new(AnyWidth::new(Several::new(both))));
        }
        _ => {}
    }
    if archive {
        match nesting.deeper() {
            Some(nesting) => all.push(Box::new(Archive::new(subject, nesting, members))),
            None => all.push(Box::new(TooDeep(Notes::new(subject)))),
        }
    } else {
        all.push(Box::new(Appended::new(subject)));
    }
    if format == FileFormat::Gzip || (format == FileFormat::Binary && !is_storage(name, subject)) {
        all.push(Box::new(Compressed::new(subject, name, format, nesting, members)));
    }
    if format == FileFormat::Yaml || matches!(suffix, "yaml" | "yml") {
        all.push(Box::new(AnyWidth::new(Yaml::new(subject))));
    }
    // A name by which a loader goes is a promise.
    if format != FileFormat::Hdf5 {
        // Behind a block of something else, of any length, and under every name.
        all.push(Box::new(Promise::new(subject, suffix)));
    }
    if suffix == "tflite" {
        all.push(Box::new(TensorFlow::lite(subject)));
    }
    if suffix == "pb" {
        all.push(Box::new(TensorFlow::graph(subject)));
        all.push(Box::new(Keras::without_signature(subject)));
    }
    if suffix == "npy" && !matches!(format, FileFormat::Npy | FileFormat::NpyObjects) {
        all.push(Box::new(Npy::new(subject)));
    }
    if matches!(suffix, "npz" | "keras") && !archive && format != FileFormat::Hdf5 {
        all.push(Box::new(NoArchive(Notes::new(subject))));
    }
    if format == FileFormat::Safetensors || suffix == "safetensors" {
        all.push(Box::new(Safetensors::new(subject)));
    }
    if format == FileFormat::Gguf || suffix == "gguf" {
        all.push(Box::new(Gguf::new(subject)));
    }
    if format == FileFormat::Onnx || suffix == "onnx" {
        all.push(Box::new(Onnx::new(subject)));
    }
    if !walks {
        // Whatever it looks like: a loader of pickles does not ask.
        let promised = promises_pickle(suffix, format);
        all.push(Box::new(if promised { Pickle::promised(subject) } else { Pickle::perhaps(subject) }));
    }
    all.push(Box::new(Program::new(subject, format, name)));
    if let Some(surroundings) = Surroundings::of(subject, name) {
        all.push(Box::new(surroundings));
    }
    Some(Box::new(Several::new(all)))
}

/// Looks into members for code, and for nothing else.
#[derive(Clone, Copy, Debug, Default)]
pub struct ModelMembers;

impl ModelMembers {
    /// As [`model_inspector`] takes it.
    pub fn shared() -> Arc<dyn MemberFactory> {
        Arc::new(Self)
    }
}

impl MemberFactory for ModelMembers {
    fn inspector(&self, member: &Member<'_>) -> Option<Box<dyn Inspect + Send>> {
        let size = member.size.unwrap_or(u64::MAX);
        let format = sniff(member.head, size, member.name);
        model_inspector(format, member.subject, member.name, size, member.nesting, &Self::shared())
    }
}

/// Names under which pickles are loaded.
fn is_pickle_suffix(suffix: &str) -> bool {
    matches!(
        suffix,
        "pkl" | "pickle" | "p" | "pt" | "pth" | "bin" | "ckpt" | "joblib" | "model" | "dat" | "data"
    )
}

/// Whether a file of that name, which is no known container, is nothing else than a pickle. Text may be in Portuguese
/// (`.pt`), or name folders for Python (`.pth`).
fn promises_pickle(suffix: &str, format: FileFormat) -> bool {
    let unknown = matches!(format, FileFormat::Binary | FileFormat::Pickle);
    match suffix {
        "pkl" | "pickle" | "joblib" => unknown || format.is_text(),
        "pt" | "pth" | "ckpt" => unknown,
        _ => false,
    }
}

/// Whether a loader of pickles goes by this name, compressed or not: `model.joblib`, `model.pkl.xz`.
fn loads_pickles(file_name: &str) -> bool {
    let mut parts = file_name.rsplit('.').take(2);
    parts.any(|suffix| matches!(suffix, "pkl" | "pickle" | "joblib" | "pt" | "pth" | "ckpt"))
}

/// Names under which `transformers` and Keras load configurations.
fn is_config(file_name: &str, suffix: &str) -> bool {
    suffix == "json"
        && (file_name.contains("config") || matches!(file_name, "chat_template.json" | "model.json"))
}

/// A tensor in a checkpoint of PyTorch: numbers that are never anything else.
fn is_storage(name: &str, subject: &Subject) -> bool {
    let number = |last: &str| !last.is_empty() && last.bytes().all(|b| b.is_ascii_digit());
    subject.member.is_some() && name.rsplit_once("/data/").is_some_and(|(_, last)| number(last))
}

/// An archive that lies too deep in others to be looked into.
struct TooDeep(Notes);

impl Inspect for TooDeep {
    fn update(&mut self, _: &[u8], _: &mut Report) {}

    fn finish(&mut self, report: &mut Report) {
        self.0.add(report, rule::BAD_ZIP, "lies too deep in other archives to be looked into");
    }
}

/// What is an archive by its name, and is none.
struct NoArchive(Notes);

impl Inspect for NoArchive {
    fn update(&mut self, _: &[u8], _: &mut Report) {}

    fn finish(&mut self, report: &mut Report) {
        self.0.add(report, rule::BAD_ZIP, "is no ZIP archive, as its name says");
    }
}

/// A pickle, by its name, that is compressed in a way that is not looked into.
struct Unread(Notes);

impl Inspect for Unread {
    fn update(&mut self, _: &[u8], _: &mut Report) {}

    fn finish(&mut self, report: &mut Report) {
        self.0.add(report, rule::BAD_PICKLE, pickle::UNREAD);
    }
}

/// What the header of a model says, while it is being read.
#[derive(Clone, Debug, Default)]
struct Facts {
    tensors: u64,
    parameters: u64,
    dtypes: BTreeSet<String>,
}

/// Puts facts into a report: those of a file, for those of a member would be taken for the archive's.
fn facts(report: &mut Report, subject: &Subject, format: &str, facts: &Facts) {
    if let (Some(path), None, Some(format)) = (&subject.path, &subject.member, line_of(format)) {
        report.facts = Some(ModelFacts {
            path: path.clone(),
            format,
            tensors: facts.tensors,
            parameters: facts.parameters,
            dtypes: facts.dtypes.iter().filter_map(|dtype| line_of(dtype)).collect(),
        });
    }
}
