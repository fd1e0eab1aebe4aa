//! What takes its time: Compute Engine's operations.

use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::{Cloud, GcpError, advice};

/// How often an operation is looked at, as LinuxKit does.
pub(crate) const PAUSE: Duration = Duration::from_millis(500);

/// Where an operation belongs.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Scope<'a> {
    /// To all of the project: images.
    Global,
    /// To a zone: disks and instances.
    Zone(&'a str),
}

impl Scope<'_> {
    /// The path of what belongs there, beneath the project.
    pub(crate) fn path(self, kind: &str) -> String {
        match self {
            Self::Global => format!("global/{kind}"),
            Self::Zone(zone) => format!("zones/{zone}/{kind}"),
        }
    }
}

/// How far an operation is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// Still on it; with its status.
    Running(String),
    /// Done.
    Done,
    /// Failed: the code and the message of each error.
    Failed(String, String),
}

impl Progress {
    pub(crate) fn of(operation: &Value) -> Self {
        if let Some(errors) = operation["error"]["errors"].as_array().filter(|errors| !errors.is_empty()) {
            let text = |error: &Value, member: &str| error[member].as_str().unwrap_or_default().to_owned();
            let messages: Vec<String> = errors
                .iter()
                .map(|error| format!("{}: {}", text(error, "code"), text(error, "message")))
                .collect();
            let code = errors.first().map(|error| text(error, "code"));
            return Self::Failed(code.unwrap_or_default(), messages.join("; "));
        }
        match operation["status"].as_str() {
            Some("DONE") => Self::Done,
            status => Self::Running(status.unwrap_or("without a status").to_owned()),
        }
    }
}

impl Cloud {
    /// Waits for the end of an operation.
    pub(crate) fn finish(
        &self,
        operation: Value,
        scope: Scope<'_>,
        patience: Duration,
        action: &str,
    ) -> Result<(), GcpError> {
        let deadline = Instant::now() + patience;
        let mut operation = operation;
        loop {
            match self.progress(&operation, action)? {
                None => return Ok(()),
                Some(_) if Instant::now() < deadline => thread::sleep(PAUSE),
                Some(status) => {
                    let operation = operation["name"].as_str().unwrap_or_default().to_owned();
                    return Err(GcpError::Late { action: action.to_owned(), operation, status, patience });
                }
            }
            operation = self.look(&operation, scope, action)?;
        }
    }

    /// The operation as it is now.
    pub(crate) fn look(&self, operation: &Value, scope: Scope<'_>, action: &str) -> Result<Value, GcpError> {
        let name = operation["name"].as_str().unwrap_or_default();
        self.get(&format!("{}/{name}", scope.path("operations")), action)
    }

    /// What an operation is at; `None` when it is done.
    pub(crate) fn progress(&self, operation: &Value, action: &str) -> Result<Option<String>, GcpError> {
        match Progress::of(operation) {
            Progress::Done => Ok(None),
            Progress::Running(status) => Ok(Some(status)),
            Progress::Failed(code, message) => Err(GcpError::Failed {
                action: action.to_owned(),
                message,
                advice: advice::of_operation(&code, self.project()),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_operation_is_done_only_when_it_has_no_error() {
        let error = json!({ "errors": [
            { "code": "QUOTA_EXCEEDED", "message": "Quota exceeded." }, { "code": "B", "message": "b" },
        ] });
        for (operation, expected) in [
            (json!({ "status": "PENDING" }), Progress::Running("PENDING".into())),
            (json!({ "status": "DONE" }), Progress::Done),
            (json!({ "status": "DONE", "error": { "errors": [] } }), Progress::Done),
            (
                json!({ "status": "DONE", "error": error }),
                Progress::Failed("QUOTA_EXCEEDED".into(), "QUOTA_EXCEEDED: Quota exceeded.; B: b".into()),
            ),
            (json!(null), Progress::Running("without a status".into())),
        ] {
            assert_eq!(Progress::of(&operation), expected);
        }
        assert_eq!(Scope::Zone("z").path("disks"), "zones/z/disks");
    }
}
