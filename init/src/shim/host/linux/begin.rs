//! How a job begins: most are a subcommand of the runtime.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use containerd_shim_protos::api::{CreateTaskRequest, ExecProcessRequest};
use containerd_shim_protos::protobuf::Message;
use containerd_shim_protos::shim::oci::Options;

use super::files::{pid_file, remove_files, write_private};
use super::{Container, Copied, JOB_LIMIT, Linux, Running, Step};
use crate::runtime::{RuntimeError, chain};
use crate::shim::host::program::{self, Program};
use crate::shim::host::record::Config;
use crate::shim::host::terminal::ConsoleSocket;
use crate::shim::host::{rootfs, stdio};
use crate::shim::protection;
use crate::sys::{release_memory, spawn};
impl Linux {
    pub(super) fn create(&mut self, request: &CreateTaskRequest) -> Result<(), String> {
        if !request.checkpoint.is_empty() {
            return Err("checkpoints are not restored here".to_owned());
        }
        let bundle = PathBuf::from(&request.bundle);
        let options = options(request)?;
        let program = Program::choose(&options, &self.identity.namespace);
        let config = Config::read(&bundle)?;
        std::fs::create_dir_all(&program.root)
            .map_err(|error| format!("cannot make {}: {error}", program.root.display()))?;
        rootfs::mount(&bundle, &request.rootfs)?;
        let started = self
            .streams(request.terminal, &request.stdin, &request.stdout, &request.stderr)
            .and_then(|(streams, stdio)| {
                let mut command = program.command(&bundle, "create", ["--bundle"]);
                command.arg(&bundle).arg("--pid-file").arg(pid_file(&bundle));
                console(&mut command, &stdio);
                command.arg(&self.identity.id);
                self.run(command, streams, &bundle, Step::Create { stdio })
            });
        if started.is_err() {
            // The first failure is what is told.
            rootfs::unmount(&bundle).ok();
        }
        started?;
        self.container = Some(Container { bundle, program, config, pid: 0, cgroup: None, memory: None });
        Ok(())
    }

    pub(super) fn exec(&mut self, request: &ExecProcessRequest) -> Result<(), String> {
        let container = self.container.as_ref().ok_or("there is no container")?;
        let bundle = container.bundle.clone();
        let exec = request.exec_id.clone();
        // Its environment may hold secrets, and so goes to a file of root's, not to a command line.
        let files = [bundle.join(format!("exec-{exec}.json")), bundle.join(format!("exec-{exec}.pid"))];
        let [process, pid] = &files;
        let spec = process_spec(request)?;
        write_private(process, &spec)
            .map_err(|error| format!("cannot write {}: {error}", process.display()))?;
        let program = container.program.clone();
        let begun = self
            .streams(request.terminal, &request.stdin, &request.stdout, &request.stderr)
            .and_then(|(streams, stdio)| {
                let mut command = program.command(&bundle, "exec", ["--process"]);
                command.arg(process).args(["--detach", "--pid-file"]).arg(pid);
                console(&mut command, &stdio);
                command.arg(&self.identity.id);
                self.run(command, streams, &bundle, Step::Exec { exec, stdio, files: files.clone() })
            });
        if begun.is_err() {
            remove_files(&files);
        }
        begun
    }

    /// The runtime's standard streams, which are the container's, and what is to be kept of them.
    fn streams(
        &self,
        terminal: bool,
        stdin: &str,
        stdout: &str,
        stderr: &str,
    ) -> Result<([Stdio; 3], Copied), String> {
        if !terminal {
            let streams = stdio::open(stdin, stdout, stderr)?;
            return Ok(([streams.stdin, streams.stdout, streams.stderr], Copied::Direct(streams.input)));
        }
        let (input, output) = stdio::open_for_copying(stdin, stdout)?;
        let path = self.socket.with_extension("console");
        let console = ConsoleSocket::listen(path.clone())
            .map_err(|error| format!("cannot listen on {}: {error}", path.display()))?;
        let null = || Stdio::null();
        Ok(([null(), null(), null()], Copied::Terminal { console, input, output }))
    }

    /// Runs a subcommand without a container's streams.
    pub(super) fn run_plain(&mut self, step: Step, name: &str, args: &[&str]) -> Result<(), String> {
        let container = self.container.as_ref().ok_or("there is no container")?;
        let bundle = container.bundle.clone();
        let mut command = container.program.command(&bundle, name, args);
        command.arg(&self.identity.id);
        self.run(command, [Stdio::null(), Stdio::null(), Stdio::null()], &bundle, step)
    }

    /// Has our own runtime do what needs no new process; `None` when another must.
    ///
    /// Hooks are processes, and would get the signal mask and the protection that are meant for this one.
    pub(super) fn in_process(
        &self,
        act: impl FnOnce(&Path, &str) -> Result<(), RuntimeError>,
    ) -> Option<Result<Option<u32>, String>> {
        let container = self.container.as_ref()?;
        if !container.program.is_own() || container.config.has_hooks {
            return None;
        }
        let result = act(&container.program.root, &self.identity.id);
        release_memory();
        Some(result.map(|()| None).map_err(|error| chain(&error)))
    }

    fn run(
        &mut self,
        mut command: Command,
        streams: [Stdio; 3],
        bundle: &Path,
        step: Step,
    ) -> Result<(), String> {
        // What a former command said is not why this one fails.
        std::fs::remove_file(program::log(bundle)).ok();
        let [stdin, stdout, stderr] = streams;
        command.stdin(stdin).stdout(stdout).stderr(stderr).current_dir("/");
        let shown = command.get_program().to_string_lossy().into_owned();
        let pid = protection::lifted(|| spawn(&mut command, None))
            .map_err(|errno| format!("cannot execute the runtime {shown}: {errno}"))?;
        self.running = Some(Running { pid, step, deadline: Instant::now() + JOB_LIMIT, late: false });
        Ok(())
    }

    pub(super) fn update(&mut self, resources: &[u8]) -> Result<(), String> {
        let container = self.container.as_ref().ok_or("there is no container")?;
        let file = container.bundle.join("resources.json");
        write_private(&file, resources)
            .map_err(|error| format!("cannot write {}: {error}", file.display()))?;
        let file = file.to_string_lossy().into_owned();
        self.run_plain(Step::Other, "update", &["--resources", &file])
    }
}

fn console(command: &mut Command, stdio: &Copied) {
    if let Copied::Terminal { console, .. } = stdio {
        command.arg("--console-socket").arg(console.path());
    }
}

/// runc's options, if there are any.
fn options(request: &CreateTaskRequest) -> Result<Options, String> {
    match request.options.as_ref() {
        Some(any) if any.type_url.ends_with("containerd.runc.v1.Options") => {
            let options = Options::parse_from_bytes(&any.value)
                .map_err(|error| format!("the runtime options are not runc's: {error}"))?;
            if options.systemd_cgroup {
                return Err("there is no systemd here to make cgroups with".to_owned());
            }
            Ok(options)
        }
        Some(any) if !any.type_url.is_empty() => Err(format!("unknown runtime options {}", any.type_url)),
        _ => Ok(Options::new()),
    }
}

/// The process of an exec: JSON, and whether it has a terminal is as the request says.
fn process_spec(request: &ExecProcessRequest) -> Result<Vec<u8>, String> {
    let any = request.spec.as_ref().ok_or("the exec has no process")?;
    let mut spec: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(&any.value)
        .map_err(|error| format!("the exec's process is not valid: {error}"))?;
    spec.insert("terminal".to_owned(), request.terminal.into());
    serde_json::to_vec(&spec).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use containerd_shim_protos::protobuf::well_known_types::any::Any;

    use super::*;

    #[test]
    fn an_execs_process_has_a_terminal_when_the_request_says_so() {
        let mut request = ExecProcessRequest::new();
        request.terminal = true;
        let mut any = Any::new();
        any.value = br#"{"args":["sh"],"cwd":"/"}"#.to_vec();
        request.spec = Some(any).into();
        let spec: serde_json::Value = serde_json::from_slice(&process_spec(&request).unwrap()).unwrap();
        assert_eq!(spec, serde_json::json!({"args": ["sh"], "cwd": "/", "terminal": true}));
        request.spec = None.into();
        assert!(process_spec(&request).is_err());
    }

    #[test]
    fn options_of_others_are_refused() {
        let with = |kind: &str, options: &Options| {
            let mut request = CreateTaskRequest::new();
            let mut any = Any::new();
            any.type_url = kind.into();
            any.value = options.write_to_bytes().unwrap();
            request.options = Some(any).into();
            request
        };
        let mut own = Options::new();
        own.binary_name = "crun".into();
        assert_eq!(options(&with("containerd.runc.v1.Options", &own)).unwrap().binary_name, "crun");
        own.systemd_cgroup = true;
        assert!(options(&with("containerd.runc.v1.Options", &own)).is_err());
        assert!(options(&with("x.Options", &own)).is_err());
        assert_eq!(options(&CreateTaskRequest::new()).unwrap(), Options::new());
    }
}
