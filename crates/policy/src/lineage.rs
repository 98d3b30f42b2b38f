//! No downgrade along lineage: what derives from a bundle is classified no lower than it, unless somebody who may
//! signs that it is.

use crate::decide::Judge;
use crate::decision::RuleName;
use crate::level::Level;

/// Asks about every bundle that this one derives from.
pub(crate) fn check(judge: &mut Judge<'_>, level: &Level) {
    let request = judge.request;
    let policy = judge.policy;
    let here = judge.rank(&level.name);
    let top = here + 1 == policy.levels().len();
    for id in &request.core.parents {
        let known = request.parents.iter().find(|parent| parent.id == *id);
        let stated = request.downgrades.iter().find(|downgrade| downgrade.parent == *id);
        // A recipient learns of a parent's level only from those who sign.
        let classification =
            known.and_then(|parent| parent.classification.as_ref()).or(stated.map(|stated| &stated.from));
        let Some(from) = classification else {
            if !top && request.stage.is_senders() {
                let message = format!("it derives from {id}, and nobody says how that is classified");
                judge.act(
                    level.unknown_parents,
                    RuleName::Downgrade,
                    message,
                    "name the parent's manifest or archive: `--parent FILE`",
                );
            }
            continue;
        };
        let Some(above) = policy.level(from) else {
            judge.refuse(
                RuleName::Downgrade,
                format!("it derives from {id}, whose classification `{from}` is not a level of the policy"),
                "use a policy that knows both levels",
            );
            continue;
        };
        if judge.rank(from) <= here {
            continue;
        }
        let what = format!(
            "it derives from {id}, which is classified `{from}`, and is itself classified `{}`",
            level.name
        );
        match (&above.downgrade_by, stated) {
            (None, _) => judge.refuse(
                RuleName::Downgrade,
                format!("{what}; nobody may lower that"),
                format!("classify it `{from}` or higher"),
            ),
            (Some(role), None) => judge.refuse(
                RuleName::Downgrade,
                format!("{what}; only `{role}` may sign that down"),
                format!("classify it `{from}`, or state the reason with `--downgrade TEXT` and have it signed by `{role}`"),
            ),
            (Some(role), Some(stated)) if stated.from != *from => judge.refuse(
                RuleName::Downgrade,
                format!("{what}; the statement says `{}` of it", stated.from),
                format!("pack it again with the parent's manifest, and have it signed by `{role}`"),
            ),
            (Some(role), Some(_)) => {
                let signed = request.signers.unwrap_or_default().iter().any(|signer| signer.role == *role);
                if !signed {
                    let message = format!("needs 1 × {role}, to sign the downgrade from `{from}` to `{}`", level.name);
                    let fix = format!("have it signed: consign sign BUNDLE --role {role}");
                    if request.stage.signatures_may_come() {
                        judge.pend(RuleName::Downgrade, message, fix);
                    } else {
                        judge.refuse(RuleName::Downgrade, message, fix);
                    }
                }
            }
        }
    }
}
