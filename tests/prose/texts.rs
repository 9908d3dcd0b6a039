//! The prose of a file: comments, doc lines, messages and names of tests, each as one text without line breaks.

use proc_macro2::{LineColumn, TokenStream, TokenTree};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A doc comment: its reader may see nothing else.
    Doc,
    Comment,
    /// A text that the program shows.
    Message,
    /// The name of a function.
    Name,
}

#[derive(Debug, PartialEq, Eq)]
pub struct Text {
    pub line: usize,
    pub text: String,
    pub kind: Kind,
}

/// The texts of a file, by the ending of its name. A file of another kind has none.
pub fn of(file: &str, text: &str) -> Vec<Text> {
    let ending = file.rsplit('/').next().and_then(|name| name.rsplit_once('.')).map_or("", |(_, ending)| ending);
    match ending {
        "rs" => rust(file, text),
        "c" | "h" => comments(text, &C),
        "md" => markdown(text),
        "roff" => manual(text),
        _ if is_script(file, text) => comments(text, &SCRIPT),
        _ => Vec::new(),
    }
}

fn is_script(file: &str, text: &str) -> bool {
    let ours = ["toml", "conf", "service", "sh", "logrotate", "sysusers", "yml", "yaml"];
    file == "Makefile" || text.starts_with("#!") || ours.iter().any(|ending| file.ends_with(&format!(".{ending}")))
}

/// How comments look in a language.
struct Comments {
    /// Marks that open a comment until the end of the line, longest first, and what it is then.
    marks: &'static [(&'static str, Kind)],
    /// Whether `/* … */` is a comment.
    blocks: bool,
}

const RUST: Comments =
    Comments { marks: &[("///", Kind::Doc), ("//!", Kind::Doc), ("//", Kind::Comment)], blocks: false };
const C: Comments = Comments { marks: &[("//", Kind::Comment)], blocks: true };
const SCRIPT: Comments = Comments { marks: &[("#", Kind::Comment)], blocks: false };

/// Lines that follow each other are one text; an empty line in it begins another.
fn comments(text: &str, language: &Comments) -> Vec<Text> {
    let mut texts = Texts::default();
    let mut in_block = false;
    for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.starts_with("#!/")) {
        let line = line.trim();
        if language.blocks && (in_block || line.contains("/*")) {
            let inside = if in_block { line } else { line.split_once("/*").map_or("", |(_, rest)| rest) };
            texts.cut_unless(in_block);
            let (inside, ended) = inside.split_once("*/").map_or((inside, false), |(inside, _)| (inside, true));
            in_block = !ended;
            texts.add(number + 1, inside.trim_start_matches('*').trim(), Kind::Comment);
            continue;
        }
        let found = language.marks.iter().find_map(|(mark, kind)| {
            let rest =
                line.strip_prefix(mark).or_else(|| line.split_once(&format!(" {mark} ")).map(|(_, rest)| rest))?;
            Some((rest, *kind, line.starts_with(mark)))
        });
        match found {
            Some((rest, kind, is_alone)) => {
                texts.cut_unless(is_alone);
                texts.add(number + 1, rest.trim_start_matches(['#', '!', '/']).trim(), kind);
                texts.cut_unless(is_alone);
            }
            None => texts.cut_unless(false),
        }
    }
    texts.all
}

#[derive(Default)]
struct Texts {
    all: Vec<Text>,
    is_open: bool,
}

impl Texts {
    fn cut_unless(&mut self, goes_on: bool) {
        self.is_open &= goes_on;
    }

    fn add(&mut self, line: usize, part: &str, kind: Kind) {
        if part.is_empty() {
            self.is_open = false;
            return;
        }
        match self.all.last_mut() {
            Some(last) if self.is_open && last.kind == kind => {
                last.text.push(' ');
                last.text.push_str(part);
            }
            _ => self.all.push(Text { line, text: part.to_owned(), kind }),
        }
        self.is_open = true;
    }
}

/// Comments of Rust, the messages of what ships, and the names of functions.
fn rust(file: &str, text: &str) -> Vec<Text> {
    let mut texts = comments(text, &RUST);
    let tokens: TokenStream = text.parse().unwrap_or_else(|error| panic!("{file}: {error}"));
    names_and_messages(tokens, file.starts_with("sensor/"), &mut texts);
    texts
}

fn names_and_messages(tokens: TokenStream, ships: bool, texts: &mut Vec<Text>) {
    let mut after_fn = false;
    let mut is_doc = false;
    for token in tokens {
        let LineColumn { line, .. } = token.span().start();
        match token {
            TokenTree::Ident(name) => {
                let text = name.to_string();
                if after_fn {
                    texts.push(Text { line, text: text.replace('_', " "), kind: Kind::Name });
                }
                (after_fn, is_doc) = (text == "fn", text == "doc");
            }
            TokenTree::Literal(literal) => {
                let text = literal.to_string();
                if ships && !is_doc && text.starts_with(['"', 'r']) && text.contains(' ') {
                    texts.push(Text { line, text, kind: Kind::Message });
                }
            }
            TokenTree::Group(group) => names_and_messages(group.stream(), ships, texts),
            TokenTree::Punct(_) => {}
        }
    }
}

/// Paragraphs, headings, cells and points, without blocks of code.
fn markdown(text: &str) -> Vec<Text> {
    let mut texts = Texts::default();
    let mut in_code = false;
    for (number, line) in text.lines().enumerate() {
        let inside = line.trim();
        if inside.starts_with("```") {
            in_code = !in_code;
        }
        let is_new =
            inside.starts_with(['#', '|', '-', '*', '>']) || inside.starts_with(|first: char| first.is_ascii_digit());
        texts.cut_unless(!is_new);
        if in_code || inside.starts_with("```") || line.starts_with("    ") {
            texts.cut_unless(false);
        } else if inside.starts_with('|') {
            for cell in inside.split('|') {
                texts.cut_unless(false);
                texts.add(number + 1, cell.trim(), Kind::Comment);
            }
        } else {
            texts.add(number + 1, inside.trim_start_matches(['#', '-', '*', '>', ' ']), Kind::Comment);
        }
    }
    texts.all
}

/// Lines of a manual page that are no requests.
fn manual(text: &str) -> Vec<Text> {
    let mut texts = Texts::default();
    for (number, line) in text.lines().enumerate() {
        match line.strip_prefix(".\\\"") {
            Some(comment) => texts.add(number + 1, comment.trim(), Kind::Comment),
            None if line.starts_with('.') => texts.cut_unless(false),
            None => texts.add(number + 1, line, Kind::Comment),
        }
    }
    texts.all
}

#[cfg(test)]
mod tests {
    use super::{Kind, Text, of};

    fn found(file: &str, text: &str) -> Vec<(usize, String, Kind)> {
        of(file, text).into_iter().map(|Text { line, text, kind }| (line, text, kind)).collect()
    }

    #[test]
    fn texts_of_rust() {
        let text = "//! One\n//! two.\n//!\n//! Three.\n\nfn a_name() {\n    f(\"a message\"); // Four.\n    // Five\n    // six.\n}\n";
        let wanted = [
            (1, "One two.", Kind::Doc),
            (4, "Three.", Kind::Doc),
            (7, "Four.", Kind::Comment),
            (8, "Five six.", Kind::Comment),
            (6, "a name", Kind::Name),
            (7, "\"a message\"", Kind::Message),
        ];
        assert_eq!(found("sensor/a.rs", text), wanted.map(|(line, text, kind)| (line, text.to_owned(), kind)));
        assert_eq!(found("tests/a.rs", "const A: &str = \"a text\";"), []);
    }

    #[test]
    fn texts_of_other_files() {
        let of_c = found("probes/a.h", "/*\n * One\n * two.\n */\nint a; /* Three. */\n");
        assert_eq!(of_c, [(2, "One two.".to_owned(), Kind::Comment), (5, "Three.".to_owned(), Kind::Comment)]);
        let of_markdown = found("docs/a.md", "# Head\n\nOne\ntwo.\n\n```\ncode\n```\n| a | b |\n- point\n");
        let texts: Vec<&str> = of_markdown.iter().map(|(_, text, _)| text.as_str()).collect();
        assert_eq!(texts, ["Head", "One two.", "a", "b", "point"]);
        let of_script = found("tests/run", "#!/bin/sh\n# One\n# two.\nls # three\n");
        let texts: Vec<&str> = of_script.iter().map(|(_, text, _)| text.as_str()).collect();
        assert_eq!(texts, ["One two.", "three"]);
        let of_manual = found("sensor/a.roff", ".SH NAME\nOne\ntwo.\n.PP\nThree.\n");
        let texts: Vec<&str> = of_manual.iter().map(|(_, text, _)| text.as_str()).collect();
        assert_eq!(texts, ["One two.", "Three."]);
    }
}
