//! What doubles of web APIs have in common: they speak HTTP on loopback, spoil answers as a test says, and have a referee, where there is an
//! official description.

pub(crate) mod referee;
pub(crate) mod serve;
pub(crate) mod trouble;
pub(crate) mod wire;
