//! The checker itself, on crates of a few lines: each fault must be found, and nothing else.

use std::collections::{BTreeMap, BTreeSet};

use super::graph::Tree;
use super::order::{circles, complaints, table};
use super::shape::{Shape, functions_of_c};

const TABLE: &str = "
    lib:
    event:
    rules: event
    pipeline: rules event
";

/// A crate of four modules that is as the table says; `changed` files replace its own or are added.
fn house(changed: &[(&str, &str)]) -> Tree {
    let good = [
        ("lib.rs", "mod event; mod pipeline; mod rules;"),
        ("event.rs", "pub struct Event;"),
        ("rules/mod.rs", "mod list; mod read; pub use list::List;"),
        ("rules/list.rs", "use crate::event::Event; pub struct List(Event);"),
        ("rules/read.rs", "use super::List; pub fn read() -> List { todo!() }"),
        ("pipeline.rs", "use crate::{event::Event, rules::List}; fn go(_: Event, _: List) {}"),
    ];
    let sources: BTreeMap<String, String> =
        good.iter().chain(changed).map(|(file, text)| ((*file).to_owned(), (*text).to_owned())).collect();
    Tree::read(&sources, "lib.rs")
}

#[track_caller]
fn complains(changed: &[(&str, &str)], wanted: &str) {
    let complaints = complaints(&house(changed), &table(TABLE));
    assert!(complaints.len() == 1 && complaints[0].contains(wanted), "{wanted}: {complaints:#?}");
}

#[track_caller]
fn circle(changed: &[(&str, &str)], wanted: &str) {
    assert_eq!(circles(&house(changed)), [format!("{wanted} use each other in a circle")]);
}

#[test]
fn a_good_house_has_no_complaint() {
    assert_eq!(complaints(&house(&[]), &table(TABLE)), [String::new(); 0]);
    assert_eq!(circles(&house(&[])), [String::new(); 0]);
}

#[test]
fn an_upward_edge_is_found_however_it_is_written() {
    for upward in [
        "use crate::pipeline;",
        "use crate::{pipeline, event::Event};",
        "use crate::{event::Event, pipeline::{self, go}};",
        "use super::super::pipeline::go;",
        "use self::super::super::pipeline as p;",
        "use super::super::*; fn f() { crate::pipeline::go() }",
        "fn f() { super::super::pipeline::go() }",
        "fn f(_: crate::pipeline::Line) {}",
        "fn f() { println!(\"{}\", crate::pipeline::LINE) }",
        "macro_rules! m { () => { $crate::pipeline::go() } }",
        "#[derive(crate::pipeline::Line)] struct S;",
        "mod inner { use super::super::super::pipeline::go; }",
    ] {
        let file = format!("use super::List; {upward}");
        complains(&[("rules/read.rs", &file)], r#"{"rules/read.rs"} in rules uses pipeline"#);
    }
}

#[test]
fn a_test_may_use_what_it_likes() {
    let tests = "#[cfg(test)] mod tests { use crate::pipeline::go; }";
    assert_eq!(complaints(&house(&[("event.rs", tests)]), &table(TABLE)), [String::new(); 0]);
    let file = [("event.rs", "#[cfg(test)] mod tests;"), ("event/tests.rs", "use crate::pipeline;")];
    assert_eq!(complaints(&house(&file), &table(TABLE)), [String::new(); 0]);
}

#[test]
fn a_module_that_kinds_declares_is_read() {
    let kinds = ("rules/mod.rs", "mod list; macro_rules! kinds { ($($kind:ident),+) => {} } kinds! { read, list }");
    complains(&[kinds, ("rules/read.rs", "use super::list::List; use crate::pipeline::go;")], "in rules uses pipeline");
}

#[test]
fn an_allowed_edge_that_is_not_used_is_found() {
    let list = ("rules/list.rs", "pub struct List;");
    complains(&[list], "rules may use event, and does not");
    // A comment and a text are no use.
    let list = ("rules/list.rs", "/// As `crate::event::Event`.\npub struct List; const A: &str = \"crate::event\";");
    complains(&[list], "rules may use event, and does not");
}

#[test]
fn the_table_itself_points_down() {
    let upside_down = "lib:\n rules: event\n event:\n pipeline: rules event";
    let complaints = complaints(&house(&[]), &table(upside_down));
    assert_eq!(complaints, ["rules may use event, which does not stand above it in the table"]);
}

#[test]
fn a_module_without_a_row_and_a_row_without_a_module_are_found() {
    complains(
        &[("lib.rs", "mod event; mod pipeline; mod rules; mod sink;"), ("sink.rs", "")],
        "sensor/sink has no row",
    );
    let more = format!("{TABLE}    sink:\n");
    assert_eq!(complaints(&house(&[]), &table(&more)), ["sink is in the table, and not in sensor/: take it out"]);
}

#[test]
fn a_circle_between_two_files_of_a_folder_is_found() {
    let wanted = "rules/list.rs, rules/read.rs";
    let list = |uses: &str| format!("use crate::event::Event; {uses} pub struct List(Event);");
    for uses in [
        "use super::read;",
        "use super::read::read;",
        "use super::{read::{read as r}};",
        "use crate::rules::read::read;",
        "fn f() { super::read::read(); }",
        "fn f() { vec![crate::rules::read::read()]; }",
    ] {
        circle(&[("rules/list.rs", &list(uses))], wanted);
    }
    // Through a name that the parent passes on.
    let parent = ("rules/mod.rs", "mod list; mod read; pub use list::*; pub use read::read;");
    circle(&[parent, ("rules/list.rs", &list("use super::read;"))], wanted);
    circle(&[parent, ("rules/list.rs", &list("fn f() { super::read(); }"))], wanted);
}

#[test]
fn a_circle_of_three_files_is_found() {
    let files = [
        ("rules/mod.rs", "mod list; mod read; mod watch; pub use list::List;"),
        ("rules/list.rs", "use crate::event::Event; use super::watch; pub struct List(Event);"),
        ("rules/watch.rs", "use super::read::read;"),
    ];
    circle(&files, "rules/list.rs, rules/read.rs, rules/watch.rs");
}

#[test]
fn a_module_and_its_child_are_no_circle() {
    let files = [
        ("rules/mod.rs", "mod list; mod read; pub use list::List; pub struct Own; pub fn f() { read::read() }"),
        ("rules/read.rs", "use super::{List, Own}; pub fn read() {}"),
    ];
    assert_eq!(circles(&house(&files)), [String::new(); 0]);
}

#[test]
fn crates_are_distinguished_from_names_of_our_own() {
    let known: BTreeSet<String> = ["toml", "nix", "psl", "idna", "memchr", "read"].map(str::to_owned).into();
    let text =
        "use super::List; use toml::Table; use memchr::memchr; use idna as names; mod psl {} use psl::x; mod read {}
        fn f() { nix::unistd::getpid(); read::f(); assert!(names::is(1)); }";
    let tree = house(&[("rules/read.rs", text)]);
    let module = &tree.modules[&vec!["rules".to_owned(), "read".to_owned()]];
    assert_eq!(tree.crates(module, &known), BTreeSet::from(["idna", "memchr", "nix", "toml"]));
}

#[test]
fn functions_are_measured() {
    let shape =
        Shape::of("/// Doc.\nfn a(\n    _: u8,\n) {\n}\nimpl X {\n    fn b() {}\n}\ntrait T { fn c(); fn d() {\n} }\n");
    let wanted = [("a", 4), ("b", 1), ("d", 2)].map(|(name, lines)| (name.to_owned(), lines));
    assert_eq!((shape.functions, shape.has_unsafe_code), (wanted.into(), false));
    for code in ["fn f() { unsafe { g() } }", "unsafe impl Send for X {}", "unsafe fn f() {}"] {
        assert!(Shape::of(code).has_unsafe_code, "{code}");
    }
    let text = "static int a(void)\n{\n\treturn 1;\n}\nstruct b {\n\tint c;\n};\nint BPF_PROG(d, int e)\n{\n}\n";
    assert_eq!(functions_of_c(text), [("a".to_owned(), 3), ("BPF_PROG".to_owned(), 2)]);
}
