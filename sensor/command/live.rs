//! `dnstrail run`: one loop from the kernel's ring to the outputs, until a signal, the given time, or
//! a reader that went away ends it.

use std::fs;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow};
use nix::time::{ClockId, clock_gettime};

use super::chain::Chain;
use super::exposition::{self, Exposition};
use super::heartbeat::Heartbeat;
use super::parts::{Needs, Parts, confine};
use super::rulebook::{self, Rulebook};
use super::service::Service;
use super::signals::Signals;
use super::{Failure, replay};
use crate::cli::{self, config};
use crate::event::{Command, Event};
use crate::host::Host;
use crate::journal::{Report, WayIn};
use crate::metrics::Metrics;
use crate::observe::Observe;
use crate::pipeline::Pipeline;
use crate::probe::{self, Probes, Sight};
use crate::sighting::{self, Name};
use crate::sink::{Target, WhenFull};
use crate::walls::Standing;

/// How long the ring is still emptied after the end was asked for.
const DRAIN: Duration = Duration::from_secs(5);

/// Nanoseconds between two publications of sizes for `--metrics`.
const PUBLISH: u64 = 1_000_000_000;

/// # Errors
/// What this host lacks, or what of the settings cannot be used.
pub fn run(settings: &config::Run) -> Result<(), Failure> {
    if let Some(path) = &settings.ready_file {
        // The file of an earlier run would say that this run is ready.
        let _ = fs::remove_file(path);
    }
    let signals = Signals::block().context("signals cannot be taken")?;
    let Confined { host, targets, listener, mut service, parts, standing } = Confined::new(settings)?;
    let metrics = Arc::new(Metrics::new(settings.common.memory));
    let (mut rulebook, load) = Rulebook::open(&settings.common.rules, || signals.is_ending())?;
    let mut outputs = replay::open_outputs(targets, WhenFull::Drop, &signals, &metrics)?;
    let names: Vec<_> = outputs.tallies().map(|(name, ..)| name.to_owned()).collect();
    let exposition = Exposition::new(Arc::clone(&metrics), names.iter().map(String::as_str));
    let mut shown = Shown::new(exposition, listener, settings.ring_bytes)?;
    let boot_clock = host.clock.clone();
    let pipeline = Pipeline::new(&pipeline_settings(settings), host.clone(), rulebook.current(), Arc::clone(&metrics));
    let mut chain = Chain::new(pipeline, outputs, &host, Arc::clone(&metrics));
    let mut probes = Probes::over(parts.kernel(), &probe_settings(settings))?;
    follow_connections(settings, &rulebook, &mut probes);

    let ways_in: Vec<_> = probes.ways_in().iter().map(way_in).collect();
    chain.report(
        now(),
        Report::Start { ways_in: &ways_in, command_line: &cli::command_line(), walls: &standing.each() },
    );
    rulebook::report(now(), &load, &mut chain);
    chain.flush();
    // The processes that run already are read at once: some may end soon.
    drain(&mut probes, &mut chain, &metrics);
    if let Err(error) = rulebook.watch(load) {
        eprintln!("dnstrail: {error:#}");
    }
    if let Some(path) = &settings.ready_file {
        fs::write(path, format!("{}\n", std::process::id()))
            .with_context(|| format!("{}: the ready file cannot be written", path.display()))?;
    }

    service.ready();

    let end = settings.duration.and_then(end_of);
    let mut heartbeat = Heartbeat::new(settings.heartbeat, ways_in);
    let reason = loop {
        // All that happened before this moment is handed out when `drain` finds no more.
        let before = now();
        boot_clock.renew();
        let more = drain(&mut probes, &mut chain, &metrics);
        if !more {
            chain.tick(before);
            for command in chain.pipeline().take_commands() {
                probes.apply(&command);
            }
        }
        report_sight(&mut probes, &mut chain, &metrics, before);
        // Losses are counted and outputs tended also while the ring is never empty.
        count_losses(&mut probes, &mut chain, &metrics);
        chain.tend(before);
        rulebook.turn(before, &mut chain);
        follow_connections(settings, &rulebook, &mut probes);
        shown.publish(before, &mut probes, &mut chain, &rulebook);
        heartbeat.turn(before, &mut chain, &rulebook, &metrics);
        service.turn(rulebook.is_renewing());
        if signals.take_renewal() {
            service.reloading();
            chain.reopen();
            rulebook.renew();
        }
        if signals.is_ending() {
            break "a signal";
        }
        if end.is_some_and(|end| end <= Instant::now()) {
            break "the end of --duration";
        }
        if chain.is_over() {
            break "the reader of the output went away";
        }
        if parts.ended().is_some() || probes.is_lost() {
            break "the end of a part";
        }
        if !more {
            let others: Vec<_> =
                signals.descriptors().into_iter().chain(rulebook.descriptors()).chain(parts.descriptors()).collect();
            let until_end = end.map(|end| end.saturating_duration_since(Instant::now()));
            let until_next = [until_end, heartbeat.timeout()];
            probes.wait(&others, until_next.into_iter().flatten().min());
        }
    };

    service.stopping();
    probes.detach();
    let patience = Instant::now() + DRAIN;
    let mut is_over = false;
    while probes.drain(&metrics, &mut |event, _| {
        // The sensor must end: records that are left in the ring are only counted.
        if is_over {
            metrics.losses.packet_abandoned.add(u64::from(matches!(event, Event::Packet(_))));
        } else {
            chain.push(event);
        }
    }) {
        is_over = Instant::now() >= patience;
    }
    count_losses(&mut probes, &mut chain, &metrics);
    let lost = chain.finish(now(), Some(reason));
    if let Some(name) = parts.ended() {
        return Err(anyhow!("its part {name} has ended, and without it nothing is seen: start dnstrail again").into());
    }
    super::all_arrived(lost)
}

/// Everything that is made before this process gives its privileges up, and the walls that stand then.
struct Confined {
    host: Host,
    targets: Vec<Target>,
    listener: Option<TcpListener>,
    service: Service,
    parts: Parts,
    standing: Standing,
}

impl Confined {
    fn new(settings: &config::Run) -> Result<Self, Failure> {
        let mut host = Host::read("/".as_ref());
        let targets = replay::targets(&settings.common.outputs)?;
        let listener = settings.metrics.map(exposition::listen).transpose()?;
        let service = Service::of_environment();
        let parts = Parts::start(&probe_settings(settings), &mut host)?;
        let standing = confine(&Needs {
            outputs: &targets,
            rules: &settings.common.rules,
            files: &[],
            ready_file: settings.ready_file.as_deref(),
        })?;
        Ok(Self { host, targets, listener, service, parts, standing })
    }
}

/// Takes the losses of the kernel side, and the processes to which they are due.
fn count_losses(probes: &mut Probes, chain: &mut Chain, metrics: &Metrics) {
    probes.count_losses(metrics);
    for (process, count) in probes.take_sampled(metrics) {
        chain.pipeline().blame("kernel_packet_budget", process, count);
    }
}

/// Reports what the kernel side no longer sees, or that it sees everything again.
fn report_sight(probes: &mut Probes, chain: &mut Chain, metrics: &Metrics, now: u64) {
    for sight in probes.check() {
        let (lost, attached_again) = match &sight {
            Sight::Lost { what, attached_again } => (Some(what.as_str()), *attached_again),
            Sight::Back => (None, false),
        };
        metrics.levels.blind.set(lost.is_some().into());
        if let Some(lost) = lost {
            eprintln!("dnstrail: the kernel side lost sight: {lost}");
        }
        chain.report(now, Report::Sight { lost, attached_again });
    }
}

/// Gives events to the pipeline, and its commands to the kernel side. True: there may be more events.
fn drain(probes: &mut Probes, chain: &mut Chain, metrics: &Metrics) -> bool {
    probes.drain(metrics, &mut |event, commands| {
        chain.push(event);
        commands.extend(chain.pipeline().take_commands());
    })
}

/// Connections are followed where they are watched, once there are lists. A sensor of servers alone records no
/// client.
fn follow_connections(settings: &config::Run, rulebook: &Rulebook, probes: &mut Probes) {
    let watched = settings.common.watch.contains(Name::Connection) && settings.observe != Observe::Servers;
    if watched && !rulebook.current().is_empty() {
        probes.apply(&Command::FollowConnections);
    }
}

/// The counts that `--metrics` serves, if it is given.
struct Shown {
    exposition: Option<Arc<Exposition>>,
    published: u64,
}

impl Shown {
    fn new(exposition: Exposition, listener: Option<TcpListener>, ring_bytes: u32) -> Result<Self, Failure> {
        let Some(listener) = listener else { return Ok(Self { exposition: None, published: 0 }) };
        let exposition = Arc::new(exposition);
        exposition.levels.ring_size.set(ring_bytes.into());
        exposition::serve(listener, Arc::clone(&exposition)).context("--metrics has no thread")?;
        Ok(Self { exposition: Some(exposition), published: 0 })
    }

    fn publish(&mut self, now: u64, probes: &mut Probes, chain: &mut Chain, rulebook: &Rulebook) {
        let Some(exposition) = self.exposition.as_ref().filter(|_| self.published.abs_diff(now) >= PUBLISH) else {
            return;
        };
        self.published = now;
        let levels = &exposition.levels;
        levels.ring_fill.set(probes.take_fill());
        levels.ring_fill_peak.set(levels.ring_fill_peak.get().max(levels.ring_fill.get()));
        chain.publish();
        rulebook.publish(levels);
        exposition.set_outputs(chain.outputs().tallies());
    }
}

fn pipeline_settings(settings: &config::Run) -> sighting::Settings {
    sighting::Settings {
        watch: settings.common.watch,
        ports: settings.common.ports.clone(),
        observe: settings.observe,
        timeout: nanoseconds(settings.common.timeout),
        alert_window: nanoseconds(settings.alert_window),
    }
}

fn probe_settings(settings: &config::Run) -> probe::Settings {
    probe::Settings {
        programs: settings.common.watch.programs(),
        ports: settings.common.ports.clone(),
        observe: settings.observe,
        hooks: settings.hooks,
        ring_bytes: settings.ring_bytes,
    }
}

fn way_in(way: &probe::WayIn) -> WayIn {
    WayIn {
        role: way.role,
        taken: (!way.taken.is_empty()).then(|| way.taken.join(", ")),
        refused: way.refused.iter().map(|refusal| (refusal.hook().to_owned(), refusal.shown())).collect(),
        not_seen: way.not_seen.map(str::to_owned),
    }
}

fn now() -> u64 {
    clock_gettime(ClockId::CLOCK_REALTIME).map_or(0, |time| nanoseconds(Duration::from(time)))
}

/// The end of a run that began now; none where it lies past the clock's last instant.
fn end_of(duration: Duration) -> Option<Instant> {
    Instant::now().checked_add(duration)
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_past_the_clock_has_no_end() {
        assert_eq!(end_of(Duration::from_secs(u64::MAX)), None);
        assert!(end_of(Duration::from_secs(1)).is_some_and(|end| end > Instant::now()));
    }
}
