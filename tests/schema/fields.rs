//! The tables of fields: they name the fields that the JSON Schema and the official list of ECS name, and the golden
//! lines are as the tables have them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use dnstrail::field::{Action, Field};
use dnstrail::schema::ecs::fields::{ACTOR, EVERY, MESSAGE, NETWORK, OWN_ACTOR, THREAT};
use dnstrail::{journal, sighting};

use crate::support::conformance::described_fields;

/// Every table, those of the kinds among them.
fn tables() -> Vec<&'static [Field]> {
    let shared = [EVERY, MESSAGE, ACTOR, OWN_ACTOR, NETWORK, THREAT, journal::FIELDS];
    let kinds = sighting::Name::ALL.iter().map(|kind| kind.fields());
    shared.into_iter().chain(kinds).collect()
}

/// Every field by its path in ECS, and the fields of all tables in their order.
pub fn fields() -> BTreeMap<&'static str, Field> {
    let mut fields = BTreeMap::new();
    for field in tables().into_iter().flatten() {
        let known = fields.insert(field.ecs, *field);
        assert!(known.is_none(), "{} stands in two tables", field.ecs);
    }
    fields
}

pub fn actions() -> impl Iterator<Item = &'static Action> {
    sighting::Name::ALL.iter().flat_map(|kind| kind.actions()).chain(journal::ACTIONS)
}

#[test]
fn tables_and_json_schema_name_the_same_fields() {
    // The schema describes a field whose name is not fixed by the object that holds it.
    let described: BTreeSet<String> =
        fields().into_keys().map(|path| path.split_once(".*").map_or(path, |(object, _)| object).to_owned()).collect();
    assert_eq!(described, described_fields());
}

#[test]
fn tables_and_the_list_of_ecs_agree_in_names_types_and_lists() {
    let mut fields = fields();
    fields.retain(|path, _| !path.starts_with("dnstrail."));
    let mut official = BTreeMap::new();
    for row in include_str!("../../schemas/ecs-fields.csv").lines().skip(1) {
        let columns: Vec<&str> = row.split(',').collect();
        official.insert(columns[1], (columns[2], columns[4] == "array"));
    }
    let of_tables: BTreeMap<&str, (&str, bool)> =
        fields.iter().map(|(path, field)| (*path, (field.holds.ecs_type(), field.list))).collect();
    assert_eq!(of_tables, official);
}

/// Every field that an action names exists.
#[test]
fn actions_name_fields_that_there_are() {
    let fields = fields();
    let is_known = |path: &str| fields.keys().any(|field| *field == path || field.starts_with(&format!("{path}.")));
    for action in actions() {
        let lists = action.lists.iter().map(|(path, _)| *path);
        let values = action.values.iter().map(|(path, _)| *path);
        let named = action.always.iter().copied().flatten().chain(action.never).copied().chain(values).chain(lists);
        for path in named {
            assert!(is_known(path), "{}: {path}", action.name);
        }
        let never: BTreeSet<&&str> = action.never.iter().collect();
        let both = action.always.iter().copied().flatten().find(|path| never.contains(path));
        assert_eq!(both, None, "{}", action.name);
    }
}

/// The golden line of each action is as its row has it.
#[test]
fn golden_lines_are_as_their_actions_have_them() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/schema/golden/ecs");
    let mut seen = BTreeSet::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let line: serde_json::Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        let at = |path: &str| line.pointer(&format!("/{}", path.replace('.', "/")));
        let action = actions().find(|action| line["event"]["action"] == action.name).expect("a row for each action");
        seen.insert(action.name);
        assert!(action.kinds.iter().any(|kind| line["event"]["kind"] == **kind), "{}", path.display());
        assert_eq!(line["event"]["dataset"], action.dataset, "{}", path.display());
        for field in action.always.iter().copied().flatten() {
            assert!(at(field).is_some(), "{}: {field} is missing", path.display());
        }
        for field in action.never {
            assert_eq!(at(field), None, "{}: {field}", path.display());
        }
        for (field, values) in action.values {
            assert!(values.iter().any(|value| at(field).unwrap() == value), "{}: {field}", path.display());
        }
        for (field, lists) in action.lists {
            assert!(
                lists.iter().any(|list| *at(field).unwrap() == serde_json::json!(list)),
                "{}: {field}",
                path.display()
            );
        }
    }
    assert!(seen.len() >= 10, "{seen:?}");
}
