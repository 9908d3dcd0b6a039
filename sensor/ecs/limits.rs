//! How long a line may become, and what gives way when it is longer: first arguments, then
//! answers, then everything else, in fixed steps, so that one document always gives one line.

use serde::ser::{Serialize, SerializeSeq, Serializer};

use super::text;

/// Bytes of a line, its newline included, unless the configuration says otherwise. Splunk cuts a
/// line at 10,000 bytes (`TRUNCATE` in props.conf), rsyslog and syslog-ng take 8,192 to 65,536,
/// and a syslog receiver adds its own header.
pub const DEFAULT_LINE: usize = 8_192;

/// Below this there is no room for who, what and where.
pub const SHORTEST_LINE: usize = 4_096;

/// A line for people and SIEMs; also keeps the work for one hostile message within bounds.
pub const LONGEST_LINE: usize = 1_048_576;

/// Bytes, escaped as JSON has them, that parts of a document may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Of each command line and each list of arguments.
    pub arguments: usize,
    /// Of `dns.answers`. It stands before `process`: with all of it, who asked must stay within
    /// the first 5,000 characters, where Splunk stops extracting fields.
    pub answers: usize,
    /// Of any other text.
    pub text: usize,
    /// Not bytes: elements of any other list.
    pub elements: usize,
}

/// Parts of the line, in 256ths of its limit, and elements of lists. The first row is what every
/// document gets; the next ones are tried in turn while the line is too long. The last ones are
/// for a document of which everything is as long as somebody could make it.
const STEPS: [(usize, usize, usize, usize); 13] = [
    (256, 96, 64, 64),
    (64, 96, 64, 64),
    (32, 96, 64, 64),
    (16, 96, 64, 64),
    (8, 96, 64, 32),
    (4, 48, 64, 16),
    (4, 24, 64, 16),
    (4, 12, 64, 8),
    (4, 0, 48, 4),
    (0, 0, 16, 1),
    (0, 0, 4, 1),
    (0, 0, 2, 1),
    (0, 0, 1, 1),
];

impl Limits {
    /// The widest of the shortest line that can be asked for.
    pub(super) fn of_any_line() -> Self {
        let [widest, ..] = STEPS;
        Self::step(SHORTEST_LINE, widest)
    }

    /// What is not cut by [`Self::of_any_line`] is not cut by these.
    pub(super) fn allow_what_any_line_does(self) -> bool {
        let any = Self::of_any_line();
        self.arguments >= any.arguments && self.text >= any.text
    }

    /// Widest first.
    pub(super) fn steps(line: usize) -> impl Iterator<Item = Self> {
        STEPS.into_iter().map(move |step| Self::step(line, step))
    }

    fn step(line: usize, (arguments, answers, text, elements): (usize, usize, usize, usize)) -> Self {
        Self { arguments: line * arguments / 256, answers: line * answers / 256, text: line * text / 256, elements }
    }
}

macro_rules! parts {
    ($($name:ident = $field:literal,)+) => {
        /// What can be cut, in the order of the line.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(super) enum Part { $($name,)+ }

        const PARTS: &[(Part, &str)] = &[$((Part::$name, $field),)+];
    };
}

parts! {
    Message = "message",
    EventReason = "event.reason",
    Rule = "rule",
    QuestionName = "dns.question.name",
    RegisteredDomain = "dns.question.registered_domain",
    Subdomain = "dns.question.subdomain",
    TopLevelDomain = "dns.question.top_level_domain",
    Answers = "dns.answers",
    EntityId = "process.entity_id",
    Name = "process.name",
    Executable = "process.executable",
    UserName = "process.user.name",
    GroupName = "process.group.name",
    WorkingDirectory = "process.working_directory",
    ParentEntityId = "process.parent.entity_id",
    ParentName = "process.parent.name",
    ParentExecutable = "process.parent.executable",
    ParentCommandLine = "process.parent.command_line",
    ParentArgs = "process.parent.args",
    CommandLine = "process.command_line",
    Args = "process.args",
    ContainerId = "container.id",
    DestinationDomain = "destination.domain",
    Enrichments = "threat.enrichments",
    Feed = "threat.feed",
    RelatedIp = "related.ip",
    RelatedHosts = "related.hosts",
    ExtendedErrors = "dnstrail.dns.extended_errors",
    Matches = "dnstrail.matches",
    SensorCommandLine = "dnstrail.sensor.command_line",
    WaysIn = "dnstrail.ways_in",
    Lists = "dnstrail.rules.lists",
    Output = "dnstrail.output",
    Error = "error.message",
}

/// `dnstrail.cut`: the fields that show less than was there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Cuts(u64);

const _: () = assert!(PARTS.len() <= 64, "one bit each");

impl Cuts {
    pub(super) fn add(&mut self, part: Part) {
        self.0 |= 1 << part as u32;
    }

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks by reference")]
    pub(super) fn is_empty(&self) -> bool {
        self.0 == 0
    }

    /// As much of `text` as `limit` allows.
    pub(super) fn text<'a>(&mut self, text: &'a str, limit: usize, part: Part) -> &'a str {
        let shown = text::beginning(text, limit);
        if shown.len() < text.len() {
            self.add(part);
        }
        shown
    }

    /// As many of the first elements as `limit` allows.
    pub(super) fn elements<'a, T>(&mut self, elements: &'a [T], limit: usize, part: Part) -> &'a [T] {
        match elements.get(..limit) {
            Some(shown) if shown.len() < elements.len() => {
                self.add(part);
                shown
            }
            _ => elements,
        }
    }
}

impl Serialize for Cuts {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(None)?;
        for (part, field) in PARTS {
            if self.0 & (1 << *part as u32) != 0 {
                list.serialize_element(field)?;
            }
        }
        list.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_step_gives_less() {
        let steps: Vec<Limits> = Limits::steps(DEFAULT_LINE).collect();
        for (wide, narrow) in steps.iter().zip(steps.iter().skip(1)) {
            assert!(narrow.arguments <= wide.arguments && narrow.answers <= wide.answers);
            assert!(narrow.text <= wide.text && narrow.elements <= wide.elements);
        }
        let first_answers_cut = steps.iter().position(|step| step.answers < steps[0].answers).unwrap();
        assert!(steps[first_answers_cut].arguments <= DEFAULT_LINE / 64, "arguments give way first");
    }

    #[test]
    fn cuts_name_their_fields_once() {
        let mut cuts = Cuts::default();
        assert!(cuts.is_empty());
        assert_eq!(cuts.text("abc", 3, Part::Name), "abc");
        assert!(cuts.is_empty());
        assert_eq!(cuts.text("abc\n", 4, Part::CommandLine), "abc");
        assert_eq!(cuts.elements(&[1, 2, 3], 2, Part::Answers), [1, 2]);
        cuts.add(Part::Answers);
        assert_eq!(serde_json::to_string(&cuts).unwrap(), r#"["dns.answers","process.command_line"]"#);
    }
}
