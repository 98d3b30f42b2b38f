//! Which bundle is to be made again: its manifest, and what somebody signed of its archive.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use consign_bundle::{Anchor, Archive, ArchiveFacts, Recipe};
use consign_metadata::{BundleId, Manifest, Problem, Sha256Digest};
use consign_signing::{ArchiveClaim, Attestations, Claim, Content};

use super::What;
use super::inventory::Inventory;
use crate::bundle_set::{Names, is_attestations, read_attestations, read_manifest};
use crate::checked::bundle_claim;
use crate::commands::store;
use crate::context::Context;
use crate::exit::Exit;
use crate::outcome::Failure;
use crate::vouching::Expectation;

/// The bundle that is to be made again.
pub(super) struct Target {
    pub(super) manifest: Manifest,
    pub(super) id: BundleId,
    /// The archive of it that was asked for or signed.
    pub(super) signed: Option<Signed>,
    /// Archives that say they are the very one, if one was signed, or hold the bundle.
    pub(super) archives: Vec<PathBuf>,
    /// The same in the store.
    pub(super) stored: Vec<Sha256Digest>,
}

/// What was signed of the archive. The signatures are valid; whether they are trusted is not asked.
pub(super) struct Signed {
    pub(super) claim: Claim,
    pub(super) archive: ArchiveClaim,
    pub(super) attestations: Attestations,
}

impl Signed {
    /// What a file of attestations says of an archive, if it speaks of one.
    fn of(attestations: Attestations) -> Option<Self> {
        let claims = attestations.claims();
        let [group] = &claims[..] else { return None };
        let Content::Archive(archive) = &group.claim.content else { return None };
        let (claim, archive) = (group.claim.clone(), archive.clone());
        drop(claims);
        Some(Self { claim, archive, attestations })
    }
}

/// An archive among the sources, by its own word.
struct Claimed {
    path: PathBuf,
    facts: ArchiveFacts,
    manifest: Manifest,
    id: BundleId,
}

impl Target {
    pub(super) fn find(
        context: &Context,
        what: &What,
        inventory: &Inventory,
        attestations: Option<&Path>,
    ) -> Result<Self, Failure> {
        let archives: Vec<Claimed> = inventory.archives.iter().filter_map(|path| claimed(path)).collect();
        let mut signed = Vec::new();
        // What was named comes first.
        if let Some(path) = attestations {
            signed.push(named_statement(path)?);
        }
        let (manifest, id, wanted) = match what {
            What::File(path) => {
                let (manifest, id) = from_file(context, path, inventory, &archives, &mut signed)?;
                (manifest, id, None)
            }
            What::Named(named) => {
                let id = resolve(context, named, inventory, &archives)?;
                let wanted = match named {
                    Expectation::Id(digest) if *digest != id => Some(digest.0),
                    _ => None,
                };
                let manifest = manifest_of(context, id, inventory, &archives)?;
                check_called(named, &manifest)?;
                (manifest, id, wanted)
            }
        };
        signed.extend(stored_statements(id, inventory));
        let found = inventory.attestations.iter().filter_map(|path| read_attestations(path).ok());
        signed.extend(found.filter_map(Signed::of));
        let bundle = bundle_claim(&manifest, id);
        if attestations.is_some() && signed.first().is_some_and(|signed| signed.claim.bundle != bundle) {
            let problem = Problem::new("statements-disagree", "does not speak of this bundle");
            let at = attestations.unwrap_or(Path::new("")).display().to_string();
            return Err(Failure::new(Exit::NotIntact, problem.at(at)));
        }
        signed.retain(|signed| {
            signed.claim.bundle == bundle && wanted.is_none_or(|wanted| signed.archive.sha256 == wanted)
        });
        // Of several archives of one bundle the one that is there whole, or the one that can be packed again.
        let whole = |digest: &Sha256Digest| {
            inventory.recipes.iter().any(|recipe| recipe.archive.sha256 == *digest)
                || archives.iter().any(|archive| archive.facts.sha256 == *digest)
        };
        if attestations.is_none() && wanted.is_none() {
            signed.sort_by_key(|signed| !whole(&signed.archive.sha256));
        }
        let signed = signed.into_iter().next();
        let expected = signed.as_ref().map(|signed| signed.archive.sha256).or(wanted);
        let is_it =
            |digest: &Sha256Digest, of: &BundleId| expected.map_or(*of == id, |expected| *digest == expected);
        let here = archives.iter().filter(|archive| is_it(&archive.facts.sha256, &archive.id));
        let stored = inventory.recipes.iter().filter(|recipe| is_it(&recipe.archive.sha256, &recipe.id));
        Ok(Self {
            archives: here.map(|archive| archive.path.clone()).collect(),
            stored: stored.map(|recipe| recipe.archive.sha256).collect(),
            manifest,
            id,
            signed,
        })
    }

    pub(super) fn names(&self) -> Names {
        let core = self.manifest.core();
        Names::of(&core.name, &core.version)
    }
}

fn claimed(path: &Path) -> Option<Claimed> {
    let archive = Archive::open(crate::reading::open(path).ok()?, Anchor::Unsigned).ok()?;
    let (manifest, bytes) = archive.manifest().ok()?;
    Some(Claimed { path: path.into(), facts: archive.facts().clone(), manifest, id: Manifest::id_of(&bytes) })
}

/// Attestations that the caller names must speak of one archive.
fn named_statement(path: &Path) -> Result<Signed, Failure> {
    Signed::of(read_attestations(path)?).ok_or_else(|| {
        let problem = Problem::new("no-archive-statement", "does not speak of one archive");
        Failure::failed(problem.at(path.display().to_string()).hint("name the attestations of the bundle"))
    })
}

/// The manifest that a file holds or speaks of.
fn from_file(
    context: &Context,
    path: &Path,
    inventory: &Inventory,
    archives: &[Claimed],
    signed: &mut Vec<Signed>,
) -> Result<(Manifest, BundleId), Failure> {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    if is_attestations(name) {
        let statement = named_statement(path)?;
        let bundle = statement.claim.bundle.clone();
        signed.push(statement);
        let beside = path.with_file_name(Names::of(&bundle.name, &bundle.version).manifest);
        if beside.is_file() {
            let (manifest, bytes) = read_manifest(&beside)?;
            if Manifest::id_of(&bytes) != bundle.id {
                let problem = Problem::new("bundle-id", "is not the manifest that was signed");
                return Err(Failure::new(Exit::NotIntact, problem.at(beside.display().to_string())));
            }
            return Ok((manifest, bundle.id));
        }
        return known_manifest(context, bundle.id, inventory, archives)
            .map(|manifest| (manifest, bundle.id))
            .ok_or_else(|| {
                let problem = Problem::new(
                    "manifest-missing",
                    format!("speaks of the bundle {}, whose manifest is not there", bundle.id),
                );
                Failure::failed(
                    problem.at(path.display().to_string()).hint("name a place that holds it with `--from`"),
                )
            });
    }
    if name.ends_with(".tar.zst") || name.ends_with(".age") {
        let problem =
            Problem::new("archive-given", "is an archive; name the manifest of what is to be made again");
        return Err(Failure::usage(
            problem.at(path.display().to_string()).hint("archives to take content from: --from"),
        ));
    }
    let (manifest, bytes) = read_manifest(path)?;
    let core = manifest.core();
    // Beside a copy lie the attestations, by their name.
    let beside = path.with_file_name(Names::of(&core.name, &core.version).attestations);
    if beside.is_file() {
        signed.extend(Signed::of(read_attestations(&beside)?));
    }
    Ok((manifest, Manifest::id_of(&bytes)))
}

/// The id of the one bundle that is called so.
fn resolve(
    context: &Context,
    named: &Expectation,
    inventory: &Inventory,
    archives: &[Claimed],
) -> Result<BundleId, Failure> {
    let called = |name: &str, version: &str| match named {
        Expectation::Version { name: n, version: v } => (n.as_str(), v.as_str()) == (name, version),
        Expectation::Id(_) => false,
    };
    let is = |digest: &Sha256Digest| matches!(named, Expectation::Id(id) if id.0 == *digest);
    let mut ids: BTreeMap<BundleId, String> = BTreeMap::new();
    for recipe in inventory.recipes.iter().filter(|recipe| store::names(named, recipe)) {
        // A recipe's word is enough for finding a bundle whose id is then held against its manifest; which bundle an
        // archive holds is for the archive to say, or for somebody who signed it.
        if is(&recipe.archive.sha256) && !holds(context, inventory, recipe) {
            continue;
        }
        ids.insert(recipe.id, format!("{}@{}", recipe.name, recipe.version));
    }
    for archive in archives {
        let core = archive.manifest.core();
        if is(&archive.id.0) || is(&archive.facts.sha256) || called(core.name.as_str(), core.version.as_str())
        {
            ids.insert(archive.id, format!("{}@{}", core.name, core.version));
        }
    }
    for path in &inventory.manifests {
        let Ok((manifest, bytes)) = read_manifest(path) else { continue };
        let (id, core) = (Manifest::id_of(&bytes), manifest.core());
        if is(&id.0) || called(core.name.as_str(), core.version.as_str()) {
            ids.insert(id, format!("{}@{}", core.name, core.version));
        }
    }
    // What this machine made, verified or handed over before: each copy was checked when it was read.
    for (id, manifest) in known_manifests(context) {
        let core = manifest.core();
        if is(&id.0) || called(core.name.as_str(), core.version.as_str()) {
            ids.insert(id, format!("{}@{}", core.name, core.version));
        }
    }
    for signed in inventory.attestations.iter().filter_map(|path| Signed::of(read_attestations(path).ok()?)) {
        let bundle = &signed.claim.bundle;
        if is(&signed.archive.sha256) {
            ids.insert(bundle.id, format!("{}@{}", bundle.name, bundle.version));
        }
    }
    let mut found = ids.into_iter();
    match (found.next(), found.next()) {
        (Some((id, _)), None) => Ok(id),
        (None, _) => {
            let message = "nothing at hand says what this bundle is: no store, no folder that was named, and no manifest that this machine has kept";
            let problem = Problem::new("unknown-bundle", message);
            let hint = "name its manifest, or a store or folder that holds it: --store DIR, --from DIR";
            let mut problems = vec![problem.at(named.to_string()).hint(hint)];
            problems.extend(inventory.notes.iter().map(|note| Problem::new("store-fault", note.clone())));
            Err(Failure { exit: Exit::Failed, problems })
        }
        (Some((first, _)), Some((second, _))) => {
            let message = format!("goes for several bundles: {first}, {second}");
            let problem = Problem::new("several-bundles", message).at(named.to_string());
            Err(Failure::usage(problem.hint("name one by its id")))
        }
    }
}

/// Whether the archive of a recipe holds the bundle that the recipe says: by the archive itself, or by a statement
/// that was kept with it.
fn holds(context: &Context, inventory: &Inventory, recipe: &Recipe) -> bool {
    let Some(store) = &inventory.store else { return false };
    let meter = context.meter("reading", 0);
    let id = store
        .archive(&recipe.archive.sha256, &meter)
        .and_then(|stored| Ok(Archive::open(&stored, Anchor::Unsigned)?.manifest_id()?));
    match id {
        Ok(id) => id == recipe.id,
        Err(_) => stored_statements(recipe.id, inventory).iter().any(|signed| {
            signed.archive.sha256 == recipe.archive.sha256 && signed.claim.bundle.id == recipe.id
        }),
    }
}

/// The manifests that this machine has kept, with their ids. Those that were altered are none.
fn known_manifests(context: &Context) -> impl Iterator<Item = (BundleId, Manifest)> {
    let known = context.state().known();
    let ids = known.ids().unwrap_or_default();
    ids.into_iter().filter_map(move |id| {
        let bytes = known.manifest_bytes(id).ok().flatten()?;
        Manifest::parse(&bytes).ok().map(|manifest| (id, manifest))
    })
}

fn known_manifest(
    context: &Context,
    id: BundleId,
    inventory: &Inventory,
    archives: &[Claimed],
) -> Option<Manifest> {
    let kept = || {
        let bytes = context.state().known().manifest_bytes(id).ok().flatten()?;
        Manifest::parse(&bytes).ok()
    };
    let copies = inventory.manifests.iter().filter_map(|path| read_manifest(path).ok());
    let mut copies = copies.filter(|(_, bytes)| Manifest::id_of(bytes) == id).map(|(manifest, _)| manifest);
    let inside = || archives.iter().find(|archive| archive.id == id).map(|archive| archive.manifest.clone());
    copies.next().or_else(inside).or_else(kept)
}

/// What was found by its name is called so by its manifest too.
fn check_called(named: &Expectation, manifest: &Manifest) -> Result<(), Failure> {
    let core = manifest.core();
    match named {
        Expectation::Version { name, version }
            if (core.name.as_str(), core.version.as_str()) != (name.as_str(), version.as_str()) =>
        {
            let message = format!("the store has `{}@{}` under this name", core.name, core.version);
            let problem = Problem::new("recipe-malformed", message).at(named.to_string());
            Err(Failure::new(
                Exit::NotIntact,
                problem.hint("`consign store verify` says what is wrong with it"),
            ))
        }
        _ => Ok(()),
    }
}

/// The manifest of a bundle that something at hand holds.
fn manifest_of(
    context: &Context,
    id: BundleId,
    inventory: &Inventory,
    archives: &[Claimed],
) -> Result<Manifest, Failure> {
    if let Some(manifest) = known_manifest(context, id, inventory, archives) {
        return Ok(manifest);
    }
    let mut why = Vec::new();
    if let Some(store) = &inventory.store {
        let meter = context.meter("reading", 0);
        for recipe in inventory.recipes.iter().filter(|recipe| recipe.id == id) {
            let found = store
                .archive(&recipe.archive.sha256, &meter)
                .and_then(|stored| Ok(Archive::open(&stored, Anchor::Unsigned)?.manifest()?));
            match found {
                Ok((manifest, bytes)) if Manifest::id_of(&bytes) == id => return Ok(manifest),
                Ok(_) => {
                    let message = format!(
                        "the recipe of {} says of the bundle what its manifest does not",
                        recipe.archive.sha256
                    );
                    why.push(
                        Problem::new("recipe-malformed", message).at(store.path().display().to_string()),
                    );
                }
                Err(error) => why.extend(crate::store_args::store_failure(error, store.path()).problems),
            }
        }
    }
    let problem = Problem::new("manifest-missing", format!("the manifest of {id} is not at hand"));
    why.push(problem.hint("name it, or a place that holds it with `--from`"));
    Err(Failure { exit: Exit::Failed, problems: why })
}

/// Statements that were kept in the store with archives of a bundle.
fn stored_statements(id: BundleId, inventory: &Inventory) -> Vec<Signed> {
    let Some(store) = &inventory.store else { return Vec::new() };
    let mut signed = Vec::new();
    for recipe in inventory.recipes.iter().filter(|recipe| recipe.id == id) {
        let of_bundle = |file: &&&consign_bundle::StoredFile| is_attestations(&file.name);
        for file in recipe.latest_files().iter().filter(of_bundle) {
            let read = store.file(file).ok().and_then(|bytes| Attestations::parse(&bytes).ok());
            signed.extend(read.and_then(Signed::of));
        }
    }
    signed
}
