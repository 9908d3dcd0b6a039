//! Each format, in the shapes that published lists have.

use std::io::Write;

use dnstrail::rules::{Format, ListReport, Load};

use super::{address_hits, directory, hit, load, load_text};

fn report(load: &Load) -> &ListReport {
    let [report] = load.lists.as_slice() else { panic!("{:?}", load.lists) };
    assert!(report.error.is_none(), "{report:?}");
    report
}

/// The line that each listed name matches, and the lines that were not understood.
fn expect(load: &Load, format: Format, listed: &[(&str, u32)], free: &[&str], skipped: &[u32]) {
    let report = report(load);
    assert_eq!(report.format, Some(format));
    for (name, line) in listed {
        assert_eq!(hit(&load.rules, name).map(|hit| hit.0), Some(*line), "{name}");
    }
    for name in free {
        assert_eq!(hit(&load.rules, name), None, "{name}");
    }
    let lines: Vec<u32> = report.problems.iter().map(|problem| problem.line).collect();
    assert_eq!(lines, skipped, "{:?}", report.problems);
    assert_eq!(report.counts.skipped, skipped.len() as u64);
}

#[test]
fn hosts() {
    let load = load_text(
        "# Title: hosts\n127.0.0.1 localhost\n::1 ip6-loopback\nfe80::1%lo0 localhost\n0.0.0.0 0.0.0.0\n\
         0.0.0.0 ads.example  # inline\n127.0.0.1\ttwo.example THREE.Example.\n:: six.example\n0 zero.example\n\
         192.0.2.9 other-sink.example\n0.0.0.0 bad..example good.example\n0.0.0.0 un_der-score.example#no-remark\n",
    );
    let listed = [
        ("ads.example", 6),
        ("deep.ads.example", 6),
        ("two.example", 7),
        ("three.example", 7),
        ("six.example", 8),
        ("zero.example", 9),
        ("other-sink.example", 10),
        ("good.example", 11),
    ];
    expect(&load, Format::Hosts, &listed, &["localhost", "example", "bads.example"], &[11]);
    assert_eq!(report(&load).counts.not_applicable, 5, "four of every host, one with a fragment");
}

#[test]
fn plain_names_wildcards_and_addresses() {
    let text = "\u{feff}; remark\r\n! remark\r\n// remark\r\nEVIL.example\r\n  *.wild.example # why\r\n.dotted.example\r\n\
                https://url.example:8443\r\nport.example:8080\r\npage.example/path?x\r\nb\u{fc}cher.example\r\n192.0.2.7\r\n\
                198.51.100.0/24\r\n2001:db8::/48\r\n0056.0151.0107.0250\r\n0x5bf076a8\r\ntwo words\r\n.su\r\nlast.example";
    let load = load_text(text);
    let listed = [
        ("evil.example", 4),
        ("x.evil.example", 4),
        ("wild.example", 5),
        ("x.wild.example", 5),
        ("dotted.example", 6),
        ("url.example", 7),
        ("port.example", 8),
        ("xn--bcher-kva.example", 10),
        ("last.example", 18),
    ];
    expect(&load, Format::Plain, &listed, &["notevil.example", "page.example", "su", "x.su"], &[16, 17]);
    assert_eq!(address_hits(&load.rules, "192.0.2.7"), [(11, "192.0.2.7".into())]);
    assert_eq!(address_hits(&load.rules, "198.51.100.200"), [(12, "198.51.100.0/24".into())]);
    assert_eq!(address_hits(&load.rules, "2001:db8::53"), [(13, "2001:db8::/48".into())]);
    assert_eq!(address_hits(&load.rules, "46.105.71.168"), [(14, "46.105.71.168".into())]);
    assert_eq!(address_hits(&load.rules, "91.240.118.168"), [(15, "91.240.118.168".into())]);
    assert_eq!(address_hits(&load.rules, "192.0.2.8"), []);
    assert_eq!(report(&load).counts.not_applicable, 1);
}

#[test]
fn defanged_feeds() {
    let load = load_text("# IOCs\nevil[.]example\nhxxps[:]//panel[.]example\nbad(dot)example\n198[.]51[.]100[.]7\n");
    let listed = [("www.evil.example", 2), ("panel.example", 3), ("bad.example", 4)];
    expect(&load, Format::Plain, &listed, &["example"], &[]);
    assert_eq!(address_hits(&load.rules, "198.51.100.7"), [(5, "198.51.100.7".into())]);
}

#[test]
fn adblock() {
    let load = load_text(
        "[Adblock Plus]\n! Title: x\n||evil.example^\n||opt.example^$important,third-party\n||script.example^$script\n\
         ||page.example^$domain=a.example\n||path.example/ads/*\n##.banner\nsite.example##.ad\nsite.example#@#.ad\n/banner[0-9]/\n\
         @@||good.evil.example^\n@@||opt.example^$badfilter\n||*.below.example^\n||pattern*.example^\n|https://scheme.example^\n\
         ||192.0.2.7^\n0.0.0.0 hosts.example\nplain.example\n||bad..example^\n||bare.example\n||port.example:8080^\n",
    );
    let listed = [
        ("evil.example", 3),
        ("opt.example", 4),
        ("a.below.example", 14),
        ("scheme.example", 16),
        ("hosts.example", 18),
        ("plain.example", 19),
        ("bare.example", 21),
        ("port.example", 22),
    ];
    let free =
        ["good.evil.example", "x.good.evil.example", "script.example", "path.example", "site.example", "below.example"];
    expect(&load, Format::Adblock, &listed, &free, &[20]);
    assert_eq!(address_hits(&load.rules, "192.0.2.7").len(), 1);
    let counts = report(&load).counts;
    assert_eq!((counts.exceptions, counts.not_applicable), (1, 9));
}

#[test]
fn dnsmasq() {
    let load = load_text(
        "# dnsmasq\naddress=/null.example/#\naddress=/a.example/b.example/0.0.0.0\nserver=/nx.example/\nlocal=/local.example/\n\
         server=/a.a.example/#\nserver=/forward.example/192.0.2.53\naddress=/v6.example/::\nno-resolv\ncache-size=1000\n\
         address=/com/#\n",
    );
    let listed = [
        ("null.example", 2),
        ("x.a.example", 3),
        ("b.example", 3),
        ("nx.example", 4),
        ("local.example", 5),
        ("v6.example", 8),
    ];
    expect(&load, Format::Dnsmasq, &listed, &["a.a.example", "forward.example", "evil.com"], &[9, 11]);
}

#[test]
fn unbound() {
    let load = load_text(
        "server:\n  local-zone: \"evil.example.\" always_null\nlocal-zone: 'quoted.example' static\nlocal-zone: bare.example refuse\n\
         local-zone: \"open.example\" transparent\nlocal-zone: \"good.evil.example\" always_transparent\n\
         local-data: \"one.example. 60 IN A 0.0.0.0\"\nlocal-data: \"text.example TXT hello\"\nverbosity: 1\nlocal-zone: \"cut.example\"\n",
    );
    let listed =
        [("evil.example", 2), ("x.evil.example", 2), ("quoted.example", 3), ("bare.example", 4), ("one.example", 7)];
    expect(
        &load,
        Format::Unbound,
        &listed,
        &["good.evil.example", "open.example", "x.one.example", "text.example"],
        &[10],
    );
}

#[test]
fn response_policy_zone() {
    let load = load_text(
        "$TTL 30\n@ IN SOA localhost. root.localhost. (\n 1 ; serial\n 3600 600 86400 30 )\n NS localhost.\n; remark IN here\n\
         exact.example CNAME . ; why\n*.below.example CNAME .\nboth.example 60 IN CNAME *.\n*.both.example CNAME *.\n\
         data.example A 0.0.0.0\ndata.example AAAA ::\nok.below.example CNAME rpz-passthru.\n\
         24.0.2.0.192.rpz-ip CNAME .\n48.zz.1.db8.2001.rpz-ip CNAME .\nns.example.rpz-nsdname CNAME .\nwalled.example CNAME garden.example.\n\
         com CNAME .\n*.net CNAME .\n",
    );
    let listed = [
        ("exact.example", 7),
        ("x.below.example", 8),
        ("both.example", 9),
        ("x.both.example", 10),
        ("data.example", 11),
        ("walled.example", 17),
        ("com", 18),
    ];
    let free = ["x.exact.example", "below.example", "ok.below.example", "evil.com", "ns.example", "evil.net"];
    expect(&load, Format::Rpz, &listed, &free, &[19]);
    assert_eq!(address_hits(&load.rules, "192.0.2.77"), [(14, "192.0.2.0/24".into())]);
    assert_eq!(address_hits(&load.rules, "2001:db8:1::77"), [(15, "2001:db8:1::/48".into())]);
}

#[test]
fn response_policy_zone_with_absolute_owners() {
    let load = load_text(
        "$ORIGIN rpz.feed.example.\n@ 300 IN SOA a. b. 1 2 3 4 5\nevil.example.rpz.feed.example. CNAME .\nother.example.\tCNAME .\nrel.example CNAME .\n",
    );
    expect(
        &load,
        Format::Rpz,
        &[("evil.example", 3), ("other.example", 4), ("rel.example", 5)],
        &["rpz.feed.example"],
        &[],
    );
}

#[test]
fn bind_statements() {
    let load = load_text(
        "// named.conf\nzone \"evil.example\" { type master; file \"null\"; };\nzone \"long.example\" IN {\n  type primary;\n  zone \"x\";\n};\n\
         zone \"fwd.example\" { type forward; forwarders { 192.0.2.1; }; };\n/* zone \"gone.example\" {};\n*/\nnonsense\n",
    );
    expect(&load, Format::Bind, &[("a.evil.example", 2), ("long.example", 3)], &["fwd.example", "gone.example"], &[10]);
}

#[test]
fn json_lines_with_metadata() {
    let load = load_text(
        r#"{"uuid":"7fc9a8f8-0c4c-4b7e-8a4e-3b8f5c6d7e8f","source":"feed","value":"evil.example","severity":80}
{"value":"b.example","severity":255,"comment":"C2"}
{"type":"md5","value":"d41d8cd98f00b204e9800998ecf8427e"}
{"value":"d41d8cd98f00b204e9800998ecf8427e"}
{"value":"/usr/bin/evil"}
{"type":"domain|ip","value":"c.example|192.0.2.7","uuid":"u"}
{"type":"url","value":"https://d.example"}
{"uuid":"no value"}
{"value":"broken
"#,
    );
    expect(
        &load,
        Format::Json,
        &[("x.evil.example", 1), ("b.example", 2), ("c.example", 6), ("d.example", 7)],
        &[],
        &[8, 9],
    );
    assert_eq!(address_hits(&load.rules, "192.0.2.7"), [(6, "192.0.2.7".into())]);
    let metadata = |name: &str| load.rules.matches_of_name(name)[0].metadata.clone().expect("metadata");
    let evil = metadata("evil.example");
    assert_eq!(evil.uuid.as_deref(), Some("7fc9a8f8-0c4c-4b7e-8a4e-3b8f5c6d7e8f"));
    assert_eq!((evil.source.as_deref(), evil.severity), (Some("feed"), Some(80)));
    assert_eq!(metadata("b.example").description.as_deref(), Some("C2"));
    assert_eq!(metadata("b.example").severity, Some(100), "clamped");
    let hits = load.rules.matches_of_address([192, 0, 2, 7].into());
    assert_eq!(hits[0].metadata.as_ref().and_then(|metadata| metadata.uuid.clone()).as_deref(), Some("u"));
}

#[test]
fn columns() {
    // A lookup table, a feed with its header behind a hash, Zeek's tabs.
    let lookup = load_text(
        "\"host\",\"path\",\"message\",\"updated\"\n\"evil.example\",\"/\",\"said \"\"no\"\", twice\",\"2026\"\n",
    );
    expect(&lookup, Format::Csv, &[("a.evil.example", 2)], &["host"], &[]);
    let hits = lookup.rules.matches_of_name("evil.example");
    assert_eq!(hits[0].metadata.as_ref().unwrap().description.as_deref(), Some("said \"no\", twice"));

    let feed = load_text(
        "# feed of things, made up\n# id,dateadded,url,threat\n\"1\",\"2026\",\"http://u.example/\",\"malware\"\n\"2\",\"2026\",\"http://v.example/x.sh\",\"malware\"\nshort\n",
    );
    expect(&feed, Format::Csv, &[("u.example", 3)], &["v.example"], &[5]);

    let zeek = load_text(
        "#fields\tindicator\tindicator_type\tmeta.source\nevil.example\tIntel::DOMAIN\tfeed\n192.0.2.7\tIntel::ADDR\tfeed\n",
    );
    expect(&zeek, Format::Csv, &[("evil.example", 2)], &[], &[]);
    assert_eq!(address_hits(&zeek.rules, "192.0.2.7"), [(3, "192.0.2.7".into())]);
}

#[test]
fn gzip_is_read_like_what_it_holds() {
    let directory = directory(&[]);
    let path = directory.path().join("list.txt.gz");
    let mut file = flate2::write::GzEncoder::new(std::fs::File::create(&path).unwrap(), flate2::Compression::default());
    file.write_all(b"||packed.example^\n").unwrap();
    file.finish().unwrap();
    let packed = load(&path);
    expect(&packed, Format::Adblock, &[("packed.example", 1)], &[], &[]);
    assert_eq!(packed.lists[0].version, load_text("||packed.example^\n").lists[0].version);
    // Cut short, it is an error, not half of a list.
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() - 9]).unwrap();
    assert!(load(&path).lists[0].error.as_ref().unwrap().to_string().contains("list.txt.gz"));
}

#[test]
fn a_public_suffix_and_addresses_of_every_host_are_refused() {
    let load =
        load_text("com\nco.uk\nevil.com\nevil.example.co.uk\n0.0.0.0\n127.0.0.1\n::1\n10.0.0.0/7\n::/0\n10.0.0.0/8\n");
    let report = report(&load);
    let lines: Vec<u32> = report.problems.iter().map(|problem| problem.line).collect();
    assert_eq!(lines, [1, 2, 5, 6, 7, 8, 9]);
    assert!(report.problems[0].reason.contains("allow_broad"), "{}", report.problems[0].reason);
    assert_eq!(hit(&load.rules, "notevil.com"), None);
    assert_eq!(hit(&load.rules, "www.evil.com"), Some((3, "evil.com".into())));
    assert_eq!(address_hits(&load.rules, "10.1.2.3"), [(10, "10.0.0.0/8".into())]);
    assert_eq!(address_hits(&load.rules, "127.0.0.1"), []);
}

#[test]
fn bad_bytes_and_long_lines_are_skipped_one_by_one() {
    let mut text = b"good.example\nbad\xff\xfe.example\n".to_vec();
    text.extend(std::iter::repeat_n(b'a', 200_000));
    text.extend_from_slice(b"\nlast.example\ncontrol\x07.example\n");
    let load = load_text(text);
    expect(&load, Format::Plain, &[("good.example", 1), ("last.example", 4)], &[], &[2, 3, 5]);
    assert!(report(&load).problems[1].text.chars().count() <= 80);
}
