//! Who ran the command, and on which machine, as far as the machine says.

use crate::environment::Lookup;

/// Variables that name the person, in the order in which they are asked: what was set for consign, what a CI system
/// says of whoever started the run, what the login set.
const USER: [&str; 11] = [
    "CONSIGN_USER",
    "GITHUB_ACTOR",
    "GITLAB_USER_LOGIN",
    "BUILD_REQUESTEDFOREMAIL",
    "BUILDKITE_BUILD_CREATOR_EMAIL",
    "CIRCLE_USERNAME",
    "SLURM_JOB_USER",
    "SUDO_USER",
    "USER",
    "LOGNAME",
    "USERNAME",
];

/// The user. It is what the environment says, not what somebody proved: a signature says that.
pub fn user(lookup: Lookup<'_>) -> String {
    USER.iter().find_map(|name| lookup(name)).unwrap_or_else(number)
}

#[cfg(unix)]
fn number() -> String {
    format!("uid {}", rustix::process::getuid().as_raw())
}

#[cfg(not(unix))]
fn number() -> String {
    "unknown".into()
}

/// The name of the machine.
#[cfg(unix)]
pub fn host(_: Lookup<'_>) -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// The name of the machine.
#[cfg(not(unix))]
pub fn host(lookup: Lookup<'_>) -> String {
    lookup("COMPUTERNAME").unwrap_or_else(|| "unknown".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_person_goes_before_the_login() {
        let of = |set: &[(&str, &str)]| {
            user(&|name| set.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned()))
        };
        assert_eq!(of(&[("USER", "root"), ("GITHUB_ACTOR", "ada")]), "ada");
        assert_eq!(of(&[("USER", "root"), ("CONSIGN_USER", "intake desk")]), "intake desk");
        assert!(!of(&[]).is_empty());
        assert!(!host(&|_| None).is_empty());
    }
}
