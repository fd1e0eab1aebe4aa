//! Build arguments: what `buildArgs` and files of arguments say, with the packages that they name.

use std::path::{Path, PathBuf};

use regex::Regex;

use super::PkgError;
use super::manifest::Manifest;
use crate::config::{build_arg, package_path, packages_pattern};

/// Most bytes of a file of build arguments.
const MAX_FILE: u64 = 1 << 20;

/// A build argument.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Argument {
    /// Its name in the Dockerfile.
    pub name: String,
    /// Its value.
    pub value: Value,
}

/// What a build argument stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// Itself.
    Text(String),
    /// The image of the package in this directory.
    Package(PathBuf),
}

/// How packages are looked at whose names become names of arguments.
#[derive(Debug, Clone, Copy)]
pub struct Look<'a> {
    /// File name of their manifests.
    pub build_yml: &'a str,
    /// Organisation instead of the manifests'.
    pub org: Option<&'a str>,
}

/// The arguments that one `NAME=VALUE` is: several where the value is `@lkt:pkgs:GLOB`. Paths are relative to `dir`.
///
/// # Errors
/// When it has another form, or a pattern matches no package.
pub fn expand(text: &str, dir: &Path, look: Look<'_>) -> Result<Vec<Argument>, PkgError> {
    let wrong = |message: String| PkgError::Manifest { file: dir.into(), message };
    let (name, value) = build_arg(text).map_err(wrong)?;
    if let Some(path) = package_path(value) {
        return Ok(vec![Argument { name: name.into(), value: Value::Package(dir.join(path)) }]);
    }
    let Some(pattern) = packages_pattern(value) else {
        return Ok(vec![Argument { name: name.into(), value: Value::Text(value.into()) }]);
    };
    let mut arguments = Vec::new();
    for package in matching(dir, Path::new(pattern))? {
        let manifest = Manifest::read(&package, look.build_yml)?;
        let name = name.replace('%', &stem(&manifest.name(look.org)));
        arguments.push(Argument { name, value: Value::Package(package) });
    }
    match arguments.is_empty() {
        true => Err(wrong(format!("build argument `{text}`: no package is called like that"))),
        false => Ok(arguments),
    }
}

/// Reads a file of arguments, one `NAME=VALUE` a line; empty lines and lines that begin with `#` say nothing.
///
/// # Errors
/// When it can't be read, or a line has another form.
pub fn read_file(file: &Path, look: Look<'_>) -> Result<Vec<Argument>, PkgError> {
    let size = std::fs::metadata(file).map_err(PkgError::io("reading", file))?.len();
    if size > MAX_FILE {
        let message = format!("{size} bytes are too many for build arguments (at most {MAX_FILE})");
        return Err(PkgError::Manifest { file: file.into(), message });
    }
    let text = std::fs::read_to_string(file).map_err(PkgError::io("reading", file))?;
    let dir = file.parent().unwrap_or(Path::new(""));
    let mut arguments = Vec::new();
    for (index, line) in text.lines().map(str::trim).enumerate() {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        arguments.extend(expand(line, dir, look).map_err(|error| PkgError::Manifest {
            file: file.into(),
            message: format!("line {}: {error}", index + 1),
        })?);
    }
    Ok(arguments)
}

/// Adds arguments to others; those of the same name take their places.
pub fn override_with(arguments: &mut Vec<Argument>, more: &[Argument]) {
    arguments.retain(|argument| more.iter().all(|new| new.name != argument.name));
    arguments.extend(more.iter().cloned());
}

/// What stands for `%` in the name of an argument: `ACME_MY_IMAGE` for `acme/my-image`.
fn stem(name: &str) -> String {
    name.replace(['/', '-'], "_").to_uppercase()
}

/// The directories that a pattern matches, sorted; hidden ones are passed over.
fn matching(dir: &Path, pattern: &Path) -> Result<Vec<PathBuf>, PkgError> {
    let mut found = vec![dir.to_path_buf()];
    for part in pattern.components() {
        let part = part.as_os_str().to_string_lossy();
        if !part.contains(['*', '?', '[']) {
            found.iter_mut().for_each(|dir| dir.push(part.as_ref()));
            continue;
        }
        let pattern = wildcard(&part).map_err(|error| PkgError::Manifest {
            file: dir.into(),
            message: format!("`{part}` is no pattern: {error}"),
        })?;
        let mut below = Vec::new();
        for dir in found {
            for entry in std::fs::read_dir(&dir).map_err(PkgError::io("reading", &dir))? {
                let name = entry.map_err(PkgError::io("reading", &dir))?.file_name();
                let name = name.to_string_lossy();
                if !name.starts_with('.') && pattern.is_match(&name) {
                    below.push(dir.join(name.as_ref()));
                }
            }
        }
        found = below;
    }
    found.retain(|dir| dir.is_dir());
    found.sort();
    Ok(found)
}

/// A part of a path with `*`, `?` and `[…]` (glob(7)), as an expression.
fn wildcard(part: &str) -> Result<Regex, regex::Error> {
    let mut expression = String::from("^");
    for c in part.chars() {
        match c {
            '*' => expression.push_str(".*"),
            '?' => expression.push('.'),
            '[' | ']' | '-' => expression.push(c),
            c => expression.push_str(&regex::escape(c.encode_utf8(&mut [0; 4]))),
        }
    }
    expression.push('$');
    Regex::new(&expression)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOOK: Look<'_> = Look { build_yml: "build.yml", org: None };

    fn packages(names: &[&str]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for name in names {
            let dir = root.path().join(name);
            std::fs::create_dir_all(&dir).unwrap();
            std::fs::write(dir.join("build.yml"), format!("image: {name}\norg: acme\n")).unwrap();
        }
        root
    }

    #[test]
    fn a_pattern_makes_an_argument_of_each_package() {
        let root = packages(&["a-b", "a-c", "d"]);
        std::fs::write(root.path().join("a-file"), "").unwrap();
        std::fs::create_dir(root.path().join(".a-hidden")).unwrap();
        let arguments = expand("IMAGE_%=@lkt:pkgs:a-*", root.path(), LOOK).unwrap();
        let names: Vec<&str> = arguments.iter().map(|argument| argument.name.as_str()).collect();
        assert_eq!(names, ["IMAGE_ACME_A_B", "IMAGE_ACME_A_C"]);
        assert_eq!(arguments[0].value, Value::Package(root.path().join("a-b")));
        let ours = expand("%=@pkgs:?", root.path(), Look { org: Some("x"), ..LOOK }).unwrap();
        assert_eq!(ours[0].name, "X_D");
        let error = expand("%=@lkt:pkgs:z*", root.path(), LOOK).unwrap_err().to_string();
        assert!(error.contains("no package is called like that"), "{error}");
    }

    #[test]
    fn a_file_of_arguments_overrides_those_of_the_manifest() {
        let root = packages(&["a"]);
        let file = root.path().join("args");
        std::fs::write(&file, "# comment\n\nA=1\n B=@lkt:pkg:a \n").unwrap();
        let text = |name: &str, value: &str| Argument { name: name.into(), value: Value::Text(value.into()) };
        let mut arguments = vec![text("A", "0"), text("C", "2")];
        override_with(&mut arguments, &read_file(&file, LOOK).unwrap());
        let package = Argument { name: "B".into(), value: Value::Package(root.path().join("a")) };
        assert_eq!(arguments, [text("C", "2"), text("A", "1"), package]);
        std::fs::write(&file, "A=1\nnonsense\n").unwrap();
        let error = read_file(&file, LOOK).unwrap_err().to_string();
        assert!(error.contains("line 2") && error.contains("nonsense"), "{error}");
    }
}
