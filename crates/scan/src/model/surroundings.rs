//! What runs by itself once a folder is unpacked: when somebody asks Git about it, opens it in an editor, or starts a
//! shell or Python there.
//!
//! The name says who reads a file; where most such files are harmless, the content says whether this one runs
//! something. What cannot be told from the content counts as running.

use consign_metadata::StaticRuleId;

use super::notes::{Notes, rule};
use crate::inspect::{Inspect, Report, Subject};

/// Looks into a file whose name says that a program reads it.
#[derive(Debug)]
pub(super) struct Surroundings {
    notes: Notes,
    told: Told,
    search: Search,
}

impl Surroundings {
    /// `None` if nobody reads files of that name by themselves.
    ///
    /// Of members of archives it depends on where they are unpacked to; the same names mean the same there.
    pub(super) fn of(subject: &Subject, name: &str) -> Option<Self> {
        let told = by_name(name)?;
        let search = match told {
            Told::Always(_) => Search::Nothing,
            Told::Holding { words, .. } => Search::Words(Words::new(words)),
            Told::PathFile => Search::Lines(PathFile::default()),
            Told::Attributes => Search::Attributes(Vec::new()),
        };
        Some(Self { notes: Notes::new(subject), told, search })
    }

    fn verdict(&self) -> Option<Verdict> {
        match (self.told, &self.search) {
            (Told::Always(verdict), _) => Some(verdict),
            (Told::Holding { then, otherwise, .. }, Search::Words(words)) => {
                if words.found {
                    Some(then)
                } else {
                    otherwise
                }
            }
            (Told::PathFile, Search::Lines(lines)) => lines.found.then_some(IMPORTS),
            (Told::Attributes, Search::Attributes(text)) => names_a_driver(text).then_some(DRIVER),
            _ => None,
        }
    }
}

impl Inspect for Surroundings {
    fn update(&mut self, bytes: &[u8], _: &mut Report) {
        match &mut self.search {
            Search::Nothing => {}
            Search::Words(words) => words.update(bytes),
            Search::Lines(lines) => lines.update(bytes),
            Search::Attributes(text) => {
                let room = ATTRIBUTES_MAX - text.len();
                text.extend_from_slice(&bytes[..bytes.len().min(room)]);
            }
        }
    }

    fn finish(&mut self, report: &mut Report) {
        if let Some(Verdict { rule, words }) = self.verdict() {
            self.notes.add(report, rule, words);
        }
        self.search = Search::Nothing;
    }
}

/// A finding: its rule, and what is said of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Verdict {
    rule: StaticRuleId,
    words: &'static str,
}

/// It runs with no further decision of anybody about it.
const fn runs(words: &'static str) -> Verdict {
    Verdict { rule: rule::AUTO_RUN, words }
}

/// It runs when somebody gives a command for it.
const fn on_command(words: &'static str) -> Verdict {
    Verdict { rule: rule::ON_COMMAND, words }
}

const GIT_FOLDER: Verdict = Verdict { rule: rule::GIT_CONFIG, words: "belongs to Git's own folder" };
const OTHER_FOLDER: Verdict = runs("belongs to a version control, which runs what it names");
const GIT_CONFIG: Verdict = Verdict { rule: rule::GIT_CONFIG, words: "is a configuration of Git" };
const INSTRUCTIONS: Verdict =
    Verdict { rule: rule::AGENT_INSTRUCTIONS, words: "is read by coding agents as instructions" };
const IMPORTS: Verdict = runs("is run by Python, if it lies among its packages");
const DRIVER: Verdict = on_command("names a driver that Git runs, if somebody has configured it");

/// What a name says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    /// This, whatever the file holds.
    Always(Verdict),
    /// `then`, if it holds one of these words, which stand here in lower case.
    Holding { words: &'static [&'static str], then: Verdict, otherwise: Option<Verdict> },
    /// Lines that begin with `import` are run.
    PathFile,
    /// Attributes of Git.
    Attributes,
}

const fn holding(words: &'static [&'static str], then: Verdict, otherwise: Verdict) -> Told {
    Told::Holding { words, then, otherwise: Some(otherwise) }
}

const fn only_holding(words: &'static [&'static str], then: Verdict) -> Told {
    Told::Holding { words, then, otherwise: None }
}

/// How JSON and TOML spell letters otherwise: what is spelled so may be any word.
const ESCAPED: &str = "\\u00";

/// What a configuration of Git says where Git runs something for it.
const GIT_SECTIONS: &[&str] =
    &["[core", "[include", "[alias", "[pager", "[filter", "[diff", "[credential", "[gpg", "[interactive"];
/// What Git runs or reads, where a section `[core]` alone says nothing.
const GIT_PROGRAMS: &[&str] = &[
    "fsmonitor",
    "sshcommand",
    "hookspath",
    "pager",
    "editor",
    "askpass",
    "gitproxy",
    "worktree",
    "[include",
    "[alias",
    "[filter",
    "[diff",
    "[credential",
    "[gpg",
    "[interactive",
];
/// Ways by which `.gitmodules` ran commands, or wrote where it must not (CVE-2018-11235, CVE-2018-17456,
/// CVE-2019-19604), and transports that are commands.
const MODULES_THAT_RUN: &[&str] =
    &["!", "ext::", "fd::", "= -", "=-", "\"-", "submodule \"../", "submodule \"..\\", "/.."];
/// Settings that name programs.
const EDITOR_PROGRAMS: &[&str] = &[
    "runon",
    "automatictasks",
    "path\"",
    "executable",
    "command",
    "terminal.",
    "interpreter",
    "binary",
    "shell",
    "envfile",
    "server",
    ESCAPED,
];
const CARGO_PROGRAMS: &[&str] = &[
    "wrapper",
    "rustc",
    "runner",
    "linker",
    "credential",
    "env",
    "alias",
    "rustflags",
    "rustdoc",
    "include",
    "paths",
    "browser",
    "ar =",
    "ar=",
    ESCAPED,
];
const NPM_PROGRAMS: &[&str] = &[
    "node-options",
    "shell",
    "git=",
    "git =",
    "editor",
    "viewer",
    "onload-script",
    "init-module",
    "globalconfig",
    "python",
    "gyp",
    ESCAPED,
];
const MISE_PROGRAMS: &[&str] = &["hook", "exec", "source", "{{", "{%", "env", "plugin", "install", ESCAPED];
const PYLINT_PROGRAMS: &[&str] = &["init-hook", "init_hook", "load-plugins", "load_plugins", ESCAPED];

const SHELL: Verdict = runs("is read by a shell whose home it lies in, without being asked");
const PYTHON: Verdict = runs("is run by Python wherever it starts");
const LANGUAGE: Verdict = runs("is run by an interpreter that is started there");
const VI: Verdict = runs("is read by vi without being asked");
const EDITOR: Verdict = runs("is read by an editor, and names what it runs");
const EDITOR_ASKED: Verdict = on_command("is read by an editor");
const AGENT: Verdict = runs("is read by a coding agent, and names what it runs");
const JUPYTER: Verdict = runs("is run by Jupyter or IPython where they start");
const EXPLORER: Verdict = runs("is followed by Windows as soon as its folder is shown");
const DESKTOP: Verdict = runs("is started with the desktop of the home it lies in");
const CARGO: Verdict = runs("names what Cargo runs, which editors start");
const PYLINT: Verdict = runs("names what pylint runs, which editors start");
const PACKAGES: Verdict = runs("names what a package manager of Node.js runs, whatever it is asked");
const MISE: Verdict = runs("is read by mise, and says what it runs");
const HOOKS: Verdict = on_command("names what Git runs, once somebody installs the hooks");

/// Characters that some file systems ignore in names (HFS+), so that `.g\u{200c}it` is `.git` there (CVE-2014-9390).
fn is_ignored(c: char) -> bool {
    matches!(c, '\u{200c}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{206a}'..='\u{206f}' | '\u{feff}')
}

/// A part of a path as the most forgiving file system takes it: whatever its case (`ſ` is an `s` there), without what
/// Windows drops at the end, and without a stream behind it.
fn plain(part: &str) -> String {
    let letters = part.chars().filter(|c| !is_ignored(*c)).flat_map(char::to_uppercase);
    let mut plain: String = letters.flat_map(char::to_lowercase).collect();
    plain.truncate(plain.find(':').unwrap_or(plain.len()));
    plain.truncate(plain.trim_end_matches(['.', ' ']).len());
    plain
}

/// Whether a part is Git's own folder or file: on Windows it has a short name as well.
fn is_git(part: &str) -> bool {
    matches!(part, ".git" | "git~1")
}

/// A folder that the shell of Windows takes for something else, by the number behind its name.
fn is_shell_folder(part: &str) -> bool {
    let id = part.rsplit_once(".{").and_then(|(_, id)| id.strip_suffix('}'));
    id.is_some_and(|id| id.len() == 36 && id.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-'))
}

/// What the name says, with the folders before it.
fn by_name(path: &str) -> Option<Told> {
    let parts: Vec<String> = path.split('/').map(plain).collect();
    let (name, folders) = parts.split_last()?;
    if parts.iter().any(|part| is_git(part)) {
        return Some(Told::Always(GIT_FOLDER));
    }
    let within = |folder: &str| folders.iter().any(|part| part == folder);
    if within(".hg") || within(".sl") || within(".jj") {
        return Some(Told::Always(OTHER_FOLDER));
    }
    let parent = folders.last().map_or("", String::as_str);
    let (stem, suffix) = name.rsplit_once('.').unwrap_or((name, ""));
    let always = |verdict| Some(Told::Always(verdict));
    if let Some(told) = by_agent(name, suffix, folders) {
        return Some(told);
    }
    match name.as_str() {
        ".envrc" => return always(runs("is read by direnv without being asked")),
        ".autoenv" | ".autoenv.zsh" | ".autoenv_leave.zsh" => {
            return always(runs("is read by autoenv without being asked"));
        }
        ".pdbrc" | ".irbrc" | "_irbrc" | ".pryrc" | ".ghci" | ".ocamlinit" | ".octaverc" | "startup.m"
        | ".iex.exs" | ".erlang" | ".perldb" | ".rprofile" | ".renviron" | ".rdata" => {
            return always(LANGUAGE);
        }
        ".bashrc" | ".bash_profile" | ".bash_login" | ".bash_logout" | ".profile" | ".zshrc" | ".zshenv"
        | ".zprofile" | ".zlogin" | ".zlogout" | ".kshrc" | ".mkshrc" | ".cshrc" | ".tcshrc" | ".login"
        | ".logout" | ".xinitrc" | ".xprofile" | ".xsession" | ".xsessionrc" | ".pam_environment"
        | ".hgrc" | ".tmux.conf" | ".screenrc" | "config.fish" => return always(SHELL),
        ".vimrc" | "_vimrc" | ".gvimrc" | "_gvimrc" | ".exrc" | "_exrc" | ".nvim.lua" | ".nvimrc"
        | ".lvimrc" | ".local.vimrc" => return always(VI),
        ".dir-locals.el" | ".dir-locals-2.el" | ".emacs" => {
            return always(runs("is read by Emacs without being asked"));
        }
        ".gdbinit" | ".gdbearlyinit" | ".lldbinit" | ".radare2rc" => {
            return always(runs("is read by a debugger without being asked"));
        }
        "autorun.inf" => return always(EXPLORER),
        "desktop.ini" => return Some(only_holding(&["\\\\", "clsid", "://"], EXPLORER)),
        // DVC's own configuration has a section of that name too.
        "config" | "config.local" if parent == ".dvc" => {
            return Some(only_holding(GIT_PROGRAMS, GIT_CONFIG));
        }
        "config" | ".gitconfig" | "gitconfig" | "config.worktree" if !matches!(parent, ".cargo" | ".ssh") => {
            return Some(only_holding(GIT_SECTIONS, GIT_CONFIG));
        }
        ".gitmodules" => {
            let fetched = on_command("names repositories that Git fetches");
            return Some(holding(MODULES_THAT_RUN, runs("names a command for Git"), fetched));
        }
        ".gitattributes" => return Some(Told::Attributes),
        ".lfsconfig" => return always(on_command("says where Git LFS connects to")),
        ".pre-commit-config.yaml"
        | ".pre-commit-config.yml"
        | ".pre-commit-hooks.yaml"
        | "lefthook.yml"
        | "lefthook.yaml"
        | ".lefthook.yml"
        | ".lefthook.yaml"
        | ".overcommit.yml" => return always(HOOKS),
        ".npmrc" => {
            return Some(holding(NPM_PROGRAMS, PACKAGES, on_command("is read by npm")));
        }
        ".yarnrc" | ".yarnrc.yml" | ".yarnrc.yaml" => {
            let words = &["yarn-path", "yarnpath", "plugin", "\\x", ESCAPED];
            return Some(holding(words, PACKAGES, on_command("is read by Yarn")));
        }
        ".pnpmfile.cjs" | ".pnpmfile.mjs" | ".pnpmfile.js" | "bunfig.toml" => {
            return always(on_command("names what a package manager of Node.js runs when it installs"));
        }
        "package.json" => {
            let words =
                &["\"preinstall\"", "\"install\"", "\"postinstall\"", "\"prepare\"", "\"prepublish", ESCAPED];
            let installs = on_command("names what a package manager of Node.js runs when it installs");
            return Some(only_holding(words, installs));
        }
        "config.toml" | "config" if parent == ".cargo" => {
            return Some(holding(CARGO_PROGRAMS, CARGO, on_command("is read by Cargo")));
        }
        "rust-toolchain.toml" | "rust-toolchain" => {
            return Some(only_holding(&["path", ESCAPED], CARGO));
        }
        "build.rs" => return always(on_command("is run by Cargo when it builds")),
        "pylintrc" | ".pylintrc" | "pylintrc.toml" | ".pylintrc.toml" => {
            return Some(only_holding(PYLINT_PROGRAMS, PYLINT));
        }
        "pyproject.toml" | "setup.cfg" | "tox.ini" => {
            return Some(only_holding(&["init-hook", "init_hook"], PYLINT));
        }
        "conftest.py" => return always(on_command("is run by pytest")),
        ".htaccess" | ".user.ini" | "web.config" => return always(on_command("is read by a web server")),
        "devcontainer.json" | ".devcontainer.json" => {
            return Some(holding(&["initializecommand", ESCAPED], EDITOR, EDITOR_ASKED));
        }
        ".directory" => {
            return Some(only_holding(&["[$"], runs("is followed by KDE as soon as it is shown")));
        }
        "config.toml" if parent.trim_start_matches('.') == "mise" => {
            return Some(only_holding(MISE_PROGRAMS, MISE));
        }
        _ => {}
    }
    match suffix {
        "pth" => return Some(Told::PathFile),
        "toml" if name.starts_with("mise.") || name.starts_with(".mise.") || name == ".rtx.toml" => {
            return Some(only_holding(MISE_PROGRAMS, MISE));
        }
        "code-workspace" => return Some(holding(EDITOR_PROGRAMS, EDITOR, EDITOR_ASKED)),
        // What they name is fetched or loaded to show their picture (CVE-2010-2568, CVE-2025-24054).
        "lnk" | "scf" | "pif" | "library-ms" | "searchconnector-ms" => return always(EXPLORER),
        "url" | "website" => {
            let opened = on_command("opens what it names");
            return Some(holding(&["\\\\", "file:", "smb:", "webdav"], EXPLORER, opened));
        }
        "webloc" | "inetloc" | "fileloc" | "terminal" => return always(on_command("opens what it names")),
        "desktop" if within("autostart") => return always(DESKTOP),
        // Its picture may be a command for KDE (CVE-2019-14744).
        "desktop" => {
            let started = on_command("starts what it names");
            return Some(holding(&["[$"], runs("is followed by KDE as soon as it is shown"), started));
        }
        "py" | "json" | "pyc"
            if (stem.starts_with("jupyter_") || stem.starts_with("ipython_")) && stem.contains("config") =>
        {
            return always(JUPYTER);
        }
        _ => {}
    }
    let starts_python = |part: &String| {
        let (module, suffix) = part.split_once('.').unwrap_or((part, ""));
        let loaded = suffix.is_empty() || suffix.starts_with("py") || suffix.ends_with("so");
        matches!(module, "sitecustomize" | "usercustomize") && loaded
    };
    if parts.iter().any(starts_python) {
        return always(PYTHON);
    }
    if parts.iter().any(|part| is_shell_folder(part)) {
        return always(EXPLORER);
    }
    by_folder(name, &within)
}

/// What the folders say whatever else the file is called.
fn by_folder(name: &str, within: &dyn Fn(&str) -> bool) -> Option<Told> {
    let always = |verdict| Some(Told::Always(verdict));
    if within(".vscode") || within(".vscode-oss") {
        return Some(match name {
            "tasks.json" => holding(&["runon", ESCAPED], EDITOR, EDITOR_ASKED),
            "launch.json" | "extensions.json" => Told::Always(EDITOR_ASKED),
            _ => holding(EDITOR_PROGRAMS, EDITOR, EDITOR_ASKED),
        });
    }
    if within(".zed") {
        return Some(match name {
            "settings.json" => holding(
                &["command", "path", "binary", "context_servers", "env", ESCAPED],
                EDITOR,
                EDITOR_ASKED,
            ),
            _ => Told::Always(EDITOR_ASKED),
        });
    }
    if within(".idea") {
        let words = &["projectstartup", "startupconfiguration", "taskoptions", "<!entity", "&#"];
        return Some(holding(words, EDITOR, EDITOR_ASKED));
    }
    if within(".devcontainer") || within(".fleet") || within(".run") {
        return always(EDITOR_ASKED);
    }
    if within(".husky") || within(".githooks") {
        return always(HOOKS);
    }
    if within(".jupyter") || (within("startup") && (within(".ipython") || within("profile_default"))) {
        return always(JUPYTER);
    }
    if within(".emacs.d") && matches!(name, "init.el" | "early-init.el") {
        return always(runs("is read by Emacs without being asked"));
    }
    if within(".ssh") && matches!(name, "config" | "rc" | "environment" | "authorized_keys") {
        return always(SHELL);
    }
    if (within("fish") && within("conf.d")) || (within("nvim") && matches!(name, "init.lua" | "init.vim")) {
        return always(SHELL);
    }
    if within("launchagents") || within("launchdaemons") || (within("systemd") && within("user")) {
        return always(DESKTOP);
    }
    if within(".mvn") {
        return always(on_command("is read by Maven"));
    }
    None
}

/// What coding agents read: settings name commands, servers and permissions; texts are instructions.
fn by_agent(name: &str, suffix: &str, folders: &[String]) -> Option<Told> {
    let within = |folder: &str| folders.iter().any(|part| part == folder);
    let own = folders.iter().any(|part| {
        matches!(
            part.as_str(),
            ".claude"
                | ".cursor"
                | ".gemini"
                | ".codex"
                | ".windsurf"
                | ".continue"
                | ".amazonq"
                | ".kiro"
                | ".roo"
                | ".qwen"
                | ".opencode"
                | ".cline"
                | ".junie"
                | ".trae"
                | ".augment"
                | ".crush"
        )
    });
    let is_text = matches!(suffix, "md" | "mdc" | "txt");
    match name {
        ".mcp.json" | "mcp.json" | "opencode.json" | "opencode.jsonc" | ".aider.conf.yml" | "crush.json"
        | ".crush.json" => Some(Told::Always(AGENT)),
        "agents.md"
        | "agents.override.md"
        | "claude.md"
        | "claude.local.md"
        | "gemini.md"
        | "qwen.md"
        | ".cursorrules"
        | ".windsurfrules"
        | ".clinerules"
        | ".roorules"
        | ".goosehints"
        | "copilot-instructions.md" => Some(Told::Always(INSTRUCTIONS)),
        _ if own && !is_text => Some(Told::Always(AGENT)),
        _ if own || within(".clinerules") => Some(Told::Always(INSTRUCTIONS)),
        _ if within(".github") && (within("instructions") || within("prompts") || within("chatmodes")) => {
            Some(Told::Always(INSTRUCTIONS))
        }
        _ => None,
    }
}

/// What is looked for in the content.
#[derive(Debug)]
enum Search {
    Nothing,
    Words(Words),
    Lines(PathFile),
    Attributes(Vec<u8>),
}

/// Looks for words in all that comes, whatever its case; in UTF-16 as well, since bytes of zero count for nothing.
#[derive(Debug)]
struct Words {
    words: &'static [&'static str],
    /// The last bytes, in which a word may have begun.
    tail: Vec<u8>,
    found: bool,
}

impl Words {
    fn new(words: &'static [&'static str]) -> Self {
        Self { words, tail: Vec::new(), found: false }
    }

    fn update(&mut self, bytes: &[u8]) {
        /// So much is looked at in one go.
        const STEP: usize = 64 << 10;
        let reach = self.words.iter().map(|word| word.len()).max().unwrap_or_default().saturating_sub(1);
        for step in bytes.chunks(STEP) {
            if self.found {
                return;
            }
            let mut text = std::mem::take(&mut self.tail);
            text.extend(step.iter().filter(|byte| **byte != 0).map(u8::to_ascii_lowercase));
            self.found = self.words.iter().any(|word| memchr::memmem::find(&text, word.as_bytes()).is_some());
            let cut = text.len().saturating_sub(reach);
            self.tail = text.split_off(cut);
        }
    }
}

/// Lines of a `.pth` file, as Python's `site` takes them: one that begins with `import` is run, one that begins with
/// `#` is passed over, and one with a byte of zero ends it with an error. PyTorch's weights have the same suffix.
///
/// Versions of Python differ in what ends a line. What begins a line for one of them is run by one of them.
#[derive(Debug, Default)]
struct PathFile {
    /// What has come of the line, as far as it matters: for Pythons that end it at line feeds, and for the others.
    lines: [Line; 2],
    begun: bool,
    ended: bool,
    found: bool,
}

/// The beginning of a line.
#[derive(Clone, Copy, Debug, Default)]
struct Line {
    start: [u8; 7],
    length: usize,
}

impl Line {
    fn push(&mut self, byte: u8) {
        if let Some(place) = self.start.get_mut(self.length) {
            *place = byte;
            self.length += 1;
        }
    }

    fn is_comment(&self) -> bool {
        self.length > 0 && self.start[0] == b'#'
    }

    fn imports(&self) -> bool {
        self.length == self.start.len() && matches!(&self.start, b"import " | b"import\t")
    }
}

impl PathFile {
    fn update(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            if self.ended || self.found {
                return;
            }
            // The mark of UTF-8 at the beginning.
            if !self.begun && matches!(byte, 0xef | 0xbb | 0xbf) {
                continue;
            }
            self.begun = true;
            let feed = matches!(byte, b'\n' | b'\r');
            // The last bytes of U+0085, U+2028 and U+2029.
            let other = matches!(byte, 0x0b | 0x0c | 0x1c..=0x1e | 0x85 | 0xa8 | 0xa9);
            if byte == 0 && !self.lines.iter().any(Line::is_comment) {
                self.ended = true;
                return;
            }
            for (line, ends) in self.lines.iter_mut().zip([feed, feed || other]) {
                if ends {
                    *line = Line::default();
                } else {
                    line.push(byte);
                }
            }
            self.found = self.lines.iter().any(Line::imports);
        }
    }
}

/// So much of Git's attributes is looked at. More of them only say more of what Git is to do, which is a note.
const ATTRIBUTES_MAX: usize = 64 << 10;

/// Whether attributes name a filter or a way of merging other than Git's own and those of Git LFS.
fn names_a_driver(text: &[u8]) -> bool {
    let words = text.split(u8::is_ascii_whitespace);
    let mut named = words.filter_map(|word| {
        word.strip_prefix(b"filter=".as_slice()).or_else(|| word.strip_prefix(b"merge=".as_slice()))
    });
    named.any(|driver| !matches!(driver, b"lfs" | b"annex" | b"union" | b"binary" | b"text" | b""))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The rule that a file of that name and content breaks, however it is cut.
    #[track_caller]
    fn rule_of(path: &str, content: &[u8]) -> Option<StaticRuleId> {
        let subject = Subject { path: None, member: None };
        let mut verdicts = [1, 3, content.len().max(1)].map(|length| {
            let mut looks = Surroundings::of(&subject, path)?;
            let mut report = Report::default();
            content.chunks(length).for_each(|chunk| looks.update(chunk, &mut report));
            looks.verdict().map(|verdict| verdict.rule)
        });
        verdicts.sort();
        assert_eq!(verdicts[0], verdicts[2], "{path}");
        verdicts[0]
    }

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
            assert_eq!(rule_of(path, b""), Some(rule::GIT_CONFIG), "{path}");
        }
        for path in [".gitignore", "git/x", "a.git/readme", ".github/workflows/x.yml", "gitt~1/x"] {
            assert_eq!(rule_of(path, b"x"), None, "{path}");
        }
        assert_eq!(rule_of("x/config", b"[Core]\n\tfsmonitor = x"), Some(rule::GIT_CONFIG));
        // However far in, and whatever section has the command.
        let far = [&b"# nothing\n".repeat(10_000)[..], b"[filter \"x\"]\n\tclean = x"].concat();
        assert_eq!(rule_of("x/config", &far), Some(rule::GIT_CONFIG));
        assert_eq!(rule_of("x/gitconfig", b"[pager]\n\tstatus = x"), Some(rule::GIT_CONFIG));
        assert_eq!(rule_of("config", b"{\"core\": 1}"), None);
        assert_eq!(rule_of(".dvc/config", b"[core]\n    remote = storage\n"), None);
        assert_eq!(rule_of(".dvc/config", b"[core]\n    fsmonitor = x\n"), Some(rule::GIT_CONFIG));
        assert_eq!(rule_of("config", b"[default]\nregion = x\n"), None);
    }

    #[test]
    fn attack_a16_what_programs_read_by_themselves_is_told() {
        for (path, content) in [
            (".envrc", &b"export A=1"[..]),
            ("a/.vscode/tasks.json", b"{\"tasks\":[{\"runOptions\":{\"runOn\":\"folderOpen\"}}]}"),
            (".vscode/tasks.json", b"{\"runOptions\":{\"r\\u0075nOn\":\"folderOpen\"}}"),
            (".vscode/settings.json", b"{\"python.defaultInterpreterPath\": \"./x\"}"),
            (".v\u{17f}code/settings.json", b"{\"git.path\": \"./x\"}"),
            ("x.code-workspace", b"{\"settings\": {\"git.path\": \"./git\"}}"),
            ("sitecustomize.py", b"x"),
            ("lib/usercustomize/__init__.py", b"x"),
            ("sitecustomize.cpython-311-x86_64-linux-gnu.so", b"x"),
            ("x/.Rprofile", b"x"),
            (".RData", b"x"),
            (".idea/workspace.xml", b"<component name=\"ProjectStartupConfiguration\">"),
            (".idea/watcherTasks.xml", b"<TaskOptions isEnabled=\"true\">"),
            (".zed/settings.json", b"{\"lsp\": {\"x\": {\"binary\": {\"path\": \"./x\"}}}}"),
            (".devcontainer/devcontainer.json", b"{\"initializeCommand\": \"id\"}"),
            (".claude/settings.json", b"{}"),
            (".claude/hooks/x.py", b"{}"),
            (".cursor/mcp.json", b"{}"),
            (".mcp.json", b"{}"),
            (".codex/config.toml", b"x"),
            (".hg/hgrc", b"[hooks]"),
            (".hgrc", b"[hooks]"),
            (".ssh/config", b"ProxyCommand x"),
            (".jj/repo/config.toml", b"x"),
            (".cargo/config.toml", b"[build]\nrustc-wrapper = './x'"),
            (".cargo/config.toml", b"[build]\n\"rust\\u0063-wrapper\" = './x'"),
            (".cargo/config", b"[target.x86_64-unknown-linux-gnu]\nrunner = 'x'"),
            ("rust-toolchain.toml", b"[toolchain]\npath = './x'"),
            (".zprofile", b"x"),
            (".zshenv", b"x"),
            (".bash_login", b"x"),
            (".lvimrc", b"x"),
            (".exrc", b"x"),
            (".nvim.lua", b"x"),
            (".vimrc", b"x"),
            (".dir-locals.el", b"x"),
            (".yarnrc.yml", b"yarnPath: .yarn/x.cjs"),
            (".npmrc", b"script-shell=./x"),
            (".gitmodules", b"[submodule \"a\"]\n\tupdate = !id"),
            (".gitmodules", b"[submodule \"a\"]\n\turl = -u./x"),
            ("paper.lnk", b"L"),
            ("x.scf", b"x"),
            ("x.library-ms", b"x"),
            ("x.url", b"[InternetShortcut]\nIconFile=\\\\10.0.0.1\\x"),
            ("desktop.ini", b"[.ShellClassInfo]\r\nIconResource=\\\\10.0.0.1\\x"),
            ("desktop.ini", b"\xff\xfe[\0.\0S\0h\0e\0l\0l\0]\0\\\0\\\0x\0"),
            ("x.{20D04FE0-3AEA-1069-A2D8-08002B30309D}/x", b"x"),
            ("autorun.inf", b"x"),
            ("x.desktop", b"[Desktop Entry]\nIcon[$e]=$(id)"),
            (".directory", b"Icon[$e]=$(id)"),
            (".config/autostart/x.desktop", b"x"),
            ("jupyter_server_config.py", b"x"),
            ("jupyter_config.json", b"{}"),
            ("ipython_config.py", b"x"),
            ("profile_default/startup/00.py", b"x"),
            (".ipython/profile_default/startup/00.py", b"x"),
            ("mise.toml", b"[env]\n_.source = './x'"),
            (".pylintrc", b"[MASTER]\ninit-hook='import os'"),
            ("pyproject.toml", b"[tool.pylint.main]\ninit-hook = 'x'"),
            (".ghci", b":!id"),
            (".pdbrc", b"x"),
            ("x.pth", b"/opt/lib\nimport os; os.system('id')\n"),
            ("x.pth", b"\xef\xbb\xbfimport\tos"),
            ("x.pth", b"#\0\nimport os"),
            ("x.pth", b"#\x0b\0\nimport os"),
            ("x.pth", b"a\x0cimport os"),
        ] {
            assert_eq!(rule_of(path, content), Some(rule::AUTO_RUN), "{path}");
        }
    }

    #[test]
    fn attack_a16_what_needs_a_command_is_a_note() {
        for (path, content) in [
            (".vscode/settings.json", &b"{\"editor.tabSize\": 4, \"python.analysis.extraPaths\": []}"[..]),
            (".vscode/tasks.json", b"{\"tasks\": [{\"command\": \"make\"}]}"),
            (".vscode/extensions.json", b"{}"),
            (".idea/misc.xml", b"<project/>"),
            (".idea/runConfigurations/x.xml", b"<x/>"),
            (".zed/tasks.json", b"[{\"command\": \"make\"}]"),
            (".devcontainer/devcontainer.json", b"{\"postCreateCommand\": \"make\"}"),
            (".pre-commit-config.yaml", b"repos: []"),
            (".husky/pre-commit", b"npm test"),
            ("package.json", b"{\"scripts\": {\"postinstall\": \"node x\"}}"),
            (".npmrc", b"registry=https://example.org/"),
            (".cargo/config.toml", b"[net]\nretry = 3"),
            (".gitmodules", b"[submodule \"a\"]\n\turl = https://example.org/a.git"),
            (".lfsconfig", b"[lfs]\n\turl = x"),
            (".gitattributes", b"*.ipynb filter=nbstripout"),
            ("conftest.py", b"x"),
            (".htaccess", b"x"),
            ("x.desktop", b"[Desktop Entry]\nExec=id"),
            ("x.url", b"[InternetShortcut]\nURL=https://example.org/"),
        ] {
            assert_eq!(rule_of(path, content), Some(rule::ON_COMMAND), "{path}");
        }
        for path in ["AGENTS.md", "CLAUDE.md", ".cursor/rules/x.mdc", ".claude/commands/x.md", ".cursorrules"]
        {
            assert_eq!(rule_of(path, b"x"), Some(rule::AGENT_INSTRUCTIONS), "{path}");
        }
    }

    #[test]
    fn attack_a16_what_runs_nothing_is_no_finding() {
        for (path, content) in [
            // Every repository of the Hub has this one.
            (".gitattributes", &b"*.bin filter=lfs diff=lfs merge=lfs -text\n"[..]),
            ("package.json", b"{\"scripts\": {\"test\": \"node x\"}}"),
            ("desktop.ini", b"[.ShellClassInfo]\r\nIconResource=C:\\Program Files\\x.exe,0"),
            ("pyproject.toml", b"[project]\nname = 'x'"),
            ("mise.toml", b"[tools]\npython = '3.11'"),
            ("rust-toolchain.toml", b"[toolchain]\nchannel = '1.80'"),
            ("x.pth", b"/opt/lib\nimportant\n"),
            // Weights.
            ("x.pth", b"PK\x03\x04\0\0\nimport x"),
            ("x.pth", b"\x80\x02\x8a\nl\xfc\0\nimport x"),
            ("config.json", b"{\"core\": \"[core]\"}"),
            ("profile_default/x.py", b"x"),
            ("startup/x.py", b"x"),
            ("customize.py", b"x"),
            ("mcp.md", b"x"),
        ] {
            assert_eq!(rule_of(path, content), None, "{path}");
        }
    }
}
