//! The tables for people.

use std::collections::BTreeSet;
use std::fmt::Write;

use dnstrail::event::program::{Way, When};
use dnstrail::field::{Field, Holds};
use dnstrail::sighting::{Name, Watch};
use dnstrail::{event::program::Program, probe};

use super::super::fields::{actions, fields as all_fields};

fn holds(field: &Field) -> String {
    let value = match field.holds {
        Holds::OneOf(values) => values.iter().map(|value| format!("`{value}`")).collect::<Vec<_>>().join(", "),
        other => other.ecs_type().to_owned(),
    };
    if field.list { format!("list of {value}") } else { value }
}

/// `schemas/fields.md`.
pub fn fields() -> String {
    let mut page = String::from(
        "# The fields of a line\n\nGenerated from the tables in `sensor/` by `make golden`.\n\
         Below `dnstrail`, CIM has the same path, and OCSF has it under `unmapped`.\n\n\
         | `event.action` | `event.dataset` | `event.kind` | what it says |\n|---|---|---|---|\n",
    );
    for action in actions() {
        let kinds = action.kinds.iter().map(|kind| format!("`{kind}`")).collect::<Vec<_>>().join(", ");
        writeln!(page, "| `{}` | `{}` | {kinds} | {} |", action.name, action.dataset, action.meaning).unwrap();
    }
    page.push_str("\n| ECS | holds | CIM | OCSF | meaning |\n|---|---|---|---|---|\n");
    let code = |name: &str| if name.is_empty() { String::new() } else { format!("`{name}`") };
    for (path, field) in all_fields() {
        let own = path.starts_with("dnstrail.");
        let ocsf = if own { format!("unmapped.{path}") } else { field.ocsf.to_owned() };
        writeln!(page, "| `{path}` | {} | {} | {} | {} |", holds(&field), code(field.cim), code(&ocsf), field.meaning)
            .unwrap();
    }
    page
}

/// The objects in which the fields of a kind stand.
fn objects(kind: Name) -> String {
    let objects: BTreeSet<String> = kind
        .fields()
        .iter()
        .map(|field| match field.ecs.strip_prefix("dnstrail.") {
            Some(own) => format!("`dnstrail.{}.*`", own.split('.').next().unwrap_or(own)),
            None => format!("`{}.*`", field.ecs.split('.').next().unwrap_or(field.ecs)),
        })
        .collect();
    objects.into_iter().collect::<Vec<_>>().join(", ")
}

/// The kinds of sightings, in the README.
pub fn kinds() -> String {
    let mut table =
        String::from("| kind | `event.dataset` | `event.action` | fields of its own in |\n|---|---|---|---|\n");
    for kind in Name::ALL {
        let datasets: BTreeSet<&str> = kind.actions().iter().map(|action| action.dataset).collect();
        let datasets: Vec<String> = datasets.into_iter().map(|dataset| format!("`{dataset}`")).collect();
        let actions: Vec<String> = kind.actions().iter().map(|action| format!("`{}`", action.name)).collect();
        let default = if Watch::default().contains(*kind) { " (default)" } else { "" };
        writeln!(
            table,
            "| {}{default} | {} | {} | {} |",
            kind.name(),
            datasets.join(", "),
            actions.join(", "),
            objects(*kind)
        )
        .unwrap();
    }
    table
}

fn place(when: When) -> String {
    let way = |way: Way| format!("way in {}", way.name());
    match when {
        When::Always => "everywhere".to_owned(),
        When::Way(wanted) => way(wanted),
        When::Cgroup2 => "cgroup v2".to_owned(),
        When::Hashed => "socket state by id".to_owned(),
        When::Cgroup2Hashed => "cgroup v2, socket state by id".to_owned(),
        When::NoCgroup2(wanted) => format!("no cgroup v2, {}", way(wanted)),
    }
}

/// The programs of the kernel side, in `docs/kernels.md`.
pub fn programs() -> String {
    let mut table =
        String::from("| hook | makes known | for | loaded with | not seen without it |\n|---|---|---|---|---|\n");
    let shared = probe::SHARED.iter().map(|program| ("all kinds", program));
    let of_kinds = Name::ALL.iter().flat_map(|kind| kind.programs().iter().map(|program| (kind.name(), program)));
    for (kind, Program { hook, role, when, not_seen_without, .. }) in shared.chain(of_kinds) {
        let missed = not_seen_without.unwrap_or("the way in is not taken");
        writeln!(table, "| `{hook}` | {role} | {kind} | {} | {missed} |", place(*when)).unwrap();
    }
    table
}
