//! Whole messages: header, sections, EDNS, the other protocols in the same format, and messages
//! of which only a part can be read.

use dnstrail::dns::{ErrorInfo, Kind, Message, Section};

use super::{ANSWER, Builder, QUERY, answer, decode, name, query};

fn decode_as(bytes: &[u8], kind: Kind) -> Message {
    let mut message = Message::default();
    message.decode(bytes, kind).unwrap();
    message
}

fn flags(message: &Message) -> Vec<&'static str> {
    message.header_flags().collect()
}

#[test]
fn a_query() {
    let bytes = query("example.com").opt(1232, 0x8000, b"").0;
    let message = decode(&bytes);
    assert!(message.is_dns);
    assert_eq!((message.id, message.response, message.opcode, message.rcode), (0x1234, false, 0, 0));
    assert_eq!((message.flags, message.counts, message.malformed), (QUERY, [1, 0, 0, 1], None));
    assert_eq!(flags(&message), ["RD", "DO"]);
    let edns = message.edns.unwrap();
    assert_eq!((edns.udp_size, edns.version, edns.dnssec_ok, edns.client_subnet), (1232, 0, true, None));
    let question = message.questions().next().unwrap();
    assert_eq!((question.name, question.qtype, question.class), ("example.com", 1, 1));
    assert_eq!((message.questions().len(), message.records().len()), (1, 0));
}

#[test]
fn sections_in_their_order() {
    let bytes = answer("a.example")
        .answer(5, b"\x01b\xc0\x0e")
        .answer(1, &[192, 0, 2, 1])
        .record(2, b"\xc0\x0e", 2, 1, 60, b"\x02ns\xc0\x0e")
        .record(3, b"\x02ns\xc0\x0e", 1, 1, 60, &[192, 0, 2, 53])
        .0;
    let message = decode(&bytes);
    assert_eq!(message.malformed, None);
    let found: Vec<_> = message.records().map(|record| (record.section, record.name, record.data)).collect();
    let expected = [
        (Section::Answer, "a.example", "b.example"),
        (Section::Answer, "a.example", "192.0.2.1"),
        (Section::Authority, "example", "ns.example"),
        (Section::Additional, "ns.example", "192.0.2.53"),
    ];
    assert_eq!(found, expected);
}

#[test]
fn header_flags_and_codes() {
    let message = decode(&Builder::new(0xffff, 0xffff).0);
    assert_eq!((message.response, message.opcode, message.rcode), (true, 15, 15));
    assert_eq!(flags(&message), ["AA", "TC", "RD", "RA", "AD", "CD"]);
    for opcode in 0..16 {
        let bytes = Builder::new(1, opcode << 11 | 0x8003).0;
        let message = decode(&bytes);
        assert_eq!((u16::from(message.opcode), message.rcode, message.malformed), (opcode, 3, None));
        assert!(flags(&message).is_empty());
        assert!(message.is_dns);
    }
}

#[test]
fn iquery_and_notify() {
    // An inverse query has an answer and no question (RFC 1035 6.4).
    let message = decode(&Builder::new(1, 1 << 11).record(1, b"\0", 1, 1, 0, &[192, 0, 2, 1]).0);
    assert_eq!((message.opcode, message.malformed), (1, None));
    assert_eq!(message.addresses().count(), 1);
    let notify = Builder::new(1, 4 << 11 | 0x0400).question(&name("example.com"), 6, 1);
    assert_eq!(decode(&notify.0).malformed, None);
}

#[test]
fn stateful_operations_have_no_records_but_bytes() {
    let mut bytes = Builder::new(1, 6 << 11).0;
    bytes.extend(b"\0\x01\0\x08\0\0\x3a\x98\0\0\x3a\x98");
    assert_eq!(decode(&bytes).malformed, None);
    assert!(decode(&bytes).is_dns);
}

#[test]
fn extended_codes_errors_and_subnets() {
    let options = [
        &b"\0\x08\0\x07\0\x01\x18\x00\xc0\0\x02"[..],
        b"\0\x0a\0\x08abcdefgh",
        b"\0\x0f\0\x0a\0\x0fby \"rpz\"",
        b"\0\x0f\0\x02\0\x16",
        b"\0\x0f\0\x06\x27\x0f\xc3\xbc!\0",
    ]
    .concat();
    let message = decode(&answer("example.com").opt(512, 0x0100_8000, &options).0);
    assert_eq!((message.rcode, message.malformed), (16, None));
    let subnet = message.edns.unwrap().client_subnet.unwrap();
    assert_eq!((subnet.address, subnet.source_prefix, subnet.scope_prefix), ([192, 0, 2, 0].into(), 24, 0));
    let errors: Vec<_> = message.extended_errors().map(|error| (error.code, error.text)).collect();
    let expected = [(ErrorInfo(15), r#"by \"rpz\""#), (ErrorInfo(22), ""), (ErrorInfo(9999), r"\195\188!")];
    assert_eq!(errors, expected);
    let version = decode(&answer("a").opt(512, 0x0001_0000, b"\0\x08\0\x06\0\x02\x10\x10\x20\x01").0).edns.unwrap();
    let subnet = version.client_subnet.unwrap();
    assert_eq!((version.version, subnet.address), (1, "2001::".parse::<std::net::IpAddr>().unwrap()));
    assert_eq!((subnet.source_prefix, subnet.scope_prefix), (16, 16));
}

#[test]
fn bad_options_leave_the_rest() {
    for options in [
        &b"\0\x0f\0\x01\0"[..],
        b"\0\x0f\0\x04\0\x01",
        b"\0",
        b"\0\x08\0\x08\0\x01\x18\x00\xc0\0\x02\0",
        b"\0\x08\0\x09\0\x01\x18\x00\xc0\0\x02\0\0",
        b"\0\x08\0\x06\0\x01\x18\x00\xc0\0",
        b"\0\x08\0\x04\0\x03\0\0",
        b"\0\x08\0\x04\0\x01\x21\0",
    ] {
        let message = decode(&answer("a").opt(1232, 0, options).record(3, b"\xc0\x0c", 1, 1, 9, &[192, 0, 2, 1]).0);
        let expected =
            if options.len() == 12 && options[3] == 8 { None } else { Some("the EDNS options are not valid") };
        assert_eq!(message.malformed, expected, "{options:?}");
        assert_eq!(message.edns.unwrap().udp_size, 1232);
        assert_eq!(message.records().next().unwrap().data, "192.0.2.1");
    }
}

#[test]
fn one_opt_counts() {
    let message = decode(&answer("a").opt(1232, 0, b"").opt(4096, 0x0100_0000, b"").0);
    assert_eq!((message.edns.unwrap().udp_size, message.rcode), (1232, 0));
    assert_eq!(message.malformed, Some("more than one OPT record"));
}

#[test]
fn mdns_marks_classes() {
    let bytes = Builder::new(0, 0x8400)
        .question(&name("Printer._ipp._tcp.local"), 33, 0x8001)
        .record(1, b"\xc0\x0c", 1, 0x8001, 120, &[192, 0, 2, 1])
        .record(1, b"\xc0\x0c", 1, 1, 120, &[192, 0, 2, 2])
        .opt(9000, 0, b"")
        .0;
    let message = decode_as(&bytes, Kind::of_port(5353));
    let question = message.questions().next().unwrap();
    assert_eq!((question.class, question.unicast_response), (1, true));
    let records: Vec<_> = message.records().map(|record| (record.class, record.cache_flush, record.address)).collect();
    let address = |last| Some([192, 0, 2, last].into());
    assert_eq!(records, [(1, true, address(1)), (1, false, address(2))]);
    assert_eq!((message.edns.unwrap().udp_size, flags(&message)), (9000, vec!["AA"]));
    // Elsewhere the bit belongs to the class.
    let message = decode_as(&bytes, Kind::of_port(53));
    assert_eq!(message.questions().next().unwrap().class, 0x8001);
    assert_eq!(message.records().next().unwrap().address, None);
}

#[test]
fn llmnr_has_flags_of_its_own() {
    // Conflict and tentative stand where AA and RD do elsewhere.
    let message = decode_as(&Builder::new(1, 0x8700).0, Kind::of_port(5355));
    assert_eq!(flags(&message), ["TC"]);
}

#[test]
fn too_short_for_a_header() {
    let mut message = decode(&answer("a").answer(1, &[192, 0, 2, 1]).0);
    assert!(message.decode(&[0; 11], Kind::Dns).is_err());
    assert_eq!((message.questions().len(), message.records().len(), message.edns), (0, 0, None));
    assert_eq!((message.is_dns, message.malformed), (false, Some("there are less than the 12 bytes of a DNS header")));
}

#[test]
fn fewer_records_than_counted() {
    let mut message = answer("a").answer(1, &[192, 0, 2, 1]);
    message.count(1, 3);
    assert_eq!(decode(&message.0).malformed, Some("fewer records than counted"));
    assert_eq!(decode(&message.0).records().len(), 1);
    // An answer that is truncated is meant to be short.
    message.0[2] |= 0x02;
    assert_eq!(decode(&message.0).malformed, None);
    assert!(decode(&message.0).is_dns);
}

#[test]
fn a_record_cut_off() {
    let whole = answer("a").answer(1, &[192, 0, 2, 1]).answer(1, &[192, 0, 2, 2]).0;
    for cut in 1..16 {
        let mut bytes = whole[..whole.len() - cut].to_vec();
        assert_eq!(decode(&bytes).malformed, Some("the message is cut off"), "{cut}");
        assert_eq!(decode(&bytes).records().len(), 1);
        bytes[2] |= 0x02;
        assert_eq!(decode(&bytes).malformed, None);
    }
}

#[test]
fn bytes_after_the_last_record() {
    let mut bytes = answer("a").answer(1, &[192, 0, 2, 1]).0;
    bytes.push(0);
    let message = decode(&bytes);
    assert_eq!((message.malformed, message.records().len()), (Some("bytes follow the last record"), 1));
}

#[test]
fn a_pointer_that_leads_nowhere() {
    for pointer in [b"\xc0\x1f", b"\xff\xff", b"\xc0\x21", b"\x80\x0c"] {
        let bytes = answer("a").record(1, pointer, 1, 1, 1, &[192, 0, 2, 1]).0;
        let message = decode(&bytes);
        assert_eq!(message.malformed, Some("a name is not valid"), "{pointer:?}");
        assert_eq!((message.questions().len(), message.records().len()), (1, 0));
    }
}

#[test]
fn bounds() {
    let mut many = Builder::new(1, QUERY);
    for _ in 0..300 {
        many = many.question(b"\0", 1, 1);
    }
    let message = decode(&many.0);
    assert_eq!((message.questions().len(), message.malformed), (256, Some("more questions than are kept")));

    let mut many = answer("a");
    for _ in 0..4200 {
        many = many.answer(1, b"");
    }
    let message = decode(&many.0);
    assert_eq!(message.records().len(), 4096);

    // Each byte is four characters.
    let mut many = answer("a");
    for _ in 0..250 {
        many = many.answer(16, &[200; 201]);
    }
    let message = decode(&many.0);
    assert_eq!((message.records().len(), message.malformed), (164, Some("more text than is kept")));
}

#[test]
fn a_full_tcp_message_is_kept_whole() {
    let mut full = answer("example.com");
    while full.0.len() + 16 <= 65_535 {
        full = full.answer(1, &[192, 0, 2, 1]);
    }
    let message = decode(&full.0);
    assert_eq!((message.malformed, message.addresses().count()), (None, 4094));
}

#[test]
fn what_is_no_dns() {
    for bytes in [
        &b"GET / HTTP/1.1\r\nHost: example.com\r\n\r\n"[..],
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\x12\x34\x56\x78",
        b"SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3\r\n",
        &[0; 64],
        &[0xff; 64],
    ] {
        let message = decode(bytes);
        assert!(!message.is_dns, "{bytes:?}");
        assert!(message.malformed.is_some());
    }
    // Counted as answered, as failed, or as truncated, with nothing behind the header.
    for flags in [ANSWER | 1, ANSWER | 0x0200] {
        assert!(decode(&Builder::new(7, flags).0).is_dns);
    }
}

/// The first question, of a message that counts as one although something is wrong with it.
#[track_caller]
fn asked(bytes: &[u8], malformed: Option<&str>) -> String {
    let message = decode(bytes);
    assert!(message.is_dns, "{:?}", message.malformed);
    assert_eq!(message.malformed, malformed);
    message.questions().next().expect("a question").name.to_owned()
}

/// Resolvers answer these, so they must be read (U10).
#[test]
fn what_resolvers_answer_is_read() {
    // Opcodes that mean nothing, reserved bits, a response code in a query.
    for flags in (0..16).map(|opcode| opcode << 11 | QUERY).chain([0x0140, 0x0105, 0x7fff]) {
        let bytes = Builder::new(1, flags).question(&name("a.example"), 1, 1).0;
        assert_eq!(asked(&bytes, None), "a.example", "{flags:04x}");
    }
    // Counts of what is not there: dnsmasq looks at the first question alone.
    for (section, count) in [(1, 1), (1, 0x7fff), (2, 65_535), (3, 3)] {
        let mut lying = query("a.example");
        lying.count(section, count);
        assert_eq!(asked(&lying.0, Some("fewer records than counted")), "a.example");
    }
    // A question that is not counted.
    let mut uncounted = query("a.example").0;
    uncounted[5] = 0;
    assert_eq!(asked(&uncounted, Some("a question that is not counted")), "a.example");
    // Bytes behind the message.
    assert_eq!(
        asked(&[&query("a.example").0[..], &[7; 40]].concat(), Some("bytes follow the last record")),
        "a.example"
    );
}

#[test]
fn several_questions_are_all_read() {
    let three = query("a.example").question(b"\x01b\xc0\x0e", 28, 1).question(&name("c.test"), 1, 1).0;
    let message = decode(&three);
    let names: Vec<_> = message.questions().map(|question| question.name).collect();
    assert_eq!(names, ["a.example", "b.example", "c.test"]);
    assert_eq!((message.is_dns, message.malformed), (true, None));
    // The second is counted and not there.
    let mut lying = query("a.example");
    lying.count(0, 1);
    assert_eq!(asked(&lying.0, Some("fewer records than counted")), "a.example");
}

/// The readable part stands beside the reason.
#[test]
fn what_cannot_be_read_says_why() {
    for (label, reason) in [
        (&b"\x41a\0"[..], "a name is not valid"),
        (b"\x80\0", "a name is not valid"),
        (b"\x3fabc", "the message is cut off"),
        (b"\xc0\x0c", "a name is not valid"),
        (b"", "fewer records than counted"),
    ] {
        let message = decode(&[&[0x12, 0x34, 0x18, 0x40, 0, 1, 0, 0, 0, 0, 0, 0][..], label, b"\0\x01\0\x01"].concat());
        let empty = label.is_empty();
        if !empty {
            assert_eq!((message.is_dns, message.malformed), (false, Some(reason)), "{label:?}");
        }
        assert_eq!((message.id, message.opcode, message.counts), (0x1234, 3, [1, 0, 0, 0]));
    }
    // Noise that begins like a name.
    let mut noise = query("a.example").0;
    noise[4] = 0x77;
    let message = decode(&noise);
    assert_eq!((message.is_dns, message.questions().len()), (false, 1));
    assert_eq!(message.malformed, Some("fewer records than counted"));
}
