//! `/etc/issue`, on every console: the sign for people, and for tests, that user space is there.

use super::super::machine::Machine;
use super::super::system::System;

/// What is printed when the image has no `/etc/issue`. Test suites wait for this line.
const WELCOME: &str = "\nWelcome to LinuxKit\n\n";

/// Prints the file on each terminal named by `console=`, or on `/dev/console` when none is; in a container, on standard
/// error.
pub fn print<S: System>(machine: &mut Machine<S>) {
    let text = machine.system.read("/etc/issue").unwrap_or_else(|_missing| WELCOME.to_owned());
    if machine.contained {
        // Where the runtime wants it; the consoles are the host's.
        machine.system.log(&text);
        return;
    }
    let mut terminals: Vec<String> =
        machine.cmdline.consoles().iter().map(|name| format!("/dev/{name}")).collect();
    terminals.retain(|path| machine.system.is_char_device(path));
    if terminals.is_empty() {
        terminals.push("/dev/console".to_owned());
    }
    for terminal in terminals {
        let result = machine.system.print(&terminal, &text);
        machine.check(result, format_args!("print /etc/issue on {terminal}"));
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::fake::machine;
    use super::*;
    use kmod::cmdline::Cmdline;

    #[test]
    fn every_console_that_is_a_terminal_is_welcomed() {
        let mut machine = machine(|fake| fake.char_devices = vec!["/dev/ttyS0".into(), "/dev/tty0".into()]);
        machine.cmdline = Cmdline::parse("console=tty0 console=ttyS0,115200 console=ttyS9");
        print(&mut machine);
        let welcome = "Welcome to LinuxKit";
        assert_eq!(
            machine.system.calls,
            [format!("print /dev/tty0 {welcome}"), format!("print /dev/ttyS0 {welcome}")]
        );
    }

    #[test]
    fn the_images_own_text_is_printed_where_there_is_one() {
        let mut machine = machine(|fake| fake.file("/etc/issue", "Hello\n"));
        print(&mut machine);
        assert_eq!(machine.system.calls, ["print /dev/console Hello"]);
    }
}
