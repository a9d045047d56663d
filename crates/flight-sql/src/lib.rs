//! FlightSQL: how other programs ask a lake.

#[cfg(feature = "client")]
pub mod client;
