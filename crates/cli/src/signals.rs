//! Being told to stop, by a person, by a terminal that goes away, by a system that shuts down: work in progress cleans
//! up, and the process then ends by the signal, as the one who sent it expects.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

#[cfg(unix)]
use signal_hook::consts::{SIGHUP, SIGQUIT};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag::{register, register_conditional_default, register_usize};

#[cfg(unix)]
const TAKEN: [i32; 4] = [SIGINT, SIGTERM, SIGHUP, SIGQUIT];
#[cfg(not(unix))]
const TAKEN: [i32; 2] = [SIGINT, SIGTERM];

/// One signal often comes twice within a moment: from `timeout`, to the process and to its group; when a terminal is
/// closed, from the system and from the shell. What comes later is another wish.
const ONE_WISH: Duration = Duration::from_millis(500);

/// The signals of a process are its own, so there is one of this.
static RECEIVED: OnceLock<Received> = OnceLock::new();

#[derive(Default)]
struct Received {
    any: Arc<AtomicBool>,
    /// The last signal; 0 before there was one.
    which: Arc<AtomicUsize>,
}

/// Takes the signals over. The flag is set by the first, so that work can clean up; one that comes later kills. What the
/// caller has this process ignore (`nohup`, a job in the background of a script) stays ignored.
pub(crate) fn take_over() -> Arc<AtomicBool> {
    let received = RECEIVED.get_or_init(|| {
        keep_memory_off_the_disk();
        // A file that grows beyond a limit (`ulimit -f`) is then an error like others of a write.
        #[cfg(unix)]
        let _ = register(signal_hook::consts::SIGXFSZ, Arc::default());
        let received = Received::default();
        let ignored = ignored();
        let taken: Vec<i32> = TAKEN.into_iter().filter(|signal| ignored >> (signal - 1) & 1 == 0).collect();
        let impatient = impatient_later(&taken).unwrap_or_else(|_| Arc::clone(&received.any));
        for signal in taken {
            // If a handler cannot be installed the signal kills at once, which leaves no output either.
            let number = usize::try_from(signal).unwrap_or_default();
            let _ = register_conditional_default(signal, Arc::clone(&impatient))
                .and_then(|_| register_usize(signal, Arc::clone(&received.which), number))
                .and_then(|_| register(signal, Arc::clone(&received.any)));
        }
        received
    });
    Arc::clone(&received.any)
}

/// The signal by which this process was told to stop, if it was.
pub(crate) fn received() -> Option<u8> {
    let received = RECEIVED.get().filter(|received| received.any.load(Ordering::Relaxed))?;
    u8::try_from(received.which.load(Ordering::Relaxed)).ok().filter(|signal| *signal != 0)
}

/// Ends the process as the signal does where nobody takes it over: a shell that waits for it then stops its script, too.
pub(crate) fn end_by(signal: u8) {
    let _ = signal_hook::low_level::emulate_default_handler(signal.into());
}

/// A flag that is set a moment after the first of these signals: the next one kills.
#[cfg(unix)]
fn impatient_later(signals: &[i32]) -> std::io::Result<Arc<AtomicBool>> {
    let impatient = Arc::new(AtomicBool::new(false));
    let (mut first, flag) = (signal_hook::iterator::Signals::new(signals)?, Arc::clone(&impatient));
    std::thread::Builder::new().name("signals".into()).spawn(move || {
        if first.forever().next().is_some() {
            std::thread::sleep(ONE_WISH);
            flag.store(true, Ordering::Relaxed);
        }
    })?;
    Ok(impatient)
}

#[cfg(not(unix))]
fn impatient_later(_: &[i32]) -> std::io::Result<Arc<AtomicBool>> {
    // There a signal comes once.
    let _ = ONE_WISH;
    Err(std::io::ErrorKind::Unsupported.into())
}

/// The signals that are ignored, one a bit, as far as the system tells: as the process was started, nothing else having
/// been done to them yet.
fn ignored() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
}

/// Some signals, and a process that aborts, have the memory written to a file, and there may be keys in it.
fn keep_memory_off_the_disk() {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
        let maximum = getrlimit(Resource::Core).maximum;
        let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum });
    }
}
