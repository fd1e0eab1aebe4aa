//! `firecracker`: a kernel that needs no unpacking, the initrd, and the configuration for `firecracker --config-file`.

use std::io::{BufWriter, Write};

use serde_json::json;

use super::{Format, Job, OutputError, vmlinux};

/// `NAME-vmlinux`, `NAME-firecracker-initrd.img`, `NAME-firecracker.json`. The configuration names the other two as they lie beside it:
/// Firecracker is started in their directory.
#[derive(Debug, Clone, Copy)]
pub struct Firecracker;

const NAME: &str = "firecracker";
const FILES: [&str; 3] = ["vmlinux", "firecracker-initrd.img", "firecracker.json"];
/// What Firecracker's machines want: a reboot ends them (the keyboard controller is the one way that there is), a panic is a
/// reboot, and there is no PCI to look for. Source: Firecracker's docs/getting-started.md.
const MACHINE: &str = "reboot=k panic=1 pci=off";
/// What `lkb run` gives a machine.
const MEMORY_MIB: u32 = 1024;

impl Format for Firecracker {
    fn name(&self) -> &'static str {
        NAME
    }

    fn files(&self, name: &str) -> Vec<String> {
        FILES.map(|part| format!("{name}-{part}")).to_vec()
    }

    fn write(&self, job: &Job<'_>) -> Result<(), OutputError> {
        let machine = job.machine;
        let kernel = machine.kernel.as_ref().ok_or_else(|| OutputError::no_kernel(NAME))?;
        let [kernel_name, initrd_name, config_name] = FILES.map(|part| format!("{}-{part}", job.name));
        let mut out = BufWriter::with_capacity(1 << 20, job.create(&kernel_name)?);
        let path = out.get_ref().path().to_owned();
        vmlinux::unpack(kernel, &mut out)
            .map_err(|source| OutputError::Disk { format: NAME, source: Box::new(source) })?;
        out.flush().map_err(OutputError::io("write", &path))?;
        job.copy(job.initrd()?, &mut job.create(&initrd_name)?)?;

        let blank = if machine.cmdline.is_empty() { "" } else { " " };
        let config = json!({
            "boot-source": {
                "kernel_image_path": kernel_name,
                "initrd_path": initrd_name,
                "boot_args": format!("{}{blank}{MACHINE}", machine.cmdline),
            },
            "drives": [],
            "machine-config": { "vcpu_count": 1, "mem_size_mib": MEMORY_MIB },
        });
        let mut out = job.create(&config_name)?;
        let path = out.path().to_owned();
        out.write_all(format!("{config:#}\n").as_bytes()).map_err(OutputError::io("write", &path))
    }
}
