//! What App Platform's API says, as far as it matters here ("App Platform" of DigitalOcean's OpenAPI description; the fields of
//! `cause_details` are those of godo, its client in Go).

use serde::Deserialize;

#[derive(Debug, Deserialize)]
pub(super) struct Apps {
    #[serde(default)]
    pub(super) apps: Vec<App>,
    #[serde(default)]
    pub(super) links: Links,
}

#[derive(Debug, Deserialize)]
pub(super) struct OneApp {
    pub(super) app: App,
}

#[derive(Debug, Deserialize)]
pub(super) struct App {
    pub(super) id: String,
    pub(super) spec: Spec,
    pub(super) live_url: Option<String>,
    /// The one that is served.
    pub(super) active_deployment: Option<Deployment>,
    /// After a rollback: no other deployment begins.
    pub(super) pinned_deployment: Option<Pinned>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Pinned {
    pub(super) id: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct Spec {
    pub(super) name: String,
    #[serde(default)]
    services: Vec<Source>,
    #[serde(default)]
    workers: Vec<Source>,
    #[serde(default)]
    jobs: Vec<Source>,
    #[serde(default)]
    static_sites: Vec<Source>,
    #[serde(default)]
    functions: Vec<Source>,
}

/// Where a component comes from.
#[derive(Debug, Deserialize)]
pub(super) struct Source {
    github: Option<Git>,
    gitlab: Option<Git>,
    bitbucket: Option<Git>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Git {
    /// `OWNER/NAME`.
    pub(super) repo: Option<String>,
    pub(super) branch: Option<String>,
    #[serde(default)]
    pub(super) deploy_on_push: bool,
}

#[derive(Debug, Deserialize)]
pub(super) struct Deployments {
    #[serde(default)]
    pub(super) deployments: Vec<Deployment>,
}

#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Deployment {
    pub(super) id: String,
    #[serde(default)]
    pub(super) phase: String,
    #[serde(default)]
    pub(super) cause: String,
    #[serde(default)]
    pub(super) cause_details: CauseDetails,
    #[serde(default)]
    services: Vec<Component>,
    #[serde(default)]
    workers: Vec<Component>,
    #[serde(default)]
    jobs: Vec<Component>,
    #[serde(default)]
    static_sites: Vec<Component>,
    #[serde(default)]
    functions: Vec<Component>,
    #[serde(default)]
    pub(super) progress: Progress,
}

#[derive(Debug, Deserialize)]
pub(super) struct OneDeployment {
    pub(super) deployment: Deployment,
}

/// Whether a rollback is possible.
#[derive(Debug, Deserialize)]
pub(super) struct Validity {
    #[serde(default)]
    pub(super) valid: bool,
    pub(super) error: Option<Reason>,
}

#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct CauseDetails {
    #[serde(default)]
    pub(super) r#type: String,
    pub(super) git_push: Option<GitPush>,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct GitPush {
    #[serde(default)]
    pub(super) commit_sha: String,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Component {
    #[serde(default)]
    pub(super) name: String,
    #[serde(default)]
    pub(super) source_commit_hash: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Progress {
    #[serde(default)]
    pub(super) steps: Vec<Step>,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Step {
    #[serde(default)]
    pub(super) name: String,
    #[serde(default)]
    pub(super) status: String,
    pub(super) component_name: Option<String>,
    pub(super) reason: Option<Reason>,
    #[serde(default)]
    pub(super) steps: Vec<Step>,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Reason {
    #[serde(default)]
    pub(super) code: String,
    #[serde(default)]
    pub(super) message: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct Logs {
    /// Signed themselves; all of them together are the log.
    #[serde(default)]
    pub(super) historic_urls: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Links {
    #[serde(default)]
    pub(super) pages: Pages,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Pages {
    pub(super) next: Option<String>,
}

impl Spec {
    /// Where its components come from, of those that come from a repository.
    pub(super) fn sources(&self) -> impl Iterator<Item = &Git> {
        let all = [&self.services, &self.workers, &self.jobs, &self.static_sites, &self.functions].into_iter().flatten();
        all.flat_map(|source| [&source.github, &source.gitlab, &source.bitbucket].into_iter().flatten())
    }
}

impl Deployment {
    pub(super) fn components(&self) -> impl Iterator<Item = &Component> {
        [&self.services, &self.workers, &self.jobs, &self.static_sites, &self.functions].into_iter().flatten()
    }

    /// The innermost steps that failed.
    pub(super) fn failed_steps(&self) -> Vec<&Step> {
        let mut failed = Vec::new();
        collect(&self.progress.steps, &mut failed);
        failed
    }

    /// Whether a step of that name at the top went wrong.
    pub(super) fn failed_in(&self, name: &str) -> bool {
        self.progress.steps.iter().any(|step| step.name == name && step.status == "ERROR")
    }
}

fn collect<'d>(steps: &'d [Step], failed: &mut Vec<&'d Step>) {
    for step in steps.iter().filter(|step| step.status == "ERROR") {
        let before = failed.len();
        collect(&step.steps, failed);
        if failed.len() == before {
            failed.push(step);
        }
    }
}
