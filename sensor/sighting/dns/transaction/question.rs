//! The question of a message as it stands on the wire. A comparison of these bytes shows whether an answer
//! belongs to a query. `dns` decodes messages as such.

/// Bytes of a query that are kept for its timeout's document. Queries with padding (RFC 8467) are
/// multiples of 128; of longer ones (updates) the header and the question are kept.
pub(super) const KEPT_BYTES: usize = 512;

/// RFC 1035 4.1.1.
const HEADER: usize = 12;

/// A name's bytes (RFC 1035 3.1), a type and a class.
const QUESTION: usize = 255 + 4;

const TYPE_CNAME: [u8; 2] = [0, 5];
const TYPE_IXFR: [u8; 2] = [0, 251];
const TYPE_AXFR: [u8; 2] = [0, 252];
const TYPE_ANY: [u8; 2] = [0, 255];

/// Copies the part of a query that is kept.
pub(super) fn keep(query: &[u8], kept: &mut Vec<u8>) {
    kept.clear();
    if query.len() <= KEPT_BYTES {
        kept.extend_from_slice(query);
        return;
    }
    let length = HEADER + first(query).len();
    kept.extend_from_slice(query.get(..length).unwrap_or(query));
    // The counts of the header must fit the one question that is kept.
    let questions = u8::from(length > HEADER);
    if let Some(counts) = kept.get_mut(4..HEADER) {
        counts.copy_from_slice(&[0, questions, 0, 0, 0, 0, 0, 0]);
    }
}

/// Whether two queries ask the same question.
pub(super) fn same_question(one: &[u8], other: &[u8], multicast: bool) -> bool {
    same(first(one), first(other), multicast)
}

/// Whether the answer repeats the query's question, or has none: RFC 1035 lets a failing server leave it out.
pub(super) fn answers(query: &[u8], answer: &[u8]) -> bool {
    !has_question(answer) || same(first(query), first(answer), false)
}

/// Whether a multicast answer fits the query. An answer to a group has no question (RFC 6762 6), so its first
/// record must have the name and type of the query.
pub(super) fn answers_multicast(query: &[u8], answer: &[u8]) -> bool {
    if has_question(answer) {
        return same(first(query), first(answer), true);
    }
    let asked = first(query);
    // A record begins like a question: name and type.
    let first_record = question_at_start(answer);
    match (asked.split_last_chunk::<4>(), first_record.split_last_chunk::<4>()) {
        (Some((name, kind)), Some((owner, record))) => {
            name.eq_ignore_ascii_case(owner)
                && (kind[..2] == record[..2] || kind[..2] == TYPE_ANY || record[..2] == TYPE_CNAME)
        }
        _ => false,
    }
}

/// Whether the query asks for a whole zone, or for the changes of one.
pub(super) fn is_transfer(query: &[u8]) -> bool {
    first(query).last_chunk::<4>().is_some_and(|[high, low, ..]| matches!([*high, *low], TYPE_AXFR | TYPE_IXFR))
}

fn has_question(message: &[u8]) -> bool {
    message.get(4..6).is_some_and(|count| count != [0, 0])
}

/// Letters of the name match in either case; type and class match exactly.
fn same(one: &[u8], other: &[u8], multicast: bool) -> bool {
    match (one.split_last_chunk::<4>(), other.split_last_chunk::<4>()) {
        (Some((name, kind)), Some((other_name, other_kind))) => {
            // The first bit of the class asks for a unicast answer in multicast DNS (RFC 6762 5.4).
            let mask = if multicast { 0x7f } else { 0xff };
            name.eq_ignore_ascii_case(other_name)
                && kind[..2] == other_kind[..2]
                && kind[2] & mask == other_kind[2] & mask
                && kind[3] == other_kind[3]
        }
        _ => one == other,
    }
}

/// The first question; empty where there is none. A question that cannot be read equals only itself.
fn first(message: &[u8]) -> &[u8] {
    if has_question(message) { question_at_start(message) } else { &[] }
}

/// Name, type and class behind the header. The first name of a message has nothing to point back to,
/// so a compressed one is not followed.
fn question_at_start(message: &[u8]) -> &[u8] {
    let bytes = message.get(HEADER..).unwrap_or_default();
    let mut end = 0;
    let readable = loop {
        match bytes.get(end) {
            Some(0) => break end + 5 <= bytes.len(),
            // The two upper bits are no length (RFC 1035 4.1.4).
            Some(length @ 1..0x40) => end += 1 + usize::from(*length),
            _ => break false,
        }
        if end >= 255 {
            break false;
        }
    };
    let end = if readable { end + 5 } else { bytes.len().min(QUESTION) };
    bytes.get(..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(questions: u8, body: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0, 1, 1, 0, 0, questions, 0, 0, 0, 0, 0, 0];
        bytes.extend_from_slice(body);
        bytes
    }

    #[test]
    fn case_type_and_class() {
        let query = message(1, b"\x01a\x07eXample\x00\x00\x01\x00\x01");
        assert!(answers(&query, &message(1, b"\x01A\x07ExamplE\x00\x00\x01\x00\x01rest")));
        assert!(answers(&query, &message(0, b"")));
        for other in [
            &b"\x01b\x07example\x00\x00\x01\x00\x01"[..],
            b"\x01a\x07example\x00\x00\x02\x00\x01",
            b"\x01a\x07example\x00\x00\x01\x00\x03",
            b"\x01a\x07example\x00\x00\x01\x00",
            b"\xc0\x0c\x00\x01\x00\x01",
            b"",
        ] {
            assert!(!answers(&query, &message(1, other)), "{other:?}");
        }
        // Type 65 and type 97 differ as the letters A and a do.
        let https = message(1, b"\x00\x00\x41\x00\x01");
        assert!(!answers(&https, &message(1, b"\x00\x00\x61\x00\x01")));
        assert!(answers(&https, &https));
    }

    #[test]
    fn multicast_answers_by_their_first_record() {
        let query = message(1, b"\x01a\x05local\x00\x00\x01\x80\x01");
        assert!(answers_multicast(&query, &message(0, b"\x01A\x05local\x00\x00\x01\x80\x01\x00\x00\x00\x78")));
        assert!(answers_multicast(&query, &message(1, b"\x01a\x05local\x00\x00\x01\x00\x01")));
        assert!(!answers_multicast(&query, &message(0, b"\x01b\x05local\x00\x00\x01\x80\x01")));
        assert!(!answers_multicast(&query, &message(0, b"\x01a\x05local\x00\x00\x1c\x80\x01")));
        assert!(!answers_multicast(&query, &message(0, b"")));
    }

    #[test]
    fn long_query_keeps_its_question() {
        let mut kept = Vec::new();
        let mut body = b"\x01a\x00\x00\xfc\x00\x01".to_vec();
        keep(&message(1, &body), &mut kept);
        assert_eq!(kept, message(1, &body));
        assert!(is_transfer(&kept));
        body.resize(4000, 7);
        let mut long = message(1, &body);
        long[11] = 9;
        keep(&long, &mut kept);
        assert_eq!(kept, message(1, b"\x01a\x00\x00\xfc\x00\x01"));
        assert!(same_question(&long, &kept, false));
        keep(&message(1, &[0x3f; 4000]), &mut kept);
        assert!(kept.len() <= KEPT_BYTES);
    }
}
