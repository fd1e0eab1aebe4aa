//! The files of profiles, `~/.aws/credentials` and `~/.aws/config`.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;

use super::AwsError;

/// No such file is larger, in bytes.
const MAX: u64 = 1 << 20;

/// What a profile says, by key.
pub(super) type Profile = BTreeMap<String, String>;

/// What a file says of a section; nothing if there is no file.
pub(super) fn read(path: &Path, section: &str) -> Result<Profile, AwsError> {
    let failed = |reason: String| AwsError::Profiles { path: path.to_owned(), reason };
    let mut text = String::new();
    match File::open(path).and_then(|file| file.take(MAX + 1).read_to_string(&mut text)) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Profile::new()),
        Err(error) => return Err(failed(error.to_string())),
        Ok(_) if text.len() as u64 > MAX => return Err(failed("it has more than 1 MiB".into())),
        Ok(_) => {}
    }
    Ok(parse(&text, section))
}

/// `[SECTION]`, and `KEY = VALUE` beneath it. Indented lines belong to the value before them, and none of those is
/// used here.
fn parse(text: &str, section: &str) -> Profile {
    let mut here = false;
    let mut profile = Profile::new();
    for line in text.lines() {
        if let Some(header) = line.trim_end().strip_prefix('[').and_then(|line| line.split_once(']')) {
            let words: Vec<&str> = header.0.split_whitespace().map(|word| word.trim_matches('"')).collect();
            here = words.join(" ") == section;
        } else if here
            && !line.starts_with([' ', '\t', '#', ';'])
            && let Some((key, value)) = line.split_once('=')
        {
            let value = value.split(" #").next().unwrap_or_default();
            profile.insert(key.trim().to_ascii_lowercase(), value.trim().to_owned());
        }
    }
    profile
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TEXT: &str = "# mine\n[default]\nregion = eu-west-1 # near\ns3 =\n  max = 1\n[profile \"work\"]\nregion=us-east-1\n\
                        role_arn = arn:x\n";

    #[test]
    fn a_section_is_read_and_no_other() {
        let of = |pairs: &[(&str, &str)]| -> Profile {
            pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
        };
        assert_eq!(parse(TEXT, "default"), of(&[("region", "eu-west-1"), ("s3", "")]));
        assert_eq!(parse(TEXT, "profile work"), of(&[("region", "us-east-1"), ("role_arn", "arn:x")]));
        assert_eq!(parse(TEXT, "work"), of(&[]));
    }

    #[test]
    fn a_file_that_is_not_there_says_nothing() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(read(&dir.path().join("none"), "default").unwrap(), Profile::new());
        let error = read(dir.path(), "default").unwrap_err().to_string();
        assert!(error.starts_with("cannot read the AWS profiles in "), "{error}");
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_panic(text in "(?s).{0,200}") {
            parse(&text, "default");
        }
    }
}
