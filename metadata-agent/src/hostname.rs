//! Host names: which are valid, and setting one.

use nix::errno::Errno;

/// Longest name that Linux takes (`__NEW_UTS_LEN`, uname(2)), in bytes.
const MAX_KERNEL: usize = 64;
/// The name as a setting, proc_sys_kernel(5).
const FILE: &str = "/proc/sys/kernel/hostname";

/// Whether `name` is a host name by RFC 1123, 2.1: labels of letters, digits and inner hyphens, joined by dots.
#[must_use]
pub fn is_valid(name: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    name.len() <= 253 && name.split('.').all(label)
}

/// As much of a valid name as the kernel takes: all of it, or else its first label.
#[must_use]
pub fn for_kernel(name: &str) -> &str {
    if name.len() <= MAX_KERNEL { name } else { name.split('.').next().unwrap_or(name) }
}

/// Makes `name` the machine's name: by the file that lets the superuser do so without a capability, or else by the call
/// that needs one.
///
/// # Errors
/// The kernel's; EPERM if the file is read-only here and `CAP_SYS_ADMIN` missing.
pub fn set(name: &str) -> Result<(), Errno> {
    let name = for_kernel(name);
    std::fs::write(FILE, name).or_else(|_read_only| nix::unistd::sethostname(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_valid_by_rfc_1123() {
        let label = "a".repeat(63);
        let long = [label.as_str(); 4].join(".");
        for good in ["a", "web-1", "web-1.novalocal", "3com", "A.b.C", &label, &long[..253]] {
            assert!(is_valid(good), "{good}");
        }
        for bad in [
            "",
            ".",
            "a.",
            ".a",
            "a..b",
            "-a",
            "a-",
            "a_b",
            "a b",
            "a\n",
            "a;reboot",
            "naïve",
            &format!("{label}a"),
            &long,
        ] {
            assert!(!is_valid(bad), "{bad:?}");
        }
    }

    #[test]
    fn a_name_too_long_for_the_kernel_is_cut_to_its_first_label() {
        assert_eq!(for_kernel("web.example"), "web.example");
        let long = format!("web.{}", "a".repeat(61));
        assert_eq!(for_kernel(&long), "web");
        let just = format!("web.{}", "a".repeat(60));
        assert_eq!(for_kernel(&just), just);
    }
}
