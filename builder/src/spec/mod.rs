//! `spec`.
