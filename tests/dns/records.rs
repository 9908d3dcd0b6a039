//! The data of each type as text.

use std::net::IpAddr;

use dnstrail::dns::Type;

use super::{Builder, answer, decode, name};

/// The text of one answer's data, which must be what its type says.
#[track_caller]
fn text(rtype: u16, data: &[u8]) -> String {
    let message = decode(&answer("example.com").answer(rtype, data).0);
    assert_eq!(message.malformed, None, "{}", Type(rtype));
    let record = message.records().next().unwrap();
    assert_eq!((record.name, record.rtype, record.class, record.ttl), ("example.com", rtype, 1, 300));
    record.data.to_owned()
}

fn target(rtype: u16, data: &[u8]) -> Option<String> {
    let message = decode(&answer("example.com").answer(rtype, data).0);
    message.records().next().unwrap().target.map(str::to_owned)
}

fn joined(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

#[test]
fn addresses() {
    assert_eq!(text(1, &[192, 0, 2, 1]), "192.0.2.1");
    assert_eq!(text(28, &joined(&[b"\x20\x01\x0d\xb8", &[0; 11], &[1]])), "2001:db8::1");
    let message = decode(
        &answer("example.com")
            .answer(1, &[192, 0, 2, 1])
            .answer(28, &joined(&[b"\x20\x01\x0d\xb8", &[0; 11], &[1]]))
            .answer(65, b"\0\x01\0\0\x04\0\x04\xc6\x33\x64\x07")
            .0,
    );
    let found: Vec<(IpAddr, u16)> = message.addresses().map(|(address, record)| (address, record.rtype)).collect();
    let expected = [("192.0.2.1", 1), ("2001:db8::1", 28), ("198.51.100.7", 65)];
    assert_eq!(found, expected.map(|(address, rtype)| (address.parse().unwrap(), rtype)));
}

#[test]
fn names_alone() {
    for rtype in [2, 3, 4, 5, 7, 8, 9, 12, 23, 39] {
        assert_eq!(text(rtype, &name("Ns1.EXAMPLE.org")), "ns1.example.org");
        assert_eq!(text(rtype, b"\x03ns2\xc0\x0c"), "ns2.example.com");
        assert_eq!(text(rtype, b"\xc0\x0c"), "example.com");
        assert_eq!(text(rtype, b"\0"), ".");
        assert_eq!(target(rtype, b"\x03ns2\xc0\x0c").as_deref(), Some("ns2.example.com"));
    }
}

#[test]
fn numbers_and_a_name() {
    for rtype in [15, 18, 21, 36, 107] {
        assert_eq!(text(rtype, b"\0\x0a\x04Mail\xc0\x0c"), "10 mail.example.com");
        assert_eq!(text(rtype, b"\0\0\0"), "0 .");
        assert_eq!(target(rtype, b"\0\x0a\x04Mail\xc0\x0c").as_deref(), Some("mail.example.com"));
        assert_eq!(target(rtype, b"\0\x0a\xc0\x0c").as_deref(), Some("example.com"));
    }
    let srv = joined(&[&[0, 1, 0, 2, 0x1f, 0x90], &name("a.example.net")]);
    assert_eq!(text(33, &srv), "1 2 8080 a.example.net");
    assert_eq!(target(33, &srv).as_deref(), Some("a.example.net"));
    assert_eq!(text(26, b"\0\x0a\xc0\x0c\x01x\0"), "10 example.com x");
}

#[test]
fn soa() {
    let data = joined(&[b"\x02ns\xc0\x0c", b"\x0bhost.master\xc0\x0c", &[0; 3], &[1], &[0; 3], &[2], &[0xff; 12]]);
    assert_eq!(text(6, &data), "ns.example.com host\\.master.example.com 1 2 4294967295 4294967295 4294967295");
    assert_eq!(target(6, &data), None);
}

#[test]
fn pairs_of_names() {
    for rtype in [14, 17, 58] {
        assert_eq!(text(rtype, b"\x01a\xc0\x0c\x01b\xc0\x0c"), "a.example.com b.example.com");
    }
}

#[test]
fn strings() {
    for rtype in [16, 20, 56, 99, 258, 261, 262, 263] {
        assert_eq!(text(rtype, b"\x05Hello\0\x07a\"b\\c\n\xff"), r#""Hello" "" "a\"b\\c\010\255""#);
        assert_eq!(text(rtype, b"\0"), r#""""#);
    }
    assert_eq!(text(13, b"\x03X86\x05Linux"), r#""X86" "Linux""#);
    assert_eq!(text(19, b"\x0b31106170001"), r#""31106170001""#);
    assert_eq!(text(27, b"\x03-32\x03116\x0210"), r#""-32" "116" "10""#);
    assert_eq!(text(256, b"\0\x0a\0\x01ftp://example.com/\"x"), r#"10 1 "ftp://example.com/\"x""#);
    assert_eq!(text(257, b"\x80\x05issueca.example; a=b"), r#"128 issue "ca.example; a=b""#);
}

#[test]
fn naptr() {
    let data = joined(&[b"\0\x64\0\x0a\x01S\x07SIP+D2U\x0c!^.*$!sip:a!\x04_sip", b"\xc0\x0c"]);
    assert_eq!(text(35, &data), r#"100 10 "S" "SIP+D2U" "!^.*$!sip:a!" _sip.example.com"#);
    assert_eq!(target(35, &data).as_deref(), Some("_sip.example.com"));
}

#[test]
fn service_bindings() {
    for rtype in [64, 65] {
        assert_eq!(text(rtype, b"\0\0\x03svc\xc0\x0c"), "0 svc.example.com");
        assert_eq!(target(rtype, b"\0\0\x03svc\xc0\x0c").as_deref(), Some("svc.example.com"));
        let parameters: &[&[u8]] = &[
            b"\0\x01\0",
            b"\0\0\0\x04\0\x01\xff\xfe",
            b"\0\x01\0\x0b\x02h3\x02h2\x04a,\"b",
            b"\0\x02\0\0",
            b"\0\x03\0\x02\x01\xbb",
            b"\0\x04\0\x08\xc0\0\x02\x01\xc0\0\x02\x02",
            b"\0\x05\0\x04\xde\xad\xbe\xef",
            &joined(&[b"\0\x06\0\x10\x20\x01\x0d\xb8", &[0; 11], &[1]]),
            b"\0\x07\0\x10/dns-query{?dns}",
            b"\xff\xfe\0\x03a b",
        ];
        assert_eq!(
            text(rtype, &joined(parameters)),
            "1 . mandatory=alpn,key65534 alpn=\"h3,h2,a\\\\,\\\"b\" no-default-alpn port=443 \
             ipv4hint=192.0.2.1,192.0.2.2 ech=3q2+7w== ipv6hint=2001:db8::1 dohpath=\"/dns-query{?dns}\" \
             key65534=\"a b\""
        );
    }
}

#[test]
fn dnssec() {
    for rtype in [43, 59, 32769, 32768] {
        assert_eq!(text(rtype, b"\x30\x39\x08\x02\xde\xad"), "12345 8 2 dead");
    }
    for rtype in [48, 60, 25, 57] {
        assert_eq!(text(rtype, b"\x01\x01\x03\x0d\xde\xad\xbe\xef"), "257 3 13 3q2+7w==");
    }
    // 2025-12-31 23:59:59 and 2000-02-29 00:00:00.
    let times = joined(&[&1_767_225_599_u32.to_be_bytes(), &951_782_400_u32.to_be_bytes()]);
    for rtype in [46, 24] {
        let data = joined(&[b"\0\x1c\x08\x02\0\0\x0e\x10", &times, b"\x30\x39\x07Example\x03com\0\xde\xad"]);
        assert_eq!(text(rtype, &data), "AAAA 8 2 3600 20251231235959 20000229000000 12345 example.com 3q0=");
    }
    assert_eq!(text(47, b"\x01B\xc0\x0c\0\x01\x40\x01\x01\x40"), "b.example.com A CAA");
    assert_eq!(text(47, b"\xc0\x0c"), "example.com");
    assert_eq!(
        text(50, b"\x01\x01\0\x0a\x02\xab\xcd\x05\xde\xad\xbe\xef\x00\0\x06\x40\0\0\0\0\x02"),
        "1 1 10 abcd RQMRTRO0 A RRSIG"
    );
    assert_eq!(text(50, b"\x01\0\0\0\0\x05\xde\xad\xbe\xef\x00"), "1 0 0 - RQMRTRO0");
    assert_eq!(text(51, b"\x01\0\0\0\0"), "1 0 0 -");
    assert_eq!(text(62, b"\0\0\0\x07\0\x03\0\x01\x40"), "7 3 A");
    assert_eq!(text(63, b"\0\0\0\x07\x01\x01\xde\xad"), "7 1 1 dead");
    assert_eq!(text(66, b"\0\x3b\x01\x14\xe9\x01r\xc0\x0c"), "CDS 1 5353 r.example.com");
}

#[test]
fn keys_and_fingerprints() {
    for rtype in [52, 53] {
        assert_eq!(text(rtype, b"\x03\x01\x01\xde\xad"), "3 1 1 dead");
    }
    assert_eq!(text(44, b"\x04\x02\xde\xad"), "4 2 dead");
    assert_eq!(text(37, b"\0\x01\x30\x39\x08\xde\xad"), "1 12345 8 3q0=");
    for rtype in [49, 61] {
        assert_eq!(text(rtype, b"\xde\xad\xbe\xef"), "3q2+7w==");
    }
    assert_eq!(text(45, b"\x0a\0\x02\xde\xad"), "10 0 2 . 3q0=");
    assert_eq!(text(45, b"\x0a\x01\x02\xc0\0\x02\x01\xde\xad"), "10 1 2 192.0.2.1 3q0=");
    assert_eq!(text(45, &joined(&[b"\x0a\x02\x02", &[0; 15], &[1], b"\xde\xad"])), "10 2 2 ::1 3q0=");
    assert_eq!(text(45, b"\x0a\x03\x02\x02gw\xc0\x0c\xde\xad"), "10 3 2 gw.example.com 3q0=");
}

#[test]
fn transaction_keys() {
    let data = joined(&[
        b"\x0bhmac-sha256\0\0\0\x65\x53\xf1\0\x01\x2c\0\x04\xde\xad\xbe\xef\x12\x34\0\x12",
        b"\0\x02\xde\xad",
    ]);
    assert_eq!(text(250, &data), "hmac-sha256 1700000000 300 4 3q2+7w== 4660 18 2 3q0=");
    let data = joined(&[b"\x01g\0", &951_782_400_u32.to_be_bytes(), &0_u32.to_be_bytes(), b"\0\x03\0\0\0\0\0\0"]);
    assert_eq!(text(249, &data), "g 20000229000000 19700101000000 3 0 0 0");
}

#[test]
fn locators_and_hardware_addresses() {
    for rtype in [104, 106] {
        assert_eq!(text(rtype, b"\0\x0a\x20\x01\x0d\xb8\0\0\xab\xcd"), "10 2001:db8:0:abcd");
    }
    assert_eq!(text(105, b"\0\x0a\xc0\0\x02\x01"), "10 192.0.2.1");
    assert_eq!(text(108, b"\0\x01\x02\xab\xcd\xef"), "00-01-02-ab-cd-ef");
    assert_eq!(text(109, b"\0\x01\x02\xab\xcd\xef\x10\x11"), "00-01-02-ab-cd-ef-10-11");
}

#[test]
fn types_without_a_form_of_their_own() {
    // NULL, LOC, an unassigned type and a private one.
    for rtype in [10, 29, 4000, 65_280] {
        assert_eq!(text(rtype, b"\x0a\0\0\x01"), r"\# 4 0a000001");
        assert_eq!(text(rtype, b""), r"\# 0");
    }
}

#[test]
fn addresses_of_other_classes_are_none() {
    // CHAOS: a name and a number.
    let message = decode(&answer("a").record(1, b"\0", 1, 3, 0, b"\x02ch\0\x00\x01").0);
    let record = message.records().next().unwrap();
    assert_eq!((record.data, record.address, message.malformed), (r"\# 6 026368000001", None, None));
    // UPDATE deletes an address, a set, a name.
    let update = Builder::new(1, 0x2800)
        .question(&name("example.com"), 6, 1)
        .record(2, b"\xc0\x0c", 1, 254, 0, &[192, 0, 2, 1])
        .record(2, b"\xc0\x0c", 28, 255, 0, &[])
        .record(2, b"\xc0\x0c", 255, 255, 0, &[]);
    let message = decode(&update.0);
    assert_eq!((message.opcode, message.malformed), (5, None));
    let data: Vec<_> = message.records().map(|record| (record.data, record.address)).collect();
    assert_eq!(data, [("192.0.2.1", None), ("", None), ("", None)]);
}

/// One bad record loses neither its bytes nor the rest of the message.
#[test]
fn data_that_is_not_what_its_type_says() {
    let bad: [(u16, &[u8]); 16] = [
        (1, &[192, 0, 2]),
        (1, &[192, 0, 2, 1, 0]),
        (1, &[]),
        (28, &[0; 15]),
        (5, b"\x03abc"),
        (5, b"\xc0\x0c\0"),
        (5, b"\xff\xff"),
        (5, b"\x40a\0"),
        (6, b"\0\0\0\0\0\x01"),
        (15, b"\0"),
        (16, b""),
        (16, b"\x05abc"),
        (47, b"\0\0\x00\x40"),
        (65, b"\0\x01\0\0\x04\0\x05\xc0\0\x02\x01\x01"),
        (65, b"\0\x01\0\0\x03\0\x03\0\0\0"),
        (257, b"\0\0x"),
    ];
    for (rtype, data) in bad {
        let bytes = answer("example.com").answer(rtype, data).answer(1, &[192, 0, 2, 7]).0;
        let message = decode(&bytes);
        assert_eq!(message.malformed, Some("the data of a record is not what its type says"), "{rtype} {data:?}");
        let hex = data.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat();
        let records: Vec<_> = message.records().collect();
        assert_eq!(records[0].data, format!(r"\# {} {hex}", data.len()).trim_end(), "{rtype}");
        assert_eq!((records[0].address, records[0].target, records[0].hints), (None, None, &[][..]));
        assert_eq!((records[1].data, records[1].address), ("192.0.2.7", Some([192, 0, 2, 7].into())));
        assert_eq!(message.addresses().count(), 1, "{rtype}");
    }
}

/// A name inside data that turned out bad is not taken for a name later on.
#[test]
fn names_of_bad_data_are_forgotten() {
    let start = answer("example.com").0.len();
    // SOA whose first name is fine, at the start of its data.
    let bytes = answer("example.com").answer(6, b"\x04evil\x04test\0\xff");
    let evil = 0xc000 | u16::try_from(start + 12).unwrap();
    let message = decode(&bytes.answer(5, &evil.to_be_bytes()).answer(5, &evil.to_be_bytes()).0);
    let data: Vec<_> = message.records().map(|record| record.data).collect();
    assert_eq!(data, [r"\# 12 046576696c047465737400ff", "evil.test", "evil.test"]);
}
