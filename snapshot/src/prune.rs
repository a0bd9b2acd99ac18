//! `delete`, `prune`, `pin` and `unpin`: which snapshots go, and the room that they took.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::time::Duration;

use anyhow::Context as _;
use chrono::{DateTime, Datelike as _, Timelike as _, Utc};
use contract::action::{Action, KIND, Outcome};
use contract::audit::Audit;
use contract::output::Output;
use contract::path::{Subject, shown};
use contract::record::About;
use contract::run::Exit;
use contract::signal;
use serde_json::{Map, Value, json};

use crate::store::address::Address;
use crate::store::contents::{self, Contents, Pack};
use crate::store::manifest::{Entry, Header};
use crate::store::pack::{self, PACK, Writer};
use crate::store::seal::{Recipients, SEALED};
use crate::store::{Options, Store, files, names};
use crate::summary;

/// Snapshots with such a label are made by tools and go by themselves.
pub(crate) const AUTOMATIC: &str = "auto-";
/// A pack of which less than one part in so many is still needed is written anew.
const WORTH: u64 = 2;

/// Which snapshots stay; a snapshot stays if any rule keeps it.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct Policy {
    /// Keep the newest N, as every rule, of each host and set of paths
    #[arg(long = "keep-last", value_name = "N", default_value = "0")]
    last: usize,
    /// Keep the newest of each of the last N hours that have one
    #[arg(long = "keep-hourly", value_name = "N", default_value = "0")]
    hourly: usize,
    /// Keep the newest of each of the last N days that have one
    #[arg(long = "keep-daily", value_name = "N", default_value = "0")]
    daily: usize,
    /// Keep the newest of each of the last N weeks that have one (ISO 8601)
    #[arg(long = "keep-weekly", value_name = "N", default_value = "0")]
    weekly: usize,
    /// Keep the newest of each of the last N months that have one
    #[arg(long = "keep-monthly", value_name = "N", default_value = "0")]
    monthly: usize,
    /// Keep all that are younger
    #[arg(long = "keep-within", value_name = "TIME", value_parser = contract::duration::age)]
    within: Option<Duration>,
    /// Keep all with this label
    #[arg(long = "keep-label", value_name = "LABEL")]
    label: Vec<String>,
}

/// What the newest snapshot is kept of.
type Bucket = fn(&DateTime<Utc>) -> (i32, u32, u32);

impl Policy {
    fn is_empty(&self) -> bool {
        let counts = self.last + self.hourly + self.daily + self.weekly + self.monthly;
        counts == 0 && self.within.is_none() && self.label.is_empty()
    }

    /// The ids that stay, of headers oldest first.
    fn kept(&self, headers: &[&Header], now: DateTime<Utc>) -> HashSet<String> {
        let newest: Vec<(&Header, DateTime<Utc>)> = headers.iter().rev().map(|header| (*header, time(header, now))).collect();
        let mut kept: HashSet<String> = newest.iter().take(self.last).map(|(header, _)| header.id.clone()).collect();
        let within = |time: &DateTime<Utc>| self.within.is_some_and(|within| (now - *time).to_std().map_or(true, |age| age <= within));
        let labelled = |header: &Header| header.label.as_ref().is_some_and(|label| self.label.contains(label));
        kept.extend(newest.iter().filter(|(header, time)| within(time) || labelled(header)).map(|(header, _)| header.id.clone()));
        let buckets: [(usize, Bucket); 4] = [
            (self.hourly, |time| (time.year(), time.ordinal(), time.hour())),
            (self.daily, |time| (time.year(), time.ordinal(), 0)),
            (self.weekly, |time| (time.iso_week().year(), time.iso_week().week(), 0)),
            (self.monthly, |time| (time.year(), time.month(), 0)),
        ];
        for (count, bucket) in buckets {
            let mut seen = HashSet::new();
            let firsts = newest.iter().filter(|(_, time)| seen.len() < count && seen.insert(bucket(time)));
            kept.extend(firsts.map(|(header, _)| header.id.clone()));
        }
        kept
    }
}

/// Each for itself, since one is no stand-in for another: what was kept of the same paths of one machine, oldest first. One that is sealed
/// and does not tell its paths apart is on its own.
fn groups(headers: &[Header]) -> BTreeMap<(&str, String), Vec<&Header>> {
    let mut groups: BTreeMap<_, Vec<&Header>> = BTreeMap::new();
    for header in headers {
        let is_silent = !header.sealed_to.is_empty() && header.roots_sha256.is_none();
        let paths = if is_silent { header.id.clone() } else { header.roots_sha256.unwrap_or_else(|| header.hash_of_roots()).to_string() };
        groups.entry((header.host.as_str(), paths)).or_default().push(header);
    }
    groups
}

/// One whose time cannot be read is of now: it does not go for being old.
fn time(header: &Header, now: DateTime<Utc>) -> DateTime<Utc> {
    DateTime::parse_from_rfc3339(&header.time).map_or(now, |time| time.to_utc())
}

/// What a run of `prune` is asked for.
pub(crate) struct Request {
    pub(crate) policy: Policy,
    /// The age at which automatic ones go, whatever the policy.
    pub(crate) automatic: Duration,
    pub(crate) force: bool,
}

/// Removes snapshots by rule, and the contents that no snapshot names any more.
///
/// # Errors
/// The store cannot be read or written.
pub(crate) fn prune(out: &mut Output, options: &Options, store: &Store, request: &Request) -> anyhow::Result<Exit> {
    let now = Utc::now();
    store.must_be()?;
    let _lock = if request.force { store.own()? } else { store.share()? };
    let (headers, damaged) = store.headers()?;
    let has_label = |label: &&String| headers.iter().any(|header| header.label.as_ref() == Some(label));
    if let Some(label) = request.policy.label.iter().find(|label| !has_label(label)) {
        anyhow::bail!("no snapshot has the label `{label}` that --keep-label is to keep, so nothing is removed");
    }
    let pinned = summary::pinned(store)?;
    let (automatic, by_hand): (Vec<Header>, Vec<Header>) =
        headers.iter().cloned().partition(|header| header.label.as_ref().is_some_and(|label| label.starts_with(AUTOMATIC)));
    let kept: HashSet<String> = groups(&by_hand).values().flat_map(|group| request.policy.kept(group, now)).collect();
    let newest = headers.last().map(|header| header.id.clone());
    let old = |header: &Header| (now - time(header, now)).to_std().is_ok_and(|age| age >= request.automatic);
    let ruled = by_hand.iter().filter(|header| !request.policy.is_empty() && !kept.contains(&header.id));
    let due = automatic.iter().filter(|header| old(header)).chain(ruled);
    // The last one is never removed by a rule: a mistyped rule would remove all.
    let due: Vec<Due> = due.filter(|header| !pinned.contains(&header.id) && Some(&header.id) != newest.as_ref()).map(Due::of).collect();
    if !damaged.is_empty() {
        out.error(
            "snapshot.damaged",
            About::default(),
            None,
            "a manifest cannot be read, so nothing can be known to be needed no more; `snapshot verify` names it",
        )?;
        return Ok(Exit::Done);
    }
    remove(out, options, store, "prune", &due, request.force)
}

/// Removes the snapshots that are named.
///
/// # Errors
/// There is no such snapshot, one is pinned, or the store cannot be written.
pub(crate) fn delete(out: &mut Output, options: &Options, store: &Store, ids: &[String], force: bool) -> anyhow::Result<Exit> {
    let _lock = if force { store.own()? } else { store.share()? };
    let pinned = summary::pinned(store)?;
    let (_, damaged) = store.headers()?;
    let mut due = BTreeMap::new();
    for name in ids {
        let one = match damaged.iter().find(|(id, _)| id == name) {
            Some((id, _)) => Due { id: id.clone(), text: "its manifest cannot be read".to_owned(), detail: None },
            None => Due::of(&names::find(store, name)?),
        };
        anyhow::ensure!(!pinned.contains(&one.id), "{0} is pinned; `snapshot unpin {0}` first", one.id);
        due.insert(one.id.clone(), one);
    }
    remove(out, options, store, "delete", &due.into_values().collect::<Vec<_>>(), force)
}

/// A snapshot that goes.
struct Due {
    id: String,
    text: String,
    detail: Option<Value>,
}

impl Due {
    fn of(header: &Header) -> Self {
        let Header { id, label, description, time, roots, entries, size, .. } = header;
        let roots: Vec<&Subject> = roots.iter().map(|root| &root.path).collect();
        let noun = if *entries == 1 { "path" } else { "paths" };
        let said = [label.clone(), description.clone(), Some(format!("of {time}, {entries} {noun}"))];
        let text = said.into_iter().flatten().collect::<Vec<_>>().join(", ");
        let words = [("label", label), ("description", description)];
        let words = words.into_iter().filter_map(|(name, words)| Some((name.to_owned(), json!(words.as_ref()?))));
        let mut detail: Map<String, Value> = words.collect();
        let rest = [("time", json!(time)), ("roots", json!(roots)), ("entries", json!(entries)), ("size", json!(size))];
        detail.extend(rest.map(|(name, value)| (name.to_owned(), value)));
        Self { id: id.clone(), text, detail: Some(Value::Object(detail)) }
    }
}

fn remove(out: &mut Output, options: &Options, store: &Store, verb: &str, due: &[Due], force: bool) -> anyhow::Result<Exit> {
    let outcome = if force { Outcome::Done } else { Outcome::Planned };
    let mut audit = if force && !due.is_empty() { Some(Audit::open(&options.state.open()?)?) } else { None };
    for Due { id, text, detail } in due {
        anyhow::ensure!(!signal::interrupted(), "interrupted");
        let subject = Subject::from(id.as_str());
        let about = About { subject: Some(&subject), ..About::default() };
        let action = |outcome, changed| Action {
            verb: verb.to_owned(),
            outcome,
            changed,
            verified: changed,
            text: text.clone(),
            detail: detail.clone(),
            ..Action::default()
        };
        if let Some(audit) = &mut audit {
            audit.append(&out.render(KIND, about, &action(Outcome::Started, false))?.line)?;
            store.forget(id)?;
        }
        let said = out.render(KIND, about, &action(outcome, force))?;
        if let Some(audit) = &mut audit {
            audit.append(&said.line)?;
        }
        out.write(&said)?;
    }
    let freed = reclaim(out, store, verb, due, force)?;
    if due.is_empty() && freed == 0 && out.draws() {
        out.hint("nothing is due, and no contents are unneeded");
    }
    Ok(Exit::Done)
}

/// Removes packs that nobody needs, and writes those anew of which little is needed; returns how many bytes that frees. Before a pack goes,
/// what is needed of it is elsewhere.
fn reclaim(out: &mut Output, store: &Store, verb: &str, gone: &[Due], force: bool) -> anyhow::Result<u64> {
    let (headers, damaged) = store.headers()?;
    let gone: HashSet<&str> = gone.iter().map(|due| due.id.as_str()).collect();
    let all_known = damaged.iter().all(|(id, _)| gone.contains(id.as_str()));
    anyhow::ensure!(all_known, "a manifest cannot be read, so no content can be known to be needed no more");
    let mut needed: HashSet<Address> = HashSet::new();
    let stay: Vec<&Header> = headers.iter().filter(|header| !gone.contains(header.id.as_str())).collect();
    for header in stay.iter().filter(|header| header.sealed_to.is_empty()) {
        needed.extend(store.read(&header.id)?.entries.iter().flat_map(Entry::contents));
    }
    let contents = store.open_contents()?;
    // Of what is in several packs, one that can be read stays; where none can, all do.
    let homes = contents.homes(&needed);
    let live = |number: usize, address: &Address| {
        needed.contains(address) && homes.get(address).is_none_or(|home| home.is_none_or(|home| home == number))
    };
    let share = |(number, pack): (usize, &Pack)| -> u64 {
        pack.index.iter().filter(|(address, _)| live(number, address)).map(|(_, place)| place.stored).sum()
    };
    let shares: Vec<u64> = contents.packs().iter().enumerate().map(share).collect();
    let whole = |pack: &Pack| pack.damage.is_none();
    // Of contents alone: what a pack holds besides, it would hold again.
    let all = |pack: &Pack| pack.index.iter().map(|(_, place)| place.stored).sum::<u64>();
    let little = |share: u64, pack: &Pack| share == 0 || share.saturating_mul(WORTH) < all(pack);
    let mut due: Vec<usize> = (0..shares.len())
        .filter(|number| whole(&contents.packs()[*number]) && little(shares[*number], &contents.packs()[*number]))
        .collect();
    // Those that only go come first: on a full disk they make the room that the others need.
    due.sort_by_key(|number| shares[*number]);
    let (mut freed, mut packs) = (0, due.len());
    for number in &due {
        let pack = &contents.packs()[*number];
        anyhow::ensure!(!signal::interrupted(), "interrupted");
        let keep: Vec<Address> = pack.index.iter().map(|(address, _)| *address).filter(|address| live(*number, address)).collect();
        if force && !keep.is_empty() && !rewrite(store, &contents, &format!("{}-{number}", names::id(Utc::now())), &keep)? {
            out.hint(&format!("{} is damaged and stays as it is; `snapshot verify` names what it affects", shown(&pack.path)));
            continue;
        }
        freed += if keep.is_empty() { pack.stored() } else { all(pack) - shares[*number] };
        if force {
            pack.remove()?;
        }
    }
    // A sealed pack is of one snapshot alone.
    for pack in contents::packs(&store.packs(), &format!("{PACK}{SEALED}"))? {
        let is_of = |header: &&Header| pack.file_name().is_some_and(|name| name == format!("{}{PACK}{SEALED}", header.id).as_str());
        if !stay.iter().any(is_of) {
            freed += pack.metadata().map_or(0, |meta| meta.len());
            packs += 1;
            if force {
                contents::remove(&pack)?;
            }
        }
    }
    if force {
        contract::replace::sync_folder(&store.packs())?;
    }
    let subject = Subject::from(&store.folder);
    let outcome = if force { Outcome::Done } else { Outcome::Planned };
    let text = format!("{freed} bytes of contents that no snapshot needs");
    let detail = json!({ "freed": freed, "packs": packs });
    let action = Action {
        verb: format!("{verb}-contents"),
        outcome,
        changed: force && freed > 0,
        verified: force,
        text,
        detail: Some(detail),
        ..Action::default()
    };
    out.emit(KIND, About { subject: Some(&subject), ..About::default() }, &action)?;
    Ok(freed)
}

/// Removes the pack of a snapshot that came to nothing. Where others are at work, or may share it by now, it is left to the next `prune`.
pub(crate) fn take_back(store: &Store, id: &str) {
    let unshared = || -> anyhow::Result<()> {
        let _alone = store.own_now()?;
        let (headers, damaged) = store.headers()?;
        anyhow::ensure!(damaged.is_empty(), "what is needed is not known");
        let contents = store.open_contents()?;
        let name = format!("{id}{PACK}");
        let pack = contents.packs().iter().find(|pack| pack.path.ends_with(&name)).context("it is gone")?;
        let held: HashSet<Address> = pack.index.iter().map(|(address, _)| *address).collect();
        for header in headers.iter().filter(|header| header.sealed_to.is_empty()) {
            let is_shared = store.read(&header.id)?.entries.iter().flat_map(Entry::contents).any(|address| held.contains(&address));
            anyhow::ensure!(!is_shared, "another snapshot shares it");
        }
        pack.remove()
    };
    // What is left costs room, and nothing else.
    drop(unshared());
}

/// Writes what is still needed of a pack into a new one; says whether all of it could be read.
fn rewrite(store: &Store, contents: &Contents, id: &str, keep: &[Address]) -> anyhow::Result<bool> {
    let mut writer = Writer::create(&store.packs(), id, &Recipients::default())?;
    for address in keep {
        let Ok(bytes) = contents.read(address) else { return writer.discard().map(|()| false) };
        let added = pack::frame(*address, &bytes).and_then(|frame| writer.append(*address, bytes.len() as u64, &frame));
        if let Err(e) = added {
            return Err(writer.discard().err().unwrap_or(e));
        }
    }
    writer.finish().map(|_| true)
}

/// Keeps a snapshot from being removed, or no longer.
///
/// # Errors
/// There is no such snapshot, or the store cannot be written.
pub(crate) fn pin(out: &mut Output, store: &Store, name: &str, pinned: bool) -> anyhow::Result<Exit> {
    let _lock = store.share()?;
    let header = names::find(store, name)?;
    contract::state::private_folder(&store.pins())?;
    let path = store.pins().join(&header.id);
    match (pinned, path.exists()) {
        (true, false) => files::create(&path, b"")?,
        (false, true) => fs::remove_file(&path).with_context(|| format!("cannot remove {}", shown(&path)))?,
        _ => {}
    }
    contract::replace::sync_folder(&store.pins())?;
    summary::emit(out, store, &header, pinned, &summary::Made::default())?;
    Ok(Exit::Done)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(times: &[&str]) -> Vec<Header> {
        let header = |(seq, time): (usize, &&str)| {
            serde_json::from_value(json!({
                "v": 1, "id": format!("{seq}"), "seq": seq, "time": time, "host": "h", "user": "u", "tool": "t", "roots": [],
                "entries": 0, "size": 0, "added": 0
            }))
            .unwrap()
        };
        times.iter().enumerate().map(header).collect()
    }

    fn kept(policy: &Policy, times: &[&str]) -> Vec<String> {
        let now = "2026-11-24T12:00:00Z".parse().unwrap();
        let mut kept: Vec<String> = policy.kept(&headers(times).iter().collect::<Vec<_>>(), now).into_iter().collect();
        kept.sort();
        kept
    }

    const TIMES: [&str; 5] = [
        "2026-10-01T10:00:00.000Z",
        "2026-11-23T10:00:00.000Z",
        "2026-11-23T20:00:00.000Z",
        "2026-11-24T09:00:00.000Z",
        "2026-11-24T11:59:00.000Z",
    ];

    #[test]
    fn each_rule_keeps_the_newest_of_its_span() {
        assert_eq!(kept(&Policy { last: 1, ..Policy::default() }, &TIMES), ["4"]);
        assert_eq!(kept(&Policy { daily: 2, ..Policy::default() }, &TIMES), ["2", "4"]);
        assert_eq!(kept(&Policy { monthly: 9, ..Policy::default() }, &TIMES), ["0", "4"]);
        assert_eq!(kept(&Policy { within: Some(Duration::from_hours(4)), ..Policy::default() }, &TIMES), ["3", "4"]);
        let ahead = kept(&Policy { within: Some(Duration::from_hours(4)), ..Policy::default() }, &["2026-11-24T13:00:00.000Z"]);
        assert_eq!(ahead, ["0"], "a clock that was ahead makes nothing old");
        assert!(kept(&Policy::default(), &TIMES).is_empty() && Policy::default().is_empty());
    }

    #[test]
    fn a_time_that_is_none_is_now() {
        assert_eq!(kept(&Policy { within: Some(Duration::from_secs(1)), ..Policy::default() }, &["nonsense"]), ["0"]);
    }
}
