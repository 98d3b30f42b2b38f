//! From an archive to a directory, which appears by one rename once everything was verified.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Write as _};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use cap_std::ambient_authority;
use cap_std::fs::{Dir, OpenOptions};
use consign_metadata::{EntryPath, FileMode, Manifest, ManifestEntry, NameFault, NameProfile};

use crate::archive::{Archive, ArchiveError, ReadAt, UnplacedManifest};
use crate::bagit::{BAGIT, MANIFEST_PATH, TagFiles};
use crate::check::ContentSink;
use crate::limits::LARGE_FILE;
use crate::progress::Progress;
use crate::publish;
use crate::verify::{Scope, VerifiedArchive, verify_into};
use crate::write_back::{self, WriteBack};

/// What is unpacked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selection {
    /// The payload, as it was in the directory that was packed.
    Payload,
    /// The BagIt layout: payload under `data/`, tag files beside it.
    Bag,
    /// These files of the payload, reading only the frames that hold them.
    Only(Vec<EntryPath>),
}

/// Why nothing was unpacked.
#[derive(Debug, thiserror::Error)]
pub enum UnpackError {
    /// The archive is not in order.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// The destination is already there.
    #[error("`{}` already exists; unpack makes a new directory", .0.display())]
    Exists(PathBuf),
    /// The caller did not want it, having seen the manifest.
    #[error("it was not admitted")]
    NotAdmitted,
    /// A name cannot be used on this platform.
    #[error("{0}, and this platform cannot take such names")]
    Name(#[from] NameFault),
    /// The destination cannot be written.
    #[error("`{}` cannot be written: {error}", path.display())]
    Write {
        /// What was to be written.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
}

/// Verifies an archive and extracts it into the new directory `destination`.
///
/// Everything is written into a temporary directory beside it, through a directory handle, and renamed once
/// everything held; until then, and if anything fails, there is no `destination`.
///
/// # Errors
/// The archive is not in order, the destination exists or cannot be written. Nothing is left behind.
pub fn unpack<R: ReadAt>(
    archive: &Archive<'_, R>,
    destination: &Path,
    selection: Selection,
    threads: NonZeroUsize,
    progress: &dyn Progress,
) -> Result<VerifiedArchive, UnpackError> {
    unpack_if(archive, destination, selection, threads, progress, |_| Some(Readers::Umask))
        .map(|unpacked| unpacked.verified)
}

/// What was unpacked.
pub struct Unpacked {
    /// The archive, every byte of which was checked as far as it was unpacked.
    pub verified: VerifiedArchive,
    /// Whether every file is executable or not as the manifest says. A file system that keeps no modes shows one for all.
    pub modes_kept: bool,
}

/// Who may read what is unpacked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Readers {
    /// Nobody but its owner: directories have the mode 0700, files 0600 or 0700.
    #[default]
    Owner,
    /// Whoever may read what this user makes: the umask says so.
    Umask,
}

impl Readers {
    /// What of a mode is left.
    fn admit(self, mode: u32) -> u32 {
        match self {
            Self::Owner => mode & 0o700,
            Self::Umask => mode,
        }
    }
}

/// The same, if the caller admits it by its manifest, and for whom, which is asked before anything is written. Of an archive that is
/// held against a signed statement the manifest is the one that was signed; what it lists has not been looked at.
///
/// # Errors
/// As of [`unpack`]; it was not admitted.
pub fn unpack_if<R: ReadAt>(
    archive: &Archive<'_, R>,
    destination: &Path,
    selection: Selection,
    threads: NonZeroUsize,
    progress: &dyn Progress,
    admit: impl FnOnce(&Manifest) -> Option<Readers>,
) -> Result<Unpacked, UnpackError> {
    let found = archive.unplaced_manifest()?;
    let manifest = &found.manifest;
    let readers = admit(manifest).ok_or(UnpackError::NotAdmitted)?;
    // Without a slash at the end, which would lead through a link.
    let destination = &destination.components().collect::<PathBuf>();
    // A dangling link counts as well: nothing may stand in this place.
    if destination.symlink_metadata().is_ok() {
        return Err(UnpackError::Exists(destination.clone()));
    }
    let failed = |path: &Path| {
        let path = path.to_path_buf();
        move |error| UnpackError::Write { path, error }
    };
    if cfg!(windows) {
        manifest.entries().try_for_each(|entry| entry.path().check(NameProfile::Portable))?;
    }
    let parent = publish::parent(destination);
    publish::probe_for_directories(parent).map_err(failed(parent))?;
    // Nobody else sees what is in it before all of it was verified. What gets the name is a directory in it, made as
    // anyone makes one; the umask applies.
    let temporary = publish::temporary_directory(parent).map_err(failed(parent))?;
    let made = &temporary.path().join(MADE);
    make_root(made, readers).map_err(failed(made))?;
    let root = Dir::open_ambient_dir(made, ambient_authority()).map_err(failed(made))?;
    let payload = match selection {
        Selection::Bag => {
            write_tags(&root, &found, readers).map_err(failed(destination))?;
            make_dir(&root, "data", readers).and_then(|()| root.open_dir("data"))
        }
        _ => root.try_clone(),
    };
    let payload = payload.map_err(failed(destination))?;
    let (scope, only) = match selection {
        Selection::Only(paths) => {
            (Scope::Only(paths.clone()), Some(paths.into_iter().collect::<BTreeSet<_>>()))
        }
        Selection::Payload | Selection::Bag => (Scope::Content, None),
    };
    let modes_lost = AtomicBool::new(false);
    let writer = TreeWriter { root: payload, only, readers, large: Mutex::default(), modes_lost };
    writer.prepare(manifest).map_err(failed(destination))?;
    let verified = verify_into(archive, found, scope, threads, progress, Some(&writer))
        .map_err(|error| write_error(error, destination))?;
    let modes_kept = !writer.modes_lost.load(Ordering::Relaxed);
    writer.finish().and_then(|()| sync(made)).map_err(failed(destination))?;
    publish_new(made, destination).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => UnpackError::Exists(destination.clone()),
        _ => failed(destination)(error),
    })?;
    Ok(Unpacked { verified, modes_kept })
}

/// The sink's errors come through verification; they are about the destination, not about the archive.
fn write_error(error: ArchiveError, destination: &Path) -> UnpackError {
    match error {
        ArchiveError::Io(error)
            if error.get_ref().is_some_and(|inner| inner.downcast_ref::<SinkError>().is_some()) =>
        {
            UnpackError::Write { path: destination.into(), error }
        }
        other => other.into(),
    }
}

/// Marks an error of the destination.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {error}")]
struct SinkError {
    path: EntryPath,
    error: io::Error,
}

struct TreeWriter {
    root: Dir,
    only: Option<BTreeSet<EntryPath>>,
    readers: Readers,
    large: Mutex<LargeFiles>,
    /// Whether a file is not executable, or executable, against what was asked.
    modes_lost: AtomicBool,
}

/// What the directory is called until it has its name.
const MADE: &str = "content";
/// Most large files that are open at the same time. They come one after the other, but for threads that run
/// ahead.
const OPEN_MAX: usize = 16;

/// Large files that are being written.
#[derive(Default)]
struct LargeFiles {
    /// By entry; the one that was needed last is at the end.
    open: Vec<(usize, Arc<File>)>,
    /// Bytes written since the disk was last told.
    unsent: u64,
    write_back: WriteBack,
}

impl TreeWriter {
    fn wanted(&self, entry: &ManifestEntry<'_>) -> bool {
        self.only.as_ref().is_none_or(|only| only.contains(entry.path()))
    }

    /// Makes all directories, and the large files, which several threads then fill.
    fn prepare(&self, manifest: &Manifest) -> io::Result<()> {
        // Entries come in order, so that those of a directory come together.
        let mut last = "";
        for entry in manifest.entries().filter(|entry| self.wanted(entry)) {
            let path = entry.path().as_str();
            let below = if entry.file().is_some() { path.rfind('/') } else { Some(path.len()) };
            if let Some(directory) = below.map(|end| &path[..end]) {
                let ends = directory.match_indices('/').map(|(at, _)| at).chain([directory.len()]);
                for prefix in ends.map(|end| &directory[..end]).filter(|prefix| !lies_in(last, prefix)) {
                    make_dir(&self.root, prefix, self.readers)?;
                }
                last = directory;
            }
            if entry.file().is_some_and(|file| file.size >= LARGE_FILE) {
                self.create(&entry)?;
            }
        }
        Ok(())
    }

    /// A large file, which was made before.
    fn open_large(&self, index: usize, entry: &ManifestEntry<'_>) -> io::Result<Arc<File>> {
        let mut large = self.large.lock().unwrap_or_else(PoisonError::into_inner);
        let there = large.open.iter().position(|(entry, _)| *entry == index);
        let (index, file) = match there {
            Some(at) => large.open.remove(at),
            None => {
                let mut options = OpenOptions::new();
                options.write(true);
                let file = self.root.open_with(entry.path().as_str(), &options)?;
                if large.open.len() == OPEN_MAX {
                    large.open.remove(0);
                }
                (index, Arc::new(file.into_std()))
            }
        };
        large.open.push((index, Arc::clone(&file)));
        Ok(file)
    }

    /// Waits for the disk, as far as it was told.
    fn finish(self) -> io::Result<()> {
        self.large.into_inner().unwrap_or_else(PoisonError::into_inner).write_back.finish()
    }

    /// A new file: never one that is there, never through a link.
    fn create(&self, entry: &ManifestEntry<'_>) -> io::Result<File> {
        let mode = entry.file().map_or(FileMode::Regular, |file| file.mode);
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        {
            use cap_std::fs::OpenOptionsExt as _;
            options.mode(self.readers.admit(mode.bits()));
        }
        let file = self.root.open_with(entry.path().as_str(), &options)?.into_std();
        if !self.modes_lost.load(Ordering::Relaxed) && !keeps_mode(&file, mode)? {
            self.modes_lost.store(true, Ordering::Relaxed);
        }
        Ok(file)
    }
}

/// Whether a file that was made just now is executable, or not, as was asked. What a umask or an access list took from its
/// owner is given back, so that what is unpacked is what the manifest lists.
#[cfg(unix)]
fn keeps_mode(file: &File, mode: FileMode) -> io::Result<bool> {
    use std::os::unix::fs::PermissionsExt as _;
    let executable = mode == FileMode::Executable;
    let shown = || io::Result::Ok(file.metadata()?.permissions().mode() & 0o7777);
    let fits = |shown: u32| (shown & 0o100 != 0) == executable;
    let shows = shown()?;
    if fits(shows) {
        return Ok(true);
    }
    let wanted = if executable { shows | 0o100 } else { shows & !0o111 };
    match file.set_permissions(std::fs::Permissions::from_mode(wanted)) {
        Ok(()) => Ok(fits(shown()?)),
        Err(error) if publish::is_unable(&error) => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(not(unix))]
fn keeps_mode(_: &File, _: FileMode) -> io::Result<bool> {
    Ok(true)
}

/// Whether one directory is the other or lies in it.
fn lies_in(directory: &str, above: &str) -> bool {
    directory.strip_prefix(above).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

impl ContentSink for TreeWriter {
    fn whole(&self, entry: &ManifestEntry<'_>, content: &[u8]) -> io::Result<()> {
        if entry.file().is_none() || !self.wanted(entry) {
            return Ok(());
        }
        self.create(entry)
            .and_then(|mut file| {
                file.write_all(content)?;
                sync_file(&file)
            })
            .map_err(|error| sink_error(entry, error))
    }

    fn stretch(
        &self,
        index: usize,
        entry: &ManifestEntry<'_>,
        offset: u64,
        content: &[u8],
    ) -> io::Result<()> {
        let write = || {
            let file = self.open_large(index, entry)?;
            write_all_at(&file, content, offset)?;
            sync_file(&file)?;
            let mut large = self.large.lock().unwrap_or_else(PoisonError::into_inner);
            large.unsent += content.len() as u64;
            if large.unsent >= write_back::WORTH {
                large.unsent = 0;
                large.write_back.begin(&file);
            }
            Ok(())
        };
        write().map_err(|error| sink_error(entry, error))
    }
}

fn sink_error(entry: &ManifestEntry<'_>, error: io::Error) -> io::Error {
    io::Error::new(error.kind(), SinkError { path: entry.path().clone(), error })
}

#[cfg(unix)]
fn write_all_at(file: &File, content: &[u8], offset: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::write_all_at(file, content, offset)
}

#[cfg(windows)]
fn write_all_at(file: &File, mut content: &[u8], mut offset: u64) -> io::Result<()> {
    while !content.is_empty() {
        let written = std::os::windows::fs::FileExt::seek_write(file, content, offset)?;
        content = &content[written..];
        offset += written as u64;
    }
    Ok(())
}

/// Makes a directory for those who may read it.
/// Makes the directory that gets the name, for those who may look into it.
fn make_root(path: &Path, readers: Readers) -> io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt as _;
        builder.mode(readers.admit(0o777));
    }
    #[cfg(not(unix))]
    let _ = readers;
    builder.create(path)
}

fn make_dir(root: &Dir, path: &str, readers: Readers) -> io::Result<()> {
    #[cfg(unix)]
    {
        use cap_std::fs::DirBuilderExt as _;
        let mut builder = cap_std::fs::DirBuilder::new();
        root.create_dir_with(path, builder.mode(readers.admit(0o777)))
    }
    #[cfg(not(unix))]
    {
        let _ = readers;
        root.create_dir(path)
    }
}

fn write_tags(root: &Dir, found: &UnplacedManifest, readers: Readers) -> io::Result<()> {
    let tags = TagFiles::of(&found.manifest, found.id);
    make_dir(root, "consign", readers)?;
    let new_file = |path: &str| {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        {
            use cap_std::fs::OpenOptionsExt as _;
            options.mode(readers.admit(0o666));
        }
        root.open_with(path, &options).map(cap_std::fs::File::into_std)
    };
    for (path, content) in [
        ("bag-info.txt", tags.bag_info.as_bytes()),
        ("bagit.txt", BAGIT.as_bytes()),
        (MANIFEST_PATH, &found.bytes),
        ("tagmanifest-sha256.txt", tags.tagmanifest_sha256.as_bytes()),
    ] {
        let mut file = new_file(path)?;
        file.write_all(content)?;
        sync_file(&file)?;
    }
    let mut file = new_file("manifest-sha256.txt")?;
    tags.manifest_sha256.groups().try_for_each(|group| file.write_all(group.as_bytes()))?;
    sync_file(&file)
}

/// On Linux everything is made durable at once, at the end.
#[cfg(target_os = "linux")]
fn sync(root: &Path) -> io::Result<()> {
    match rustix::fs::syncfs(File::open(root)?).map_err(io::Error::from) {
        Err(error) if publish::is_unable(&error) => sync_each(root),
        result => result,
    }
}

/// Makes what lies in a new directory durable piece by piece. It was made here, and holds files and directories.
#[cfg(target_os = "linux")]
fn sync_each(directory: &Path) -> io::Result<()> {
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        match path.is_dir() {
            true => sync_each(&path)?,
            false => File::open(&path)?.sync_all()?,
        }
    }
    publish::sync_directory(directory)
}

#[cfg(not(target_os = "linux"))]
fn sync(root: &Path) -> io::Result<()> {
    publish::sync_directory(root)
}

#[cfg(target_os = "linux")]
fn sync_file(_: &File) -> io::Result<()> {
    Ok(())
}

#[cfg(not(target_os = "linux"))]
fn sync_file(file: &File) -> io::Result<()> {
    file.sync_all()
}

/// Gives the directory its name, which must be free, durably.
fn publish_new(made: &Path, destination: &Path) -> io::Result<()> {
    publish::give_directory_name(made, destination)?;
    if let Err(error) = publish::sync_directory(publish::parent(destination)) {
        // Back to where it is removed.
        std::fs::rename(destination, made)?;
        return Err(error);
    }
    Ok(())
}
