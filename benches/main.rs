//! `cargo bench [-- FILTER]`: what one operation costs, as a table. Only the benches whose name
//! contains FILTER are run. A new subject is a file beside this one, and a line in `main`.
#![allow(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "figures for people")]
#![allow(clippy::unchecked_time_subtraction, reason = "clocks that only go forward")]

mod dns;
mod documents;
mod live;
mod outputs;
mod pipeline;
mod rules;

use std::hint::black_box;
use std::time::{Duration, Instant};

fn main() {
    // The memory of a rule set is measured in a process of its own.
    if rules::child() {
        return;
    }
    let mut bench = Bench::of_arguments();
    dns::bench(&mut bench);
    outputs::bench(&mut bench);
    pipeline::bench(&mut bench);
    if bench.wants("documents") {
        documents::run();
    }
    if bench.wants("live") {
        live::run();
    }
    if bench.wants("rules") {
        rules::run();
    }
}

/// Runs; the median is printed.
const RUNS: usize = 9;

/// Long enough that the clock and a single interrupt do not matter.
const RUN: Duration = Duration::from_millis(40);

pub struct Bench {
    filter: Option<String>,
}

impl Bench {
    fn of_arguments() -> Self {
        // Cargo adds flags of its own (`--bench`).
        let filter = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
        println!("{:<44} {:>12} {:>12} {:>12}", "", "ns/op", "best", "worst");
        Self { filter }
    }

    /// Repeats `operation`, and prints the median, the best and the worst of several runs.
    pub fn measure<T>(&mut self, name: &str, mut operation: impl FnMut() -> T) {
        if !self.wants(name) {
            return;
        }
        // The warm-up, which also finds out how many operations make a run.
        let mut operations = 1_u32;
        while run(operations, &mut operation) < RUN / 2 {
            operations = operations.saturating_mul(2);
        }
        let mut each: Vec<f64> =
            (0..RUNS).map(|_| run(operations, &mut operation).as_secs_f64() * 1e9 / f64::from(operations)).collect();
        each.sort_by(f64::total_cmp);
        println!("{name:<44} {:>12.1} {:>12.1} {:>12.1}", each[RUNS / 2], each[0], each[RUNS - 1]);
    }

    /// For a subject whose preparation is dear.
    #[must_use]
    pub fn wants(&self, name: &str) -> bool {
        self.filter.as_ref().is_none_or(|filter| name.contains(filter))
    }
}

fn run<T>(operations: u32, operation: &mut impl FnMut() -> T) -> Duration {
    let start = Instant::now();
    for _ in 0..operations {
        black_box(operation());
    }
    start.elapsed()
}
