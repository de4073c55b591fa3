//! Every message is the same bytes to us and to the published crates, in both directions.

mod differ;
mod filter;
mod published;
mod sample;
