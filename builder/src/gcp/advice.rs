//! What can be done about what Google Cloud says. Each begins where the message ends.

use serde_json::Value;

use crate::http::Trouble;

/// What to do when no token is to be had.
pub fn of_log_in(trouble: &Trouble) -> &'static str {
    match trouble {
        Trouble::Refused { status: 400 | 401, .. } => {
            "; is the key deleted or the login expired, or is this machine's clock wrong?"
        }
        _ => "",
    }
}

/// What to do about an answer with this status and body.
pub fn of_answer(status: u16, body: &[u8], who: &str, project: &str) -> String {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let error = &body["error"];
    let reason = error["errors"][0]["reason"].as_str().unwrap_or_default();
    match (status, reason) {
        (_, "quotaExceeded" | "rateLimitExceeded") => of_quota(project),
        (_, "accessNotConfigured") => {
            format!("; enable it with `gcloud services enable compute.googleapis.com --project {project}`")
        }
        (_, "billingNotEnabled" | "accountDisabled") => {
            format!("; project {project} needs a billing account")
        }
        (401, _) => "; is the key deleted, or is this machine's clock wrong?".into(),
        (403, _) => format!(
            "; {who} needs the roles roles/compute.instanceAdmin.v1 in project {project} and roles/storage.objectAdmin \
             for the bucket"
        ),
        _ => String::new(),
    }
}

/// What to do about an operation that failed with this code.
pub fn of_operation(code: &str, project: &str) -> String {
    match code {
        "QUOTA_EXCEEDED" => of_quota(project),
        "ZONE_RESOURCE_POOL_EXHAUSTED" | "ZONE_RESOURCE_POOL_EXHAUSTED_WITH_DETAILS" => {
            "; choose another --zone or --machine, or try again later".into()
        }
        _ => String::new(),
    }
}

fn of_quota(project: &str) -> String {
    format!(
        "; delete what project {project} does not need, or ask for more (gcloud compute project-info describe)"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_refusal_has_its_advice() {
        let body =
            |reason: &str| format!(r#"{{"error":{{"message":"m","errors":[{{"reason":"{reason}"}}]}}}}"#);
        for (status, reason, says) in [
            (403, "quotaExceeded", "ask for more"),
            (403, "accessNotConfigured", "services enable"),
            (403, "forbidden", "robot needs the roles"),
            (401, "authError", "clock"),
        ] {
            let advice = of_answer(status, body(reason).as_bytes(), "robot", "p");
            assert!(advice.contains(says), "{advice}");
        }
        assert_eq!(of_answer(404, b"<html>", "robot", "p"), "");
        assert!(of_operation("ZONE_RESOURCE_POOL_EXHAUSTED", "p").contains("--zone"));
        assert_eq!(of_operation("OTHER", "p"), "");
    }
}
