//! Lists of system calls by seccomp. A call that is not on the list of a process does not exist for it (`ENOSYS`), so
//! that the C library takes its older way where it has one.
//!
//! The crate `seccompiler` makes the filters: it is written in Rust alone, and holds arguments against values, which
//! most of the entries here need. `libseccomp` would be one more library of C around it.

use std::collections::BTreeMap;

use nix::libc::{self, c_int, c_long};
use seccompiler::SeccompCmpArgLen::{Dword, Qword};
use seccompiler::SeccompCmpOp::{Eq, MaskedEq};
use seccompiler::{BpfProgram, SeccompAction, SeccompCondition, SeccompFilter, SeccompRule};

/// The work of a process decides its list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Calls {
    /// A process reads foreign bytes and writes lines into open descriptors.
    Read,
    /// The same, and the process opens, rotates and compresses files of lines itself.
    Write,
    /// The same, and the process connects to receivers.
    Connect,
    /// A process serves the kernel side.
    Kernel,
    /// A process reads `/proc` of other processes.
    Processes,
}

/// Memory, threads, time, and bytes through open descriptors.
const COMMON: &[c_long] = &[
    libc::SYS_brk,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_madvise,
    libc::SYS_futex,
    libc::SYS_set_robust_list,
    libc::SYS_rseq,
    libc::SYS_sched_yield,
    libc::SYS_sched_getaffinity,
    libc::SYS_membarrier,
    libc::SYS_getpid,
    libc::SYS_gettid,
    libc::SYS_getuid,
    libc::SYS_geteuid,
    libc::SYS_getgid,
    libc::SYS_getegid,
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_sigaltstack,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_restart_syscall,
    libc::SYS_clock_gettime,
    libc::SYS_clock_getres,
    libc::SYS_clock_nanosleep,
    libc::SYS_nanosleep,
    libc::SYS_gettimeofday,
    libc::SYS_getrandom,
    libc::SYS_uname,
    libc::SYS_getcwd,
    libc::SYS_sysinfo,
    libc::SYS_wait4,
    libc::SYS_read,
    libc::SYS_readv,
    libc::SYS_pread64,
    libc::SYS_write,
    libc::SYS_writev,
    libc::SYS_lseek,
    libc::SYS_close,
    libc::SYS_fstat,
    libc::SYS_newfstatat,
    libc::SYS_statx,
    libc::SYS_ppoll,
    libc::SYS_recvfrom,
    libc::SYS_recvmsg,
    libc::SYS_shutdown,
    libc::SYS_getsockopt,
    libc::SYS_getsockname,
    libc::SYS_getpeername,
    libc::SYS_readlinkat,
    libc::SYS_getdents64,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_poll,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_readlink,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_stat,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_lstat,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_time,
];

/// Lists that change are noticed; scrapers of `--metrics` are let in.
const READ: &[c_long] =
    &[libc::SYS_inotify_add_watch, libc::SYS_inotify_init1, libc::SYS_inotify_rm_watch, libc::SYS_accept4];

/// The kernel side is asked, and hooks that lost their program are put back.
const KERNEL: &[c_long] = &[libc::SYS_sendmsg, libc::SYS_bpf, libc::SYS_perf_event_open];

const PROCESSES: &[c_long] = &[libc::SYS_sendmsg];

/// Files are opened, renamed, removed and compressed. Landlock says where.
const WRITE: &[c_long] = &[
    libc::SYS_openat,
    libc::SYS_faccessat,
    libc::SYS_fsync,
    libc::SYS_fdatasync,
    libc::SYS_flock,
    libc::SYS_fchmod,
    libc::SYS_mkdirat,
    libc::SYS_unlinkat,
    libc::SYS_linkat,
    libc::SYS_renameat2,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_open,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_mkdir,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_unlink,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_link,
];

/// A name is looked up by the libraries that this host's C library loads for it, and a receiver is connected to.
const CONNECT: &[c_long] = &[
    libc::SYS_socket,
    libc::SYS_connect,
    libc::SYS_bind,
    libc::SYS_setsockopt,
    libc::SYS_sendto,
    libc::SYS_sendmsg,
    libc::SYS_sendmmsg,
    libc::SYS_recvmmsg,
    libc::SYS_mmap,
    libc::SYS_mprotect,
    libc::SYS_fcntl,
    libc::SYS_ioctl,
    libc::SYS_epoll_create1,
    libc::SYS_epoll_ctl,
    libc::SYS_epoll_pwait,
    libc::SYS_eventfd2,
    libc::SYS_timerfd_create,
    libc::SYS_timerfd_settime,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_epoll_wait,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_access,
];

/// Raises the list around this thread and those that it starts; whether the kernel has such lists.
pub(super) fn raise(calls: Calls) -> bool {
    filter(calls).and_then(|filter| seccompiler::apply_filter(&filter).ok()).is_some()
}

fn filter(calls: Calls) -> Option<BpfProgram> {
    let more: &[&[c_long]] = match calls {
        Calls::Read => &[READ],
        Calls::Write => &[READ, WRITE],
        Calls::Connect => &[READ, WRITE, CONNECT],
        Calls::Kernel => &[KERNEL],
        Calls::Processes => &[PROCESSES],
    };
    let mut list: BTreeMap<i64, Vec<SeccompRule>> = conditional(calls)?;
    // An entry without conditions stands for any arguments.
    list.extend(COMMON.iter().chain(more.iter().copied().flatten()).map(|call| (*call, Vec::new())));
    let target = std::env::consts::ARCH.try_into().ok()?;
    let absent = SeccompAction::Errno(libc::ENOSYS.unsigned_abs());
    SeccompFilter::new(list, absent, SeccompAction::Allow, target).ok()?.try_into().ok()
}

/// Calls that are allowed with some arguments only.
fn conditional(calls: Calls) -> Option<BTreeMap<i64, Vec<SeccompRule>>> {
    let own = u64::from(std::process::id());
    // Files are opened for reading only. `O_TMPFILE` without `O_DIRECTORY`, which stands for a folder to read.
    let temporary = libc::O_TMPFILE & !libc::O_DIRECTORY;
    let writing = number(libc::O_ACCMODE | libc::O_CREAT | libc::O_TRUNC | libc::O_APPEND | temporary);
    let no_program = vec![vec![(2, Dword, MaskedEq(number(libc::PROT_EXEC)), 0)]];
    let is = |place, values: &[u64]| values.iter().map(|value| vec![(place, Dword, Eq, *value)]).collect::<Vec<_>>();
    let option = |level: c_int, name: c_int| vec![(1, Dword, Eq, number(level)), (2, Dword, Eq, number(name))];
    let thread = number(libc::CLONE_THREAD | libc::CLONE_VM);
    let mut list = vec![
        (libc::SYS_openat, vec![vec![(2, Dword, MaskedEq(writing), 0)]]),
        (libc::SYS_mmap, no_program.clone()),
        (libc::SYS_mprotect, no_program),
        // A thread, and no process. The flags of clone3(2) cannot be looked at: the C library takes clone(2) then.
        (libc::SYS_clone, vec![vec![(0, Qword, MaskedEq(thread), thread)]]),
        (libc::SYS_tgkill, is(0, &[own])),
        (libc::SYS_prlimit64, vec![vec![(2, Qword, Eq, 0)]]),
        (libc::SYS_prctl, is(0, &[number(libc::PR_SET_NAME), PR_SET_VMA])),
        // To the other end of a connected socket, and nowhere else.
        (libc::SYS_sendto, vec![vec![(4, Qword, Eq, 0)]]),
        (libc::SYS_socketpair, is(0, &[number(libc::AF_UNIX)])),
        (
            libc::SYS_fcntl,
            is(
                1,
                &[
                    libc::F_DUPFD_CLOEXEC,
                    libc::F_GETFD,
                    libc::F_SETFD,
                    libc::F_GETFL,
                    libc::F_SETFL,
                    libc::F_GETPIPE_SZ,
                ]
                .map(number),
            ),
        ),
        (libc::SYS_ioctl, is(1, &[libc::TCGETS, libc::TIOCGWINSZ, libc::FIONBIO, libc::FIOCLEX])),
        (
            libc::SYS_setsockopt,
            vec![
                option(libc::SOL_SOCKET, libc::SO_KEEPALIVE),
                option(libc::IPPROTO_TCP, libc::TCP_NODELAY),
                option(libc::IPPROTO_TCP, libc::TCP_KEEPIDLE),
                option(libc::IPPROTO_TCP, libc::TCP_USER_TIMEOUT),
            ],
        ),
    ];
    if calls == Calls::Kernel {
        // Its perf events are switched on and given their program.
        list.push((libc::SYS_ioctl, is(1, &[PERF_EVENT_IOC_ENABLE, PERF_EVENT_IOC_DISABLE, PERF_EVENT_IOC_SET_BPF])));
    }
    list.into_iter().map(|(call, rules)| Some((call, rules.into_iter().map(rule).collect::<Option<_>>()?))).collect()
}

/// `_IO('$', 0)`, `_IO('$', 1)` and `_IOW('$', 8, __u32)` of linux/perf_event.h.
const PERF_EVENT_IOC_ENABLE: u64 = 0x2400;
const PERF_EVENT_IOC_DISABLE: u64 = 0x2401;
const PERF_EVENT_IOC_SET_BPF: u64 = 0x4004_2408;
/// The C library names its memory with it (linux/prctl.h).
const PR_SET_VMA: u64 = 0x5356_4d41;

type Condition = (u8, seccompiler::SeccompCmpArgLen, seccompiler::SeccompCmpOp, u64);

/// All of the conditions must hold.
fn rule(conditions: Vec<Condition>) -> Option<SeccompRule> {
    let conditions: Option<Vec<_>> = conditions
        .into_iter()
        .map(|(place, length, operator, value)| SeccompCondition::new(place, length, operator, value).ok())
        .collect();
    SeccompRule::new(conditions?).ok()
}

fn number(flags: c_int) -> u64 {
    u64::from(flags.cast_unsigned())
}
