//! The names and sizes of rotated files: the kits find all of them, and logrotate finds none.

use std::fs::{self, File};
use std::path::Path;
use std::time::Duration;

use dnstrail::sink::WhenFull;

use crate::support::outputs::{Bench, line, wait_until};

const FOLDER: &str = "/var/log/dnstrail/";

fn text(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path))
        .unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The text between two others, of the first line that has both.
fn between<'a>(text: &'a str, before: &str, after: &str) -> &'a str {
    let found = text.lines().find_map(|line| line.split_once(before)?.1.split_once(after));
    found.unwrap_or_else(|| panic!("no {before}…{after} in {text}")).0
}

/// A pattern with stars, as shells have it.
fn matches(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = name.strip_prefix(parts.next().unwrap()) else { return false };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else { return rest.is_empty() };
    for part in middle {
        let Some((_, behind)) = rest.split_once(part) else { return false };
        rest = behind;
    }
    rest.ends_with(last)
}

/// A file that is about as long as a file may be without being asked, and takes a line more.
fn names_after_a_line_more(when_full: WhenFull, parameters: &str) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("dnstrail.json");
    File::create(&path).unwrap().set_len((256 << 20) - 10).unwrap();
    let mut bench = Bench::try_open(&[&format!("file:{}{parameters}", path.display())], when_full).unwrap();
    bench.write(&line(0));
    bench.outputs.close(Duration::from_secs(5));
    let name = |entry: std::io::Result<fs::DirEntry>| entry.unwrap().file_name().into_string().unwrap();
    let mut names: Vec<_> = fs::read_dir(&folder).unwrap().map(name).collect();
    names.sort();
    names
}

#[test]
fn a_live_file_is_rotated_at_256_mib_unless_it_is_refused() {
    let rotated = names_after_a_line_more(WhenFull::Drop, "");
    assert!(rotated.len() == 2 && rotated[1].starts_with("dnstrail.json.2"), "{rotated:?}");
    assert_eq!(names_after_a_line_more(WhenFull::Drop, "?rotate_size=never"), ["dnstrail.json"]);
    // A replay keeps every line.
    assert_eq!(names_after_a_line_more(WhenFull::Wait, ""), ["dnstrail.json"]);
}

#[test]
fn kits_read_every_rotated_file_and_logrotate_none() {
    let rotated = names_after_a_line_more(WhenFull::Drop, "").pop().unwrap();
    let rotated = format!("{FOLDER}{rotated}");
    let filebeat = text("schemas/elastic/filebeat.yml");
    let vector = text("schemas/vector/dnstrail.toml");
    let splunk = text("schemas/splunk/dnstrail/default/inputs.conf");
    for pattern in [
        between(&filebeat, "      - /", "json*").to_owned() + "json*",
        between(&vector, "include = [\"/", "\"]").to_owned(),
        between(&splunk, "[monitor:///", "]").to_owned(),
    ] {
        let pattern = format!("/{pattern}");
        assert!(matches(&pattern, &rotated), "{pattern} misses {rotated}");
        assert!(matches(&pattern, &format!("{FOLDER}dnstrail.json")), "{pattern}");
    }
    // A file under compression, and a compressed one, were read before.
    let (filebeat, splunk) = (between(&filebeat, "exclude_files: [", "]"), between(&splunk, "blacklist = ", "$"));
    assert_eq!((filebeat, splunk), (r"'\.gz$', '\.partial$'", r"\.(gz|partial)"));
    let excluded: Vec<&str> =
        between(&vector, "exclude = [", "]").split(", ").map(|text| text.trim_matches('"')).collect();
    for ending in [".gz", ".gz.partial"] {
        assert!(excluded.iter().any(|pattern| matches(pattern, &format!("{rotated}{ending}"))), "{excluded:?}");
    }
    assert!(!excluded.iter().any(|pattern| matches(pattern, &rotated)), "{excluded:?}");
    // Fluent Bit follows a renamed file by itself, and would read it again if its pattern matched.
    let fluent_bit = text("schemas/fluent-bit/dnstrail.yaml");
    assert!(!matches(&format!("{}json", between(&fluent_bit, "path: ", "json")), &rotated));

    let logrotate = text("packaging/dnstrail.logrotate");
    let pattern = format!("/{}", between(&logrotate, "/", " {"));
    assert!(matches(&pattern, &format!("{FOLDER}dnstrail.json")), "{pattern}");
    for name in [rotated.clone(), format!("{rotated}.gz")] {
        assert!(!matches(&pattern, &name), "{pattern} rotates {name} a second time");
    }
}

#[test]
fn rotation_with_a_default_size_compresses_and_keeps_what_is_asked() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("eve.json");
    let mut bench = Bench::open(&[&format!("file:{}?rotate_keep=2&gzip=yes&rotate_size=64KiB", path.display())]);
    for number in 0..3000 {
        bench.write(&line(number));
    }
    bench.deliver();
    let mut endings = Vec::new();
    wait_until("old files are compressed", || {
        let names = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<_> = names.collect();
        names.sort();
        endings = names.iter().map(|name| name.rsplit('.').next().unwrap().to_owned()).collect();
        endings.len() == 3 && endings[1] == "gz" && endings[2].ends_with('Z')
    });
    assert_eq!(endings[0], "json");
}
