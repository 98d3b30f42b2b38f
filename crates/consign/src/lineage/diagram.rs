//! Lineage as a diagram for other programs: Graphviz and Mermaid. Whatever is in a label, it stays in it.

use std::collections::BTreeMap;
use std::io::{self, Write};

use consign_metadata::printable;

use super::graph::{Bundle, Family};
use super::view::Origin;

/// The lines of a bundle's label.
fn label(bundle: &Bundle) -> Vec<String> {
    let mut lines = vec![bundle.title()];
    lines.extend(bundle.level());
    lines.push(bundle.short_id());
    lines.extend(bundle.made());
    lines.iter().map(|line| printable(line)).collect()
}

/// Every node by its name in the diagram: bundles as `b0`, sources as `s0`.
struct Nodes<'a> {
    bundles: Vec<(&'a Bundle, String)>,
    sources: BTreeMap<&'a str, String>,
    edges: Vec<(String, String)>,
}

impl<'a> Nodes<'a> {
    fn of(family: &'a Family<'a>) -> Self {
        let bundles: Vec<_> = family.bundles().enumerate().map(|(n, one)| (one, format!("b{n}"))).collect();
        let names: BTreeMap<_, _> = bundles.iter().map(|(one, name)| (one.id, name.clone())).collect();
        let all = bundles.iter().flat_map(|(one, _)| one.sources.iter().map(String::as_str));
        let mut sources: BTreeMap<_, _> = all.map(|source| (source, String::new())).collect();
        sources.values_mut().enumerate().for_each(|(n, name)| *name = format!("s{n}"));
        let mut edges = Vec::new();
        for (one, name) in &bundles {
            let from = one.sources.iter().filter_map(|source| sources.get(source.as_str()));
            edges.extend(from.map(|source| (source.clone(), name.clone())));
        }
        let name = |id| names.get(&id).cloned();
        edges.extend(family.edges().filter_map(|(parent, child)| Some((name(parent)?, name(child)?))));
        Self { bundles, sources, edges }
    }
}

/// Writes it in the DOT language of Graphviz.
pub fn dot(family: &Family<'_>, out: &mut dyn Write) -> io::Result<()> {
    let nodes = Nodes::of(family);
    writeln!(out, "digraph lineage {{\n  rankdir=TB;\n  node [shape=box];")?;
    for (bundle, name) in &nodes.bundles {
        let label = label(bundle).iter().map(|line| dot_text(line)).collect::<Vec<_>>().join(r"\n");
        let style = match bundle.origin {
            Origin::Named => ", style=dashed",
            Origin::Given => ", style=dotted",
            Origin::Known => "",
        };
        let root = if family.roots.contains(&bundle.id) { ", penwidth=2" } else { "" };
        writeln!(out, "  {name} [label=\"{label}\"{root}{style}];")?;
    }
    for (source, name) in &nodes.sources {
        writeln!(out, "  {name} [label=\"{}\", shape=note];", dot_text(&printable(source)))?;
    }
    for (from, to) in &nodes.edges {
        writeln!(out, "  {from} -> {to};")?;
    }
    writeln!(out, "}}")
}

/// A text within a quoted string of DOT, where a backslash begins an escape and a quote ends it.
fn dot_text(text: &str) -> String {
    text.replace('\\', r"\\").replace('"', "\\\"")
}

/// Writes it as a flowchart of Mermaid.
pub fn mermaid(family: &Family<'_>, out: &mut dyn Write) -> io::Result<()> {
    let nodes = Nodes::of(family);
    writeln!(out, "flowchart TB")?;
    for (bundle, name) in &nodes.bundles {
        let label = label(bundle).iter().map(|line| mermaid_text(line)).collect::<Vec<_>>().join("<br/>");
        writeln!(out, "  {name}[\"{label}\"]")?;
    }
    for (source, name) in &nodes.sources {
        writeln!(out, "  {name}([\"{}\"])", mermaid_text(&printable(source)))?;
    }
    for (from, to) in &nodes.edges {
        writeln!(out, "  {from} --> {to}")?;
    }
    for (bundle, name) in &nodes.bundles {
        if family.roots.contains(&bundle.id) {
            writeln!(out, "  style {name} stroke-width:3px")?;
        }
        match bundle.origin {
            Origin::Named => writeln!(out, "  style {name} stroke-dasharray:4")?,
            Origin::Given => writeln!(out, "  style {name} stroke-dasharray:1")?,
            Origin::Known => {}
        }
    }
    Ok(())
}

/// A text within a quoted label of Mermaid, which is HTML in the end: everything but plain words as an entity, by its
/// number, as Mermaid writes them.
fn mermaid_text(text: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || " -_.,:/@+=".contains(c);
    text.chars().map(|c| if plain(c) { c.to_string() } else { format!("#{};", u32::from(c)) }).collect()
}

#[cfg(test)]
mod tests {
    use super::super::graph::tests::{bundle, graph, id};
    use super::*;

    const HOSTILE: [&str; 9] = [
        "x:\"];evil[label=\"",
        "x:\\",
        "x:\\\"",
        "x:\\N",
        "x:`*md*`",
        "x:<img/src=x/onerror=alert(1)>",
        "x:&quot;]-->evil",
        "x:%%{init:{}}%%",
        "x:#quot;\nend",
    ];

    fn diagrams() -> (String, String) {
        let mut evil = bundle("a", &["b"]);
        evil.sources = HOSTILE.map(str::to_owned).to_vec();
        evil.runs = HOSTILE.map(str::to_owned).to_vec();
        let graph = graph(vec![evil]);
        let family = graph.family(&[id("a")]);
        let (mut dotted, mut flow) = (Vec::new(), Vec::new());
        dot(&family, &mut dotted).unwrap();
        mermaid(&family, &mut flow).unwrap();
        (String::from_utf8(dotted).unwrap(), String::from_utf8(flow).unwrap())
    }

    /// What stands outside of quoted strings, read as DOT reads it.
    fn outside(text: &str) -> String {
        let mut out = String::new();
        let mut quoted = false;
        let mut characters = text.chars();
        while let Some(c) = characters.next() {
            match c {
                '\\' if quoted => {
                    characters.next();
                }
                '"' => quoted = !quoted,
                c if !quoted => out.push(c),
                _ => {}
            }
        }
        assert!(!quoted, "{text}");
        out
    }

    #[test]
    fn nothing_leaves_a_label_of_dot() {
        let (dot, _) = diagrams();
        let outside = outside(&dot);
        assert!(!outside.contains("evil") && !outside.contains("x:"), "{outside}");
        // Two bundles, the sources, an edge to each, and one between the bundles.
        assert_eq!(dot.lines().count(), 4 + 2 + 9 + 9 + 1, "{dot}");
    }

    #[test]
    fn nothing_leaves_a_label_of_mermaid() {
        let (_, flow) = diagrams();
        assert_eq!(flow.lines().count(), 1 + 2 + 9 + 9 + 1 + 2, "{flow}");
        for line in flow.lines().filter(|line| line.contains("[\"")) {
            let (_, rest) = line.split_once("[\"").unwrap();
            let (label, end) = rest.rsplit_once("\"]").unwrap();
            assert!(end.is_empty() || end == ")", "{line}");
            let label = label.replace("<br/>", "");
            assert!(!label.contains(['"', '<', '>', '&', '`', '[', ']', '%', '{', '\\', '\n']), "{line}");
        }
        assert_eq!(mermaid_text("a\"b#c"), "a#34;b#35;c");
    }
}
