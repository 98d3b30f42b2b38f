//! No secret is echoed: what looks like one where a path or a name belongs is refused before anything else is done with
//! it, and what a message quotes is looked at once more before it is printed or recorded.

use std::ffi::OsString;

use consign_metadata::Problem;
use consign_scan::secret_in;

use crate::failure::Failure;

/// Stands in a message where it would have quoted a secret.
const HIDDEN: &str = "[not shown: it looks like a secret]";
/// Shortest run of letters and digits that may be key material: 32 bytes in base64 have 43.
const RUN_MIN: usize = 40;
/// And the shortest piece of it between slashes, which divide the parts of a path too.
const PIECE_MIN: usize = 20;
/// What is public and looks alike: fingerprints, OpenSSH public keys, Ed25519 public keys in PEM.
const PUBLIC: [&str; 2] = ["AAAAC3NzaC1lZDI1NTE5", "MCowBQYDK2VwAyEA"];
const FINGERPRINT: &str = "SHA256:";

/// Refuses arguments and variables that hold a secret: consign takes none in either, so it was put there by mistake. They
/// are named, not quoted.
pub fn check(
    arguments: impl IntoIterator<Item = OsString>,
    variables: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<(), Failure> {
    let mut before: Option<String> = None;
    let mut problems = Vec::new();
    for (number, argument) in arguments.into_iter().enumerate() {
        let text = argument.to_string_lossy();
        let option = text.strip_prefix('-').map(|_| text.split('=').next().unwrap_or_default().to_owned());
        if let Some(kind) = secret_in(&text) {
            let place = match (option.filter(|name| is_option(name)), &before) {
                (Some(name), _) => format!("`{name}`"),
                (None, Some(name)) => format!("`{name}`"),
                (None, None) => format!("argument {number}"),
            };
            problems.push(given(kind, place));
            before = None;
        } else {
            before = option.filter(|name| is_option(name) && !text.contains('='));
        }
    }
    for (name, value) in variables {
        let (name, value) = (name.to_string_lossy(), value.to_string_lossy());
        if name.starts_with("CONSIGN_")
            && secret_in(&name).is_none()
            && let Some(kind) = secret_in(&value)
        {
            problems.push(given(kind, format!("variable {name}")));
        }
    }
    match problems.is_empty() {
        true => Ok(()),
        false => Err(Failure { problems, ..Failure::usage(Problem::new("secret-given", "")) }),
    }
}

/// Whether this is the name of an option, and not a secret that begins with a dash.
fn is_option(name: &str) -> bool {
    let letters = name.trim_start_matches('-');
    name.starts_with('-')
        && (1..=40).contains(&letters.len())
        && letters.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-' || letters.len() == 1)
}

fn given(kind: &str, place: String) -> Problem {
    let (code, hint) = match kind {
        "an age identity" => (
            "identity-given",
            "keep it secret, in a file that only you can read, and name that file; its recipient stands in its comment `# public key:`",
        ),
        _ => ("secret-given", "put it into a file that only you can read, and name that file"),
    };
    Problem::new(
        code,
        format!("this is {kind} itself, where a file or a name belongs; it is not repeated here"),
    )
    .at(place)
    .hint(hint)
}

/// The same problem without what looks like a secret in it: a file that is no policy, or no descriptor, may be a key, and
/// whoever reads it may quote a line.
pub fn guarded(mut problem: Problem) -> Problem {
    problem.message = hidden(&problem.message);
    problem.at = problem.at.map(|at| hidden(&at));
    problem.hint = problem.hint.map(|hint| hidden(&hint));
    problem
}

/// A text with what looks like a secret left out.
pub fn hidden(text: &str) -> String {
    let of_run = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '=' | '-' | '_');
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(begin) = rest.find(of_run) {
        let run = &rest[begin..];
        let end = run.find(|c: char| !of_run(c)).unwrap_or(run.len());
        out.push_str(&rest[..begin]);
        let run = &run[..end];
        let public = out.ends_with(FINGERPRINT) || PUBLIC.iter().any(|mark| run.starts_with(mark));
        let secret = !public && (is_key_material(run) || (run.len() >= 16 && secret_in(run).is_some()));
        out.push_str(if secret { HIDDEN } else { run });
        rest = &rest[begin + end..];
    }
    out.push_str(rest);
    match secret_in(&out) {
        Some(_) => HIDDEN.to_owned(),
        None => out,
    }
}

/// Whether a run of characters is what keys are in base64: long, without words, and with letters of both cases and digits.
fn is_key_material(run: &str) -> bool {
    let mixed = |piece: &str| {
        piece.len() >= PIECE_MIN
            && piece.bytes().any(|byte| byte.is_ascii_uppercase())
            && piece.bytes().any(|byte| byte.is_ascii_lowercase())
            && piece.bytes().any(|byte| byte.is_ascii_digit())
    };
    run.len() >= RUN_MIN && run.split(['/', '-', '_']).any(mixed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(arguments: &[&str]) -> Vec<String> {
        let arguments = arguments.iter().map(OsString::from);
        match check(arguments, []) {
            Ok(()) => Vec::new(),
            Err(failure) => failure.problems.iter().map(|problem| problem.at.clone().unwrap()).collect(),
        }
    }

    #[test]
    fn attack_s2_the_place_is_named_and_nothing_else() {
        let identity = ["AGE-SECRET", "-KEY-1QQPQQ"].concat();
        let key = ["-----BEGIN PRIVATE", " KEY----- MC4C"].concat();
        assert_eq!(refused(&["consign", "verify", "--key", &identity]), ["`--key`"]);
        assert_eq!(refused(&["consign", "verify", &format!("--key={key}")]), ["`--key`"]);
        assert_eq!(refused(&["consign", &key]), ["argument 1"]);
        assert_eq!(refused(&["consign", "verify", "out", "--key", "ada.pub", "-o", "x"]), [""; 0]);
    }

    #[test]
    fn attack_s1_messages_do_not_quote_key_material() {
        let line = "MC4CAQAwBQYDK2VwBCIEIKl3ZkVh0n8hHtVQm2n6sWcV5x1mTqJ0bq3kz7aYd9fA";
        for text in [format!("expected `=`, found `{line}`"), format!("1 | {line}"), line.to_owned()] {
            let shown = hidden(&text);
            assert!(!shown.contains(&line[20..40]), "{shown}");
        }
        for text in [
            "out/tiny-1.0.0.tar.zst is there already",
            "SHA256:9Tn1Qf8jX0c1pYy6r0c3m6wXhXH3oQn3oP0Dq1m2f5s is not in your trust",
            "bundle 2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae",
            "/tmp/.tmpAbC123/desk/some-Longer-Folder-Name-With-Words1/and/another/one",
            "`consign policy show --default > policy.toml`",
        ] {
            assert_eq!(hidden(text), text);
        }
    }
}
