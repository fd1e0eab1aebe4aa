//! Images in files, written as containers-transports(5) has it: `docker-archive:PATH[:NAME]`,
//! `oci-archive:PATH[:NAME]`, `oci:DIRECTORY[:NAME]`.

use std::fmt;
use std::path::{Path, PathBuf};

use super::document::Document;
use super::packages::image_nodes;
use super::problem::Place;
use super::yaml::Value;

/// An image that is in a file or a directory of this machine.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct LocalImage {
    /// What the file is.
    pub form: LocalForm,
    /// Where it is, seen from the working directory.
    pub path: PathBuf,
    /// Which of its images; needed when there are several.
    pub name: Option<String>,
}

/// How images are kept in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LocalForm {
    /// What `docker save` writes.
    DockerArchive,
    /// A tar archive of an OCI image layout.
    OciArchive,
    /// The directory of an OCI image layout.
    OciDirectory,
}

/// How they are written.
const FORMS: [(&str, LocalForm); 3] = [
    ("docker-archive", LocalForm::DockerArchive),
    ("oci-archive", LocalForm::OciArchive),
    ("oci", LocalForm::OciDirectory),
];

impl LocalImage {
    /// Reads one; `None` for what is written as images in registries are. The path ends at its first colon.
    ///
    /// # Errors
    /// When it lacks a part; says how it is written.
    #[must_use]
    pub fn parse(text: &str) -> Option<Result<Self, String>> {
        let (word, rest) = text.split_once(':')?;
        let (_, form) = FORMS.iter().find(|(name, _)| *name == word)?;
        let (path, name) = match rest.split_once(':') {
            Some((path, name)) => (path, Some(name)),
            None => (rest, None),
        };
        if path.is_empty() || name.is_some_and(str::is_empty) {
            return Some(Err(format!("image `{text}` lacks a part; it is written `{word}:PATH[:NAME]`")));
        }
        Some(Ok(Self { form: *form, path: path.into(), name: name.map(str::to_owned) }))
    }
}

impl fmt::Display for LocalImage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = FORMS.iter().find(|(_, form)| *form == self.form).map_or("oci", |(word, _)| word);
        write!(f, "{word}:{}", self.path.display())?;
        self.name.iter().try_for_each(|name| write!(f, ":{name}"))
    }
}

/// Finds the images in files, whose paths are relative to the configuration's directory. What cannot be found that way
/// is a problem.
pub(super) fn locate(document: &mut Document<'_>) {
    let dir = document.dir.clone();
    let mut findings: Vec<(Place, String)> = Vec::new();
    let mut found: Vec<(Place, LocalImage)> = Vec::new();
    for node in image_nodes(&mut document.root) {
        let at = node.at;
        let Value::Text(text) = &mut node.value else { continue };
        match LocalImage::parse(text).map(|image| image.and_then(|image| within(image, dir.as_deref()))) {
            None => {}
            Some(Ok(image)) => {
                *text = image.to_string();
                found.push((at, image));
            }
            Some(Err(error)) => findings.push((at, error)),
        }
    }
    document.local_images = found;
    for (at, message) in findings {
        document.problem(at, message);
    }
}

fn within(image: LocalImage, dir: Option<&Path>) -> Result<LocalImage, String> {
    if image.path.is_absolute() {
        return Ok(image);
    }
    let Some(dir) = dir else {
        return Err(format!("`{image}` is relative to the configuration's directory, and this one has none"));
    };
    let path: PathBuf = dir.join(&image.path).components().collect();
    let path = path.strip_prefix(".").map(Path::to_path_buf).unwrap_or(path);
    Ok(LocalImage { path, ..image })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_in_files_are_told_from_images_in_registries() {
        for (text, form, path, name) in [
            ("docker-archive:a.tar", LocalForm::DockerArchive, "a.tar", None),
            ("docker-archive:a.tar:org/x:1", LocalForm::DockerArchive, "a.tar", Some("org/x:1")),
            ("oci-archive:/b/c.tar:latest", LocalForm::OciArchive, "/b/c.tar", Some("latest")),
            ("oci:../d", LocalForm::OciDirectory, "../d", None),
        ] {
            let image = LocalImage::parse(text).unwrap().unwrap();
            assert_eq!((image.form, image.path.to_str(), image.name.as_deref()), (form, Some(path), name));
            assert_eq!(image.to_string(), text);
        }
        for text in ["x", "oci", "org/oci:1", "docker.io/library/oci:1", "oci/x:1", "localhost:5000/oci:1"] {
            assert_eq!(LocalImage::parse(text), None, "{text}");
        }
        for text in ["oci:", "oci-archive::x", "docker-archive:a.tar:"] {
            assert!(LocalImage::parse(text).unwrap().is_err(), "{text}");
        }
    }

    #[test]
    fn paths_are_those_of_the_configuration() {
        let image = |text| LocalImage::parse(text).unwrap().unwrap();
        let located = |text, dir| within(image(text), dir).map(|image| image.to_string());
        assert_eq!(located("oci:d/e", Some(Path::new("."))).unwrap(), "oci:d/e");
        assert_eq!(located("oci:../d:1", Some(Path::new("a"))).unwrap(), "oci:a/../d:1");
        assert_eq!(located("oci:/d", None).unwrap(), "oci:/d");
        assert!(located("oci:d", None).unwrap_err().contains("this one has none"));
    }
}
