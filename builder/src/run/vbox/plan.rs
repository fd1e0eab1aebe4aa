//! What `VBoxManage` is told, decided before it is told anything.

use std::path::{Path, PathBuf};

use super::{Options, VboxError};
use crate::size::Size;

/// One call's arguments.
pub(super) type Command = Vec<String>;

/// The controller that has what is booted.
const BOOT: &str = "IDE Controller";
/// The controller of data disks.
const DATA: &str = "SATA";

/// A machine's life, call by call.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Plan {
    /// The machine's name.
    pub(super) name: String,
    /// Where its console will be.
    pub(super) socket: PathBuf,
    /// Data disks, and what makes each.
    pub(super) disks: Vec<(PathBuf, Command)>,
    /// Registers and describes the machine.
    pub(super) make: Vec<Command>,
    /// Starts it.
    pub(super) start: Command,
    /// Ends it.
    pub(super) power_off: Command,
    /// Takes its disks away: forgetting a machine deletes those that it has.
    pub(super) detach: Vec<Command>,
    /// Forgets it.
    pub(super) forget: Command,
}

impl Plan {
    /// Of absolute paths: VirtualBox runs machines from another directory.
    pub(super) fn new(options: &Options, image: &Path, state: &Path) -> Result<Self, VboxError> {
        let extension = image.extension().unwrap_or_default().to_string_lossy().to_lowercase();
        let iso = options.iso || extension == "iso";
        if !iso && !["vmdk", "vhd", "vdi"].contains(&extension.as_str()) {
            return Err(VboxError::Format(image.to_owned()));
        }
        let stem = image.file_stem().unwrap_or_default().to_string_lossy();
        let uefi = options.uefi || stem.ends_with("-efi") || stem.ends_with("-efi-initrd");
        let name = options.name.clone().unwrap_or_else(|| stem.clone().into_owned());
        let socket = state.join("console");
        let (kind, first) = if iso { ("dvddrive", "dvd") } else { ("hdd", "disk") };

        let mut modify = words(&["modifyvm", &name, "--acpi", "on", "--ioapic", "on"]);
        modify.extend(words(&["--memory", &options.memory.to_string(), "--cpus", &options.cpus.to_string()]));
        modify.extend(words(&["--firmware", if uefi { "efi" } else { "bios" }, "--boot1", first]));
        modify.extend(words(&["--uart1", "0x3F8", "4", "--uartmode1", "client", &text(&socket)]));
        for (n, network) in (1..).zip(&options.networks) {
            modify.extend([
                format!("--nictype{n}"),
                "virtio".into(),
                format!("--nic{n}"),
                network.kind.clone(),
            ]);
            let adapter = match network.kind.as_str() {
                "hostonly" => Some("hostonlyadapter"),
                "bridged" => Some("bridgeadapter"),
                _ => None,
            };
            if let (Some(option), Some(adapter)) = (adapter, &network.adapter) {
                modify.extend([format!("--{option}{n}"), adapter.clone()]);
            }
            modify.extend([format!("--cableconnected{n}"), "on".into()]);
        }

        let mut make = vec![
            words(&[
                "createvm",
                "--name",
                &name,
                "--ostype",
                "Linux_64",
                "--basefolder",
                &text(state),
                "--register",
            ]),
            modify,
            words(&["storagectl", &name, "--name", BOOT, "--add", "ide"]),
            attach(&name, BOOT, 1, kind, image),
        ];
        let mut detach = vec![words(&["storagectl", &name, "--name", BOOT, "--remove"])];
        let disks = disks(options, state)?;
        if !disks.is_empty() {
            let ports = disks.len().to_string();
            make.push(words(&["storagectl", &name, "--name", DATA, "--add", "sata", "--portcount", &ports]));
            make.extend((0..).zip(&disks).map(|(port, (file, _))| attach(&name, DATA, port, "hdd", file)));
            detach.push(words(&["storagectl", &name, "--name", DATA, "--remove"]));
        }
        Ok(Self {
            socket,
            disks,
            make,
            start: words(&["startvm", &name, "--type", if options.gui { "gui" } else { "headless" }]),
            power_off: words(&["controlvm", &name, "poweroff"]),
            detach,
            forget: words(&["unregistervm", &name, "--delete"]),
            name,
        })
    }
}

fn words(words: &[&str]) -> Command {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

fn attach(name: &str, controller: &str, port: u32, kind: &str, file: &Path) -> Command {
    let (port, file) = (port.to_string(), text(file));
    words(&[
        "storageattach",
        name,
        "--storagectl",
        controller,
        "--port",
        &port,
        "--device",
        "0",
        "--type",
        kind,
        "--medium",
        &file,
    ])
}

fn disks(options: &Options, state: &Path) -> Result<Vec<(PathBuf, Command)>, VboxError> {
    let disk = |(n, request): (usize, &crate::run::disk::DiskRequest)| {
        let path = match &request.path {
            Some(path) => {
                std::path::absolute(path).map_err(|source| VboxError::Path { path: path.clone(), source })?
            }
            None => state.join(format!("disk{n}.vdi")),
        };
        let extension = path.extension().unwrap_or_default().to_string_lossy().to_uppercase();
        if request.format.is_some() || !["VDI", "VMDK", "VHD"].contains(&extension.as_str()) {
            return Err(VboxError::Disk(format!(
                "{} is to be one of .vdi, .vmdk and .vhd by its name, without format=",
                path.display()
            )));
        }
        let size = request.size.map(Size::bytes).unwrap_or_default().div_ceil(1 << 20);
        if size == 0 && !path.exists() {
            return Err(VboxError::Disk(format!(
                "{} is not there; give its size with size=",
                path.display()
            )));
        }
        let (file, size) = (text(&path), size.to_string());
        let make =
            words(&["createmedium", "disk", "--filename", &file, "--size", &size, "--format", &extension]);
        Ok((path, make))
    };
    options.disks.iter().enumerate().map(disk).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(path: &str) -> Options {
        Options {
            path: path.into(),
            iso: false,
            uefi: false,
            name: None,
            state: None,
            memory: 1024,
            cpus: 2,
            disks: Vec::new(),
            networks: Vec::new(),
            gui: false,
            keep: false,
            program: "VBoxManage".into(),
        }
    }

    fn plan(options: &Options) -> Result<Plan, VboxError> {
        Plan::new(options, &options.path, Path::new("/s"))
    }

    fn lines(plan: &Plan) -> Vec<String> {
        let disks = plan.disks.iter().map(|(_, command)| command);
        let all = disks.chain(&plan.make).chain([&plan.start, &plan.power_off]).chain(&plan.detach);
        all.chain([&plan.forget]).map(|command| command.join(" ")).collect()
    }

    #[test]
    fn a_cd_is_booted_with_a_console() {
        assert_eq!(
            lines(&plan(&options("/o/web-efi.iso")).unwrap()),
            [
                "createvm --name web-efi --ostype Linux_64 --basefolder /s --register",
                "modifyvm web-efi --acpi on --ioapic on --memory 1024 --cpus 2 --firmware efi --boot1 dvd --uart1 0x3F8 4 \
                 --uartmode1 client /s/console",
                "storagectl web-efi --name IDE Controller --add ide",
                "storageattach web-efi --storagectl IDE Controller --port 1 --device 0 --type dvddrive --medium /o/web-efi.iso",
                "startvm web-efi --type headless",
                "controlvm web-efi poweroff",
                "storagectl web-efi --name IDE Controller --remove",
                "unregistervm web-efi --delete",
            ]
        );
    }

    #[test]
    fn disks_and_networks_are_counted() {
        let network = |text: &str| text.parse().unwrap();
        let all = Options {
            name: Some("m".into()),
            gui: true,
            disks: vec!["size=1G".parse().unwrap(), "/d/b.vmdk,size=5M".parse().unwrap()],
            networks: vec![network("nat"), network("bridged,adapter=eth0"), network("hostonly,adapter=v0")],
            ..options("/o/web.vmdk")
        };
        let plan = plan(&all).unwrap();
        let lines = lines(&plan);
        for part in [
            "createmedium disk --filename /s/disk0.vdi --size 1024 --format VDI",
            "createmedium disk --filename /d/b.vmdk --size 5 --format VMDK",
            "storagectl m --name SATA --add sata --portcount 2",
            "storageattach m --storagectl SATA --port 1 --device 0 --type hdd --medium /d/b.vmdk",
            "storagectl m --name SATA --remove",
            "startvm m --type gui",
        ] {
            assert!(lines.iter().any(|line| line == part), "{part}\nis not in\n{lines:#?}");
        }
        let modify = lines.iter().find(|line| line.starts_with("modifyvm")).unwrap();
        assert!(
            modify.ends_with(
                "--nictype1 virtio --nic1 nat --cableconnected1 on --nictype2 virtio --nic2 bridged --bridgeadapter2 eth0 \
                 --cableconnected2 on --nictype3 virtio --nic3 hostonly --hostonlyadapter3 v0 --cableconnected3 on"
            ),
            "{modify}"
        );
        assert!(modify.contains("--firmware bios --boot1 disk"), "{modify}");
    }

    #[test]
    fn what_virtualbox_cannot_read_is_refused() {
        assert!(matches!(plan(&options("/o/web.img")), Err(VboxError::Format(_))));
        assert!(plan(&Options { iso: true, ..options("/o/web.img") }).is_ok());
        for disk in ["/none.vdi", "a.img,size=1G", "a.vdi,size=1G,format=raw"] {
            let options = Options { disks: vec![disk.parse().unwrap()], ..options("/o/web.iso") };
            assert!(matches!(plan(&options), Err(VboxError::Disk(_))), "{disk}");
        }
    }
}
