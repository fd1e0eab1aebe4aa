//! Feeds the kernel entropy pool from the processor and virtio-rng.
