//! As much of Splunk's search-time extraction as the add-on uses: fields of JSON (`KV_MODE = json`),
//! then FIELDALIAS, then EVAL with a few functions. An expression that uses more fails the test.

use std::collections::BTreeMap;
use std::iter::Peekable;
use std::str::Chars;

use serde_json::Value;

/// A field holds one value or several; none is null.
pub type Fields = BTreeMap<String, Vec<String>>;

/// `a.b` of an object, `a{}` of an array, `a{}.b` of objects in one.
pub fn extract(value: &Value) -> Fields {
    fn walk(path: &str, value: &Value, fields: &mut Fields) {
        match value {
            Value::Object(members) => {
                for (name, value) in members {
                    walk(&if path.is_empty() { name.clone() } else { format!("{path}.{name}") }, value, fields);
                }
            }
            Value::Array(elements) => elements.iter().for_each(|each| walk(&format!("{path}{{}}"), each, fields)),
            Value::String(text) => fields.entry(path.to_owned()).or_default().push(text.clone()),
            other => fields.entry(path.to_owned()).or_default().push(other.to_string()),
        }
    }
    let mut fields = Fields::new();
    walk("", value, &mut fields);
    fields
}

/// The fields after the settings of one source type are applied. Aliases come first; expressions do not
/// see each other.
pub fn apply(settings: &BTreeMap<String, String>, fields: &Fields) -> Fields {
    let mut all = fields.clone();
    for (_, alias) in settings.iter().filter(|(key, _)| key.starts_with("FIELDALIAS-")) {
        let (from, to) = alias.split_once(" AS ").unwrap_or_else(|| panic!("{alias}"));
        let from = from.strip_prefix('"').and_then(|name| name.strip_suffix('"')).expect("a quoted name");
        if let Some(values) = fields.get(from) {
            all.insert(to.to_owned(), values.clone());
        }
    }
    let seen = all.clone();
    for (key, expression) in settings {
        let Some(name) = key.strip_prefix("EVAL-") else { continue };
        let mut parser = Parser { rest: expression.chars().peekable(), fields: &seen };
        let value = parser.comparison();
        assert_eq!(parser.peek(), None, "{expression}");
        if value.is_empty() {
            all.remove(name);
        } else {
            all.insert(name.to_owned(), value);
        }
    }
    all
}

struct Parser<'a> {
    rest: Peekable<Chars<'a>>,
    fields: &'a Fields,
}

impl Parser<'_> {
    fn peek(&mut self) -> Option<char> {
        while self.rest.next_if(|letter| letter.is_whitespace()).is_some() {}
        self.rest.peek().copied()
    }

    fn expect(&mut self, wanted: char) {
        assert_eq!(self.peek(), Some(wanted));
        self.rest.next();
    }

    fn until(&mut self, end: char) -> String {
        self.expect(end);
        let text = std::iter::from_fn(|| self.rest.next_if(|letter| *letter != end)).collect();
        self.expect(end);
        text
    }

    fn word(&mut self, belongs: fn(&char) -> bool) -> String {
        std::iter::from_fn(|| self.rest.next_if(belongs)).collect()
    }

    /// A comparison with null is not true.
    fn comparison(&mut self) -> Vec<String> {
        let left = self.quotient();
        let holds = match self.peek() {
            Some('=') => {
                self.expect('=');
                self.expect('=');
                let right = self.quotient();
                !left.is_empty() && left == right
            }
            Some('<') => {
                self.expect('<');
                let right = number(&self.quotient());
                number(&left).is_some_and(|left| right.is_some_and(|right| left < right))
            }
            _ => return left,
        };
        vec![if holds { TRUE } else { "false" }.to_owned()]
    }

    fn quotient(&mut self) -> Vec<String> {
        let mut left = self.primary();
        while self.peek() == Some('/') {
            self.expect('/');
            let right = number(&self.primary());
            left = number(&left).zip(right).map(|(left, right)| (left / right).to_string()).into_iter().collect();
        }
        left
    }

    fn primary(&mut self) -> Vec<String> {
        match self.peek() {
            Some('"') => vec![self.until('"')],
            Some('\'') => {
                let name = self.until('\'');
                self.fields.get(&name).cloned().unwrap_or_default()
            }
            Some(digit) if digit.is_ascii_digit() => vec![self.word(char::is_ascii_digit)],
            _ => self.call(),
        }
    }

    fn call(&mut self) -> Vec<String> {
        let name = self.word(char::is_ascii_lowercase);
        let mut arguments = Vec::new();
        self.expect('(');
        while self.peek() != Some(')') {
            arguments.push(self.comparison());
            if self.peek() == Some(',') {
                self.expect(',');
            }
        }
        self.expect(')');
        let is_true = |value: &Vec<String>| value.first().is_some_and(|value| value == TRUE);
        match (name.as_str(), arguments.as_slice()) {
            ("true", []) => vec![TRUE.to_owned()],
            ("null", []) => Vec::new(),
            ("if", [condition, then, or]) => if is_true(condition) { then } else { or }.clone(),
            ("case", pairs) => {
                let (pairs, []) = pairs.as_chunks::<2>() else { panic!("case with an odd number") };
                pairs
                    .iter()
                    .find(|[condition, _]| is_true(condition))
                    .map(|[_, value]| value.clone())
                    .unwrap_or_default()
            }
            ("coalesce", values) => values.iter().find(|value| !value.is_empty()).cloned().unwrap_or_default(),
            ("mvcount", [values]) => {
                Some(values.len()).filter(|count| *count > 0).map(|count| count.to_string()).into_iter().collect()
            }
            ("mvindex", [values, at]) => {
                let at: usize = at[0].parse().expect("an index");
                values.get(at).cloned().into_iter().collect()
            }
            ("tonumber", [value]) => number(value).map(|number| number.to_string()).into_iter().collect(),
            ("ltrim", [value, letters]) => value
                .iter()
                .map(|value| value.trim_start_matches(|letter| letters[0].contains(letter)).to_owned())
                .collect(),
            (name, arguments) => panic!("{name} of {} values", arguments.len()),
        }
    }
}

/// No value of a field that is compared.
const TRUE: &str = "\u{0}true";

fn number(value: &[String]) -> Option<f64> {
    value.first()?.parse().ok()
}
