//! FlightSQL: how other programs ask a lake.
