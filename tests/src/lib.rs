//! Boots real images in qemu and looks at them from outside.
