//! Partitions and formats a blank disk, and only a blank one.
