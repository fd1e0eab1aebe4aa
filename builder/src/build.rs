//! Config + images → a machine.
