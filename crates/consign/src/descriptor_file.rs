//! Where the descriptor is, and what it says once the command line has had its word.

use std::path::{Path, PathBuf};

use consign_metadata::{Descriptor, DescriptorSyntax, Edit, Problem, Scheme};

use crate::context::unreadable;
use crate::exit::Exit;
use crate::failure::Failure;

/// Names under which a descriptor is looked for in the directory.
pub const NAMES: [&str; 4] = ["consign.yaml", "consign.yml", "consign.json", "consign.toml"];

/// A descriptor, and the file it was read from.
pub struct DescriptorFile {
    pub descriptor: Descriptor,
    /// Its name in the directory, if it is there: it is not payload.
    pub inside: Option<PathBuf>,
}

/// Finds the descriptor of a directory and reads it, with edits.
pub fn read(
    scheme: &Scheme,
    directory: &Path,
    named: Option<&Path>,
    edits: &[Edit],
) -> Result<DescriptorFile, Failure> {
    let path = match named {
        Some(path) => path.to_path_buf(),
        None => find(directory)?,
    };
    let at = path.display().to_string();
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let syntax = DescriptorSyntax::from_file_name(&name).ok_or_else(|| {
        let problem = Problem::new("descriptor-syntax", "is neither `.yaml`, `.json` nor `.toml`");
        Failure::usage(problem.at(at.clone()))
    })?;
    let text =
        crate::reading::read(&path, crate::reading::TEXT_MAX).map_err(|error| unreadable(&path, &error))?;
    let descriptor = Descriptor::parse(&text, syntax, edits, scheme).map_err(|problems| {
        let place = |problem: Problem| {
            let field = problem.at.clone().map_or_else(String::new, |field| format!(": {field}"));
            problem.at(format!("{at}{field}"))
        };
        Failure { exit: Exit::Usage, problems: problems.into_iter().map(place).collect() }
    })?;
    let inside = inside(&path, directory);
    Ok(DescriptorFile { descriptor, inside })
}

/// The path of a descriptor in a directory, if it stands there: under its own name, which in a cache of downloads is a
/// link to somewhere else, or as what a link leads to.
pub fn inside(descriptor: &Path, directory: &Path) -> Option<PathBuf> {
    let directory = directory.canonicalize().ok()?;
    let named =
        consign_bundle::publish::parent(descriptor).canonicalize().ok()?.join(descriptor.file_name()?);
    let below = |path: &Path| path.strip_prefix(&directory).ok().map(Path::to_path_buf);
    below(&named).or_else(|| below(&descriptor.canonicalize().ok()?))
}

fn find(directory: &Path) -> Result<PathBuf, Failure> {
    let metadata = std::fs::metadata(directory).map_err(|error| unreadable(directory, &error))?;
    let at = directory.display().to_string();
    if !metadata.is_dir() {
        let problem = Problem::new("not-a-directory", "is not a directory").at(at);
        return Err(Failure::failed(problem.hint("put what is to be packed into a directory of its own")));
    }
    let found: Vec<_> = NAMES.iter().map(|name| directory.join(name)).filter(|path| path.is_file()).collect();
    match &found[..] {
        [one] => Ok(one.clone()),
        [] => {
            let word = consign_metadata::shell_word(&at);
            let problem = Problem::new("no-descriptor", "has no descriptor (`consign.yaml`)").at(at);
            Err(Failure::failed(
                problem.hint(format!(
                    "make one with `consign init {word}`, or name it with `--descriptor FILE`"
                )),
            ))
        }
        _ => Err(Failure::usage(
            Problem::new("several-descriptors", "has several descriptors")
                .at(at)
                .hint("name one with `--descriptor FILE`"),
        )),
    }
}
