//! The stub for debuggers in QEMU: it stops the machine, and reads its physical memory.
//!
//! The remote serial protocol: packets `$data#checksum`, of which the checksum has two
//! hexadecimal digits, each answered by `+`.

use std::io::{BufReader, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

/// How long to wait for an answer.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Longest packet that is taken.
const MAX_PACKET: usize = 1 << 17;

/// Packets about stops between two answers.
const MAX_STOPS: u32 = 16;

/// Bytes that one packet asks for: as many as QEMU's stub has room for.
const READ: usize = 2048;

/// A connection. The machine stands still as long as it exists.
pub(crate) struct Stub {
    reader: BufReader<TcpStream>,
    /// What goes in front of the next packet: the acknowledgement of the last answer.
    acknowledgement: &'static str,
}

impl Stub {
    /// Connects, which stops the machine, and asks for physical addresses.
    pub(crate) fn connect(address: &str) -> Result<Self> {
        let places = address.to_socket_addrs().context("gdb: needs HOST:PORT")?;
        let mut connection = None;
        for place in places {
            connection = Some(TcpStream::connect_timeout(&place, TIMEOUT));
            if matches!(connection, Some(Ok(_))) {
                break;
            }
        }
        let stream = connection.context("no such host")??;
        stream.set_read_timeout(Some(TIMEOUT))?;
        stream.set_write_timeout(Some(TIMEOUT))?;
        stream.set_nodelay(true)?;
        let mut stub = Stub { reader: BufReader::new(stream), acknowledgement: "" };
        stub.ask("qSupported")?;
        let answer = stub.ask("Qqemu.PhyMemMode:1")?;
        ensure!(answer == b"OK", "this is no stub that reads physical memory, as QEMU's is");
        Ok(stub)
    }

    /// Bytes of the machine's memory, as QEMU's monitor says.
    pub(crate) fn memory_size(&mut self) -> Result<u64> {
        const COMMAND: &str = "info memory_size_summary";
        let digits: String = COMMAND.bytes().map(|byte| format!("{byte:02x}")).collect();
        self.send(&format!("qRcmd,{digits}"))?;
        let mut text = Vec::new();
        loop {
            match self.receive()?.as_slice() {
                b"OK" => break,
                [b'O', output @ ..] => text.extend(bytes_of(output).context("monitor's output")?),
                _ => bail!("the stub passes no command to a monitor"),
            }
            ensure!(text.len() <= MAX_PACKET, "the monitor says too much");
        }
        let text = String::from_utf8_lossy(&text);
        let line = text.lines().find_map(|line| line.trim().strip_prefix("base memory:"));
        let bytes = line.and_then(|number| number.trim().parse::<u64>().ok());
        let bytes = bytes.context("the monitor does not say how much memory there is")?;
        ensure!(bytes <= 1 << 46, "{bytes} bytes of memory");
        Ok(bytes & !4095)
    }

    /// Copies words from a physical address.
    pub(crate) fn read(&mut self, address: u64, words: &mut [u64]) -> Result<()> {
        let mut at = address;
        for words in words.chunks_mut(READ / 8) {
            let bytes = size_of_val(words);
            let answer = self.ask(&format!("m{at:x},{bytes:x}"))?;
            let answer = bytes_of(&answer).filter(|answer| answer.len() == bytes);
            let answer = answer.with_context(|| format!("no memory at {at:#x}"))?;
            let (chunks, _) = answer.as_chunks();
            for (word, bytes) in words.iter_mut().zip(chunks) {
                *word = u64::from_le_bytes(*bytes);
            }
            at += bytes as u64;
        }
        Ok(())
    }

    fn ask(&mut self, packet: &str) -> Result<Vec<u8>> {
        self.send(packet)?;
        self.receive()
    }

    fn send(&mut self, packet: &str) -> Result<()> {
        let sum = packet.bytes().fold(0u8, u8::wrapping_add);
        let text = format!("{}${packet}#{sum:02x}", self.acknowledgement);
        self.reader.get_mut().write_all(text.as_bytes()).context("the stub")
    }

    fn byte(&mut self) -> Result<u8> {
        let mut byte = [0];
        self.reader.read_exact(&mut byte).context("the stub does not answer")?;
        Ok(byte[0])
    }

    /// The contents of the next answer. Packets that say that the machine has stopped are none:
    /// it does so when somebody connects.
    fn receive(&mut self) -> Result<Vec<u8>> {
        for _ in 0..MAX_STOPS {
            let packet = self.packet()?;
            if !matches!(packet.first(), Some(b'T' | b'S')) {
                return Ok(packet);
            }
        }
        bail!("the stub says again and again that the machine has stopped")
    }

    /// The contents of the next packet.
    fn packet(&mut self) -> Result<Vec<u8>> {
        // Acknowledgements, and what is left of a packet that a signal interrupted.
        let mut skipped = 0;
        while self.byte()? != b'$' {
            skipped += 1;
            ensure!(skipped <= MAX_PACKET, "the stub sends no packet");
        }
        let mut packet = Vec::new();
        let mut sum = 0u8;
        loop {
            let byte = self.byte()?;
            if byte == b'#' {
                break;
            }
            sum = sum.wrapping_add(byte);
            packet.push(byte);
            ensure!(packet.len() <= MAX_PACKET, "the stub sends a packet without an end");
        }
        let digits = [self.byte()?, self.byte()?];
        ensure!(bytes_of(&digits) == Some(vec![sum]), "a packet of the stub is damaged");
        self.acknowledgement = "+";
        Ok(packet)
    }
}

impl Drop for Stub {
    fn drop(&mut self) {
        // The machine goes on. If it is gone, nothing has to.
        let _ = self.ask("D");
    }
}

/// The bytes of pairs of hexadecimal digits.
fn bytes_of(digits: &[u8]) -> Option<Vec<u8>> {
    let (pairs, []) = digits.as_chunks::<2>() else { return None };
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let byte = |[high, low]: &[u8; 2]| u8::try_from(16 * digit(*high)? + digit(*low)?).ok();
    pairs.iter().map(byte).collect()
}
