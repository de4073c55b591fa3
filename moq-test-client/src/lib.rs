//! moq-test-client
