//! The ledger: what each reader has got, held against what was published.
//!
//! In: payloads. Out: counts, numbers that did not come, the newest number of each key, latencies.
//! Numbers of a room count from 1 and must come to each reader in rising order: so a doubled or a
//! reordered one is found, and what is missing is the rest. Generator thread.

use crate::readers::Hear;

/// Bytes at the beginning of a payload: key, the number in the room, when it was published.
pub const PAYLOAD_BYTES_MIN: usize = 20;
/// Runs of missing numbers that are kept for each reader.
const GAPS_MAX: usize = 4_096;

/// Writes the beginning of a payload.
pub fn fill(payload: &mut [u8], key: u32, number: u64, now_ns: u64) {
    payload[..4].copy_from_slice(&key.to_le_bytes());
    payload[4..12].copy_from_slice(&number.to_le_bytes());
    payload[12..20].copy_from_slice(&now_ns.to_le_bytes());
}

/// What one reader has got.
#[derive(Clone, Debug, Default)]
pub struct Heard {
    /// Payloads since the last [`Ledger::begin`].
    pub frames: u64,
    /// The number of the newest.
    pub last: u64,
    /// First and last of numbers that did not come; at most so many are kept.
    pub gaps: Vec<(u64, u64)>,
    /// The newest number of each key.
    pub newest: Vec<u64>,
    /// Keys that it has to be sent, where it is not all.
    pub only: Option<u32>,
    /// Whether its latencies count.
    pub is_timed: bool,
}

impl Heard {
    /// Whether all numbers that did not come are known.
    pub fn knows_gaps(&self) -> bool {
        self.gaps.len() < GAPS_MAX
    }
}

pub struct Ledger {
    pub readers: Vec<Heard>,
    /// Nanoseconds from the publisher's stamp, while `is_timing`.
    pub latencies: Vec<u64>,
    pub is_timing: bool,
    pub faults: Vec<String>,
}

impl Ledger {
    /// Of so many readers; the newest number is kept of so many keys.
    pub fn new(readers: usize, keys: usize) -> Self {
        let heard = Heard {
            newest: vec![0; keys],
            is_timed: true,
            ..Heard::default()
        };
        Ledger {
            readers: vec![heard; readers],
            latencies: Vec::new(),
            is_timing: false,
            faults: Vec::new(),
        }
    }

    /// Counts anew from here on.
    pub fn begin(&mut self) {
        for heard in &mut self.readers {
            heard.frames = 0;
            heard.gaps.clear();
        }
    }

    /// Payloads of these readers.
    pub fn frames(&self, readers: impl Iterator<Item = usize>) -> u64 {
        readers.map(|nth| self.readers[nth].frames).sum()
    }

    fn fault(&mut self, text: String) {
        if self.faults.len() < 8 {
            self.faults.push(text);
        }
    }
}

impl Hear for Ledger {
    fn hear(&mut self, reader: usize, payload: &[u8], now_ns: u64) {
        let Some((head, _)) = payload.split_first_chunk::<PAYLOAD_BYTES_MIN>() else {
            return self.fault(format!("reader {reader} got {} bytes", payload.len()));
        };
        let key = u32::from_le_bytes([head[0], head[1], head[2], head[3]]);
        let eight = |from: usize| {
            let bytes = head[from..].first_chunk().expect("the head has 20 bytes");
            u64::from_le_bytes(*bytes)
        };
        let (number, stamp) = (eight(4), eight(12));
        let heard = &mut self.readers[reader];
        let last = std::mem::replace(&mut heard.last, number);
        heard.frames += 1;
        if number <= last {
            return self.fault(format!("reader {reader}: {number} came behind {last}"));
        }
        if number > last + 1 && heard.knows_gaps() {
            heard.gaps.push((last + 1, number - 1));
        }
        if let Some(newest) = heard.newest.get_mut(key as usize) {
            *newest = number;
        }
        let is_wanted = heard.only.is_none_or(|only| only == key);
        if self.is_timing && heard.is_timed {
            self.latencies.push(now_ns.saturating_sub(stamp));
        }
        if !is_wanted {
            self.fault(format!(
                "reader {reader} got what its filter does not match"
            ));
        }
    }
}
