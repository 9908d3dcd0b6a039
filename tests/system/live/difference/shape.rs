//! How queries leave a program: sockets, options, pieces, and the tasks that write them. A shape is a line for
//! `clients/shape.c`, decided by a seed and a number.

use std::fmt::Write;
use std::ops::Range;

use super::message::Query;
use super::random::Random;

/// One shape, and what is known of it.
pub struct Shape {
    pub index: u64,
    /// For the client, without a line feed.
    pub line: String,
    /// The queries that the shape sends: their tokens, and where each stands in its bytes.
    pub queries: Vec<(String, Range<usize>)>,
    /// The special features of the shape, for people.
    pub features: Vec<&'static str>,
}

/// A server that shapes are sent to.
#[derive(Debug, Clone, Copy)]
pub struct Server {
    pub v4: &'static str,
    pub v6: &'static str,
}

/// Ports that are of DNS themselves, and one that is of none.
const SOURCE_PORTS: [u16; 4] = [53, 5353, 5355, 1053];

/// Datagrams in one UDP_SEGMENT send: most systems allow so many (`UDP_MAX_SEGMENTS`), and they fit 64 KiB.
const SEGMENTS: usize = 40;

struct Builder<'r> {
    random: &'r mut Random,
    steps: String,
    features: Vec<&'static str>,
    /// Another task may take over; once is enough.
    handed_over: bool,
    six: bool,
}

impl Shape {
    pub fn new(seed: u64, index: u64, servers: &[Server]) -> Self {
        let mut random = Random::of(seed, index);
        let server = random.pick(servers);
        let six = random.one_in(3);
        let mut builder =
            Builder { random: &mut random, steps: String::new(), features: Vec::new(), handed_over: false, six };
        builder.ends(server, index);
        let queries = if builder.random.one_in(2) { builder.datagrams(index) } else { builder.stream(index) };
        let Builder { steps, features, .. } = builder;
        Self { index, line: format!("{index}{steps}"), queries, features }
    }
}

impl Shape {
    /// Whether one of these is special about it.
    pub fn is(&self, features: &[&str]) -> bool {
        self.features.iter().any(|feature| features.contains(feature))
    }
}

impl Builder<'_> {
    fn step(&mut self, step: impl AsRef<str>) {
        self.steps.push(' ');
        self.steps.push_str(step.as_ref());
    }

    fn feature(&mut self, feature: &'static str) {
        self.features.push(feature);
    }

    /// Each shape has an address of its own, so that no port is taken.
    fn ends(&mut self, server: Server, index: u64) {
        let [.., high, low] = index.to_be_bytes();
        let (to, from) = if self.six {
            self.feature("v6");
            (server.v6, format!("fd54::1:{:x}", index & 0xffff))
        } else {
            (server.v4, format!("10.54.{high}.{low}"))
        };
        let port = if self.random.one_in(6) { self.random.pick(&SOURCE_PORTS) } else { 0 };
        if port != 0 {
            self.feature(match port {
                53 => "from port 53",
                5353 | 5355 => "from port 5353 or 5355",
                _ => "from a low port",
            });
        }
        self.step(format!("to={to} from={from} sport={port}"));
        if !self.six && self.random.one_in(12) {
            self.feature("mapped");
            self.step("mapped");
        }
    }

    fn query(&mut self, index: u64, number: usize) -> Query {
        Query::random(self.random, token(index, number))
    }

    fn bytes(&mut self, bytes: &[u8]) {
        let hex = bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut hex, byte| {
            write!(hex, "{byte:02x}").expect("a string grows");
            hex
        });
        self.step(format!("bytes={hex}"));
    }

    fn write(&mut self, range: Range<usize>, flags: &str, how: char) {
        self.step(format!("w={}:{}:{flags}:{how}", range.start, range.len()));
    }

    /// Now and then another task goes on with what is left.
    fn hand_over(&mut self, times: usize) {
        if self.handed_over || !self.random.one_in(times) {
            return;
        }
        self.handed_over = true;
        match self.random.below(5) {
            0 => {
                self.feature("thread");
                self.step("thread");
            }
            1 => {
                self.feature("pass");
                self.step("pass");
            }
            2 => {
                self.feature("fork, exec");
                self.step("fork exec");
            }
            3 => {
                self.feature("fork, fork");
                self.step("fork fork");
            }
            _ => {
                self.feature("fork");
                self.step("fork");
            }
        }
    }

    fn ip_options(&mut self) {
        if !self.random.one_in(8) {
            return;
        }
        self.feature("IP options");
        let option = match (self.six, self.random.one_in(2)) {
            (true, true) => "opt=hops",
            (true, false) => "opt=destination",
            (false, true) => "opt=options",
            (false, false) => "opt=alert",
        };
        self.step(option);
    }

    fn datagrams(&mut self, index: u64) -> Vec<(String, Range<usize>)> {
        self.feature("udp");
        if self.random.one_in(10) {
            return self.segmented(index);
        }
        let count = 1 + if self.random.one_in(4) { self.random.below(4) } else { 0 };
        let (mut bytes, mut queries) = (Vec::new(), Vec::new());
        for number in 0..count {
            let query = self.query(index, number);
            queries.push((query.token, bytes.len()..bytes.len() + query.bytes.len()));
            bytes.extend(query.bytes);
        }
        if queries.iter().any(|(_, range)| range.len() > 1400) {
            self.feature("fragments");
        }
        self.bytes(&bytes);
        self.step("udp");
        self.ip_options();
        if self.random.one_in(16) {
            self.feature("no checksum");
            self.step("opt=nocheck");
        }
        self.hand_over(16);
        let connected = self.random.one_in(2);
        if connected {
            self.step("conn");
        }
        let zero_copy = self.random.one_in(12);
        if zero_copy {
            self.feature("zero-copy");
            self.step("opt=zerocopy");
        }
        for (_, range) in &queries {
            self.hand_over(16);
            self.datagram(range.clone(), connected, zero_copy);
        }
        self.step(format!("read={count}:4"));
        queries
    }

    fn datagram(&mut self, range: Range<usize>, connected: bool, zero_copy: bool) {
        if connected && range.len() > 30 && self.random.one_in(8) {
            // Several writes are one datagram.
            let cork = self.random.one_in(2);
            self.feature(if cork { "UDP_CORK" } else { "MSG_MORE" });
            if cork {
                self.step("opt=cork");
            }
            let cut = range.start + 1 + self.random.below(range.len() - 1);
            self.write(range.start..cut, if cork { "-" } else { "m" }, 's');
            self.hand_over(8);
            self.write(cut..range.end, "-", 's');
            if cork {
                self.step("uncork");
            }
            return;
        }
        let flags = if zero_copy { "z" } else { "-" };
        let how = if connected { self.random.pick(&['s', 'w', 'v', 'm', 'M', 't', 'p', 'f']) } else { 't' };
        if matches!(how, 'p' | 'f') {
            self.feature("splice or sendfile");
        }
        self.write(range, flags, how);
    }

    /// Several datagrams in one send (UDP_SEGMENT).
    fn segmented(&mut self, index: u64) -> Vec<(String, Range<usize>)> {
        self.feature("UDP_SEGMENT");
        let count = 2 + self.random.below(SEGMENTS - 2);
        let length = 100 + self.random.below(200);
        let (mut bytes, mut queries) = (Vec::new(), Vec::new());
        for number in 0..count {
            let query = Query::padded(self.random, token(index, number), length);
            queries.push((query.token, bytes.len()..bytes.len() + length));
            bytes.extend(query.bytes);
        }
        self.bytes(&bytes);
        self.step(format!("udp opt=segment:{length} conn"));
        self.hand_over(8);
        self.write(0..bytes.len(), "-", 's');
        self.step(format!("read={count}:4"));
        queries
    }

    fn stream(&mut self, index: u64) -> Vec<(String, Range<usize>)> {
        self.feature("tcp");
        let count = 1 + if self.random.one_in(2) { self.random.below(5) } else { 0 };
        let (mut bytes, mut queries) = (Vec::new(), Vec::new());
        let mut urgent = Vec::new();
        let with_urgent = self.random.one_in(10);
        for number in 0..count {
            let query = self.query(index, number);
            let begin = bytes.len();
            let mut framed = u16::try_from(query.bytes.len()).expect("a short message").to_be_bytes().to_vec();
            framed.extend(query.bytes);
            if with_urgent && urgent.len() < 2 && self.random.one_in(2) {
                // A byte that no receiver finds in its stream, before the query or inside it.
                let place = self.random.below(framed.len());
                framed.insert(place, self.random.byte());
                urgent.push(begin + place);
            }
            bytes.extend(&framed);
            queries.push((query.token, begin..bytes.len()));
        }
        if !urgent.is_empty() {
            self.feature(if urgent.len() == 1 { "urgent byte" } else { "urgent bytes" });
        }
        self.bytes(&bytes);
        self.step("tcp");
        self.ip_options();
        if self.random.one_in(10) {
            self.feature("small segments");
            let size = 88 + self.random.below(200);
            self.step(format!("opt=mss:{size}"));
        }
        let corked = self.random.one_in(6);
        if corked {
            self.feature("TCP_CORK");
            self.step("opt=cork");
        } else if self.random.one_in(2) {
            self.step("opt=nodelay");
        }
        if self.random.one_in(12) {
            self.feature("zero-copy");
            self.step("opt=zerocopy");
        }
        self.hand_over(16);
        let fast_open = self.random.one_in(16);
        let deferred = fast_open && self.random.one_in(2);
        if fast_open {
            self.feature("fast open");
        }
        if deferred {
            self.step("opt=defer conn");
        } else if !fast_open {
            self.step("conn");
        }
        self.pieces(bytes.len(), &urgent, fast_open && !deferred);
        self.stream_end(corked, count);
        queries
    }

    /// The bytes of a stream in writes of any length.
    fn pieces(&mut self, length: usize, urgent: &[usize], fast_open: bool) {
        let mut cuts: Vec<usize> = match self.random.below(6) {
            0 => (0..self.random.below(6)).map(|_| self.random.below(length)).collect(),
            1 => vec![1, 2, 3],
            2 => vec![2],
            _ => Vec::new(),
        };
        // The last byte of an urgent write is the urgent one.
        cuts.extend(urgent.iter().flat_map(|place| [*place + 1]));
        if urgent.len() == 2 || self.random.one_in(2) {
            cuts.extend(urgent);
        }
        cuts.extend([0, length]);
        cuts.sort_unstable();
        cuts.dedup();
        let waits = self.random.one_in(3);
        for (number, pair) in cuts.windows(2).enumerate() {
            if number > 0 {
                self.hand_over(6);
            }
            let is_urgent = urgent.iter().any(|place| place + 1 == pair[1]);
            let (flags, how) = if is_urgent {
                ("o", self.random.pick(&['s', 'm']))
            } else if number == 0 && fast_open {
                ("f", 't')
            } else {
                (self.random.pick(&["-", "-", "-", "m", "z", "e"]), self.random.pick(&['s', 'w', 'v', 'm', 'p', 'f']))
            };
            if flags == "m" && how != 'w' {
                self.feature("MSG_MORE");
            }
            if matches!(how, 'p' | 'f') {
                self.feature("splice or sendfile");
            }
            self.write(pair[0]..pair[1], flags, how);
            if waits {
                let pause = self.random.below(3000);
                self.step(format!("us={pause}"));
            }
        }
    }

    fn stream_end(&mut self, corked: bool, count: usize) {
        match self.random.below(8) {
            0 => {
                self.feature("shutdown");
                self.step("shut");
            }
            1 if self.handed_over && !self.features.contains(&"thread") => {
                self.feature("kill");
                self.step("kill");
                return;
            }
            _ if corked => {
                self.hand_over(3);
                self.step("uncork");
            }
            _ => {}
        }
        self.step(format!("read={count}:5"));
    }
}

/// The label that names one query: letters and digits that survive every server's log.
fn token(index: u64, number: usize) -> String {
    format!("x{index:x}k{number:x}z")
}
