//! Tests of what every view set promises, and made-up processes to run them on.
//!
//! For tests of view crates, third parties' too: a development dependency.
//!
//! - [`conformance!`] runs the suite over view sets.
//! - [`FakeProcess`] is what an instrumented program would have sent.
//! - [`ticks`] is a small view set of a third party, decoded from blocks, and one that is SQL over it.

pub mod conformance;
mod fake_process;
pub mod ticks;

pub use fake_process::{FakePayload, FakeProcess, START};
