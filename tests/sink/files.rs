//! Files that rotate, fill up, vanish, and are torn by `kill -9`.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use dnstrail::sink::{Kind, WhenFull};
use flate2::read::GzDecoder;

use crate::support::outputs::{Bench, count_lines, line, number_of, wait_until};

const SECOND: Duration = Duration::from_secs(1);
/// The variables that give a child its file and its first number; it writes until it is killed.
const WRITE_TO: &str = "DNSTRAIL_TEST_WRITE_TO";
const WRITE_FROM: &str = "DNSTRAIL_TEST_WRITE_FROM";
/// How the children rotate, and the last run too: it would delete all but ten rotated files by default.
const KEEP_ALL: &str = "rotate_size=4MB&rotate_keep=10000";

/// Every file of a folder in the order in which it was written, as text.
fn files(folder: &Path) -> Vec<(PathBuf, String)> {
    let mut paths: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    // `eve.json.2025…` is older than `eve.json`.
    paths.sort_by_key(|path| (path.ends_with("eve.json"), path.clone()));
    let read = |path: PathBuf| {
        let mut bytes = Vec::new();
        if path.extension().is_some_and(|extension| extension == "gz") {
            GzDecoder::new(File::open(&path).unwrap()).read_to_end(&mut bytes).unwrap();
        } else {
            bytes = fs::read(&path).unwrap();
        }
        (path, String::from_utf8_lossy(&bytes).into_owned())
    };
    paths
        .into_iter()
        .filter(|path| path.is_file() && path.extension().is_none_or(|end| end != "partial"))
        .map(read)
        .collect()
}

fn numbers(folder: &Path) -> Vec<u64> {
    let texts: Vec<_> = files(folder);
    texts
        .iter()
        .flat_map(|(_, text)| text.split_inclusive('\n'))
        .map(|text| number_of(text).filter(|&number| text == line(number)).unwrap_or_else(|| panic!("torn: {text:?}")))
        .collect()
}

#[test]
fn rotation_under_load_loses_and_tears_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let out =
        format!("file:{}/eve.json?rotate_size=1MiB&rotate_keep=1000&gzip=yes&buffer=64MiB", folder.path().display());
    let mut bench = Bench::open(&[&out]);
    let lines = 100_000;
    for number in 0..lines {
        bench.write(&line(number));
        if number % 37 == 0 {
            bench.flush();
        }
    }
    bench.outputs.close(SECOND);
    assert_eq!(numbers(folder.path()), (0..lines).collect::<Vec<_>>());
    assert_eq!(bench.outputs.take_changes(), []);
    let all = files(folder.path());
    assert!(all.len() > 10, "{} files", all.len());
    for (path, text) in &all {
        assert!(text.len() <= 1 << 20, "{}: {}", path.display(), text.len());
    }
    // filebeat knows files by their first 1,024 bytes.
    let mut starts: Vec<&str> =
        all.iter().map(|(_, text)| text.get(..text.floor_char_boundary(1024)).unwrap()).collect();
    starts.sort_unstable();
    starts.dedup();
    assert_eq!(starts.len(), all.len());
}

#[test]
fn only_so_many_files_are_kept_and_foreign_ones_stay() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["eve.json.1", "eve.2025.json", "other.json"] {
        fs::write(folder.path().join(name), "foreign").unwrap();
    }
    let out = format!("file:{}/eve.json?rotate_size=64KiB&rotate_keep=3", folder.path().display());
    let mut bench = Bench::open(&[&out]);
    for number in 0..5000 {
        bench.write(&line(number));
    }
    bench.flush();
    let ours = |folder: &Path| files(folder).iter().filter(|(_, text)| text != "foreign").count();
    wait_until("old files are deleted", || ours(folder.path()) == 4);
    bench.outputs.close(SECOND);
    assert_eq!(files(folder.path()).len(), 4 + 3);
}

#[test]
fn age_rotates_too() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = Bench::open(&[&format!("file:{}/eve.json?rotate_age=1s", folder.path().display())]);
    bench.write(&line(0));
    bench.tick_until("it is rotated", |_| files(folder.path()).len() == 2);
    bench.write(&line(1));
    bench.outputs.close(SECOND);
    assert_eq!(numbers(folder.path()), [0, 1]);
}

#[test]
fn logrotate_with_and_without_a_signal() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("eve.json");
    let mut bench = Bench::open(&[&format!("file:{}", path.display())]);
    bench.write(&line(0));
    bench.deliver();
    fs::rename(&path, folder.path().join("eve.json-1")).unwrap();
    bench.write(&line(1));
    bench.outputs.reopen();
    wait_until("it is opened anew", || path.exists());
    bench.write(&line(2));
    bench.deliver();
    assert_eq!(fs::read_to_string(folder.path().join("eve.json-1")).unwrap(), line(0) + &line(1));
    assert_eq!(fs::read_to_string(&path).unwrap(), line(2));
    // Without the signal the sensor notices by itself.
    fs::rename(&path, folder.path().join("eve.json-2")).unwrap();
    wait_until("it is opened anew", || path.exists());
    bench.write(&line(3));
    bench.deliver();
    // After copytruncate the next line stands at the start, without a hole.
    File::options().write(true).truncate(true).open(&path).unwrap();
    bench.write(&line(4));
    bench.outputs.close(SECOND);
    assert_eq!(fs::read_to_string(&path).unwrap(), line(4));
    assert_eq!(bench.dropped(), 0);
}

#[test]
fn a_torn_last_line_is_closed_off() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("eve.json");
    fs::write(&path, line(0) + "{\"sequence\":1,\"na").unwrap();
    let mut bench = Bench::open(&[&format!("file:{}", path.display())]);
    bench.write(&line(2));
    bench.outputs.close(SECOND);
    assert_eq!(fs::read_to_string(&path).unwrap(), line(0) + "{\"sequence\":1,\"na\n" + &line(2));
}

#[test]
fn a_removed_directory_comes_back_and_the_gap_is_counted() {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("log");
    fs::create_dir(&directory).unwrap();
    let path = directory.join("eve.json");
    let mut bench = Bench::open(&[&format!("file:{}", path.display())]);
    let mut sent = 0;
    let mut some = |bench: &mut Bench, lines: u64| {
        for _ in 0..lines {
            bench.write(&line(sent));
            sent += 1;
        }
        bench.deliver();
        sent
    };
    some(&mut bench, 100);
    std::thread::sleep(SECOND * 2);
    let mut removed = File::open(&path).unwrap();
    fs::remove_dir_all(&directory).unwrap();
    some(&mut bench, 50);
    bench.tick_until("it is opened anew", |_| path.exists());
    let sent = some(&mut bench, 100);
    bench.outputs.close(SECOND);
    let mut text = String::new();
    removed.read_to_string(&mut text).unwrap();
    let removed = text.lines().count() as u64;
    assert_eq!(removed + count_lines(&path), sent);
    assert_eq!(bench.dropped(), removed - 100);
    let changes = bench.outputs.take_changes();
    assert!(changes[0].failing && changes[0].message.contains("was deleted"), "{changes:?}");
    assert!(!changes.last().unwrap().failing && !bench.is_failing(), "{changes:?}");
}

#[test]
fn a_path_that_cannot_be_opened_leaves_the_open_file_in_use() {
    let folder = tempfile::tempdir().unwrap();
    let (directory, away) = (folder.path().join("log"), folder.path().join("away"));
    fs::create_dir(&directory).unwrap();
    let mut bench = Bench::open(&[&format!("file:{}/eve.json", directory.display())]);
    bench.write(&line(0));
    bench.deliver();
    fs::rename(&directory, &away).unwrap();
    fs::write(&directory, "in the way").unwrap();
    bench.write(&line(1));
    bench.tick_until("it is noticed", Bench::is_failing);
    bench.write(&line(2));
    bench.outputs.flush();
    fs::remove_file(&directory).unwrap();
    fs::rename(&away, &directory).unwrap();
    bench.tick_until("it works again", |bench| !bench.is_failing());
    bench.write(&line(3));
    bench.outputs.close(SECOND);
    assert_eq!(numbers(&directory), [0, 1, 2, 3]);
    assert_eq!(bench.dropped(), 0);
}

/// The child's part: writes as fast as it can until it is killed.
fn write_until_killed(path: &str) {
    let mut bench = Bench::open(&[&format!("file:{path}?{KEEP_ALL}")]);
    let mut number: u64 = std::env::var(WRITE_FROM).unwrap().parse().unwrap();
    loop {
        for _ in 0..=number % 300 {
            bench.write(&line(number));
            number += 1;
        }
        bench.flush();
    }
}

#[test]
fn kill_nine_a_hundred_times() {
    if let Ok(path) = std::env::var(WRITE_TO) {
        return write_until_killed(&path);
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("eve.json");
    let kills = 100;
    for kill in 0..kills {
        let length = || path.metadata().map_or((0, 0), |file| (file.len(), std::os::unix::fs::MetadataExt::ino(&file)));
        let before = length();
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "sink::files::kill_nine_a_hundred_times"])
            .env(WRITE_TO, &path)
            .env(WRITE_FROM, (kill * 1_000_000).to_string())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        wait_until("the child writes", || {
            assert!(child.try_wait().unwrap().is_none());
            // A newline alone closes off the fragment of the child before.
            let now = length();
            now.1 != before.1 || now.0 > before.0 + 1
        });
        // A random moment: the hash of a random state.
        let moment = std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), kill) % 10_000;
        std::thread::sleep(Duration::from_micros(moment));
        child.kill().unwrap();
        child.wait().unwrap();
    }
    // A last run closes off the last fragment.
    let mut bench = Bench::open(&[&format!("file:{}?{KEEP_ALL}", path.display())]);
    bench.write(&line(kills * 1_000_000));
    bench.outputs.close(SECOND);

    let (mut lines, mut fragments, mut gaps) = (0u64, 0u64, 0u64);
    let mut last: Option<u64> = None;
    for (path, text) in files(folder.path()) {
        assert!(text.ends_with('\n'), "{}", path.display());
        let mut fragment = false;
        for text in text.split_inclusive('\n') {
            if let Some(number) = number_of(text).filter(|&number| text == line(number)) {
                let next = last.map_or(0, |last| last + 1);
                if number != next {
                    // Gaps are only where a run was killed.
                    assert_eq!(number % 1_000_000, 0, "{} after {last:?}", path.display());
                    gaps += 1;
                }
                last = Some(number);
                lines += 1;
                fragment = false;
            } else {
                // A fragment is the start of the line that was due, and may end inside a character.
                let due = line(last.map_or(0, |last| last + 1));
                let start = text.trim_end().trim_end_matches(char::REPLACEMENT_CHARACTER);
                assert!(due.starts_with(start) && !fragment, "{text:?}");
                fragment = true;
                fragments += 1;
            }
        }
    }
    println!("{lines} lines, {gaps} gaps, {fragments} fragments closed off");
    assert_eq!(gaps, kills);
    assert!(fragments <= kills);
}

#[test]
fn outputs_that_cannot_be_opened_say_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let d = folder.path().display();
    fs::write(folder.path().join("text"), "no certificate").unwrap();
    nix::unistd::mkfifo(&folder.path().join("fifo"), nix::sys::stat::Mode::from_bits_truncate(0o600)).unwrap();
    for (outs, wanted) in [
        (vec![format!("file:{d}/no/such/eve.json")], "make the directory"),
        (vec![format!("file:{d}")], "is a directory; name a file in it"),
        (vec![format!("file:{d}/a"), format!("file:{d}/a")], "is given twice"),
        (vec![format!("file:{d}/a"), format!("file:{d}/./a")], "is written by another output of this process"),
        (vec!["file:/dev/full?rotate_size=1MB".into()], "cannot be rotated; leave out the rotation"),
        (vec!["file:/dev/null?rotate_size=1MB".into()], "cannot be rotated; leave out the rotation"),
        (vec![format!("syslog:tls://h:1?ca={d}/no.pem")], "no.pem: cannot be read: No such file or directory;"),
        (vec![format!("syslog:tls://h:1?ca={d}/text")], "text: holds no PEM certificate"),
        (vec![format!("syslog:tls://h:1?ca={d}/fifo")], "fifo: cannot be read: it is no regular file"),
        (vec![format!("syslog:tls://h:1?cert={d}/cert.pem&key={d}/text")], "cert.pem: cannot be read"),
        (vec!["syslog:tls://a..b:1".into()], "is no name that a certificate can hold"),
    ] {
        let outs: Vec<&str> = outs.iter().map(String::as_str).collect();
        let error = Bench::try_open(&outs, WhenFull::Drop).err().expect("refused");
        assert!(error.starts_with("output ") && error.contains(wanted), "{error}");
    }
}

#[test]
fn each_output_takes_its_kinds() {
    let folder = tempfile::tempdir().unwrap();
    let d = folder.path().display();
    let mut bench = Bench::open(&[
        &format!("file:{d}/all"),
        &format!("file:{d}/alerts?kind=alert"),
        &format!("file:{d}/ocsf?format=ocsf"),
    ]);
    bench.write_as(&line(0), Kind::Event);
    bench.write_as(&line(1), Kind::Alert);
    bench.outputs.close(SECOND);
    let counts = ["all", "alerts", "ocsf"].map(|name| count_lines(&folder.path().join(name)));
    assert_eq!(counts, [2, 1, 0]);
    assert_eq!(bench.outputs.formats(Kind::Alert).count(), 2);
}
