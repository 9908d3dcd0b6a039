//! The JSON Schema of a line: the objects that the paths of fields make, and a rule for each action.

use std::collections::{BTreeMap, BTreeSet};

use dnstrail::field::{Action, Field, Holds};
use dnstrail::schema::ecs::fields::EVERY;
use serde_json::{Map, Value, json};

use super::super::fields::{actions, fields};

/// A field, or an object of fields. The part `*` stands for any name.
#[derive(Default)]
struct Node {
    field: Option<Field>,
    parts: BTreeMap<&'static str, Node>,
    /// The parts that the object always has.
    required: BTreeSet<String>,
}

impl Node {
    fn of_all_fields() -> Self {
        let mut root = Self::default();
        for (path, field) in fields() {
            let at = path.split('.').fold(&mut root, |node, part| node.parts.entry(part).or_default());
            at.field = Some(field);
        }
        root
    }

    /// The object of the field at `path` always has it.
    fn require(&mut self, path: &str) {
        let mut at = self;
        let mut parts = path.split('.').peekable();
        while let Some(part) = parts.next() {
            if parts.peek().is_none() {
                at.required.insert(part.to_owned());
            }
            at = at.parts.get_mut(part).expect("a part of a field's path");
        }
    }

    fn schema(&self) -> Value {
        let mut schema = if self.parts.is_empty() { leaf(self.field.expect("a field").holds) } else { self.object() };
        let Some(field) = self.field else { return schema };
        if field.list {
            schema = json!({ "type": "array", "items": schema, "minItems": 1 });
            if field.distinct {
                schema["uniqueItems"] = true.into();
            }
        }
        if !field.meaning.is_empty() {
            schema["description"] = field.meaning.replace('`', "").into();
        }
        schema
    }

    fn object(&self) -> Value {
        if let Some(any) = self.parts.get("*") {
            let names = json!({ "pattern": "^[a-z][a-z0-9_]*$" });
            return json!({ "type": "object", "propertyNames": names, "additionalProperties": any.schema() });
        }
        let parts: Map<String, Value> =
            self.parts.iter().map(|(name, node)| ((*name).to_owned(), node.schema())).collect();
        let mut object = json!({ "type": "object", "additionalProperties": false, "properties": parts });
        if !self.required.is_empty() {
            object["required"] = json!(self.required);
        }
        object
    }
}

fn leaf(holds: Holds) -> Value {
    let reference = |name: &str| json!({ "$ref": format!("#/$defs/{name}") });
    match holds {
        Holds::Object | Holds::Nested => panic!("an object without fields"),
        Holds::Text | Holds::Message | Holds::Wildcard => json!({ "type": "string" }),
        Holds::Name => reference("name"),
        Holds::Mnemonic => reference("mnemonic"),
        Holds::OneOf([only]) => json!({ "const": only }),
        Holds::OneOf(values) => json!({ "enum": values }),
        Holds::Form(form) => json!({ "type": "string", "pattern": form }),
        Holds::Instant => reference("time"),
        Holds::Address => reference("ip"),
        Holds::Number(least, u64::MAX) => json!({ "type": "integer", "minimum": least }),
        Holds::Number(least, most) => json!({ "type": "integer", "minimum": least, "maximum": most }),
        Holds::Flag => json!({ "type": "boolean" }),
        Holds::True => json!({ "const": true }),
    }
}

/// The forms that many fields share.
fn definitions() -> Value {
    json!({
        "time": {
            "type": "string",
            "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{9}Z$",
            "description": "RFC 3339, nanoseconds, UTC",
        },
        "ip": { "type": "string", "anyOf": [{ "format": "ipv4" }, { "format": "ipv6" }] },
        "name": {
            "type": "string",
            "pattern": "^[\\x20-\\x40\\x5b-\\x7e]+$",
            "description": "Lower case, without the trailing dot (\".\" is the root), bytes outside 0x20-0x7e as \\DDD",
        },
        "mnemonic": {
            "type": "string",
            "pattern": "^[A-Z0-9-]+$",
            "description": "As IANA has it, else as RFC 3597 does (TYPE65280)",
        },
    })
}

/// A demand on a document, part by part.
#[derive(Default)]
struct Rule {
    required: BTreeSet<String>,
    parts: BTreeMap<String, Rule>,
    value: Option<Value>,
}

impl Rule {
    fn at(&mut self, path: &str) -> &mut Self {
        path.split('.').fold(self, |rule, part| rule.parts.entry(part.to_owned()).or_default())
    }

    /// The field at `path` is there; with `whole_way`, the objects around it are, too.
    fn require(&mut self, path: &str, whole_way: bool) {
        let mut at = self;
        let mut parts = path.split('.').peekable();
        while let Some(part) = parts.next() {
            if whole_way || parts.peek().is_none() {
                at.required.insert(part.to_owned());
            }
            if parts.peek().is_some() {
                at = at.parts.entry(part.to_owned()).or_default();
            }
        }
    }

    /// The parts of `node` for which `is_allowed` is false are absent.
    fn forbid(&mut self, node: &Node, path: &str, is_allowed: &impl Fn(&str) -> bool) {
        for (name, part) in &node.parts {
            let path = if path.is_empty() { (*name).to_owned() } else { format!("{path}.{name}") };
            match allowed(part, &path, is_allowed) {
                (false, _) => self.at(name).value = Some(false.into()),
                (true, true) => {}
                (true, false) => {
                    assert!(!part.field.is_some_and(|field| field.list), "{path}: the elements of a list differ");
                    self.parts.entry((*name).to_owned()).or_default().forbid(part, &path, is_allowed);
                }
            }
        }
    }

    fn schema(&self) -> Value {
        if let Some(value) = &self.value {
            return value.clone();
        }
        let parts: Map<String, Value> = self
            .parts
            .iter()
            .map(|(name, rule)| (name.clone(), rule.schema()))
            .filter(|(_, schema)| *schema != json!({}))
            .collect();
        let mut schema = json!({});
        if !self.required.is_empty() {
            schema["required"] = json!(self.required);
        }
        if !parts.is_empty() {
            schema["properties"] = parts.into();
        }
        schema
    }
}

/// Whether any field below is allowed, and whether all are.
fn allowed(node: &Node, path: &str, is_allowed: &impl Fn(&str) -> bool) -> (bool, bool) {
    if node.parts.is_empty() {
        return (is_allowed(path), is_allowed(path));
    }
    node.parts.iter().fold((false, true), |(any, all), (name, part)| {
        let (some, every) = allowed(part, &format!("{path}.{name}"), is_allowed);
        (any || some, all && every)
    })
}

/// The paths of all fields that documents of the action may have.
fn fields_of(action: &Action) -> BTreeSet<&'static str> {
    let is_never = |path: &str| {
        action
            .never
            .iter()
            .any(|never| path.strip_prefix(never).is_some_and(|rest| rest.is_empty() || rest.starts_with('.')))
    };
    let tables = action.tables.iter().copied().chain([EVERY]);
    tables.flatten().map(|field| field.ecs).filter(|path| !is_never(path)).collect()
}

/// The object in which a field stands, with the dot behind it.
fn object_of(path: &str) -> &str {
    path.rfind('.').map_or("", |dot| &path[..=dot])
}

/// Whether every action that may have the object of a field may have the field, too: then the demand stands with the
/// object, else with each action.
fn holds_everywhere(field: &Field, of_actions: &[(&Action, BTreeSet<&'static str>)]) -> bool {
    let object = object_of(field.ecs);
    let mut with_object = of_actions.iter().filter(|(_, paths)| paths.iter().any(|path| path.starts_with(object)));
    with_object.all(|(_, paths)| paths.contains(field.ecs))
}

fn rule_of(action: &Action, paths: &BTreeSet<&'static str>, root: &Node, of_objects: &[&str]) -> Value {
    let mut rule = Rule::default();
    rule.forbid(root, "", &|path| paths.contains(path));
    for path in of_objects.iter().filter(|path| paths.contains(*path)) {
        rule.require(path, false);
    }
    for path in action.always.iter().copied().flatten() {
        rule.require(path, true);
    }
    let constant = |values: &[Value]| match values {
        [only] => json!({ "const": only }),
        values => json!({ "enum": values }),
    };
    let texts = |texts: &[&str]| constant(&texts.iter().map(|text| json!(text)).collect::<Vec<_>>());
    rule.at("event.kind").value = Some(texts(action.kinds));
    rule.at("event.dataset").value = Some(texts(&[action.dataset]));
    for (path, values) in action.values {
        rule.at(path).value = Some(texts(values));
    }
    for (path, lists) in action.lists {
        rule.at(path).value = Some(constant(&lists.iter().map(|list| json!(list)).collect::<Vec<_>>()));
    }
    json!({ "if": event("action", action.name), "then": rule.schema() })
}

fn event(name: &str, value: &str) -> Value {
    let value = json!({ "const": value });
    json!({ "properties": { "event": { "properties": { name: value }, "required": [name] } } })
}

/// Rules for documents of every action.
fn shared_rules() -> Vec<Value> {
    let command_line = json!({
        "command_line": ["args_count"],
        "args": ["command_line", "args_count"],
        "args_count": ["command_line"],
    });
    let alert = ["network", "intrusion_detection"];
    vec![
        json!({ "if": event("kind", "alert"), "then": {
            "required": ["rule", "threat", "message", "dnstrail"],
            "properties": {
                "event": { "properties": { "category": { "const": alert }, "type": { "contains": { "const": "info" } } } },
                "dnstrail": { "required": ["matches"] },
            },
        } }),
        json!({ "if": event("kind", "event"), "then": { "properties": {
            "message": false,
            "event": { "properties": {
                "category": { "const": ["network"] },
                "type": { "not": { "contains": { "const": "info" } } },
            } },
        } } }),
        json!({ "if": { "required": ["rule"] }, "then": { "required": ["threat"] },
            "else": { "properties": { "threat": false } } }),
        json!({ "properties": { "threat": { "properties": { "enrichments": {
            "items": { "required": ["indicator", "matched"] },
        } }, "required": ["enrichments"] } } }),
        json!({ "properties": { "process": {
            "dependentRequired": command_line,
            "properties": { "parent": { "dependentRequired": command_line } },
        } } }),
    ]
}

pub fn document() -> Value {
    let mut root = Node::of_all_fields();
    let of_actions: Vec<_> = actions().map(|action| (action, fields_of(action))).collect();
    let mut of_some_actions = Vec::new();
    for field in fields().into_values().filter(|field| field.always) {
        if holds_everywhere(&field, &of_actions) {
            root.require(field.ecs);
        } else {
            of_some_actions.push(field.ecs);
        }
    }
    // Every document has the objects that hold what every document has.
    for object in EVERY.iter().filter(|field| field.always).filter_map(|field| field.ecs.split('.').next()) {
        root.require(object);
    }
    let rules = of_actions.iter().map(|(action, paths)| rule_of(action, paths, &root, &of_some_actions));
    let mut schema = root.object();
    let names: Vec<&str> = actions().map(|action| action.name).collect();
    let datasets: BTreeSet<&str> = actions().map(|action| action.dataset).collect();
    schema["properties"]["event"]["properties"]["action"]["enum"] = json!(names);
    schema["properties"]["event"]["properties"]["dataset"]["enum"] = json!(datasets);
    schema["allOf"] = rules.chain(shared_rules()).collect();
    schema["$defs"] = definitions();
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema".into();
    schema["title"] = "A line of dnstrail".into();
    schema["description"] = format!(
        "Each line is one JSON object: a sighting, or a report of the sensor on itself. All fields outside dnstrail.* \
         are those of ECS {} (ecs-fields.csv). Generated from the tables of fields in sensor/.",
        dnstrail::schema::ecs::VERSION
    )
    .into();
    schema
}
