//! How many threads there is memory for, where this process or the container that it runs in has a limit.

use std::num::NonZeroUsize;
use std::path::Path;

/// What is needed beside that which every thread needs: the program, what is read whole, content on its way.
const BASE: u64 = 192 << 20;
/// What a thread needs: for compressing, and for the content that it has in hand.
const EACH: u64 = 24 << 20;
/// And how much of the address space: a stack, and what the allocator sets aside for it.
const EACH_ADDRESSES: u64 = 160 << 20;
/// Threads that read, hash and write beside those that are counted.
const BESIDE: u64 = 3;

/// Most threads that there is memory for; one needs nothing beside it.
pub fn threads_max() -> NonZeroUsize {
    let of_addresses = addresses().map(|room| share(room, EACH_ADDRESSES));
    let of_memory = group_limit(Path::new("/proc/self/cgroup"), Path::new("/sys/fs/cgroup"))
        .map(|room| share(room, EACH));
    let most = of_addresses.into_iter().chain(of_memory).min().unwrap_or(u64::MAX);
    usize::try_from(most).ok().and_then(NonZeroUsize::new).unwrap_or(NonZeroUsize::MAX)
}

fn share(room: u64, each: u64) -> u64 {
    (room.saturating_sub(BASE) / each).saturating_sub(BESIDE).max(1)
}

/// How much may still be mapped under the limits of this process (`ulimit -v`, `ulimit -d`).
#[cfg(unix)]
fn addresses() -> Option<u64> {
    use rustix::process::{Resource, getrlimit};
    let limits = [Resource::As, Resource::Data].map(|resource| getrlimit(resource).current);
    limits.into_iter().flatten().min()
}

#[cfg(not(unix))]
fn addresses() -> Option<u64> {
    None
}

/// The least of the limits of memory that hold for this process: of its control group and of those above it, in the
/// second version of them or the first. What cannot be read sets none.
fn group_limit(membership: &Path, mounted: &Path) -> Option<u64> {
    let text = std::fs::read_to_string(membership).ok()?;
    let limits = text.lines().filter_map(|line| {
        let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
        let (root, file) = match controllers {
            "" => (mounted.to_path_buf(), "memory.max"),
            some if some.split(',').any(|name| name == "memory") => {
                (mounted.join("memory"), "memory.limit_in_bytes")
            }
            _ => return None,
        };
        // In a container the path may be that outside; then only the root can be seen.
        let group = root.join(path.trim_start_matches('/'));
        let groups = group.ancestors().take_while(|group| group.starts_with(&root));
        let limit = |group: &Path| std::fs::read_to_string(group.join(file)).ok()?.trim().parse::<u64>().ok();
        groups.filter_map(limit).min()
    });
    limits.min()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn field_l2_threads_are_as_many_as_there_is_memory_for() {
        for (room, each, threads) in
            [(0, EACH, 1), (BASE, EACH, 1), (512 << 20, EACH, 10), (600_000 << 10, EACH_ADDRESSES, 1)]
        {
            assert_eq!(share(room, each), threads, "{room}");
        }
        assert!(share(u64::MAX, EACH) > 1000);
    }

    #[test]
    fn field_l2_the_limit_of_a_container_is_known() {
        let dir = tempfile::tempdir().unwrap();
        let (membership, mounted) = (dir.path().join("cgroup"), dir.path().join("mounted"));
        let write = |name: &str, content: &str| {
            let path = mounted.join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        };
        let limit = |text: &str| {
            std::fs::write(&membership, text).unwrap();
            group_limit(&membership, &mounted)
        };
        assert_eq!(group_limit(&membership, &mounted), None, "there is no such system");
        assert_eq!(limit("0::/a/b\n"), None);
        write("a/b/memory.max", "max\n");
        assert_eq!(limit("0::/a/b\n"), None);
        write("a/memory.max", "1000\n");
        assert_eq!(limit("0::/a/b\n"), Some(1000), "of the group above");
        write("a/b/memory.max", "2000\n");
        assert_eq!(limit("0::/a/b\n"), Some(1000));
        write("memory/c/memory.limit_in_bytes", "500\n");
        write("memory/memory.limit_in_bytes", "9223372036854771712\n");
        assert_eq!(limit("4:cpu,memory:/c\n0::/\n"), Some(500));
        assert_eq!(limit("4:memory:/outside/x\n"), Some(9_223_372_036_854_771_712));
        assert_eq!(limit("nonsense\n4:memory\n::"), None);
    }
}
