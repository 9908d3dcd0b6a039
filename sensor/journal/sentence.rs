//! `message`: a report for people.

use std::fmt::{self, Display};

use super::{Report, Status};
use crate::alert::Summary;
use crate::json::beginning;
use crate::schema::Limits;

#[derive(Debug)]
pub(super) struct Sentence<'a> {
    pub report: &'a Report<'a>,
    pub limits: Limits,
}

impl Display for Sentence<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |text| beginning(text, self.limits.text);
        match self.report {
            Report::Start { ways_in, walls, .. } => {
                write!(formatter, "dnstrail {} has started", env!("CARGO_PKG_VERSION"))?;
                for way in ways_in.iter().take(self.limits.elements) {
                    match (&way.taken, &way.not_seen) {
                        (_, Some(what)) => write!(formatter, "; not seen here: {}", text(what))?,
                        (None, None) => write!(formatter, "; no hook fills the role: {}", way.role)?,
                        (Some(_), None) => {}
                    }
                }
                for (wall, _) in walls.iter().filter(|(_, stands)| !stands) {
                    write!(formatter, "; not confined on this kernel: {wall}")?;
                }
                Ok(())
            }
            Report::Status(Status { uptime, metrics, .. }) => {
                let version = env!("CARGO_PKG_VERSION");
                let (messages, documents) = (metrics.traffic.messages.get(), metrics.traffic.documents.get());
                write!(
                    formatter,
                    "dnstrail {version} has run for {uptime} s: {messages} messages, {documents} documents"
                )
            }
            Report::Stop { reason, .. } => write!(formatter, "dnstrail stops: {}", text(reason)),
            Report::Loss { losses, culprits } => {
                formatter.write_str("lost or set aside since the last report:")?;
                for (position, (name, growth, _)) in losses.iter().enumerate() {
                    write!(formatter, "{} {name} {growth}", if position == 0 { "" } else { "," })?;
                }
                for (position, culprit) in culprits.iter().take(self.limits.elements).enumerate() {
                    formatter.write_str(if position == 0 { "; most by " } else { ", " })?;
                    match &culprit.process {
                        Some(image) => write!(formatter, "{} ({})", text(&image.name), image.key.pid)?,
                        None => write!(formatter, "a process ({})", culprit.key.pid)?,
                    }
                }
                Ok(())
            }
            Report::RulesLoaded { lists, .. } => {
                let failed = lists.iter().filter(|list| list.error.is_some()).count();
                let entries: u64 = lists.iter().map(|list| list.names + list.addresses).sum();
                write!(formatter, "{} of {} lists loaded, {entries} entries", lists.len() - failed, lists.len())
            }
            Report::AlertSummary(repeats) => summary(formatter, repeats, self.limits),
            Report::Sight { lost: Some(lost), attached_again } => {
                let again = if *attached_again { "; its hook is attached again" } else { "" };
                write!(formatter, "the kernel side lost sight: {}{again}", text(lost))
            }
            Report::Sight { lost: None, .. } => formatter.write_str("the kernel side sees everything again"),
            Report::Output { output, failing: true, message, .. } => {
                write!(formatter, "the output {} fails: {}", text(output), text(message))
            }
            Report::Output { output, failing: false, dropped, .. } => {
                write!(formatter, "the output {} works again; {dropped} documents were dropped", text(output))
            }
        }
    }
}

fn summary(formatter: &mut fmt::Formatter<'_>, summary: &Summary<'_>, limits: Limits) -> fmt::Result {
    let text = |text| beginning(text, limits.text);
    let Summary { actor, matched, repeats, .. } = summary;
    match (&actor.process, actor.pid()) {
        (Some(image), _) => write!(formatter, "{} ({})", text(&image.name), image.key.pid)?,
        (None, Some(pid)) => write!(formatter, "a process ({pid})")?,
        (None, None) => formatter.write_str("an unknown process")?,
    }
    let (indicator, list) = (text(&matched.hit.indicator), text(&matched.hit.list.name));
    write!(formatter, " matched {indicator} in {list} {repeats} times more")
}
