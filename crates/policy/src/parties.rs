//! Whom a bundle may go to, and how: encryption, addressees, recipients, destinations, channels.

use consign_metadata::{Line, did_you_mean};

use crate::decide::{Judge, list};
use crate::decision::RuleName;
use crate::document::{Demand, Listing};
use crate::level::Level;
use crate::policy::Recipient;
use crate::request::{Encryption, Target};

/// Asks every rule about recipients and ways.
pub(crate) fn check(judge: &mut Judge<'_>, level: &Level) {
    encryption(judge, level);
    addressees(judge, level);
    recipients(judge, level);
    target(judge, level);
    channels(judge, level);
}

fn encryption(judge: &mut Judge<'_>, level: &Level) {
    let Some(encryption) = judge.encryption().cloned() else { return };
    if level.encryption == Demand::Required && encryption == Encryption::Plain {
        judge.refuse(
            RuleName::Encryption,
            format!("a bundle that is classified `{}` leaves only encrypted", level.name),
            "encrypt it to its recipients: `--encrypt-to NAME`",
        );
    }
    let Encryption::To(keys) = &encryption else { return };
    for name in &level.also_encrypt_to {
        let recipient = judge.policy.recipient(name.as_str());
        let can_open = recipient
            .is_some_and(|known| known.encrypt_to.iter().any(|key| keys.iter().any(|k| k == key.as_str())));
        if !can_open {
            judge.refuse(
                RuleName::Encryption,
                format!("`{name}` must be able to open every bundle that is classified `{}`", level.name),
                format!("encrypt it to them too: `--encrypt-to {name}`"),
            );
        }
    }
}

fn addressees(judge: &mut Judge<'_>, level: &Level) {
    let request = judge.request;
    let named = request.addressees;
    if level.addressees == Demand::Required && named.is_empty() {
        judge.refuse(
            RuleName::Addressees,
            format!("a bundle that is classified `{}` must say whom it is for", level.name),
            "name them: `--for NAME`",
        );
    }
    if request.stage.is_senders() || named.is_empty() {
        return;
    }
    let own = judge.policy.own_names();
    if own.is_empty() {
        judge.note("addressee not checked: the policy does not say who we are (`[self]`)");
    } else if !own.iter().any(|name| named.contains(name)) {
        judge.refuse(
            RuleName::Addressed,
            format!(
                "it is addressed to {}, but `{}` goes by {}",
                list(named.iter().map(Line::as_str)),
                judge.policy.name(),
                list(own.iter().map(Line::as_str))
            ),
            match (request.stage.is_recipients(), own) {
                (true, _) => "do not use it, and tell the sender that it went astray".to_owned(),
                (false, [one, ..]) => {
                    format!("address it to them: `--for {}`", consign_metadata::shell_word(one.as_str()))
                }
                (false, []) => "address it to them by their name".to_owned(),
            },
        );
    }
}

fn recipients(judge: &mut Judge<'_>, level: &Level) {
    let request = judge.request;
    if !request.stage.is_senders() {
        return;
    }
    let policy = judge.policy;
    for name in request.addressees {
        match policy.recipient(name.as_str()) {
            Some(known) => may_receive(judge, level, known),
            None => unlisted(judge, level, name),
        }
    }
    let Encryption::To(keys) = &request.encryption else { return };
    let holder = |key: &String| {
        policy.recipients().iter().find(|known| known.encrypt_to.iter().any(|k| k.as_str() == key))
    };
    for key in keys {
        match holder(key) {
            Some(known) if request.addressees.contains(&known.name) => {}
            Some(known) => {
                may_receive(judge, level, known);
                if !request.addressees.is_empty() && !level.also_encrypt_to.contains(&known.name) {
                    judge.warn(
                        RuleName::Recipients,
                        format!("`{}` can open it, but it is not addressed to them", known.name),
                        format!("address it to them too: `--for {}`", known.name),
                    );
                }
            }
            None if level.recipients == Listing::Listed => judge.refuse(
                RuleName::Recipients,
                format!("the key `{key}` belongs to no recipient whom the policy lists, as the level `{}` demands", level.name),
                "encrypt to a recipient of the policy by name, or have the key added to it",
            ),
            None => {}
        }
    }
    for name in request.addressees {
        let keyless =
            |known: &&Recipient| !known.encrypt_to.iter().any(|key| keys.iter().any(|k| k == key.as_str()));
        if policy
            .recipient(name.as_str())
            .filter(|known| !known.encrypt_to.is_empty())
            .filter(keyless)
            .is_some()
        {
            judge.warn(
                RuleName::Recipients,
                format!("it is addressed to `{name}`, who cannot open it"),
                format!("encrypt it to them: `--encrypt-to {name}`"),
            );
        }
    }
}

/// Somebody whom the policy does not list, perhaps by a slip of the pen.
fn unlisted(judge: &mut Judge<'_>, level: &Level, name: &Line) {
    let known = judge.policy.recipients();
    let near = did_you_mean(name.as_str(), known.iter().flat_map(Recipient::names).map(Line::as_str));
    let meant = near.map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
    if level.recipients == Listing::Listed {
        judge.refuse(
            RuleName::Recipients,
            format!(
                "`{name}` is not a recipient whom the policy lists, as the level `{}` demands{meant}",
                level.name
            ),
            "name a recipient of the policy, or have them added to it",
        );
    } else if near.is_some() {
        judge.warn(
            RuleName::Recipients,
            format!("`{name}` is not a recipient whom the policy lists{meant}"),
            "name a recipient of the policy, or add this one to it",
        );
    }
}

/// Refuses a recipient who may receive only what is classified lower.
fn may_receive(judge: &mut Judge<'_>, level: &Level, recipient: &Recipient) {
    let Some(highest) = &recipient.highest else { return };
    if judge.rank(highest) < judge.rank(&level.name) {
        judge.refuse(
            RuleName::Recipients,
            format!(
                "`{}` may receive `{highest}` at most, and it is classified `{}`",
                recipient.name, level.name
            ),
            "send it to somebody else, or have the policy changed by those who answer for it",
        );
    }
}

fn target(judge: &mut Judge<'_>, level: &Level) {
    let request = judge.request;
    match request.target.as_ref().filter(|_| request.stage.is_senders()) {
        None => {}
        Some(Target::Unlisted(folder)) if level.destinations == Listing::Listed => judge.refuse(
            RuleName::Destination,
            format!(
                "`{}` is not a destination that the policy lists, as the level `{}` demands",
                consign_metadata::printable(folder),
                level.name
            ),
            "name a destination of the policy, or have it added to it",
        ),
        // By which channel a folder is reached, nobody but the policy says.
        Some(Target::Unlisted(folder)) if !level.channels.is_empty() => judge.refuse(
            RuleName::Channel,
            format!(
                "the policy does not say by which channel `{}` is reached, and what is classified `{}` leaves only by {}",
                consign_metadata::printable(folder),
                level.name,
                list(level.channels.iter().map(Line::as_str))
            ),
            "have the folder added to the policy as a destination with its `channel`",
        ),
        Some(Target::Unlisted(_)) => {}
        Some(Target::Listed(destination)) => {
            if let Some(highest) = &destination.highest
                && judge.rank(highest) < judge.rank(&level.name)
            {
                judge.refuse(
                    RuleName::Destination,
                    format!(
                        "`{highest}` at most may go to `{}`, and it is classified `{}`",
                        destination.name, level.name
                    ),
                    "send it elsewhere",
                );
            }
            if let Some(reader) = &destination.recipient {
                if !request.addressees.is_empty() && !request.addressees.contains(reader) {
                    judge.refuse(
                        RuleName::Destination,
                        format!(
                            "`{reader}` reads at `{}`, but it is addressed to {}",
                            destination.name,
                            list(request.addressees.iter().map(Line::as_str))
                        ),
                        "send it where its addressees read",
                    );
                }
                if let Some(known) = judge
                    .policy
                    .recipient(reader.as_str())
                    .filter(|known| !request.addressees.contains(&known.name))
                {
                    may_receive(judge, level, known);
                }
            }
            if !level.channels.is_empty() {
                match &destination.channel {
                    Some(channel) if level.channels.contains(channel) => {}
                    Some(channel) => refuse_channel(judge, level, channel),
                    None => judge.refuse(
                        RuleName::Channel,
                        format!("the policy does not say by which channel `{}` is reached", destination.name),
                        "have `channel` added to the destination",
                    ),
                }
            }
        }
    }
}

/// The channels that the owner names must be such as the level admits.
fn channels(judge: &mut Judge<'_>, level: &Level) {
    if level.channels.is_empty() {
        return;
    }
    let handling = judge.request.details.and_then(|details| details.handling.as_ref());
    let refused: Vec<Line> = handling
        .iter()
        .flat_map(|handling| &handling.channels)
        .filter(|channel| {
            !level.channels.iter().any(|known| known.as_str().eq_ignore_ascii_case(channel.as_str()))
        })
        .cloned()
        .collect();
    for channel in refused {
        refuse_channel(judge, level, &channel);
    }
}

fn refuse_channel(judge: &mut Judge<'_>, level: &Level, channel: &Line) {
    judge.refuse(
        RuleName::Channel,
        format!("what is classified `{}` may not be sent by `{channel}`", level.name),
        format!("send it by {}", list(level.channels.iter().map(Line::as_str))),
    );
}
