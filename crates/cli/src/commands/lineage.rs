//! `consign lineage`: what a bundle derives from, and what was made of it.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use consign_metadata::{BundleId, Problem, printable};
use serde::Serialize;

use crate::context::Context;
use crate::lineage::diagram;
use crate::lineage::graph::{Bundle, Graph};
use crate::lineage::view::View;
use crate::outcome::{Failure, Outcome, Report};
use crate::render;

/// Show what a bundle derives from, and what was made of it
///
/// Walks through the bundles that this machine made or verified, and those that are named with `--with`. What a bundle
/// says of its parents is part of what was signed; the rest is as far as it is known here.
#[derive(clap::Args)]
pub(crate) struct Lineage {
    /// A bundle or manifest, an id (`sha256:…`, or its beginning), or NAME or NAME@VERSION
    #[arg(value_name = "BUNDLE|ID|NAME")]
    which: String,
    /// A bundle, a manifest, or a folder of such, to take into view; may be repeated
    #[arg(long, value_name = "PATH")]
    with: Vec<PathBuf>,
    /// As a diagram in the language of Graphviz
    #[arg(long, conflicts_with_all = ["mermaid", "json"])]
    dot: bool,
    /// As a flowchart of Mermaid
    #[arg(long, conflicts_with = "json")]
    mermaid: bool,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Walked {
    /// The bundles that were asked about.
    roots: Vec<BundleId>,
    /// They, all that they derive from, and all that derives from them, as far as it is in view.
    bundles: Vec<Bundle>,
    /// What could not be looked at.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    notes: Vec<Problem>,
    #[serde(skip)]
    text: Vec<u8>,
}

impl Report for Walked {
    fn human(&self, out: &mut dyn Write) -> io::Result<()> {
        out.write_all(&self.text)?;
        for note in &self.notes {
            // Not among what another program reads.
            writeln!(crate::stream::stderr(), "note: {}", printable(&note.to_string()))?;
        }
        Ok(())
    }
}

/// Shortest beginning of an id, in hexadecimal digits.
const PREFIX_MIN: usize = 8;

impl Lineage {
    pub(crate) fn run(&self, context: &Context) -> Result<Outcome, Failure> {
        let mut view = View::known(context)?;
        for path in &self.with {
            view.add(path)?;
        }
        let named = self.named(&mut view)?;
        let graph = Graph::of(&mut view);
        let roots = match named {
            Some(Ok(ids)) => ids,
            // A folder that merely goes by the name of a bundle is not in its way.
            Some(Err(failure)) => self.roots(&graph).map_err(|_| failure)?,
            None => self.roots(&graph)?,
        };
        let family = graph.family(&roots);
        let mut text = Vec::new();
        let written = match (self.dot, self.mermaid) {
            (true, _) => diagram::dot(&family, &mut text),
            (_, true) => diagram::mermaid(&family, &mut text),
            _ => render::tree(&family, &mut text),
        };
        written.map_err(|error| Failure::failed(Problem::new("unwritable", error.to_string())))?;
        let bundles = family.bundles().cloned().collect();
        Ok(Outcome::done(Walked { roots, bundles, notes: view.take_notes(), text }))
    }

    /// The bundles that a path stands for, which come into view; `None` if it is no path. What fails may still be a
    /// name, if it is a folder's and a plain word.
    fn named(&self, view: &mut View<'_>) -> Result<Option<Result<Vec<BundleId>, Failure>>, Failure> {
        let path = Path::new(&self.which);
        let is_word = !self.which.contains(['/', '\\']);
        if self.which.starts_with("sha256:") || (is_word && !path.exists()) {
            return Ok(None);
        }
        match view.add(path) {
            Err(failure) if is_word && path.is_dir() => Ok(Some(Err(failure))),
            result => result.map(|ids| Some(Ok(ids))),
        }
    }

    /// The bundles that an id or a name stands for.
    fn roots(&self, graph: &Graph) -> Result<Vec<BundleId>, Failure> {
        let which = &self.which;
        let at = |problem: Problem| problem.at(printable(which));
        if let Some(hex) = which.strip_prefix("sha256:") {
            if hex.len() < PREFIX_MIN {
                let message = format!("of an id, at least {PREFIX_MIN} digits are needed");
                return Err(Failure::usage(at(Problem::new("id-too-short", message))));
            }
            let fits: Vec<_> = graph
                .bundles()
                .filter(|bundle| bundle.id.0.hex().starts_with(hex))
                .map(|one| one.id)
                .collect();
            return match fits.len() {
                0 => Err(unknown(which)),
                1 => Ok(fits),
                n => {
                    let message = format!("is the beginning of {n} ids");
                    Err(Failure::usage(at(Problem::new("ambiguous-id", message).hint("give more digits"))))
                }
            };
        }
        let (name, version) = match which.split_once('@') {
            Some((name, version)) => (name, Some(version)),
            None => (which.as_str(), None),
        };
        let fits = |bundle: &&Bundle| {
            bundle.name.as_deref() == Some(name)
                && (version.is_none() || bundle.version.as_deref() == version)
        };
        let mut found: Vec<_> = graph.bundles().filter(fits).collect();
        found.sort_by(|a, b| (&a.version, a.id).cmp(&(&b.version, b.id)));
        if found.is_empty() {
            return Err(unknown(which));
        }
        Ok(found.iter().map(|bundle| bundle.id).collect())
    }
}

fn unknown(which: &str) -> Failure {
    let problem = Problem::new(
        "unknown-bundle",
        "is no bundle that this machine made or verified, nor one that was named",
    );
    Failure::failed(
        problem.at(printable(which)).hint("name the bundle itself, or a folder that holds it with `--with`"),
    )
}
