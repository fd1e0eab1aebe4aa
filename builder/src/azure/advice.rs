//! What can be done about what Azure says. Each begins where the message ends.

use crate::http::Trouble;

/// What to do when no token is to be had.
pub fn of_log_in(trouble: &Trouble) -> &'static str {
    match trouble {
        Trouble::Refused { status: 400 | 401, .. } => {
            "; check AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET: secrets expire (`az ad sp credential reset`)"
        }
        _ => "",
    }
}

/// What to do about an error with this code and message. Quotas hide behind a code of many meanings.
pub fn of_error(code: &str, message: &str) -> &'static str {
    let quota = || message.to_ascii_lowercase().contains("quota");
    match code {
        "AuthorizationFailed" | "LinkedAuthorizationFailed" => {
            "; the service principal needs the role Contributor for the resource group (`az role assignment create`)"
        }
        "SubscriptionNotFound" | "InvalidSubscriptionId" => "; check AZURE_SUBSCRIPTION_ID",
        "ResourceGroupNotFound" => "; make it with `az group create`, or name another one",
        "SkuNotAvailable" | "AllocationFailed" | "ZonalAllocationFailed" => {
            "; choose another --machine or --location, or try again later"
        }
        "QuotaExceeded" => QUOTA,
        "OperationNotAllowed" if quota() => QUOTA,
        "StorageAccountAlreadyTaken" => "; names of storage accounts are all of Azure's: choose another one",
        "KeyBasedAuthenticationNotPermitted" => {
            "; allow the storage account's keys to be used (allowSharedKeyAccess)"
        }
        "AuthenticationFailed" => "; is this machine's clock wrong?",
        "LeaseIdMissing" => {
            "; a machine uses the blob as its disk: delete that one, or use another storage account"
        }
        _ => "",
    }
}

const QUOTA: &str = "; delete what is not needed, ask for more (`az vm list-usage` shows what there is), or choose another region";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_refusal_has_its_advice() {
        for (code, message, says) in [
            ("AuthorizationFailed", "", "role Contributor"),
            ("QuotaExceeded", "", "ask for more"),
            ("OperationNotAllowed", "exceeding approved Total Regional Cores quota", "ask for more"),
            ("OperationNotAllowed", "The disk is attached.", ""),
            ("SkuNotAvailable", "", "--machine"),
            ("Other", "", ""),
        ] {
            let advice = of_error(code, message);
            assert!(advice.contains(says) && advice.is_empty() == says.is_empty(), "{advice}");
        }
    }
}
