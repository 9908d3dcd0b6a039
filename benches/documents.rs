//! The cost of writing a document: nanoseconds each, into a reused buffer.

use std::hint::black_box;
use std::time::Duration;

use dnstrail::journal::{Body, Document};
use dnstrail::schema::{Agent, Schema, Writer};
use dnstrail::sighting::dns::{self, Occurrence};
use nix::time::{ClockId, clock_gettime};

#[expect(dead_code, reason = "the tests use all of it")]
#[path = "../tests/support/samples.rs"]
mod samples;

const ROUNDS: u64 = 200_000;

/// Repeats of each; the fastest counts, as the others were disturbed.
const REPEATS: usize = 5;

pub fn run() {
    let (query, answer) = (samples::query(), samples::answer());
    let (actor, matches) = (samples::actor(samples::process()), samples::matches());
    let asked = || samples::asked(&query, &actor);
    let query_time = samples::TIME - 5_000_000_000;
    for schema in [Schema::Ecs, Schema::SplunkCim, Schema::Ocsf] {
        let measure = |name, lookup| measure(schema, name, lookup);
        measure("query", asked());
        measure("answer, CNAME + 4 A", samples::answered(&answer, &actor));
        measure("alert", dns::Document { matches: &matches, alert: true, ..asked() });
        measure("timeout", dns::Document { occurrence: Occurrence::Timeout { query_time }, ..asked() });
    }
}

fn measure(schema: Schema, name: &str, lookup: dns::Document) {
    let mut writer = Writer::new(schema, &samples::host(), &Agent::new(&samples::host(), "1795230630"));
    let mut document = Document { time: samples::TIME, sequence: 0, body: Body::Dns(lookup) };
    let mut line = Vec::new();
    let mut each = [0; REPEATS];
    for nanoseconds in &mut each {
        let start = processor_time();
        for _ in 0..ROUNDS {
            document.sequence += 1;
            document.time += 1_001;
            line.clear();
            black_box(&document).write(&mut writer, &mut line);
            black_box(&line);
        }
        *nanoseconds = (processor_time() - start).as_nanos() / u128::from(ROUNDS);
    }
    let name = format!("document: {schema:?} {name}");
    println!("{name:<44} {:>6} ns {:>6} bytes", each.into_iter().min().unwrap_or(0), line.len());
}

/// The processor time of this thread. Other work on the machine disturbs it less than it disturbs the clock.
fn processor_time() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).expect("the clock of this thread").into()
}
