//! One test binary: the real tools, on real environments, in real pipelines.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test that cannot go on has failed, and writes where a crash harms nobody"
)]
mod checkup;
mod contract_readme;
mod corpus;
mod day;
mod deploy;
mod deploy_adapters;
mod deploy_crash;
mod deploy_heal;
mod deploy_hook;
mod deploy_hook_install;
mod deploy_hook_odd;
mod deploy_hook_ways;
mod deploy_managers;
mod deploy_platform;
mod deploy_workflow;
mod diagnose;
mod diagnose_hostile;
mod drawing;
mod heal;
mod heal_crash;
mod heal_import;
mod heal_managers;
mod heal_misplaced;
mod heal_module;
mod heal_run;
mod heal_service;
mod manners;
mod mutation;
mod night;
mod originals;
mod platform;
mod probe;
mod probe_hostile;
mod registry;
mod registry_doubt;
mod registry_live;
mod registry_moment;
mod registry_shared;

mod rebuild_aftermath;
mod rebuild_crash;
mod rebuild_full;
mod rebuild_hostile;
mod rebuild_interrupted;
mod rebuild_keeps;
mod rebuild_links;
mod rebuild_places;
mod rebuild_poison;
mod rebuild_rungs;
mod rebuild_strangers;
mod rebuild_stream;
mod rebuild_undo;
mod snapshot;
mod snapshot_busy;
mod snapshot_crash;
mod snapshot_drawing;
mod snapshot_format;
mod snapshot_full;
mod snapshot_hostile;
mod snapshot_live;
mod snapshot_originals;
mod snapshot_recover;
mod snapshot_roundtrip;
mod snapshot_run;
mod snapshot_sealed;
mod snapshot_store;
mod snapshot_trust;
mod soak;
mod toolchain;
mod vault;
mod verdicts;
mod ward;
