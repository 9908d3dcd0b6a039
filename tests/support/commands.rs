//! The commands of the program, as clap knows them.

/// Every command that does something, by its words: `rules check`.
pub fn commands(parent: &clap::Command, words: &str) -> Vec<(String, clap::Command)> {
    let mut found = Vec::new();
    for command in parent.get_subcommands() {
        let words = format!("{words} {}", command.get_name());
        if command.has_subcommands() {
            found.extend(commands(command, &words));
        } else {
            found.push((words, command.clone()));
        }
    }
    found
}
