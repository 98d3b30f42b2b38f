//! Lineage as a tree for a terminal: what a bundle derives from, and what was made of it.

use std::collections::BTreeSet;
use std::io::{self, Write};

use consign_metadata::{BundleId, printable};

use crate::style;
use consign::lineage::graph::{Bundle, Family};
use consign::lineage::view::Origin;

/// Deeper than this nobody reads a tree.
const DEPTH_MAX: usize = 64;

/// Writes the tree of each bundle that was asked about.
pub(crate) fn tree(family: &Family<'_>, out: &mut dyn Write) -> io::Result<()> {
    for (n, root) in family.roots.iter().enumerate() {
        if n > 0 {
            writeln!(out)?;
        }
        let Some(bundle) = family.get(root) else { continue };
        writeln!(out, "{}", line(bundle))?;
        if let Some(made) = bundle.made() {
            writeln!(out, "  by {}", printable(&made))?;
        }
        for (title, way) in [("derives from", Way::Up), ("led to", Way::Down)] {
            let mut branch = Branch { family, way, shown: BTreeSet::from([*root]), out };
            if branch.has_more(bundle) {
                writeln!(branch.out, "{title}")?;
                branch.below(bundle, "", 0)?;
            } else if way == Way::Up {
                writeln!(branch.out, "{title} nothing that is known")?;
            }
        }
    }
    Ok(())
}

/// A bundle in one line.
fn line(bundle: &Bundle) -> String {
    let (faint, bold) = (style::FAINT, style::HINT);
    let id = bundle.short_id();
    let title = printable(&bundle.title());
    let level = bundle.level().map_or_else(String::new, |level| format!("  [{}]", printable(&level)));
    let remark = match bundle.origin {
        Origin::Known => "",
        Origin::Given => "  (as it says of itself)",
        Origin::Named => "  (named as a parent; not known here)",
    };
    format!("{bold}{title}{bold:#}{level}  {faint}{id}{remark}{faint:#}")
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    /// To parents and sources.
    Up,
    /// To children.
    Down,
}

struct Branch<'a> {
    family: &'a Family<'a>,
    way: Way,
    /// What has been written with all that is below it.
    shown: BTreeSet<BundleId>,
    out: &'a mut dyn Write,
}

impl Branch<'_> {
    fn next(&self, bundle: &Bundle) -> Vec<BundleId> {
        match self.way {
            Way::Up => bundle.parents.clone(),
            Way::Down => bundle.children.clone(),
        }
    }

    fn sources<'b>(&self, bundle: &'b Bundle) -> &'b [String] {
        if self.way == Way::Up { &bundle.sources } else { &[] }
    }

    fn has_more(&self, bundle: &Bundle) -> bool {
        !self.next(bundle).is_empty() || !self.sources(bundle).is_empty()
    }

    fn below(&mut self, bundle: &Bundle, indent: &str, depth: usize) -> io::Result<()> {
        let (next, sources) = (self.next(bundle), self.sources(bundle));
        let total = next.len() + sources.len();
        let joint = |index: usize| if index + 1 == total { ("└─ ", "   ") } else { ("├─ ", "│  ") };
        let family = self.family;
        for (index, id) in next.iter().enumerate() {
            let Some(bundle) = family.get(id) else { continue };
            let (corner, side) = joint(index);
            let first = self.shown.insert(*id);
            let again = if first || !self.has_more(bundle) { "" } else { "  (as above)" };
            writeln!(self.out, "{indent}{corner}{}{again}", line(bundle))?;
            if !first {
                continue;
            }
            let indent = format!("{indent}{side}");
            if let Some(made) = bundle.made() {
                let bar = if self.has_more(bundle) { "│" } else { " " };
                writeln!(self.out, "{indent}{bar} by {}", printable(&made))?;
            }
            if depth + 1 == DEPTH_MAX && self.has_more(bundle) {
                writeln!(self.out, "{indent}└─ … more; `--json` has all of it")?;
            } else {
                self.below(bundle, &indent, depth + 1)?;
            }
        }
        for (index, source) in sources.iter().enumerate() {
            let (corner, _) = joint(next.len() + index);
            writeln!(self.out, "{indent}{corner}source {}", printable(source))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use consign::lineage::graph::Graph;
    use consign_metadata::Sha256Digest;

    use super::*;

    fn id(text: &str) -> BundleId {
        BundleId(Sha256Digest::of(text.as_bytes()))
    }

    fn bundle(name: &str, parents: &[&str]) -> Bundle {
        Bundle {
            origin: Origin::Known,
            name: Some(name.to_owned()),
            version: Some("1.0.0".to_owned()),
            parents: parents.iter().map(|parent| id(parent)).collect(),
            ..Bundle::named(id(name))
        }
    }

    fn tree(bundles: Vec<Bundle>, root: &str) -> String {
        let graph = Graph::from_bundles(bundles);
        let mut out = Vec::new();
        super::tree(&graph.family(&[id(root)]), &mut out).unwrap();
        anstream::adapter::strip_str(&String::from_utf8(out).unwrap()).to_string()
    }

    #[test]
    fn what_was_shown_is_not_shown_again_and_depth_ends() {
        let shared = tree(
            vec![bundle("a", &["b", "c"]), bundle("b", &["d"]), bundle("c", &["d"]), bundle("d", &["e"])],
            "a",
        );
        assert_eq!(shared.matches("d 1.0.0").count(), 2, "{shared}");
        assert_eq!(shared.matches("(as above)").count(), 1, "{shared}");
        assert_eq!(shared.matches("not known here").count(), 1, "{shared}");
        let name = |n: usize| format!("b{n}");
        let chain = (1..500).map(|n| bundle(&name(n), &[&name(n - 1)])).collect();
        let deep = tree(chain, "b499");
        assert!(deep.contains("more; `--json`"), "{deep}");
        assert!(deep.lines().count() < 2 * DEPTH_MAX);
    }

    #[test]
    fn what_strangers_wrote_cannot_drive_the_terminal() {
        let mut evil = bundle("a", &[]);
        evil.sources = vec!["x:\u{1b}[2J".into(), "x:\u{202e}".into()];
        evil.runs = vec!["\u{7}run".into()];
        evil.commits = vec!["\u{1b}]0;x\u{7}".into()];
        let tree = tree(vec![evil], "a");
        assert!(!tree.contains(['\u{1b}', '\u{202e}', '\u{7}']), "{tree}");
    }
}
