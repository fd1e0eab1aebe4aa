//! The table of services for an operator's eyes.

use super::protocol::ServiceStatus;

const HEADINGS: [&str; 6] = ["NAME", "STATE", "PID", "RESTARTS", "SINCE", "LAST EXIT"];

/// The table, with a line for each service; `now` is in seconds since 1970.
#[must_use]
pub fn render(services: &[ServiceStatus], now: u64) -> String {
    let mut rows = vec![HEADINGS.map(str::to_owned)];
    rows.extend(services.iter().map(|service| row(service, now)));
    let mut widths = [0; 6];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(widths) {
            line.push_str(&format!("{cell:width$}  "));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

fn row(service: &ServiceStatus, now: u64) -> [String; 6] {
    let ago = |time: u64| duration(now.saturating_sub(time));
    [
        service.name.clone(),
        service.state.word().to_owned(),
        service.pid.map_or_else(|| "-".to_owned(), |pid| pid.to_string()),
        service.restarts.to_string(),
        ago(service.since),
        service
            .last_exit
            .map_or_else(|| "-".to_owned(), |last| format!("{}, {} ago", last.exit, ago(last.at))),
    ]
}

/// Seconds in at most two units.
fn duration(seconds: u64) -> String {
    let (days, hours, minutes) = (seconds / 86400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, _) => format!("{minutes}m{:02}s", seconds % 60),
        (0, _, _) => format!("{hours}h{minutes:02}m"),
        _ => format!("{days}d{hours:02}h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Exit;
    use crate::service::protocol::{LastExit, State};

    #[test]
    fn columns_line_up() {
        let slapd = ServiceStatus {
            pid: Some(412),
            restarts: 1,
            since: 940,
            last_exit: Some(LastExit { exit: Exit::Signal(9), at: 939, oom: false }),
            ..ServiceStatus::new("slapd", State::Running)
        };
        let ntp = ServiceStatus {
            name: "openntpd".into(),
            state: State::BackingOff,
            pid: None,
            last_exit: None,
            ..slapd.clone()
        };
        let expected = "\
NAME      STATE        PID  RESTARTS  SINCE  LAST EXIT
slapd     running      412  1         1m00s  killed by signal 9, 1m01s ago
openntpd  backing-off  -    1         1m00s  -
";
        assert_eq!(render(&[slapd, ntp], 1000), expected);
    }

    #[test]
    fn times_have_two_units() {
        let cases = [(0, "0s"), (59, "59s"), (61, "1m01s"), (3660, "1h01m"), (90_000, "1d01h")];
        for (seconds, text) in cases {
            assert_eq!(duration(seconds), text);
        }
    }
}
