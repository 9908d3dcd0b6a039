//! The OPT pseudo-record (RFC 6891): sizes and flags, and the two options that are worth a field, client
//! subnet and extended errors. Other options are stepped over.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use domain::base::iana::OptionCode;
use domain::dep::octseq::Parser;

use super::names::Unreadable;
use super::numbers::ErrorInfo;
use super::text::{Span, Text};

/// Extended errors of one message. A server gives one, a chain of forwarders a few.
const MAX_ERRORS: usize = 16;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Edns {
    pub udp_size: u16,
    pub version: u8,
    pub dnssec_ok: bool,
    pub client_subnet: Option<ClientSubnet>,
}

/// The network that the answer is meant for (RFC 7871).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientSubnet {
    pub address: IpAddr,
    /// Bits of `address` that the asker gives.
    pub source_prefix: u8,
    /// Bits for which the answer holds; 0 in a query.
    pub scope_prefix: u8,
}

/// Why an answer is what it is (RFC 8914).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExtendedError<'a> {
    pub code: ErrorInfo,
    /// The server's text, escaped as strings are; often empty.
    pub text: &'a str,
}

/// Reads the options. Those before an error stay.
pub(super) fn options(
    parser: &mut Parser<'_, [u8]>,
    edns: &mut Edns,
    errors: &mut Vec<(u16, Span)>,
    text: &mut Text,
) -> Result<(), Unreadable> {
    while parser.remaining() > 0 {
        let code = OptionCode::from_int(parser.parse_u16_be()?);
        let length = parser.parse_u16_be()?;
        let mut option = parser.parse_parser(length.into())?;
        match code {
            OptionCode::CLIENT_SUBNET => edns.client_subnet = Some(client_subnet(&mut option)?),
            OptionCode::EXTENDED_ERROR if errors.len() < MAX_ERRORS => {
                let code = option.parse_u16_be()?;
                let start = text.len();
                // Some servers end the text with a NUL, which RFC 8914 2 asks to tolerate.
                let reason = option.peek_all();
                text.escape(reason.strip_suffix(&[0]).unwrap_or(reason));
                errors.push((code, text.since(start)));
            }
            _ => {}
        }
    }
    Ok(())
}

fn client_subnet(option: &mut Parser<'_, [u8]>) -> Result<ClientSubnet, Unreadable> {
    let family = option.parse_u16_be()?;
    let source_prefix = option.parse_u8()?;
    let scope_prefix = option.parse_u8()?;
    let given = option.peek_all();
    let mut octets = [0; 16];
    octets.get_mut(..given.len()).ok_or(Unreadable::Invalid)?.copy_from_slice(given);
    let [a, b, c, d, ..] = octets;
    let (address, longest) = match family {
        1 if given.len() <= 4 => (IpAddr::from(Ipv4Addr::new(a, b, c, d)), 32),
        2 => (IpAddr::from(Ipv6Addr::from(octets)), 128),
        _ => return Err(Unreadable::Invalid),
    };
    if source_prefix > longest || given.len() < usize::from(source_prefix).div_ceil(8) {
        return Err(Unreadable::Invalid);
    }
    Ok(ClientSubnet { address, source_prefix, scope_prefix })
}
