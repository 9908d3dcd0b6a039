//! Numbers of OCSF and their captions.

use serde::{Serialize, Serializer};

/// `severity_id` and `severity` of an `event.severity` from 0 to 100; the bounds lie half-way
/// between the four values that Elastic gives its levels (21, 47, 73, 99).
pub(super) fn severity(severity: Option<u8>) -> (u8, &'static str) {
    match severity {
        None => (1, "Informational"),
        Some(..34) => (2, "Low"),
        Some(34..60) => (3, "Medium"),
        Some(60..86) => (4, "High"),
        Some(86..) => (5, "Critical"),
    }
}

/// `flag_ids` of a flag of the header as RFC 6895 names it.
pub(super) fn flag(name: &str) -> u8 {
    match name {
        "AA" => 1,
        "TC" => 2,
        "RD" => 3,
        "RA" => 4,
        "AD" => 5,
        "CD" => 6,
        // Other: DO is of EDNS.
        _ => 99,
    }
}

/// `rcode`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ResponseCode(pub u16);

impl ResponseCode {
    /// `rcode_id`
    pub(super) fn id(self) -> u8 {
        match self.0 {
            code @ (0..=11 | 16..=23) => u8::try_from(code).unwrap_or(99),
            3841..=4095 | 65535 => 25,
            _ => 24,
        }
    }

    fn caption(self) -> &'static str {
        match self.id() {
            0 => "NoError",
            1 => "FormError",
            2 => "ServError",
            3 => "NXDomain",
            4 => "NotImp",
            5 => "Refused",
            6 => "YXDomain",
            7 => "YXRRSet",
            8 => "NXRRSet",
            9 => "NotAuth",
            10 => "NotZone",
            11 => "DSOTYPENI",
            16 => "BADVERS",
            17 => "BADKEY",
            18 => "BADTIME",
            19 => "BADMODE",
            20 => "BADNAME",
            21 => "BADALG",
            22 => "BADTRUNC",
            23 => "BADCOOKIE",
            25 => "Reserved",
            _ => "Unassigned",
        }
    }
}

impl Serialize for ResponseCode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.caption())
    }
}

/// `query.opcode`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Operation(pub u8);

impl Serialize for Operation {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(match self.0 {
            0 => "Query",
            1 => "Inverse Query",
            2 => "Status",
            4 => "Notify",
            5 => "Update",
            6 => "DSO Message",
            _ => "Reserved",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn response_codes() {
        let seen = [0, 3, 11, 12, 16, 23, 24, 3840, 3841, 4095, 4096].map(|code| {
            let code = ResponseCode(code);
            (code.id(), code.caption())
        });
        let (unassigned, reserved) = ((24, "Unassigned"), (25, "Reserved"));
        let named = [(0, "NoError"), (3, "NXDomain"), (11, "DSOTYPENI"), unassigned, (16, "BADVERS")];
        let rest = [(23, "BADCOOKIE"), unassigned, unassigned, reserved, reserved, unassigned];
        assert_eq!(seen.as_slice(), [&named[..], &rest[..]].concat());
    }

    #[test]
    fn severities() {
        let levels = [None, Some(0), Some(21), Some(47), Some(73), Some(99), Some(255)].map(|level| severity(level).0);
        assert_eq!(levels, [1, 2, 2, 3, 4, 5, 5]);
    }
}
