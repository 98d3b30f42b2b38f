//! Where consign runs: which version, on which platform, in which pipeline.

use consign_metadata::{Line, Pipeline, literal};
use consign_signing::{Ci, Environment};

/// Gives the value of an environment variable, if it is set to something.
pub type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The variables of this process; such as are not UTF-8 count as not set.
pub fn variables(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// What a statement says about where it was made.
pub fn capture() -> Environment {
    capture_from(&variables)
}

fn capture_from(lookup: Lookup<'_>) -> Environment {
    Environment {
        tool: literal!(StaticLine, concat!("consign ", env!("CARGO_PKG_VERSION"))).into(),
        policy: None,
        platform: line(&format!("{}-{}", std::env::consts::OS, std::env::consts::ARCH)),
        ci: Run::detect(lookup).map(|run| run.ci),
    }
}

/// A run of a pipeline, and what people call its system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    label: &'static str,
    pub ci: Ci,
}

impl Run {
    /// The pipeline that this process belongs to, by the variables that its system sets. A system that runs on
    /// top of another, as a CI runner on a cluster, goes before it.
    pub fn detect(lookup: Lookup<'_>) -> Option<Self> {
        let system = SYSTEMS.iter().find(|system| match system.marker.split_once('=') {
            Some((name, value)) => lookup(name).as_deref() == Some(value),
            None => lookup(system.marker).is_some_and(|value| value != "false"),
        })?;
        let fill = |templates| fill(templates, lookup);
        Some(Self {
            label: system.label,
            ci: Ci {
                system: line(system.id)?,
                repository: fill(system.repository),
                commit: fill(system.commit),
                reference: fill(system.reference),
                workflow: fill(system.workflow),
                run: fill(system.run),
                url: fill(system.url),
            },
        })
    }

    /// The same as a descriptor says it.
    pub fn pipeline(&self) -> Option<Pipeline> {
        let ci = &self.ci;
        Some(Pipeline {
            system: line(self.label)?,
            id: ci.workflow.clone(),
            run: ci.run.clone(),
            uri: ci.url.as_ref().and_then(|url| url.as_str().parse().ok()),
            commit: ci.commit.as_ref().and_then(|commit| commit.as_str().parse().ok()),
        })
    }
}

/// What people call the system of that id, as it stands in [`Ci`].
pub fn label(system: &str) -> Option<&'static str> {
    SYSTEMS.iter().find(|known| known.id == system).map(|known| known.label)
}

/// How a system describes its runs. Each field is a list of templates, of which the first counts whose
/// variables are all set; none means that the system does not tell.
struct System {
    id: &'static str,
    label: &'static str,
    /// A variable that is set to something but `false` where this system runs, or `NAME=VALUE`.
    marker: &'static str,
    repository: &'static [&'static str],
    commit: &'static [&'static str],
    reference: &'static [&'static str],
    workflow: &'static [&'static str],
    run: &'static [&'static str],
    url: &'static [&'static str],
}

/// Systems that say nothing but what their row names.
const SILENT: System = System {
    id: "",
    label: "",
    marker: "",
    repository: &[],
    commit: &[],
    reference: &[],
    workflow: &[],
    run: &[],
    url: &[],
};

/// The systems that are known. Gitea goes before GitHub, whose variables it sets too; clusters come last,
/// because runners of the others stand on them.
const SYSTEMS: [System; 16] = [
    System {
        id: "gitea-actions",
        label: "Gitea Actions",
        marker: "GITEA_ACTIONS",
        repository: &["{GITHUB_SERVER_URL}/{GITHUB_REPOSITORY}"],
        commit: &["{GITHUB_SHA}"],
        reference: &["{GITHUB_REF}"],
        workflow: &["{GITHUB_WORKFLOW}"],
        run: &["{GITHUB_RUN_NUMBER}"],
        url: &["{GITHUB_SERVER_URL}/{GITHUB_REPOSITORY}/actions/runs/{GITHUB_RUN_NUMBER}"],
    },
    System {
        id: "github-actions",
        label: "GitHub Actions",
        marker: "GITHUB_ACTIONS",
        repository: &["{GITHUB_SERVER_URL}/{GITHUB_REPOSITORY}"],
        commit: &["{GITHUB_SHA}"],
        reference: &["{GITHUB_REF}"],
        workflow: &["{GITHUB_WORKFLOW}"],
        run: &["{GITHUB_RUN_ID}"],
        url: &["{GITHUB_SERVER_URL}/{GITHUB_REPOSITORY}/actions/runs/{GITHUB_RUN_ID}"],
    },
    System {
        id: "gitlab-ci",
        label: "GitLab CI",
        marker: "GITLAB_CI",
        // Not CI_REPOSITORY_URL, which holds the token of the job.
        repository: &["{CI_PROJECT_URL}"],
        commit: &["{CI_COMMIT_SHA}"],
        reference: &["{CI_COMMIT_REF_NAME}"],
        workflow: &["{CI_JOB_NAME}"],
        run: &["{CI_JOB_ID}"],
        url: &["{CI_JOB_URL}"],
    },
    System {
        id: "jenkins",
        label: "Jenkins",
        marker: "JENKINS_URL",
        repository: &["{GIT_URL}"],
        commit: &["{GIT_COMMIT}"],
        reference: &["{BRANCH_NAME}", "{GIT_BRANCH}"],
        workflow: &["{JOB_NAME}"],
        run: &["{BUILD_NUMBER}"],
        url: &["{BUILD_URL}"],
    },
    System {
        id: "buildkite",
        label: "Buildkite",
        marker: "BUILDKITE",
        repository: &["{BUILDKITE_REPO}"],
        commit: &["{BUILDKITE_COMMIT}"],
        reference: &["{BUILDKITE_TAG}", "{BUILDKITE_BRANCH}"],
        workflow: &["{BUILDKITE_PIPELINE_SLUG}"],
        run: &["{BUILDKITE_BUILD_NUMBER}"],
        url: &["{BUILDKITE_BUILD_URL}"],
    },
    System {
        id: "circleci",
        label: "CircleCI",
        marker: "CIRCLECI",
        repository: &["{CIRCLE_REPOSITORY_URL}"],
        commit: &["{CIRCLE_SHA1}"],
        reference: &["{CIRCLE_TAG}", "{CIRCLE_BRANCH}"],
        workflow: &["{CIRCLE_JOB}"],
        run: &["{CIRCLE_BUILD_NUM}"],
        url: &["{CIRCLE_BUILD_URL}"],
    },
    System {
        id: "azure-pipelines",
        label: "Azure Pipelines",
        marker: "TF_BUILD",
        repository: &["{BUILD_REPOSITORY_URI}"],
        commit: &["{BUILD_SOURCEVERSION}"],
        reference: &["{BUILD_SOURCEBRANCH}"],
        workflow: &["{BUILD_DEFINITIONNAME}"],
        run: &["{BUILD_BUILDID}"],
        // The collection's address ends in `/`.
        url: &["{SYSTEM_COLLECTIONURI}{SYSTEM_TEAMPROJECT}/_build/results?buildId={BUILD_BUILDID}"],
    },
    System {
        id: "bitbucket-pipelines",
        label: "Bitbucket Pipelines",
        marker: "BITBUCKET_BUILD_NUMBER",
        repository: &["{BITBUCKET_GIT_HTTP_ORIGIN}"],
        commit: &["{BITBUCKET_COMMIT}"],
        reference: &["{BITBUCKET_TAG}", "{BITBUCKET_BRANCH}"],
        run: &["{BITBUCKET_BUILD_NUMBER}"],
        url: &["{BITBUCKET_GIT_HTTP_ORIGIN}/pipelines/results/{BITBUCKET_BUILD_NUMBER}"],
        ..SILENT
    },
    System {
        id: "teamcity",
        label: "TeamCity",
        marker: "TEAMCITY_VERSION",
        commit: &["{BUILD_VCS_NUMBER}"],
        workflow: &["{TEAMCITY_BUILDCONF_NAME}"],
        run: &["{BUILD_NUMBER}"],
        url: &["{BUILD_URL}"],
        ..SILENT
    },
    System {
        id: "drone",
        label: "Drone",
        marker: "DRONE",
        repository: &["{DRONE_REPO_LINK}"],
        commit: &["{DRONE_COMMIT_SHA}"],
        reference: &["{DRONE_TAG}", "{DRONE_BRANCH}"],
        workflow: &["{DRONE_STAGE_NAME}"],
        run: &["{DRONE_BUILD_NUMBER}"],
        url: &["{DRONE_BUILD_LINK}"],
    },
    System {
        id: "woodpecker",
        label: "Woodpecker CI",
        marker: "CI=woodpecker",
        repository: &["{CI_REPO_URL}"],
        commit: &["{CI_COMMIT_SHA}"],
        reference: &["{CI_COMMIT_TAG}", "{CI_COMMIT_BRANCH}"],
        workflow: &["{CI_WORKFLOW_NAME}"],
        run: &["{CI_PIPELINE_NUMBER}"],
        url: &["{CI_PIPELINE_URL}"],
    },
    System {
        id: "aws-codebuild",
        label: "AWS CodeBuild",
        marker: "CODEBUILD_BUILD_ID",
        repository: &["{CODEBUILD_SOURCE_REPO_URL}"],
        commit: &["{CODEBUILD_RESOLVED_SOURCE_VERSION}"],
        reference: &["{CODEBUILD_WEBHOOK_HEAD_REF}"],
        run: &["{CODEBUILD_BUILD_ID}"],
        ..SILENT
    },
    System {
        id: "airflow",
        label: "Airflow",
        marker: "AIRFLOW_CTX_DAG_ID",
        workflow: &["{AIRFLOW_CTX_DAG_ID}/{AIRFLOW_CTX_TASK_ID}", "{AIRFLOW_CTX_DAG_ID}"],
        run: &["{AIRFLOW_CTX_DAG_RUN_ID}"],
        ..SILENT
    },
    System {
        id: "slurm",
        label: "SLURM",
        marker: "SLURM_JOB_ID",
        workflow: &["{SLURM_JOB_NAME}"],
        // A task of an array is known by the array's number and its own.
        run: &["{SLURM_ARRAY_JOB_ID}_{SLURM_ARRAY_TASK_ID}", "{SLURM_JOB_ID}"],
        ..SILENT
    },
    System {
        id: "pbs",
        label: "PBS",
        marker: "PBS_JOBID",
        workflow: &["{PBS_JOBNAME}"],
        run: &["{PBS_JOBID}"],
        ..SILENT
    },
    System {
        id: "lsf",
        label: "LSF",
        marker: "LSB_JOBID",
        workflow: &["{LSB_JOBNAME}"],
        run: &["{LSB_JOBID}"],
        ..SILENT
    },
];

/// The first template whose variables are all set, with their values.
fn fill(templates: &[&str], lookup: Lookup<'_>) -> Option<Line> {
    templates.iter().find_map(|template| {
        let mut out = String::new();
        let mut rest = *template;
        while let Some((before, after)) = rest.split_once('{') {
            let (name, after) = after.split_once('}')?;
            out.push_str(before);
            out.push_str(lookup(name)?.trim());
            rest = after;
        }
        out.push_str(rest);
        // A name with spaces can be part of an address, which has none.
        let out = if out.contains("://") { out.replace(' ', "%20") } else { out };
        line(&without_credentials(&out))
    })
}

/// An address as it may be shown to others: without password or token, and for HTTP without a user name, since
/// a token may stand in its place. Queries stay only where they name nothing like a secret.
pub fn without_credentials(address: &str) -> String {
    let Some((scheme, rest)) = address.split_once("://") else { return address.to_owned() };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let authority = match authority.rsplit_once('@') {
        Some((_, host)) if scheme.to_ascii_lowercase().starts_with("http") => host.to_owned(),
        Some((user, host)) => format!("{}@{host}", user.split(':').next().unwrap_or_default()),
        None => authority.to_owned(),
    };
    let lower = path.to_ascii_lowercase();
    let secret =
        ["token", "password", "secret", "key=", "sig=", "signature"].iter().any(|word| lower.contains(word));
    let path = if secret { path.split(['?', '#']).next().unwrap_or_default() } else { path };
    format!("{scheme}://{authority}{path}")
}

fn line(text: &str) -> Option<Line> {
    text.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(variables: &[(&str, &str)]) -> Option<Run> {
        Run::detect(&|name| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        })
    }

    fn text(line: &Option<Line>) -> &str {
        line.as_ref().map_or("", Line::as_str)
    }

    #[test]
    fn a_run_of_github_actions() {
        let run = of(&[
            ("GITHUB_ACTIONS", "true"),
            ("GITHUB_SERVER_URL", "https://github.com"),
            ("GITHUB_REPOSITORY", "team/code"),
            ("GITHUB_SHA", "0123456789012345678901234567890123456789"),
            ("GITHUB_REF", "refs/tags/v1.0.0"),
            ("GITHUB_WORKFLOW", "release"),
            ("GITHUB_RUN_ID", "42"),
            ("SLURM_JOB_ID", "7"),
        ])
        .unwrap();
        assert_eq!(run.ci.system.as_str(), "github-actions");
        assert_eq!(text(&run.ci.url), "https://github.com/team/code/actions/runs/42");
        let pipeline = run.pipeline().unwrap();
        assert_eq!(pipeline.system.as_str(), "GitHub Actions");
        assert!(pipeline.uri.is_some() && pipeline.commit.is_some());
    }

    #[test]
    fn a_job_of_slurm_and_a_task_of_its_array() {
        let mut variables = vec![("SLURM_JOB_ID", "101"), ("SLURM_JOB_NAME", "train")];
        assert_eq!(text(&of(&variables).unwrap().ci.run), "101");
        variables.extend([("SLURM_ARRAY_JOB_ID", "99"), ("SLURM_ARRAY_TASK_ID", "3")]);
        assert_eq!(text(&of(&variables).unwrap().ci.run), "99_3");
    }

    #[test]
    fn what_is_missing_is_left_out_and_an_address_has_no_space() {
        let run = of(&[
            ("TF_BUILD", "True"),
            ("SYSTEM_COLLECTIONURI", "https://dev.azure.com/team/"),
            ("SYSTEM_TEAMPROJECT", "My Project"),
            ("BUILD_BUILDID", "5"),
        ])
        .unwrap();
        assert_eq!(text(&run.ci.url), "https://dev.azure.com/team/My%20Project/_build/results?buildId=5");
        assert_eq!(run.ci.commit, None);
        assert_eq!(of(&[("CI", "true"), ("GITHUB_ACTIONS", "false")]), None);
        assert_eq!(of(&[]), None);
    }

    #[test]
    fn every_system_is_found_by_its_marker() {
        for system in &SYSTEMS {
            let (name, value) = system.marker.split_once('=').unwrap_or((system.marker, "x"));
            assert_eq!(of(&[(name, value)]).unwrap().ci.system.as_str(), system.id);
        }
    }

    #[test]
    fn addresses_lose_their_secrets() {
        for (address, shown) in [
            ("https://user:s3cret@host/x.git", "https://host/x.git"),
            ("https://ghp_s3cret@host/x", "https://host/x"),
            ("https://host/x?private_token=s3cret", "https://host/x"),
            ("https://host/x?buildId=5", "https://host/x?buildId=5"),
            ("ssh://git:s3cret@host/x", "ssh://git@host/x"),
            ("git@host:team/x.git", "git@host:team/x.git"),
            ("https://host/a@b", "https://host/a@b"),
            ("HTTPS://u@h", "HTTPS://h"),
        ] {
            assert_eq!(without_credentials(address), shown);
        }
        let run = of(&[("JENKINS_URL", "x"), ("GIT_URL", "https://u:p@h/x")]).unwrap();
        assert_eq!(text(&run.ci.repository), "https://h/x");
    }

    #[test]
    fn the_environment_names_tool_and_platform() {
        let environment = capture_from(&|_| None);
        assert!(environment.tool.as_str().starts_with("consign "));
        assert!(environment.platform.is_some_and(|platform| platform.as_str().contains('-')));
        assert_eq!(environment.ci, None);
    }
}
