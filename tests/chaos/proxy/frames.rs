//! What a NATS server says, one protocol message at a time, and what it says of
//! a delivery of JetStream. Understands as much as the proxy needs to lose whole
//! deliveries; whatever it does not understand goes through as it came.

/// Bytes that arrived, taken out in whole messages.
#[derive(Default)]
pub(super) struct Frames {
    buffer: Vec<u8>,
}

impl Frames {
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole message, as it came.
    pub(super) fn next(&mut self) -> Option<Vec<u8>> {
        let length = length(&self.buffer)?;
        let rest = self.buffer.split_off(length);
        Some(std::mem::replace(&mut self.buffer, rest))
    }
}

/// A delivery of a consumer.
#[derive(Debug, PartialEq)]
pub(super) struct Delivery<'a> {
    pub(super) consumer: &'a str,
    pub(super) consumer_sequence: u64,
}

/// What this message delivers, if it does.
pub(super) fn delivery(message: &[u8]) -> Option<Delivery<'_>> {
    let mut words = first_line(message)?.split(' ');
    if !matches!(words.next()?, "MSG" | "HMSG") {
        return None;
    }
    let reply = words.find_map(|word| word.strip_prefix("$JS.ACK."))?;
    // <stream>.<consumer>.<count>.<sequence>.<consumer sequence>.<time>.<pending>
    let mut tokens = reply.split('.').skip(1);
    Some(Delivery {
        consumer: tokens.next()?,
        consumer_sequence: tokens.nth(2)?.parse().ok()?,
    })
}

/// How long the first message is, if all of it is there.
fn length(buffer: &[u8]) -> Option<usize> {
    let line = first_line(buffer)?;
    let mut length = line.len() + 2;
    if line.starts_with("MSG ") || line.starts_with("HMSG ") {
        let payload: usize = line.rsplit(' ').next()?.parse().ok()?;
        length += payload + 2;
    }
    (buffer.len() >= length).then_some(length)
}

fn first_line(buffer: &[u8]) -> Option<&str> {
    let end = buffer.windows(2).position(|two| two == b"\r\n")?;
    std::str::from_utf8(&buffer[..end]).ok()
}
