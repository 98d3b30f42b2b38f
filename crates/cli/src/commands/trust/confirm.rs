//! Reading a fingerprint back on the terminal.

use std::io::{self, BufRead, Write};

use consign_signing::Fingerprint;

/// Has a person type what the owner of the key reads to them, and says whether it is this fingerprint.
///
/// The first line is asked for before anything is shown: what stands on the screen would be copied from there.
/// The other lines are then shown for comparison, so that all of it was compared by somebody. A whole fingerprint
/// in either spelling will do at once.
pub(super) fn ask(
    fingerprint: &Fingerprint,
    answers: &mut impl BufRead,
    out: &mut impl Write,
) -> io::Result<bool> {
    let groups = fingerprint.groups();
    let (first, rest) = groups.split_once('\n').unwrap_or((&groups, ""));
    writeln!(out, "Call the owner of the key, and have them read its groups to you; for them,")?;
    writeln!(out, "`consign id --key PUB` prints them.\n")?;
    write!(out, "First line (four groups), or the whole fingerprint: ")?;
    out.flush()?;
    let answer = line(answers)?;
    if let Ok(told) = answer.parse::<Fingerprint>() {
        return Ok(told == *fingerprint);
    }
    if digits(&answer) != digits(first) {
        return Ok(false);
    }
    writeln!(out, "\nThat is right. The other lines must be:\n")?;
    rest.lines().try_for_each(|line| writeln!(out, "    {line}"))?;
    write!(out, "\nAre they? Type yes: ")?;
    out.flush()?;
    Ok(line(answers)?.eq_ignore_ascii_case("yes"))
}

/// One line; what comes after a sane length is left.
fn line(answers: &mut impl BufRead) -> io::Result<String> {
    let mut text = String::new();
    io::Read::take(answers, 1024).read_line(&mut text)?;
    Ok(text.trim().to_owned())
}

/// Without spaces, in small letters: people type it.
fn digits(text: &str) -> String {
    text.split_whitespace().collect::<String>().to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;
    use consign_signing::{PrivateKey, Signer as _};

    #[test]
    fn only_what_the_owner_reads_confirms() {
        let print = PrivateKey::generate().unwrap().public_key().fingerprint();
        let groups = print.groups();
        let lines: Vec<_> = groups.lines().collect();
        let asked = |answers: String| {
            let mut out = Vec::new();
            let confirmed = ask(&print, &mut answers.as_bytes(), &mut out).unwrap();
            (confirmed, String::from_utf8(out).unwrap())
        };
        let (confirmed, shown) = asked(format!("{}\nyes\n", lines[0].to_uppercase()));
        assert!(confirmed);
        // The line that is asked for never stands on the screen.
        assert!(!shown.contains(lines[0]) && lines[1..].iter().all(|line| shown.contains(line)), "{shown}");
        assert!(asked(format!("{print}\n")).0);
        assert!(asked(format!("{}\n", groups.replace('\n', " "))).0);
        for wrong in [
            String::new(),
            "\n".into(),
            "yes\nyes\n".into(),
            format!("{}\nno\n", lines[0]),
            format!("{}\n", lines[0]),
            format!("{}\nyes\n", lines[1]),
            format!("{}\nyes\n", &lines[0][..4]),
        ] {
            assert!(!asked(wrong.clone()).0, "{wrong:?}");
        }
        assert!(
            !asked("0000 0000 0000 0000\nyes\n".into()).1.contains(lines[1]),
            "nothing to copy after a miss"
        );
    }
}
