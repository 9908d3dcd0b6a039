//! The walls from inside: a thread raises them, as the process that reads foreign bytes does, and then tries to do
//! what an attacker in its place would.

#![allow(unsafe_code, reason = "plain system calls, as an attacker makes them")]

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::Command;

use dnstrail::walls::{Calls, Standing, Walls};
use nix::errno::Errno;
use nix::libc;

/// Whether the call was refused by the walls, and not for its arguments.
fn is_refused(call: libc::c_long, arguments: [libc::c_long; 5]) -> bool {
    let [one, two, three, four, five] = arguments;
    // SAFETY: the calls are refused; were they not, each would fail for its arguments and touch no memory.
    let outcome = unsafe { libc::syscall(call, one, two, three, four, five) };
    outcome < 0 && matches!(Errno::last(), Errno::ENOSYS | Errno::EPERM | Errno::EACCES)
}

/// Raises the walls in a thread of its own, for they stay, and runs `try_out` behind them.
fn behind(calls: Calls, reads: &[PathBuf], writes: &[PathBuf], try_out: impl FnOnce(Standing) + Send + 'static) {
    let (reads, writes) = (reads.to_vec(), writes.to_vec());
    let confined = move || {
        let walls = Walls { calls, keep: Vec::new(), reads, writes, connects: false };
        try_out(walls.raise().expect("every kernel lets privileges be given up"));
    };
    std::thread::spawn(confined).join().expect("what must be possible is possible");
}

#[test]
fn an_attacker_inside_finds_no_system_call_to_act_by() {
    behind(Calls::Write, &[], &[], |standing| {
        assert!(standing.privileges && standing.calls);
        let parent = libc::c_long::from(nix::unistd::getppid().as_raw());
        for (name, call, arguments) in [
            ("ptrace", libc::SYS_ptrace, [libc::c_long::from(libc::PTRACE_ATTACH), parent, 0, 0, 0]),
            ("process_vm_readv", libc::SYS_process_vm_readv, [parent, 0, 0, 0, 0]),
            ("process_vm_writev", libc::SYS_process_vm_writev, [parent, 0, 0, 0, 0]),
            ("execve", libc::SYS_execve, [0; 5]),
            ("execveat", libc::SYS_execveat, [0; 5]),
            ("bpf", libc::SYS_bpf, [0; 5]),
            ("setns", libc::SYS_setns, [-1, 0, 0, 0, 0]),
            ("unshare", libc::SYS_unshare, [0; 5]),
            ("mount", libc::SYS_mount, [0; 5]),
            ("clone3", libc::SYS_clone3, [0; 5]),
            ("kill", libc::SYS_kill, [parent, 0, 0, 0, 0]),
            ("tgkill of another", libc::SYS_tgkill, [parent, parent, 0, 0, 0]),
            ("pidfd_open", libc::SYS_pidfd_open, [parent, 0, 0, 0, 0]),
            ("capset", libc::SYS_capset, [0; 5]),
            ("setuid", libc::SYS_setuid, [0; 5]),
            ("socket", libc::SYS_socket, [libc::c_long::from(libc::AF_INET), 2, 0, 0, 0]),
            ("io_uring_setup", libc::SYS_io_uring_setup, [0; 5]),
            ("userfaultfd", libc::SYS_userfaultfd, [0; 5]),
            ("open_by_handle_at", libc::SYS_open_by_handle_at, [0; 5]),
            ("memory that runs", libc::SYS_mmap, [0, 4096, 7, 0x22, -1]),
        ] {
            assert!(is_refused(call, arguments), "{name}");
        }
        assert!(Command::new("/bin/true").status().is_err(), "no program");
        assert!(
            TcpStream::connect("127.0.0.1:9").is_err_and(|error| error.kind() != std::io::ErrorKind::ConnectionRefused)
        );
        assert!(UdpSocket::bind("127.0.0.1:0").is_err() && TcpListener::bind("127.0.0.1:0").is_err());
        std::thread::spawn(|| ()).join().expect("a thread is no process");
    });
}

#[test]
fn a_socket_that_was_open_before_leads_nowhere_else() {
    let [socket, peer, elsewhere] = [0; 3].map(|_| UdpSocket::bind("127.0.0.1:0").unwrap());
    socket.connect(peer.local_addr().unwrap()).unwrap();
    let other = elsewhere.local_addr().unwrap();
    behind(Calls::Write, &[], &[], move |_| {
        assert_eq!(socket.send(b"x").unwrap(), 1);
        assert!(socket.send_to(b"x", other).is_err() && socket.connect(other).is_err());
        UnixStream::pair().expect("its own threads talk");
    });
    elsewhere.set_nonblocking(true).unwrap();
    assert!(elsewhere.recv(&mut [0]).is_err());
}

#[test]
fn files_are_those_that_were_named() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    for name in ["lists", "lines", "other"] {
        fs::create_dir(at(name)).unwrap();
        fs::write(at(name).join("file"), "text").unwrap();
    }
    let [list, line, other] = ["lists", "lines", "other"].map(|name| at(name).join("file"));
    let (reads, writes) = ([at("lists")], [at("lines")]);
    let append = |path: &PathBuf| OpenOptions::new().append(true).open(path);
    let of_reader = (list.clone(), other.clone());
    behind(Calls::Read, &reads, &[], move |_| {
        assert_eq!(fs::read_to_string(&of_reader.0).unwrap(), "text");
        assert!(append(&of_reader.0).is_err(), "a reader writes nothing, on any kernel");
        assert!(File::create(of_reader.1).is_err());
    });
    behind(Calls::Write, &reads, &writes, move |standing| {
        append(&line).unwrap().write_all(b"more").unwrap();
        fs::remove_file(&line).unwrap();
        if standing.files {
            assert!(File::open(&other).is_err() && append(&other).is_err() && append(&list).is_err());
            assert!(File::open("/etc/passwd").is_err());
        }
    });
}
