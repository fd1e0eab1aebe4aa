//! Device rules as an eBPF program for `BPF_PROG_TYPE_CGROUP_DEVICE`.
//!
//! It is called with `struct bpf_cgroup_dev_ctx` (linux/bpf.h): `u32 access_type` (access in the upper half, type in the
//! lower), `u32 major`, `u32 minor`. It answers 1 for yes. Instructions are those of the kernel's
//! Documentation/bpf/standardization/instruction-set.rst.

use std::ops::BitOr;

/// What is done to a device: reading, writing, making a node, as bits of `BPF_DEVCG_ACC_*`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Access(i32);

/// All of them.
pub const ACCESS_ALL: Access = Access(7);

impl Access {
    /// Making a node.
    pub const MKNOD: Self = Self(1);
    /// Reading.
    pub const READ: Self = Self(2);
    /// Writing.
    pub const WRITE: Self = Self(4);

    /// From the letters `r`, `w`, `m`; `None` for any other, or none at all.
    pub fn parse(text: &str) -> Option<Self> {
        text.chars()
            .map(|letter| match letter {
                'r' => Some(Self::READ),
                'w' => Some(Self::WRITE),
                'm' => Some(Self::MKNOD),
                _ => None,
            })
            .reduce(|a, b| Some(a? | b?))?
    }
}

impl BitOr for Access {
    type Output = Self;
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// The kind of a device, as `BPF_DEVCG_DEV_*`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Block device.
    Block = 1,
    /// Character device.
    Character = 2,
}

/// Allows or refuses the uses of some devices; `None` is any.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// Whether it allows them.
    pub allow: bool,
    /// Kind of device.
    pub kind: Option<Kind>,
    /// Major number.
    pub major: Option<u32>,
    /// Minor number.
    pub minor: Option<u32>,
    /// The uses that it is about.
    pub access: Access,
}

/// Registers: what was asked, and what of it no rule has decided yet.
const ANSWER: u8 = 0;
const CONTEXT: u8 = 1;
const KIND: u8 = 2;
const UNDECIDED: u8 = 3;
const MAJOR: u8 = 4;
const MINOR: u8 = 5;
const SCRATCH: u8 = 6;

const LOAD_WORD: u8 = 0x61;
const AND: u8 = 0x54;
const RIGHT_SHIFT: u8 = 0x74;
const SET: u8 = 0xb7;
const COPY: u8 = 0xbf;
const EXIT: u8 = 0x95;
const JUMP_IF_EQUAL: u8 = 0x15;
/// On 32 bits, so that a number is not taken for a negative one.
const JUMP_IF_NOT_EQUAL_32: u8 = 0x56;
const JUMP_IF_NOT_EQUAL: u8 = 0x55;

/// One instruction: operation, destination and source register, offset, constant.
fn instruction(operation: u8, to: u8, from: u8, offset: i16, constant: i32) -> u64 {
    let [c0, c1, c2, c3] = constant.to_le_bytes();
    let [o0, o1] = offset.to_le_bytes();
    u64::from_le_bytes([operation, to | from << 4, o0, o1, c0, c1, c2, c3])
}

/// The program for `rules`, of which a later one overrules an earlier one; what none allows is refused.
///
/// Each bit of what is asked is decided for itself, so that a rule for reading and one for writing allow both.
pub fn program(rules: &[Rule]) -> Vec<u64> {
    let mut program = vec![
        instruction(LOAD_WORD, KIND, CONTEXT, 0, 0),
        instruction(COPY, UNDECIDED, KIND, 0, 0),
        instruction(AND, KIND, 0, 0, 0xffff),
        instruction(RIGHT_SHIFT, UNDECIDED, 0, 0, 16),
        instruction(LOAD_WORD, MAJOR, CONTEXT, 4, 0),
        instruction(LOAD_WORD, MINOR, CONTEXT, 8, 0),
    ];
    for rule in rules.iter().rev() {
        let decision = decision(rule);
        let mut length = i16::try_from(decision.len()).unwrap_or_default();
        // From the last condition to the first, as each jumps over those behind it.
        let mut conditions = Vec::new();
        for (register, wanted) in [
            (MINOR, rule.minor.map(u32::cast_signed)),
            (MAJOR, rule.major.map(u32::cast_signed)),
            (KIND, rule.kind.map(|kind| kind as i32)),
        ] {
            if let Some(wanted) = wanted {
                conditions.push(instruction(JUMP_IF_NOT_EQUAL_32, register, 0, length, wanted));
                length += 1;
            }
        }
        program.extend(conditions.into_iter().rev());
        program.extend(decision);
    }
    program.extend(answer(false));
    program
}

/// What a rule does when the device is one of its own.
fn decision(rule: &Rule) -> Vec<u64> {
    let mut decision = if rule.allow {
        vec![
            instruction(AND, UNDECIDED, 0, 0, !rule.access.0),
            instruction(JUMP_IF_NOT_EQUAL, UNDECIDED, 0, 2, 0),
        ]
    } else {
        vec![
            instruction(COPY, SCRATCH, UNDECIDED, 0, 0),
            instruction(AND, SCRATCH, 0, 0, rule.access.0),
            instruction(JUMP_IF_EQUAL, SCRATCH, 0, 2, 0),
        ]
    };
    decision.extend(answer(rule.allow));
    decision
}

fn answer(yes: bool) -> [u64; 2] {
    [instruction(SET, ANSWER, 0, 0, i32::from(yes)), instruction(EXIT, 0, 0, 0, 0)]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What the kernel does with a program, for the instructions that are used here.
    fn run(program: &[u64], kind: Kind, access: Access, major: u32, minor: u32) -> bool {
        let context = [(access.0 as u32) << 16 | kind as u32, major, minor];
        let mut registers = [0_u64; 7];
        let mut at = 0_usize;
        loop {
            let [operation, both, o0, o1, c0, c1, c2, c3] = program[at].to_le_bytes();
            let (to, from) = (usize::from(both & 15), usize::from(both >> 4));
            let offset = i16::from_le_bytes([o0, o1]);
            let constant = i32::from_le_bytes([c0, c1, c2, c3]);
            let wide = i64::from(constant) as u64;
            at += 1;
            let jumps = match operation {
                LOAD_WORD => {
                    registers[to] = u64::from(context[usize::try_from(offset).unwrap() / 4]);
                    false
                }
                COPY => {
                    registers[to] = registers[from];
                    false
                }
                AND => {
                    registers[to] = u64::from(registers[to] as u32 & constant as u32);
                    false
                }
                RIGHT_SHIFT => {
                    registers[to] = u64::from((registers[to] as u32) >> constant);
                    false
                }
                SET => {
                    registers[to] = wide;
                    false
                }
                JUMP_IF_EQUAL => registers[to] == wide,
                JUMP_IF_NOT_EQUAL => registers[to] != wide,
                JUMP_IF_NOT_EQUAL_32 => registers[to] as u32 != constant as u32,
                EXIT => return registers[0] == 1,
                other => panic!("instruction {other:#x}"),
            };
            if jumps {
                at += usize::try_from(offset).unwrap();
            }
        }
    }

    /// What the rules mean, told plainly.
    fn meaning(rules: &[Rule], kind: Kind, access: Access, major: u32, minor: u32) -> bool {
        [1, 2, 4].into_iter().filter(|bit| access.0 & bit != 0).all(|bit| {
            rules
                .iter()
                .rev()
                .find(|rule| {
                    rule.access.0 & bit != 0
                        && rule.kind.is_none_or(|of| of == kind)
                        && rule.major.is_none_or(|of| of == major)
                        && rule.minor.is_none_or(|of| of == minor)
                })
                .is_some_and(|rule| rule.allow)
        })
    }

    fn kind() -> impl Strategy<Value = Kind> {
        prop_oneof![Just(Kind::Block), Just(Kind::Character)]
    }

    fn number() -> impl Strategy<Value = u32> {
        prop_oneof![0_u32..3, Just(u32::MAX)]
    }

    fn rule() -> impl Strategy<Value = Rule> {
        (
            any::<bool>(),
            prop::option::of(kind()),
            prop::option::of(number()),
            prop::option::of(number()),
            1_i32..8,
        )
            .prop_map(|(allow, kind, major, minor, access)| Rule {
                allow,
                kind,
                major,
                minor,
                access: Access(access),
            })
    }

    proptest! {
        #[test]
        fn a_program_does_what_its_rules_mean(
            rules in prop::collection::vec(rule(), 0..12),
            kind in kind(), access in 1_i32..8, major in number(), minor in number(),
        ) {
            let access = Access(access);
            prop_assert_eq!(
                run(&program(&rules), kind, access, major, minor),
                meaning(&rules, kind, access, major, minor)
            );
        }
    }

    #[test]
    fn reading_and_writing_may_be_allowed_by_two_rules() {
        let rule = |access| Rule {
            allow: true,
            kind: Some(Kind::Character),
            major: Some(1),
            minor: Some(3),
            access,
        };
        let program = program(&[rule(Access::READ), rule(Access::WRITE)]);
        assert!(run(&program, Kind::Character, Access::READ | Access::WRITE, 1, 3));
        assert!(!run(&program, Kind::Character, ACCESS_ALL, 1, 3));
        assert!(!run(&program, Kind::Block, Access::READ, 1, 3));
    }

    #[test]
    fn letters_are_read() {
        assert_eq!(Access::parse("rwm"), Some(ACCESS_ALL));
        assert_eq!(Access::parse("w"), Some(Access::WRITE));
        assert_eq!(Access::parse("x"), None);
        assert_eq!(Access::parse(""), None);
    }
}
