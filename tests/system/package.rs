//! The Debian package as a user gets it: made, put into a clean root by dpkg without a network, and
//! run from there, as the service would be run. Needs root.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The user of the service has this number here; no account is needed for it.
const SERVICE: u32 = 61_184;
const SOURCE: &str = env!("CARGO_MANIFEST_DIR");

/// A root with what the package depends on, a shell and setpriv(1), and nothing else.
struct Root {
    folder: tempfile::TempDir,
    mounts: Vec<PathBuf>,
}

fn output(command: &mut Command) -> Output {
    command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}: run `make test`, which installs what it needs"))
}

fn succeed(command: &mut Command) -> String {
    let output = output(command);
    let text = [String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr)].concat();
    assert!(output.status.success(), "{command:?}: {text}");
    text
}

impl Root {
    fn new() -> Self {
        assert!(nix::unistd::geteuid().is_root(), "this test needs root: run `sudo make test`");
        let folder = tempfile::Builder::new().prefix("dnstrail-root-").tempdir().expect("a folder");
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("it is ours");
        let mut root = Self { folder, mounts: Vec::new() };
        for empty in ["bin", "proc", "sys", "tmp", "var/lib/dpkg/info", "var/lib/dpkg/updates", "var/log/dnstrail"] {
            fs::create_dir_all(root.path(empty)).expect("a folder");
        }
        chown(root.path("var/log/dnstrail"), Some(SERVICE), Some(SERVICE)).expect("root may");
        fs::write(root.path("var/lib/dpkg/status"), "").expect("a file");
        // dpkg runs the package's scripts in there.
        root.copy(Path::new("/bin/busybox"), "bin/busybox");
        for name in ["sh", "rm", "kill"] {
            std::os::unix::fs::symlink("busybox", root.path(&format!("bin/{name}"))).expect("a link");
        }
        let setpriv = succeed(Command::new("sh").args(["-c", "command -v setpriv"]));
        root.copy(Path::new(setpriv.trim()), "bin/setpriv");
        let needed = succeed(Command::new("ldd").args([env!("CARGO_BIN_EXE_dnstrail"), setpriv.trim()]));
        for library in needed.split_whitespace().filter(|word| word.starts_with('/') && !word.ends_with(':')) {
            root.copy(Path::new(library), library.trim_start_matches('/'));
        }
        for kernel in ["proc", "sys"] {
            let there = root.path(kernel);
            succeed(Command::new("mount").arg("--rbind").arg(format!("/{kernel}")).arg(&there));
            succeed(Command::new("mount").arg("--make-rslave").arg(&there));
            root.mounts.push(there);
        }
        root
    }

    fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    fn copy(&self, from: &Path, to: &str) {
        fs::create_dir_all(self.path(to).parent().expect("a folder")).expect("a folder");
        fs::copy(from, self.path(to)).unwrap_or_else(|error| panic!("{}: {error}", from.display()));
    }

    fn dpkg(&self, arguments: &[&str]) -> String {
        // Its database knows of no library, though they are there.
        let root = format!("--root={}", self.folder.path().display());
        succeed(Command::new("dpkg").args([&root, "--force-depends", "--force-not-root"]).args(arguments))
    }

    /// The installed program, with the user, capabilities and bounds that the unit gives it.
    fn run_as_service(&self, arguments: &[&str]) -> Output {
        let capabilities = self.capabilities();
        let id = SERVICE.to_string();
        output(
            Command::new("chroot")
                .arg(self.folder.path())
                .args(["/bin/setpriv", "--reuid", &id, "--regid", &id, "--clear-groups", "--no-new-privs"])
                .args(["--inh-caps", &capabilities, "--ambient-caps", &capabilities])
                .args(["--bounding-set", &capabilities, "/usr/bin/dnstrail"])
                .args(arguments),
        )
    }

    /// As setpriv(1) writes `AmbientCapabilities=` of the installed unit.
    fn capabilities(&self) -> String {
        let unit = fs::read_to_string(self.path("usr/lib/systemd/system/dnstrail.service")).expect("the unit");
        let given = unit.lines().find_map(|line| line.strip_prefix("AmbientCapabilities=")).expect("capabilities");
        let names: Vec<_> = given.split(' ').map(|name| name.replace("CAP_", "+").to_lowercase()).collect();
        format!("-all,{}", names.join(","))
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        // Before the folder is deleted, and all below at once.
        for mount in &self.mounts {
            let _ = Command::new("umount").args(["--recursive", "--lazy"]).arg(mount).output();
        }
    }
}

#[test]
fn package_installs_into_a_clean_root_and_runs() {
    let root = Root::new();
    let built = tempfile::tempdir().expect("a folder");
    let package = succeed(
        Command::new(format!("{SOURCE}/packaging/package")).arg(env!("CARGO_BIN_EXE_dnstrail")).arg(built.path()),
    );
    let package = package.trim();
    let depends = succeed(Command::new("dpkg-deb").args(["--field", package, "Depends"]));
    for library in ["libc6", "libelf1", "zlib1g"] {
        assert!(depends.contains(library), "{depends}");
    }

    root.dpkg(&["--install", package]);
    for file in [
        "etc/dnstrail/dnstrail.toml",
        "etc/logrotate.d/dnstrail",
        "usr/share/doc/dnstrail/copyright",
        "usr/share/man/man1/dnstrail.1.gz",
        "usr/share/bash-completion/completions/dnstrail",
        "usr/share/zsh/vendor-completions/_dnstrail",
        "usr/share/fish/vendor_completions.d/dnstrail.fish",
        "usr/lib/sysusers.d/dnstrail.conf",
        "usr/share/doc/dnstrail/sbom.cdx.json",
    ] {
        assert!(fs::metadata(root.path(file)).is_ok_and(|file| file.len() > 0), "{file}");
    }

    check_unit(&root);
    let version = root.run_as_service(&["--version"]);
    assert_eq!(String::from_utf8_lossy(&version.stdout), concat!("dnstrail ", env!("CARGO_PKG_VERSION"), "\n"));
    let doctor = root.run_as_service(&["doctor"]);
    let told = String::from_utf8_lossy(&doctor.stdout);
    assert!(doctor.status.success() && told.contains("\nReady: "), "{doctor:?}");
    // By the shipped configuration alone.
    let run = root.run_as_service(&["run", "--duration", "2"]);
    assert!(run.status.success(), "{run:?}");
    let documents = fs::read_to_string(root.path("var/log/dnstrail/dnstrail.json")).expect("the output");
    let documents: Vec<serde_json::Value> =
        documents.lines().map(|line| serde_json::from_str(line).expect("a document")).collect();
    let actions: Vec<_> = documents.iter().filter_map(|document| document["event"]["action"].as_str()).collect();
    assert_eq!((actions.first(), actions.last()), (Some(&"sensor-start"), Some(&"sensor-stop")));

    fs::write(root.path("etc/dnstrail/dnstrail.toml"), "# mine\n").expect("root may");
    root.dpkg(&["--remove", "dnstrail"]);
    assert!(!root.path("usr/bin/dnstrail").exists());
    assert!(root.path("etc/dnstrail/dnstrail.toml").exists(), "configuration stays until purged");
    assert!(root.path("var/log/dnstrail/dnstrail.json").exists(), "and so do logs");
    root.dpkg(&["--purge", "dnstrail"]);
    assert!(!root.path("etc/dnstrail/dnstrail.toml").exists() && !root.path("var/log/dnstrail").exists());
}

/// Lets systemd judge the installed unit: it must find no fault, and an exposure (0 to 10, the power of an attacker
/// who takes over the service) below the threshold. systemd 252 says 2.6, and 0.7 of it are the capabilities below.
fn check_unit(root: &Root) {
    const MOST_EXPOSED: &str = "--threshold=27";
    let analyze = |verb: &[&str]| {
        let mut command = Command::new("systemd-analyze");
        output(command.args(verb).arg(format!("--root={}", root.path("").display())).arg("dnstrail.service"))
    };
    let verified = analyze(&["verify", "--man=no"]);
    assert!(verified.status.success() && verified.stderr.is_empty(), "{verified:?}");
    let told = analyze(&["security", "--offline=true", MOST_EXPOSED]);
    assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stdout));
    assert!(!analyze(&["security", "--offline=true", "--threshold=10"]).status.success(), "what it says is heard");

    let unit = fs::read_to_string(root.path("usr/lib/systemd/system/dnstrail.service")).expect("the unit");
    let given = |key: &str| unit.lines().find_map(|line| line.strip_prefix(key)).expect("a key").to_owned();
    assert_eq!(given("AmbientCapabilities="), given("CapabilityBoundingSet="));
    for capability in given("AmbientCapabilities=").split(' ') {
        let reason = unit.lines().take_while(|line| !line.contains("Not needed")).find(|line| {
            line.strip_prefix("# ")
                .and_then(|line| line.split_once(": "))
                .is_some_and(|(names, _)| names.contains(capability))
        });
        assert!(reason.is_some(), "why {capability}?");
    }
}

/// The source as it is committed, in a folder of this name; the folder above it is deleted with the value.
fn copy_of_the_source(name: &str) -> (tempfile::TempDir, PathBuf) {
    let above = tempfile::tempdir().expect("a folder");
    let folder = above.path().join(name);
    succeed(Command::new("git").args(["clone", "--quiet", SOURCE]).arg(&folder));
    std::os::unix::fs::symlink(format!("{SOURCE}/target/tools"), above.path().join("tools")).expect("a link");
    (above, folder)
}

/// Built twice, in folders of other names and lengths: the same bytes, and no name of a folder in them.
#[test]
fn package_is_the_same_from_any_folder() {
    let copies = ["one", "another-folder"].map(copy_of_the_source);
    let packages = copies.each_ref().map(|(above, folder)| {
        let program = succeed(&mut Command::new(folder.join("packaging/build")));
        let path = format!("{}:{}/bin", std::env::var("PATH").expect("a path"), above.path().join("tools").display());
        let made = Command::new(folder.join("packaging/package")).arg(program.trim()).env("PATH", path).output();
        let package = String::from_utf8(made.expect("it runs").stdout).expect("a path");
        let bytes = fs::read(program.trim()).expect("the program");
        let home = std::env::var("HOME").expect("a home");
        for place in [folder.to_str().expect("text"), SOURCE, &format!("{home}/.cargo")] {
            let is_in = bytes.windows(place.len()).any(|part| part == place.as_bytes());
            assert!(!is_in, "{place} is in the program");
        }
        fs::read(package.trim()).expect("the package")
    });
    assert!(packages[0] == packages[1], "the packages differ");
    let sbom = succeed(Command::new(format!("{SOURCE}/packaging/sbom")).arg("/dev/stdout"));
    let sbom: serde_json::Value = serde_json::from_str(&sbom).expect("JSON");
    assert_eq!(sbom["bomFormat"], "CycloneDX");
    let components = sbom["components"].as_array().expect("components");
    assert!(components.len() > 100 && components.iter().any(|one| one["name"] == "libbpf-rs"), "{}", components.len());
    assert!(!sbom.to_string().contains("/tmp/"), "no path of this machine");
}

/// Renamed, whole, and neither truncated nor made anew: that is the sensor's, on SIGHUP.
#[test]
fn logrotate_only_renames() {
    let folder = tempfile::tempdir().expect("a folder");
    let [log, rotated, ours, settings, state] =
        ["dnstrail.json", "dnstrail.json.1", "dnstrail.json.20261120T101112.345Z", "settings", "state"]
            .map(|name| folder.path().join(name));
    let text = fs::read_to_string(format!("{SOURCE}/packaging/dnstrail.logrotate")).expect("the settings");
    fs::write(&settings, text.replace("/var/log/dnstrail", &folder.path().display().to_string())).expect("a file");
    fs::write(&log, "{\"a\":1}\n").expect("a file");
    fs::write(&ours, "{\"a\":0}\n").expect("a file");
    succeed(Command::new("logrotate").arg("--force").arg("--state").arg(state).arg(settings));
    assert_eq!(fs::read_to_string(rotated).expect("the renamed file"), "{\"a\":1}\n");
    assert!(!log.exists());
    assert!(ours.exists(), "a file that the sensor has rotated is rotated a second time");
}
