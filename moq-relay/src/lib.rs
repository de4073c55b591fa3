//! moq-relay
