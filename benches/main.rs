//! `cargo bench`: every table that the documentation quotes.

mod rules;

fn main() {
    if rules::child() {
        return;
    }
    rules::run();
}
