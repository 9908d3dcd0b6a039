//! The rules for one text.

use super::texts::Kind;

/// Words outside the glossary, and those to use instead.
const WORDS: [(&str, &str); 14] = [
    ("tell", "emit, report, show, distinguish"),
    ("tells", "emits, reports, shows"),
    ("telling", "emitting, reporting, showing"),
    ("told", "emitted, reported, shown"),
    ("nobody", "no process, no user, no reader"),
    ("nobody's", "of no process"),
    ("somebody", "a process, a user"),
    ("anybody", "any process, any user"),
    ("whoever", "the reader, the user, the process"),
    ("whomever", "the process"),
    ("whatever", "anything that, every"),
    ("room", "folder, module, space"),
    ("rooms", "folders, modules"),
    ("amiss", "wrong"),
];

/// No sentence begins with these: its subject would come late or never.
const OPENINGS: [&str; 7] = ["of", "what", "whose", "who", "whom", "whoever", "whatever"];

const PREPOSITIONS: [&str; 17] = [
    "after", "as", "at", "before", "behind", "by", "for", "from", "in", "into", "of", "on", "through", "to", "under",
    "until", "with",
];

const RELATIVES: [&str; 5] = ["which", "whom", "whose", "what", "who"];

/// A doc line that begins with these leans on a line elsewhere.
const LEANING: [&str; 12] = [
    "it ",
    "they ",
    "its ",
    "their ",
    "them ",
    "that is",
    "the same where",
    "the same with",
    "the same for",
    "as above",
    "and ",
    "or ",
];

/// What is wrong with a text, a sentence for each fault.
pub fn faults(text: &str, kind: Kind) -> Vec<String> {
    let mut faults = Vec::new();
    let lower = text.to_lowercase();
    for word in words(&without_code(&lower)) {
        if let Some((word, instead)) = WORDS.iter().find(|(forbidden, _)| *forbidden == word) {
            faults.push(format!("\"{word}\" (say {instead}) in: {text}"));
        }
    }
    if kind == Kind::Name || kind == Kind::Message {
        return faults;
    }
    for sentence in sentences(text) {
        let lower = sentence.to_lowercase();
        let mut first = words(&lower);
        let opening = first.next().unwrap_or_default();
        if sentence.starts_with(char::is_uppercase) && OPENINGS.contains(&opening) {
            faults.push(format!("a sentence begins with \"{opening}\": {sentence}"));
        }
    }
    if kind == Kind::Doc {
        let mut first = words(&lower);
        let [one, two] = [first.next().unwrap_or_default(), first.next().unwrap_or_default()];
        let asks = sentences(text).first().is_some_and(|first| first.ends_with('?'));
        if (PREPOSITIONS.contains(&one) && RELATIVES.contains(&two)) || (one == "which" && !asks) {
            faults.push(format!("a doc line begins with \"{one} {two}\": {text}"));
        }
        if let Some(leaning) = LEANING.iter().find(|leaning| lower.starts_with(*leaning)) {
            faults.push(format!("a doc line begins with \"{}\": {text}", leaning.trim()));
        }
    }
    faults
}

/// A text without its `code spans`.
fn without_code(text: &str) -> String {
    text.split('`').step_by(2).collect::<Vec<_>>().join(" ")
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    let is_part = |letter: char| letter.is_alphanumeric() || letter == '\'' || letter == '-';
    text.split(move |letter| !is_part(letter)).filter(|word| !word.is_empty())
}

/// The sentences of a text: they end with a mark and a space, and the next begins with a capital or a code span.
fn sentences(text: &str) -> Vec<&str> {
    let mut sentences = Vec::new();
    let mut start = 0;
    for (at, _) in text.match_indices(['.', '!', '?', ':']) {
        let rest = &text[at + 1..];
        let next = rest.trim_start();
        if rest.starts_with(' ') && next.starts_with(|first: char| first.is_uppercase() || first == '`') {
            sentences.push(text[start..=at].trim());
            start = at + 1;
        }
    }
    sentences.push(text[start..].trim());
    sentences
}

#[test]
fn faults_are_found() {
    for (text, kind) in [
        ("The reader is told.", Kind::Comment),
        ("Nobody waits.", Kind::Comment),
        ("The rooms of the house", Kind::Comment),
        ("a_reader_is_told", Kind::Name),
        ("nobody listens at {path}", Kind::Message),
        ("A line. Of a list.", Kind::Comment),
        ("A line: What it holds.", Kind::Comment),
        ("Whose opening was seen.", Kind::Doc),
        ("In which order it comes.", Kind::Doc),
        ("Which way is taken.", Kind::Doc),
        ("It is written once.", Kind::Doc),
    ] {
        assert_eq!(faults(&text.replace('_', " "), kind).len(), 1, "{text}");
    }
}

#[test]
fn good_sentences_pass() {
    for (text, kind) in [
        ("The owner of a socket is what matters.", Kind::Doc),
        ("Intel, mushrooms and storytelling.", Kind::Doc),
        ("It waits, e.g. what for.", Kind::Comment),
        ("In a container.", Kind::Doc),
        ("Which binary resolved that domain? The sensor shows it.", Kind::Doc),
        ("who asked {name}?", Kind::Message),
        ("The user `nobody` runs it.", Kind::Comment),
    ] {
        assert_eq!(faults(text, kind), [String::new(); 0], "{text}");
    }
}
