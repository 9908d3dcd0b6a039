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
        let measure = |name, lookup| measure(schema, name, [lookup]);
        let answered = || samples::answered(&answer, &actor);
        measure("query", asked());
        measure("answer, CNAME + 4 A", answered());
        measure("alert", dns::Document { matches: &matches, alert: true, ..asked() });
        measure("timeout", dns::Document { occurrence: Occurrence::Timeout { query_time }, ..asked() });
        self::measure(schema, "a query and its answer", [asked(), answered()]);
    }
}

fn measure<const COUNT: usize>(schema: Schema, name: &str, lookups: [dns::Document; COUNT]) {
    let mut writer = Writer::new(schema, &samples::host(), &Agent::new(&samples::host(), "1795230630"));
    let mut documents = lookups.map(|lookup| Document { time: samples::TIME, sequence: 0, body: Body::Dns(lookup) });
    let mut line = Vec::new();
    let mut each = [0; REPEATS];
    for nanoseconds in &mut each {
        let start = processor_time();
        for round in 0..ROUNDS {
            for document in &mut documents {
                document.sequence += 1;
                document.time += 1_001;
                move_client(document, round);
                line.clear();
                black_box(&*document).write(&mut writer, &mut line);
                black_box(&line);
            }
        }
        *nanoseconds = (processor_time() - start).as_nanos() / u128::from(ROUNDS);
    }
    let name = format!("document: {schema:?} {name}");
    println!("{name:<44} {:>6} ns {:>6} bytes", each.into_iter().min().unwrap_or(0), line.len());
}

/// Gives the client another port in each round, as each lookup has one of its own.
fn move_client(document: &mut Document<'_>, round: u64) {
    let Body::Dns(lookup) = &mut document.body else { return };
    let client = if lookup.source_is_client { &mut lookup.source } else { &mut lookup.destination };
    client.set_port(32_768 + (round % 28_000) as u16);
}

/// The processor time of this thread. Other work on the machine disturbs it less than it disturbs the clock.
fn processor_time() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).expect("the clock of this thread").into()
}
