//! `diagnose`

mod search;

fn main() {}
