//! The lines of a response's head, each by itself.

/// Whether `bytes`, as far as they go, begin with `prefix`.
pub fn prefix_fits(bytes: &[u8], prefix: &[u8]) -> bool {
    bytes.iter().zip(prefix).all(|(a, b)| a == b)
}

/// `HTTP/1.x NNN[ reason]` (RFC 9112, 4).
pub fn parse_status_line(line: &[u8]) -> Option<u16> {
    let [minor, b' ', a, b, c, rest @ ..] = line.strip_prefix(b"HTTP/1.")? else { return None };
    let reason_apart = rest.is_empty() || rest.starts_with(b" ");
    let status = u16::try_from(parse_number(&[*a, *b, *c], 10)?).ok()?;
    (minor.is_ascii_digit() && reason_apart && status >= 100).then_some(status)
}

/// `name: value` (RFC 9112, 5), the name in lower case, the value without space around it.
pub fn parse_field(line: &[u8]) -> Option<(String, &[u8])> {
    let colon = line.iter().position(|&b| b == b':')?;
    let (name, value) = (line.get(..colon)?, line.get(colon + 1..)?);
    let token = |b: &u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(b);
    if name.is_empty() || !name.iter().all(token) {
        return None;
    }
    if value.iter().any(|&b| b != b'\t' && b.is_ascii_control()) {
        return None;
    }
    let name = String::from_utf8(name.to_ascii_lowercase()).ok()?;
    Some((name, value.trim_ascii()))
}

/// Digits alone: no sign, no space, at least one.
pub fn parse_number(digits: &[u8], radix: u32) -> Option<u64> {
    if digits.is_empty() || !digits.iter().all(|&b| char::from(b).is_digit(radix)) {
        return None;
    }
    u64::from_str_radix(std::str::from_utf8(digits).ok()?, radix).ok()
}
