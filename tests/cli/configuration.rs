//! The configuration file and the changelog of the package, against the program.

use std::fs;

const SOURCE: &str = env!("CARGO_MANIFEST_DIR");

#[test]
fn the_changelog_begins_with_this_version() {
    let changelog = fs::read_to_string(format!("{SOURCE}/packaging/debian/changelog")).expect("the changelog");
    assert!(changelog.starts_with(concat!("dnstrail (", env!("CARGO_PKG_VERSION"), ") ")), "{changelog}");
}

#[test]
fn every_key_of_the_default_configuration_is_explained_and_valid() {
    let text = fs::read_to_string(format!("{SOURCE}/packaging/dnstrail.toml")).expect("the configuration");
    let keys: Vec<_> = dnstrail::cli::settings::NAMES.iter().map(|name| name.replace('_', "-")).collect();
    assert!(keys.len() >= 9, "{keys:?}");
    // Each key once with its # taken away: the program must take the file as a whole.
    let mut all = String::new();
    for key in &keys {
        let line = text.lines().find(|line| line.trim_start_matches('#').starts_with(&format!("{key} = ")));
        let line = line.unwrap_or_else(|| panic!("{key} is not in packaging/dnstrail.toml"));
        all += line.trim_start_matches('#');
        all += "\n";
    }
    let file = tempfile::NamedTempFile::new().expect("a file");
    for content in [&text, &all] {
        fs::write(file.path(), content).expect("it is ours");
        let args = dnstrail::cli::RunArgs { config: Some(file.path().into()), ..Default::default() };
        dnstrail::cli::config::Run::new(args).unwrap_or_else(|error| panic!("{error:#}\n{content}"));
    }
}
