//! moq-relay-core
