//! Where things are: URIs, code repositories, commits. None of them may carry a password.

use crate::text::{TextError, check_line, text_type};
use crate::unicode::excerpt;

/// Longest [`Uri`] or [`Repository`], in bytes.
pub const URI_MAX: usize = 2048;

fn check_uri(text: &str) -> Result<(), TextError> {
    let fault = |why: &str| Err(TextError(format!("`{}` {why}", excerpt(text))));
    if text.len() > URI_MAX {
        return Err(TextError(format!("is {} bytes long (at most {URI_MAX})", text.len())));
    }
    if text.contains(char::is_whitespace) {
        return fault("is not a URI: white space (write it as `%20`)");
    }
    check_line(text)?;
    let scheme = |text: &str| {
        text.starts_with(|c: char| c.is_ascii_alphabetic())
            && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'))
    };
    let Some((_, rest)) = text.split_once(':').filter(|(name, rest)| {
        // One letter before a colon is a Windows drive, and no scheme has so short a name.
        name.len() > 1 && scheme(name) && !rest.is_empty()
    }) else {
        return fault(
            "is not an absolute URI such as `https://host/path`, `doi:10.1000/182` or `file:///path`",
        );
    };
    if has_password(rest) {
        return fault_password();
    }
    Ok(())
}

/// Whether the authority of what follows the scheme holds `user:password@` (RFC 3986, section 3.2.1).
fn has_password(rest: &str) -> bool {
    let Some(after) = rest.strip_prefix("//") else { return false };
    let authority = after.split(['/', '?', '#']).next().unwrap_or_default();
    authority.rsplit_once('@').is_some_and(|(user, _)| user.contains(':'))
}

fn fault_password() -> Result<(), TextError> {
    // The text is not repeated: messages end up in logs.
    Err(TextError("holds a user name with a password or token; a descriptor must not carry secrets".into()))
}

fn check_repository(text: &str) -> Result<(), TextError> {
    // `git@host:path`, as Git writes remotes that are reached by SSH.
    let scp = |text: &str| {
        text.split_once(':').is_some_and(|(host, path)| {
            host.split_once('@').is_some_and(|(user, host)| !user.is_empty() && !host.is_empty())
                && !host.contains('/')
                && !path.is_empty()
                && !path.starts_with("//")
        })
    };
    if scp(text) && text.len() <= URI_MAX && !text.contains(char::is_whitespace) {
        return check_line(text);
    }
    check_uri(text)
}

fn check_commit(text: &str) -> Result<(), TextError> {
    let hex = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
    if matches!(text.len(), 40 | 64) && text.chars().all(hex) {
        return Ok(());
    }
    Err(TextError(format!(
        "`{}` is not a full commit id (40 or 64 lower-case hexadecimal digits; `git rev-parse HEAD` prints it)",
        excerpt(text)
    )))
}

text_type! {
    /// An absolute URI (RFC 3986; letters beyond ASCII pass, as in RFC 3987): a scheme, a colon and something
    /// behind it, no white space, no password, at most 2048 bytes. Nothing ever opens it by itself.
    ///
    /// ```
    /// use consign_metadata::Uri;
    /// assert!("https://doi.org/10.24432/C50P49".parse::<Uri>().is_ok());
    /// assert!("data/train.csv".parse::<Uri>().is_err());
    /// assert!("https://user:token@example.org/".parse::<Uri>().is_err());
    /// ```
    Uri, TextError, check_uri,
    schema: {
        "type": "string", "pattern": "^[A-Za-z][A-Za-z0-9+.-]+:[^\\s]+$", "maxLength": URI_MAX,
        "description": "An absolute URI, such as `https://host/path` or `doi:10.1000/182`, without a password."
    }
}

text_type! {
    /// Where a code repository is: a [`Uri`], or `user@host:path` as Git writes it for SSH.
    Repository, TextError, check_repository,
    schema: {
        "type": "string", "pattern": "^[^\\s:]+:[^\\s]+$", "maxLength": URI_MAX,
        "description": "Address of a code repository: a URI, or `git@host:path`. No password or token in it."
    }
}

text_type! {
    /// A full commit id of Git (SHA-1 or SHA-256) or Mercurial: 40 or 64 lower-case hexadecimal digits.
    CommitId, TextError, check_commit,
    schema: {
        "type": "string", "pattern": "^([0-9a-f]{40}|[0-9a-f]{64})$",
        "description": "A full commit id: 40 or 64 lower-case hexadecimal digits."
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uris_are_absolute_and_free_of_secrets() {
        for good in [
            "https://example.org/a?b=c#d",
            "doi:10.24432/C50P49",
            "s3://bucket/key",
            "file:///data/x",
            "urn:isbn:0451450523",
            "ssh://git@example.org/x",
            "https://example.org/a:b@c",
            "https://example.org/größe",
        ] {
            assert!(good.parse::<Uri>().is_ok(), "{good}");
        }
        for bad in
            ["", "x", "a/b", "C:\\x", "://x", "http:", "1a:b", "https://a b", "https://u:p@h/", "h\u{202e}:x"]
        {
            assert!(bad.parse::<Uri>().is_err(), "{bad}");
        }
        let error = "https://u:s3cret@h/".parse::<Uri>().unwrap_err();
        assert!(!error.to_string().contains("s3cret"));
    }

    #[test]
    fn repositories_may_be_reached_by_ssh() {
        for good in ["git@example.org:team/code.git", "https://example.org/team/code", "ssh://git@h/x"] {
            assert!(good.parse::<Repository>().is_ok(), "{good}");
        }
        for bad in ["", "team/code", "git@example.org", "git@h:", "https://u:p@h/x", "../code"] {
            assert!(bad.parse::<Repository>().is_err(), "{bad}");
        }
    }

    #[test]
    fn commits_are_whole() {
        assert!("a".repeat(40).parse::<CommitId>().is_ok());
        assert!("0".repeat(64).parse::<CommitId>().is_ok());
        for bad in ["", "abc1234", &"A".repeat(40), &"g".repeat(40), &"a".repeat(41)] {
            assert!(bad.parse::<CommitId>().is_err(), "{bad}");
        }
    }
}
