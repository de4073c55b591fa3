//! Holds the workspace against the published MoqTransfork crates, linked as they are.
//!
//! There is nothing here but tests: `tests/codec` compares every message with every published
//! crate's own encoder and decoder. Run them with `cargo test --manifest-path compat/Cargo.toml`.
