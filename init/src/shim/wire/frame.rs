//! Frames: a header of ten bytes and a payload.

/// Bytes before the payload: length (4, big-endian), stream (4, big-endian), kind (1), flags (1).
const HEADER: usize = 10;
/// The longest payload (bytes); ttrpc's own limit.
pub const PAYLOAD_LIMIT: usize = 4 << 20;

/// What a frame carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A call.
    Request,
    /// An answer.
    Response,
    /// A piece of a stream, or something newer than we know.
    Other(u8),
}

impl Kind {
    fn number(self) -> u8 {
        match self {
            Self::Request => 1,
            Self::Response => 2,
            Self::Other(number) => number,
        }
    }

    fn of(number: u8) -> Self {
        match number {
            1 => Self::Request,
            2 => Self::Response,
            other => Self::Other(other),
        }
    }
}

/// One message on a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// Which call it belongs to: odd numbers, chosen by the caller.
    pub stream: u32,
    /// What it carries.
    pub kind: Kind,
    /// Of streams only; a single call and its answer need none.
    pub flags: u8,
    /// A protobuf message.
    pub payload: Vec<u8>,
}

impl Frame {
    /// Appends the frame to `out`.
    ///
    /// # Errors
    /// [`FrameError::TooLong`]; nothing is appended then.
    pub fn write(&self, out: &mut Vec<u8>) -> Result<(), FrameError> {
        let too_long = FrameError::TooLong(self.payload.len());
        if self.payload.len() > PAYLOAD_LIMIT {
            return Err(too_long);
        }
        let length = u32::try_from(self.payload.len()).map_err(|_| too_long)?;
        out.reserve(HEADER + self.payload.len());
        out.extend(length.to_be_bytes());
        out.extend(self.stream.to_be_bytes());
        out.extend([self.kind.number(), self.flags]);
        out.extend_from_slice(&self.payload);
        Ok(())
    }
}

/// Why bytes are no frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// A payload longer than ttrpc allows.
    #[error("a message of {0} bytes is longer than the {PAYLOAD_LIMIT} that ttrpc allows")]
    TooLong(usize),
}

/// Cuts a stream of bytes into frames.
///
/// It holds what was pushed and not yet taken, never more: a header's claim allocates nothing.
#[derive(Debug, Default)]
pub struct Decoder {
    buffer: Vec<u8>,
}

impl Decoder {
    /// Takes bytes; the caller takes all whole frames before it pushes again.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole frame.
    ///
    /// # Errors
    /// [`FrameError::TooLong`], after which the connection is of no use.
    pub fn take(&mut self) -> Result<Option<Frame>, FrameError> {
        let Some((header, rest)) = self.buffer.split_first_chunk::<HEADER>() else { return Ok(None) };
        let [l0, l1, l2, l3, s0, s1, s2, s3, kind, flags] = *header;
        let length = u32::from_be_bytes([l0, l1, l2, l3]) as usize;
        if length > PAYLOAD_LIMIT {
            return Err(FrameError::TooLong(length));
        }
        let Some(payload) = rest.get(..length) else { return Ok(None) };
        let frame = Frame {
            stream: u32::from_be_bytes([s0, s1, s2, s3]),
            kind: Kind::of(kind),
            flags,
            payload: payload.to_vec(),
        };
        self.buffer.drain(..HEADER + length);
        if self.buffer.is_empty() {
            // A shim idles for months: it does not keep the memory of its largest message.
            self.buffer = Vec::new();
        }
        Ok(Some(frame))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_frame_has_the_bytes_that_go_sends() {
        let frame = Frame { stream: 3, kind: Kind::Request, flags: 0, payload: b"hi".to_vec() };
        let mut bytes = Vec::new();
        frame.write(&mut bytes).unwrap();
        assert_eq!(bytes, [0, 0, 0, 2, 0, 0, 0, 3, 1, 0, b'h', b'i']);
    }

    #[test]
    fn a_message_longer_than_the_limit_is_refused_both_ways() {
        let mut decoder = Decoder::default();
        decoder.push(&[0x00, 0x40, 0x00, 0x01, 0, 0, 0, 1, 1, 0]);
        assert_eq!(decoder.take(), Err(FrameError::TooLong(PAYLOAD_LIMIT + 1)));
        let frame = Frame { stream: 1, kind: Kind::Response, flags: 0, payload: vec![0; PAYLOAD_LIMIT + 1] };
        let mut out = Vec::new();
        assert!(frame.write(&mut out).is_err());
        assert!(out.is_empty());
    }

    fn frames() -> impl Strategy<Value = Vec<Frame>> {
        let frame =
            (any::<u32>(), any::<u8>(), any::<u8>(), prop::collection::vec(any::<u8>(), 0..300)).prop_map(
                |(stream, kind, flags, payload)| Frame { stream, kind: Kind::of(kind), flags, payload },
            );
        prop::collection::vec(frame, 0..8)
    }

    proptest! {
        #[test]
        fn frames_come_out_as_they_went_in_however_they_are_cut(frames in frames(), cut in 1usize..64) {
            let mut bytes = Vec::new();
            for frame in &frames {
                frame.write(&mut bytes).unwrap();
            }
            let (mut decoder, mut taken) = (Decoder::default(), Vec::new());
            for piece in bytes.chunks(cut) {
                decoder.push(piece);
                while let Some(frame) = decoder.take().unwrap() {
                    taken.push(frame);
                }
            }
            prop_assert_eq!(taken, frames);
        }

        #[test]
        fn hostile_bytes_never_hold_more_than_was_sent(pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 0..20)) {
            let (mut decoder, mut sent, mut taken) = (Decoder::default(), 0, 0);
            'all: for piece in &pieces {
                decoder.push(piece);
                sent += piece.len();
                loop {
                    match decoder.take() {
                        Ok(Some(frame)) => taken += HEADER + frame.payload.len(),
                        Ok(None) => break,
                        Err(_) => break 'all,
                    }
                }
                prop_assert_eq!(decoder.buffer.len(), sent - taken);
                prop_assert!(decoder.buffer.capacity() <= 2 * sent.max(8));
            }
        }
    }
}
