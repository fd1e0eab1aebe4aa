//! `lkb push azure` and `lkb run azure` against an Azure that answers as it should, and one that does not.

mod endpoint;
mod microsoft;

use endpoint::{Answer, Server, said};
use microsoft::*;
use serde_json::json;

#[test]
fn a_disk_is_uploaded_without_its_zeros_and_made_an_image() {
    let (desk, server) = (Desk::new(10), Microsoft::usual());
    let (code, stdout, stderr) = desk.push(&server, &["--uefi"]);
    let id = MAKE.strip_prefix("PUT ").unwrap();
    assert_eq!((code, stdout.trim_end()), (Some(0), id), "{stderr}");
    assert_eq!(
        server.asked(),
        [TOKEN, ACCOUNT, KEYS, CONTAINER, BLOB, BLOB, BLOB, BLOB, DELETE, MAKE, OPERATION, LOOK]
    );
    assert!(blob(&server) == std::fs::read(&desk.disk).unwrap(), "the blob is the file");
    let sent: usize = server
        .requests()
        .iter()
        .filter(|request| request.what == BLOB)
        .map(|request| request.body.len())
        .sum();
    assert_eq!(sent, 3 * (64 << 10) + 512);
    let image = server.request(MAKE).json();
    assert_eq!(
        (&image["location"], &image["properties"]["hyperVGeneration"]),
        (&json!("northeurope"), &json!("V2"))
    );
    let blob = format!("http://127.0.0.1:{}/blobs/linuxkitcontainer/linuxkitimage.vhd", server.port);
    assert_eq!(image["properties"]["storageProfile"]["osDisk"]["blobUri"], blob);
    let form = String::from_utf8(server.request(TOKEN).body).unwrap();
    assert!(
        form.starts_with("grant_type=client_credentials&client_id=robot&client_secret=a-secret&scope="),
        "{form}"
    );
}

#[test]
fn a_container_that_is_there_already_is_used() {
    let server = Microsoft::but(CONTAINER, storage_refusal(409, "ContainerAlreadyExists", "It is there."));
    let (code, _, stderr) = Desk::new(1).push(&server, &[]);
    assert_eq!(code, Some(0), "{stderr}");
}

#[test]
fn pages_that_break_off_are_sent_again() {
    let desk = Desk::new(10);
    let server = Server::new(Microsoft::new(|_, _| None).cutting(1000));
    let (code, _, stderr) = desk.push(&server, &[]);
    assert_eq!(code, Some(0), "{stderr}");
    assert!(server.requests().iter().any(|request| request.cut), "one broke off");
    assert!(blob(&server) == std::fs::read(&desk.disk).unwrap(), "the blob is the file");
}

#[test]
fn an_azure_that_does_not_know_us_is_told_nothing_more() {
    let refused = json!({
        "error": "invalid_client",
        "error_description": "AADSTS7000222: The provided client secret keys are expired.\r\nTrace ID: 1",
    });
    let server = Microsoft::but(TOKEN, Answer::json(401, refused));
    let (code, _, stderr) = Desk::new(1).push(&server, &[]);
    assert_eq!(code, Some(1));
    for says in ["401: invalid_client: AADSTS7000222", "az ad sp credential reset"] {
        assert!(stderr.contains(says) && !stderr.contains("Trace ID"), "{stderr}");
    }
    assert_eq!(server.asked(), [TOKEN]);
}

#[test]
fn an_account_that_is_refused_gets_no_blob() {
    for (what, answer, says) in [
        (ACCOUNT, refusal(404, "ResourceNotFound", "no"), "cannot use storage account acc: there is none"),
        (
            ACCOUNT,
            refusal(403, "AuthorizationFailed", "robot may not."),
            "403: AuthorizationFailed: robot may not.; the service principal needs the role",
        ),
        (KEYS, refusal(403, "AuthorizationFailed", "robot may not."), "cannot list the keys of acc"),
        (
            CONTAINER,
            storage_refusal(403, "KeyBasedAuthenticationNotPermitted", "Keys are off."),
            "allowSharedKeyAccess",
        ),
    ] {
        let server = Microsoft::but(what, answer);
        let (code, stdout, stderr) = Desk::new(1).push(&server, &[]);
        assert_eq!((code, stdout.as_str()), (Some(1), ""));
        assert!(stderr.contains(says), "{stderr}\nis not\n{says}");
        assert_eq!(server.asked().last().unwrap(), what);
    }
}

#[test]
fn a_disk_that_does_not_arrive_is_deleted() {
    let server = Server::new(Microsoft::new(|request, before| {
        let refused = || storage_refusal(400, "Crc64Mismatch", "The CRC64 value does not match.");
        (request.what == BLOB && before > 1).then(refused)
    }));
    let (code, _, stderr) = Desk::new(10).push(&server, &[]);
    assert_eq!(code, Some(1));
    assert!(
        stderr.contains("of blob linuxkitcontainer/linuxkitimage.vhd: the cloud answers 400: Crc64Mismatch"),
        "{stderr}"
    );
    assert_eq!(server.asked().last().unwrap(), DELETE_BLOB);
    assert!(!server.asked().contains(&MAKE.to_owned()));
}

#[test]
fn an_image_that_cannot_be_made_leaves_nothing() {
    let quota = "Operation could not be completed as it results in exceeding approved quota.";
    let error = json!({ "code": "QuotaExceeded", "message": quota });
    let failed = || Answer::json(200, json!({ "status": "Failed", "error": error }));
    let state = |state: &str| Answer::json(200, json!({ "properties": { "provisioningState": state } }));
    for (what, answer, says) in [
        (MAKE, refusal(409, "QuotaExceeded", quota), "409: QuotaExceeded: Operation could not"),
        (
            MAKE,
            refusal(400, "InvalidParameter", "The blob is no VHD."),
            "InvalidParameter: The blob is no VHD.",
        ),
        (
            OPERATION,
            failed(),
            "Azure says QuotaExceeded: Operation could not be completed as it results in exceeding approved quota.; delete what is not needed",
        ),
        (LOOK, state("Failed"), "cannot make image web: Azure says Failed"),
    ] {
        let server = Microsoft::but(what, answer);
        let (code, stdout, stderr) = Desk::new(1).push(&server, &[]);
        assert_eq!((code, stdout.as_str()), (Some(1), ""), "{says}");
        assert!(stderr.contains(says), "{stderr}\nis not\n{says}");
        let asked = server.asked();
        assert_eq!(asked[asked.len() - 2..], [DELETE, DELETE_BLOB], "{asked:#?}");
    }
}

#[test]
fn an_image_that_takes_its_time_is_waited_for_but_not_for_ever() {
    let running = || Answer::json(200, json!({ "status": "InProgress" })).with("Retry-After", "0");
    let server = Server::new(Microsoft::new(move |request, before| {
        (request.what == OPERATION && before < 3).then(running)
    }));
    let (code, _, stderr) = Desk::new(1).push(&server, &[]);
    assert_eq!(code, Some(0), "{stderr}");
    assert_eq!(server.asked().iter().filter(|what| *what == OPERATION).count(), 4);
    let server = Microsoft::but(OPERATION, running());
    let (code, _, stderr) = Desk::new(1).push(&server, &["--timeout", "1"]);
    assert_eq!(code, Some(1));
    assert!(stderr.contains("it is still InProgress after 1 s; allow more with --timeout"), "{stderr}");
    assert_eq!(server.asked().last().unwrap(), DELETE_BLOB);
}

#[test]
fn an_image_of_the_same_name_is_replaced_only_after_the_upload() {
    let server = Microsoft::but(DELETE, Answer::empty(200));
    let (code, _, stderr) = Desk::new(1).push(&server, &[]);
    assert_eq!(code, Some(0), "{stderr}");
    assert!(stderr.contains("there was an image web already"), "{stderr}");
    let asked = server.asked();
    let at = |what: &str| asked.iter().rposition(|asked| asked == what).unwrap();
    assert!(at(BLOB) < at(DELETE) && at(DELETE) < at(MAKE), "{asked:#?}");
}

#[test]
fn a_question_that_is_cut_off_is_asked_again() {
    let server = Server::new(Microsoft::new(|request, before| {
        (request.what == MAKE && before == 0).then_some(Answer::HangUp)
    }));
    let (code, _, stderr) = Desk::new(1).push(&server, &[]);
    assert_eq!(code, Some(0), "{stderr}");
    assert_eq!(server.asked().iter().filter(|what| *what == MAKE).count(), 2);
}

#[test]
fn what_azure_would_not_take_never_leaves() {
    let (desk, server) = (Desk::new(1), Microsoft::usual());
    let content = std::fs::read(&desk.disk).unwrap();
    for (len, says) in [(content.len() - 512, "does not end in a footer"), (100, "it has no footer")] {
        std::fs::write(&desk.disk, &content[..len]).unwrap();
        let (code, _, stderr) = desk.push(&server, &[]);
        assert_eq!(code, Some(1));
        assert!(stderr.contains(says) && stderr.contains("lkb build --format vhd"), "{stderr}");
    }
    let (_, _, stderr) = desk.push(&server, &["--img-name", "a/b"]);
    assert!(stderr.contains("cannot call an image \"a/b\""), "{stderr}");
    assert_eq!(server.asked(), [""; 0]);
}

#[test]
fn a_machine_gets_a_network_of_its_own_and_its_user_data() {
    let (desk, server) = (Desk::new(1), Microsoft::usual());
    let (code, stdout, stderr) = desk.run(&server, &["--data", "#cloud"]);
    assert_eq!(code, Some(0), "{stderr}");
    assert!(stdout.starts_with("linuxkitvm"), "{stdout}");
    assert!(stderr.contains("ssh root@vm.example"), "{stderr}");
    let machine = asked_for(&server, "virtualMachines")["properties"].clone();
    assert_eq!(machine["osProfile"]["customData"], "I2Nsb3Vk");
    assert_eq!(machine["userData"], "I2Nsb3Vk");
    assert_eq!(machine["hardwareProfile"]["vmSize"], "Standard_DS1");
    assert_eq!(machine["storageProfile"]["imageReference"]["id"], MAKE.strip_prefix("PUT ").unwrap());
    let made: Vec<String> =
        server.asked().into_iter().filter(|what| what.starts_with("PUT /subscriptions")).collect();
    let kinds = [
        "images",
        "networkSecurityGroups",
        "virtualNetworks",
        "publicIPAddresses",
        "networkInterfaces",
        "virtualMachines",
    ];
    assert_eq!(made.len(), kinds.len(), "{made:#?}");
    for (what, kind) in made.iter().zip(kinds) {
        assert!(what.contains(kind), "{what} is not of {kind}");
    }
}

#[test]
fn a_group_and_an_account_that_are_not_there_are_made() {
    let server = Server::new(Microsoft::new(|request, before| {
        (matches!(request.what.as_str(), GROUP | ACCOUNT) && before == 0)
            .then(|| refusal(404, "ResourceNotFound", "It was not found."))
    }));
    let (code, _, stderr) = Desk::new(1).run(&server, &["--location", "westeurope"]);
    assert_eq!(code, Some(0), "{stderr}");
    assert!(stderr.contains("resource group group is made in westeurope"), "{stderr}");
    assert_eq!(asked_for(&server, "storageAccounts")["location"], "westeurope");
}

#[test]
fn a_machine_that_fails_says_why_and_leaves_nothing() {
    let view = json!({ "statuses": [
        { "code": "ProvisioningState/failed/AllocationFailed", "level": "Error", "message": "No room in the region." },
    ] });
    let properties = json!({ "properties": { "provisioningState": "Failed", "instanceView": view } });
    let server = Server::new(Microsoft::new(move |request, _| {
        let looks = request.what.starts_with("GET ") && request.what.contains("virtualMachines");
        looks.then(|| Answer::json(200, properties.clone()))
    }));
    let (code, stdout, stderr) = Desk::new(1).run(&server, &[]);
    assert_eq!((code, stdout.as_str()), (Some(1), ""));
    assert!(stderr.contains("AllocationFailed: No room in the region."), "{stderr}");
    let deleted: Vec<String> =
        server.asked().into_iter().filter(|what| what.starts_with("DELETE ") && *what != DELETE).collect();
    let kinds = [
        "virtualMachines",
        "networkInterfaces",
        "publicIPAddresses",
        "virtualNetworks",
        "networkSecurityGroups",
    ];
    assert_eq!(deleted.len(), kinds.len(), "{deleted:#?}");
    for (what, kind) in deleted.iter().zip(kinds) {
        assert!(what.contains(kind), "{what} is not of {kind}");
    }
}

#[test]
fn a_network_that_is_refused_is_told_with_what_is_left() {
    let server = Server::new(Microsoft::new(|request, _| match request.what.as_str() {
        what if what.starts_with("PUT ") && what.contains("publicIPAddresses") => {
            Some(refusal(400, "PublicIPCountLimitReached", "Cannot create more than 3 public addresses."))
        }
        what if what.starts_with("DELETE ") && what.contains("virtualNetworks") => {
            Some(refusal(409, "InUse", "It is in use."))
        }
        _ => None,
    }));
    let (code, _, stderr) = Desk::new(1).run(&server, &[]);
    assert_eq!(code, Some(1));
    for says in [
        "cannot make publicip",
        "more than 3 public addresses",
        "could not all be deleted: cannot delete linuxkitvirtualnetwork",
        "It is in use.",
    ] {
        assert!(stderr.contains(says), "{stderr}");
    }
}

#[test]
fn too_much_user_data_is_said_before_any_call() {
    let (desk, server) = (Desk::new(1), Microsoft::usual());
    let file = desk.dir.path().join("data");
    std::fs::write(&file, vec![b'x'; 65_536]).unwrap();
    let (code, _, stderr) = desk.run(&server, &["--data-file", file.to_str().unwrap()]);
    assert_eq!(code, Some(1));
    assert!(stderr.contains("has more than 65535 bytes, and Azure takes no more user data"), "{stderr}");
    assert_eq!(server.asked(), [""; 0]);
}

#[test]
fn what_is_not_set_is_named() {
    let desk = Desk::new(1);
    let args =
        ["push", "azure", "--resource-group", "g", "--storage-account", "a", desk.disk.to_str().unwrap()];
    let (code, _, stderr) = said(&endpoint::lkb(&args, &[("AZURE_SUBSCRIPTION_ID", "s")]));
    assert_eq!(code, Some(1));
    assert!(stderr.contains("AZURE_TENANT_ID is not set"), "{stderr}");
}
