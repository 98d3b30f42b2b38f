//! Real file systems to try things on, where this machine lets a test mount them. Each says what was not checked where it
//! does not.
#![allow(dead_code, reason = "each test file uses its part")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::Desk;

/// Something mounted below a desk; unmounted when it is dropped.
pub struct Mount {
    path: PathBuf,
    server: Option<Child>,
}

impl Mount {
    /// A local folder through rclone: no hard links, no rename that refuses, no modes.
    pub fn rclone(desk: &Desk, folder: &str) -> Option<Self> {
        let from = format!(":local:{}", made(desk, folder).display());
        let options = [
            "--vfs-cache-mode",
            "writes",
            "--dir-cache-time",
            "0s",
            "--attr-timeout",
            "0s",
            "--vfs-write-back",
            "0s",
        ];
        Self::serve(
            desk,
            Command::new("rclone").arg("mount").arg(from).arg(made(desk, "mount")).args(options),
        )
    }

    /// A folder through bindfs.
    pub fn bindfs(desk: &Desk, folder: &str) -> Option<Self> {
        Self::serve(desk, Command::new("bindfs").arg("-f").arg(made(desk, folder)).arg(made(desk, "mount")))
    }

    /// NTFS in a file, through ntfs-3g without its option `permissions`: every file is executable.
    pub fn ntfs(desk: &Desk) -> Option<Self> {
        let image = desk.dir().with_file_name("ntfs");
        fs::File::create(&image).unwrap().set_len(16 << 20).unwrap();
        if !run(Command::new("mkntfs").args(["-q", "-F", "-f"]).arg(&image)) {
            return not_checked("NTFS, which needs mkntfs and ntfs-3g");
        }
        Self::serve(
            desk,
            Command::new("ntfs-3g").args(["-o", "no_detach"]).arg(&image).arg(made(desk, "mount")),
        )
    }

    /// A folder as it is now, in squashfs, which nobody can write to.
    pub fn squashfs(desk: &Desk, folder: &Path) -> Option<Self> {
        let (image, path) = (desk.dir().with_file_name("squashfs"), made(desk, "mount"));
        let packed = run(Command::new("mksquashfs").arg(folder).arg(&image).arg("-quiet"));
        if packed && run(Command::new("mount").args(["-o", "loop,ro"]).arg(&image).arg(&path)) {
            return Some(Self { path, server: None });
        }
        not_checked("squashfs, which needs mksquashfs and root")
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn serve(desk: &Desk, command: &mut Command) -> Option<Self> {
        let path = desk.path("mount");
        let what = command.get_program().to_string_lossy().into_owned();
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.env("HOME", desk.dir().parent().unwrap());
        let Ok(server) = command.spawn() else {
            return not_checked(&format!("a mount through `{what}`, which is not there"));
        };
        let mut mount = Self { path, server: Some(server) };
        let begun = Instant::now();
        while !is_mounted(&mount.path) {
            let ended = mount.server.as_mut().is_some_and(|server| server.try_wait().unwrap().is_some());
            if ended || begun.elapsed() > Duration::from_secs(20) {
                return not_checked(&format!("a mount through `{what}`, which needs FUSE"));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Some(mount)
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        for program in [&["umount"][..], &["fusermount3", "-u"], &["umount", "-l"]] {
            if !is_mounted(&self.path) || run(Command::new(program[0]).args(&program[1..]).arg(&self.path)) {
                break;
            }
        }
        if let Some(mut server) = self.server.take() {
            let begun = Instant::now();
            while server.try_wait().is_ok_and(|ended| ended.is_none())
                && begun.elapsed() < Duration::from_secs(5)
            {
                std::thread::sleep(Duration::from_millis(20));
            }
            let _ = server.kill();
            let _ = server.wait();
        }
    }
}

fn made(desk: &Desk, name: &str) -> PathBuf {
    fs::create_dir_all(desk.path(name)).unwrap();
    desk.path(name)
}

fn is_mounted(path: &Path) -> bool {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let real = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    mounts.lines().any(|line| line.split(' ').nth(4).is_some_and(|at| Path::new(at) == real))
}

fn run(command: &mut Command) -> bool {
    let command = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

#[allow(clippy::print_stderr, reason = "what a test leaves out is said in its output")]
fn not_checked<T>(what: &str) -> Option<T> {
    eprintln!("NOT CHECKED: {what}");
    None
}
