//! Arguments as tables: a whole line, each part of a plan, each architecture.

use std::path::PathBuf;

use super::super::plan::Firmware;
use super::*;
use crate::run::publish::Protocol;

fn plan() -> Plan {
    Plan {
        arch: Arch::X86_64,
        boot: Boot::Disk(Drive { path: "/m.qcow2".into(), format: Format::Qcow2 }),
        firmware: None,
        memory: 1024,
        cpus: 1,
        cpu_model: "max",
        accelerators: vec!["tcg,thread=multi".into()],
        disks: vec![],
        metadata_cd: None,
        network: Network::None,
        usb: None,
        shares: Vec::new(),
        console: Console::Terminal { interactive: false, copy: None },
        qmp: Vec::new(),
        pid_file: "/s/qemu.pid".into(),
        gui: false,
        detach: false,
    }
}

fn text(plan: &Plan) -> String {
    command_line(plan).into_iter().map(|arg| arg.into_string().unwrap()).collect::<Vec<_>>().join(" ")
}

#[test]
fn a_disk_image_alone_runs_with_this() {
    assert_eq!(
        text(&plan()),
        "-machine pc -accel tcg,thread=multi -cpu max -smp 1 -m 1024M -nodefaults -display none \
         -drive file=/m.qcow2,format=qcow2,if=virtio,readonly=on \
         -object rng-random,id=rng0,filename=/dev/urandom -device virtio-rng-pci,rng=rng0 \
         -chardev stdio,id=console,signal=on -serial chardev:console -pidfile /s/qemu.pid"
    );
}

#[test]
fn every_part_of_a_plan_has_its_arguments() {
    let published = Published { host: 8080, guest: 80, protocol: Protocol::Tcp };
    let udp = Published { host: 53, guest: 5353, protocol: Protocol::Udp };
    let kernel = || Boot::Kernel {
        kernel: "/k".into(),
        initrd: Some("/i".into()),
        cmdline: "a=\"b c\",d".into(),
        root: None,
    };
    let card = |peer| Network::Card { mac: "02:00:00:00:00:01".into(), peer };
    let drive = |path: &str| Drive { path: path.into(), format: Format::Raw };
    let firmware = |variables: Option<&str>| {
        Some(Firmware { code: "/CODE.fd".into(), variables: variables.map(PathBuf::from) })
    };
    let cases: [(Plan, &str); 19] = [
        (Plan { boot: kernel(), ..plan() }, "-kernel /k -initrd /i -append a=\"b c\",d -object"),
        (
            Plan { boot: Boot::Iso("/m.iso".into()), ..plan() },
            "-drive file=/m.iso,format=raw,if=ide,media=cdrom,readonly=on -boot order=d",
        ),
        (
            Plan { firmware: firmware(Some("/s/v,ars.fd")), boot: Boot::Program("/m.efi".into()), ..plan() },
            "-drive if=pflash,format=raw,readonly=on,file=/CODE.fd -drive if=pflash,format=raw,file=/s/v,,ars.fd \
             -kernel /m.efi -object",
        ),
        (
            Plan { firmware: firmware(None), ..plan() },
            "-drive if=pflash,format=raw,readonly=on,file=/CODE.fd -drive file=/m.qcow2",
        ),
        (
            Plan { disks: vec![drive("/a,b"), drive("/c")], ..plan() },
            "readonly=on -drive file=/a,,b,format=raw,if=virtio -drive file=/c,format=raw,if=virtio -object",
        ),
        (
            Plan { metadata_cd: Some("/s/data.iso".into()), ..plan() },
            "-drive file=/s/data.iso,format=raw,if=ide,media=cdrom,readonly=on",
        ),
        (
            Plan { network: card(Peer::User(vec![published, udp])), ..plan() },
            "-netdev user,id=net0,hostfwd=tcp::8080-:80,hostfwd=udp::53-:5353 \
             -device virtio-net-pci,netdev=net0,mac=02:00:00:00:00:01,romfile= ",
        ),
        (
            Plan { network: card(Peer::Tap("tap0".into())), ..plan() },
            "-netdev tap,id=net0,ifname=tap0,script=no,downscript=no \
             -device virtio-net-pci,netdev=net0,mac=02:00:00:00:00:01,romfile= ",
        ),
        (
            Plan { network: card(Peer::Bridge("br0".into())), ..plan() },
            "-netdev bridge,id=net0,br=br0 -device",
        ),
        (
            Plan {
                boot: Boot::Kernel {
                    kernel: "/k".into(),
                    initrd: None,
                    cmdline: "root=/dev/vda".into(),
                    root: Some("/r,1".into()),
                },
                ..plan()
            },
            "-kernel /k -append root=/dev/vda -drive file=/r,,1,format=raw,if=virtio,readonly=on -object",
        ),
        (
            Plan {
                usb: Some(vec![
                    Device::Stick { file: "/s,1".into(), format: None, properties: ",removable=on".into() },
                    Device::Other("usb-kbd".into()),
                ]),
                ..plan()
            },
            "-device qemu-xhci,id=usb -drive file=/s,,1,format=raw,if=none,id=stick0 \
             -device usb-storage,drive=stick0,removable=on -device usb-kbd -object",
        ),
        (
            Plan {
                shares: vec![Share {
                    dir: "/d".into(),
                    tag: "virtiofs0".into(),
                    socket: "/s/virtio,fs0".into(),
                    log: "/s/log".into(),
                }],
                ..plan()
            },
            "-machine pc,memory-backend=memory -accel tcg,thread=multi -cpu max -smp 1 -m 1024M \
             -object memory-backend-memfd,id=memory,size=1024M,share=on -nodefaults -display none \
             -drive file=/m.qcow2,format=qcow2,if=virtio,readonly=on \
             -chardev socket,id=virtiofs0,path=/s/virtio,,fs0 -device vhost-user-fs-pci,chardev=virtiofs0,tag=virtiofs0",
        ),
        (
            Plan { console: Console::Terminal { interactive: true, copy: None }, ..plan() },
            "-chardev stdio,id=console,mux=on,signal=off -serial chardev:console -mon chardev=console,mode=readline",
        ),
        (
            Plan { console: Console::Terminal { interactive: false, copy: Some("/log".into()) }, ..plan() },
            "-chardev stdio,id=console,signal=on,logfile=/log,logappend=off -serial chardev:console",
        ),
        (
            Plan { console: Console::File("/s/console.log".into()), detach: true, ..plan() },
            "-chardev file,id=console,path=/s/console.log -serial chardev:console -pidfile /s/qemu.pid -daemonize",
        ),
        (Plan { qmp: vec!["/s/q,mp".into()], ..plan() }, "-qmp unix:/s/q,,mp,server=on,wait=off"),
        (Plan { gui: true, ..plan() }, "-nodefaults -vga std -drive"),
        (Plan { cpus: 4, memory: 512, ..plan() }, "-smp 4 -m 512M"),
        (
            Plan { accelerators: vec!["kvm".into(), "tcg".into()], cpu_model: "host", ..plan() },
            "-accel kvm -accel tcg -cpu host",
        ),
    ];
    for (plan, expected) in cases {
        let line = text(&plan);
        assert!(line.contains(expected), "{expected}\nis not in\n{line}");
    }
}

#[test]
fn a_reboot_of_the_machine_is_not_its_end() {
    assert!(!text(&plan()).contains("-no-reboot"));
}

#[test]
fn each_architecture_has_the_machine_that_it_needs() {
    let whole = |arch| Plan {
        arch,
        gui: true,
        boot: Boot::Iso("/m.iso".into()),
        metadata_cd: Some("/data.iso".into()),
        network: Network::Card { mac: "02:00:00:00:00:01".into(), peer: Peer::User(Vec::new()) },
        ..plan()
    };
    let scsi = |bus: &str| {
        format!(
            "-device virtio-scsi-{bus} -drive file=/m.iso,format=raw,if=none,media=cdrom,readonly=on,id=cd0 \
             -device scsi-cd,drive=cd0,bootindex=0 \
             -drive file=/data.iso,format=raw,if=none,media=cdrom,readonly=on,id=cd1 \
             -device scsi-cd,drive=cd1,bootindex=1 -netdev"
        )
    };
    for (arch, machine, screen, cds, net, rng) in [
        (
            Arch::X86_64,
            "pc",
            "-vga std",
            "-drive file=/m.iso,format=raw,if=ide,media=cdrom,readonly=on -boot order=d \
             -drive file=/data.iso,format=raw,if=ide,media=cdrom,readonly=on -netdev"
                .to_owned(),
            "virtio-net-pci,netdev=net0,mac=02:00:00:00:00:01,romfile=",
            "virtio-rng-pci",
        ),
        (
            Arch::Aarch64,
            "virt,gic-version=max",
            "-device virtio-gpu-pci -device virtio-keyboard-pci",
            scsi("pci"),
            "virtio-net-pci,netdev=net0,mac=02:00:00:00:00:01,romfile=",
            "virtio-rng-pci",
        ),
        (
            Arch::Riscv64,
            "virt",
            "-device virtio-gpu-pci -device virtio-keyboard-pci",
            scsi("pci"),
            "virtio-net-pci,netdev=net0,mac=02:00:00:00:00:01,romfile=",
            "virtio-rng-pci",
        ),
        (
            Arch::S390x,
            "s390-ccw-virtio",
            "-device virtio-gpu-ccw -device virtio-keyboard-ccw",
            scsi("ccw"),
            "virtio-net-ccw,netdev=net0,mac=02:00:00:00:00:01 ",
            "virtio-rng-ccw",
        ),
    ] {
        let line = text(&whole(arch));
        assert!(line.starts_with(&format!("-machine {machine} -accel ")), "{line}");
        for part in [screen, &cds, net, rng] {
            assert!(line.contains(part), "{part}\nis not in\n{line}");
        }
    }
}
