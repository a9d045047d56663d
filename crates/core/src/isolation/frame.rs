//! Messages between a server and its query processes: a byte that says what it is, a length, and that many bytes.

use bytes::Bytes;
use std::io::{Error, ErrorKind, Read, Result, Write};

/// What a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tag {
    /// To the process: a [`Job`](super::Job) as JSON.
    Job,
    /// To the process: nobody waits for the answer any more.
    Cancel,
    /// To the server: the process has opened the lake, or has begun with a job.
    Ready,
    /// To the server: a piece of an Arrow IPC stream.
    Rows,
    /// To the server: [`Progress`](super::job::Progress) as JSON.
    Progress,
    /// To the server: [`Ended`](super::job::Ended) as JSON. The process waits for the next job.
    End,
}

const TAGS: [(Tag, u8); 6] = [
    (Tag::Job, b'J'),
    (Tag::Cancel, b'C'),
    (Tag::Ready, b'A'),
    (Tag::Rows, b'R'),
    (Tag::Progress, b'P'),
    (Tag::End, b'E'),
];

/// A row can be as large as the memory of a query; what claims to be larger is no message.
const MOST_BYTES: u32 = 1 << 30;

/// A message.
#[derive(Debug, Clone)]
pub(super) struct Frame {
    pub(super) tag: Tag,
    pub(super) bytes: Bytes,
}

impl Frame {
    pub(super) fn new(tag: Tag, bytes: impl Into<Bytes>) -> Self {
        Self { tag, bytes: bytes.into() }
    }

    /// Writes it, and sees that it leaves.
    pub(super) fn write(&self, to: &mut impl Write) -> Result<()> {
        let byte = TAGS.iter().find(|(tag, _)| *tag == self.tag).map_or(0, |(_, byte)| *byte);
        let length = u32::try_from(self.bytes.len()).ok().filter(|length| *length <= MOST_BYTES);
        let length =
            length.ok_or_else(|| Error::new(ErrorKind::InvalidInput, "a row has more than 1 GiB"))?;
        let mut head = [byte; 5];
        head[1..].copy_from_slice(&length.to_le_bytes());
        to.write_all(&head)?;
        to.write_all(&self.bytes)?;
        to.flush()
    }

    /// Reads the next one; `None` at the end.
    pub(super) fn read(from: &mut impl Read) -> Result<Option<Self>> {
        let mut head = [0; 5];
        let mut filled = 0;
        while filled < head.len() {
            match from.read(&mut head[filled..]) {
                Ok(0) if filled == 0 => return Ok(None),
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(count) => filled += count,
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        let [byte, length @ ..] = head;
        let length = u32::from_le_bytes(length);
        let tag = TAGS.iter().find(|(_, known)| *known == byte).map(|(tag, _)| *tag);
        let tag = tag.filter(|_| length <= MOST_BYTES);
        let tag = tag.ok_or_else(|| Error::new(ErrorKind::InvalidData, "this is no message"))?;
        // grows as bytes come: a length alone takes no memory
        let mut bytes = Vec::with_capacity((length as usize).min(1 << 20));
        from.take(length.into()).read_to_end(&mut bytes)?;
        match bytes.len() == length as usize {
            true => Ok(Some(Self::new(tag, bytes))),
            false => Err(ErrorKind::UnexpectedEof.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_written_is_read_and_what_is_cut_off_is_an_error(
            frames in prop::collection::vec((0..TAGS.len(), prop::collection::vec(any::<u8>(), 0..64)), 0..5),
            cut in 1_usize..5,
        ) {
            let mut wire = Vec::new();
            for (tag, bytes) in &frames {
                Frame::new(TAGS[*tag].0, bytes.clone()).write(&mut wire).unwrap();
            }
            let mut rest = &wire[..];
            for (tag, bytes) in &frames {
                let frame = Frame::read(&mut rest).unwrap().unwrap();
                prop_assert_eq!(frame.tag, TAGS[*tag].0);
                prop_assert_eq!(&frame.bytes[..], &bytes[..]);
            }
            prop_assert!(Frame::read(&mut rest).unwrap().is_none());
            if let Some((_, last)) = frames.last() {
                let begin = wire.len() - last.len() - 5;
                prop_assert!(Frame::read(&mut &wire[begin..begin + cut.min(last.len() + 4)]).is_err());
            }
        }

        #[test]
        fn what_is_no_message_is_refused(wire in prop::collection::vec(any::<u8>(), 5..40)) {
            let known = TAGS.iter().any(|(_, byte)| *byte == wire[0]);
            prop_assume!(!known);
            prop_assert!(Frame::read(&mut &wire[..]).is_err());
        }
    }
}
