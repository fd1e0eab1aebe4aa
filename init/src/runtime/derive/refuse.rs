//! Fields that nobody here carries out: refused, or told about where runc leaves them out as well.

use oci_spec::runtime::{Linux, Spec};

use crate::runtime::RuntimeError;

fn is_given(text: Option<&String>) -> bool {
    text.is_some_and(|text| !text.is_empty())
}

/// An error for a field that libcontainer would drop without a word.
pub fn unsupported(spec: &Spec) -> Result<(), RuntimeError> {
    let no = |what: &str| Err(RuntimeError::Unsupported(what.to_owned()));
    let process = spec.process().as_ref();
    if is_given(process.and_then(|process| process.selinux_label().as_ref())) {
        return no("process.selinuxLabel is not supported: there is no SELinux here");
    }
    let Some(linux) = spec.linux() else { return Ok(()) };
    if is_given(linux.mount_label().as_ref()) {
        return no("linux.mountLabel is not supported: there is no SELinux here");
    }
    let resources = linux.resources().as_ref();
    if resources.and_then(|resources| resources.rdma().as_ref()).is_some_and(|rdma| !rdma.is_empty()) {
        return no("linux.resources.rdma is not supported");
    }
    Ok(())
}

/// Limits that only version 1 of cgroups has. runc leaves them out in silence; here they are told.
pub fn without_version_1(linux: &Linux) -> Vec<String> {
    let Some(resources) = linux.resources() else { return Vec::new() };
    let memory = resources.memory().as_ref();
    let network = resources.network().as_ref();
    let given = [
        ("memory.kernel", memory.is_some_and(|memory| memory.kernel().is_some())),
        ("memory.kernelTCP", memory.is_some_and(|memory| memory.kernel_tcp().is_some())),
        ("memory.swappiness", memory.is_some_and(|memory| memory.swappiness().is_some())),
        ("memory.disableOOMKiller", memory.is_some_and(|memory| memory.disable_oom_killer() == Some(true))),
        ("network.classID", network.is_some_and(|network| network.class_id().is_some())),
        (
            "network.priorities",
            network.is_some_and(|network| network.priorities().as_ref().is_some_and(|list| !list.is_empty())),
        ),
    ];
    given
        .into_iter()
        .filter(|(_, given)| *given)
        .map(|(field, _)| {
            format!("linux.resources.{field} has no effect: cgroups version 2 does not have it")
        })
        .collect()
}
