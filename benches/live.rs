//! The cost of the sensor on this host, live, as root: the time to start, and the verifier's share of it; CPU for each
//! DNS message, in the sensor and in the kernel's probes; CPU for traffic that is not DNS, and for a process that does
//! not ask; memory at rest; and what is left of a resolver's rate beside the sensor, and beside tcpdump.
//!
//! The load is dnsperf against an unbound on loopback, which answers from its own data.

mod saturation;

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::UdpSocket;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use libbpf_rs::ObjectBuilder;

use dnstrail::probe::{Hooks, Observe, Probes, Settings};
use dnstrail::sighting::Watch;

/// The object of `probes/trial.bpf.c`.
static TRIAL: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/trial.bpf.o"));

const PORT: u16 = 5399;
/// Queries a second of the even load: what a busy host of one's own resolver sees.
const RATE: u32 = 20_000;
const SECONDS: u32 = 6;
/// Starts; the median is printed.
const STARTS: usize = 5;
/// Processes that do not ask.
const SPAWNED: u32 = 5_000;
/// Packets of the traffic that is not DNS.
const OTHER_PACKETS: u32 = 200_000;

/// Ends the process with the value.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub fn run() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let _resolver = resolver(folder.path());
    // The kernel counts what each program costs as long as this is set.
    let counting = fs::write("/proc/sys/kernel/bpf_stats_enabled", "1").is_ok();

    verification();

    println!("\nlive/start: from exec, median of {STARTS}");
    let mut starts: Vec<_> = (0..STARTS).map(|_| first_event(folder.path())).collect();
    starts.sort_by_key(|(_, first)| *first);
    let (ready, first) = starts[STARTS / 2];
    println!("  to the ready file    {:>10.0} ms", ready.as_secs_f64() * 1e3);
    println!("  to the first query   {:>10.0} ms", first.as_secs_f64() * 1e3);

    println!("\nlive/rest: memory and CPU without traffic");
    let (sensor, _) = sensor(folder.path(), "/dev/null", &[]);
    std::thread::sleep(Duration::from_secs(2));
    let before = cpu(sensor.0.id());
    std::thread::sleep(Duration::from_secs(5));
    show_memory(sensor.0.id());
    println!("  CPU at rest          {:>10.4} %", (cpu(sensor.0.id()) - before).as_secs_f64() / 5.0 * 100.0);

    println!("\nlive/messages: {RATE} queries/s and their answers for {SECONDS} s");
    let (before, programs) = (cpu(sensor.0.id()), program_costs());
    let queries = dnsperf(folder.path(), &["-Q", &RATE.to_string(), "-l", &SECONDS.to_string()]);
    std::thread::sleep(Duration::from_millis(500));
    let messages = 2.0 * queries.0;
    println!(
        "  sensor               {:>10.2} µs CPU a message",
        (cpu(sensor.0.id()) - before).as_secs_f64() * 1e6 / messages
    );
    if counting {
        show_programs(&programs, "µs", 1e3, messages);
    }
    show_memory(sensor.0.id());

    println!("\nlive/other: {OTHER_PACKETS} UDP packets on a port that carries no DNS");
    let programs = program_costs();
    other_traffic();
    if counting {
        show_programs(&programs, "ns", 1.0, f64::from(OTHER_PACKETS));
    }

    println!("\nlive/processes: {SPAWNED} times fork, exec and exit, without DNS");
    let (before, programs) = (time_on_cpu(sensor.0.id()), program_costs());
    for _ in 0..SPAWNED {
        Command::new("/bin/true").status().expect("/bin/true runs");
    }
    std::thread::sleep(Duration::from_millis(500));
    let sensor_time = time_on_cpu(sensor.0.id()) - before;
    println!("  sensor               {:>10.2} µs CPU each", sensor_time.as_secs_f64() * 1e6 / f64::from(SPAWNED));
    if counting {
        show_programs(&programs, "µs", 1e3, f64::from(SPAWNED));
    }
    drop(sensor);
    let _ = fs::write("/proc/sys/kernel/bpf_stats_enabled", "0");
    saturation::run(folder.path());
}

/// The time until each way in is attached, and the instructions of each program that the verifier walked (known
/// since Linux 5.16).
fn verification() {
    println!("\nlive/verification: milliseconds of each way in, median of {STARTS}");
    println!("  {:<10} {:>8} {:>8} {:>8} {:>8}", "", "trial", "load", "attach", "all");
    let mut programs = Vec::new();
    for (name, hooks) in [("fentry", Hooks::Fentry), ("kprobe", Hooks::Kprobe), ("cgroup", Hooks::Cgroup)] {
        let of_kinds = Watch::default().programs();
        let settings =
            Settings { programs: of_kinds, ports: vec![53], observe: Observe::Clients, hooks, ring_bytes: 16 << 20 };
        let mut runs = Vec::new();
        for run in 0..STARTS {
            match Probes::open(&settings) {
                Ok(probes) => {
                    let times = probes.times();
                    runs.push([times.trial, times.load, times.attach]);
                    if run == 0 {
                        programs.extend(own_programs());
                    }
                }
                Err(error) => {
                    println!("  {name:<10} {error}");
                    break;
                }
            }
        }
        runs.sort_by_key(|parts| parts.iter().sum::<Duration>());
        if let Some(parts) = runs.get(STARTS / 2) {
            let [trial, load, attach] = parts.map(|part| part.as_secs_f64() * 1e3);
            println!("  {name:<10} {trial:>8.1} {load:>8.1} {attach:>8.1} {:>8.1}", trial + load + attach);
        }
    }
    programs.sort();
    programs.dedup();
    println!("  {:<20} instructions verified", "program");
    for (name, verified) in &programs {
        println!("  {name:<20} {verified:>10}");
    }
}

/// Name and instructions verified of each program that this process holds.
fn own_programs() -> Vec<(String, u32)> {
    let descriptors = fs::read_dir("/proc/self/fdinfo").expect("/proc is mounted").flatten();
    let texts: Vec<_> = descriptors.filter_map(|entry| fs::read_to_string(entry.path()).ok()).collect();
    let held = |id: u32| texts.iter().any(|text| text.lines().any(|line| line == format!("prog_id:\t{id}")));
    libbpf_rs::query::ProgInfoIter::default()
        .filter(|program| held(program.id))
        .map(|program| (program.name.to_string_lossy().into_owned(), program.verified_insns))
        .collect()
}

/// From the start of the process to its ready file, and to the document of a query sent right then.
fn first_event(folder: &Path) -> (Duration, Duration) {
    let output = folder.join("first.json");
    let _ = fs::remove_file(&output);
    let (sensor, ready) = sensor(folder, &output.to_string_lossy(), &[]);
    let start = Instant::now();
    let client = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let query = b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x05host1\x05bench\x04test\0\0\x01\0\x01";
    client.send_to(query, ("127.0.0.1", PORT)).expect("sent");
    while !fs::read_to_string(&output).unwrap_or_default().contains("host1.bench.test") {
        assert!(start.elapsed() < Duration::from_secs(30), "the query is not seen");
        std::thread::sleep(Duration::from_millis(1));
    }
    let first = ready + start.elapsed();
    drop(sensor);
    (ready, first)
}

fn resolver(folder: &Path) -> Running {
    let configuration = folder.join("unbound.conf");
    let text = format!(
        "server:\n interface: 127.0.0.1@{PORT}\n port: {PORT}\n do-daemonize: no\n chroot: \"\"\n username: \"\"\n \
         directory: \"{folder}\"\n pidfile: \"\"\n use-syslog: no\n num-threads: 1\n \
         local-zone: \"bench.test.\" redirect\n local-data: \"bench.test. A 198.18.0.1\"\nremote-control:\n control-enable: no\n",
        folder = folder.display()
    );
    fs::write(&configuration, text).expect("a configuration file");
    let names: Vec<String> = (0..1000).map(|number| format!("host{number}.bench.test A\n")).collect();
    fs::write(folder.join("names"), names.concat()).expect("a file of names");
    let child = Command::new("unbound")
        .arg("-c")
        .arg(configuration)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("unbound is installed (make bench installs it)");
    std::thread::sleep(Duration::from_secs(1));
    Running(child)
}

/// The sensor, ready, and how long that took.
fn sensor(folder: &Path, output: &str, more: &[&str]) -> (Running, Duration) {
    let ready = folder.join("ready");
    let _ = fs::remove_file(&ready);
    let start = Instant::now();
    let child = Command::new(env!("CARGO_BIN_EXE_dnstrail"))
        .args(["run", "--ports", &PORT.to_string(), "--output", &format!("file:{output}"), "--ready-file"])
        .arg(&ready)
        .args(more)
        .spawn()
        .expect("the sensor");
    let child = Running(child);
    while !ready.exists() {
        assert!(start.elapsed() < Duration::from_secs(30), "the sensor is not ready: run this as root");
        std::thread::sleep(Duration::from_millis(1));
    }
    (child, start.elapsed())
}

/// Queries sent, and answered each second.
fn dnsperf(folder: &Path, arguments: &[&str]) -> (f64, f64) {
    let output = Command::new("dnsperf")
        .args(["-s", "127.0.0.1", "-p", &PORT.to_string(), "-d"])
        .arg(folder.join("names"))
        .args(arguments)
        .output()
        .expect("dnsperf is installed (make bench installs it)");
    let figure = |title: &str| {
        BufReader::new(&output.stdout[..])
            .lines()
            .map_while(Result::ok)
            .find_map(|line| line.trim().strip_prefix(title)?.split_whitespace().next()?.parse().ok())
            .unwrap_or_else(|| panic!("dnsperf prints {title}"))
    };
    (figure("Queries sent:"), figure("Queries per second:"))
}

fn other_traffic() {
    let receiver = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let sender = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    sender.connect(receiver.local_addr().expect("an address")).expect("a connection");
    let mut bytes = [0; 64];
    for _ in 0..OTHER_PACKETS {
        sender.send(&bytes).expect("sent");
        receiver.recv(&mut bytes).expect("received");
    }
}

/// User and system time of a process (`proc_pid_stat(5)`, fields 14 and 15, in clock ticks of 10 ms).
fn cpu(pid: u32) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("the process runs");
    let fields: Vec<_> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks: u64 = fields[11..13].iter().filter_map(|field| field.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 10)
}

/// Time of its first thread on a processor, to the nanosecond (`/proc/PID/schedstat`).
fn time_on_cpu(pid: u32) -> Duration {
    let text = fs::read_to_string(format!("/proc/{pid}/schedstat")).expect("the process runs");
    Duration::from_nanos(text.split_whitespace().next().and_then(|number| number.parse().ok()).unwrap_or_default())
}

/// Nanoseconds that the kernel counts for a run of a program that does nothing: what counting costs.
fn empty_run() -> f64 {
    let open = || {
        let mut object = ObjectBuilder::default().open_memory(TRIAL)?;
        for mut program in object.progs_mut() {
            let is_wanted = program.name() == "typed";
            program.set_autoload(is_wanted);
        }
        object.load()
    };
    let Ok(object) = open() else { return 0.0 };
    let mut programs = object.progs_mut();
    let (Some(program), Some(root)) = (programs.find(|program| program.name() == "typed"), cgroup_root()) else {
        return 0.0;
    };
    let Ok(_link) = program.attach_cgroup(root.as_raw_fd()) else { return 0.0 };
    let before = program_costs();
    other_traffic();
    let (time, runs) = program_costs().iter().find(|(name, ..)| name == "typed").map_or((0.0, 1.0), |found| {
        let earlier = before.iter().find(|(name, ..)| name == "typed").map_or((0.0, 0.0), |found| (found.1, found.2));
        (found.1 - earlier.0, found.2 - earlier.1)
    });
    time / runs.max(1.0)
}

fn cgroup_root() -> Option<fs::File> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
    let line = mounts.lines().find(|line| line.contains(" - cgroup2 "))?;
    fs::File::open(line.split_whitespace().nth(4)?).ok()
}

/// Resident memory, all of it and the part that is neither the ring nor the program's file, in MiB. The ring
/// is mapped twice in a row, and counts twice.
fn show_memory(pid: u32) {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("the process runs");
    for (title, field) in [("resident", "VmRSS:"), ("of it its own", "RssAnon:")] {
        let kibibytes =
            status.lines().find_map(|line| line.strip_prefix(field)?.split_whitespace().next()?.parse().ok());
        println!("  {title:<20} {:>10.1} MiB", kibibytes.unwrap_or(f64::NAN) / 1024.0);
    }
}

/// Name, nanoseconds and runs of each of our programs that is attached.
fn program_costs() -> Vec<(String, f64, f64)> {
    libbpf_rs::query::ProgInfoIter::default()
        .map(|program| {
            (program.name.to_string_lossy().into_owned(), program.run_time_ns as f64, program.run_cnt as f64)
        })
        .collect()
}

/// Prints the cost of each program and of all; the latter also without the time that counting itself takes.
fn show_programs(before: &[(String, f64, f64)], unit: &str, scale: f64, messages: f64) {
    let empty = empty_run();
    let (mut sum, mut all_runs) = (0.0, 0.0);
    for (name, time, runs) in program_costs() {
        let earlier =
            before.iter().find(|(other, ..)| *other == name).map_or((0.0, 0.0), |(_, time, runs)| (*time, *runs));
        let (time, runs) = (time - earlier.0, runs - earlier.1);
        sum += time;
        all_runs += runs;
        if runs > messages / 10.0 {
            println!("  {name:<20} {:>10.0} ns a run, {runs:.0} runs", time / runs);
        }
    }
    println!("  an empty program     {empty:>10.0} ns a run, by the same counting");
    println!(
        "  all probes           {:>10.2} {unit} each, {:.2} without the counting",
        sum / scale / messages,
        (sum - all_runs * empty) / scale / messages
    );
}
