//! Indicators as lists and people write them: a name, an address, a range of addresses, or a URL with one of
//! them as its host. The reader takes all that may stand around it: scheme, user, port, path, `*.`, a leading
//! dot, a prefix length, octal and hexadecimal parts of an address. How indicators stand in a line is
//! left to the formats of lists.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{Flaw, Network, canonical};

/// The meaning of a word.
#[derive(Debug, PartialEq, Eq)]
pub enum Indicator<'a> {
    Name {
        /// In document form.
        name: &'a str,
        /// The word was `*.name` or `.name`.
        wildcard: bool,
    },
    Network(Network),
}

/// The meaning of a URL with a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Urls {
    /// A URL names one page and not its host: [`Flaw::Path`].
    #[default]
    Pages,
    /// A URL names its host.
    Hosts,
}

impl<'a> Indicator<'a> {
    /// Reads one word. `buffer` holds the name where its document form differs from the word.
    ///
    /// # Errors
    /// The word names nothing.
    pub fn read(word: &'a [u8], urls: Urls, buffer: &'a mut String) -> Result<Self, Flaw> {
        if let Some(meant) = refanged(word) {
            let mut name = String::new();
            return match Indicator::read(&meant, urls, &mut name)? {
                Indicator::Name { name, wildcard } => {
                    name.clone_into(buffer);
                    Ok(Self::Name { name: buffer, wildcard })
                }
                Indicator::Network(network) => Ok(Self::Network(network)),
            };
        }
        // Most lists hold bare names only.
        let mut host = word;
        if word.iter().any(|byte| matches!(byte, b':' | b'/' | b'?' | b'#' | b'@' | b'[')) {
            if let Some(network) = cidr(word) {
                return network.map(Self::Network);
            }
            host = host_of(word, urls)?;
        }
        if let Some(address) = address(host)? {
            return Ok(Self::Network(Network::host(address)));
        }
        let bare = host.strip_prefix(b"*.").or_else(|| host.strip_prefix(b"."));
        let name = canonical(bare.unwrap_or(host), buffer)?;
        Ok(Self::Name { name, wildcard: bare.is_some() })
    }
}

/// Spellings that reports and feeds use so that no click opens an indicator.
const DEFANGED: [(&[u8], &[u8]); 10] = [
    (b"[.]", b"."),
    (b"(.)", b"."),
    (b"{.}", b"."),
    (b"[dot]", b"."),
    (b"(dot)", b"."),
    (b"{dot}", b"."),
    (b"[:]", b":"),
    (b"[://]", b"://"),
    (b"[@]", b"@"),
    (b"[/]", b"/"),
];

/// The word that was meant by `evil[.]example` or `hxxp[:]//evil[.]example`; `None` for all other words.
fn refanged(word: &[u8]) -> Option<Vec<u8>> {
    if !word.iter().any(|byte| matches!(byte, b'[' | b'(' | b'{')) {
        return None;
    }
    let mut meant = Vec::with_capacity(word.len());
    let mut rest = word;
    while let Some((first, after)) = rest.split_first() {
        let spelling = DEFANGED
            .iter()
            .find(|(written, _)| rest.get(..written.len()).is_some_and(|start| start.eq_ignore_ascii_case(written)));
        if let Some((written, plain)) = spelling {
            meant.extend_from_slice(plain);
            rest = rest.get(written.len()..).unwrap_or_default();
        } else {
            meant.push(*first);
            rest = after;
        }
    }
    (meant.len() < word.len()).then_some(meant)
}

/// `address/length`; `None` when the word is not of that kind.
fn cidr(word: &[u8]) -> Option<Result<Network, Flaw>> {
    let slash = word.iter().rposition(|byte| *byte == b'/')?;
    let length = std::str::from_utf8(word.get(slash + 1..)?).ok()?;
    if length.is_empty() || length.len() > 3 || !length.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let address = address(word.get(..slash)?).ok()??;
    Some(length.parse().ok().and_then(|length| Network::new(address, length)).ok_or(Flaw::Prefix))
}

/// Cuts off what a URL has around its host (RFC 3986 3).
fn host_of(word: &[u8], urls: Urls) -> Result<&[u8], Flaw> {
    let mut rest = word;
    if let Some(at) = rest.windows(3).position(|window| window == b"://") {
        rest = rest.get(at + 3..).unwrap_or_default();
    }
    if let Some(end) = rest.iter().position(|byte| matches!(byte, b'/' | b'?' | b'#')) {
        if rest.get(end..) != Some(b"/") && urls == Urls::Pages {
            return Err(Flaw::Path);
        }
        rest = rest.get(..end).unwrap_or_default();
    }
    if let Some(at) = rest.iter().rposition(|byte| *byte == b'@') {
        rest = rest.get(at + 1..).unwrap_or_default();
    }
    if let Some(bracketed) = rest.strip_prefix(b"[") {
        let end = bracketed.iter().position(|byte| *byte == b']').ok_or(Flaw::Address)?;
        return Ok(bracketed.get(..end).unwrap_or_default());
    }
    // One colon parts a port; more are an IPv6 address.
    let mut colons = rest.iter().enumerate().filter(|(_, byte)| **byte == b':').map(|(at, _)| at);
    if let (Some(colon), None) = (colons.next(), colons.next()) {
        let (host, port) = rest.split_at(colon);
        if port.get(1..).is_some_and(|port| port.iter().all(u8::is_ascii_digit)) {
            return Ok(host);
        }
    }
    Ok(rest)
}

/// Reads an address in every spelling that a resolver library takes. `None`: the text is a name.
///
/// # Errors
/// The text has the shape of an address and is none.
pub fn address(text: &[u8]) -> Result<Option<IpAddr>, Flaw> {
    if text.contains(&b':') {
        let text = std::str::from_utf8(text).map_err(|_| Flaw::NotUtf8)?;
        let without_zone = text.split_once('%').map_or(text, |(address, _)| address);
        return without_zone.parse::<Ipv6Addr>().map(|address| Some(address.into())).map_err(|_| Flaw::Address);
    }
    // A name may begin with a digit, but none whose last label does is sure to be a name.
    if !text.first().is_some_and(u8::is_ascii_digit) {
        return Ok(None);
    }
    Ok(inet_aton(text).map(IpAddr::V4))
}

/// `inet_aton(3)`: one to four parts, decimal, octal (`0…`) or hexadecimal (`0x…`), the last fills the
/// remaining bytes. Short decimal forms (`10`, `1.2`) are taken for names that are cut: not read.
fn inet_aton(text: &[u8]) -> Option<Ipv4Addr> {
    let mut parts = [0_u32; 4];
    let (mut count, mut bits) = (0, 0);
    let mut hexadecimal = false;
    for part in text.split(|byte| *byte == b'.') {
        let (digits, radix) = match part {
            [b'0', b'x' | b'X', digits @ ..] => (digits, 16),
            [b'0', digits @ ..] if !digits.is_empty() => (digits, 8),
            digits => (digits, 10),
        };
        hexadecimal |= radix == 16;
        let mut value: u32 = 0;
        for digit in digits {
            value = value.checked_mul(radix)?.checked_add(char::from(*digit).to_digit(radix)?)?;
        }
        if digits.is_empty() {
            return None;
        }
        *parts.get_mut(count)? = value;
        count += 1;
    }
    let last = *parts.get(count.checked_sub(1)?)?;
    for part in parts.iter().take(count - 1) {
        if *part > 0xff {
            return None;
        }
        bits = bits << 8 | *part;
    }
    let filled = 8 * u32::try_from(5 - count).ok()?;
    if last.checked_shr(filled).unwrap_or(0) != 0 || (count < 4 && !hexadecimal && last <= 0x00ff_ffff) {
        return None;
    }
    Some(Ipv4Addr::from_bits(bits.checked_shl(filled).unwrap_or(0) | last))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(word: &str, urls: Urls) -> String {
        match Indicator::read(word.as_bytes(), urls, &mut String::new()) {
            Ok(Indicator::Name { name, wildcard: false }) => name.to_owned(),
            Ok(Indicator::Name { name, wildcard: true }) => format!("*.{name}"),
            Ok(Indicator::Network(network)) => network.to_string(),
            Err(flaw) => format!("{flaw:?}"),
        }
    }

    #[test]
    fn real_shapes() {
        for (word, expected) in [
            ("evil.example", "evil.example"),
            ("*.evil.example", "*.evil.example"),
            (".su", "*.su"),
            ("https://evil.example", "evil.example"),
            ("hxxp://User:pw@EVIL.example:8080/", "evil.example"),
            ("evil.example:443", "evil.example"),
            ("evil.example/path", "Path"),
            ("http://192.0.2.7:8080/bin.sh", "Path"),
            ("evil.example:port", "Address"),
            ("192.0.2.7", "192.0.2.7"),
            ("192.0.2.7:8080", "192.0.2.7"),
            ("192.0.2.77/24", "192.0.2.0/24"),
            ("192.0.2.0/33", "Prefix"),
            ("2001:DB8::1", "2001:db8::1"),
            ("[2001:db8::1]:53", "2001:db8::1"),
            ("2001:db8::/32", "2001:db8::/32"),
            ("fe80::1%lo0", "fe80::1"),
            ("0056.0151.0107.0250", "46.105.71.168"),
            ("0x5bf076a8", "91.240.118.168"),
            ("0x5b.0xf0.118.168", "91.240.118.168"),
            ("1542485672", "91.240.118.168"),
            ("91.15759016", "Address"),
            ("10", "Address"),
            ("300.1.1.1", "Address"),
            ("1.2.3", "Address"),
            ("1and1.example", "1and1.example"),
            ("0x.example", "0x.example"),
            ("2001:zz::1", "Address"),
            ("evil[.]example", "evil.example"),
            ("WWW[.]evil(dot)exam{.}ple", "www.evil.exam.ple"),
            ("hxxps[:]//evil[.]example/", "evil.example"),
            ("hxxp[://]evil[.]example/page", "Path"),
            ("192[.]0[.]2[.]7", "192.0.2.7"),
            ("192.0.2[.]0/24", "192.0.2.0/24"),
            ("[2001:db8::1]", "2001:db8::1"),
            ("[[.].]", "NoName"),
            ("evil[.example", "Character('[')"),
        ] {
            assert_eq!(show(word, Urls::Pages), expected, "{word}");
        }
        assert_eq!(show("http://192.0.2.7:8080/bin.sh?x", Urls::Hosts), "192.0.2.7");
        assert_eq!(show("evil.example/path", Urls::Hosts), "evil.example");
    }
}
