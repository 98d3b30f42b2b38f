//! Files that exist to hold credentials, known by their names; whether they hold any, their content says.

use std::sync::LazyLock;

use consign_metadata::{Line, RuleId};
use regex::bytes::{Regex, RegexBuilder};

use super::engine::rule;
use super::mask::{hidden, masked};
use super::plausible::{is_place, is_placeholder};

/// Files of one kind.
struct Kind {
    /// Whether a path, in lower case, is of this kind.
    is: fn(&str) -> bool,
    /// The secret in it, as the first group.
    pattern: &'static str,
}

fn name_of(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// `.env`, `.env.production`, `prod.env`; not the example that goes with it.
fn is_env(path: &str) -> bool {
    let name = name_of(path);
    let example = ["example", "sample", "template", "dist", "schema"].iter().any(|word| name.contains(word));
    !example && (name == ".env" || name == ".envrc" || name.starts_with(".env.") || name.ends_with(".env"))
}

const KINDS: [Kind; 11] = [
    Kind {
        is: is_env,
        pattern: r#"^[ \t]*(?:export[ \t]+)?[a-z0-9_]{0,60}(?:pass|passwd|password|pwd|secret|token|key|cred|credentials|auth)(?:_?[0-9a-z]{0,6})?[ \t]*=[ \t]*["']?([^\s"'#]{6,400})"#,
    },
    // machine, login and password may stand on lines of their own.
    Kind {
        is: |path| matches!(name_of(path), ".netrc" | "_netrc"),
        pattern: r"\bpassword[ \t\r\n]{1,40}(\S{1,200})",
    },
    Kind {
        is: |path| matches!(name_of(path), ".pgpass" | "pgpass.conf"),
        pattern: r"^[^#:\s][^:\s]{0,200}:[^:\s]{0,20}:[^:\s]{0,100}:[^:\s]{1,100}:(\S{1,200})[ \t\r]*$",
    },
    Kind {
        is: |path| name_of(path) == ".npmrc",
        pattern: r#"_(?:authtoken|auth|password)[ \t]*=[ \t]*["']?([^\s"']{8,400})"#,
    },
    Kind { is: |path| name_of(path) == ".pypirc", pattern: r"^[ \t]*password[ \t]*[=:][ \t]*(\S{1,400})" },
    Kind {
        is: |path| path.ends_with(".kube/config") || name_of(path).contains("kubeconfig"),
        pattern: r#"^[ \t-]*(?:client-key-data|token|password):[ \t]*["']?([a-z0-9+/=._-]{6,6000})"#,
    },
    Kind {
        is: |path| {
            path.ends_with(".docker/config.json")
                || matches!(name_of(path), ".dockercfg" | ".dockerconfigjson")
        },
        pattern: r#""(?:auth|identitytoken|registrytoken)"[ \t\r\n]{0,40}:[ \t\r\n]{0,40}"([^"\s]{8,4000})""#,
    },
    Kind {
        is: |path| name_of(path) == "kaggle.json",
        pattern: r#""key"[ \t\r\n]{0,40}:[ \t\r\n]{0,40}"([0-9a-f]{32})""#,
    },
    Kind {
        is: |path| {
            let name = name_of(path);
            name == "credentials.json"
                || name == "application_default_credentials.json"
                || (name.starts_with("client_secret") && name.ends_with(".json"))
                || (name.starts_with("service") && name.contains("account") && name.ends_with(".json"))
        },
        pattern: r#""(?:client_secret|refresh_token|access_token|password|api_key|secret)"[ \t\r\n]{0,40}:[ \t\r\n]{0,40}"([^"\s]{8,4000})""#,
    },
    Kind {
        is: |path| name_of(path) == ".htpasswd",
        pattern: r"^[^:\s]{1,100}:(\$(?:apr1|2[aby]|5|6)\$\S{10,200}|\{sha\}\S{20,100})",
    },
    Kind {
        is: |path| {
            path.ends_with(".aws/credentials")
                || matches!(
                    name_of(path),
                    ".my.cnf"
                        | ".s3cfg"
                        | ".boto"
                        | ".databrickscfg"
                        | "rclone.conf"
                        | ".vault-token"
                        | ".git-credentials"
                )
        },
        pattern: r"^[ \t]*(?:(?:aws_secret_access_key|secret_key|secret_access_key|password|pass|token|gs_secret_access_key)[ \t]*=[ \t]*|https?://[^:/\s]{1,100}:)?([^\s@\[]{6,400})",
    },
];

/// Stores of keys in binary formats, by the bytes that they begin with, and the end of the name where those are few.
const KEY_STORES: [(&[u8], &str, &str); 4] = [
    (b"\xfe\xed\xfe\xed\0\0\0", "", "Java key store"),
    (b"\xce\xce\xce\xce\0\0\0", "", "Java key store"),
    (b"\x03\xd9\xa2\x9a", "", "KeePass database"),
    // DER: a sequence, version 3 (RFC 7292).
    (b"\x30\x82", ".p12 .pfx", "PKCS #12 key store"),
];

static PATTERNS: LazyLock<Vec<Option<Regex>>> = LazyLock::new(|| {
    let compile = |kind: &Kind| {
        RegexBuilder::new(kind.pattern).unicode(false).multi_line(true).case_insensitive(true).build().ok()
    };
    KINDS.iter().map(compile).collect()
});

/// A secret in a file that is known by its name: where it begins, and what may be shown of it.
pub(crate) struct Credential {
    pub(crate) at: usize,
    pub(crate) excerpt: Option<Line>,
}

/// The rule for what [`credentials`] finds.
pub(crate) fn credential_rule() -> Option<RuleId> {
    rule("credential-file")
}

/// What the beginning of a file of that path holds, if files of that name hold credentials. Such files are short.
pub(crate) fn credentials(path: &str, head: &[u8]) -> Vec<Credential> {
    const MOST: usize = 100;
    let path = path.to_ascii_lowercase();
    let mut found = Vec::new();
    for (kind, pattern) in KINDS.iter().zip(PATTERNS.iter()) {
        let Some(pattern) = pattern.as_ref().filter(|_| (kind.is)(&path)) else { continue };
        for captures in pattern.captures_iter(head) {
            let Some(secret) = captures.get(1) else { continue };
            let text = secret.as_bytes();
            let number = text.iter().all(u8::is_ascii_digit) && text.len() < 8;
            if !(is_placeholder(text) || is_place(text) || number) {
                found.push(Credential { at: secret.start(), excerpt: hidden(text) });
            }
            if found.len() == MOST {
                return found;
            }
        }
    }
    found
}

/// What kind of key store the file is, if it is one, with the rule for it.
pub(crate) fn key_store(path: &str, head: &[u8]) -> Option<(RuleId, Option<Line>)> {
    let path = path.to_ascii_lowercase();
    let fits = |(magic, ends, _): &&(&[u8], &str, &str)| {
        head.starts_with(magic) && (ends.is_empty() || ends.split(' ').any(|end| path.ends_with(end)))
    };
    let (_, _, what) = KEY_STORES.iter().find(fits)?;
    Some((rule("key-store")?, what.parse().ok()))
}

/// The token that a file holds and nothing else, as clients keep them.
pub(crate) fn bare_token(path: &str, head: &[u8]) -> Option<Credential> {
    let path = path.to_ascii_lowercase();
    let text = head.trim_ascii();
    let holder =
        matches!(name_of(&path), "token" | "api_key" | "apikey" | "access_token" | ".token" | "secret");
    let one = text.len() <= 400 && super::plausible::is_random(text) && !is_placeholder(text);
    (holder && one).then(|| Credential { at: 0, excerpt: masked(text) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pattern_compiles() {
        assert!(PATTERNS.iter().all(Option::is_some));
        assert!(credential_rule().is_some());
    }

    #[test]
    fn the_name_says_where_and_the_content_whether() {
        for (path, content) in [
            (".env", "DB_PASS=hunter22x\n"),
            ("deploy/prod.env", "export API_TOKEN='q8w7e6r5t4'\n"),
            ("home/.netrc", "machine example.org\n  login ada\n  password hunter22x\n"),
            (".pgpass", "db.example.org:5432:app:ada:hunter22x\n"),
            (".npmrc", "//registry.example.org/:_authToken=q8w7e6r5t4z3\n"),
            (".pypirc", "[pypi]\nusername = ada\npassword = hunter22x\n"),
            (".kube/config", "users:\n- user:\n    client-key-data: q8w7e6r5t4z3q8w7e6r5t4z3==\n"),
            (".docker/config.json", "{\"auths\": {\"x\": {\"auth\": \"q8w7e6r5t4z3==\"}}}"),
            ("kaggle.json", "{\"username\":\"ada\",\"key\":\"0f1e2d3c4b5a69788796a5b4c3d2e1f1\"}"),
            ("credentials.json", "{\"client_secret\": \"q8w7e6r5t4z3\"}"),
            (".htpasswd", "ada:$apr1$q8w7e6r5$t4z3q8w7e6r5t4z3q8w7e6\n"),
            (".my.cnf", "[client]\npassword = hunter22x\n"),
            (".git-credentials", "https://ada:hunter22x@git.example.org\n"),
        ] {
            assert_eq!(credentials(path, content.as_bytes()).len(), 1, "{path}");
            assert!(credentials("notes.md", content.as_bytes()).is_empty());
        }
        for (path, content) in [
            (".env", "# PASSWORD=...\nDEBUG=true\nPORT=8080\nTOKEN=${TOKEN}\nMAX_TOKENS=4096\n"),
            (".env.example", "DB_PASS=hunter22x\n"),
            (".netrc", "# nothing\n"),
            (".npmrc", "//registry.example.org/:_authToken=${NPM_TOKEN}\n"),
            ("credentials.json", "{\"client_secret\": \"<your secret>\"}"),
        ] {
            assert!(credentials(path, content.as_bytes()).is_empty(), "{path}: {content}");
        }
    }

    #[test]
    fn key_stores_are_known_by_content() {
        assert!(key_store("x", b"\xfe\xed\xfe\xed\0\0\0\x02").is_some());
        assert!(key_store("me.p12", b"\x30\x82\x0a\x01\x02\x01\x03").is_some());
        assert!(key_store("me.der", b"\x30\x82\x0a\x01\x02\x01\x03").is_none());
    }
}
