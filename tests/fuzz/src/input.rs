//! Decodes a byte string; behind its end there are zeros.

/// What is left of the input.
pub(crate) struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Input(bytes)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    /// At most `count` bytes.
    pub(crate) fn bytes(&mut self, count: usize) -> &'a [u8] {
        let (front, rest) = self.0.split_at(count.min(self.0.len()));
        self.0 = rest;
        front
    }

    pub(crate) fn u16(&mut self) -> u16 {
        u16::from_le_bytes([self.byte(), self.byte()])
    }

    pub(crate) fn u64(&mut self) -> u64 {
        u64::from_le_bytes(std::array::from_fn(|_| self.byte()))
    }

    /// A number that is small, or near the end of a range, or anything.
    pub(crate) fn number(&mut self) -> u32 {
        match self.byte() {
            small @ 0..0xf0 => u32::from(small),
            0xf0..0xf4 => u32::from(self.u16()),
            high @ 0xf4..0xf8 => u32::MAX - u32::from(high - 0xf4),
            bit @ 0xf8..0xfc => (1 << (7 * (bit - 0xf8) + 7)) + u32::from(self.byte()),
            _ => u32::from(self.u16()) << 16 | u32::from(self.u16()),
        }
    }
}
