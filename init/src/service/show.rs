//! Answers as text: lines of logs, events, one service in full.

use super::protocol::{Event, Health, LogLine, ServiceStatus};
use super::table::{duration, ready};
use crate::terminal::{cut, harmless};

/// A line of a log. On a terminal it cannot command it.
#[must_use]
pub fn line(line: &LogLine, terminal: bool) -> String {
    let text = format!("{} {}{}: {}", line.time, line.source, line.stream.suffix(), line.text);
    if terminal { harmless(&text) } else { text }
}

/// An event, in at most `width` columns.
#[must_use]
pub fn event(event: &Event, width: Option<usize>) -> String {
    let mut text = format!("{} {}: ", event.time, event.service);
    if event.from == event.to {
        text.push_str(event.to.word());
    } else {
        text.push_str(&format!("{} → {}", event.from.word(), event.to.word()));
    }
    if let Some(pid) = event.pid {
        text.push_str(&format!(" (process {pid})"));
    }
    for word in [event.ready.then_some("ready"), event.health.map(Health::word)].into_iter().flatten() {
        text.push_str(&format!(", {word}"));
    }
    if let Some(detail) = &event.detail {
        text.push_str(&format!(": {detail}"));
    }
    let text = harmless(&text);
    width.map_or(text.clone(), |width| cut(&text, width))
}

/// One service in full; `now` is in seconds since 1970.
#[must_use]
pub fn service(service: &ServiceStatus, now: u64) -> String {
    let ago = |time: u64| duration(now.saturating_sub(time));
    let mut text = format!("{}: {} for {}\n", service.name, service.state.word(), ago(service.since));
    let mut fact = |name: &str, value: &str| text.push_str(&format!("  {name:<11} {value}\n"));
    if let Some(pid) = service.pid {
        fact("process", &pid.to_string());
    }
    if ready(service) != "-" {
        fact("ready", ready(service));
    }
    if let Some(health) = service.health {
        fact("health", health.word());
    }
    if !service.wanted {
        fact("wanted", "no: `service stop` was the last word");
    }
    fact(
        "starts",
        &format!("{}, of which {} after it had ended by itself", service.starts, service.restarts),
    );
    if let Some(last) = service.last_exit {
        fact("last exit", &format!("{last}, {} ago", ago(last.at)));
    }
    let stays = service.time_in.iter().map(|(state, millis)| format!("{state} {}", duration(millis / 1000)));
    let stays: Vec<String> = stays.collect();
    if !stays.is_empty() {
        fact("spent", &stays.join(", "));
    }
    if let Some(problem) = &service.problem {
        fact("problem", &harmless(problem));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Exit;
    use crate::service::protocol::{LastExit, State, Stream};

    #[test]
    fn a_line_tells_when_who_and_what_and_cannot_command_a_terminal() {
        let said = LogLine {
            time: "2026-11-22T00:30:28.123456Z".into(),
            source: "slapd".into(),
            stream: Stream::Out,
            text: "\x1b[2Jready".into(),
        };
        assert_eq!(line(&said, true), "2026-11-22T00:30:28.123456Z slapd.out: \\x1b[2Jready");
        assert!(line(&said, false).ends_with(": \x1b[2Jready"));
    }

    #[test]
    fn an_event_tells_what_became_of_what() {
        let change = Event {
            time: "2026-11-22T00:30:28.123456Z".into(),
            service: "slapd".into(),
            from: State::Running,
            to: State::BackingOff,
            ready: false,
            health: None,
            pid: None,
            detail: Some("killed by signal 9".into()),
        };
        let text = "2026-11-22T00:30:28.123456Z slapd: running → backing-off: killed by signal 9";
        assert_eq!(event(&change, None), text);
        assert_eq!(event(&change, Some(45)), "2026-11-22T00:30:28.123456Z slapd: running →…");
        let ill = Event {
            to: State::Running,
            ready: true,
            health: Some(Health::Unhealthy),
            pid: Some(7),
            detail: None,
            ..change
        };
        assert!(event(&ill, None).ends_with(" slapd: running (process 7), ready, unhealthy"));
    }

    #[test]
    fn a_service_in_full_tells_what_there_is() {
        let slapd = ServiceStatus {
            starts: 4,
            restarts: 3,
            since: 940,
            last_exit: Some(LastExit { exit: Exit::Code(1), at: 939, oom: false }),
            problem: Some("no such file".into()),
            time_in: [("running".to_owned(), 61_500), ("starting".to_owned(), 400)].into(),
            ..ServiceStatus::new("slapd", State::BackingOff)
        };
        let expected = "\
slapd: backing-off for 1m00s
  starts      4, of which 3 after it had ended by itself
  last exit   exited with code 1, 1m01s ago
  spent       running 1m01s, starting 0s
  problem     no such file
";
        assert_eq!(service(&slapd, 1000), expected);
    }
}
