//! `restart-service`: what should listen is started again by whoever runs it, and proved by its own health check. The ledger on the disk bounds
//! the attempts, so that no cron makes it loop.

mod health;
mod ledger;
mod listed;
mod manager;
mod owner;
mod pm2;
mod restart;

use std::path::Path;

use serde_json::json;

use self::health::{Address, Health};
use self::ledger::Ledger;
use self::listed::Service;
pub(super) use self::restart::Restart;
use super::{Change, Declined, Plan, Step, declined, source_line};
use crate::asked::Asked;
use crate::bounds::Bounds;

pub(super) fn plan(asked: &Asked, bounds: &Bounds, state: &Path) -> anyhow::Result<Plan> {
    let wanted = match address(asked).or_else(|| Address::in_source(&source_line(asked, bounds)?)) {
        Some(address) if !address.is_local() => return declined(format!("{} is not on this machine", address.host)),
        wanted => wanted,
    };
    let services = listed::read(bounds)?;
    let service = match (chosen(&services, wanted.as_ref()), wanted) {
        (Ok(service), _) => service.clone(),
        // Nobody listed it; whoever holds the port may still be a unit.
        (Err(why), Some(Address { port, .. })) => match owner::unit(port) {
            Some(unit) => Service::of_unit(unit, port, bounds),
            None => return declined(why),
        },
        (Err(why), None) => return declined(why),
    };
    if service.health.check().is_ok() {
        return Ok(Plan::Passes);
    }
    let ledger = Ledger::at(state, &service.key);
    if ledger.is_spent()? {
        let why = format!("gave up: {} was started {} times within ten minutes, and does not stay well", service.name, ledger::MOST);
        return Ok(Plan::Declined(Declined { why, detail: json!({ "gave_up": true, "service": service.name }) }));
    }
    let words = format!("restart {} by {}", service.name, service.way.shown());
    let detail = json!({ "service": service.name, "argv": service.way.told(), "health": service.health.to_string() });
    let target = service.folder.clone();
    Ok(Plan::Change(Change { target, words, detail, steps: vec![Step::Restart(Restart { service, ledger })], check: None }))
}

/// The service that answers at an address; without one the only one that does not answer.
fn chosen<'s>(services: &'s [Service], wanted: Option<&Address>) -> Result<&'s Service, String> {
    let Some(wanted) = wanted else {
        let ill: Vec<&Service> = services.iter().filter(|service| service.health.check().is_err()).collect();
        return match ill[..] {
            [one] => Ok(one),
            [] if services.is_empty() => Err(format!("which service it is about is not told, and there is no {}", listed::FILE)),
            // All of them answer by now, which is for their checks to say.
            [] => Ok(&services[0]),
            _ => Err("which service it is about is not told, and more than one does not answer".to_owned()),
        };
    };
    let mut found = services.iter().filter(|service| service.health.address().port == wanted.port);
    let none = || {
        format!(
            "no service that answers at port {} is known; {} in the root of the project can name it: \
             {{\"services\": [{{\"name\": \"…\", \"restart\": [\"…\"], \"health\": {{\"tcp\": \"127.0.0.1:{}\"}}}}]}}",
            wanted.port,
            listed::FILE,
            wanted.port
        )
    };
    let first = found.next().ok_or_else(none)?;
    if found.next().is_some() { Err(format!("more than one service in {} has port {}", listed::FILE, wanted.port)) } else { Ok(first) }
}

/// Where the failed connection went.
fn address(asked: &Asked) -> Option<Address> {
    if let Some(url) = asked.text("url") {
        return Health::parse_url(url).map(|(address, _)| address);
    }
    let port = asked.text("port").and_then(|port| port.parse().ok());
    let of_args = port.map(|port| Address { host: asked.text("host").unwrap_or("localhost").to_owned(), port });
    of_args.or_else(|| asked.text("problem").and_then(Address::within))
}
