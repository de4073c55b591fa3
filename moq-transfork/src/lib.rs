//! moq-transfork
