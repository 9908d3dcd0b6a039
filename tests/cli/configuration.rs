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

/// A usage error ends with 2, so that a service manager does not start the sensor again and again.
#[test]
fn a_configuration_that_cannot_be_used_ends_the_start_with_2() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).expect("it is ours");
        path
    };
    let fifo = folder.path().join("fifo");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).expect("a FIFO");
    for (path, reason) in [
        (file("port.toml", "\nports = [0]\n"), "line 2"),
        (file("key.toml", "observ = \"all\"\n"), "unknown field `observ`"),
        (fifo, "is a pipe, not a file; give a TOML file with --config"),
        (folder.path().join("missing.toml"), "cannot be read: No such file or directory (os error 2)"),
    ] {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_dnstrail"));
        let output = command.args(["run", "--config"]).arg(&path).output().expect("dnstrail");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(reason) && said.matches("os error").count() <= 1, "{said}");
    }
    for arguments in [["--ports", "0"], ["--timeout", "0"], ["--duration", "x"]] {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_dnstrail")).arg("run").args(arguments).output();
        assert_eq!(output.expect("dnstrail").status.code(), Some(2), "{arguments:?}");
    }
}
