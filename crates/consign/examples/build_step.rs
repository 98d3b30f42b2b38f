//! A step of a build that packs what it made, signs it, and fails if anybody would not accept it.
//!
//! ```text
//! cargo run -p consign --example build_step -- HOME DIRECTORY OUT KEY
//! ```

use std::error::Error;
use std::path::{Path, PathBuf};

use consign::context::Context;
use consign::exit::Exit;
use consign::key_source::KeyArgs;
use consign::operations::pack::{Pack, Packed};

fn main() -> Result<(), Box<dyn Error>> {
    let paths: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let [home, directory, output, key] = &paths[..] else {
        return Err("usage: build_step HOME DIRECTORY OUT KEY".into());
    };
    let packed = build_step(home, directory, output, key)?;
    write(&format!("{} {}: {} files", packed.bundle.name, packed.bundle.version, packed.files))
}

/// Packs a directory into a folder. The home holds policy, trust and the record of this machine.
pub fn build_step(
    home: &Path,
    directory: &Path,
    output: &Path,
    key: &Path,
) -> Result<Packed, Box<dyn Error>> {
    let context = Context::at(home);
    let request = Pack::new(directory, output, KeyArgs::new(key, "owner".parse()?));
    let (outcome, _) = context.perform(&request);
    match (outcome.exit, outcome.report) {
        (Exit::Done, Some(report)) => Ok(report),
        // What is wrong, where, and what can be done about it: all of it at once.
        _ => {
            let lines = outcome.problems.iter().map(|problem| match &problem.hint {
                Some(hint) => format!("{problem}\n  {hint}"),
                None => problem.to_string(),
            });
            Err(lines.collect::<Vec<_>>().join("\n").into())
        }
    }
}

fn write(line: &str) -> Result<(), Box<dyn Error>> {
    use std::io::Write as _;
    Ok(writeln!(std::io::stdout(), "{line}")?)
}
