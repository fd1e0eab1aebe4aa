//! What long work says while it goes on. Libraries tell it, and whoever started them decides how it is shown.

use crate::image::Digest;

/// Something that happens in the course of long work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event<'a> {
    /// Work on `name` begins.
    Started {
        /// What is done.
        work: Work,
        /// With what: an image, a format, a file.
        name: &'a str,
    },
    /// So many bytes of it are done; told often.
    Advanced {
        /// What is done.
        work: Work,
        /// With what.
        name: &'a str,
        /// Bytes until now.
        bytes: u64,
        /// All bytes, as far as that is known; it may grow.
        total: u64,
    },
    /// It is done.
    Finished {
        /// What was done.
        work: Work,
        /// With what.
        name: &'a str,
        /// Bytes that were transferred or written, where that is known.
        bytes: Option<u64>,
        /// What came out.
        digest: Option<Digest>,
    },
    /// Something unexpected, which is got over.
    Note(&'a str),
}

/// A kind of long work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Work {
    /// An image comes from a registry.
    Pull,
    /// An image goes to a registry.
    Push,
    /// Who has signed an image is asked.
    Verify,
    /// A machine is put together from images.
    Assemble,
    /// A format is written.
    Write,
    /// Programs for packages are compiled.
    Compile,
    /// A package is built.
    Package,
    /// A file goes to a cloud.
    Upload,
}

impl Work {
    /// What it is called, for programs.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Pull => "pull",
            Self::Push => "push",
            Self::Verify => "verify",
            Self::Assemble => "assemble",
            Self::Write => "write",
            Self::Compile => "compile",
            Self::Package => "package",
            Self::Upload => "upload",
        }
    }

    /// What it is called while it goes on, for people.
    #[must_use]
    pub fn doing(self) -> &'static str {
        match self {
            Self::Pull => "pulling",
            Self::Push => "pushing",
            Self::Verify => "asking for the signatures of",
            Self::Assemble => "assembling",
            Self::Write => "writing",
            Self::Compile => "compiling",
            Self::Package => "building",
            Self::Upload => "uploading",
        }
    }
}
