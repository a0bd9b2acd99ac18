//! One test binary: the real tools, on real environments, in real pipelines.

mod contract_readme;
mod corpus;
mod manners;
mod probe;
mod verdicts;
