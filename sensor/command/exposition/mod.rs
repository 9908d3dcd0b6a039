//! `--metrics`: every count of the sensor in the text format of Prometheus (version 0.0.4). The counts are
//! kept by `metrics` and the tables; connections of scrapers are left to `server`.

mod server;

use std::fmt::{self, Write};
use std::fs;
use std::sync::Arc;

use nix::unistd::{SysconfVar, sysconf};

use crate::metrics::{Count, Metrics, Table};
use crate::sink::Tally;
pub use server::{listen, serve};

/// Everything that a scraper gets: counts that the loop keeps anyway, and levels that it publishes as it
/// ticks, so that a scraper never touches the loop.
#[derive(Debug)]
pub struct Exposition {
    metrics: Arc<Metrics>,
    pub levels: Levels,
    outputs: Vec<Output>,
}

/// Sizes at this moment.
#[derive(Debug, Default)]
pub struct Levels {
    /// Bytes of the ring.
    pub ring_size: Count,
    /// Most bytes that waited in the ring within the last second.
    pub ring_fill: Count,
    /// Most bytes that ever waited in the ring.
    pub ring_fill_peak: Count,
    pub rules_lists: Count,
    pub rules_lists_failing: Count,
    pub rules_names: Count,
    pub rules_addresses: Count,
}

/// One output, known by its name and its place among the outputs: two may have one name.
#[derive(Debug)]
struct Output {
    name: String,
    lines: Count,
    dropped: Count,
    uncertain: Count,
    resent: Count,
    failing: Count,
}

/// Name, help, type, and the series: labels and value.
type Family<'a> = (&'a str, &'a str, &'a str, &'a [(&'a str, u64)]);

impl Exposition {
    pub fn new<'a>(metrics: Arc<Metrics>, outputs: impl Iterator<Item = &'a str>) -> Self {
        let output = |name: &str| Output {
            name: name.to_owned(),
            lines: Count::default(),
            dropped: Count::default(),
            uncertain: Count::default(),
            resent: Count::default(),
            failing: Count::default(),
        };
        Self { metrics, levels: Levels::default(), outputs: outputs.map(output).collect() }
    }

    /// Publishes the counts of the outputs, in the order in which the outputs were named.
    pub fn set_outputs<'a>(&self, tallies: impl Iterator<Item = (&'a str, Tally, bool)>) {
        for (output, (_, tally, failing)) in self.outputs.iter().zip(tallies) {
            output.lines.set(tally.lines);
            output.dropped.set(tally.dropped);
            output.uncertain.set(tally.uncertain);
            output.resent.set(tally.resent);
            output.failing.set(failing.into());
        }
    }

    /// The whole answer.
    pub fn text(&self) -> String {
        let mut text = String::with_capacity(8 << 10);
        // Writing to a String does not fail.
        let _ = self.write(&mut text);
        text
    }

    fn write(&self, out: &mut String) -> fmt::Result {
        let version = concat!("version=\"", env!("CARGO_PKG_VERSION"), "\"");
        family(out, ("dnstrail_build_info", "The version of the sensor.", "gauge", &[(version, 1)]))?;
        for (name, help, value) in self.metrics.traffic.each() {
            family(out, (&format!("dnstrail_{name}_total"), help, "counter", &[("", value)]))?;
        }
        self.losses(out)?;
        self.memory(out)?;
        let (levels, tables) = (&self.levels, &self.metrics.levels);
        for (name, help, count) in [
            ("ring_size_bytes", "Bytes of the ring between kernel and sensor.", &levels.ring_size),
            ("ring_fill_bytes", "Most bytes that waited in the ring within the last second.", &levels.ring_fill),
            ("ring_fill_peak_bytes", "Most bytes that ever waited in the ring.", &levels.ring_fill_peak),
            (
                "image_cache_bytes",
                "Bytes of the fields of process images that are kept as lines have them.",
                &tables.image_cache_bytes,
            ),
            ("rules_lists", "Lists of rules.", &levels.rules_lists),
            ("rules_lists_failing", "Lists that could not be read at the last load.", &levels.rules_lists_failing),
            ("rules_names", "Names in force, of all lists.", &levels.rules_names),
            ("rules_addresses", "Addresses and networks in force, of all lists.", &levels.rules_addresses),
        ] {
            family(out, (&format!("dnstrail_{name}"), help, "gauge", &[("", count.get())]))?;
        }
        family(
            out,
            (
                "dnstrail_processes",
                "Process images in memory, by the state of their process; the retired are gone for a moment.",
                "gauge",
                &[
                    ("state=\"live\"", tables.processes_live.get()),
                    ("state=\"retired\"", tables.processes_retired.get()),
                ],
            ),
        )?;
        family(
            out,
            (
                "dnstrail_transactions",
                "Queries in memory: waiting for an answer, or settled by one a moment ago.",
                "gauge",
                &[
                    ("state=\"waiting\"", tables.transactions_waiting.get()),
                    ("state=\"settled\"", tables.transactions_settled.get()),
                ],
            ),
        )?;
        self.outputs(out)?;
        match resident_bytes() {
            Some(bytes) => family(out, ("process_resident_memory_bytes", "Resident memory.", "gauge", &[("", bytes)])),
            None => Ok(()),
        }
    }

    /// The tables that other programs can fill.
    fn memory(&self, out: &mut String) -> fmt::Result {
        let tables: Vec<_> =
            self.metrics.memory.each().map(|(name, _, table)| (format!("table=\"{name}\""), table)).collect();
        let mut each = |name, help, value: fn(&Table) -> usize| {
            let series: Vec<_> = tables.iter().map(|(labels, table)| (labels.as_str(), value(table) as u64)).collect();
            family(out, (name, help, "gauge", &series))
        };
        each("dnstrail_memory_bytes", "Bytes of each table that other programs can fill.", Table::bytes)?;
        each("dnstrail_memory_bound_bytes", "Most bytes that each of these tables may hold.", Table::bound)
    }

    fn losses(&self, out: &mut String) -> fmt::Result {
        let places: Vec<_> =
            self.metrics.losses.each().map(|(name, _, value)| (format!("place=\"{name}\""), value)).collect();
        let series: Vec<_> = places.iter().map(|(labels, value)| (labels.as_str(), *value)).collect();
        family(
            out,
            (
                "dnstrail_losses_total",
                "Records, messages and lines that were lost or set aside, by place.",
                "counter",
                &series,
            ),
        )
    }

    fn outputs(&self, out: &mut String) -> fmt::Result {
        let labels: Vec<_> = self
            .outputs
            .iter()
            .zip(1..)
            .map(|(output, place)| format!("output=\"{}\",position=\"{place}\"", Escaped(&output.name)))
            .collect();
        let mut each = |name: &str, help: &str, kind: &str, count: fn(&Output) -> &Count| {
            let series: Vec<_> = labels
                .iter()
                .zip(&self.outputs)
                .map(|(labels, output)| (labels.as_str(), count(output).get()))
                .collect();
            family(out, (name, help, kind, &series))
        };
        each("dnstrail_output_lines_total", "Lines given to the output.", "counter", |output| &output.lines)?;
        each("dnstrail_output_dropped_total", "Lines known not to have arrived.", "counter", |output| &output.dropped)?;
        each(
            "dnstrail_output_uncertain_total",
            "Lines that a receiver may not have read, because its connection was reset.",
            "counter",
            |output| &output.uncertain,
        )?;
        each(
            "dnstrail_output_resent_total",
            "Lines that were sent again and may have arrived twice.",
            "counter",
            |output| &output.resent,
        )?;
        each("dnstrail_output_failing", "1 while the output does not work.", "gauge", |output| &output.failing)
    }
}

fn family(out: &mut String, (name, help, kind, series): Family<'_>) -> fmt::Result {
    writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}")?;
    for (labels, value) in series {
        if labels.is_empty() {
            writeln!(out, "{name} {value}")?;
        } else {
            writeln!(out, "{name}{{{labels}}} {value}")?;
        }
    }
    Ok(())
}

/// The value of a label.
struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|letter| match letter {
            '\\' => out.write_str("\\\\"),
            '"' => out.write_str("\\\""),
            '\n' => out.write_str("\\n"),
            letter => out.write_char(letter),
        })
    }
}

/// Field 2 of proc_pid_statm(5), in pages.
pub fn resident_bytes() -> Option<u64> {
    let statm = fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = statm.split(' ').nth(1)?.parse().ok()?;
    let page = sysconf(SysconfVar::PAGE_SIZE).ok()??;
    Some(pages * u64::try_from(page).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_count_has_its_line_and_each_series_is_one() {
        let metrics = Arc::new(Metrics::default());
        metrics.traffic.packets.add(7);
        metrics.losses.output_dropped.add(3);
        let names = ["file:/tmp/a\"b\\c\nd", "syslog:udp://h:1", "syslog:udp://h:1"];
        let exposition = Exposition::new(Arc::clone(&metrics), names.into_iter());
        let tally = |lines| Tally { lines, dropped: 1, ..Tally::default() };
        exposition.set_outputs(
            [(names[0], tally(4), false), (names[1], tally(5), true), (names[2], tally(6), false)].into_iter(),
        );
        exposition.levels.rules_names.set(12);
        let text = exposition.text();
        for line in [
            "# TYPE dnstrail_packets_total counter",
            "dnstrail_packets_total 7",
            "dnstrail_losses_total{place=\"output_dropped\"} 3",
            "dnstrail_rules_names 12",
            "dnstrail_output_lines_total{output=\"file:/tmp/a\\\"b\\\\c\\nd\",position=\"1\"} 4",
            "dnstrail_output_failing{output=\"syslog:udp://h:1\",position=\"2\"} 1",
            "dnstrail_output_failing{output=\"syslog:udp://h:1\",position=\"3\"} 0",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
        let mut series = std::collections::HashSet::new();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let (name, value) = line.rsplit_once(' ').unwrap();
            assert!(series.insert(name), "{name} twice");
            value.parse::<u64>().unwrap();
        }
        assert_eq!(metrics.losses.each().count(), text.matches("\ndnstrail_losses_total{").count());
        assert!(resident_bytes().unwrap() > 1 << 20);
    }
}
