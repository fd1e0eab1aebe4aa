//! `bench [--quick] [--seed N] [ENGINE…|build|metadata]`: measures builds, the boot and metadata, prints tables and writes `target/bench.json`.

use std::process::ExitCode;

use lk_tests::bench::builds;
use lk_tests::bench::figures::{Engine, Options, measure};
use lk_tests::bench::metadata;
use lk_tests::bench::report::{builds_table, json, metadata_table, table};
use lk_tests::root;

/// Name the measuring of builds and of metadata among engines.
const BUILD: &str = "build";
const METADATA: &str = "metadata";
const ENGINES: [Engine; 2] = [
    Engine { name: "embedded", least_initrd: (24, 160), least_disk: (24, 160) },
    Engine { name: "containerd", least_initrd: (64, 400), least_disk: (32, 256) },
];

fn main() -> ExitCode {
    let mut options = Options { seed: 1, quick: false };
    let mut names = Vec::new();
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        match (arg.as_str(), args.len()) {
            ("--quick", _) => options.quick = true,
            ("--seed", 1..) => match args.next().and_then(|text| text.parse().ok()) {
                Some(number) => options.seed = number,
                None => return usage(),
            },
            (name, _)
                if [BUILD, METADATA].contains(&name) || ENGINES.iter().any(|engine| engine.name == name) =>
            {
                names.push(arg)
            }
            _ => return usage(),
        }
    }
    let is_chosen = |name: &str| names.is_empty() || names.iter().any(|chosen| chosen == name);
    let built = match is_chosen(BUILD) {
        true => builds::measure(&|what| eprintln!("bench: build: {what}")),
        false => Err("not asked for".to_owned()),
    };
    let told = match is_chosen(METADATA) {
        true => {
            eprintln!("bench: metadata: booting");
            metadata::measure(&options)
        }
        false => Err("not asked for".to_owned()),
    };
    let chosen = ENGINES.iter().filter(|engine| is_chosen(engine.name));
    let measured: Vec<_> = chosen
        .map(|engine| {
            let say = |what: &str| eprintln!("bench: {}: {what}", engine.name);
            (engine.name, measure(engine, &options, &say))
        })
        .collect();
    if is_chosen(BUILD) {
        println!("{}", builds_table(&built));
    }
    if is_chosen(METADATA) {
        println!("{}", metadata_table(&told));
    }
    if !measured.is_empty() {
        print!("{}", table(&measured));
    }
    let file = root().join("target/bench.json");
    if let Err(error) = std::fs::write(&file, json(&measured, &built, &told)) {
        eprintln!("bench: cannot write {}: {error}", file.display());
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

fn usage() -> ExitCode {
    eprintln!("usage: bench [--quick] [--seed N] [embedded|containerd|build|metadata]…");
    ExitCode::from(2)
}
