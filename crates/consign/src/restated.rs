//! Does a statement that is there already say what would be signed now? What was packed before is `unchanged` only if it
//! does; what is claimed of the content itself is compared where the content is.

use std::path::Path;

use consign_metadata::{Line, Problem, Role, shell_word};
use consign_signing::Claim;

use crate::failure::Failure;

/// What a statement says otherwise than the one that would be signed now, each as the end of a sentence; none if it says
/// just that. What a scan found, and how many
/// files a pattern left out, depends on the day, and is not compared; the patterns are part of the bundle.
pub fn differences(signed: &Claim, wanted: &Claim) -> Vec<String> {
    let Claim { bundle, content, excluded: _, addressees, findings: _, overrides, downgrades } = signed;
    let mut all = Vec::new();
    if bundle != &wanted.bundle {
        all.push(format!("it is about the bundle {}, not {}", bundle.id, wanted.bundle.id));
    }
    if content != &wanted.content {
        all.push("it is about another archive".to_owned());
    }
    if addressees != &wanted.addressees {
        all.push(format!("it is for {}, not for {}", named(addressees), named(&wanted.addressees)));
    }
    if overrides != &wanted.overrides {
        let rules = |claim: &Claim| match claim.overrides.as_slice() {
            [] => "no rule".to_owned(),
            all => all.iter().map(|one| format!("`{}`", one.rule)).collect::<Vec<_>>().join(", "),
        };
        let (there, now) = (rules(signed), rules(wanted));
        all.push(if there == now {
            format!("it sets {there} aside for another reason")
        } else {
            format!("it sets aside {there}, not {now}")
        });
    }
    if downgrades != &wanted.downgrades {
        all.push("it lowers the classification of other parents, or for other reasons".to_owned());
    }
    all
}

/// The same for who signed as what.
pub fn other_role(signed: &Role, wanted: &Role) -> Option<String> {
    (signed != wanted).then(|| format!("this key signed it as {signed}, not as {wanted}"))
}

/// What is there is signed and says otherwise; nothing if it does not.
pub fn check(attestations: &Path, differences: &[String]) -> Result<(), Failure> {
    if differences.is_empty() {
        return Ok(());
    }
    let message = format!(
        "is signed already, and says otherwise than what would be signed now: {}",
        differences.join("; ")
    );
    let word = shell_word(&attestations.display().to_string());
    let hint = format!(
        "if nobody has the bundle yet: rm {word}, and pack it again, which signs it anew; if somebody has it, raise the version with `--version`"
    );
    let problem = Problem::new("statement-differs", message).at(attestations.display().to_string());
    Err(Failure::failed(problem.hint(hint)))
}

fn named(names: &[Line]) -> String {
    match names {
        [] => "nobody in particular".to_owned(),
        names => names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", "),
    }
}
