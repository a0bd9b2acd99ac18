//! `diagnose`

fn main() {}
