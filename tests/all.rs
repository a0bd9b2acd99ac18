//! One test binary: the real tools, on real environments, in real pipelines.

mod contract_readme;
mod corpus;
mod drawing;
mod manners;
mod night;
mod probe;
mod rebuild_crash;
mod rebuild_rungs;
mod verdicts;
mod ward;
