//! What runs by itself once a folder is unpacked: when somebody asks Git about it, opens it in an editor, or starts a
//! shell or Python there.

use consign_metadata::StaticRuleId;

use super::notes::rule;

/// Characters that some file systems ignore in names (HFS+), so that `.g\u{200c}it` is `.git` there (CVE-2014-9390).
fn is_ignored(c: char) -> bool {
    matches!(c, '\u{200c}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{206a}'..='\u{206f}' | '\u{feff}')
}

/// Whether a part of a path is Git's own folder or file on some file system: whatever its case, by its short name on
/// Windows, with what Windows drops at the end, or with a stream behind it.
fn is_git(part: &str) -> bool {
    let plain: String = part.chars().filter(|c| !is_ignored(*c)).collect::<String>().to_ascii_lowercase();
    let plain = plain.split(':').next().unwrap_or_default().trim_end_matches(['.', ' ']);
    matches!(plain, ".git" | "git~1")
}

/// Files and folders that a program reads by itself where it is started, and runs what they say.
fn runs(parts: &[&str]) -> Option<&'static str> {
    let lower: Vec<String> = parts.iter().map(|part| part.to_ascii_lowercase()).collect();
    let (name, folders) = lower.split_last()?;
    let below = |folder: &str| folders.iter().any(|part| part == folder);
    Some(match name.as_str() {
        ".envrc" => "direnv",
        ".mise.toml" | "mise.toml" => "mise",
        "sitecustomize.py" | "usercustomize.py" => "Python, wherever it starts",
        "conftest.py" => "pytest",
        ".rprofile" | ".renviron" => "R",
        ".npmrc" | ".yarnrc" | ".yarnrc.yml" => "a package manager of Node.js",
        ".bashrc" | ".bash_profile" | ".profile" | ".zshrc" | ".zshenv" => "a shell",
        ".vimrc" | ".exrc" | ".nvim.lua" | ".nvimrc" => "vi",
        ".dir-locals.el" => "Emacs",
        ".gdbinit" | ".lldbinit" => "a debugger",
        "autorun.inf" | "desktop.ini" => "Windows",
        ".devcontainer.json" | "devcontainer.json" => "an editor",
        _ if below(".vscode") || below(".idea") || below(".devcontainer") => "an editor",
        _ if below(".husky") => "Git, by way of Husky",
        _ if below(".ipython") && below("startup") => "IPython",
        _ => return None,
    })
}

/// What a path says about it.
pub(super) fn by_path(path: &str) -> Option<(StaticRuleId, String)> {
    let parts: Vec<&str> = path.split('/').collect();
    if parts.iter().any(|part| is_git(part)) {
        return Some((rule::GIT_CONFIG, "belongs to Git's own folder".into()));
    }
    let by = runs(&parts)?;
    Some((rule::AUTO_RUN, format!("is read by {by} without being asked")))
}

/// Looks through a file for what says that a program reads it by itself, whatever folder it lies in.
#[derive(Debug)]
pub(super) struct Watch {
    kind: Option<Kind>,
    kept: Vec<u8>,
    found: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// A bare repository needs no `.git`, and Git finds it too.
    GitConfig,
    GitModules,
    /// Lines of folders for Python, of which those that import are run (`site.py`).
    PythonPath,
}

/// So much of what came before is kept: longer than anything that is looked for.
const OVERLAP: usize = 16;

impl Watch {
    pub(super) fn new(path: &str) -> Self {
        let name = path.rsplit('/').next().unwrap_or_default().to_ascii_lowercase();
        let kind = match name.as_str() {
            "config" | ".gitconfig" | "config.worktree" => Some(Kind::GitConfig),
            ".gitmodules" => Some(Kind::GitModules),
            _ if name.ends_with(".pth") => Some(Kind::PythonPath),
            _ => None,
        };
        // What begins a file begins a line.
        Self { kind, kept: vec![b'\n'], found: false }
    }

    pub(super) fn update(&mut self, bytes: &[u8]) {
        let Some(kind) = self.kind else { return };
        for piece in bytes.chunks(64 << 10) {
            if self.found {
                return;
            }
            let mut window = std::mem::take(&mut self.kept);
            window.extend_from_slice(piece);
            self.found = kind.holds(&window);
            window.drain(..window.len().saturating_sub(OVERLAP));
            self.kept = window;
        }
    }

    pub(super) fn found(&self) -> Option<(StaticRuleId, String)> {
        let kind = self.kind.filter(|_| self.found)?;
        Some(match kind {
            Kind::GitConfig => (rule::GIT_CONFIG, "is a configuration of Git".into()),
            Kind::GitModules => (rule::AUTO_RUN, "names repositories to be fetched".into()),
            Kind::PythonPath => (rule::AUTO_RUN, "is run by Python, if it lies among its packages".into()),
        })
    }
}

impl Kind {
    fn holds(self, text: &[u8]) -> bool {
        let lower = text.to_ascii_lowercase();
        let holds = |sign: &[u8]| memchr::memmem::find(&lower, sign).is_some();
        match self {
            Self::GitConfig => [
                &b"[core]"[..],
                b"[include",
                b"[alias]",
                b"[filter ",
                b"[diff ",
                b"[merge ",
                b"[credential",
                b"[remote ",
                b"[extensions]",
            ]
            .iter()
            .any(|sign| holds(sign)),
            Self::GitModules => holds(b"[submodule"),
            // Python ends lines in each of these ways, and skips the mark of UTF-8.
            Self::PythonPath => memchr::memmem::find_iter(text, b"import").any(|at| {
                let before = text[..at].strip_suffix(b"\xEF\xBB\xBF").unwrap_or(&text[..at]);
                matches!(before.last(), Some(b'\n' | b'\r')) && matches!(text.get(at + 6), Some(b' ' | b'\t'))
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attack_a16_gits_own_folder_is_known_under_every_name() {
        for path in [
            ".git/config",
            "a/.GIT/hooks/x",
            "a/.git",
            "git~1/config",
            ".git./config",
            ".git /config",
            ".g\u{200c}it/config",
            "\u{feff}.git/x",
            ".git::$INDEX_ALLOCATION/config",
            "GIT~1/HEAD",
        ] {
            assert_eq!(by_path(path).map(|found| found.0), Some(rule::GIT_CONFIG), "{path}");
        }
        for path in [
            ".gitignore",
            ".gitattributes",
            "git/config",
            "a.git/readme",
            ".github/workflows/x.yml",
            "gitt~1/x",
        ] {
            assert_eq!(by_path(path), None, "{path}");
        }
        let by_content = |path: &str, bytes: &[u8]| {
            let mut watch = Watch::new(path);
            bytes.chunks(3).for_each(|piece| watch.update(piece));
            watch.found()
        };
        assert!(by_content("x/config", b"[Core]\n\tfsmonitor = x").is_some());
        assert!(by_content("config", b"{\"core\": 1}").is_none());
    }

    #[test]
    fn attack_a16_what_programs_read_by_themselves_is_told() {
        for path in
            [".envrc", "a/.vscode/tasks.json", "sitecustomize.py", "x/.Rprofile", ".idea/workspace.xml"]
        {
            assert_eq!(by_path(path).map(|found| found.0), Some(rule::AUTO_RUN), "{path}");
        }
        let by_content = |path: &str, bytes: &[u8]| {
            let mut watch = Watch::new(path);
            bytes.chunks(3).for_each(|piece| watch.update(piece));
            watch.found()
        };
        assert!(by_content("x.pth", b"/opt/lib\nimport os; os.system('id')\n").is_some());
        assert!(by_content("x.pth", b"/opt/lib\nimportant\n").is_none());
    }
}
