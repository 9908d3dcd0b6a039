//! The files that are generated from the tables of fields, actions and kinds: each is up to date, and `make golden`
//! writes them anew.

mod json_schema;
mod pages;
mod template;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::{Map, Value};

use crate::support::golden;

#[test]
fn json_schema_is_up_to_date() {
    golden::compare_exactly("schemas/event.schema.json", &pretty(json_schema::document()));
}

#[test]
fn index_template_is_up_to_date() {
    golden::compare_exactly("schemas/elastic/index-template.json", &pretty(template::document()));
}

#[test]
fn page_of_fields_is_up_to_date() {
    golden::compare_exactly("schemas/fields.md", &pages::fields());
}

#[test]
fn table_of_kinds_is_up_to_date() {
    part_is_up_to_date("README.md", "kinds", &pages::kinds());
}

#[test]
fn table_of_programs_is_up_to_date() {
    part_is_up_to_date("docs/kernels.md", "programs", &pages::programs());
}

/// Compares the part of a page between `<!-- NAME -->` and `<!-- /NAME -->`.
#[track_caller]
fn part_is_up_to_date(path: &str, name: &str, part: &str) {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).expect(path);
    let [begin, end] = [format!("<!-- {name} -->\n"), format!("<!-- /{name} -->\n")];
    let (before, rest) = page.split_once(&begin).unwrap_or_else(|| panic!("{path} has no {begin}"));
    let (_, after) = rest.split_once(&end).unwrap_or_else(|| panic!("{path} has no {end}"));
    golden::compare_exactly(path, &format!("{before}{begin}{part}{end}{after}"));
}

/// JSON with the names of each object in alphabetical order.
fn pretty(value: Value) -> String {
    serde_json::to_string_pretty(&sorted(value)).expect("JSON") + "\n"
}

fn sorted(value: Value) -> Value {
    match value {
        Value::Object(parts) => {
            let parts: BTreeMap<String, Value> = parts.into_iter().map(|(name, part)| (name, sorted(part))).collect();
            Value::Object(Map::from_iter(parts))
        }
        Value::Array(parts) => parts.into_iter().map(sorted).collect(),
        other => other,
    }
}
