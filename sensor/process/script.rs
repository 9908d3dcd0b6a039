//! The script that an interpreter runs, by its arguments. The kernel puts the path of a `#!` script behind the
//! interpreter's own option, so both cases look alike.

use super::Process;

/// Interpreters by the beginning of their file name, which a version may follow (`python3.11`); the letters of
/// short options that take a value; and of those whose value is the program itself, so that there is no script.
const INTERPRETERS: [(&str, &str, &str); 13] = [
    ("sh", "oO", "c"),
    ("bash", "oO", "c"),
    ("dash", "oO", "c"),
    ("ash", "oO", "c"),
    ("zsh", "o", "c"),
    ("ksh", "oO", "c"),
    ("python", "WXQ", "cm"),
    ("pypy", "WX", "cm"),
    ("perl", "IMmx", "eE"),
    ("ruby", "IrCEF", "e"),
    ("node", "r", "ep"),
    ("php", "dcz", "rRBEF"),
    ("lua", "l", "e"),
];

/// The script that the process runs, as its arguments have it: a relative path is one from the working directory.
/// `None` for other programs, for code that stands in an argument or comes by a pipe, and where an option's
/// meaning is not known.
pub(super) fn of(process: &Process) -> Option<&str> {
    let file = process.executable.as_deref()?.rsplit('/').next()?;
    let (_, valued, inline) = INTERPRETERS.iter().find(|(name, ..)| is_version_of(file, name))?;
    let mut arguments = process.arguments.as_deref()?.each().skip(1);
    while let Some(argument) = arguments.next() {
        let Some(letters) = argument.strip_prefix('-') else {
            return Some(argument).filter(|script| !script.is_empty());
        };
        if letters == "-" {
            return arguments.next();
        }
        if letters.starts_with('-') && letters.contains('=') {
            continue;
        }
        if letters.is_empty() || letters.starts_with('-') {
            return None;
        }
        if let Some(at) = letters.find(|letter| valued.contains(letter) || inline.contains(letter)) {
            if inline.contains(letters.get(at..=at)?) {
                return None;
            }
            if at + 1 == letters.len() {
                arguments.next();
            }
        }
    }
    None
}

/// `python3.11` and `python` are versions of `python`, `pythonic` is none.
fn is_version_of(file: &str, name: &str) -> bool {
    file.strip_prefix(name).is_some_and(|rest| rest.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'.' | b'-')))
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use super::super::table::tests::image;

    #[track_caller]
    fn check(executable: &str, arguments: &[&str], script: Option<&str>) {
        let mut process = image();
        process.executable = Some(executable.into());
        process.arguments = Some(Rc::new(arguments.iter().collect()));
        assert_eq!(process.script(), script, "{executable} {arguments:?}");
    }

    #[test]
    fn scripts_behind_options() {
        check("/usr/bin/dash", &["/bin/sh", "/tmp/drop.sh", "-c"], Some("/tmp/drop.sh"));
        check("/usr/bin/bash", &["bash", "-eu", "-o", "pipefail", "x.sh"], Some("x.sh"));
        check("/usr/bin/python3.11", &["python3", "-u", "-W", "ignore", "x.py", "-m"], Some("x.py"));
        check("/usr/bin/python3.11", &["python3", "-Wignore", "x.py"], Some("x.py"));
        check("/usr/bin/perl", &["perl", "-w", "--", "-x.pl"], Some("-x.pl"));
        check("/usr/bin/node", &["node", "--max-old-space-size=10", "x.js"], Some("x.js"));
    }

    #[test]
    fn no_script() {
        check("/usr/bin/dash", &["sh", "-c", "dig a.example"], None);
        check("/usr/bin/bash", &["bash", "-xc", "x"], None);
        check("/usr/bin/bash", &["-bash"], None);
        check("/usr/bin/python3.11", &["python3", "-m", "http.server"], None);
        check("/usr/bin/python3.11", &["python3", "-"], None);
        check("/usr/bin/perl", &["perl", "-ne", "print"], None);
        check("/usr/bin/node", &["node", "--require", "x.js", "y.js"], None);
        check("/usr/bin/curl", &["curl", "x.sh"], None);
        check("/usr/bin/shred", &["shred", "x"], None);
        check("/usr/bin/python3.11", &[], None);
    }
}
