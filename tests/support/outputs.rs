//! A set of outputs under test, and the numbered lines that are written to it.

use std::net::{TcpListener, UdpSocket};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dnstrail::metrics::Metrics;
use dnstrail::sink::{Format, Kind, Line, Outputs, Stopping, WhenFull};

/// Every step here takes less on a busy machine, unless it hangs.
const PATIENCE: Duration = Duration::from_mins(1);

/// A set of outputs with its counts.
pub struct Bench {
    pub outputs: Outputs,
    pub metrics: Arc<Metrics>,
}

impl Bench {
    pub fn open(outs: &[&str]) -> Self {
        Self::try_open(outs, WhenFull::Drop).expect("open")
    }

    pub fn try_open(outs: &[&str], when_full: WhenFull) -> Result<Self, String> {
        let metrics = Arc::new(Metrics::default());
        let targets = outs.iter().map(|out| out.parse().expect("a good OUT")).collect();
        let never: Stopping = Arc::new(|| false);
        let outputs =
            Outputs::open(targets, when_full, &never, Arc::clone(&metrics)).map_err(|error| error.to_string())?;
        Ok(Bench { outputs, metrics })
    }

    pub fn write(&mut self, text: &str) {
        self.write_as(text, Kind::Event);
    }

    pub fn write_as(&mut self, text: &str, kind: Kind) {
        let line =
            Line { bytes: text.as_bytes(), format: Format::Ecs, kind, severity: None, time: 1_762_150_272_345_678_901 };
        self.outputs.write(&line);
    }

    pub fn flush(&mut self) {
        self.outputs.flush();
        self.outputs.tick(Instant::now());
    }

    /// Flushes, and waits until every output has delivered its lines.
    pub fn deliver(&mut self) {
        self.outputs.flush();
        self.outputs.drain(PATIENCE);
    }

    /// Ticks until a condition holds.
    pub fn tick_until(&mut self, what: &str, mut holds: impl FnMut(&mut Self) -> bool) {
        wait_until(what, || {
            self.outputs.tick(Instant::now());
            holds(self)
        });
    }

    pub fn dropped(&self) -> u64 {
        self.metrics.losses.output_dropped.get()
    }

    pub fn uncertain(&self) -> u64 {
        self.metrics.losses.output_uncertain.get()
    }

    pub fn resent(&mut self) -> u64 {
        self.outputs.tallies().map(|(_, tally, _)| tally.resent).sum()
    }

    pub fn is_failing(&mut self) -> bool {
        self.outputs.tallies().any(|(_, _, failing)| failing)
    }
}

pub fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < end, "in vain: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The line with a number: as long as documents are, every thousandth long, with characters that JSON
/// escapes and others that it need not.
pub fn line(number: u64) -> String {
    let filler = if number % 1000 == 999 { 6000 } else { 40 + (number * 7 % 200) as usize };
    let filler: String = "0123456789abcdef".chars().cycle().take(filler).collect();
    format!("{{\"sequence\":{number},\"name\":\"ex\\\\032ample.\\\"q\\\".é🦀.test\",\"filler\":\"{filler}\"}}\n")
}

pub fn number_of(line: &str) -> Option<u64> {
    let rest = line.strip_prefix("{\"sequence\":")?;
    rest.split(',').next()?.parse().ok()
}

pub fn count_lines(path: &Path) -> u64 {
    std::fs::read(path).map_or(0, |bytes| bytes.split(|&byte| byte == b'\n').skip(1).count() as u64)
}

/// A port that is free for TCP and UDP.
pub fn free_port() -> u16 {
    loop {
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = tcp.local_addr().unwrap().port();
        if UdpSocket::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}
