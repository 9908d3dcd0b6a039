//! The data of records as text: each type is a row of fields, written one after the other.
//! Types without a row, and data that is not what its type says, are left to RFC 3597.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use domain::base::iana::{Rtype, SvcParamKey};
use domain::dep::octseq::Parser;
use domain::rdata::dnssec::RtypeBitmap;
use domain::utils::base32;

use super::names::{Names, Unreadable};
use super::numbers::Type;
use super::text::{Span, Text};

/// One field of a record's data.
#[derive(Debug, Clone, Copy)]
enum Field {
    Name,
    /// The name that the record leads to.
    Target,
    U8,
    U16,
    U32,
    U48,
    /// A record type.
    Type,
    /// Seconds, as a date.
    Time,
    Ipv4,
    /// 64 bits as four groups (RFC 6742).
    Locator,
    /// A string with its length before it, in quotes.
    String,
    /// Such a string without quotes: a word.
    Word,
    /// Such strings up to the end, at least one.
    Strings,
    /// Bytes up to the end, in quotes.
    Quoted,
    Hex,
    /// One pair of digits a byte, up to the end.
    HyphenatedHex,
    Base64,
    /// Bytes with their length before them in 8 bits; none is `-`.
    SizedHex,
    SizedBase32,
    /// Length and bytes, the length in 16 bits and written as well.
    SizedBase64,
    TypeBitmap,
    /// IPSECKEY: gateway type, algorithm, gateway.
    Gateway,
    /// SVCB: keys and values up to the end.
    Parameters,
}

fn fields(rtype: Rtype) -> Option<&'static [Field]> {
    use Field::{
        Base64, Gateway, Hex, HyphenatedHex, Ipv4, Locator, Name, Parameters, Quoted, SizedBase32, SizedBase64,
        SizedHex, String, Strings, Target, Time, TypeBitmap, U8, U16, U32, U48, Word,
    };
    Some(match rtype {
        Rtype::MB | Rtype::MD | Rtype::MF | Rtype::MG | Rtype::MR | Rtype::NSAPPTR => &[Target],
        Rtype::SOA => &[Name, Name, U32, U32, U32, U32, U32],
        Rtype::MX | Rtype::AFSDB | Rtype::RT | Rtype::KX | Rtype::LP => &[U16, Target],
        Rtype::PX => &[U16, Name, Name],
        Rtype::MINFO | Rtype::RP | Rtype::TALINK => &[Name, Name],
        Rtype::TXT
        | Rtype::SPF
        | Rtype::ISDN
        | Rtype::NINFO
        | Rtype::AVC
        | Rtype::RESINFO
        | Rtype::WALLET
        | Rtype::CLA => &[Strings],
        Rtype::HINFO => &[String, String],
        Rtype::X25 => &[String],
        Rtype::GPOS => &[String, String, String],
        Rtype::SRV => &[U16, U16, U16, Target],
        Rtype::NAPTR => &[U16, U16, String, String, String, Target],
        Rtype::URI => &[U16, U16, Quoted],
        Rtype::CAA => &[U8, Word, Quoted],
        Rtype::SVCB | Rtype::HTTPS => &[U16, Target, Parameters],
        Rtype::DS | Rtype::CDS | Rtype::DLV | Rtype::TA => &[U16, U8, U8, Hex],
        Rtype::DNSKEY | Rtype::CDNSKEY | Rtype::KEY | Rtype::RKEY => &[U16, U8, U8, Base64],
        Rtype::RRSIG | Rtype::SIG => &[Field::Type, U8, U8, U32, Time, Time, U16, Name, Base64],
        Rtype::NSEC => &[Name, TypeBitmap],
        Rtype::NSEC3 => &[U8, U8, U16, SizedHex, SizedBase32, TypeBitmap],
        Rtype::NSEC3PARAM => &[U8, U8, U16, SizedHex],
        Rtype::CSYNC => &[U32, U16, TypeBitmap],
        Rtype::DSYNC => &[Field::Type, U8, U16, Target],
        Rtype::ZONEMD => &[U32, U8, U8, Hex],
        Rtype::TLSA | Rtype::SMIMEA => &[U8, U8, U8, Hex],
        Rtype::SSHFP => &[U8, U8, Hex],
        Rtype::CERT => &[U16, U16, U8, Base64],
        Rtype::OPENPGPKEY | Rtype::DHCID => &[Base64],
        Rtype::IPSECKEY => &[U8, Gateway, Base64],
        Rtype::NID | Rtype::L64 => &[U16, Locator],
        Rtype::L32 => &[U16, Ipv4],
        Rtype::EUI48 | Rtype::EUI64 => &[HyphenatedHex],
        Rtype::TSIG => &[Name, U48, U16, SizedBase64, U16, U16, SizedBase64],
        Rtype::TKEY => &[Name, Time, Time, U16, U16, SizedBase64, SizedBase64],
        _ => return None,
    })
}

/// A and AAAA belong to the Internet, where they are addresses; elsewhere (CHAOS) they are not.
/// UPDATE deletes records in class NONE (RFC 2136 2.5.4).
const ADDRESS_CLASSES: [u16; 2] = [1, 254];

/// Types that one bitmap may list. A name has a dozen; a bitmap of 8 KB could list 65,536 in
/// eighty times its size, and is given as hex.
const MAX_TYPES: usize = 256;

/// The results of reading the data of one record.
#[derive(Debug, Default)]
pub(super) struct Data {
    pub text: Span,
    pub target: Option<Span>,
    pub address: Option<IpAddr>,
}

/// Writes all that `parser` holds. On an error the caller takes back what was written.
pub(super) fn write(
    rtype: u16,
    class: u16,
    parser: &mut Parser<'_, [u8]>,
    names: &mut Names,
    text: &mut Text,
    hints: &mut Vec<IpAddr>,
) -> Result<Data, Unreadable> {
    let start = text.len();
    let rtype = Rtype::from_int(rtype);
    let mut data = Data::default();
    match rtype {
        Rtype::A if ADDRESS_CLASSES.contains(&class) => {
            let address = Ipv4Addr::from(parser.parse_u32_be()?);
            text.ipv4(address);
            data.address = Some(address.into());
        }
        Rtype::AAAA if ADDRESS_CLASSES.contains(&class) => {
            let address = Ipv6Addr::from(parser.parse_u128_be()?);
            text.ipv6(address);
            data.address = Some(address.into());
        }
        Rtype::CNAME | Rtype::NS | Rtype::PTR | Rtype::DNAME => {
            // A name alone needs no second copy where it was written before.
            let name = names.read(parser, text)?;
            end(parser)?;
            return Ok(Data { text: name, target: Some(name), address: None });
        }
        _ => {
            let Some(fields) = fields(rtype) else {
                text.unknown(rest(parser)?);
                data.text = text.since(start);
                return Ok(data);
            };
            let mut writer = Writer { parser, names, text, hints, target: None };
            for (index, field) in fields.iter().enumerate() {
                let before = writer.text.len();
                if index > 0 {
                    writer.text.byte(b' ');
                }
                let written = writer.text.len();
                writer.field(*field)?;
                if writer.text.len() == written {
                    // A last field may be empty: no types, no parameters.
                    writer.text.truncate(before);
                }
            }
            data.target = writer.target;
        }
    }
    end(parser)?;
    data.text = text.since(start);
    Ok(data)
}

fn end(parser: &Parser<'_, [u8]>) -> Result<(), Unreadable> {
    if parser.remaining() == 0 { Ok(()) } else { Err(Unreadable::Invalid) }
}

fn rest<'a>(parser: &mut Parser<'a, [u8]>) -> Result<&'a [u8], Unreadable> {
    Ok(parser.parse_octets(parser.remaining())?)
}

struct Writer<'w, 'a> {
    parser: &'w mut Parser<'a, [u8]>,
    names: &'w mut Names,
    text: &'w mut Text,
    hints: &'w mut Vec<IpAddr>,
    target: Option<Span>,
}

impl<'a> Writer<'_, 'a> {
    fn field(&mut self, field: Field) -> Result<(), Unreadable> {
        match field {
            Field::Name => {
                self.names.write(self.parser, self.text)?;
            }
            Field::Target => self.target = Some(self.names.write(self.parser, self.text)?),
            Field::U8 => self.text.number(self.parser.parse_u8()?),
            Field::U16 => self.text.number(self.parser.parse_u16_be()?),
            Field::U32 => self.text.number(self.parser.parse_u32_be()?),
            Field::U48 => {
                let high = u64::from(self.parser.parse_u16_be()?);
                self.text.number(high << 32 | u64::from(self.parser.parse_u32_be()?));
            }
            Field::Type => {
                let rtype = Type(self.parser.parse_u16_be()?);
                self.display(rtype)?;
            }
            Field::Time => self.text.time(self.parser.parse_u32_be()?),
            Field::Ipv4 => self.text.ipv4(self.parser.parse_u32_be()?.into()),
            Field::Locator => self.locator()?,
            Field::String => {
                let string = self.sized()?;
                self.text.quoted(string);
            }
            Field::Word => match self.sized()? {
                [] => return Err(Unreadable::Invalid),
                word => self.text.escape(word),
            },
            Field::Strings => self.strings()?,
            Field::Quoted => self.text.quoted(rest(self.parser)?),
            Field::Hex => self.text.hex(rest(self.parser)?),
            Field::HyphenatedHex => self.hyphenated_hex()?,
            Field::Base64 => {
                let bytes = rest(self.parser)?;
                self.text.base64(bytes);
            }
            Field::SizedHex => match self.sized()? {
                [] => self.text.byte(b'-'),
                bytes => self.text.hex(bytes),
            },
            Field::SizedBase32 => {
                let bytes = self.sized()?;
                base32::display_hex(bytes, self.text)?;
            }
            Field::SizedBase64 => self.sized_base64()?,
            Field::TypeBitmap => self.types()?,
            Field::Gateway => self.gateway()?,
            Field::Parameters => self.parameters()?,
        }
        Ok(())
    }

    /// RFC 6742 2.1.2.
    fn locator(&mut self) -> Result<(), Unreadable> {
        for index in 0..4 {
            if index > 0 {
                self.text.byte(b':');
            }
            let group = self.parser.parse_u16_be()?;
            self.display(format_args!("{group:x}"))?;
        }
        Ok(())
    }

    fn strings(&mut self) -> Result<(), Unreadable> {
        self.field(Field::String)?;
        while self.parser.remaining() > 0 {
            self.text.byte(b' ');
            self.field(Field::String)?;
        }
        Ok(())
    }

    fn hyphenated_hex(&mut self) -> Result<(), Unreadable> {
        for (index, byte) in rest(self.parser)?.iter().enumerate() {
            if index > 0 {
                self.text.byte(b'-');
            }
            self.text.hex(&[*byte]);
        }
        Ok(())
    }

    fn sized_base64(&mut self) -> Result<(), Unreadable> {
        let length = self.parser.parse_u16_be()?;
        self.text.number(length);
        if length > 0 {
            self.text.byte(b' ');
            let bytes = self.parser.parse_octets(length.into())?;
            self.text.base64(bytes);
        }
        Ok(())
    }

    /// A bitmap of types (RFC 4034 4.1.2).
    fn types(&mut self) -> Result<(), Unreadable> {
        let types = RtypeBitmap::from_octets(rest(self.parser)?).map_err(|_| Unreadable::Invalid)?;
        for (index, rtype) in types.iter().enumerate() {
            if index == MAX_TYPES {
                return Err(Unreadable::Invalid);
            }
            if index > 0 {
                self.text.byte(b' ');
            }
            self.display(Type(rtype.to_int()))?;
        }
        Ok(())
    }

    /// IPSECKEY (RFC 4025 2).
    fn gateway(&mut self) -> Result<(), Unreadable> {
        let kind = self.parser.parse_u8()?;
        self.text.number(kind);
        self.text.byte(b' ');
        self.field(Field::U8)?;
        self.text.byte(b' ');
        match kind {
            0 => self.text.byte(b'.'),
            1 => self.field(Field::Ipv4)?,
            2 => self.text.ipv6(self.parser.parse_u128_be()?.into()),
            3 => self.field(Field::Target)?,
            _ => return Err(Unreadable::Invalid),
        }
        Ok(())
    }

    /// RFC 9460 2.1. The addresses are kept as hints.
    fn parameters(&mut self) -> Result<(), Unreadable> {
        let mut first = true;
        while self.parser.remaining() > 0 {
            let key = SvcParamKey::from_int(self.parser.parse_u16_be()?);
            let length = self.parser.parse_u16_be()?;
            let mut value = self.parser.parse_parser(length.into())?;
            if !std::mem::take(&mut first) {
                self.text.byte(b' ');
            }
            self.display(key)?;
            if value.remaining() > 0 {
                self.text.byte(b'=');
                self.parameter(key, &mut value)?;
            }
        }
        Ok(())
    }

    fn parameter(&mut self, key: SvcParamKey, value: &mut Parser<'a, [u8]>) -> Result<(), Unreadable> {
        let start = self.text.len();
        match key {
            SvcParamKey::PORT => {
                self.text.number(value.parse_u16_be()?);
                return end(value);
            }
            SvcParamKey::ECH => {
                self.text.base64(rest(value)?);
                return Ok(());
            }
            SvcParamKey::ALPN => self.text.byte(b'"'),
            SvcParamKey::MANDATORY | SvcParamKey::IPV4HINT | SvcParamKey::IPV6HINT => {}
            _ => {
                self.text.quoted(rest(value)?);
                return Ok(());
            }
        }
        let list = self.text.len();
        while value.remaining() > 0 {
            if self.text.len() > list {
                self.text.byte(b',');
            }
            match key {
                SvcParamKey::ALPN => {
                    let length = value.parse_u8()?;
                    self.text.list_item(value.parse_octets(length.into())?);
                }
                SvcParamKey::IPV4HINT => {
                    let address = Ipv4Addr::from(value.parse_u32_be()?);
                    self.text.ipv4(address);
                    self.hints.push(address.into());
                }
                SvcParamKey::IPV6HINT => {
                    let address = Ipv6Addr::from(value.parse_u128_be()?);
                    self.text.ipv6(address);
                    self.hints.push(address.into());
                }
                _ => {
                    let listed = SvcParamKey::from_int(value.parse_u16_be()?);
                    self.display(listed)?;
                }
            }
        }
        if list > start {
            self.text.byte(b'"');
        }
        Ok(())
    }

    /// Bytes with their length before them in 8 bits.
    fn sized(&mut self) -> Result<&'a [u8], Unreadable> {
        let length = self.parser.parse_u8()?;
        Ok(self.parser.parse_octets(length.into())?)
    }

    fn display(&mut self, value: impl std::fmt::Display) -> Result<(), Unreadable> {
        Ok(std::fmt::Write::write_fmt(self.text, format_args!("{value}"))?)
    }
}

/// Whether a type has a row.
#[cfg(test)]
pub(super) fn is_known(rtype: u16) -> bool {
    let rtype = Rtype::from_int(rtype);
    fields(rtype).is_some()
}
