//! Refusals of the kernel with their reasons, as libbpf and the verifier give them; and for each role the way in
//! that was taken, and the gaps.

use std::error::Error;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::event::program::{Program, When, program};

/// Bytes of a verifier's log that are kept: its end says what was wrong and how the program got there.
const LOG_KEPT: usize = 64 * 1024;

/// A hook that the kernel refused. Displayed: the hook and the reason, for a person.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Refusal {
    #[serde(serialize_with = "write_program", deserialize_with = "read_program")]
    pub(super) program: &'static Program,
    /// The sentence that matters.
    pub reason: String,
    /// All that the verifier said, if it was the verifier: the last 64 KiB.
    pub log: Option<String>,
}

impl Refusal {
    /// `said` is what libbpf printed on the way to `error`.
    pub(super) fn new(program: &'static Program, said: &str, error: &libbpf_rs::Error) -> Self {
        let log = verifier_log(said);
        let reason = match (log.and_then(last_words), first_words(said)) {
            (Some(words), _) => format!("the verifier says: {words}"),
            (None, Some(words)) => format!("{words} ({})", cause(error)),
            (None, None) => error.to_string(),
        };
        Self { program, reason, log: log.map(|log| end_of(log).to_owned()) }
    }

    #[must_use]
    pub fn hook(&self) -> &'static str {
        self.program.hook
    }

    /// The reason, and the command that shows the rest of it.
    #[must_use]
    pub fn shown(&self) -> String {
        let rest = if self.log.is_some() { "; `dnstrail doctor --json` has the whole log" } else { "" };
        format!("{}{rest}", self.reason)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.hook(), self.shown())
    }
}

/// The parts of a program that are shown.
type Shown<Text> = (Text, Text, Text, Option<Text>);

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference to each field")]
fn write_program<S: Serializer>(program: &&'static Program, serializer: S) -> Result<S::Ok, S::Error> {
    let shown: Shown<&str> = (program.name, program.hook, program.role, program.not_seen_without);
    shown.serialize(serializer)
}

/// The program is kept for the rest of the run: there are some at the start, and none later.
fn read_program<'a, D: Deserializer<'a>>(deserializer: D) -> Result<&'static Program, D::Error> {
    let kept = |text: String| -> &'static str { String::leak(text) };
    let (name, hook, role, gap): Shown<String> = Shown::deserialize(deserializer)?;
    let program = program(kept(name), kept(hook), kept(role), When::Always);
    Ok(Box::leak(Box::new(Program { not_seen_without: gap.map(kept), ..program })))
}

/// How one role is filled on this kernel.
#[derive(Debug, Clone)]
pub struct WayIn {
    pub role: &'static str,
    /// The hooks that were taken; empty: the role is not filled.
    pub taken: Vec<&'static str>,
    pub refused: Vec<Refusal>,
    /// The gap that follows.
    pub not_seen: Option<&'static str>,
}

impl WayIn {
    /// Each role of `programs`, with the programs that were taken for it and those that were refused.
    pub(super) fn of_roles(
        programs: impl Iterator<Item = &'static Program>,
        taken: &[&'static Program],
        refused: &[Refusal],
    ) -> Vec<Self> {
        let mut roles = Vec::new();
        for program in programs {
            if !roles.contains(&program.role) {
                roles.push(program.role);
            }
        }
        let of_role = |role: &'static str| refused.iter().filter(move |refusal| refusal.program.role == role);
        roles
            .into_iter()
            .map(|role| Self {
                role,
                taken: taken.iter().filter(|program| program.role == role).map(|program| program.hook).collect(),
                refused: of_role(role).cloned().collect(),
                not_seen: of_role(role).find_map(|refusal| refusal.program.not_seen_without).or_else(|| {
                    taken.iter().filter(|program| program.role == role).find_map(|program| program.not_seen_with)
                }),
            })
            .collect()
    }
}

/// The errno at the bottom, in words.
fn cause(error: &libbpf_rs::Error) -> String {
    let mut cause: &dyn Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string().split(" (os error").next().unwrap_or_default().to_owned()
}

/// The verifier's log as libbpf prints it. There is none where the kernel refuses before it verifies.
fn verifier_log(said: &str) -> Option<&str> {
    let (_, log) = said.split_once("-- BEGIN PROG LOAD LOG --\n")?;
    Some(log.split_once("-- END PROG LOAD LOG --").map_or(log, |(log, _)| log))
}

/// The verifier ends with what is wrong, and then with statistics.
fn last_words(log: &str) -> Option<&str> {
    let is_telling = |line: &&str| !line.is_empty() && !line.starts_with("processed ");
    log.lines().rev().map(str::trim).find(is_telling)
}

/// libbpf begins with what is wrong: `libbpf: prog 'name': what`.
fn first_words(said: &str) -> Option<&str> {
    let line = said.lines().next()?.trim_start_matches("libbpf: ").trim();
    let words = line.strip_prefix("prog '").and_then(|rest| rest.split_once("': ")).map_or(line, |(_, words)| words);
    (!words.is_empty()).then_some(words)
}

/// Whole lines, no more than `LOG_KEPT` bytes of them.
fn end_of(log: &str) -> &str {
    let Some(excess) = log.len().checked_sub(LOG_KEPT).filter(|excess| *excess > 0) else { return log };
    let cut = log.as_bytes()[excess - 1..].iter().position(|byte| *byte == b'\n').map_or(log.len(), |at| excess + at);
    &log[cut..]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::program::SHARED;

    fn refusal(said: &str) -> Refusal {
        let error = libbpf_rs::Error::from(std::io::Error::from_raw_os_error(13));
        Refusal::new(&SHARED[0], said, &error)
    }

    #[test]
    fn verifier_is_quoted_with_its_last_words_and_its_log() {
        let refused = refusal(
            "libbpf: prog 'process_exec': BPF program load failed: -EACCES\n\
             libbpf: prog 'process_exec': -- BEGIN PROG LOAD LOG --\n\
             0: R1=ctx() R10=fp0\n0: (bf) r0 = r3\nR3 !read_ok\nprocessed 1 insns (limit 1000000)\n\
             -- END PROG LOAD LOG --\nlibbpf: prog 'process_exec': failed to load: -EACCES\n",
        );
        assert_eq!(refused.reason, "the verifier says: R3 !read_ok");
        let log = refused.log.as_deref().expect("a log");
        assert!(log.starts_with("0: R1=ctx()") && log.ends_with("(limit 1000000)\n"), "{log}");
        assert_eq!(
            refused.to_string(),
            "tp_btf/sched_process_exec: the verifier says: R3 !read_ok; `dnstrail doctor --json` has the whole log"
        );
    }

    #[test]
    fn what_was_refused_before_verification_has_no_log() {
        let refused = refusal("libbpf: prog 'process_exec': BPF program load failed: -EPERM\nlibbpf: failed\n");
        assert_eq!(refused.reason, "BPF program load failed: -EPERM (Permission denied)");
        assert_eq!(refused.log, None);
        assert_eq!(refusal("").reason, "Permission denied (os error 13)");
    }

    #[test]
    fn end_of_a_long_log_is_kept_in_whole_lines() {
        let lines = (0..20_000).map(|number| format!("{number}: (bf) r0 = r3 ü\n")).collect::<Vec<_>>().concat();
        let log = end_of(&lines);
        assert!(log.len() <= LOG_KEPT && log.len() > LOG_KEPT - 40, "{} bytes", log.len());
        assert!(lines.ends_with(log));
        assert!(log.lines().next().expect("a line").ends_with("r0 = r3 ü"));
        assert!(log.lines().next().expect("a line").split(':').next().expect("a number").parse::<u32>().is_ok());
        assert_eq!(end_of("short\n"), "short\n");
        assert_eq!(end_of(&"x".repeat(LOG_KEPT + 1)), "");
    }
}
