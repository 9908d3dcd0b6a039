//! The mnemonics of DNS numbers, as documents and people write them. A number without one is
//! written as RFC 3597 5 has it for types and classes: `TYPE65280`, `CLASS5`.

use std::fmt;

use domain::base::iana::{ExtendedErrorCode, Rtype};

macro_rules! number {
    ($(#[$doc:meta])* $name:ident, $prefix:literal, $mnemonic:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub struct $name(pub u16);

        impl $name {
            /// `None`: there is no mnemonic, and `Display` writes the number.
            #[must_use]
            pub fn mnemonic(self) -> Option<&'static str> {
                $mnemonic(self.0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self.mnemonic() {
                    Some(mnemonic) => formatter.write_str(mnemonic),
                    None => write!(formatter, concat!($prefix, "{}"), self.0),
                }
            }
        }
    };
}

number! {
    /// The type of a record or a question: `AAAA`.
    Type, "TYPE", |number| match number {
        // IANA writes a hyphen where `domain` has none.
        23 => Some("NSAP-PTR"),
        _ => Rtype::from_int(number).to_mnemonic_str(),
    }
}

number! {
    /// The class of a record or a question: `IN`.
    Class, "CLASS", |number| match number {
        1 => Some("IN"),
        3 => Some("CH"),
        4 => Some("HS"),
        254 => Some("NONE"),
        255 => Some("ANY"),
        _ => None,
    }
}

number! {
    /// The operation that is asked for: `QUERY`.
    Opcode, "OPCODE", |number| match number {
        0 => Some("QUERY"),
        1 => Some("IQUERY"),
        2 => Some("STATUS"),
        4 => Some("NOTIFY"),
        5 => Some("UPDATE"),
        6 => Some("DSO"),
        _ => None,
    }
}

number! {
    /// The response code with the bits of EDNS: `NXDOMAIN`, `BADVERS`.
    Rcode, "RCODE", |number| match number {
        0 => Some("NOERROR"),
        1 => Some("FORMERR"),
        2 => Some("SERVFAIL"),
        3 => Some("NXDOMAIN"),
        4 => Some("NOTIMP"),
        5 => Some("REFUSED"),
        6 => Some("YXDOMAIN"),
        7 => Some("YXRRSET"),
        8 => Some("NXRRSET"),
        9 => Some("NOTAUTH"),
        10 => Some("NOTZONE"),
        11 => Some("DSOTYPENI"),
        // 16 is BADSIG inside a TSIG record only.
        16 => Some("BADVERS"),
        17 => Some("BADKEY"),
        18 => Some("BADTIME"),
        19 => Some("BADMODE"),
        20 => Some("BADNAME"),
        21 => Some("BADALG"),
        22 => Some("BADTRUNC"),
        23 => Some("BADCOOKIE"),
        _ => None,
    }
}

number! {
    /// Why an answer is what it is (RFC 8914): `Blocked`.
    ErrorInfo, "info code ", |number| ExtendedErrorCode::from_int(number).to_mnemonic_str()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_and_unknown() {
        for (number, mnemonic) in [
            (1, "A"),
            (10, "NULL"),
            (23, "NSAP-PTR"),
            (28, "AAAA"),
            (65, "HTTPS"),
            (251, "IXFR"),
            (252, "AXFR"),
            (255, "ANY"),
            (257, "CAA"),
            (0, "TYPE0"),
            (65_280, "TYPE65280"),
        ] {
            assert_eq!(Type(number).to_string(), mnemonic);
        }
        assert_eq!([1, 3, 255, 5].map(|number| Class(number).to_string()), ["IN", "CH", "ANY", "CLASS5"]);
        assert_eq!([0, 5, 6, 7].map(|number| Opcode(number).to_string()), ["QUERY", "UPDATE", "DSO", "OPCODE7"]);
        assert_eq!(
            [3, 4, 16, 23, 4095].map(|number| Rcode(number).to_string()),
            ["NXDOMAIN", "NOTIMP", "BADVERS", "BADCOOKIE", "RCODE4095"]
        );
        assert_eq!([15, 9999].map(|number| ErrorInfo(number).to_string()), ["Blocked", "info code 9999"]);
    }

    #[test]
    fn every_type_that_is_read_by_fields_has_a_mnemonic() {
        for number in (0..=u16::MAX).filter(|number| super::super::data::is_known(*number)) {
            assert!(Type(number).mnemonic().is_some(), "{number}");
        }
    }
}
