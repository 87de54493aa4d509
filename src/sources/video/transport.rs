//! Whether the packets of a transport stream are whole. FFmpeg calls a packet corrupt where the continuity counters of
//! the stream break after it, which they do where recordings were joined, and then it marks the packet before; what is
//! in the file tells.

use std::io::{self, BufReader, Read, Seek, SeekFrom};

const SYNC: u8 = 0x47;
/// Bytes of a packet without what some recorders put around it.
const PACKET: usize = 188;
/// Distances from one packet to the next: plain, with a time before it (M2TS), with a checksum after it.
const DISTANCES: [usize; 3] = [PACKET, 192, 204];
/// The packets of the table of programs, which come several times a second.
const TABLE: u16 = 0;
/// Packets before a picture among which its last is looked for.
const TABLE_WITHIN: u64 = 1 << 16;
/// Bytes of a picture that are looked through.
const MAX_PICTURE: u64 = 256 << 20;

/// A transport stream, read beside the demuxer.
pub(super) struct Transport {
    file: Box<dyn ReadSeek>,
}

pub(super) trait ReadSeek: Read + Seek + Send {}

impl<T: Read + Seek + Send> ReadSeek for T {}

/// How the data that begin at a packet end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extent {
    /// Nothing is missing.
    Whole,
    /// Packets are missing, or are damaged.
    Broken,
    /// The file ends after it. Whether it does so where the data end, cannot be told.
    ToTheEnd,
}

/// A packet of the stream.
struct Packet {
    pid: u16,
    starts: bool,
    damaged: bool,
    counter: u8,
    /// Whether the counters may break here.
    discontinuity: bool,
    /// Whether the payload is shorter than it could be, as is that of a last packet nearly always.
    stuffed: bool,
    payload: Option<Vec<u8>>,
}

impl Transport {
    pub(super) fn new(file: impl Read + Seek + Send + 'static) -> Self {
        Self {
            file: Box::new(BufReader::with_capacity(1 << 16, file)),
        }
    }

    /// What the elementary data (a PES packet) that begin with the packet at `position` are like.
    ///
    /// # Errors
    /// What reading gives.
    pub(super) fn extent(&mut self, position: u64) -> io::Result<Extent> {
        self.file.seek(SeekFrom::Start(position))?;
        let Some((distance, first)) = self.first()? else {
            return Ok(Extent::Broken);
        };
        if !first.starts || first.damaged {
            return Ok(Extent::Broken);
        }
        let declared = first.payload.as_deref().and_then(declared_length);
        let mut had = first.payload.as_ref().map_or(0, Vec::len) as u64;
        let (mut counter, mut stuffed, mut table) = (first.counter, first.stuffed, None);
        let complete =
            |had: u64, stuffed: bool| declared.map_or(stuffed, |declared| had >= declared);
        loop {
            let Some(next) = self.next(distance)? else {
                return Ok(if complete(had, stuffed) {
                    Extent::Whole
                } else {
                    Extent::ToTheEnd
                });
            };
            // A packet of which nothing is known may have been of this stream.
            let Some(packet) = next else {
                return Ok(if complete(had, stuffed) {
                    Extent::Whole
                } else {
                    Extent::Broken
                });
            };
            if packet.pid == TABLE {
                table = table.or(Some(packet.counter));
            }
            if packet.pid != first.pid {
                continue;
            }
            let Some(payload) = packet.payload else {
                continue;
            };
            let follows = packet.discontinuity || packet.counter == (counter + 1) & 0xf;
            if packet.starts {
                let whole = follows && !packet.discontinuity
                    || complete(had, stuffed)
                    || self.is_join(position, distance, table)?;
                return Ok(if whole { Extent::Whole } else { Extent::Broken });
            }
            if packet.counter == counter && !packet.discontinuity {
                // Sent twice, which is allowed.
                continue;
            }
            if !follows || packet.damaged || had > MAX_PICTURE {
                return Ok(Extent::Broken);
            }
            had += payload.len() as u64;
            (counter, stuffed) = (packet.counter, packet.stuffed);
        }
    }

    /// Whether the table of programs, whose next packet has the number `next`, begins anew too: then another recording begins,
    /// and nothing is missing where the data, by chance, fill their last packet.
    fn is_join(&mut self, position: u64, distance: usize, next: Option<u8>) -> io::Result<bool> {
        let Some(next) = next else { return Ok(false) };
        let packets = TABLE_WITHIN.min(position / distance as u64);
        self.file
            .seek(SeekFrom::Start(position - packets * distance as u64))?;
        let mut last = None;
        for _ in 0..packets {
            match self.next(distance)? {
                Some(Some(packet)) if packet.pid == TABLE => last = Some(packet.counter),
                Some(_) => {}
                None => break,
            }
        }
        Ok(last.is_some_and(|last| next != (last + 1) & 0xf))
    }

    /// The packet at the position, or a few bytes after it, and how far it is to the next.
    fn first(&mut self) -> io::Result<Option<(usize, Packet)>> {
        let mut bytes = [0; 2 * 204 + 4];
        let filled = fill(&mut self.file, &mut bytes)?;
        let bytes = &bytes[..filled];
        let at = |n: usize| bytes.get(n) == Some(&SYNC);
        // In the last packet nothing tells the distance, which then nothing needs.
        let found = [0, 4].into_iter().find_map(|start| {
            let next = DISTANCES.into_iter().find(|distance| at(start + distance));
            (at(start) && (next.is_some() || filled <= start + 204))
                .then_some((start, next.unwrap_or(PACKET)))
        });
        let Some((start, distance)) = found else {
            return Ok(None);
        };
        let Some(packet) = bytes.get(start..start + PACKET) else {
            return Ok(None);
        };
        let read_on = (start + distance) as i64 - filled as i64;
        self.file.seek(SeekFrom::Current(read_on.min(0)))?;
        Ok(parse(packet).map(|packet| (distance, packet)))
    }

    /// The next packet; none at the end, and none inside where there is something else.
    fn next(&mut self, distance: usize) -> io::Result<Option<Option<Packet>>> {
        let mut bytes = [0; 204];
        let filled = fill(&mut self.file, &mut bytes[..distance])?;
        Ok(bytes
            .get(..filled.min(PACKET))
            .filter(|bytes| bytes.len() == PACKET)
            .map(parse))
    }
}

/// Reads until the buffer is full or the file ends.
fn fill(file: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match file.read(rest) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(filled)
}

/// The fields of a packet's header (ISO/IEC 13818-1, 2.4.3.2).
fn parse(bytes: &[u8]) -> Option<Packet> {
    let &[SYNC, flags, low, control, ..] = bytes else {
        return None;
    };
    let (has_field, has_payload) = (control & 0x20 != 0, control & 0x10 != 0);
    let length = if has_field {
        usize::from(*bytes.get(4)?) + 1
    } else {
        0
    };
    let field = bytes.get(5..4 + length.max(1)).unwrap_or_default();
    Some(Packet {
        pid: u16::from(flags & 0x1f) << 8 | u16::from(low),
        starts: flags & 0x40 != 0,
        damaged: flags & 0x80 != 0,
        counter: control & 0xf,
        discontinuity: field.first().is_some_and(|flags| flags & 0x80 != 0),
        stuffed: has_field && (field.is_empty() || field.len() > meaning(field)),
        payload: if has_payload {
            bytes.get(4 + length..).map(<[u8]>::to_vec)
        } else {
            None
        },
    })
}

/// Bytes of an adaptation field that mean something; one of no length is stuffing itself.
fn meaning(field: &[u8]) -> usize {
    let Some(&flags) = field.first() else {
        return 0;
    };
    let mut used = 1
        + if flags & 0x10 != 0 { 6 } else { 0 }
        + if flags & 0x08 != 0 { 6 } else { 0 }
        + usize::from(flags & 0x04 != 0);
    for part in [0x02, 0x01] {
        if flags & part != 0 {
            used += 1 + field.get(used).copied().map_or(0, usize::from);
        }
    }
    used
}

/// Length of the elementary data with their header, where it is stated.
fn declared_length(payload: &[u8]) -> Option<u64> {
    match payload {
        [0, 0, 1, _, high, low, ..] => Some(u64::from(u16::from_be_bytes([*high, *low])))
            .filter(|n| *n > 0)
            .map(|n| n + 6),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    /// A packet of stream 256 with `length` bytes of payload, the rest stuffing.
    fn packet(counter: u8, starts: bool, length: usize) -> Vec<u8> {
        let mut bytes = vec![SYNC, 1 | if starts { 0x40 } else { 0 }, 0];
        match PACKET - 4 - length {
            0 => bytes.push(0x10 | counter),
            1 => bytes.extend([0x30 | counter, 0]),
            n => {
                bytes.extend([0x30 | counter, n as u8 - 1, 0]);
                bytes.resize(4 + n, 0xff);
            }
        }
        bytes.extend([0, 0, 1, 0xe0, 0, 0].into_iter().cycle().take(length));
        bytes
    }

    fn extent(packets: &[(u8, bool, usize)], prefix: usize) -> Extent {
        let bytes: Vec<u8> = packets
            .iter()
            .flat_map(|&(c, s, n)| {
                vec![0; prefix]
                    .into_iter()
                    .chain(packet(c, s, n))
                    .collect::<Vec<_>>()
            })
            .collect();
        Transport::new(Cursor::new(bytes)).extent(0).unwrap()
    }

    #[test]
    fn a_join_shows_in_the_table_of_programs() {
        let table = |counter: u8| [&[SYNC, 0x40, 0, 0x10 | counter][..], &[0; 184]].concat();
        for (second, expected) in [(5, Extent::Whole), (4, Extent::Broken)] {
            let bytes = [
                table(3),
                packet(1, true, 184),
                table(second),
                packet(9, true, 184),
            ]
            .concat();
            assert_eq!(
                Transport::new(Cursor::new(bytes)).extent(188).unwrap(),
                expected
            );
        }
    }

    #[test]
    fn only_what_lacks_packets_is_broken() {
        for prefix in [0, 4] {
            assert_eq!(
                extent(&[(1, true, 184), (2, false, 184), (3, true, 184)], prefix),
                Extent::Whole
            );
            // A join: the counters break where the data had ended.
            assert_eq!(
                extent(&[(1, true, 184), (2, false, 100), (9, true, 184)], prefix),
                Extent::Whole
            );
            assert_eq!(
                extent(&[(1, true, 184), (2, false, 183), (9, true, 184)], prefix),
                Extent::Whole
            );
            // Packets are missing at the end, in the middle.
            assert_eq!(
                extent(&[(1, true, 184), (2, false, 184), (5, true, 184)], prefix),
                Extent::Broken
            );
            assert_eq!(
                extent(&[(1, true, 184), (3, false, 20), (4, true, 184)], prefix),
                Extent::Broken
            );
            // One comes twice.
            assert_eq!(
                extent(
                    &[
                        (1, true, 184),
                        (1, false, 184),
                        (2, false, 20),
                        (3, true, 9)
                    ],
                    prefix
                ),
                Extent::Whole
            );
            assert_eq!(
                extent(&[(1, true, 184), (2, false, 184)], prefix),
                Extent::ToTheEnd
            );
            assert_eq!(
                extent(&[(1, true, 184), (2, false, 50)], prefix),
                Extent::Whole
            );
        }
        assert_eq!(
            Transport::new(Cursor::new(vec![7; 600])).extent(0).unwrap(),
            Extent::Broken
        );
    }
}
