//! `consign store`: what was made, kept so that it can be made again.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;

use consign_bundle::{Recipe, Store as ObjectStore, StoreError, StoreFault};
use consign_metadata::{BundleId, BundleName, BundleVersion, Problem, Sha256Digest};
use serde::Serialize;

use crate::act::{Act, Action};
use crate::args::{self, Given};
use crate::bundle_out::BundleOut;
use crate::bundle_set::BundleSet;
use crate::context::{Context, threads};
use crate::exit::Exit;
use crate::outcome::{Failure, Outcome, Report};
use crate::store_args::{deposit, fault_problem, refuse_encrypted, store_failure};
use crate::style::{self, count, size};
use crate::vouching::Expectation;

/// Keep bundles so that each can be made again byte for byte
///
/// A store holds every compressed frame once, however many versions have it in common, and beside it the signatures.
/// `consign reconstruct` makes the very same files of it.
#[derive(clap::Args)]
pub(crate) struct Store {
    #[command(subcommand)]
    action: StoreAction,
}

#[derive(clap::Subcommand)]
enum StoreAction {
    Add(Add),
    List(List),
    Verify(Verify),
    Gc(Gc),
}

/// Put bundles into the store; what it holds already is skipped
///
/// Every byte is checked against the signature on its way. Whether the signer is trusted is not asked.
#[derive(clap::Args)]
struct Add {
    /// Archives, attestations, or folders with bundles
    #[arg(value_name = "BUNDLE", required = true)]
    bundles: Vec<PathBuf>,
    #[command(flatten)]
    store: Given<args::StoreArgs>,
    #[command(flatten)]
    policy: Given<args::PolicyArgs>,
}

/// List what the store holds
#[derive(clap::Args)]
struct List {
    #[command(flatten)]
    store: Given<args::StoreArgs>,
}

/// Read everything in the store again, and name what is not as it must be
#[derive(clap::Args)]
struct Verify {
    #[command(flatten)]
    store: Given<args::StoreArgs>,
    /// Read every object once, without putting every archive together
    #[arg(long)]
    quick: bool,
    /// How many threads to use [default: as many as there are processors]
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,
}

/// Remove what no archive in the store needs, and archives that are named
#[derive(clap::Args)]
struct Gc {
    #[command(flatten)]
    store: Given<args::StoreArgs>,
    /// Remove this bundle first: its archive's SHA-256, its id, or its name and version; may be repeated
    #[arg(long, value_name = "SHA256|NAME@VERSION")]
    remove: Vec<Expectation>,
    /// Of every name keep only the latest N versions
    #[arg(long, value_name = "N")]
    keep_last: Option<NonZeroU32>,
    /// Say what would be removed, and remove nothing
    #[arg(long)]
    dry_run: bool,
}

/// A bundle in the store.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct StoredOut {
    bundle: BundleOut,
    #[serde(serialize_with = "crate::bundle_out::bare")]
    archive_sha256: String,
    /// Bytes of the archive.
    bytes: u64,
}

impl StoredOut {
    fn of(recipe: &Recipe) -> Self {
        Self {
            bundle: BundleOut {
                name: recipe.name.to_string(),
                version: recipe.version.to_string(),
                classification: None,
                id: Some(recipe.id.to_string()),
                addressees: Vec::new(),
            },
            archive_sha256: recipe.archive.sha256.to_string(),
            bytes: recipe.archive.size,
        }
    }
}

/// What was put into the store.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct AddedToStore {
    store: PathBuf,
    bundles: Vec<AddedBundle>,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct AddedBundle {
    /// `stored` or `unchanged`.
    status: &'static str,
    #[serde(flatten)]
    stored: StoredOut,
    /// Objects that the store did not hold yet.
    new_objects: u64,
    /// Their bytes.
    new_bytes: u64,
}

impl Report for AddedToStore {
    fn human(&self, out: &mut dyn Write) -> io::Result<()> {
        let good = style::GOOD;
        for AddedBundle { status, stored, new_bytes, .. } in &self.bundles {
            let StoredOut { bundle, archive_sha256, bytes } = stored;
            writeln!(out, "{good}{status}{good:#} {} {}", bundle.name, bundle.version)?;
            writeln!(out, "  archive       {archive_sha256} ({})", size(*bytes))?;
            writeln!(out, "  new           {}", size(*new_bytes))?;
        }
        writeln!(out, "  store         {}", self.store.display())
    }
}

/// What the store holds.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct StoreListed {
    store: PathBuf,
    bundles: Vec<StoredOut>,
    /// Bytes that the archives have together.
    archive_bytes: u64,
    /// Bytes that they take in the store.
    object_bytes: u64,
}

impl Report for StoreListed {
    fn human(&self, out: &mut dyn Write) -> io::Result<()> {
        for bundle in &self.bundles {
            writeln!(
                out,
                "{} {}  {}  {}",
                bundle.bundle.name,
                bundle.bundle.version,
                size(bundle.bytes),
                bundle.archive_sha256
            )?;
        }
        writeln!(
            out,
            "{}, {}, kept in {}",
            count(self.bundles.len() as u64, "archive", "archives"),
            size(self.archive_bytes),
            size(self.object_bytes)
        )
    }
}

/// What was found in the store.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct StoreVerified {
    store: PathBuf,
    /// Whether everything is as it must be.
    intact: bool,
    /// Whether every archive was put together, or only what it needs was looked at.
    level: &'static str,
    archives: u64,
    archive_bytes: u64,
    objects: u64,
    object_bytes: u64,
    /// Objects that no archive needs: `store gc` removes them.
    unneeded: u64,
    /// Files of writers that were cut short, or are at it.
    leftovers: u64,
    /// Archives that cannot be put together.
    broken: Vec<StoredOut>,
}

impl Report for StoreVerified {
    fn human(&self, out: &mut dyn Write) -> io::Result<()> {
        let (good, error) = (style::GOOD, style::ERROR);
        match self.intact {
            true => writeln!(out, "{good}intact{good:#} {}", self.store.display())?,
            false => writeln!(out, "{error}NOT INTACT{error:#} {}", self.store.display())?,
        }
        let archives = count(self.archives, "archive", "archives");
        let how = if self.level == "archives" { "each put together" } else { "not put together (--quick)" };
        writeln!(out, "  archives      {archives}, {}, {how}", size(self.archive_bytes))?;
        let objects = count(self.objects, "object", "objects");
        writeln!(out, "  objects       {objects}, {}, each read", size(self.object_bytes))?;
        for broken in &self.broken {
            writeln!(
                out,
                "  {error}broken{error:#}        {} {}  {}",
                broken.bundle.name, broken.bundle.version, broken.archive_sha256
            )?;
        }
        if self.unneeded + self.leftovers > 0 {
            let objects = count(self.unneeded, "object", "objects");
            let files = count(self.leftovers, "unfinished file", "unfinished files");
            writeln!(out, "  not needed    {objects}, {files}; consign store gc removes them")?;
        }
        Ok(())
    }
}

/// What was removed from the store.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct StoreCollected {
    /// `collected` or `dry-run`.
    status: &'static str,
    store: PathBuf,
    /// Bundles that were removed.
    removed: Vec<StoredOut>,
    /// Objects that were removed.
    objects: u64,
    /// Their bytes.
    bytes: u64,
    /// Unfinished files that were removed.
    leftovers: u64,
    /// Objects that are left.
    kept_objects: u64,
    /// Their bytes.
    kept_bytes: u64,
}

impl Report for StoreCollected {
    fn human(&self, out: &mut dyn Write) -> io::Result<()> {
        let good = style::GOOD;
        let what = if self.status == "dry-run" { "would remove" } else { "removed" };
        let objects = count(self.objects, "object", "objects");
        writeln!(out, "{good}{what}{good:#} {objects}, {}", size(self.bytes))?;
        for bundle in &self.removed {
            writeln!(
                out,
                "  bundle        {} {}  {}",
                bundle.bundle.name, bundle.bundle.version, bundle.archive_sha256
            )?;
        }
        if self.leftovers > 0 {
            writeln!(out, "  unfinished    {}", count(self.leftovers, "file", "files"))?;
        }
        let kept = count(self.kept_objects, "object", "objects");
        writeln!(out, "  kept          {kept}, {}", size(self.kept_bytes))?;
        writeln!(out, "  store         {}", self.store.display())
    }
}

impl Store {
    pub(crate) fn run(&self, context: &Context) -> Result<Outcome, Failure> {
        match &self.action {
            StoreAction::Add(command) => command.run(context),
            StoreAction::List(command) => command.run(context),
            StoreAction::Verify(command) => command.run(context),
            StoreAction::Gc(command) => command.run(context),
        }
    }
}

impl Add {
    fn run(&self, context: &Context) -> Result<Outcome, Failure> {
        let mut sets = Vec::new();
        for named in &self.bundles {
            refuse_encrypted(named)?;
            sets.extend(BundleSet::find(named)?);
        }
        let policy = self.policy.load(context)?;
        let store = self.store.create(context)?;
        let mut report = AddedToStore { store: store.path().into(), bundles: Vec::new() };
        let (mut exit, mut problems) = (Exit::Done, Vec::new());
        for set in &sets {
            match deposit(context, &store, set, &policy) {
                Ok(deposited) => report.bundles.push(AddedBundle {
                    status: if deposited.unchanged { "unchanged" } else { "stored" },
                    stored: StoredOut::of(&deposited.recipe),
                    new_objects: deposited.new_objects,
                    new_bytes: deposited.new_bytes,
                }),
                // What is in order is kept all the same.
                Err(failure) => {
                    exit = exit.and(failure.exit);
                    problems.extend(failure.problems);
                }
            }
        }
        Ok(Outcome { exit, problems, report: Some(Box::new(report)) })
    }
}

/// The recipes of a store by name and version, and what is wrong with the others.
fn recipes(store: &ObjectStore) -> Result<(Vec<Recipe>, Vec<StoreFault>), Failure> {
    let failed = |error| store_failure(error, store.path());
    let (mut recipes, mut faults) = (Vec::new(), Vec::new());
    for archive in store.archives().map_err(failed)? {
        match store.recipe(&archive) {
            Ok(recipe) => recipes.push(recipe),
            Err(StoreError::Fault(fault)) => faults.push(fault),
            // Somebody removed it meanwhile.
            Err(StoreError::NoSuchArchive(_)) => {}
            Err(error) => return Err(failed(error)),
        }
    }
    recipes.sort_by(|a, b| {
        a.name
            .cmp(&b.name)
            .then_with(|| a.version.rank(&b.version))
            .then(a.archive.sha256.cmp(&b.archive.sha256))
    });
    Ok((recipes, faults))
}

impl List {
    fn run(&self, context: &Context) -> Result<Outcome, Failure> {
        let store = self.store.open(context)?;
        let (recipes, faults) = recipes(&store)?;
        let mut pieces = BTreeMap::new();
        for piece in recipes.iter().flat_map(Recipe::pieces) {
            pieces.insert(piece.sha256, piece.size);
        }
        let report = StoreListed {
            store: store.path().into(),
            archive_bytes: recipes.iter().map(|recipe| recipe.archive.size).sum(),
            object_bytes: pieces.values().sum(),
            bundles: recipes.iter().map(StoredOut::of).collect(),
        };
        let problems: Vec<_> = faults.iter().map(|fault| fault_problem(fault, store.path())).collect();
        let exit = if problems.is_empty() { Exit::Done } else { Exit::NotIntact };
        Ok(Outcome { exit, problems, report: Some(Box::new(report)) })
    }
}

impl Verify {
    fn run(&self, context: &Context) -> Result<Outcome, Failure> {
        let store = self.store.open(context)?;
        let failed = |error| store_failure(error, store.path());
        let meter = context.meter("verifying", store.work(self.quick).map_err(failed)?);
        let checked = store.verify(self.quick, threads(self.threads), &meter);
        drop(meter);
        let checked = checked.map_err(failed)?;
        let broken = checked.broken.iter().map(|archive| match store.recipe(archive) {
            Ok(recipe) => StoredOut::of(&recipe),
            Err(_) => StoredOut {
                bundle: BundleOut {
                    name: "?".into(),
                    version: "?".into(),
                    classification: None,
                    id: None,
                    addressees: Vec::new(),
                },
                archive_sha256: archive.to_string(),
                bytes: 0,
            },
        });
        let report = StoreVerified {
            store: store.path().into(),
            intact: checked.faults.is_empty(),
            level: if self.quick { "objects" } else { "archives" },
            archives: checked.archives,
            archive_bytes: checked.archive_bytes,
            objects: checked.objects,
            object_bytes: checked.object_bytes,
            unneeded: checked.unneeded,
            leftovers: checked.leftovers,
            broken: broken.collect(),
        };
        let problems: Vec<_> =
            checked.faults.iter().map(|fault| fault_problem(fault, store.path())).collect();
        let exit = if problems.is_empty() { Exit::Done } else { Exit::NotIntact };
        Ok(Outcome { exit, problems, report: Some(Box::new(report)) })
    }
}

impl Gc {
    fn run(&self, context: &Context) -> Result<Outcome, Failure> {
        let store = self.store.open(context)?;
        let (recipes, _) = recipes(&store)?;
        let mut removed: BTreeSet<Sha256Digest> = BTreeSet::new();
        for wanted in &self.remove {
            let before = removed.len();
            removed.extend(
                recipes.iter().filter(|recipe| names(wanted, recipe)).map(|recipe| recipe.archive.sha256),
            );
            // One whose recipe cannot be read goes by its digest.
            if let Expectation::Id(BundleId(digest)) = wanted
                && store.archives().map_err(|error| store_failure(error, store.path()))?.contains(digest)
            {
                removed.insert(*digest);
            }
            if removed.len() == before {
                let problem =
                    Problem::new("not-in-store", "the store has no such bundle").at(wanted.to_string());
                return Err(Failure::failed(problem.hint("`consign store list` shows what there is")));
            }
        }
        if let Some(keep) = self.keep_last {
            removed.extend(outdated(&recipes, keep));
        }
        let removed: Vec<Sha256Digest> = removed.into_iter().collect();
        let meter = context.meter("collecting", 0);
        let collected = store.collect(&removed, self.dry_run, &meter);
        drop(meter);
        let collected = collected.map_err(|error| store_failure(error, store.path()))?;
        let gone: Vec<&Recipe> =
            recipes.iter().filter(|recipe| removed.contains(&recipe.archive.sha256)).collect();
        if !self.dry_run {
            for recipe in &gone {
                context.record(removal(recipe));
            }
            if gone.is_empty() && collected.objects > 0 {
                context.record(Act::new(Action::StoreCollected).with("bytes", collected.bytes));
            }
        }
        Ok(Outcome::done(StoreCollected {
            status: if self.dry_run { "dry-run" } else { "collected" },
            store: store.path().into(),
            removed: gone.into_iter().map(StoredOut::of).collect(),
            objects: collected.objects,
            bytes: collected.bytes,
            leftovers: collected.leftovers,
            kept_objects: collected.kept_objects,
            kept_bytes: collected.kept_bytes,
        }))
    }
}

/// One bundle that was removed, for the ledger.
fn removal(recipe: &Recipe) -> Act {
    Act::new(Action::StoreCollected)
        .archive(recipe.archive.sha256)
        .with("bundle", format!("{}@{}", recipe.name, recipe.version))
        .with("bundle_id", recipe.id.to_string())
}

/// Whether a recipe is of the bundle that is asked for.
pub(crate) fn names(wanted: &Expectation, recipe: &Recipe) -> bool {
    match wanted {
        Expectation::Id(id) => recipe.id == *id || recipe.archive.sha256 == id.0,
        Expectation::Version { name, version } => {
            recipe.name.as_str() == name && recipe.version.as_str() == version
        }
    }
}

/// Archives of all but the latest versions of every name.
fn outdated(recipes: &[Recipe], keep: NonZeroU32) -> Vec<Sha256Digest> {
    let mut versions: BTreeMap<&BundleName, Vec<&BundleVersion>> = BTreeMap::new();
    for recipe in recipes {
        let of_name = versions.entry(&recipe.name).or_default();
        if !of_name.contains(&&recipe.version) {
            of_name.push(&recipe.version);
        }
    }
    let keep = usize::try_from(keep.get()).unwrap_or(usize::MAX);
    for of_name in versions.values_mut() {
        of_name.sort_by(|a, b| b.rank(a));
        of_name.drain(..of_name.len().min(keep));
    }
    let outdated =
        |recipe: &&Recipe| versions.get(&recipe.name).is_some_and(|old| old.contains(&&recipe.version));
    recipes.iter().filter(outdated).map(|recipe| recipe.archive.sha256).collect()
}
