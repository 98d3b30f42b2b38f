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

/// What the beginning of a file says about it, whatever folder it lies in.
pub(super) fn by_content(path: &str, head: &[u8]) -> Option<(StaticRuleId, String)> {
    let name = path.rsplit('/').next().unwrap_or_default().to_ascii_lowercase();
    let lower = || head.to_ascii_lowercase();
    let holds = |text: &str| memchr::memmem::find(&lower(), text.as_bytes()).is_some();
    match name.as_str() {
        // A bare repository needs no `.git`, and Git finds it too.
        "config" | ".gitconfig" | "config.worktree"
            if holds("[core]") || holds("[include") || holds("[alias]") =>
        {
            Some((rule::GIT_CONFIG, "is a configuration of Git".into()))
        }
        ".gitmodules" if holds("[submodule") => {
            Some((rule::AUTO_RUN, "names repositories to be fetched".into()))
        }
        _ if name.ends_with(".pth") => {
            let lower = lower();
            let text = lower.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&lower);
            let imports = text.split(|byte| *byte == b'\n').any(|line| {
                line.strip_prefix(b"import").is_some_and(|rest| matches!(rest.first(), Some(b' ' | b'\t')))
            });
            imports.then(|| (rule::AUTO_RUN, "is run by Python, if it lies among its packages".into()))
        }
        _ => None,
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
        assert!(by_content("x.pth", b"/opt/lib\nimport os; os.system('id')\n").is_some());
        assert!(by_content("x.pth", b"/opt/lib\nimportant\n").is_none());
    }
}
