//! What verification found, in words.

use std::io::{self, Write};

use consign::examined::AsOf;
use consign::operations::verify::{BundleReport, Depth, Level, Part, Verdict, VerifyReport};
use consign_metadata::printable;

use super::HandlingInWords as _;
use crate::outcome::Report;
use crate::style::{self, count, size};

impl Report for VerifyReport {
    fn human(&self, out: &mut dyn Write) -> io::Result<()> {
        for (n, bundle) in self.bundles.iter().enumerate() {
            if n > 0 {
                writeln!(out)?;
            }
            bundle_in_words(bundle, out)?;
        }
        Ok(())
    }
}

fn bundle_in_words(report: &BundleReport, out: &mut dyn Write) -> io::Result<()> {
    // What stands outside of an encrypted bundle that was not opened is signed, and no more than that is said.
    let encrypted = Level { depth: Depth::Encrypted, asserted: false };
    let held = report.verified || report.level == Some(encrypted);
    let style = if held { style::GOOD } else { style::ERROR };
    writeln!(out, "{style}{}{style:#}", verdict(report))?;
    let claimed = if held { "" } else { "  (claimed, not verified)" };
    if let Some(bundle) = &report.bundle {
        writeln!(out, "  bundle      {} {}{claimed}", bundle.name, bundle.version)?;
        writeln!(out, "  class       {}{claimed}", bundle.classification.to_uppercase())?;
        writeln!(out, "  bundle id   {}", bundle.id)?;
        for addressee in &bundle.addressees {
            writeln!(out, "  for         {}{claimed}", consign_metadata::printable(addressee))?;
        }
        if let (Some(files), Some(bytes)) = (bundle.files, bundle.bytes) {
            writeln!(out, "  content     {}, {}", count(files, "file", "files"), size(bytes))?;
        }
    }
    if let Some(public) = &report.public {
        if let Some(bundle) = &public.bundle {
            writeln!(out, "  bundle      {} {}{claimed}", bundle.name, bundle.version)?;
        }
        if let Some(classification) = &public.classification {
            writeln!(out, "  class       {}{claimed}", classification.as_str().to_uppercase())?;
        }
        for addressee in &public.addressees {
            writeln!(out, "  for         {addressee}{claimed}")?;
        }
    }
    if let Some(archive) = &report.archive {
        writeln!(out, "  archive     {}, {}", size(archive.size), archive.sha256)?;
    }
    if let Some(encrypted) = &report.encrypted {
        writeln!(out, "  encrypted   {}, {}", size(encrypted.size), encrypted.sha256)?;
    }
    for signature in &report.signatures {
        let who = match (&signature.name, &signature.owner) {
            (Some(name), Some(owner)) => format!("{name} ({owner}), {}", signature.fingerprint),
            (Some(name), None) => format!("{name}, {}", signature.fingerprint),
            _ => signature.fingerprint.clone(),
        };
        let verdict = match &signature.reason {
            None if signature.owner_counted_already => {
                "counted as a key; its owner was counted already".to_owned()
            }
            None => "counted".to_owned(),
            Some(reason) => format!("not counted: {reason}"),
        };
        let unseen = if signature.basis == "unseen" { ", without having seen the content" } else { "" };
        writeln!(out, "  signature   {who}")?;
        writeln!(
            out,
            "              as {}, stated time {}{unseen}; {verdict}",
            signature.role, signature.time
        )?;
    }
    for provenance in &report.provenance {
        writeln!(out, "  provenance  {}{claimed}", provenance.facts.in_words())?;
    }
    for rule in report.rules.iter().filter(|rule| !rule.goes_without_saying) {
        let parts: Vec<_> = rule.parts.iter().map(part_in_words).collect();
        let met = if rule.met { "met" } else { "NOT MET" };
        let name = rule.rule.strip_prefix("rule ").unwrap_or(&rule.rule);
        writeln!(out, "  rule        {name}: {}; {met}", parts.join(", "))?;
    }
    if let Some(AsOf { time, evidence }) = &report.as_of {
        writeln!(out, "  as of       {time}; evidence that the signatures were made by then: {evidence}")?;
    }
    for revoked in &report.revocations {
        let who = revoked.name.as_ref().unwrap_or(&revoked.fingerprint);
        let counts = if revoked.counted { "REVOKED" } else { "not counted" };
        writeln!(out, "  revocation  by {who} as {}, stated time {}; {counts}", revoked.role, revoked.time)?;
        writeln!(out, "              {}", consign_metadata::printable(&revoked.reason))?;
    }
    let warn = style::WARN;
    for note in &report.notes {
        writeln!(out, "  {warn}note{warn:#}        {}", consign_metadata::printable(&note.message))?;
    }
    if let Some(handling) = &report.handling {
        handling.human(out, 11)?;
    }
    Ok(())
}

fn part_in_words(part: &Part) -> String {
    let Part { what, role, needed, have, .. } = part;
    match role {
        Some(role) => format!("{have} of {needed} as {role}"),
        None => format!("{have} of {needed} {what}"),
    }
}

/// The first line: what it comes to.
fn verdict(report: &BundleReport) -> String {
    let name = report
        .bundle
        .as_ref()
        .map_or_else(String::new, |bundle| format!("{} {}", bundle.name, bundle.version));
    let shown = printable(&report.path);
    match (&report.verdict, report.level) {
        (Verdict::Verified { files }, Some(level)) => {
            let (title, what) = held(report, level.depth, *files, &name);
            match &report.as_of {
                Some(as_of) if level.asserted => format!(
                    "HELD AS OF {}, on your word: {what}. It would not hold now, and nothing proves that the signature was made by then",
                    as_of.time
                ),
                _ => format!("{title}: {what}"),
            }
        }
        (Verdict::Verified { .. } | Verdict::NotChecked, _) => {
            format!("NOT VERIFIED: {shown} could not be checked")
        }
        (Verdict::NotIntact, _) => format!("NOT VERIFIED: {shown} is not intact"),
        (Verdict::Refused, _) => {
            format!("REFUSED: {name} is intact and vouched for, but the policy does not admit it")
        }
        (Verdict::Revoked, _) => format!("NOT VERIFIED: {name} was revoked"),
        (Verdict::NotExpected, _) => format!("NOT VERIFIED: {name} is not what was expected"),
        (Verdict::NotTrusted, _) => match (report.counted, report.required) {
            (0, _) => {
                "NOT VERIFIED: the files agree with each other, but nobody you trust vouches for them".into()
            }
            (counted, required) if counted < required => format!(
                "NOT VERIFIED: the files agree with each other, but only {counted} of {required} required signatures count"
            ),
            _ => "NOT VERIFIED: the files agree with each other, but not everything that your trust asks for is met"
                .into(),
        },
    }
}

/// What held: a title, and the sentence that says it.
fn held(report: &BundleReport, depth: Depth, files: u64, name: &str) -> (String, String) {
    let signers: Vec<_> = report
        .signatures
        .iter()
        .filter(|signature| signature.counted)
        .map(|signature| signature.name.as_ref().unwrap_or(&signature.fingerprint).clone())
        .collect();
    let signers = signers.join(" and ");
    match depth {
        Depth::Content => ("VERIFIED".into(), format!("{name} is exactly what {signers} signed")),
        Depth::Directory => (
            "VERIFIED".into(),
            format!("at the moment of reading, the directory was exactly what {signers} signed as {name}"),
        ),
        Depth::Encrypted => (
            "ORIGIN VERIFIED (encrypted)".into(),
            format!("these bytes are what {signers} signed; what they hold was not looked at"),
        ),
        Depth::Bytes => (
            "BYTES VERIFIED".into(),
            format!(
                "the archive of {name} is the one that {signers} signed; its content was not decoded (--quick)"
            ),
        ),
        Depth::Files => (
            format!("{} VERIFIED", count(files, "FILE", "FILES")),
            format!("of {name}, signed by {signers}; nothing else was looked at (--only)"),
        ),
    }
}
