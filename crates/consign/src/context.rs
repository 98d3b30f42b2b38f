//! What every command is given: how to speak, whether to stop, where consign's own files are, what time it is.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};

use consign_bundle::publish::is_unable;
use consign_files::FileSystem;
use consign_metadata::{BundleId, Manifest, Problem};
use consign_policy::Policy;
use consign_signing::{Claim, StrictModesErrorKind, Timestamp, TrustPolicy, read_unwritable};

use crate::act::Act;
use crate::bundle_set::BundleSet;
use crate::config::{CONFIG_FILE, Config};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::ledger::LedgerArgs;
use crate::person::Person;
use crate::progress::{Meter, Watcher};
use crate::state::State;

/// What every command is given.
pub struct Context {
    /// Whether everything that is wrong is told, however much it is; a person is told the first of many.
    pub json: bool,
    /// Set to make whatever is going on stop.
    pub cancel: Arc<AtomicBool>,
    /// Who is told how far work has come.
    watcher: Arc<dyn Watcher>,
    /// Who may be asked.
    person: Arc<dyn Person>,
    /// `None` if there is no home directory and `$CONSIGN_HOME` is not set.
    home: Option<Own>,
    /// Where what this machine remembers is kept.
    state: State,
    /// Where events go.
    ledger: LedgerArgs,
    /// What was done so far that the ledger is to remember.
    acts: Mutex<Vec<Act>>,
    /// What is worth knowing about the record, and changes nothing.
    notes: Mutex<Vec<Problem>>,
    /// What the command is about, as far as it was found out: of this a refusal speaks.
    about: Mutex<Option<Claim>>,
}

impl Context {
    pub fn new(
        json: bool,
        watcher: Arc<dyn Watcher>,
        person: Arc<dyn Person>,
        cancel: Arc<AtomicBool>,
        ledger: LedgerArgs,
    ) -> Self {
        Self {
            json,
            watcher,
            person,
            cancel,
            home: configuration_directory(),
            state: state(),
            ledger,
            acts: Mutex::default(),
            notes: Mutex::default(),
            about: Mutex::default(),
        }
    }

    /// With a home of its own, for configuration and state, and nobody to ask or to tell; nothing is read from the environment
    /// but the home's files.
    pub fn at(home: &Path) -> Self {
        Self {
            json: true,
            watcher: Arc::new(crate::progress::Nobody),
            person: Arc::new(crate::person::Nobody),
            cancel: Arc::default(),
            home: Some(Own::at(home)),
            state: State::at(home),
            ledger: LedgerArgs::default(),
            acts: Mutex::default(),
            notes: Mutex::default(),
            about: Mutex::default(),
        }
    }

    /// The same, watched by somebody.
    pub fn watched_by(self, watcher: Arc<dyn Watcher>) -> Self {
        Self { watcher, ..self }
    }

    /// The same, with somebody who may be asked.
    pub fn asking(self, person: Arc<dyn Person>) -> Self {
        Self { person, ..self }
    }

    /// The same with another home, for a rehearsal.
    pub fn with_home(&self, home: &Path) -> Self {
        Self {
            json: self.json,
            watcher: Arc::clone(&self.watcher),
            person: Arc::clone(&self.person),
            cancel: Arc::clone(&self.cancel),
            home: Some(Own::at(home)),
            state: State::at(home),
            ledger: LedgerArgs::default(),
            acts: Mutex::default(),
            notes: Mutex::default(),
            about: Mutex::default(),
        }
    }

    /// Notes what was done, for the ledger. It is written when the command ends, before its success is reported.
    pub fn record(&self, act: Act) {
        self.acts.lock().unwrap_or_else(PoisonError::into_inner).push(act);
    }

    /// Notes something that is worth knowing and changes nothing; it is printed when the command ends.
    pub fn note(&self, note: Problem) {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner).push(note);
    }

    /// What was noted since this was asked.
    pub fn take_notes(&self) -> Vec<Problem> {
        std::mem::take(&mut *self.notes.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Notes what the command is about, so that a refusal can say so. It is a claim, not yet verified.
    pub fn about(&self, claim: &Claim) {
        *self.about.lock().unwrap_or_else(PoisonError::into_inner) = Some(claim.clone());
    }

    /// What was claimed of the bundle that the command is about.
    pub fn claimed(&self) -> Option<Claim> {
        self.about.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Where events go.
    pub fn ledger(&self) -> &LedgerArgs {
        &self.ledger
    }

    /// Whether anything is to be recorded at all: events, and the manifests of bundles that are made or seen.
    pub fn keeps_record(&self) -> bool {
        !self.ledger.says_none()
    }

    /// Keeps the manifest of a bundle that was verified here, so that it can be found by what is in it. What cannot be
    /// kept is a note. Of what came encrypted nothing is kept.
    pub fn keep_manifest(&self, set: &BundleSet, manifest: &Manifest, id: BundleId) {
        if !self.keeps_record() || set.other_stem().is_some() || self.state.knows(id) {
            return;
        }
        if let Err(error) = self.state.keep_manifest(&manifest.to_bytes(), id) {
            self.note(crate::state::not_kept("the manifest", &error));
        }
    }

    /// Remembers where a bundle was unpacked to, so that it is found if the bundle is taken back. What cannot be remembered is
    /// a note.
    pub fn keep_unpacked(&self, set: &BundleSet, directory: &Path) -> Option<Problem> {
        let (_, attestations) = set.attestations.as_ref()?;
        let kept = self.state.keep_unpacked(directory, attestations);
        kept.err().map(|error| crate::state::not_kept("where it was unpacked to", &error))
    }

    /// Consign's home, where its configuration is; `None` if there is none.
    pub fn home(&self) -> Option<&Path> {
        self.home.as_ref().map(|home| home.directory.as_path())
    }

    /// The same, made if it is not there, for its owner alone: but not where the user's own home does not exist.
    pub fn make_home(&self) -> Result<&Path, Failure> {
        let home = self.home.as_ref().ok_or_else(no_home)?;
        home.make().map_err(|error| unwritable(&home.directory, &error))
    }

    /// What was done since this was asked.
    pub fn take_acts(&self) -> Vec<Act> {
        std::mem::take(&mut *self.acts.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// What this machine remembers.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// A meter for some work.
    pub fn meter(&self, doing: &'static str, total: u64) -> Meter {
        Meter::new(&*self.watcher, &self.cancel, doing, total)
    }

    /// Who may be asked.
    pub fn person(&self) -> &Arc<dyn Person> {
        &self.person
    }

    /// Where `policy.toml` is, or would be.
    pub fn policy_file(&self) -> Option<PathBuf> {
        self.home().map(|home| home.join("policy.toml"))
    }

    /// The handling policy that applies without a file.
    pub fn builtin_policy() -> Result<Policy, Failure> {
        Policy::builtin().map_err(|error| Failure { exit: Exit::Failed, problems: error.0 })
    }

    /// The handling policy: of the file that is named, which must be there, else of the configuration, else the
    /// built-in one.
    pub fn policy(&self, named: Option<&Path>) -> Result<Policy, Failure> {
        let Some(path) = named.map(Path::to_path_buf).or_else(|| self.policy_file()) else {
            return Self::builtin_policy();
        };
        let bytes = match named {
            Some(path) => crate::reading::read(path, crate::reading::TEXT_MAX)
                .map_err(|error| unreadable(path, &error))?,
            None => match own_file(&path)? {
                Some(bytes) => bytes,
                None => return Self::builtin_policy(),
            },
        };
        let at = |problem: Problem| problem.at(path.display().to_string());
        let text = String::from_utf8(bytes)
            .map_err(|_| Failure::usage(at(Problem::new("policy-malformed", "is not UTF-8"))))?;
        Policy::parse(&text)
            .map_err(|error| Failure { exit: Exit::Usage, problems: error.0.into_iter().map(at).collect() })
    }

    /// The time by this machine's clock, to the second.
    pub fn now(&self) -> Result<Timestamp, Failure> {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).ok();
        since.and_then(|since| Timestamp::from_unix_seconds(since.as_secs())).ok_or_else(|| {
            let problem =
                Problem::new("clock", "the clock of this machine shows a year before 1970 or after 9999");
            Failure::failed(problem.hint("set the clock"))
        })
    }

    /// Where `trust.toml` is, or would be.
    pub fn trust_file(&self) -> Result<PathBuf, Failure> {
        self.home().map(|home| home.join("trust.toml")).ok_or_else(no_home)
    }

    /// The trust policy: of the file that is named, which must be there, else of the configuration, if there is
    /// one.
    pub fn trust_policy(&self, named: Option<&Path>) -> Result<Option<TrustPolicy>, Failure> {
        let path = match (named, self.home()) {
            (Some(path), _) => path.to_path_buf(),
            (None, Some(home)) => home.join("trust.toml"),
            (None, None) => return Ok(None),
        };
        let text = match named {
            // Who may write a file that the caller names is the caller's business.
            Some(path) => crate::reading::read(path, crate::reading::TEXT_MAX)
                .map_err(|error| unreadable(path, &error))?,
            None => match own_file(&path)? {
                Some(text) => text,
                None => return Ok(None),
            },
        };
        let text = String::from_utf8(text).map_err(|_| {
            Failure::usage(Problem::new("trust-malformed", "is not UTF-8").at(path.display().to_string()))
        })?;
        TrustPolicy::parse(&text).map(Some).map_err(|problems| in_file(&path, problems))
    }

    /// Where `config.toml` is, or would be.
    pub fn config_file(&self) -> Option<PathBuf> {
        self.home().map(|home| home.join(CONFIG_FILE))
    }

    /// The configuration in consign's home; one that says nothing if there is none.
    pub fn config(&self) -> Result<Config, Failure> {
        let Some(path) = self.config_file() else { return Ok(Config::default()) };
        let Some(text) = own_file(&path)? else { return Ok(Config::default()) };
        let text = String::from_utf8(text).map_err(|_| {
            Failure::usage(Problem::new("config-malformed", "is not UTF-8").at(path.display().to_string()))
        })?;
        Config::parse(&text).map_err(|problems| in_file(&path, problems))
    }
}

fn no_home() -> Failure {
    let message = "there is no home directory to keep consign's configuration in";
    let problem = Problem::new("no-home", message);
    Failure::failed(problem.hint("set `CONSIGN_HOME`, or name the file with `--trust FILE`"))
}

/// Reads a file in consign's home, unless others could have written it.
pub fn own_file(path: &Path) -> Result<Option<Vec<u8>>, Failure> {
    read_unwritable(path).map_err(|error| match &error.kind {
        StrictModesErrorKind::Io(error) => unreadable(path, error),
        _ => Failure::failed(error.problem()),
    })
}

/// What is wrong in a file of the user's own.
fn in_file(path: &Path, problems: Vec<Problem>) -> Failure {
    let at = |problem: Problem| {
        let field = problem.at.clone().map_or_else(String::new, |field| format!(": {field}"));
        problem.at(format!("{}{field}", path.display()))
    };
    Failure { exit: Exit::Usage, problems: problems.into_iter().map(at).collect() }
}

/// The number of threads: as many as were asked for, else as many as this process may use by affinity and
/// control group; of these, as many as it has memory for.
pub fn threads(asked: Option<NonZeroUsize>) -> NonZeroUsize {
    let wanted = asked.or_else(|| std::thread::available_parallelism().ok()).unwrap_or(NonZeroUsize::MIN);
    wanted.min(crate::memory::threads_max())
}

/// A directory of consign's own, which may not exist yet, and the one below which it may be made.
#[derive(Clone, Debug)]
struct Own {
    directory: PathBuf,
    beneath: PathBuf,
}

impl Own {
    /// `$CONSIGN_HOME`. What lies above it is the caller's.
    fn named() -> Option<Self> {
        let directory = PathBuf::from(crate::variables::get("CONSIGN_HOME")?);
        Some(Self::at(&directory))
    }

    fn at(directory: &Path) -> Self {
        let beneath = consign_bundle::publish::parent(directory);
        Self { directory: directory.into(), beneath: beneath.into() }
    }

    /// The platform's place, which is made if it is not there: below a home directory that exists, or wherever the
    /// variable says (XDG Base Directory Specification).
    fn of_platform(kind: Kind) -> Option<Self> {
        use etcetera::BaseStrategy as _;
        let base = etcetera::choose_base_strategy().ok()?;
        let (variable, place) = match kind {
            Kind::Configuration => ("XDG_CONFIG_HOME", base.config_dir()),
            Kind::State => ("XDG_STATE_HOME", base.state_dir().unwrap_or_else(|| base.data_dir())),
        };
        let directory = place.join("consign");
        let said = std::env::var_os(variable).map(PathBuf::from).filter(|said| said.is_absolute());
        let beneath = match said.filter(|said| directory.starts_with(said)) {
            Some(said) => said.ancestors().last()?.to_owned(),
            None => base.home_dir().to_owned(),
        };
        // The directory of a user without one would be wherever the program runs.
        directory.is_absolute().then_some(Self { directory, beneath })
    }

    fn make(&self) -> std::io::Result<&Path> {
        if !self.beneath.is_dir() {
            let message = format!("there is no directory `{}`", self.beneath.display());
            return Err(std::io::Error::new(std::io::ErrorKind::NotFound, message));
        }
        crate::state::make_private(&self.directory)?;
        Ok(&self.directory)
    }
}

/// What consign keeps.
#[derive(Clone, Copy)]
enum Kind {
    Configuration,
    State,
}

/// `$CONSIGN_HOME`, else the platform's directory for configuration.
fn configuration_directory() -> Option<Own> {
    Own::named().or_else(|| Own::of_platform(Kind::Configuration))
}

/// `$CONSIGN_HOME`, else the platform's directory for state.
fn state() -> State {
    match Own::named().or_else(|| Own::of_platform(Kind::State)) {
        Some(own) => State::beneath(&own.beneath, own.directory),
        None => State::nowhere(),
    }
}

/// Whether there is no such file; nor is there one where a directory above it is none.
pub fn is_absent(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory)
}

/// A file of the user's that cannot be read.
pub fn unreadable(path: &Path, error: &std::io::Error) -> Failure {
    let mut problem = Problem::new("unreadable", format!("cannot be read: {error}"));
    problem.hint = next_step(error, "read");
    Failure::failed(problem.at(path.display().to_string()))
}

/// A file or directory that cannot be written.
pub fn unwritable(path: &Path, error: &std::io::Error) -> Failure {
    let mut problem = Problem::new("unwritable", format!("cannot be written: {error}"));
    problem.hint = match FileSystem::of(path).filter(|_| is_unable(error)) {
        Some(system) => Some(format!(
            "{system} cannot do what a new file needs; write to a local disk, and copy the whole files from there"
        )),
        None => next_step(error, "write"),
    };
    Failure::failed(problem.at(path.display().to_string()))
}

/// What can be done about what the system says, if it can be told.
pub fn next_step(error: &std::io::Error, what: &str) -> Option<String> {
    use std::io::ErrorKind;
    let step = match error.kind() {
        ErrorKind::NotFound => "check how the path is spelled, and from which directory".into(),
        ErrorKind::PermissionDenied => {
            format!("run it as somebody who may {what} there, or ask for the permission")
        }
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => "make room, or write to another disk".into(),
        ErrorKind::FileTooLarge => {
            "raise the limit on the size of files (`ulimit -f`), or write to a file system that takes larger ones"
                .into()
        }
        ErrorKind::ReadOnlyFilesystem => "write to another disk".into(),
        ErrorKind::IsADirectory => "name a file in it".into(),
        ErrorKind::NotADirectory => "name a directory".into(),
        _ => return None,
    };
    Some(step)
}

/// Makes a folder that somebody named for what a command is to put there, with all above it that are missing.
pub fn make_folder(folder: &Path) -> Result<(), Failure> {
    if folder.symlink_metadata().is_ok() && !folder.is_dir() {
        let problem = Problem::new("no-directory", "is not a directory, so nothing can be written into it");
        return Err(Failure::failed(problem.at(folder.display().to_string())));
    }
    std::fs::create_dir_all(folder).map_err(|error| unwritable(folder, &error))
}

/// The directory that a new file is to stand in, which must be there: nothing is made that nobody asked for.
pub fn directory_for(file: &Path) -> Result<&Path, Failure> {
    let directory = consign_bundle::publish::parent(file);
    if directory.is_dir() {
        return Ok(directory);
    }
    let shown = directory.display().to_string();
    Err(Failure::failed(if directory.symlink_metadata().is_ok() {
        Problem::new("no-directory", "is not a directory, so nothing can be written into it").at(shown)
    } else {
        let hint = format!("make it first: mkdir -p {}", consign_metadata::shell_word(&shown));
        Problem::new("no-directory", "there is no such directory to write to").at(shown).hint(hint)
    }))
}
