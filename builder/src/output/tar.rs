//! `tar`: the root filesystem with `boot/`, as LinuxKit writes it (POSIX.1-2024 pax, "ustar" and "pax Header
//! Block").

use std::collections::HashSet;
use std::io::{self, BufWriter, Write};

use ::tar::{EntryType, Header};

use crate::tree::{Content, GENERATED_MTIME, Kind, Location, Node, Tree, TreePath, display, join, split};

use super::member::{self, END};
use super::{Format, Job, Machine, OutputError};

/// `NAME.tar`.
#[derive(Debug, Clone, Copy)]
pub struct Tar;

const NAME: &str = "tar";
/// What errors call an archive that has no path.
pub(super) const ARCHIVE: &str = "the tar archive";
/// Longest name and link target in a header without extension, in bytes.
const MAX_NAME: usize = 100;
/// Most that a header's size field holds: 11 octal digits.
const MAX_SIZE: u64 = 0o777_7777_7777;
/// Most that a header's owner fields hold: 7 octal digits.
const MAX_ID: u32 = 0o777_7777;

impl Format for Tar {
    fn name(&self) -> &'static str {
        NAME
    }

    fn files(&self, name: &str) -> Vec<String> {
        vec![format!("{name}.tar")]
    }

    fn write(&self, job: &Job<'_>) -> Result<(), OutputError> {
        let file = job.create(&format!("{}.tar", job.name))?;
        let path = file.path().to_owned();
        let mut out = BufWriter::with_capacity(1 << 20, file);
        write_machine(job.machine, &mut out, None)?;
        out.flush().map_err(OutputError::io("write", &path))
    }

    fn stream(&self, machine: &Machine, out: &mut dyn Write) -> Option<Result<(), OutputError>> {
        let mut out = BufWriter::with_capacity(1 << 20, out);
        let written = write_machine(machine, &mut out, None);
        Some(written.and_then(|()| out.flush().map_err(OutputError::io("write", ARCHIVE.as_ref()))))
    }
}

/// Writes the archive of a machine, and at its end a file that the format adds, by name.
pub(super) fn write_machine(
    machine: &Machine,
    out: &mut dyn Write,
    added: Option<(&str, &[u8])>,
) -> Result<(), OutputError> {
    let mut archive = Archive { out, tree: &machine.root, marks: Marks::Origin, written: HashSet::new() };
    archive.boot(machine)?;
    // The order of the YAML; by path within an item.
    let mut order: Vec<(&TreePath, &Node)> = machine.root.iter().collect();
    order.sort_by_key(|(_, node)| node.origin.location);
    for (path, node) in order {
        archive.entry(path, node)?;
    }
    if let Some((name, content)) = added {
        add(out, name, content).map_err(OutputError::io("write", ARCHIVE.as_ref()))?;
    }
    out.write_all(&END).map_err(OutputError::io("write", ARCHIVE.as_ref()))
}

/// Writes the archive of a tree that is no machine's, by path.
pub(super) fn write_tree(tree: &Tree, out: &mut dyn Write) -> Result<(), OutputError> {
    let mut archive = Archive { out, tree, marks: Marks::None, written: HashSet::new() };
    for (path, node) in tree.iter() {
        archive.entry(path, node)?;
    }
    out.write_all(&END).map_err(OutputError::io("write", ARCHIVE.as_ref()))
}

/// Whether entries say which part of a configuration they are from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Marks {
    Origin,
    None,
}

/// Appends a file that comes from no item of the YAML.
fn add(out: &mut dyn Write, name: &str, content: &[u8]) -> io::Result<()> {
    let size = content.len() as u64;
    out.write_all(member::header(Header::new_ustar(), name, size)?.as_bytes())?;
    out.write_all(content)?;
    out.write_all(member::padding(size))
}

struct Archive<'a> {
    out: &'a mut dyn Write,
    tree: &'a Tree,
    marks: Marks,
    written: HashSet<TreePath>,
}

impl Archive<'_> {
    fn boot(&mut self, machine: &Machine) -> Result<(), OutputError> {
        machine.boot_files().iter().try_for_each(|(path, node)| self.write(path.as_bytes(), node))
    }

    /// Writes an entry after its directories and, for a link, its file.
    fn entry(&mut self, path: &[u8], node: &Node) -> Result<(), OutputError> {
        if self.written.contains(path) {
            return Ok(());
        }
        let tree = self.tree;
        let (parent, _) = split(path);
        let mut above = TreePath::new();
        for part in parent.split(|&byte| byte == b'/').filter(|part| !part.is_empty()) {
            above = join(&above, part);
            if !self.written.contains(&above)
                && let Some(directory) = tree.get(&above)
            {
                self.write(&above, directory)?;
            }
        }
        if let Kind::Hardlink(file) = &node.kind
            && let Some(first) = tree.get(file)
        {
            self.entry(file, first)?;
        }
        self.write(path, node)
    }

    fn write(&mut self, path: &[u8], node: &Node) -> Result<(), OutputError> {
        self.written.insert(path.to_vec());
        write_entry(self.out, path, node, self.marks).map_err(|source| OutputError::Copy {
            path: display(path),
            origin: node.origin.to_string(),
            into: ARCHIVE.into(),
            source,
        })
    }
}

fn write_entry(out: &mut dyn Write, path: &[u8], node: &Node, marks: Marks) -> io::Result<()> {
    let mut name = path.to_vec();
    let mut link: &[u8] = &[];
    let mut content = None;
    let mut header = Header::new_ustar();
    let kind = match &node.kind {
        Kind::Directory => {
            name.push(b'/');
            EntryType::Directory
        }
        Kind::File(bytes) => {
            content = Some(bytes);
            EntryType::Regular
        }
        Kind::Symlink(target) => {
            link = target;
            EntryType::Symlink
        }
        Kind::Hardlink(file) => {
            link = file;
            EntryType::Link
        }
        Kind::CharDevice { major, minor } => {
            header.set_device_major(*major)?;
            header.set_device_minor(*minor)?;
            EntryType::Char
        }
        Kind::BlockDevice { major, minor } => {
            header.set_device_major(*major)?;
            header.set_device_minor(*minor)?;
            EntryType::Block
        }
        Kind::Fifo => EntryType::Fifo,
    };
    let size = content.map_or(0, Content::len);
    header.set_entry_type(kind);
    header.set_mode(node.mode);
    header.set_mtime(node.mtime.min(MAX_SIZE));
    let mut records = Records::default();
    let mut fitting = |key: &str, value: u64, most: u64| match value <= most {
        true => value,
        false => {
            records.add(key.as_bytes(), value.to_string().as_bytes());
            0
        }
    };
    header.set_size(fitting("size", size, MAX_SIZE));
    header.set_uid(fitting("uid", node.uid.into(), MAX_ID.into()));
    header.set_gid(fitting("gid", node.gid.into(), MAX_ID.into()));
    if node.uid == 0 {
        header.set_username("root")?;
    }
    if node.gid == 0 {
        header.set_groupname("root")?;
    }
    let fields = header.as_old_mut();
    for (key, text, field) in
        [("path", &name[..], &mut fields.name), ("linkpath", link, &mut fields.linkname)]
    {
        if text.len() > MAX_NAME {
            records.add(key.as_bytes(), text);
        }
        let fits = text.len().min(MAX_NAME);
        field[..fits].copy_from_slice(&text[..fits]);
    }
    // As in LinuxKit, the bill of materials says nothing of itself.
    if marks == Marks::Origin && node.origin.location != Location::Sbom {
        records.add(b"LINUXKIT.location", node.origin.location.to_string().as_bytes());
        records.add(b"LINUXKIT.source", node.origin.source.as_bytes());
    }
    for (name, value) in &node.xattrs {
        records.add(&[b"SCHILY.xattr.", &name[..]].concat(), value);
    }
    if !records.0.is_empty() {
        records.write(out)?;
    }
    header.set_cksum();
    out.write_all(header.as_bytes())?;
    if let Some(content) = content {
        content.copy_to(out)?;
    }
    out.write_all(member::padding(size))
}

/// The records of one PAX header.
#[derive(Default)]
struct Records(Vec<u8>);

impl Records {
    /// `LENGTH KEY=VALUE\n`, where LENGTH counts its own digits.
    fn add(&mut self, key: &[u8], value: &[u8]) {
        let rest = key.len() + value.len() + 3;
        let mut len = rest + 1;
        while rest + len.to_string().len() != len {
            len = rest + len.to_string().len();
        }
        self.0.extend(len.to_string().as_bytes());
        self.0.push(b' ');
        self.0.extend(key);
        self.0.push(b'=');
        self.0.extend(value);
        self.0.push(b'\n');
    }

    fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        if self.0.is_empty() {
            return Ok(());
        }
        let mut header = Header::new_ustar();
        header.set_path("PaxHeaders/entry")?;
        header.set_entry_type(EntryType::XHeader);
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(GENERATED_MTIME);
        header.set_size(self.0.len() as u64);
        header.set_cksum();
        out.write_all(header.as_bytes())?;
        out.write_all(&self.0)?;
        out.write_all(member::padding(self.0.len() as u64))
    }
}
