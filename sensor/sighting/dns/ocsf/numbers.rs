//! DNS numbers with the ids and captions that OCSF gives them.

/// `flag_ids` of a flag of the header as RFC 6895 names it.
pub(super) fn flag_id(name: &str) -> u8 {
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

/// `rcode_id` and `rcode`
pub(super) fn response_code(code: u16) -> (u8, &'static str) {
    match code {
        0 => (0, "NoError"),
        1 => (1, "FormError"),
        2 => (2, "ServError"),
        3 => (3, "NXDomain"),
        4 => (4, "NotImp"),
        5 => (5, "Refused"),
        6 => (6, "YXDomain"),
        7 => (7, "YXRRSet"),
        8 => (8, "NXRRSet"),
        9 => (9, "NotAuth"),
        10 => (10, "NotZone"),
        11 => (11, "DSOTYPENI"),
        16 => (16, "BADVERS"),
        17 => (17, "BADKEY"),
        18 => (18, "BADTIME"),
        19 => (19, "BADMODE"),
        20 => (20, "BADNAME"),
        21 => (21, "BADALG"),
        22 => (22, "BADTRUNC"),
        23 => (23, "BADCOOKIE"),
        3841..=4095 | 65535 => (25, "Reserved"),
        _ => (24, "Unassigned"),
    }
}

/// `query.opcode`
pub(super) fn operation(opcode: u8) -> &'static str {
    match opcode {
        0 => "Query",
        1 => "Inverse Query",
        2 => "Status",
        4 => "Notify",
        5 => "Update",
        6 => "DSO Message",
        _ => "Reserved",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn response_codes() {
        let seen = [0, 3, 11, 12, 16, 23, 24, 3840, 3841, 4095, 4096, 65535].map(response_code);
        let (unassigned, reserved) = ((24, "Unassigned"), (25, "Reserved"));
        let named = [(0, "NoError"), (3, "NXDomain"), (11, "DSOTYPENI"), unassigned, (16, "BADVERS")];
        let rest = [(23, "BADCOOKIE"), unassigned, unassigned, reserved, reserved, unassigned, reserved];
        assert_eq!(seen.as_slice(), [&named[..], &rest[..]].concat());
    }
}
