//! VMware's variables for guests, through the hypervisor's I/O port: remote procedure calls (RPCI) in messages of four
//! bytes at a time. Needs no daemon, no device and no privilege.
//!
//! Sources: the guest RPC of open-vm-tools (`lib/message`, `lib/include/backdoor_def.h`) and Linux's
//! `drivers/gpu/drm/vmwgfx/vmwgfx_msg.c`, whose low-bandwidth way this is.
//!
//! ```text
//! open ─► size of request ─► request… ─► size of reply ─► reply… ─► taken ─► close
//! ```

#[cfg(target_arch = "x86_64")]
mod port;
#[cfg(test)]
mod tests;

use thiserror::Error;

/// One call of the port: what goes into the registers, and what comes out of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Registers {
    /// Goes in as the port's magic number.
    pub eax: u32,
    /// Argument and result.
    pub ebx: u32,
    /// Command and message type; status in the upper half.
    pub ecx: u32,
    /// Channel in the upper half, port in the lower.
    pub edx: u32,
    /// The channel's secret, first half.
    pub esi: u32,
    /// The channel's secret, second half.
    pub edi: u32,
}

/// The port itself.
pub trait Port {
    /// One call.
    fn call(&mut self, registers: Registers) -> Registers;
}

/// Variables that the hypervisor keeps for its guest.
pub trait GuestInfo {
    /// A variable of at most `limit` bytes; none if it is not set.
    ///
    /// # Errors
    /// [`BackdoorError`].
    fn get(&mut self, name: &str, limit: usize) -> Result<Option<Vec<u8>>, BackdoorError>;
}

/// The hypervisor did not take a step of a call, or answered out of bounds.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BackdoorError {
    /// A step that it did not take.
    #[error("the hypervisor did not {0}")]
    Refused(&'static str),
    /// An answer that is too long.
    #[error("the hypervisor's answer has {size} bytes, the limit is {limit}")]
    TooLarge {
        /// In bytes.
        size: usize,
        /// In bytes.
        limit: usize,
    },
    /// An answer that is neither yes nor no.
    #[error("the hypervisor's answer is neither 0 nor 1")]
    Neither,
}

/// The variables of this machine's hypervisor, if it is VMware's.
#[must_use]
pub fn open() -> Option<Box<dyn GuestInfo>> {
    #[cfg(target_arch = "x86_64")]
    return port::detect().map(|port| Box::new(Rpc(port)) as Box<dyn GuestInfo>);
    #[cfg(not(target_arch = "x86_64"))]
    None
}

const MAGIC: u32 = 0x564d_5868;
const PORT: u32 = 0x5658;
const MESSAGE: u32 = 0x1e;
/// Who speaks: RPCI, and the channel has a secret.
const RPCI: u32 = 0x4943_5052 | 0x8000_0000;

/// Steps of a call, in the upper half of `ecx`.
const OPEN: u32 = 0;
const SEND_SIZE: u32 = 1;
const SEND: u32 = 2;
const RECEIVE_SIZE: u32 = 3;
const RECEIVE: u32 = 4;
const RECEIVED: u32 = 5;
const CLOSE: u32 = 6;

/// Status bits.
const SUCCESS: u32 = 1;
const HAS_REPLY: u32 = 2;

/// What the hypervisor puts before an answer.
const YES: &[u8] = b"1 ";
const NO: &[u8] = b"0 ";

/// Calls over a port.
#[derive(Debug)]
pub struct Rpc<P>(pub P);

impl<P: Port> GuestInfo for Rpc<P> {
    fn get(&mut self, name: &str, limit: usize) -> Result<Option<Vec<u8>>, BackdoorError> {
        let mut channel = Channel::open(&mut self.0)?;
        let answer = channel.call(format!("info-get {name}").as_bytes(), limit + YES.len());
        channel.close();
        let answer = answer?;
        match (answer.strip_prefix(YES), answer.starts_with(NO)) {
            (Some(value), _) => Ok(Some(value.to_vec())),
            // "No value found": the hypervisor has no other no.
            (None, true) => Ok(None),
            (None, false) => Err(BackdoorError::Neither),
        }
    }
}

struct Channel<'p> {
    port: &'p mut dyn Port,
    id: u32,
    secret: (u32, u32),
}

impl<'p> Channel<'p> {
    fn open(port: &'p mut dyn Port) -> Result<Self, BackdoorError> {
        let mut channel = Self { port, id: 0, secret: (0, 0) };
        let reply = channel.step(OPEN, RPCI);
        if status(reply) & SUCCESS == 0 {
            return Err(BackdoorError::Refused("open a channel"));
        }
        channel.id = reply.edx & 0xffff_0000;
        channel.secret = (reply.esi, reply.edi);
        Ok(channel)
    }

    fn call(&mut self, request: &[u8], limit: usize) -> Result<Vec<u8>, BackdoorError> {
        let size =
            u32::try_from(request.len()).map_err(|_| BackdoorError::Refused("take so long a request"))?;
        self.succeed(SEND_SIZE, size, "take the request's size")?;
        for four in request.chunks(4) {
            let mut word = [0; 4];
            word.iter_mut().zip(four).for_each(|(to, from)| *to = *from);
            self.succeed(SEND, u32::from_le_bytes(word), "take the request")?;
        }
        let reply = self.succeed(RECEIVE_SIZE, 0, "give the answer's size")?;
        if status(reply) & HAS_REPLY == 0 || reply.edx >> 16 != SEND_SIZE {
            return Err(BackdoorError::Refused("answer"));
        }
        let size = usize::try_from(reply.ebx).unwrap_or(usize::MAX);
        if size > limit {
            return Err(BackdoorError::TooLarge { size, limit });
        }
        let mut answer = Vec::with_capacity(size);
        while answer.len() < size {
            let reply = self.succeed(RECEIVE, SUCCESS, "give the answer")?;
            if reply.edx >> 16 != SEND {
                return Err(BackdoorError::Refused("give the whole answer"));
            }
            let left = size - answer.len();
            answer.extend(reply.ebx.to_le_bytes().into_iter().take(left));
        }
        self.succeed(RECEIVED, SUCCESS, "end the call")?;
        Ok(answer)
    }

    /// A channel that can't be closed is the hypervisor's to forget.
    fn close(mut self) {
        self.step(CLOSE, 0);
    }

    fn succeed(&mut self, step: u32, ebx: u32, what: &'static str) -> Result<Registers, BackdoorError> {
        let reply = self.step(step, ebx);
        if status(reply) & SUCCESS == 0 { Err(BackdoorError::Refused(what)) } else { Ok(reply) }
    }

    fn step(&mut self, step: u32, ebx: u32) -> Registers {
        let (esi, edi) = self.secret;
        let ecx = step << 16 | MESSAGE;
        self.port.call(Registers { eax: MAGIC, ebx, ecx, edx: self.id | PORT, esi, edi })
    }
}

fn status(reply: Registers) -> u32 {
    reply.ecx >> 16
}
