//! Who derives from whom: parents by the ids that manifests name, children by turning that around.

use std::collections::{BTreeMap, BTreeSet};

use consign_metadata::{BundleId, BundleName, BundleVersion, Classification, Details, Manifest};
use serde::Serialize;

use super::view::{Origin, Record, View};
use crate::provenance::facts::{Facts, RunFact, short};

/// What lineage shows of a bundle.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Bundle {
    pub id: BundleId,
    /// From where it is known: all but `known` are claims.
    pub origin: Origin,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub classification: Option<String>,
    /// `model`, `dataset`, `workflow` or `mixed`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Commits of the code that it was made with, by its manifest and its provenance.
    pub commits: Vec<String>,
    /// Runs that made it, in words.
    pub runs: Vec<String>,
    /// URIs of what it was made from, besides bundles.
    pub sources: Vec<String>,
    /// Bundles that it derives from.
    pub parents: Vec<BundleId>,
    /// Bundles that derive from it, as far as they are in view.
    pub children: Vec<BundleId>,
}

impl Bundle {
    fn of(record: &Record) -> Self {
        let core = record.manifest.core();
        let (name, version): (&BundleName, &BundleVersion) = (&core.name, &core.version);
        let classification: &Classification = &core.classification;
        let details = record.manifest.descriptor().details();
        let mut bundle = Self {
            name: Some(name.to_string()),
            version: Some(version.to_string()),
            classification: Some(classification.to_string()),
            kind: details.map(|details| details.kind.to_string()),
            parents: distinct(core.parents.iter().copied()),
            ..Self::named(record.id)
        };
        bundle.origin = record.origin;
        bundle.made_by(&record.manifest);
        for statement in &record.provenance {
            let facts = Facts::of(statement.said());
            bundle.commits.extend(facts.code.into_iter().map(|code| code.commit));
            bundle.runs.extend(facts.run.as_ref().and_then(RunFact::in_words));
            bundle.sources.extend(facts.sources);
        }
        for list in [&mut bundle.commits, &mut bundle.runs, &mut bundle.sources] {
            *list = distinct(std::mem::take(list).into_iter());
        }
        bundle
    }

    /// What the descriptor says of code, run and sources.
    fn made_by(&mut self, manifest: &Manifest) {
        let Some(Details { training, provenance, .. }) = manifest.descriptor().details() else { return };
        let code = training.as_ref().and_then(|training| training.code.as_ref());
        self.commits.extend(code.and_then(|code| code.commit.as_ref()).map(ToString::to_string));
        let Some(provenance) = provenance else { return };
        self.sources.extend(provenance.sources.iter().map(|source| source.uri.to_string()));
        let Some(pipeline) = &provenance.pipeline else { return };
        self.commits.extend(pipeline.commit.as_ref().map(ToString::to_string));
        let run = pipeline.run.as_ref().map(|run| format!(" run {run}")).unwrap_or_default();
        self.runs.push(format!("{}{run}", pipeline.system));
    }

    /// One of which no more is known than that another names it.
    pub fn named(id: BundleId) -> Self {
        Self {
            id,
            origin: Origin::Named,
            name: None,
            version: None,
            classification: None,
            kind: None,
            commits: Vec::new(),
            runs: Vec::new(),
            sources: Vec::new(),
            parents: Vec::new(),
            children: Vec::new(),
        }
    }

    /// Name and version; `?` if they are not known.
    pub fn title(&self) -> String {
        match (&self.name, &self.version) {
            (Some(name), Some(version)) => format!("{name} {version}"),
            _ => "?".to_owned(),
        }
    }

    /// The level, as it is written everywhere.
    pub fn level(&self) -> Option<String> {
        self.classification.as_ref().map(|level| level.to_uppercase())
    }

    /// The beginning of its id, enough to tell bundles apart.
    pub fn short_id(&self) -> String {
        format!("sha256:{}", &self.id.0.hex()[..12])
    }

    /// By which commits and runs it was made, in one line; not fit for a terminal yet.
    pub fn made(&self) -> Option<String> {
        let commits = self.commits.iter().map(|commit| format!("commit {}", short(commit)));
        let parts: Vec<_> = commits.chain(self.runs.iter().cloned()).collect();
        (!parts.is_empty()).then(|| parts.join(", "))
    }
}

fn distinct<T: Ord + Clone>(list: impl Iterator<Item = T>) -> Vec<T> {
    let mut seen = BTreeSet::new();
    list.filter(|one| seen.insert(one.clone())).collect()
}

/// All bundles in view, and all that they name as parents.
pub struct Graph {
    bundles: BTreeMap<BundleId, Bundle>,
}

impl Graph {
    /// Reads every manifest in view, one at a time.
    pub fn of(view: &mut View<'_>) -> Self {
        let mut all = Vec::new();
        view.each(|_| true, |record| all.push(Bundle::of(&record)));
        Self::from_bundles(all)
    }

    /// Bundles with all that they name as parents.
    pub fn from_bundles(all: Vec<Bundle>) -> Self {
        let mut bundles: BTreeMap<_, _> = all.into_iter().map(|bundle| (bundle.id, bundle)).collect();
        let edges: Vec<_> = bundles
            .values()
            .flat_map(|child| child.parents.iter().map(|parent| (*parent, child.id)))
            .collect();
        for (parent, child) in edges {
            bundles.entry(parent).or_insert_with(|| Bundle::named(parent)).children.push(child);
        }
        let titles: BTreeMap<_, _> = bundles.values().map(|one| (one.id, one.title())).collect();
        for bundle in bundles.values_mut() {
            bundle.children.sort_by_key(|child| (titles.get(child), *child));
        }
        Self { bundles }
    }

    /// Every bundle, in the order of ids.
    pub fn bundles(&self) -> impl Iterator<Item = &Bundle> {
        self.bundles.values()
    }

    pub fn get(&self, id: &BundleId) -> Option<&Bundle> {
        self.bundles.get(id)
    }

    /// The bundles, all that they derive from, and all that derives from them.
    pub fn family(&self, roots: &[BundleId]) -> Family<'_> {
        let mut members = BTreeSet::new();
        for next in [|bundle: &Bundle| bundle.parents.clone(), |bundle: &Bundle| bundle.children.clone()] {
            // A digest cannot hold itself, so there is no way round; what comes from outside is not relied upon.
            let mut seen = BTreeSet::new();
            let mut open = roots.to_vec();
            while let Some(id) = open.pop() {
                if let Some(bundle) = self.bundles.get(&id).filter(|_| seen.insert(id)) {
                    open.extend(next(bundle));
                }
            }
            members.extend(seen);
        }
        Family { graph: self, roots: roots.to_vec(), members }
    }
}

/// Some bundles with their ancestors and descendants.
pub struct Family<'a> {
    graph: &'a Graph,
    pub roots: Vec<BundleId>,
    members: BTreeSet<BundleId>,
}

impl Family<'_> {
    /// All of them, in the order of ids.
    pub fn bundles(&self) -> impl Iterator<Item = &Bundle> {
        self.members.iter().filter_map(|id| self.graph.get(id))
    }

    pub fn get(&self, id: &BundleId) -> Option<&Bundle> {
        self.graph.get(id).filter(|bundle| self.members.contains(&bundle.id))
    }

    /// From parent to child, where both belong to it.
    pub fn edges(&self) -> impl Iterator<Item = (BundleId, BundleId)> {
        self.bundles().flat_map(|child| {
            let parents = child.parents.iter().filter(|parent| self.members.contains(parent));
            parents.map(|parent| (*parent, child.id))
        })
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use consign_metadata::Sha256Digest;

    pub fn id(text: &str) -> BundleId {
        BundleId(Sha256Digest::of(text.as_bytes()))
    }

    pub fn bundle(name: &str, parents: &[&str]) -> Bundle {
        Bundle {
            origin: Origin::Known,
            name: Some(name.to_owned()),
            version: Some("1.0.0".to_owned()),
            classification: Some("internal".to_owned()),
            parents: parents.iter().map(|parent| id(parent)).collect(),
            ..Bundle::named(id(name))
        }
    }

    pub fn graph(bundles: Vec<Bundle>) -> Graph {
        Graph::from_bundles(bundles)
    }

    fn names(family: &Family<'_>) -> Vec<String> {
        let mut names: Vec<_> = family.bundles().map(Bundle::title).collect();
        names.sort();
        names
    }

    #[test]
    fn a_family_is_what_came_before_and_what_came_of_it() {
        let graph = graph(vec![
            bundle("data", &["raw"]),
            bundle("model", &["data"]),
            bundle("other-model", &["data"]),
            bundle("small", &["model"]),
        ]);
        assert_eq!(names(&graph.family(&[id("model")])), ["?", "data 1.0.0", "model 1.0.0", "small 1.0.0"]);
        assert_eq!(names(&graph.family(&[id("raw")])).len(), 5);
        assert_eq!(graph.get(&id("data")).unwrap().children.len(), 2);
        assert!(names(&graph.family(&[id("nothing")])).is_empty());
    }

    #[test]
    fn a_circle_ends_though_there_can_be_none() {
        let graph = graph(vec![bundle("a", &["b"]), bundle("b", &["a"]), bundle("c", &["c"])]);
        assert_eq!(names(&graph.family(&[id("a")])), ["a 1.0.0", "b 1.0.0"]);
        assert_eq!(names(&graph.family(&[id("c")])), ["c 1.0.0"]);
    }

    #[test]
    fn a_long_line_is_walked() {
        let name = |n: usize| format!("b{n}");
        let chain = (1..20_000).map(|n| bundle(&name(n), &[&name(n - 1)])).collect();
        assert_eq!(graph(chain).family(&[id("b10000")]).bundles().count(), 20_000);
    }
}
