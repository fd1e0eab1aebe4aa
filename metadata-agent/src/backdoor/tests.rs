//! Calls against a hypervisor that is played here.

use super::*;

/// Speaks the hypervisor's side, from the sources above, not from the code under test.
#[derive(Default)]
struct Hypervisor {
    answer: Vec<u8>,
    /// The step that it refuses.
    refuses: Option<u32>,
    request: Vec<u8>,
    announced: usize,
    given: usize,
    open: bool,
}

const COOKIE: (u32, u32) = (0xdead_beef, 0x0bad_cafe);

impl Port for Hypervisor {
    fn call(&mut self, registers: Registers) -> Registers {
        let step = registers.ecx >> 16;
        assert_eq!(registers.ecx & 0xffff, 0x1e);
        assert_eq!((registers.eax, registers.edx & 0xffff), (0x564d_5868, 0x5658));
        let mut reply = registers;
        if self.refuses == Some(step) {
            reply.ecx = 0x1e;
            return reply;
        }
        if step != 0 {
            assert_eq!((registers.esi, registers.edi, registers.edx >> 16), (COOKIE.0, COOKIE.1, 5));
            assert!(self.open, "step {step} on a closed channel");
        }
        let mut status = 1;
        match step {
            0 => {
                assert_eq!(registers.ebx, 0xc943_5052);
                (reply.esi, reply.edi, reply.edx) = (COOKIE.0, COOKIE.1, 5 << 16 | 0x5658);
                self.open = true;
            }
            1 => self.announced = registers.ebx as usize,
            2 => self.request.extend(registers.ebx.to_le_bytes()),
            3 => {
                status |= 2;
                (reply.ebx, reply.edx) = (u32::try_from(self.answer.len()).unwrap(), 1 << 16 | 0x5658);
            }
            4 => {
                let mut four = [0xaa; 4];
                let rest = &self.answer[self.given..];
                let count = rest.len().min(4);
                four[..count].copy_from_slice(&rest[..count]);
                self.given += count;
                (reply.ebx, reply.edx) = (u32::from_le_bytes(four), 2 << 16 | 0x5658);
            }
            5 => assert_eq!(self.given, self.answer.len()),
            6 => self.open = false,
            other => panic!("step {other}"),
        }
        reply.ecx = status << 16 | 0x1e;
        reply
    }
}

fn ask(hypervisor: Hypervisor) -> (Result<Option<Vec<u8>>, BackdoorError>, Hypervisor) {
    let mut rpc = Rpc(hypervisor);
    let got = rpc.get("guestinfo.userdata", 100);
    (got, rpc.0)
}

#[test]
fn a_variable_comes_whole_and_the_channel_is_closed() {
    for value in ["", "a", "abcd", "abcde", "a longer value with \0 in it"] {
        let answer = format!("1 {value}").into_bytes();
        let (got, after) = ask(Hypervisor { answer, ..Hypervisor::default() });
        assert_eq!(got, Ok(Some(value.as_bytes().to_vec())));
        assert_eq!(after.announced, "info-get guestinfo.userdata".len());
        assert_eq!(&after.request[..after.announced], b"info-get guestinfo.userdata");
        assert!(!after.open);
    }
}

#[test]
fn a_variable_that_is_not_set_is_none() {
    let (got, _) = ask(Hypervisor { answer: b"0 No value found".to_vec(), ..Hypervisor::default() });
    assert_eq!(got, Ok(None));
}

#[test]
fn an_answer_out_of_bounds_is_refused_and_the_channel_closed() {
    let (got, after) = ask(Hypervisor { answer: vec![b'1'; 103], ..Hypervisor::default() });
    assert_eq!(got, Err(BackdoorError::TooLarge { size: 103, limit: 102 }));
    assert!(!after.open);
    let (got, _) = ask(Hypervisor { answer: b"what".to_vec(), ..Hypervisor::default() });
    assert_eq!(got, Err(BackdoorError::Neither));
}

#[test]
fn a_step_that_the_hypervisor_refuses_ends_the_call() {
    for step in 0..=5 {
        let hypervisor = Hypervisor { answer: b"1 x".to_vec(), refuses: Some(step), ..Hypervisor::default() };
        let (got, after) = ask(hypervisor);
        assert!(matches!(got, Err(BackdoorError::Refused(_))), "{step}: {got:?}");
        assert!(!after.open, "{step}");
    }
}
