//! Tests of what every view set promises, and made-up processes to run them on.
//!
//! For tests of view crates, third parties' too: a development dependency.
//!
//! - [`backend`] says where a database, an object store or a client is, or fails where it has to be there.
//! - [`conformance!`] runs the suite over view sets.
//! - [`FakeProcess`] is what an instrumented program would have sent.
//! - [`faults`] are between a lake and its object store and catalog: requests that fail, by a seed.
//! - [`simulation`] lives through them, and checks after each step what a lake promises.
//! - [`ticks`] is a small view set of a third party, decoded from blocks, and one that is SQL over it.

mod backend;
pub mod conformance;
mod failure;
mod fake_process;
pub mod faults;
mod random;
pub mod simulation;
pub mod ticks;

pub use backend::{REQUIRE, backend, postgres_database};
pub use failure::Failure;
pub use fake_process::{FakePayload, FakeProcess, START};
