//! The limits of a line, and the parts that are cut when it is longer: first arguments, then answers, then everything
//! else, in fixed steps, so that one document always gives one line.

/// Bytes of a line, its newline included, unless the configuration says otherwise. Splunk cuts a line at
/// 10,000 bytes (`TRUNCATE` in props.conf), rsyslog and syslog-ng take 8,192 to 65,536, and a syslog
/// receiver adds its own header.
pub const DEFAULT_LINE: usize = 8_192;

/// A shorter line has no space for the actor, the question and the addresses.
pub const SHORTEST_LINE: usize = 4_096;

/// A longer line is too long for people and SIEMs; this bound also keeps the work for one hostile message
/// small.
pub const LONGEST_LINE: usize = 1_048_576;

/// Bytes, escaped as JSON has them, that parts of a document may take.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Bytes of each command line and each list of arguments.
    pub arguments: usize,
    /// Bytes of `dns.answers`. The answers stand before `process`, and the actor must stay within the first 5,000
    /// characters, where Splunk stops extracting fields.
    pub answers: usize,
    /// Bytes of any other text.
    pub text: usize,
    /// Elements of any other list, not bytes.
    pub elements: usize,
}

/// Parts of the line, in 256ths of its limit, and elements of lists. The first row is what every document
/// gets; the next rows are tried in turn while the line is too long. The last rows are for a document
/// whose every part is as long as an attacker can make it.
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
    /// The limits in the order in which they are tried, the widest first.
    pub fn steps(line: usize) -> impl Iterator<Item = Self> {
        STEPS.into_iter().map(move |step| Self::step(line, step))
    }

    #[must_use]
    pub fn narrowest(line: usize) -> Self {
        let [.., narrowest] = STEPS;
        Self::step(line, narrowest)
    }

    fn step(line: usize, (arguments, answers, text, elements): (usize, usize, usize, usize)) -> Self {
        Self { arguments: line * arguments / 256, answers: line * answers / 256, text: line * text / 256, elements }
    }

    /// Bytes of JSON in which no text and no list of arguments can be one that these limits cut.
    #[must_use]
    pub fn never_cut(self) -> usize {
        self.arguments.min(self.text)
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
}
