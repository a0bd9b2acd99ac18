//! `services.json` in the root of the project: what runs there, how it is started again, and how it shows that it is well.

use std::fs;
use std::io;
use std::path::PathBuf;

use anyhow::Context as _;
use contract::path::shown;
use serde::Deserialize;

use super::health::{Address, Health};
use super::manager::Way;
use crate::bounds::Bounds;
use crate::python;

/// The name of the file.
pub(super) const FILE: &str = "services.json";

/// Something that should answer.
#[derive(Clone, Debug)]
pub(crate) struct Service {
    pub(crate) name: String,
    /// What the ledger calls it: two projects may have services of the same name.
    pub(crate) key: String,
    pub(crate) way: Way,
    pub(crate) health: Health,
    /// Where it is started.
    pub(crate) folder: PathBuf,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    services: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    name: String,
    /// The folder in which `restart` is run, from the root.
    #[serde(default)]
    folder: Option<PathBuf>,
    #[serde(default)]
    restart: Option<Vec<String>>,
    #[serde(default)]
    systemd: Option<String>,
    #[serde(default)]
    systemd_user: Option<String>,
    #[serde(default)]
    launchd: Option<String>,
    #[serde(default)]
    supervisor: Option<String>,
    #[serde(default)]
    pm2: Option<String>,
    health: Check,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Check {
    #[serde(default)]
    tcp: Option<String>,
    #[serde(default)]
    http: Option<String>,
    #[serde(default)]
    websocket: Option<String>,
}

impl Service {
    /// A unit that nobody listed: that it listens is all that is known of its health.
    pub(super) fn of_unit(way: Way, port: u16, bounds: &Bounds) -> Self {
        let name = way.unit().unwrap_or_default();
        let health = Health::Tcp(Address { host: "localhost".to_owned(), port });
        Self { key: format!("{}: {name}", way.shown()), name, way, health, folder: bounds.root().to_owned() }
    }
}

/// The services of the project; none where it lists none.
///
/// # Errors
/// The file is not as it should be, or others could have written it.
pub(super) fn read(bounds: &Bounds) -> anyhow::Result<Vec<Service>> {
    let path = bounds.root().join(FILE);
    if path.metadata().is_ok_and(|meta| !meta.is_file()) {
        anyhow::bail!("{} is no regular file", shown(&path));
    }
    let text = match fs::read_to_string(&path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        text => text.with_context(|| format!("cannot read {}", shown(&path)))?,
    };
    python::trusted(&path)?;
    let file: File = serde_json::from_str(&text).with_context(|| format!("{} is no list of services", shown(&path)))?;
    let all = file.services.into_iter().map(|entry| {
        let name = entry.name.clone();
        entry.service(bounds).with_context(|| format!("{}: the service {name:?}", shown(&path)))
    });
    all.collect()
}

impl Entry {
    fn service(self, bounds: &Bounds) -> anyhow::Result<Service> {
        let folder =
            self.folder.as_deref().map_or_else(|| Ok(bounds.root().to_owned()), |folder| bounds.place(&bounds.root().join(folder)))?;
        let ways = [
            self.restart.map(Way::Command),
            self.systemd.map(Way::Systemd),
            self.systemd_user.map(Way::SystemdUser),
            self.launchd.map(Way::Launchd),
            self.supervisor.map(Way::Supervisor),
            self.pm2.map(Way::Pm2),
        ];
        let mut ways = ways.into_iter().flatten();
        let one = "needs exactly one of restart, systemd, systemd_user, launchd, supervisor, pm2";
        let way = ways.next().context(one)?;
        anyhow::ensure!(ways.next().is_none(), one);
        way.check()?;
        let health = self.health.health()?;
        anyhow::ensure!(health.address().is_local(), "{} is not on this machine", health.address().host);
        let key = format!("{}: {}", shown(bounds.root()), self.name);
        Ok(Service { name: self.name, key, way, health, folder })
    }
}

impl Check {
    fn health(&self) -> anyhow::Result<Health> {
        let url = |url: &str, scheme| {
            Health::parse_url(url).filter(|_| url.starts_with(scheme)).with_context(|| format!("{url} is no URL of {scheme}"))
        };
        match (&self.tcp, &self.http, &self.websocket) {
            (Some(tcp), None, None) => Ok(Health::Tcp(Address::parse(tcp).with_context(|| format!("{tcp} is no HOST:PORT"))?)),
            (None, Some(http), None) => url(http, "http://").map(|(address, path)| Health::Http(address, path)),
            (None, None, Some(ws)) => url(ws, "ws://").map(|(address, path)| Health::WebSocket(address, path)),
            _ => anyhow::bail!("health needs exactly one of tcp, http, websocket"),
        }
    }
}
