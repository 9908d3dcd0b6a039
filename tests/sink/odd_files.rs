//! Paths that are no ordinary file, or that belong to another sensor: none of them hangs an output, and
//! each is answered with the exit code that says whether another try can help.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use nix::sys::stat::Mode;

use crate::support::outputs::{Bench, count_lines, line, wait_until};

const SECOND: Duration = Duration::from_secs(1);

fn replay(outs: &[&str]) -> Output {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut command = Command::new(env!("CARGO_BIN_EXE_dnstrail"));
    command.arg("replay").arg(root.join("tests/data/edns-opts.pcap"));
    for out in outs {
        command.arg("--output").arg(out);
    }
    command.output().expect("dnstrail")
}

fn fifo(path: &Path) {
    nix::unistd::mkfifo(path, Mode::from_bits_truncate(0o600)).unwrap();
}

#[test]
fn a_wrong_output_is_a_usage_error() {
    let folder = tempfile::tempdir().unwrap();
    let d = folder.path().display();
    fifo(&folder.path().join("fifo"));
    for (outs, wanted) in [
        (vec!["stdout".into(), "stdout".into()], "output stdout: is given twice; keep one"),
        (vec![format!("file:{d}")], "is a directory; name a file in it"),
        (vec![format!("file:{d}/fifo?rotate_size=1MB")], "cannot be rotated; leave out the rotation"),
        (vec![format!("file:{d}/none/eve.json")], "cannot be opened: No such file or directory; make the directory"),
        (vec![format!("syslog:tls://h:1?ca={d}/none.pem")], "none.pem: cannot be read: No such file or directory;"),
        (vec![format!("syslog:tls://h:1?ca={d}/fifo")], "fifo: cannot be read: it is no regular file;"),
    ] {
        let outs: Vec<&str> = outs.iter().map(String::as_str).collect();
        let started = Instant::now();
        let output = replay(&outs);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{outs:?}: {said}");
        assert!(said.contains(wanted), "{outs:?}: {said}");
        assert!(!said.contains("os error"), "{said}");
        assert!(started.elapsed() < SECOND * 4, "{outs:?} took {:?}", started.elapsed());
    }
}

#[test]
fn two_sensors_never_write_one_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("eve.json");
    let out = format!("file:{}", path.display());
    let mut first = Bench::open(&[&out]);
    first.write(&line(0));
    first.deliver();
    let output = replay(&[&out]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains(&format!("is written by process {}; stop that one", std::process::id())), "{said}");
    assert_eq!(count_lines(&path), 1);
    // The lock follows the file: the next one is locked, and the one that was renamed away is free.
    let old = folder.path().join("eve.json-1");
    fs::rename(&path, &old).unwrap();
    first.outputs.reopen();
    wait_until("it is opened anew", || path.exists());
    assert_eq!(replay(&[&out]).status.code(), Some(2));
    wait_until("the old file is free", || File::open(&old).unwrap().try_lock().is_ok());
    first.outputs.close(SECOND);
    drop(first);
    assert_eq!(replay(&[&out]).status.code(), Some(0));
}

#[test]
fn a_fifo_in_place_of_a_file_is_reported_and_not_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("eve.json");
    let mut bench = Bench::open(&[&format!("file:{}", path.display())]);
    bench.write(&line(0));
    bench.deliver();
    for with_reader in [false, true] {
        fs::rename(&path, folder.path().join("away")).unwrap();
        fifo(&path);
        let reader = with_reader.then(|| {
            use std::os::unix::fs::OpenOptionsExt;
            File::options().read(true).custom_flags(nix::libc::O_NONBLOCK).open(&path).unwrap()
        });
        bench.outputs.reopen();
        bench.tick_until("the FIFO is reported", Bench::is_failing);
        bench.write(&line(1));
        drop(reader);
        fs::remove_file(&path).unwrap();
        fs::rename(folder.path().join("away"), &path).unwrap();
        bench.outputs.reopen();
        bench.tick_until("the file is back", |bench| !bench.is_failing());
    }
    let changes = bench.outputs.take_changes();
    let failures: Vec<_> = changes.iter().filter(|change| change.failing).map(|change| &change.message).collect();
    assert_eq!(failures.len(), 2, "{changes:?}");
    assert!(failures[0].starts_with("cannot be opened: No such device or address;"), "{changes:?}");
    assert!(failures[1].starts_with("is no regular file any more;"), "{changes:?}");
    let closing = Instant::now();
    bench.outputs.close(SECOND * 5);
    assert!(closing.elapsed() < SECOND * 2, "{:?}", closing.elapsed());
    assert_eq!((count_lines(&path), bench.dropped()), (3, 0));
}
