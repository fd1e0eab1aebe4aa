//! The machine's clock, where neither hardware nor kernel knew the time.

use super::super::machine::Machine;
use super::super::system::System;

/// 1 January 2026, in seconds: a clock before it was never set, or lost its battery.
const LONG_AGO: i64 = 1_767_225_600;
/// The real-time clock, in seconds since 1970 (UTC).
const RTC: &str = "/sys/class/rtc/rtc0/since_epoch";
/// Says when the kernel was built.
const KERNEL: &str = "/proc/version";
/// As old as the image, if whoever built it did not set all times to one of long ago.
const IMAGE: &str = "/init";

/// Corrects a clock that cannot be right. The kernel sets it by the hardware's, unless the driver of that is a module.
///
/// What is left without hardware is that the machine is younger than its kernel: close enough for most certificates, until
/// somebody who knows the time sets the clock.
pub fn set<S: System>(machine: &mut Machine<S>) {
    if machine.system.clock().is_ok_and(|seconds| seconds >= LONG_AGO) {
        return;
    }
    let rtc = machine.system.read(RTC).ok().and_then(|text| text.trim().parse::<i64>().ok());
    if let Some(seconds) = rtc.filter(|seconds| *seconds >= LONG_AGO) {
        let result = machine.system.set_clock(seconds);
        machine.check(result, "set the clock");
        return;
    }
    let kernel = machine.system.read(KERNEL).ok().and_then(|text| built(&text));
    let image = machine.system.modified(IMAGE).ok();
    let seconds = [kernel, image].into_iter().flatten().fold(LONG_AGO, i64::max);
    let result = machine.system.set_clock(seconds);
    if machine.check(result, "set the clock") {
        machine.say(format_args!(
            "the hardware does not know the time: the clock is set to when the image was made, {}",
            date(seconds)
        ));
    }
}

/// The date in a kernel's version: Debian's `(2025-11-05)`, or the C library's `Wed Nov  5 12:34:56 UTC 2025`; midnight,
/// in seconds since 1970.
fn built(version: &str) -> Option<i64> {
    let words: Vec<&str> = version.split_whitespace().collect();
    let debian = words.iter().rev().find_map(|word| {
        let mut fields = word.strip_prefix('(')?.strip_suffix(')')?.splitn(3, '-').map(str::parse::<i64>);
        Some((fields.next()?.ok()?, fields.next()?.ok()?, fields.next()?.ok()?))
    });
    let plain = || {
        let [month, day, _time, _zone, year] = words.last_chunk::<5>()?;
        const MONTHS: [&str; 12] =
            ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
        let month = MONTHS.iter().zip(1..).find_map(|(name, number)| (name == month).then_some(number))?;
        Some((year.parse().ok()?, month, day.parse().ok()?))
    };
    let (year, month, day) = debian.or_else(plain)?;
    let is_date = (1970..2200).contains(&year) && (1..=12).contains(&month) && (1..=31).contains(&day);
    is_date.then(|| days(year, month, day) * 86_400)
}

/// Days from 1 January 1970 to a date of the Gregorian calendar. Years begin in March, so that leap days are last.
const fn days(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month <= 2 { (year - 1, month + 9) } else { (year, month - 3) };
    let leap_days = year / 4 - year / 100 + year / 400;
    365 * year + leap_days + (153 * month + 2) / 5 + day - 1 - 719_468
}

/// The date of a time after 1970, as `2025-11-05`.
fn date(seconds: i64) -> String {
    let target = seconds / 86_400;
    // The year is not before this one, and at most one after it.
    let guess = 1970 + target / 366;
    let year = (guess..).take_while(|year| days(*year, 1, 1) <= target).last().unwrap_or(guess);
    let month = (1..=12).take_while(|month| days(year, *month, 1) <= target).last().unwrap_or(1);
    format!("{year}-{month:02}-{:02}", target - days(year, month, 1) + 1)
}

#[cfg(test)]
mod tests {
    use nix::errno::Errno;
    use proptest::prelude::*;

    use super::super::super::fake::machine;
    use super::*;

    #[test]
    fn the_clock_is_set_only_when_nobody_has() {
        let cases = [
            (LONG_AGO, "1900000000", None, false),
            (LONG_AGO - 1, "1900000000\n", Some("set_clock 1900000000"), false),
            (0, "1900000000\n", Some("set_clock 1900000000"), false),
            (0, "17", Some("set_clock 1767225600"), true),
            (0, "", Some("set_clock 1767225600"), true),
        ];
        for (clock, rtc, call, said) in cases {
            let mut machine = machine(|fake| {
                fake.clock = clock;
                fake.file(RTC, rtc);
            });
            set(&mut machine);
            assert_eq!(machine.system.calls.first().map(String::as_str), call);
            assert_eq!(machine.system.has_said("clock"), said);
        }
    }

    #[test]
    fn without_hardware_it_is_set_to_when_the_image_was_made() {
        let debian =
            "Linux version 6.12.57 (x@y) (gcc (Debian 14.2.0) 14.2.0) #1 SMP Debian 6.12.57-1 (2026-03-05)";
        let cases = [("", 1_800_000_000), (debian, 1_772_668_800), (debian, 0)];
        for (version, modified) in cases {
            let mut machine = machine(|fake| {
                fake.clock = 0;
                fake.file(KERNEL, version);
                fake.file("/init#modified", &modified.to_string());
            });
            set(&mut machine);
            let expected = if version.is_empty() {
                (1_800_000_000_i64, "2027-01-15")
            } else {
                (1_772_668_800, "2026-03-05")
            };
            assert_eq!(machine.system.calls, [format!("set_clock {}", expected.0)]);
            assert!(machine.system.has_said(expected.1), "{:?}", machine.system.log);
        }
    }

    #[test]
    fn a_clock_that_cannot_be_set_is_said() {
        let mut machine = machine(|fake| {
            fake.clock = 0;
            fake.fail("set_clock", Errno::EPERM);
        });
        set(&mut machine);
        assert!(machine.system.has_said("cannot set the clock: EPERM"));
    }

    #[test]
    fn a_kernels_date_is_found_in_its_version() {
        let cases = [
            ("#1 SMP PREEMPT_DYNAMIC Debian 6.12.57-1 (2025-11-05)", Some(days(2025, 11, 5))),
            ("#1 SMP PREEMPT_DYNAMIC Wed Nov  5 12:34:56 UTC 2025", Some(days(2025, 11, 5))),
            ("(2025-13-05)", None),
            ("(a-b-c) Nov", None),
            ("", None),
        ];
        for (version, expected) in cases {
            assert_eq!(built(version), expected.map(|days| days * 86_400), "{version}");
        }
    }

    #[test]
    fn days_are_counted_from_1970() {
        let cases = [((1970, 1, 1), 0), ((1972, 3, 1), 790), ((2000, 2, 29), 11_016), ((2026, 1, 1), 20_454)];
        for ((year, month, day), expected) in cases {
            assert_eq!(days(year, month, day), expected);
            assert_eq!(date(expected * 86_400 + 86_399), format!("{year}-{month:02}-{day:02}"));
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_version(text in ".*|[(0-9-) ]{0,40}") {
            std::hint::black_box(built(&text));
        }
    }
}
