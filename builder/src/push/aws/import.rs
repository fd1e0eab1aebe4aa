//! Of the object in S3, the snapshot.

use std::thread;
use std::time::{Duration, Instant};

use super::{PATIENCE, PushError, left};
use crate::aws::{self, Account, AwsError, Element, Object};

/// The longest pause between two looks at it; the first is a second, and each further one twice as long.
const PAUSE: Duration = Duration::from_secs(15);

/// Makes a snapshot of an object, and returns its id when it is complete.
pub(super) fn import(account: &Account, name: &str, object: &Object<'_>) -> Result<String, PushError> {
    let description = format!("{name} disk");
    let token = aws::token(object.key);
    let fields = [
        ("ClientToken", token.as_str()),
        ("Description", name),
        ("DiskContainer.Description", &description),
        ("DiskContainer.Format", "raw"),
        ("DiskContainer.UserBucket.S3Bucket", object.bucket),
        ("DiskContainer.UserBucket.S3Key", object.key),
    ];
    let action = format!("import {object} as a snapshot");
    let answer = account.ec2("ImportSnapshot", &fields, true, &action)?;
    let task = answer.text("importTaskId").ok_or(AwsError::Answer { action, member: "importTaskId" })?;
    wait(account, task).map_err(|failure| match failure {
        // It is over by itself.
        failure @ PushError::Import { .. } => failure,
        failure => {
            match account.ec2("CancelImportTask", &[("ImportTaskId", task)], true, &format!("cancel {task}"))
            {
                Ok(_) => failure,
                Err(why) => left(format!("import task {task}"), failure, why),
            }
        }
    })
}

fn wait(account: &Account, task: &str) -> Result<String, PushError> {
    let (deadline, mut pause) = (Instant::now() + PATIENCE, Duration::from_secs(1));
    let action = format!("look at import task {task}");
    loop {
        let answer =
            account.ec2("DescribeImportSnapshotTasks", &[("ImportTaskId.1", task)], true, &action)?;
        match progress(&answer) {
            Progress::Done(snapshot) => return Ok(snapshot),
            Progress::Goes if Instant::now() < deadline => {
                thread::sleep(pause);
                pause = (pause * 2).min(PAUSE);
            }
            Progress::Goes => return Err(PushError::Late { task: task.to_owned() }),
            Progress::Over { status, message } => {
                return Err(PushError::Import { task: task.to_owned(), status, message });
            }
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Progress {
    Goes,
    Done(String),
    Over { status: String, message: String },
}

fn progress(answer: &Element) -> Progress {
    let detail = "importSnapshotTaskSet/item/snapshotTaskDetail";
    let said = |member: &str| answer.text(&format!("{detail}/{member}")).unwrap_or_default().to_owned();
    match (said("status").as_str(), said("snapshotId")) {
        ("completed", snapshot) if !snapshot.is_empty() => Progress::Done(snapshot),
        ("active" | "pending" | "converting" | "updating" | "updated", _) => Progress::Goes,
        (status, _) => {
            let status = if status.is_empty() { "not known any more" } else { status };
            Progress::Over { status: status.to_owned(), message: said("statusMessage") }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_goes_on_or_is_over() {
        let task = |detail: &str| {
            let text = format!(
                "<R><importSnapshotTaskSet><item><snapshotTaskDetail>{detail}</snapshotTaskDetail></item></importSnapshotTaskSet></R>"
            );
            progress(&Element::parse(&text).unwrap())
        };
        assert_eq!(task("<status>active</status><progress>3</progress>"), Progress::Goes);
        assert_eq!(task("<status>completed</status><snapshotId>s</snapshotId>"), Progress::Done("s".into()));
        let over =
            |status: &str, message: &str| Progress::Over { status: status.into(), message: message.into() };
        assert_eq!(
            task("<status>deleted</status><statusMessage>no disk</statusMessage>"),
            over("deleted", "no disk")
        );
        assert_eq!(task("<status>completed</status>"), over("completed", ""));
        assert_eq!(progress(&Element::parse("<R/>").unwrap()), over("not known any more", ""));
    }
}
