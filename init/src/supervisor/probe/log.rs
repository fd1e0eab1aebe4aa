//! Whether a service writes a certain line.

use std::time::Duration;

use regex_lite::Regex;

use crate::supervisor::logs::Follower;

/// Hears what a service says.
#[derive(Debug)]
pub struct Listener {
    pattern: Regex,
    lines: Follower,
}

impl Listener {
    /// Listens for lines in which `pattern` finds something.
    ///
    /// # Errors
    /// What is wrong with the pattern.
    pub fn new(pattern: &str, lines: Follower) -> Result<Self, String> {
        let pattern = Regex::new(pattern)
            .map_err(|error| format!("{pattern:?} is not a regular expression: {error}"))?;
        Ok(Self { pattern, lines })
    }

    /// Waits for such a line, and takes what others have come by then, so that the next call hears only newer ones.
    ///
    /// # Errors
    /// When none has come after `limit`.
    pub async fn hear(&mut self, limit: Duration) -> Result<(), String> {
        let Self { pattern, lines } = self;
        let matching = async {
            while let Some(line) = lines.next().await {
                if pattern.is_match(&line.text) {
                    return true;
                }
            }
            false
        };
        if !tokio::time::timeout(limit, matching).await.unwrap_or(false) {
            return Err(format!("no line with {:?} in its log", pattern.as_str()));
        }
        while let Ok(Some(_)) = tokio::time::timeout(Duration::ZERO, lines.next()).await {}
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use tokio::task::LocalSet;

    use super::*;
    use crate::supervisor::logs::Logs;

    fn local<T>(work: impl AsyncFnOnce(Rc<Logs>) -> T) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let dir = tempfile::tempdir().unwrap();
        LocalSet::new().block_on(&runtime, async { work(Logs::for_test(dir.path())).await })
    }

    #[test]
    fn a_line_is_heard_when_it_comes() {
        local(async |logs| {
            let mut listener = Listener::new("^(ready|serving) [0-9]+$", logs.follow("a")).unwrap();
            logs.say("a", "starting");
            logs.say("b", "ready 7");
            let writer = async { logs.say("a", "ready 5") };
            let (heard, ()) = tokio::join!(listener.hear(Duration::from_secs(60)), writer);
            assert_eq!(heard, Ok(()));
        });
    }

    #[test]
    fn an_old_line_is_not_heard_again() {
        local(async |logs| {
            let mut listener = Listener::new("beat", logs.follow("a")).unwrap();
            for _ in 0..3 {
                logs.say("a", "beat");
            }
            assert_eq!(listener.hear(Duration::from_millis(1)).await, Ok(()));
            let silence = listener.hear(Duration::from_millis(1)).await;
            assert_eq!(silence, Err("no line with \"beat\" in its log".into()));
            logs.say("a", "beat");
            assert_eq!(listener.hear(Duration::from_millis(1)).await, Ok(()));
        });
    }

    #[test]
    fn a_pattern_that_is_none_is_told() {
        local(async |logs| {
            let error = Listener::new("(", logs.follow("a")).unwrap_err();
            assert!(error.contains("\"(\" is not a regular expression"), "{error}");
        });
    }
}
