//! No code: only its manifest matters.
//!
//! Cargo builds a dependency with the features that the selected packages ask for. So `cargo build -p belvedere` and
//! `cargo test --workspace` would each build the engine for themselves. This crate asks for all of these features at
//! once; the binary (by its feature `unified-build`) and the tests (by `belvedere-testkit`) depend on it. Slim binaries
//! do not, nor do the crates that third parties depend on.
//!
//! `cargo hakari generate` writes the manifest, `.ci/run` says when it is out of date. It may go when Cargo's own
//! `resolver.feature-unification` is stable.
