//! `docker`: the root filesystem as a build context, `docker build - < NAME.docker`, or for `docker import`.

use std::io::{BufWriter, Write};

use super::{Format, Job, Machine, OutputError, tar};

/// `NAME.docker`: what `tar` writes, and a Dockerfile. One that the configuration puts at `/Dockerfile` is used as it
/// is.
#[derive(Debug, Clone, Copy)]
pub struct Docker;

const NAME: &str = "docker";
const FILE: &str = "Dockerfile";
/// All of the context, which has this file in it, too; and what starts a machine in a container.
const TEXT: &str = "FROM scratch\nCOPY . /\nENTRYPOINT [\"/bin/rc.init\"]\n";

impl Format for Docker {
    fn name(&self) -> &'static str {
        NAME
    }

    fn files(&self, name: &str) -> Vec<String> {
        vec![format!("{name}.docker")]
    }

    fn write(&self, job: &Job<'_>) -> Result<(), OutputError> {
        let file = job.create(&format!("{}.docker", job.name))?;
        let path = file.path().to_owned();
        let mut out = BufWriter::with_capacity(1 << 20, file);
        write_machine(job.machine, &mut out)?;
        out.flush().map_err(OutputError::io("write", &path))
    }

    fn stream(&self, machine: &Machine, out: &mut dyn Write) -> Option<Result<(), OutputError>> {
        let mut out = BufWriter::with_capacity(1 << 20, out);
        let written = write_machine(machine, &mut out);
        Some(written.and_then(|()| out.flush().map_err(OutputError::io("write", tar::ARCHIVE.as_ref()))))
    }
}

fn write_machine(machine: &Machine, out: &mut dyn Write) -> Result<(), OutputError> {
    let own = machine.root.get(FILE.as_bytes()).is_some();
    tar::write_machine(machine, out, (!own).then_some((FILE, TEXT.as_bytes())))
}

#[cfg(test)]
mod tests {
    use super::super::tar::Tar;
    use super::*;
    use crate::tree::{GENERATED_MTIME, Node, Origin};
    use std::io::Read;
    use std::sync::Arc;

    fn machine(files: &[(&str, &str)]) -> Machine {
        let mut machine = Machine::default();
        for (path, text) in files {
            let node = Node::file(text.as_bytes(), 0o644, &Arc::new(Origin::default()));
            machine.root.insert(path.as_bytes(), node).unwrap();
        }
        machine
    }

    fn archive(format: &dyn Format, machine: &Machine) -> Vec<u8> {
        let mut archive = Vec::new();
        format.stream(machine, &mut archive).unwrap().unwrap();
        archive
    }

    #[test]
    fn a_context_is_the_tar_with_a_dockerfile_at_its_end() {
        let machine = machine(&[("init", "#!")]);
        let (context, tar) = (archive(&Docker, &machine), archive(&Tar, &machine));
        assert!(context == archive(&Docker, &machine), "two writes differ");
        assert!(context.starts_with(&tar[..tar.len() - 1024]));
        let mut read = ::tar::Archive::new(&context[..]);
        let names =
            |entry: std::io::Result<::tar::Entry<'_, &[u8]>>| entry.unwrap().path_bytes().into_owned();
        let names: Vec<_> = read.entries().unwrap().map(names).collect();
        assert_eq!(names, [b"init".to_vec(), FILE.into()]);

        let mut read = ::tar::Archive::new(&context[..]);
        let mut last = read.entries().unwrap().nth(1).unwrap().unwrap();
        let header = last.header();
        assert_eq!((header.mode().unwrap(), header.mtime().unwrap()), (0o644, GENERATED_MTIME));
        assert_eq!((header.uid().unwrap(), header.gid().unwrap()), (0, 0));
        let mut text = String::new();
        last.read_to_string(&mut text).unwrap();
        assert_eq!(text, TEXT);
    }

    #[test]
    fn the_configurations_own_dockerfile_is_kept() {
        let machine = machine(&[(FILE, "FROM scratch\n")]);
        assert!(archive(&Docker, &machine) == archive(&Tar, &machine));
    }
}
