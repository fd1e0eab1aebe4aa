//! What the console of a bench image says, as values.
//!
//! Containers write lines to `/dev/kmsg`; the kernel puts its clock before them: `[    4.068123] bench: service one`.
//! Nothing here knows whose init it is.

/// A process and the memory it has resident, in kB.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// Its number.
    pub pid: u32,
    /// `VmRSS`.
    pub resident: u64,
    /// Its arguments, with blanks between them.
    pub args: String,
}

/// All that was said. Times are seconds since the kernel started.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Marks {
    /// When the kernel ran init.
    pub init: Option<f64>,
    /// When each onboot container ran.
    pub onboot: Vec<f64>,
    /// When each service ran.
    pub services: Vec<f64>,
    /// When the machine was asked to power off.
    pub asked_off: Option<f64>,
    /// When the kernel switched it off.
    pub off: Option<f64>,
    /// When the link came up over which metadata is asked for.
    pub link: Option<f64>,
    /// When all of user-data was there.
    pub user_data: Option<f64>,
    /// What is free in an idle machine, in kB: `MemFree`, and what the kernel keeps for each processor, which may be some 50 MB
    /// and is not counted there.
    pub free: Option<u64>,
    /// Every process of an idle machine.
    pub processes: Vec<Process>,
}

impl Marks {
    /// Reads a console.
    #[must_use]
    pub fn read(console: &str) -> Self {
        let mut marks = Self::default();
        for line in console.lines() {
            if let Some((time, text)) = mark(line, "] bench: ") {
                marks.take(time, text);
            } else if let Some((time, _)) = mark(line, "] reboot: Power down") {
                marks.off = Some(time);
            }
        }
        marks
    }

    fn take(&mut self, time: f64, text: &str) {
        let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
        match word {
            "onboot" => self.onboot.push(time),
            "service" => self.services.push(time),
            "power" => self.asked_off = Some(time),
            "link" => self.link = Some(time),
            "user-data" => self.user_data = Some(time),
            "kernel" => self.init = record_time(rest),
            "memory" => {
                if let Some(kb) = free(rest) {
                    self.free = Some(self.free.unwrap_or_default() + kb);
                }
            }
            "process" => self.processes.extend(process(rest)),
            _ => {}
        }
    }

    /// When the last service ran.
    #[must_use]
    pub fn last_service(&self) -> Option<f64> {
        self.services.iter().copied().reduce(f64::max)
    }

    /// The memory of the processes that `wanted` picks, in kB; `None` if it picks none.
    #[must_use]
    pub fn resident(&self, wanted: impl Fn(&Process) -> bool) -> Option<u64> {
        self.processes
            .iter()
            .filter(|process| wanted(process))
            .map(|process| process.resident)
            .reduce(|a, b| a + b)
    }
}

/// The kernel's time before `text`, and what follows. Something else may have been written before it on the line.
fn mark<'a>(line: &'a str, text: &str) -> Option<(f64, &'a str)> {
    let (before, after) = line.split_once(text)?;
    let time = before.rsplit_once('[')?.1.trim().parse().ok()?;
    Some((time, after.trim_end()))
}

/// `6,412,4068123,-;Run /init as init process`: the third field is in microseconds (kernel documentation, ABI/testing/dev-kmsg).
fn record_time(record: &str) -> Option<f64> {
    let micros: u32 = record.split(',').nth(2)?.parse().ok()?;
    Some(f64::from(micros) / 1e6)
}

/// What a line of memory adds to what is free, in kB.
fn free(text: &str) -> Option<u64> {
    let (name, value) = text.split_once('=')?;
    let value: u32 = value.parse().ok()?;
    match name {
        "MemFree" => Some(value.into()),
        "PerCpuPages" => Some(u64::from(value) * 4),
        _ => None,
    }
}

fn process(text: &str) -> Option<Process> {
    let mut words = text.splitn(3, ' ');
    Some(Process {
        pid: words.next()?.parse().ok()?,
        resident: words.next()?.parse().ok()?,
        args: words.next().unwrap_or_default().to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_console_becomes_values() {
        let console = "Welcome\r\n\
            [    4.100000] bench: onboot one\r\n\
            onboot one: do[    4.200000] bench: service one\r\n\
            [    4.300000] bench: service two\r\n\
            [    9.000000] bench: memory MemTotal=1000\r\n\
            [    9.000000] bench: memory MemFree=700\r\n\
            [    9.000000] bench: memory PerCpuPages=5\r\n\
            [    9.000000] bench: memory PerCpuPages=0\r\n\
            [    9.000001] bench: process 1 2500 /init \r\n\
            [    9.000001] bench: process 7 3000 init supervisor \r\n\
            [    9.000002] bench: kernel 6,412,4068123,-;Run /init as init process\r\n\
            [    9.100000] bench: power off\r\n\
            [    9.350000] reboot: Power down\r\n";
        let marks = Marks::read(console);
        assert_eq!(marks.init, Some(4.068_123));
        assert_eq!(marks.onboot, [4.1]);
        assert_eq!(marks.last_service(), Some(4.3));
        assert_eq!((marks.asked_off, marks.off), (Some(9.1), Some(9.35)));
        assert_eq!(marks.free, Some(720));
        assert_eq!(marks.resident(|process| process.pid == 1), Some(2500));
        assert_eq!(marks.resident(|process| process.args.contains("supervisor")), Some(3000));
        assert_eq!(marks.resident(|process| process.args.contains("shim")), None);
    }

    #[test]
    fn what_is_not_said_is_not_made_up() {
        assert_eq!(Marks::read("bench: service one\n[ x ] bench: service two\n"), Marks::default());
    }
}
