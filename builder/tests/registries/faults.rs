//! What `lkb` does with registries that misbehave.

use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;

use super::registries::Home;
use super::registries::fake::{Answer, Fake, honest};
use super::registries::images::{Image, digest};

/// Some text that is a few megabytes long and does not repeat.
fn long() -> Vec<u8> {
    (0..400_000_u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect()
}

fn pull<'a>(fake: &'a str, name: &'a str) -> [&'a str; 7] {
    ["--mirror", fake, "cache", "pull", "--platform", "linux/amd64", name]
}

#[test]
fn a_layer_with_other_bytes_is_refused_and_not_kept() {
    let image = Image::new("amd64", &[b"good", b"also good"]);
    let (served, home) = (image.clone(), Home::new());
    let fake = Fake::new(move |request| {
        let mut answer = honest(&served, request);
        if request.path.ends_with(&digest(&served.layers[0])) {
            answer.body[600] ^= 1;
        }
        answer
    });
    let said = home.fails(&pull(&fake.url(), "a.example/x:1"));
    assert!(said.contains("cannot pull a.example/x:1: ") && said.contains(&fake.url()), "{said}");
    assert!(said.contains(&format!("a layer that is not {}", digest(&image.layers[0]))), "{said}");
    home.assert_no_image();
    let wrong = super::registries::images::hex(&image.layers[0]);
    assert!(!home.blobs().contains(&wrong), "the damaged layer has its name");
}

#[test]
fn other_documents_than_were_asked_for_are_refused() {
    let (image, other) = (Image::new("amd64", &[b"good"]), Image::new("amd64", &[b"bad"]));
    let home = Home::new();
    let wanted = digest(&image.manifest);
    let fake = Fake::new(move |request| honest(&other, request));
    let said = home.fails(&pull(&fake.url(), &format!("a.example/x@{wanted}")));
    assert!(said.contains(&format!("a manifest that is not {wanted}")), "{said}");
    home.assert_no_image();
    assert_eq!(home.blobs(), [""; 0]);
}

#[test]
fn a_layer_of_another_size_is_refused_before_it_comes() {
    let image = Image::new("amd64", &[b"good"]);
    let home = Home::new();
    let fake = Fake::new(move |request| {
        let mut answer = honest(&image, request);
        if request.path.ends_with(&digest(&image.layers[0])) {
            answer.body.extend([0; 512]);
        }
        answer
    });
    let said = home.fails(&pull(&fake.url(), "a.example/x:1"));
    assert!(said.contains("bytes instead of"), "{said}");
    home.assert_no_image();
}

#[test]
fn an_interrupted_layer_goes_on_where_it_stopped() {
    let image = Image::new("amd64", &[&long()]);
    let (served, home) = (image.clone(), Home::new());
    let fake = Fake::new(move |request| {
        let mut answer = honest(&served, request);
        if request.path.ends_with(&digest(&served.layers[0])) {
            let total = answer.body.len();
            let Some(offset) = request.offset() else { return Answer { cut: Some(total / 2), ..answer } };
            answer.body.drain(..offset);
            answer.status = 206;
            return answer.with("Content-Range", format!("bytes {offset}-{}/{total}", total - 1));
        }
        answer
    });
    let (said, _) = home.works(&pull(&fake.url(), "a.example/x:1"));
    let bytes: usize = image.blobs().chain([&image.manifest]).map(Vec::len).sum();
    assert!(said.contains(&format!("pulled a.example/x:1: {bytes} bytes")), "{said}");
    assert_eq!(home.blobs(), image.cached());
    let half = image.layers[0].len() / 2;
    let offsets: Vec<usize> = fake.asked().iter().filter_map(|request| request.offset()).collect();
    assert!(offsets.len() == 1 && (1..=half).contains(&offsets[0]), "{offsets:?}, half is {half}");
}

#[test]
fn a_server_without_ranges_sends_all_of_it_again() {
    let image = Image::new("amd64", &[&long()]);
    let (served, home, count) = (image.clone(), Home::new(), AtomicUsize::new(0));
    let fake = Fake::new(move |request| {
        let answer = honest(&served, request);
        let is_first =
            request.path.ends_with(&digest(&served.layers[0])) && count.fetch_add(1, Ordering::Relaxed) == 0;
        Answer { cut: is_first.then_some(1 << 20), ..answer }
    });
    home.works(&pull(&fake.url(), "a.example/x:1"));
    assert_eq!(home.blobs(), image.cached());
}

#[test]
fn a_busy_registry_is_asked_again_and_one_that_says_no_is_not() {
    let image = Image::new("amd64", &[b"good"]);
    let (home, count) = (Home::new(), AtomicUsize::new(0));
    let fake = Fake::new(move |request| match count.fetch_add(1, Ordering::Relaxed) {
        0 => Answer::status(429).with("Retry-After", "1"),
        1 => Answer::status(503),
        _ => honest(&image, request),
    });
    let (said, _) = home.works(&pull(&fake.url(), "a.example/x:1"));
    assert!(said.contains("(HTTP 429) and asks to wait 1 seconds"), "{said}");
    assert!(said.contains("answers HTTP 503; asking again in 1 s"), "{said}");

    let home = Home::new();
    let fake = Fake::new(|_| Answer::status(429).with("Retry-After", "3600"));
    let said = home.fails(&pull(&fake.url(), "a.example/x:1"));
    assert!(said.contains("too many requests (HTTP 429) and asks to wait 3600 seconds"), "{said}");
    assert_eq!(fake.asked().len(), 1);

    let fake = Fake::new(|_| {
        Answer::ok(br#"{"errors": [{"code": "X", "message": "bad\u001b[1m day"}]}"#).and_status(400)
    });
    let said = home.fails(&pull(&fake.url(), "a.example/x:1"));
    assert!(said.contains("answers HTTP 400: bad[1m day"), "{said}");
    assert_eq!(fake.asked().len(), 1);
}

/// A registry that wants `Bearer ticket` and has its blobs elsewhere, as the big ones do.
fn big(image: &Image, realm: String, storage: String) -> Fake {
    let image = image.clone();
    Fake::new(move |request| {
        if request.header("authorization") != Some("Bearer ticket") {
            let challenge =
                format!(r#"Bearer realm="{realm}/token?a=b",service="s t",scope="repository:y:pull""#);
            return Answer::status(401).with("WWW-Authenticate", challenge);
        }
        match request.path.contains("/blobs/") {
            true => Answer::status(307).with("Location", format!("{storage}{}?signature=1", request.path)),
            false => honest(&image, request),
        }
    })
}

#[test]
fn a_token_is_fetched_with_the_login_and_shown_to_nobody_else() {
    let image = Image::new("amd64", &[b"good"]);
    let served = image.clone();
    let storage = Fake::new(move |request| honest(&served, request));
    let tokens = Fake::new(|_| Answer::ok(br#"{"token": "ticket", "expires_in": 60}"#));
    let fake = big(&image, tokens.url(), storage.url());
    let host = fake.url().trim_start_matches("http://").to_owned();

    let home = Home::new();
    home.works(&pull(&fake.url(), "a.example/x:1"));
    home.write_docker_config(&json!({"auths": {&host: {"username": "anna", "password": "hush-hush"}}}));
    home.works(&pull(&fake.url(), "a.example/x:1"));
    home.write_docker_config(&json!({"auths": {&host: {"identitytoken": "hush/hush"}}}));
    home.works(&pull(&fake.url(), "a.example/x:1"));
    home.write_docker_config(&json!({"auths": {&host: {"registrytoken": "ticket"}}}));
    home.works(&pull(&fake.url(), "a.example/x:1"));

    let asked = tokens.asked();
    // Of this repository only, whatever the registry would like.
    let path = "/token?a=b&service=s%20t&scope=repository%3Ax%3Apull";
    assert_eq!((asked[0].path.as_str(), asked[0].header("authorization")), (path, None));
    let basic = Some("Basic YW5uYTpodXNoLWh1c2g=");
    assert_eq!((asked[1].path.as_str(), asked[1].header("authorization")), (path, basic));
    assert_eq!((asked[2].path.as_str(), asked[2].header("authorization")), ("/token?a=b", None));
    assert_eq!(
        asked[2].body,
        "service=s%20t&scope=repository%3Ax%3Apull&grant_type=refresh_token&client_id=lkb&refresh_token=hush%2Fhush"
    );
    assert_eq!(asked.len(), 3);
    assert!(!storage.asked().is_empty());
    assert!(storage.asked().iter().all(|request| request.header("authorization").is_none()));
}

#[test]
fn errors_have_no_secrets_in_them() {
    let image = Image::new("amd64", &[b"good"]);
    let storage = Fake::new(|_| Answer::status(400));
    let tokens = Fake::new(|_| Answer::ok(br#"{"access_token": "ticket"}"#));
    let nonsense = Fake::new(|_| Answer::ok(b"ticket"));
    let home = Home::new();
    for (realm, expected) in [
        (tokens.url(), "answers HTTP 400"),
        (nonsense.url(), "gives no token: its answer is not understood"),
        ("http://tokens.example".to_owned(), "realm http://tokens.example is not encrypted"),
    ] {
        let fake = big(&image, realm, storage.url());
        let host = fake.url().trim_start_matches("http://").to_owned();
        home.write_docker_config(&json!({"auths": {host: {"username": "anna", "password": "hush-hush"}}}));
        let said = home.fails(&[&["-v"], &pull(&fake.url(), "a.example/x:1")[..]].concat());
        assert!(said.contains(expected), "{said}");
        for secret in ["hush", "YW5uYTp", "ticket", "signature"] {
            assert!(!said.contains(secret), "{secret}: {said}");
        }
    }
}

#[test]
fn redirects_end() {
    let home = Home::new();
    let fake = Fake::new(|request| Answer::status(302).with("Location", format!("{}x", request.path)));
    let said = home.fails(&pull(&fake.url(), "a.example/x:1"));
    assert!(said.contains("more than 5 redirects"), "{said}");
    assert_eq!(fake.asked().len(), 6);
}

#[test]
fn schema_1_is_an_error_that_says_so() {
    let home = Home::new();
    let fake = Fake::new(|_| {
        Answer::ok(br#"{"schemaVersion": 1, "fsLayers": []}"#)
            .with("Content-Type", "application/vnd.docker.distribution.manifest.v1+prettyjws")
    });
    let said = home.fails(&pull(&fake.url(), "a.example/x:1"));
    assert!(said.contains("schema 1"), "{said}");
}

#[test]
fn a_manifest_that_asks_for_too_much_is_refused() {
    let home = Home::new();
    let fake = Fake::new(|_| {
        Answer::ok(&vec![b' '; 5 << 20]).with("Content-Type", super::registries::images::MANIFEST)
    });
    let said = home.fails(&pull(&fake.url(), "a.example/x:1"));
    assert!(said.contains("it has more than 4194304 bytes"), "{said}");
    home.assert_no_image();
}

#[test]
fn a_registry_that_is_not_there_is_named_with_what_to_do() {
    let home = Home::new();
    let said = home.fails(&pull("http://127.0.0.1:1", "alpine"));
    assert!(
        said.contains("cannot pull docker.io/library/alpine:latest: http://127.0.0.1:1 cannot be reached"),
        "{said}"
    );
    assert!(said.contains("--mirror"), "{said}");
}

#[test]
fn of_two_that_pull_the_same_layer_at_once_one_waits_and_finds_it() {
    use std::io::{BufRead, BufReader};
    use std::process::Stdio;
    use std::sync::mpsc::{Receiver, Sender, channel};
    use std::sync::{Arc, Mutex};
    use std::time::Duration;

    let image = Image::new("amd64", &[&long()]);
    let (served, home) = (image.clone(), Home::new());
    let (waits, waited): (Sender<()>, Receiver<()>) = channel();
    let (waited, layers) = (Mutex::new(waited), Arc::new(AtomicUsize::new(0)));
    let count = Arc::clone(&layers);
    let fake = Fake::new(move |request| {
        if request.path.ends_with(&digest(&served.layers[0])) {
            count.fetch_add(1, Ordering::Relaxed);
            // The layer comes when the other one is waiting for it.
            waited.lock().unwrap().recv_timeout(Duration::from_secs(60)).unwrap();
        }
        honest(&served, request)
    });
    let url = fake.url();
    let pulls: Vec<_> = (0..2)
        .map(|_| {
            let mut pull = home.command(&pull(&url, "a.example/x:1"));
            let mut child = pull.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
            let lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
            let waits = waits.clone();
            let reader = std::thread::spawn(move || {
                for line in lines {
                    if line.contains("layer") && line.contains("brought by another lkb") {
                        waits.send(()).unwrap();
                    }
                }
            });
            (child, reader)
        })
        .collect();
    for (mut child, reader) in pulls {
        reader.join().unwrap();
        assert!(child.wait().unwrap().success());
    }
    assert_eq!(layers.load(Ordering::Relaxed), 1, "the layer is sent once");
    assert_eq!(home.blobs(), image.cached());
}
