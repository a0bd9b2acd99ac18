//! The engine as a whole, on what people really broke and on chance.

mod data;
mod examples;
mod laws;
