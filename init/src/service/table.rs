//! The table of services for an operator's eyes.

use super::protocol::{ServiceStatus, State};
use crate::terminal::{cut, harmless};

/// Columns between two cells.
const GAP: usize = 2;
/// The last cell of a table that is too wide for the terminal keeps at least this (columns).
const LEAST: usize = 8;

/// A column: its heading, and what it says of a service at a time (seconds since 1970).
type Column = (&'static str, fn(&ServiceStatus, u64) -> String);

const COLUMNS: [Column; 8] = [
    ("NAME", |service, _| service.name.clone()),
    ("STATE", |service, _| service.state.word().to_owned()),
    ("READY", |service, _| ready(service).to_owned()),
    ("HEALTH", |service, _| service.health.map_or("-", |health| health.word()).to_owned()),
    ("PID", |service, _| service.pid.map_or_else(|| "-".to_owned(), |pid| pid.to_string())),
    ("RESTARTS", |service, _| service.restarts.to_string()),
    ("SINCE", |service, now| duration(now.saturating_sub(service.since))),
    ("LAST EXIT", last_exit),
];

/// The table, with a line for each service; `now` is in seconds since 1970, `width` that of the terminal, if it is one.
///
/// The last column is cut to the terminal; a column that has nothing to say about any service is left out.
#[must_use]
pub fn render(services: &[ServiceStatus], now: u64, width: Option<usize>) -> String {
    let has_health = services.iter().any(|service| service.health.is_some());
    let columns: Vec<Column> =
        COLUMNS.into_iter().filter(|(heading, _)| *heading != "HEALTH" || has_health).collect();
    let mut rows = vec![columns.iter().map(|(heading, _)| (*heading).to_owned()).collect::<Vec<_>>()];
    rows.extend(services.iter().map(|service| columns.iter().map(|(_, cell)| cell(service, now)).collect()));
    let mut widths = vec![0; columns.len()];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let before_last: usize = widths.iter().rev().skip(1).map(|width| width + GAP).sum();
    let room = width.map_or(usize::MAX, |width| width.saturating_sub(before_last).max(LEAST));
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (index, (cell, width)) in (1..).zip(row.iter().zip(&widths)) {
            let cell = if index == columns.len() { cut(cell, room) } else { cell.clone() };
            line.push_str(&format!("{cell:width$}{:GAP$}", ""));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// Whether it serves; of one that does not run, nothing is to be said.
pub fn ready(service: &ServiceStatus) -> &'static str {
    match (service.state, service.ready) {
        (_, true) => "yes",
        (State::Running | State::Starting, false) => "no",
        (_, false) => "-",
    }
}

/// How it ended last, and what is wrong with it now.
fn last_exit(service: &ServiceStatus, now: u64) -> String {
    let exit = service.last_exit.map(|last| format!("{last}, {} ago", duration(now.saturating_sub(last.at))));
    let problem = service.problem.as_deref().map(harmless);
    match (exit, problem) {
        (None, None) => "-".to_owned(),
        (Some(exit), None) => exit,
        (None, Some(problem)) => problem,
        (Some(exit), Some(problem)) => format!("{exit}; {problem}"),
    }
}

/// Seconds in at most two units.
#[must_use]
pub fn duration(seconds: u64) -> String {
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
    use crate::service::protocol::{Health, LastExit};

    fn slapd() -> ServiceStatus {
        ServiceStatus {
            pid: Some(412),
            ready: true,
            restarts: 1,
            since: 940,
            last_exit: Some(LastExit { exit: Exit::Signal(9), at: 939, oom: true }),
            ..ServiceStatus::new("slapd", State::Running)
        }
    }

    #[test]
    fn columns_line_up() {
        let ntp = ServiceStatus { since: 940, ..ServiceStatus::new("openntpd", State::BackingOff) };
        let blocked = ServiceStatus {
            since: 999,
            problem: Some("waits for slapd".into()),
            ..ServiceStatus::new("web", State::Blocked)
        };
        let expected = "\
NAME      STATE        READY  PID  RESTARTS  SINCE  LAST EXIT
slapd     running      yes    412  1         1m00s  killed by signal 9, out of memory, 1m01s ago
openntpd  backing-off  -      -    0         1m00s  -
web       blocked      -      -    0         1s     waits for slapd
";
        assert_eq!(render(&[slapd(), ntp, blocked], 1000, None), expected);
    }

    #[test]
    fn the_last_column_is_cut_to_the_terminal() {
        let expected = "\
NAME   STATE    READY  PID  RESTARTS  SINCE  LAST EXIT
slapd  running  yes    412  1         1m00s  killed by sign…
";
        assert_eq!(render(&[slapd()], 1000, Some(60)), expected);
    }

    #[test]
    fn health_is_told_where_there_is_any() {
        let ill = ServiceStatus { health: Some(Health::Unhealthy), last_exit: None, ..slapd() };
        let expected = "\
NAME   STATE    READY  HEALTH     PID  RESTARTS  SINCE  LAST EXIT
slapd  running  yes    unhealthy  412  1         1m00s  -
";
        assert_eq!(render(&[ill], 1000, None), expected);
    }

    #[test]
    fn times_have_two_units() {
        let cases = [(0, "0s"), (59, "59s"), (61, "1m01s"), (3660, "1h01m"), (90_000, "1d01h")];
        for (seconds, text) in cases {
            assert_eq!(duration(seconds), text);
        }
    }
}
