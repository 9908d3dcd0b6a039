//! What a service manager is told, by the protocol of sd_notify(3): ready, reloading, stopping, and
//! that the loop still turns. Without one that listens nothing is said.

use std::env;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::{Duration, Instant};

use nix::time::{ClockId, clock_gettime};

pub struct Service {
    manager: Option<(UnixDatagram, SocketAddr)>,
    /// How often it wants to hear from us, and when it last did.
    watchdog: Option<(Duration, Instant)>,
    reloading: bool,
}

impl Service {
    /// `NOTIFY_SOCKET`, `WATCHDOG_USEC` and `WATCHDOG_PID`, as sd_watchdog_enabled(3) reads them.
    pub fn of_environment() -> Self {
        let number = |name| env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
        let for_us = number("WATCHDOG_PID").is_none_or(|pid| pid == u64::from(std::process::id()));
        let period = number("WATCHDOG_USEC").filter(|period| for_us && *period > 0).map(Duration::from_micros);
        Self::new(env::var("NOTIFY_SOCKET").ok().as_deref(), period)
    }

    /// `socket`: a path, or a name in the abstract namespace behind an `@`. A manager that is gone
    /// wants to hear nothing.
    fn new(socket: Option<&str>, period: Option<Duration>) -> Self {
        let manager = socket.and_then(|socket| {
            let address = match socket.strip_prefix('@') {
                Some(name) => SocketAddr::from_abstract_name(name),
                None => SocketAddr::from_pathname(socket),
            };
            let datagrams = UnixDatagram::unbound().ok()?;
            // A manager that does not read must not stop the loop.
            datagrams.set_nonblocking(true).ok()?;
            Some((datagrams, address.ok()?))
        });
        // Half the period, as sd_watchdog_enabled(3) advises.
        let watchdog = period.map(|period| (period / 2, Instant::now()));
        Self { manager, watchdog, reloading: false }
    }

    pub fn ready(&mut self) {
        self.reloading = false;
        self.tell("READY=1");
    }

    /// Rules are read and files opened anew, which [`Service::turn`] sees the end of.
    pub fn reloading(&mut self) {
        self.reloading = true;
        let now = clock_gettime(ClockId::CLOCK_MONOTONIC).map_or(Duration::ZERO, Duration::from);
        self.tell(&format!("RELOADING=1\nMONOTONIC_USEC={}", now.as_micros()));
    }

    pub fn stopping(&mut self) {
        self.tell("STOPPING=1");
    }

    /// To be called as the loop turns, at least every second.
    pub fn turn(&mut self, is_renewing: bool) {
        if self.reloading && !is_renewing {
            self.ready();
        }
        if let Some((pause, told)) = &mut self.watchdog
            && told.elapsed() >= *pause
        {
            *told = Instant::now();
            self.tell("WATCHDOG=1");
        }
    }

    fn tell(&self, state: &str) {
        if let Some((datagrams, address)) = &self.manager {
            let _ = datagrams.send_to_addr(state.as_bytes(), address);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(manager: &UnixDatagram) -> Vec<String> {
        manager.set_nonblocking(true).unwrap();
        let mut buffer = [0; 200];
        std::iter::from_fn(|| {
            let length = manager.recv(&mut buffer).ok()?;
            Some(String::from_utf8_lossy(&buffer[..length]).into_owned())
        })
        .collect()
    }

    #[test]
    fn manager_hears_of_each_state_and_of_a_reload_when_it_is_done() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let manager = UnixDatagram::bind(&path).unwrap();
        let mut service = Service::new(path.to_str(), Some(Duration::from_millis(40)));
        service.ready();
        service.turn(false);
        assert_eq!(heard(&manager), ["READY=1"]);
        service.reloading();
        service.turn(true);
        let told = heard(&manager);
        assert!(told.len() == 1 && told[0].starts_with("RELOADING=1\nMONOTONIC_USEC="), "{told:?}");
        service.turn(false);
        service.turn(false);
        assert_eq!(heard(&manager), ["READY=1"]);
        std::thread::sleep(Duration::from_millis(25));
        service.turn(false);
        service.turn(false);
        service.stopping();
        assert_eq!(heard(&manager), ["WATCHDOG=1", "STOPPING=1"]);
    }

    #[test]
    fn abstract_sockets_deaf_managers_and_none() {
        let name = format!("dnstrail-test-{}", std::process::id());
        let manager = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
        let mut service = Service::new(Some(&format!("@{name}")), None);
        // More than the socket holds: what does not fit is not waited for.
        for _ in 0..10_000 {
            service.ready();
        }
        assert!(heard(&manager).len() < 10_000);
        drop(manager);
        service.stopping();
        Service::new(None, None).ready();
        Service::new(Some("/nonexistent/notify"), None).ready();
    }
}
