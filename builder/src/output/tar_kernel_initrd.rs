//! `tar-kernel-initrd`: what `kernel+initrd` makes, in one file.

use std::fs::File;
use std::io::{BufWriter, Read, Write};

use super::{Format, Job, OutputError, member};

/// `NAME-initrd.tar` with `kernel`, `initrd.img` and `cmdline`.
///
/// `initrd.img` begins with the microcode if the machine has any, as in all formats: LinuxKit's has it in an
/// `ucode.cpio` of its own, which whoever boots the parts must put before the initrd.
#[derive(Debug, Clone, Copy)]
pub struct TarKernelInitrd;

const NAME: &str = "tar-kernel-initrd";

impl Format for TarKernelInitrd {
    fn name(&self) -> &'static str {
        NAME
    }

    fn files(&self, name: &str) -> Vec<String> {
        vec![format!("{name}-initrd.tar")]
    }

    fn write(&self, job: &Job<'_>) -> Result<(), OutputError> {
        let machine = job.machine;
        let kernel = machine.kernel.as_ref().ok_or_else(|| OutputError::no_kernel(NAME))?;
        let initrd = job.initrd()?;
        let mut initrd_file = File::open(initrd).map_err(OutputError::io("read", initrd))?;
        let initrd_len = initrd_file.metadata().map_err(OutputError::io("read", initrd))?.len();

        let file = job.create(&format!("{}-initrd.tar", job.name))?;
        let path = file.path().to_owned();
        let mut out = BufWriter::with_capacity(1 << 20, file);
        let parts: [(&str, &mut dyn Read, u64); 3] = [
            ("kernel", &mut kernel.reader(), kernel.len()),
            ("initrd.img", &mut initrd_file, initrd_len),
            ("cmdline", &mut machine.cmdline.as_bytes(), machine.cmdline.len() as u64),
        ];
        for (name, content, len) in parts {
            member::append(&mut out, name, content, len).map_err(|source| OutputError::Copy {
                path: name.into(),
                origin: machine.boot.to_string(),
                into: path.display().to_string(),
                source,
            })?;
        }
        out.write_all(&member::END).and_then(|()| out.flush()).map_err(OutputError::io("write", &path))
    }
}
