//! hosts(5): an address, then one name or several, remarks after `#`. The address says nothing: it is the
//! sink that a resolver would answer with. A line of one word is read as a plain entry, because published
//! lists mix both.

use super::intake::Intake;
use super::line::{without_remark, words};
use super::plain;
use crate::name;

/// Names that every hosts file begins with.
const EVERY_HOST: [&[u8]; 14] = [
    b"localhost",
    b"localhost.localdomain",
    b"localhost4",
    b"localhost4.localdomain4",
    b"localhost6",
    b"localhost6.localdomain6",
    b"local",
    b"broadcasthost",
    b"ip6-localhost",
    b"ip6-loopback",
    b"ip6-localnet",
    b"ip6-mcastprefix",
    b"ip6-allnodes",
    b"ip6-allrouters",
];

pub(super) fn claims(line: &[u8]) -> bool {
    let mut words = words(without_remark(line));
    words.next().is_some_and(is_address) && words.next().is_some()
}

pub(super) fn line(line: &[u8], intake: &mut Intake<'_>) {
    let entries = without_remark(line);
    let mut words = words(entries);
    let (Some(first), Some(second)) = (words.next(), words.next()) else { return plain::line(line, intake) };
    if !is_address(first) {
        return plain::line(line, intake);
    }
    for word in std::iter::once(second).chain(words) {
        let every_host =
            EVERY_HOST.iter().any(|name| word.eq_ignore_ascii_case(name)) || word.eq_ignore_ascii_case(b"ip6-allhosts");
        if every_host || is_address(word) {
            intake.not_applicable();
        } else {
            intake.word(word, line);
        }
    }
}

/// `0` is short for 0.0.0.0 in some lists.
fn is_address(word: &[u8]) -> bool {
    word == b"0" || matches!(name::address(word), Ok(Some(_)))
}
