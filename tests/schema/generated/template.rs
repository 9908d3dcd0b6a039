//! The index template of Elasticsearch.

use dnstrail::field::{Field, Holds};
use serde_json::{Value, json};

use super::super::fields::fields;

/// A keyword of more than 32,766 bytes is refused by the index, and its document with it. One of more characters than
/// these, of four bytes at most each, is kept in the document and not indexed.
const LONGEST_KEYWORD: u16 = 8191;

fn mapping(kind: &str) -> Value {
    match kind {
        "keyword" | "wildcard" => json!({ "type": kind, "ignore_above": LONGEST_KEYWORD }),
        kind => json!({ "type": kind }),
    }
}

fn place(properties: &mut Value, path: &str, mapping: &Value) {
    let (parents, last) = path.rsplit_once('.').map_or((None, path), |(parents, last)| (Some(parents), last));
    let at = parents
        .into_iter()
        .flat_map(|parents| parents.split('.'))
        .fold(properties, |at, parent| &mut at[parent]["properties"]);
    for (name, value) in mapping.as_object().expect("a mapping") {
        at[last][name] = value.clone();
    }
}

/// Fields whose names are not fixed: the object that holds them, and the rule for all numbers in it.
fn any_name(object: &str, properties: &mut Value, rules: &mut Vec<Value>) {
    place(properties, object, &json!({ "type": "object" }));
    let name = object.replace('.', "_");
    let rule = json!({ "path_match": format!("{object}.*"), "match_mapping_type": "long", "mapping": mapping("long") });
    if !rules.iter().any(|known| known.get(&name).is_some()) {
        rules.push(json!({ name: rule }));
    }
}

pub fn document() -> Value {
    let (mut properties, mut rules) = (json!({}), Vec::new());
    for Field { ecs: path, holds, .. } in fields().into_values() {
        match path.split_once(".*") {
            Some((object, _)) => {
                assert!(matches!(holds, Holds::Number(..)), "{path}: only numbers may have any name");
                any_name(object, &mut properties, &mut rules);
            }
            None => place(&mut properties, path, &mapping(holds.ecs_type())),
        }
    }
    for part in ["type", "dataset", "namespace"] {
        place(&mut properties, &format!("data_stream.{part}"), &mapping("constant_keyword"));
    }
    // Fields that a shipper adds.
    rules.push(json!({ "other_text": { "match_mapping_type": "string", "mapping": mapping("keyword") } }));
    let default_fields = ["message", "dns.question.name", "process.executable", "rule.name"];
    json!({
        "index_patterns": ["logs-dnstrail-*"],
        "data_stream": {},
        // Above the templates for logs-*-* that come with Elasticsearch (100).
        "priority": 250,
        "template": {
            "settings": { "index": {
                "lifecycle": { "name": "dnstrail" },
                "codec": "best_compression",
                "query": { "default_field": default_fields },
            } },
            "mappings": { "date_detection": false, "dynamic_templates": rules, "properties": properties },
        },
        "_meta": { "description": "Lines of dnstrail", "ecs_version": dnstrail::schema::ecs::VERSION },
    })
}
