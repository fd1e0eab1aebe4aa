//! `write_files`: files with their encoding, owner and permissions.

use super::value::Yaml;
use super::{Wrong, get, is_true, text};
use crate::tree::{Name, Node};
use crate::user_data::{Gathering, Why, base64, gzip, owner};

const KEY: &str = "write_files";
/// Where files go that have a place of their own on other machines.
const ELSEWHERE: &str = "files";
/// Where the tree itself is: files for there need no detour.
const HERE: [&str; 2] = ["/var/config/", "/run/config/"];
const MODE: u32 = 0o644;

/// Reads the list.
pub(super) fn read(value: &Yaml, gathering: &mut Gathering) {
    let Yaml::List(files) = value else { return gathering.refuse(&[KEY], Wrong::NotList) };
    for (index, file) in files.iter().enumerate() {
        let Yaml::Map(file) = file else {
            gathering.refuse(&[KEY, &index.to_string()], Wrong::NotMap);
            continue;
        };
        let path = get(file, "path").and_then(text).unwrap_or_default();
        if let Err(why) = add(file, path, gathering) {
            let named = if path.is_empty() { index.to_string() } else { path.to_owned() };
            let last = why == Why::TooMany;
            gathering.refuse(&[KEY, &named], why);
            if last {
                return;
            }
        }
    }
}

fn add(file: &[(String, Yaml)], path: &str, gathering: &mut Gathering) -> Result<(), Why> {
    let path = place(path)?;
    let append = is_true(file, "append", gathering);
    let content = content(file, gathering)?;
    let mut node = Node::file(mode(file)?, content);
    if let Some(value) = get(file, "owner") {
        let whose = text(value).and_then(owner::parse).ok_or(Wrong::Owner)?;
        node = node.owned_by(whose);
    }
    gathering.add_file(&path, node, append)
}

/// The names that lead to a file from the top of the tree.
fn place(path: &str) -> Result<Vec<Name>, Why> {
    let here = HERE.iter().find_map(|here| path.strip_prefix(here));
    let below = here.or_else(|| path.strip_prefix('/')).ok_or(Wrong::Path)?;
    if below.is_empty() || below.ends_with('/') {
        return Err(Wrong::Path.into());
    }
    let first = here.is_none().then_some(ELSEWHERE);
    let names = below.split('/').filter(|name| !name.is_empty());
    Ok(first.into_iter().chain(names).map(Name::new).collect::<Result<_, _>>()?)
}

/// Digits in quotes, or plain ones that begin with 0: any other plain number is a decimal one in YAML.
fn mode(file: &[(String, Yaml)]) -> Result<u32, Wrong> {
    let Some(value) = get(file, "permissions") else { return Ok(MODE) };
    let Yaml::Text { text, plain } = value else { return Err(Wrong::Permissions) };
    if *plain && !text.starts_with('0') {
        return Err(Wrong::Permissions);
    }
    let digits = text.strip_prefix("0o").unwrap_or(text);
    let octal = (1..=5).contains(&digits.len()) && digits.bytes().all(|b| (b'0'..=b'7').contains(&b));
    let mode = u32::from_str_radix(digits, 8).ok().filter(|_| octal).ok_or(Wrong::Permissions)?;
    Ok(mode & 0o777)
}

fn content(file: &[(String, Yaml)], gathering: &mut Gathering) -> Result<Vec<u8>, Why> {
    let bytes = match get(file, "content") {
        None => Vec::new(),
        Some(Yaml::Text { text, .. }) => text.clone().into_bytes(),
        Some(Yaml::Bytes(bytes)) => bytes.clone(),
        Some(_) => return Err(Wrong::NotText.into()),
    };
    let encoding = match get(file, "encoding") {
        None => "",
        Some(value) => text(value).ok_or(Wrong::Encoding)?,
    };
    let decoded = match encoding.to_ascii_lowercase().as_str() {
        "" | "text/plain" => return Ok(bytes),
        "b64" | "base64" => base64::decode(&bytes)?,
        "gz" | "gzip" => gzip::unpack(&bytes)?,
        "gz+b64" | "gz+base64" | "gzip+b64" | "gzip+base64" => gzip::unpack(&base64::decode(&bytes)?)?,
        _ => return Err(Wrong::Encoding.into()),
    };
    gathering.unpacked(decoded.len())?;
    Ok(decoded)
}
