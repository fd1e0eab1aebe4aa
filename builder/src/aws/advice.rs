//! What to do about what AWS refuses.

/// Advice about an error code, with a semicolon before it; nothing where the message says it all. `region` is the one
/// that S3 says a bucket is in.
pub(super) fn after(code: &str, region: Option<&str>) -> String {
    let advice = match code {
        "AuthFailure" | "InvalidClientTokenId" | "InvalidAccessKeyId" | "SignatureDoesNotMatch" => {
            "check the access key and its secret key".into()
        }
        "ExpiredToken" => "the session is over: get a new AWS_SESSION_TOKEN and its keys".into(),
        "RequestExpired" | "RequestTimeTooSkewed" => "check this machine's clock".into(),
        "UnauthorizedOperation" | "AccessDenied" => {
            "the keys are known, but their policy does not allow this".into()
        }
        "OptInRequired" => "enable the region for the account".into(),
        "NoSuchBucket" => "make it with `aws s3 mb s3://BUCKET`, in this region".into(),
        "PermanentRedirect" | "AuthorizationHeaderMalformed" | "IllegalLocationConstraintException" => {
            match region {
                Some(region) => format!("the bucket is in {region}: set AWS_REGION to that"),
                None => "the bucket is in another region: set AWS_REGION to that".into(),
            }
        }
        "InvalidParameter" => {
            "if it speaks of the role vmimport, make that as VM Import/Export's documentation says".into()
        }
        "InvalidAMIName.Duplicate" => {
            "deregister the image of this name, or choose another with --img-name".into()
        }
        code if code.ends_with("LimitExceeded") && code != "RequestLimitExceeded" => {
            "that is a quota: end what is not needed any more, or have it raised under Service Quotas".into()
        }
        "InsufficientInstanceCapacity" => "try another --zone or --machine".into(),
        _ => String::new(),
    };
    if advice.is_empty() { advice } else { format!("; {advice}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_done_about_is_said() {
        for (code, says) in [
            ("AuthFailure", "; check the access key"),
            ("ExpiredToken", "; the session is over"),
            ("RequestTimeTooSkewed", "clock"),
            ("VcpuLimitExceeded", "quota"),
            ("SnapshotLimitExceeded", "quota"),
            ("PermanentRedirect", "the bucket is in eu-west-3"),
        ] {
            assert!(after(code, Some("eu-west-3")).contains(says), "{code}");
        }
        assert_eq!(after("RequestLimitExceeded", None), "");
    }
}
