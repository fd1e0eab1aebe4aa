//! Finds a file system and mounts it under /var.
