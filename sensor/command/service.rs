//! Messages to a service manager by the protocol of sd_notify(3): the sensor is ready, reloads, stops, and
//! its loop still turns. A manager that is absent, gone or deaf changes nothing for the sensor.
//!
//! The crate `sd-notify` (0.5) is not used: its send waits while the manager's queue is full, which would
//! stop the loop, and it knows no abstract sockets, which sd_notify(3) allows.

use std::env;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::{Duration, Instant};

use nix::time::{ClockId, clock_gettime};

/// The service manager that started the sensor, if one did.
pub struct Service {
    manager: Option<UnixDatagram>,
    /// The pause between two signs of life, and the moment of the last one.
    watchdog: Option<(Duration, Instant)>,
    reloading: bool,
}

impl Service {
    /// Reads `NOTIFY_SOCKET`, `WATCHDOG_USEC` and `WATCHDOG_PID` as sd_watchdog_enabled(3) does.
    pub fn of_environment() -> Self {
        let number = |name| env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
        let for_us = number("WATCHDOG_PID").is_none_or(|pid| pid == u64::from(std::process::id()));
        let period = number("WATCHDOG_USEC").filter(|period| for_us && *period > 0).map(Duration::from_micros);
        Self::new(env::var("NOTIFY_SOCKET").ok().as_deref(), period)
    }

    /// The socket is a path, or a name in the abstract namespace behind an `@`.
    fn new(socket: Option<&str>, period: Option<Duration>) -> Self {
        let manager = socket.and_then(|socket| {
            let address = match socket.strip_prefix('@') {
                Some(name) => SocketAddr::from_abstract_name(name),
                None => SocketAddr::from_pathname(socket),
            };
            let datagrams = UnixDatagram::unbound().ok()?;
            // A manager that does not read does not stop the loop.
            datagrams.set_nonblocking(true).ok()?;
            // The walls let nothing be sent but over sockets that were connected before.
            datagrams.connect_addr(&address.ok()?).ok()?;
            Some(datagrams)
        });
        // sd_watchdog_enabled(3) advises half the period.
        let watchdog = period.map(|period| (period / 2, Instant::now()));
        Self { manager, watchdog, reloading: false }
    }

    pub fn ready(&mut self) {
        self.reloading = false;
        self.notify("READY=1");
    }

    /// Reports that rules are read and files are opened anew; [`Service::turn`] reports the end of it.
    pub fn reloading(&mut self) {
        self.reloading = true;
        let now = clock_gettime(ClockId::CLOCK_MONOTONIC).map_or(Duration::ZERO, Duration::from);
        self.notify(&format!("RELOADING=1\nMONOTONIC_USEC={}", now.as_micros()));
    }

    pub fn stopping(&mut self) {
        self.notify("STOPPING=1");
    }

    /// One turn of the loop, which comes at least once in a second.
    pub fn turn(&mut self, is_renewing: bool) {
        if self.reloading && !is_renewing {
            self.ready();
        }
        if let Some((pause, last)) = &mut self.watchdog
            && last.elapsed() >= *pause
        {
            *last = Instant::now();
            self.notify("WATCHDOG=1");
        }
    }

    /// Sends a message without waiting. True if the manager's socket took it.
    fn notify(&self, state: &str) -> bool {
        self.manager.as_ref().is_some_and(|manager| manager.send(state.as_bytes()).is_ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn received(manager: &UnixDatagram) -> Vec<String> {
        manager.set_nonblocking(true).unwrap();
        let mut buffer = [0; 200];
        std::iter::from_fn(|| {
            let length = manager.recv(&mut buffer).ok()?;
            Some(String::from_utf8_lossy(&buffer[..length]).into_owned())
        })
        .collect()
    }

    #[test]
    fn the_manager_gets_each_state_and_the_end_of_a_reload() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let manager = UnixDatagram::bind(&path).unwrap();
        let mut service = Service::new(path.to_str(), Some(Duration::from_millis(40)));
        service.ready();
        service.turn(false);
        assert_eq!(received(&manager), ["READY=1"]);
        service.reloading();
        service.turn(true);
        let messages = received(&manager);
        assert!(messages.len() == 1 && messages[0].starts_with("RELOADING=1\nMONOTONIC_USEC="), "{messages:?}");
        service.turn(false);
        service.turn(false);
        assert_eq!(received(&manager), ["READY=1"]);
        std::thread::sleep(Duration::from_millis(25));
        service.turn(false);
        service.turn(false);
        service.stopping();
        assert_eq!(received(&manager), ["WATCHDOG=1", "STOPPING=1"]);
    }

    #[test]
    fn a_deaf_manager_on_an_abstract_socket_is_not_waited_for() {
        let name = format!("dnstrail-test-{}", std::process::id());
        let manager = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
        let service = Service::new(Some(&format!("@{name}")), None);
        let taken = (0..10_000).filter(|_| service.notify("READY=1")).count();
        assert!((1..10_000).contains(&taken), "{taken} messages fit the socket");
        assert_eq!(received(&manager), vec!["READY=1"; taken]);
        assert!(service.notify("STOPPING=1"), "a manager that has read takes messages again");
        drop(manager);
        assert!(!service.notify("STOPPING=1"));
    }

    #[test]
    fn a_manager_that_is_not_there_gets_no_message() {
        assert!(!Service::new(None, None).notify("READY=1"));
        assert!(!Service::new(Some("/nonexistent/notify"), None).notify("READY=1"));
        let longer_than_an_address = format!("/{}", "x".repeat(200));
        assert!(!Service::new(Some(&longer_than_an_address), None).notify("READY=1"));
    }
}
