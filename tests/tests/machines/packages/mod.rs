//! The packages, as their READMEs show them: the examples there are what is booted. Those from Debian are in `debian`.
//!
//! | file | which |
//! |---|---|
//! | `appliance` | those that an appliance has around what it is for |
//! | `duties` | most of them in one machine, which then has its disk enlarged |
//! | `servers` | those that serve others, and those that keep logs and entropy, in another |

mod appliance;
mod duties;
mod servers;

use std::path::{Path, PathBuf};

use lk_tests::root;
use lk_tests::vm::Vm;

/// A service that tells what it finds on the console, in a file that `lkb build` takes. `script` says it line by line with `say`.
fn show(dir: &Path, script: &str) -> PathBuf {
    let lines: String = script.lines().map(|line| format!("        {}\n", line.trim())).collect();
    let yaml = format!(
        "services:\n  - name: show\n    image: \"@pkg:{}/pkg/busybox\"\n    env: [PATH=/bin]\n    binds: [/var:/var, \"/run/log:/run/log:ro\"]\n\
         \x20   devices: [{{path: /dev/kmsg, type: c, major: 1, minor: 11, mode: \"0600\"}}]\n\
         \x20   command:\n      - /bin/sh\n      - -c\n      - |\n\
         \x20       say() {{ echo \"<2>show: $*\" >/dev/kmsg; }}\n{lines}\x20       exec sleep 1000000\n",
        root().display()
    );
    let path = dir.join("show.yml");
    std::fs::write(&path, yaml).expect("writing the YAML");
    path
}

/// What [`show`] said after this word.
fn said(vm: &Vm, word: &str) -> String {
    vm.wait(&format!("show: {word} "))
}
