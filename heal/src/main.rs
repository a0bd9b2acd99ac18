//! `heal`

fn main() {}
