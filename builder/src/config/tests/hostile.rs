//! Files that nobody would write, by hand and by chance.

use proptest::prelude::*;

use super::*;

#[test]
fn hostile_files_end_in_an_error() {
    let bomb: String = (1..20).fold("a0: &a0 [x,x,x,x,x,x,x,x,x]\n".to_owned(), |text, n| {
        let alias = format!("*a{}", n - 1);
        format!("{text}a{n}: &a{n} [{}]\n", [alias.as_str(); 9].join(","))
    });
    let deep = format!("init: {}{}", "[".repeat(5_000), "]".repeat(5_000));
    let deep_block: String = (0..200).map(|n| format!("{}a:\n", " ".repeat(n))).collect();
    let large = format!("kernel: {{image: k, cmdline: '{}'}}", "x".repeat(1 << 20));
    let many = format!("init: [{}]", "x,".repeat(300_000));
    let own = "a: &a [*a]".to_owned();
    for text in [bomb, deep, deep_block, large, many, own] {
        let start: String = text.chars().take(40).collect();
        let problems = problems(&text);
        assert!(!problems[0].is_empty() && problems[0].len() < 400, "{start}: {}", problems[0]);
    }
}

#[test]
fn a_file_full_of_mistakes_does_not_grow_its_report_without_bound() {
    let line = format!("init: [{}]", "1,".repeat(20_000));
    let error = load(&[source("a.yml", &line)], &NoPackages).unwrap_err();
    assert!(error.problems.len() <= 1000);
    assert!(error.to_string().len() < 50_000);
}

/// JSON with escapes for what YAML does not take as it is.
fn ascii(json: &serde_json::Value) -> String {
    let escape = |c: char| match c {
        ' '..='~' => c.to_string(),
        _ => c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")).collect(),
    };
    json.to_string().chars().map(escape).collect()
}

fn yaml_like() -> impl Strategy<Value = String> {
    let word = prop::sample::select(vec![
        "kernel",
        "image",
        "services",
        "- ",
        "name",
        ": ",
        "\n",
        "  ",
        "    ",
        "[",
        "]",
        "{",
        "}",
        ",",
        "'",
        "\"",
        "&a ",
        "*a",
        "<<",
        "!!binary ",
        "| ",
        "> ",
        "~",
        "5",
        "-1",
        "0x1F",
        "1e999",
        ".nan",
        "@pkg:x",
        "files",
        "path",
        "contents",
        "binds",
        "a:/b",
        "#",
        "---",
        "\t",
        "\u{0}",
        "é",
        "\u{202e}",
        "? ",
        "%YAML 1.1\n",
        "runtime",
        "mounts",
        "type",
        "bind",
        "uid",
        "trust",
        "true",
        "capabilities.add",
        "ALL",
    ]);
    prop::collection::vec(word, 0..60).prop_map(|words| words.concat())
}

proptest! {
    #[test]
    fn any_text_survives_being_printed_and_read_again(text in "(?s).{0,40}|[ \t\n:#|>'\"-]{0,12}[a-z\n]{0,4}[ \n\r]{0,3}") {
        let json = serde_json::json!({
            "files": [{"path": "x", "contents": text}],
            "services": [{"name": "s", "image": "i", "command": [text], "annotations": {&text: text}}],
        });
        let config = read(&ascii(&json)).config;
        prop_assert_eq!(&config.files[0].kind, &FileKind::Contents(text.clone()));
        let again = read(&config.to_yaml().unwrap()).config;
        prop_assert_eq!(&again.files[0].kind, &FileKind::Contents(text));
        prop_assert_eq!(&again.services[0].overrides, &config.services[0].overrides);
    }

    #[test]
    fn no_text_makes_the_loader_panic(text in ".{0,200}") {
        check_any(&text);
    }

    #[test]
    fn no_text_that_looks_like_a_configuration_makes_the_loader_panic(text in yaml_like()) {
        check_any(&text);
    }
}

/// Whatever loads can be printed and read again; whatever does not has problems that can be shown.
fn check_any(text: &str) {
    match load(&[source("a", text)], &NoPackages) {
        Ok(loaded) => {
            let yaml = loaded.config.to_yaml().unwrap();
            let again = load(&[source("b", &yaml)], &NoPackages).unwrap_or_else(|e| panic!("{e}\n{yaml}"));
            assert_eq!(again.config.to_yaml().unwrap(), yaml);
        }
        Err(error) => {
            assert!(!error.problems.is_empty());
            assert!(!error.to_string().chars().any(|c| c.is_control() && !matches!(c, '\n' | '\t')));
        }
    }
}
